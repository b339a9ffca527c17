//! What each file gives stands beside it as `<file>.snap`; `UPDATE_GOLDEN=1 cargo nextest run formats` writes them anew.
//! The flows were written by mitmproxy 11, the CBOR by the codec that the other program uses.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::report::formats::export::{Exporter, Format};
use crate::report::formats::fixture::{chat, variants};
use crate::report::formats::recording;
use crate::store::stored::Stored;

fn found(bytes: &[u8], source: Option<Source>) -> Result<Vec<Found>, ReadError> {
    let mut all = Vec::new();
    read(&mut &*bytes, source, &mut |one| {
        all.push(one);
        true
    })?;
    Ok(all)
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats")
}

fn check(name: &str, text: &str) {
    let path = folder().join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "{name} differs; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn what_other_programs_wrote_is_read() {
    for (file, source) in [
        ("buffered-v1.jsonl", Source::BufferedV1),
        ("cbor2.cbor", Source::Cbor2),
        ("claude-trace.jsonl", Source::ClaudeTrace),
        ("foreign.har", Source::Har),
        ("litellm.jsonl", Source::LiteLlm),
        ("mitmproxy.flows", Source::Mitmproxy),
        ("bundle-1.pinhole", Source::Bundle),
    ] {
        let bytes = std::fs::read(folder().join(file)).unwrap();
        assert_eq!(Source::guess(&bytes), Some(source), "{file}");
        let mut text = String::new();
        for one in found(&bytes, None).unwrap() {
            let _written = match one {
                Found::Recording(one) => {
                    writeln!(text, "{}", serde_json::to_string_pretty(&one).unwrap())
                }
                Found::Damaged { place, reason } => writeln!(text, "damaged {place}: {reason}"),
                Found::Other | Found::Lengths(..) => writeln!(text, "other"),
                Found::Note(note) => writeln!(text, "note: {note}"),
            };
        }
        check(&format!("{file}.snap"), &text);
    }
}

fn export(all: Vec<Stored>, format: Format) -> Vec<u8> {
    let mut exporter = Exporter::begin(Vec::new(), format, 1_763_625_600_000_000).unwrap();
    let count = all.len() as u64;
    for one in all {
        exporter.push(one).unwrap();
    }
    let (written, bytes) = exporter.finish().unwrap();
    assert_eq!(written.exchanges + written.skipped.values().sum::<u64>(), count);
    bytes
}

#[test]
fn what_is_exported_stays_as_it_is() {
    for format in Format::ALL {
        if format == Format::Bundle {
            continue; // Packed; the crate of replays has its golden file.
        }
        let text = String::from_utf8(export(vec![chat(1), chat(2)], format)).unwrap();
        check(&format!("export.{}.snap", format.label()), &text);
    }
}

#[test]
fn our_own_formats_give_back_every_byte_header_and_arrival() {
    for (format, source) in [
        (Format::Har, Source::Har),
        (Format::Bundle, Source::Bundle),
        (Format::Ndjson, Source::Ndjson),
    ] {
        let bytes = export(variants(), format);
        assert_eq!(Source::guess(&bytes), Some(source));
        let got = found(&bytes, None).unwrap();
        assert_eq!(got.len(), variants().len(), "{format:?}: {got:?}");
        for (n, (one, stored)) in got.into_iter().zip(variants()).enumerate() {
            let Found::Recording(mut one) = one else { panic!("{format:?} {n}: {one:?}") };
            one.order = 0;
            assert_eq!(*one, recording::of(stored), "{format:?} {n}");
        }
    }
}

#[test]
fn reading_a_file_twice_gives_the_same_ids() {
    for file in ["claude-trace.jsonl", "foreign.har", "litellm.jsonl", "buffered-v1.jsonl"] {
        let bytes = std::fs::read(folder().join(file)).unwrap();
        let ids = || {
            let all = found(&bytes, None).unwrap().into_iter();
            let ids = all.filter_map(|one| match one {
                Found::Recording(one) => Some(one.id),
                _ => None,
            });
            ids.collect::<Vec<_>>()
        };
        let (first, mut second) = (ids(), ids());
        assert_eq!(first, second, "{file}");
        assert!(first.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()), "{first:?}");
        second.sort_unstable();
        second.dedup();
        assert_eq!(first.len(), second.len(), "{file}: every exchange has its own");
    }
}

#[test]
fn a_file_that_nobody_knows_is_named() {
    for text in ["hello", "{\"a\":1}", "\u{0}\u{1}"] {
        let error = found(text.as_bytes(), None).unwrap_err();
        assert!(error.to_string().contains("not known"), "{error}");
    }
    assert!(found(b"", None).unwrap().is_empty());
    let wrong = found(b"{\"a\":1}\n[]\n", Some(Source::LiteLlm)).unwrap();
    assert!(matches!(wrong[..], [Found::Damaged { .. }, Found::Damaged { .. }]), "{wrong:?}");
}

#[test]
fn reading_stops_when_told_to() {
    for file in ["cbor2.cbor", "mitmproxy.flows", "foreign.har", "buffered-v1.jsonl"] {
        let bytes = std::fs::read(folder().join(file)).unwrap();
        let mut seen = 0;
        read(&mut &*bytes, None, &mut |_| {
            seen += 1;
            false
        })
        .unwrap();
        assert_eq!(seen, 1, "{file}");
    }
}

#[test]
fn nesting_without_end_is_damage_and_no_overflow() {
    let deep = format!("{{\"call_type\":{}", "[".repeat(100_000));
    for source in Source::ALL {
        let _found = found(deep.as_bytes(), Some(source));
    }
    let har = format!("{{\"log\":{{\"entries\":[{{\"request\":{}", "[".repeat(100_000));
    assert!(matches!(found(har.as_bytes(), None).unwrap()[..], [Found::Note(_)]));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for source in Source::ALL {
            let _found = found(&bytes, Some(source));
        }
    }

    #[test]
    fn files_with_altered_bytes_are_read_as_far_as_they_go(
        file in prop::sample::select(vec![
            "buffered-v1.jsonl", "cbor2.cbor", "claude-trace.jsonl", "foreign.har", "litellm.jsonl", "mitmproxy.flows",
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = std::fs::read(folder().join(file)).unwrap();
        let source = Source::guess(&bytes);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(keep.index(bytes.len()) + 1);
        let _found = found(&bytes, source);
    }
}
