//! `pinhole captures scrub` on what a real gateway has kept: a word that no rule knew when it came, in every place a client
//! can put one, and a pattern for it afterwards. Nothing of it may be left on the disk; everything else must be as it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::command::{Serving, pinhole, text, write};
use crate::support::eventually;
use crate::support::raw::{self, Request};
use crate::support::upstream::{Got, Step, Upstream, json as document, stream_of};

/// Looks like nothing in particular.
const WORD: &str = "Quillfeather77";
const PATTERN: &str = "(?i)quillfeather[0-9]+";
/// Resent by every turn, so that content is shared.
const SYSTEM: &str = "You are a careful assistant for a small library of birds. ";

fn configure(folder: &Path, upstream: &Upstream) {
    write(
        folder,
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
             [providers.up]\nbaseurl = \"{}\"\napikey = \"env:UP_KEY\"\nmodels = [\"*\"]\n\
             compatibility = {{ openai_chat = true }}\n\
             [capture]\nlevel = \"full\"\nheaders_indexed = [\"x-team\"]\n\
             [capture.redact]\nheaders_allow = [\"x-team\"]\n",
            upstream.url()
        ),
    );
}

/// Says the word where it is asked to, in one piece or in several.
fn provider(got: &Got) -> Vec<Step> {
    let body = got.text();
    if body.contains("\"stream\":true") {
        let pieces = ["it was Quill", "feather", "77, I think"].map(|piece| {
            format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": piece}}]}))
        });
        let mut events = pieces.to_vec();
        events.push("data: [DONE]\n\n".to_owned());
        return stream_of(&events);
    }
    let said = if body.contains("say it") { WORD } else { "a wren" };
    let answer = json!({"choices": [{"message": {"role": "assistant", "content": format!("it was {said}")}}]});
    vec![Step::Send(document(&answer.to_string()))]
}

fn chat(turns: &[String], stream: bool) -> Request {
    let mut messages = vec![json!({"role": "system", "content": SYSTEM.repeat(20)})];
    messages.extend(turns.iter().map(|turn| json!({"role": "user", "content": turn})));
    let mut body = json!({"model": "m", "messages": messages});
    if stream {
        body["stream"] = json!(true);
    }
    Request::post("/v1/chat/completions").json(&body)
}

fn turn(n: usize, words: &str) -> String {
    format!(
        "turn {n}: {words}. {}",
        format!("The bird number {n} sat on the fence and sang. ").repeat(12)
    )
}

/// Two conversations, of which one has the word, and calls that have it elsewhere.
async fn traffic(serving: &Serving) -> usize {
    let mut requests = Vec::new();
    for (word, session) in [(WORD, "with"), ("Nightingale", "without")] {
        let turns: Vec<String> = (0..5)
            .map(|n| {
                turn(n, &if n == 1 { format!("my dog is called {word}") } else { "hm".to_owned() })
            })
            .collect();
        for many in 1..=turns.len() {
            requests.push(chat(&turns[..many], false).header("x-session-id", session));
        }
    }
    let plain = |n: usize| [turn(n, "plain")];
    requests.push(chat(&plain(20), false).header("x-session-id", WORD));
    requests.push(chat(&plain(21), false).header("x-session-id", WORD));
    requests.push(chat(&plain(22), false).header("x-team", &format!("team {WORD}")));
    for n in 23..26 {
        requests.push(chat(&plain(n), false).header("x-pinhole-tag", &format!("dog={WORD}")));
    }
    requests.push(Request::get(&format!("/v1/files/{WORD}/content")));
    requests.push(Request::get(&format!("/v1/files/{WORD}/content")));
    requests.push(chat(&[turn(30, "say it")], false));
    requests.push(chat(&plain(31), true));
    let many = requests.len();
    for request in requests {
        raw::send(
            serving.address(),
            &request.header("host", "127.0.0.1").header("authorization", "Bearer pk"),
        )
        .await;
    }
    many
}

fn captures(folder: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["captures"];
    all.extend_from_slice(arguments);
    pinhole(folder, &all).env("UP_KEY", "sk").output().expect("the program")
}

fn told(folder: &Path, arguments: &[&str]) -> String {
    let output = captures(folder, arguments);
    let (out, talk) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {out}{talk}");
    out
}

fn rows(folder: &Path) -> Vec<Value> {
    let listed = told(folder, &["ls", "-n", "0", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

/// Everything `show` tells of every exchange, by id.
fn shown(folder: &Path) -> BTreeMap<String, String> {
    let id = |row: &Value| row["id"].as_str().expect("an id").to_owned();
    rows(folder).iter().map(|row| (id(row), told(folder, &["show", &id(row), "--json"]))).collect()
}

/// Files in which the word stands, as bytes.
fn with_word(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("data")).expect("the folder").flatten();
    files
        .filter(|file| {
            let bytes = std::fs::read(file.path()).unwrap_or_default();
            raw::find(&bytes, WORD.as_bytes()).is_some()
        })
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect()
}

async fn kept(folder: &Path) -> (Upstream, Serving) {
    let upstream = Upstream::start(provider).await;
    configure(folder, &upstream);
    let serving = Serving::with_keys(pinhole(folder, &["serve"]), "sk", "pk");
    let many = traffic(&serving).await;
    eventually("the records", || (rows(folder).len() == many).then_some(())).await;
    (upstream, serving)
}

fn no_trace(folder: &Path, before: &BTreeMap<String, String>) {
    assert_eq!(with_word(folder), Vec::<String>::new());
    let after = shown(folder);
    assert_eq!(after.len(), before.len(), "every exchange opens");
    let mut changed = 0;
    for row in rows(folder) {
        let id = row["id"].as_str().expect("an id");
        let (old, new) = (&before[id], &after[id]);
        assert!(!new.to_lowercase().contains("quillfeather"), "{new}");
        // In the stream the word is spread over events.
        if old.to_lowercase().contains("quillfeather") || row["stream"] == json!(true) {
            changed += 1;
            assert_eq!(
                (&row["redacted"], &row["replayable"]),
                (&json!(true), &json!(false)),
                "{row}"
            );
        } else {
            assert_eq!(row["redacted"], json!(false), "{row}");
            let others = |text: &str| {
                let mut value: Value = serde_json::from_str(text).expect("JSON");
                strip(&mut value);
                value
            };
            assert_eq!(others(old), others(new), "what has nothing to hide stays as it is");
        }
    }
    assert!(changed >= 12, "{changed}");
    told(folder, &["verify"]);
}

/// Takes out the number of the rules, which is new everywhere.
fn strip(value: &mut Value) {
    if let Value::Object(members) = value {
        members.remove("policy_version");
        members.values_mut().for_each(strip);
    }
}

#[tokio::test]
async fn a_newer_pattern_leaves_no_trace_of_what_was_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (_upstream, mut serving) = kept(folder).await;
    serving.signal("TERM");
    assert_eq!(serving.child.wait().expect("its end").code(), Some(0));
    let before = shown(folder);
    assert!(!with_word(folder).is_empty(), "it is there to begin with");
    let preview = told(folder, &["scrub", "--pattern", PATTERN, "--json"]);
    let preview: Value = serde_json::from_str(&preview).expect("JSON");
    assert_eq!((&preview["dry_run"], &preview["values"]), (&json!(true), &json!(1)), "{preview}");
    assert_eq!(shown(folder), before, "nothing was replaced");
    let done = told(folder, &["scrub", "--pattern", PATTERN, "--yes", "--json"]);
    let done: Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!(done["exchanges"], json!(before.len()), "{done}");
    no_trace(folder, &before);
    assert_eq!(captures(folder, &["grep", "quillfeather77"]).status.code(), Some(1));
    let searched = told(folder, &["ls", "--where", "text:quillfeather77", "--json"]);
    assert!(searched.is_empty(), "{searched}");
    let again = told(folder, &["scrub", "--pattern", PATTERN, "--yes", "--json"]);
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!((&again["exchanges"], &again["texts"]), (&json!(0), &json!(0)), "{again}");
    let session = rows(folder)
        .iter()
        .filter(|row| {
            row["session_id"]
                .as_str()
                .is_some_and(|name| name.starts_with("[redacted:pattern:scrub:"))
        })
        .count();
    assert_eq!(session, 2, "equal values have equal placeholders");
}

#[tokio::test]
async fn a_scrub_works_while_the_gateway_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (_upstream, serving) = kept(folder).await;
    let before = shown(folder);
    told(folder, &["scrub", "--pattern", PATTERN, "--yes"]);
    no_trace(folder, &before);
    // It goes on storing, and finds its place in what was rewritten.
    let clean = chat(&[turn(40, "plain")], false)
        .header("host", "127.0.0.1")
        .header("authorization", "Bearer pk");
    raw::send(serving.address(), &clean).await;
    eventually("one more", || (rows(folder).len() == before.len() + 1).then_some(())).await;
    told(folder, &["verify"]);
    serving.end();
}

#[test]
fn bad_patterns_and_missing_stores_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, code, words) in [
        (&["scrub", "--data-dir", "x"][..], 3, "there is no store"),
        (&["scrub", "--data-dir", "x", "--yes", "--dry-run"][..], 2, "cannot be used with"),
    ] {
        let output = captures(folder.path(), arguments);
        let talk = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{talk}");
        assert!(talk.contains(words), "{talk}");
    }
}
