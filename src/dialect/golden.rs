//! Golden tests of what the dialects see in real requests and streams, and of the errors they write.
//!
//! Inputs lie under `tests/golden/<dialect>/{requests,responses,streams}/`, what is expected beside them as `<case>.snap`,
//! and what reading an answer finds as `<case>.reading.snap`; errors have only the former. `UPDATE_GOLDEN=1 cargo nextest run golden` writes them anew, to be reviewed as a diff.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::base::sse::Splitter;
use crate::dialect;
use crate::dialect::edit;
use crate::dialect::openai_chat::usage_filter::UsageFilter;
use crate::dialect::reader::Reader;
use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::{Dialect, Operation};
use crate::neutral::reading::{Billing, Content, Reading};
use crate::neutral::usage::Usage;

fn folder(dialect: Dialect, kind: &str) -> PathBuf {
    let name = match dialect {
        Dialect::OpenAiChat => "openai_chat",
        Dialect::OpenAiResponses => "openai_responses",
        Dialect::OpenAiEmbeddings => "openai_embeddings",
        Dialect::Anthropic => "anthropic_messages",
        Dialect::Gemini => "gemini_generate",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).join(kind)
}

/// The inputs of one kind, in the order of their names.
fn inputs(dialect: Dialect, kind: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder(dialect, kind)) else {
        return Vec::new();
    };
    let mut inputs: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "snap"))
        .collect();
    inputs.sort();
    inputs
}

fn check_snapshot(path: &Path, actual: &str) {
    check_snapshot_as(path, "snap", actual);
}

fn check_snapshot_as(path: &Path, extension: &str, actual: &str) {
    let path = path.with_extension(extension);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", path.display());
}

#[test]
fn golden_requests() {
    for dialect in Dialect::ALL {
        let inputs = inputs(dialect, "requests");
        assert!(!inputs.is_empty(), "{dialect:?} has no request");
        for path in inputs {
            let body = Bytes::from(fs::read(&path).unwrap());
            check_snapshot(&path, &show_request(dialect, &body));
        }
    }
}

/// What peek finds, and all that a forwarded request would differ by.
fn show_request(dialect: Dialect, body: &Bytes) -> String {
    let facts = dialect::peek(dialect, body).unwrap();
    let mut shown = format!("{facts:#?}\n");
    let mut edits = edit::set_numbers(dialect, body, &[("temperature", 0.25)]).unwrap();
    if dialect != Dialect::Gemini {
        edits.extend(edit::replace_model(&facts, "other/model"));
    }
    if dialect == Dialect::OpenAiChat {
        edits.extend(edit::set_include_usage(body, &facts));
    }
    for edit in &edits {
        let before = String::from_utf8_lossy(&body[edit.span.clone()]);
        let after = String::from_utf8_lossy(&edit.with);
        writeln!(shown, "{}: `{before}` becomes `{after}`", edit.field).unwrap();
    }
    let edited = edit::apply(body, edits).segments.concat();
    let edited = edited.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&edited);
    serde_json::from_slice::<serde_json::Value>(edited).unwrap();
    shown
}

#[test]
fn golden_streams() {
    for dialect in Dialect::ALL {
        for path in inputs(dialect, "streams") {
            let stream = fs::read(&path).unwrap();
            let mut events = 0;
            Splitter::new(1 << 20).feed(&stream, |_| events += 1);
            let mut shown = format!("events: {events}\n");
            match complete_from(dialect, &stream) {
                Some(at) => writeln!(shown, "complete from byte {at} of {}", stream.len()),
                None => writeln!(shown, "never complete"),
            }
            .unwrap();
            if dialect == Dialect::OpenAiChat {
                let removed = filter_every_way(&stream);
                writeln!(shown, "usage chunks removed: {removed}").unwrap();
            }
            check_snapshot(&path, &shown);
        }
    }
}

#[test]
fn golden_readings() {
    for dialect in Dialect::ALL {
        for kind in ["responses", "streams"] {
            for path in inputs(dialect, kind) {
                let answer = fs::read(&path).unwrap();
                let operation = operation(dialect, &path);
                let is_events = path.extension().is_some_and(|extension| extension == "sse");
                let shown = if is_events {
                    read_every_way(dialect, operation, &answer)
                } else {
                    let mut reader = Reader::new(dialect, operation, true);
                    let content = reader.document(&answer);
                    show_reading(&reader.finish(), &[(0, content)])
                };
                check_snapshot_as(&path, "reading.snap", &shown);
            }
        }
    }
}

/// Files of other operations than the dialect's usual one begin with its name.
fn operation(dialect: Dialect, path: &Path) -> Operation {
    let name = path.file_stem().unwrap().to_string_lossy();
    match name.split('_').next() {
        Some("opaque") => Operation::Opaque,
        Some("completion") => Operation::TextCompletion,
        Some("count") => Operation::CountTokens,
        Some("embedding") => Operation::Embeddings,
        _ if dialect == Dialect::OpenAiEmbeddings => Operation::Embeddings,
        _ => Operation::Chat,
    }
}

/// Reads the stream whole, byte by byte, and cut at every position: the same reading each time, and the same contents,
/// each at the byte that ended its event.
fn read_every_way(dialect: Dialect, operation: Operation, stream: &[u8]) -> String {
    let read = |pieces: &[&[u8]]| {
        let mut reader = Reader::new(dialect, operation, true);
        let mut contents = Vec::new();
        let mut fed = 0;
        for piece in pieces {
            fed += piece.len();
            reader.feed(fed as u64, piece, &mut |at, content| contents.push((at, content)));
        }
        (reader.finish(), contents)
    };
    let kinds = |contents: &[(u64, Content)]| -> Vec<Content> {
        contents.iter().map(|(_, content)| *content).collect()
    };
    let (whole, contents) = read(&[stream]);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    let (slow, slow_contents) = read(&single);
    assert_eq!(slow, whole, "byte by byte");
    assert_eq!(kinds(&slow_contents), kinds(&contents), "byte by byte");
    for cut in 0..=stream.len() {
        let (left, right) = stream.split_at(cut);
        let (found, found_contents) = read(&[left, right]);
        assert_eq!(found, whole, "cut at {cut}");
        let expected = slow_contents.iter().map(|(at, content)| {
            (if *at <= cut as u64 { cut } else { stream.len() } as u64, *content)
        });
        assert!(found_contents.iter().copied().eq(expected), "cut at {cut}");
    }
    show_reading(&whole, &contents)
}

fn show_reading(reading: &Reading, contents: &[(u64, Content)]) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, value: &str| writeln!(shown, "{name}: {value}").unwrap();
    line("usage", &reading.usage.as_ref().map_or("none".to_owned(), show_usage));
    line("ended", if reading.ended { "yes" } else { "no" });
    if reading.billing != Billing::Now {
        line("billing", &format!("{:?}", reading.billing).to_lowercase());
    }
    for (name, value) in [
        ("id", &reading.response_id),
        ("model", &reading.model),
        ("tier", &reading.service_tier),
        ("error", &reading.error),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("finish", &reading.finish_reasons.join(", "));
    for tool in &reading.tools {
        line("tool", &format!("{} × {}", tool.name, tool.calls));
    }
    for oddity in &reading.oddities {
        line("oddity", oddity.label());
    }
    let contents: String = contents.iter().map(|(_, content)| show_content(*content)).collect();
    line("contents", contents.trim_ascii_end());
    line("words", &format!("{:?}", reading.words));
    shown
}

fn show_usage(usage: &Usage) -> String {
    format!("{usage:?}")
        .trim_start_matches("Usage { ")
        .trim_end_matches(" }")
        .split(", ")
        .filter(|field| !field.ends_with("None"))
        .map(|field| field.replace("Some(", "").replace([')', ':'], ""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn show_content(content: Content) -> String {
    let kinds =
        [(Content::TEXT, "text"), (Content::REASONING, "reasoning"), (Content::TOOL, "tool")];
    let has: Vec<&str> =
        kinds.iter().filter(|(kind, _)| content.has(*kind)).map(|(_, name)| *name).collect();
    if has.is_empty() { "none ".to_owned() } else { has.join("+") + " " }
}

/// The length from which the stream counts as complete, after checking that no shorter piece of it does, wherever (at
/// every fifth byte) it begins, and that each longer one does, wherever before its last event it begins.
fn complete_from(dialect: Dialect, stream: &[u8]) -> Option<usize> {
    let complete = (0..=stream.len()).find(|end| dialect::is_terminal(dialect, &stream[..*end]));
    for end in places_of_ends(stream) {
        if complete.is_some_and(|complete| end >= complete) {
            break;
        }
        for start in (0..end).step_by(5) {
            let piece = &stream[start..end];
            assert!(!dialect::is_terminal(dialect, piece), "{start}..{end}");
        }
    }
    let complete = complete?;
    for end in complete..=stream.len() {
        assert!(dialect::is_terminal(dialect, &stream[..end]), "..{end}");
    }
    for start in 0..=last_start(&stream[..complete]) {
        let piece = &stream[start..complete];
        assert!(dialect::is_terminal(dialect, piece), "{start}..{complete}");
    }
    Some(complete)
}

/// Where a careless reader could see an end: after line ends and closing brackets.
fn places_of_ends(stream: &[u8]) -> Vec<usize> {
    (1..stream.len()).filter(|end| matches!(stream[end - 1], b'\n' | b']')).collect()
}

/// Where the last event, or the last element of an array, begins.
fn last_start(complete: &[u8]) -> usize {
    let text = String::from_utf8_lossy(complete);
    let text = text.trim_ascii_end();
    ["\ndata:", "\r\ndata:", "\nevent: ", "\n{"]
        .iter()
        .filter_map(|start| text.rfind(start))
        .min_by_key(|at| text.len() - at)
        .map_or(0, |at| at + 1)
}

/// Filters the stream whole, byte by byte, and cut at every position; gives how many chunks were taken out.
fn filter_every_way(stream: &[u8]) -> usize {
    let whole = filter(&[stream]);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(filter(&single), whole, "byte by byte");
    for cut in 0..=stream.len() {
        let (left, right) = stream.split_at(cut);
        assert_eq!(filter(&[left, right]), whole, "cut at {cut}");
    }
    if whole.1 == 0 {
        assert_eq!(whole.0, stream, "nothing to take out, nothing changed");
    }
    whole.1
}

fn filter(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
    let mut filter = UsageFilter::default();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&filter.feed(&Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&filter.finish());
    (out, filter.removed())
}

#[test]
fn golden_errors() {
    let failures = [
        Failure::new(Code::ModelNotFound, "no provider serves `gpt\"5\u{2028}`; near: gpt-5")
            .param("model"),
        Failure::new(
            Code::InvalidApiKey,
            "the key is not one of this gateway's; use a gateway key",
        ),
        Failure::new(
            Code::OriginNotAllowed,
            "origin http://evil.example is not allowed; add it to `server.cors_origins`",
        ),
        Failure::new(Code::BodyTooLarge, "the body is over 64 MiB; raise `limits.body`"),
        Failure::new(
            Code::ProviderOverloaded,
            "64 requests are in flight to openai; raise `in_flight`",
        )
        .retry_after(Duration::from_millis(1_500)),
        Failure::new(Code::Overloaded, "4096 requests are in flight; retry later")
            .retry_after(Duration::from_secs(2)),
        Failure::new(
            Code::UpstreamIdleTimeout,
            "openai sent nothing for 300 s; raise `timeouts.idle`",
        ),
        Failure::new(Code::UpstreamUnreachable, "openai cannot be reached: connection refused"),
        Failure::new(Code::NoProvider, "no provider is configured; set OPENAI_API_KEY"),
        Failure::new(Code::InvalidJson, "expected a value at byte 7\n"),
    ];
    for dialect in Dialect::ALL {
        for failure in &failures {
            let status = failure.code.status();
            let body = dialect::render(dialect, failure, status, "0199-id");
            let event = dialect::stream_error(dialect, failure, "0199-id");
            let body = String::from_utf8(body).unwrap();
            let event = String::from_utf8(event.to_vec()).unwrap();
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
            let mut events = Vec::new();
            Splitter::new(1 << 20).feed(event.as_bytes(), |event| events.push(event));
            assert_eq!(events.len(), 1, "{event}");
            serde_json::from_slice::<serde_json::Value>(&events[0].data).unwrap();
            let path = folder(dialect, "errors").join(failure.code.label());
            check_snapshot(&path, &format!("{status}\n{body}\n\n{event}"));
        }
    }
}
