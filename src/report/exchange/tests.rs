//! The renderings as golden files under `tests/golden/render/`, at two widths. `UPDATE_GOLDEN=1 cargo nextest run render`
//! writes them anew, to be reviewed as a diff.

use std::path::Path;

use crate::report::exchange::curl::{self, Side};
use crate::report::exchange::{
    body, conversation, fixture, headers, list, markdown, summary, timeline,
};
use crate::report::look::{Look, columns};
use crate::store::stored::{Listed, Stored};

fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/render").join(name);
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name}");
}

fn look(width: usize) -> Look {
    Look { width: Some(width), ..Look::default() }
}

fn page(stored: &Stored, look: Look) -> String {
    let parts = [
        summary::text(stored, look),
        conversation::text(stored, look),
        headers::text(stored, look),
        timeline::text(stored, None, look),
    ];
    parts.join("\n\n")
}

#[test]
fn render_pages_at_two_widths() {
    for (name, stored) in fixture::all() {
        for width in [80, 140] {
            let page = page(&stored, look(width));
            check(&format!("{name}.{width}.txt"), &page);
            let wide = page.lines().find(|line| columns(line) > width);
            assert_eq!(wide, None, "{name} at {width}");
        }
    }
}

#[test]
fn render_fits_any_width_and_colours_change_no_word() {
    let plain = |text: &str| {
        let mut plain = String::new();
        for (at, part) in text.split('\u{1b}').enumerate() {
            plain.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        plain
    };
    for (name, stored) in fixture::all() {
        for width in [1, 20, 41, 63, 500] {
            let coloured = Look { colour: true, ..look(width) };
            assert_eq!(plain(&page(&stored, coloured)), page(&stored, look(width)), "{name}");
        }
    }
}

#[test]
fn render_full_shows_all() {
    let full = Look { full: true, ..look(100) };
    let page = conversation::text(&fixture::retried(), full);
    assert!(!page.contains("--full") && page.contains("number 0") && page.contains("case_41"));
    assert!(page.contains("␛[31m") && !page.contains('\u{1b}'), "written by others, harmless");
    let rows = timeline::text(&fixture::retried(), Some(1), full);
    let frames = fixture::retried().attempts[1].frames.len();
    assert!(rows.lines().count() >= frames + 4 && !rows.contains('…'), "{rows}");
}

#[test]
fn render_commands_and_pages() {
    for (name, stored) in fixture::all() {
        check(&format!("{name}.md"), &markdown::text(&stored));
        let command = curl::text(&stored, Side::Client).unwrap_or_else(|why| format!("# {why}"));
        check(&format!("{name}.curl.sh"), &command);
    }
    let upstream = curl::text(&fixture::retried(), Side::Upstream(1)).unwrap();
    check("retried.upstream.curl.sh", &upstream);
    let told = curl::text(&fixture::retried(), Side::Upstream(7)).unwrap_err();
    assert_eq!(told, "there is no attempt 8; the exchange has 2");
}

fn rows() -> Vec<Listed> {
    fixture::all().into_iter().map(|(_, stored)| stored.row).collect()
}

#[test]
fn render_list() {
    for width in [60, 80, 100, 140] {
        let table = list::table(&rows(), look(width));
        check(&format!("list.{width}.txt"), &table);
        assert!(table.lines().all(|line| columns(line) <= width), "{table}");
    }
    check("list.txt", &list::table(&rows(), Look::default()));
    check("list.colour.txt", &list::table(&rows(), Look { colour: true, ..look(100) }));
    let lines: Vec<String> = rows().iter().map(list::ndjson).collect();
    check("list.ndjson", &lines.join("\n"));
    assert_eq!(list::table(&[], look(80)).lines().count(), 1);
}

#[test]
fn ids_are_as_long_as_tells_them_apart() {
    let of = |ids: &[&str]| {
        let rows: Vec<Listed> =
            ids.iter().map(|id| Listed { id: (*id).to_owned(), ..Listed::default() }).collect();
        list::id_length(&rows)
    };
    assert_eq!(of(&[]), 13);
    assert_eq!(of(&["019aa1b2-c3d4-7001-8def-0123456789ab"]), 13);
    let two = ["019aa1b2-c3d4-7001-8def-0123456789ab", "019aa1b2-c3d4-7021-8def-0123456789ab"];
    assert_eq!(of(&two), 17);
}

/// Whatever a client sends and a provider answers, a page comes of it.
#[test]
fn render_every_dialect_stream_and_document() {
    let mut seen = 0;
    for (folder, label) in [
        ("anthropic_messages", "anthropic"),
        ("gemini_generate", "gemini"),
        ("openai_chat", "openai_chat"),
        ("openai_embeddings", "openai_embeddings"),
        ("openai_responses", "openai_responses"),
    ] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
        for kind in ["requests", "responses", "streams"] {
            let Ok(files) = std::fs::read_dir(root.join(kind)) else { continue };
            for file in files.map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|extension| extension == "snap") {
                    continue;
                }
                let mut stored = fixture::speech();
                stored.row.dialect = label.to_owned();
                let bytes = std::fs::read(&file).unwrap();
                let at = if kind == "requests" {
                    &mut stored.request.body
                } else {
                    &mut stored.attempts[0].response.body
                };
                let crate::store::stored::Body::Whole(whole) = at else { panic!("a body") };
                whole.bytes.clone_from(&bytes);
                let length = u32::try_from(bytes.len()).unwrap();
                stored.attempts[0].frames = vec![(1, length / 2), (2, length - length / 2)];
                let page = page(&stored, look(80));
                assert!(page.lines().count() > 12, "{}: {page}", file.display());
                assert!(!markdown::text(&stored).is_empty());
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn a_terminal_is_shown_no_binary() {
    for (bytes, binary) in [
        (b"{\"a\": \"b\"}\r\n\t".as_slice(), false),
        ("grüße 漢字".as_bytes(), false),
        (&"grüße 漢字".as_bytes()[..13], false),
        (b"\x1b[31m", false),
        (b"\0", true),
        (b"\x1f\x8b\x08", true),
        (b"a\xff\xfe and more", true),
    ] {
        assert_eq!(body::is_binary(bytes), binary, "{bytes:?}");
    }
}
