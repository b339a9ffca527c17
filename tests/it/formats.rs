//! Captures leave one store and come into another: what other programs wrote goes in, our own formats go around, and
//! nothing is changed, doubled or told.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{run, text};

fn golden(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats");
    folder.join(file).display().to_string()
}

/// Runs a command on a data directory: what it wrote, and what it said.
fn captures(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let data = folder.join("data").display().to_string();
    let mut all = vec!["captures"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--data-dir", &data]);
    let output = run(folder, &all);
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{told}");
    (said, told)
}

/// A store with what other programs recorded.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, code, count) in [
        ("buffered-v1.jsonl", 1, 3),
        ("cbor2.cbor", 1, 2),
        ("claude-trace.jsonl", 1, 3),
        ("foreign.har", 1, 3),
        ("litellm.jsonl", 1, 3),
        ("mitmproxy.flows", 0, 3),
    ] {
        let (_, told) = captures(folder.path(), &["import", &golden(file)], code);
        assert!(told.contains(&format!("{count} imported")), "{file}: {told}");
    }
    folder
}

/// Every exchange of a store as JSON, without what is the store's own.
fn exchanges(folder: &Path) -> Vec<Value> {
    let (lines, _) = captures(folder, &["export", "--as", "ndjson"], 0);
    let mut all: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    for one in &mut all {
        let own = one.as_object_mut().expect("an object");
        own.remove("seq");
    }
    all.sort_by_key(|one| one["id"].to_string());
    all
}

#[test]
fn what_other_programs_wrote_comes_in_once_and_without_its_keys() {
    let folder = filled();
    let all = exchanges(folder.path());
    assert_eq!(all.len(), 17);
    let stream = all.iter().find(|one| one["tags"]["imported"] == "cbor2" && one["stream"] == true);
    let stream = stream.expect("the retried stream");
    assert_eq!(stream["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(stream["attempts"][1]["frames"].as_array().map(Vec::len), Some(3));
    assert_eq!((&stream["input_tokens"], &stream["output_tokens"]), (&9.into(), &2.into()));
    let answer = stream["attempts"][1]["response"]["body"]["text"].as_str().expect("its bytes");
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    for file in ["mitmproxy.flows", "litellm.jsonl", "cbor2.cbor"] {
        let code = i32::from(file != "mitmproxy.flows");
        let (_, told) = captures(folder.path(), &["import", &golden(file)], code);
        assert!(told.contains(": 0 imported") && told.contains("there already"), "{told}");
    }
    assert_eq!(exchanges(folder.path()), all, "nothing was doubled");
    for file in std::fs::read_dir(folder.path().join("data")).expect("the store") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("its bytes");
        let key = b"sk-planted";
        assert!(!bytes.windows(key.len()).any(|some| some == key), "a key on the disk");
    }
}

#[test]
fn our_own_formats_carry_a_store_over_unchanged() {
    let from = filled();
    let all = exchanges(from.path());
    for name in ["all.ndjson", "all.har", "all.bundle"] {
        let into = tempfile::tempdir().expect("a folder");
        let file = into.path().join(name);
        let path = file.display().to_string();
        let (_, told) = captures(from.path(), &["export", "-o", &path], 0);
        assert!(told.contains("17 exchanges written"), "{told}");
        assert!(!PathBuf::from(format!("{path}.part")).exists(), "no half file is left");
        let (_, told) = captures(into.path(), &["import", &path], 0);
        assert!(told.contains("17 imported"), "{told}");
        for (one, other) in all.iter().zip(exchanges(into.path())) {
            for (member, value) in one.as_object().expect("an object") {
                assert_eq!(*value, other[member], "{name} {} {member}", one["id"]);
            }
        }
    }
}

#[test]
fn exports_say_what_they_leave_out_and_the_mark_goes_on() {
    let folder = filled();
    let (lines, told) = captures(folder.path(), &["export", "--as", "openai-batch"], 0);
    assert!(told.contains("left out: the batch API does not take"), "{told}");
    assert!(lines.lines().count() > 3 && lines.lines().all(|line| line.contains("custom_id")));
    let (lines, _) = captures(folder.path(), &["export", "--as", "mooncake"], 0);
    assert!(lines.lines().all(|line| line.contains("hash_ids")), "{lines}");
    let (lines, _) = captures(folder.path(), &["export", "--as", "aiperf", "--limit", "4"], 0);
    assert!(lines.lines().count() <= 4, "{lines}");
    let (script, _) = captures(folder.path(), &["export", "--as", "curl"], 0);
    assert!(script.starts_with("#!/bin/sh") && script.contains("curl "), "{script}");
    let (first, _) = captures(folder.path(), &["export", "--mark"], 0);
    assert_eq!(first.lines().count(), 17);
    let (none, told) = captures(folder.path(), &["export", "--mark"], 0);
    assert!(none.is_empty() && told.contains("0 exchanges"), "{none}{told}");
    captures(folder.path(), &["export", "--mark", "--as", "curl"], 2);
    captures(folder.path(), &["export", "--mark", "--where", "status:200"], 2);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = folder.path().join("none.har").display().to_string();
    let (_, told) = captures(folder.path(), &["import", &none], 2);
    assert!(told.contains("none.har") && told.contains("cannot be opened"), "{told}");
    let odd = folder.path().join("odd.txt");
    std::fs::write(&odd, "hello").expect("a file");
    let (_, told) = captures(folder.path(), &["import", &odd.display().to_string()], 2);
    assert!(told.contains("--as"), "{told}");
    let (_, told) = captures(folder.path(), &["import", "--dry-run", &golden("litellm.jsonl")], 1);
    assert!(told.contains("3 would be imported"), "{told}");
    assert_eq!(exchanges(folder.path()).len(), 0);
}
