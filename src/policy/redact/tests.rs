//! The policy on whole bodies.

use serde_json::{Value, json};

use super::*;
use crate::base::coding;

const KEY: &str = "sk-proj-a8F3kQ92mZx71Lp0";

fn redactor(pointers: &[&str]) -> Redactor {
    let pointers = pointers.iter().map(|written| Pointer::parse(written).unwrap()).collect();
    Redactor::new(&Settings { pointers, ..Settings::default() }, [3; 32])
}

fn text(cleaned: Option<Cleaned>) -> String {
    String::from_utf8(cleaned.expect("something to clean").bytes).unwrap()
}

#[test]
fn pointers_replace_values_whole_in_documents_and_events() {
    let redactor = redactor(&["/metadata/user_id", "/messages/*/content/*/image"]);
    let body = r#"{"metadata":{"user_id":42},"messages":[{"content":[{"image":{"a":[1]}}, {"text":"b"}]}]}"#;
    let clean = text(redactor.whole(body.as_bytes(), Shape::default()));
    let value: Value = serde_json::from_str(&clean).unwrap();
    assert!(value["metadata"]["user_id"].as_str().unwrap().starts_with("[redacted:pointer:"));
    assert!(value["messages"][0]["content"][0]["image"].is_string());
    assert_eq!(value["messages"][0]["content"][1]["text"], "b");
    assert_eq!(redactor.whole(clean.as_bytes(), Shape::default()), None, "clean already");
    let events = "event: x\r\ndata: {\"metadata\":{\"user_id\":\"u\"}}\r\n\r\ndata: [DONE]\r\n\r\n";
    let clean = text(redactor.whole(events.as_bytes(), Shape { events: true, coding: None }));
    assert!(clean.starts_with("event: x\r\ndata: {\"metadata\":{\"user_id\":\"[redacted:pointer:"));
    assert!(clean.ends_with("\"}}\r\n\r\ndata: [DONE]\r\n\r\n"));
}

/// The key in pieces of every length, in the shape of each dialect's events.
#[test]
fn a_secret_spread_over_events_is_found_and_named_once() {
    let redactor = redactor(&[]);
    let shapes: [fn(&str) -> Value; 5] = [
        |piece| json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}}]}),
        |piece| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, "function": {"arguments": piece}}]}}]}),
        |piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}),
        |piece| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece}),
        |piece| json!({"candidates": [{"content": {"parts": [{"text": piece}]}}]}),
    ];
    let said = format!("the key is {KEY}, keep it");
    let expected = format!(
        "the key is {}, keep it",
        redactor
            .rules()
            .marker()
            .placeholder(&crate::exchange::redact::mark::Kind::ApiKey, KEY.as_bytes())
    );
    for shape in shapes {
        for length in [1, 2, 3, 7, 20, 100] {
            let pieces: Vec<String> = said
                .as_bytes()
                .chunks(length)
                .map(|piece| String::from_utf8(piece.to_vec()).unwrap())
                .collect();
            let values: Vec<Value> = pieces.iter().map(|piece| shape(piece)).collect();
            let lines: Vec<String> =
                values.iter().map(|value| format!("data: {value}\n\n")).collect();
            let events = lines.concat();
            let array = Value::from(values.clone()).to_string();
            for (body, events) in [(events, true), (array, false)] {
                let clean = text(redactor.whole(body.as_bytes(), Shape { coding: None, events }));
                let documents = super::edits::documents(clean.as_bytes(), events);
                let mut joined = String::new();
                for document in documents {
                    let value: Value = serde_json::from_str(&clean[document]).unwrap();
                    strings(&value, &mut joined);
                }
                assert!(joined.contains(&expected), "{length}: {joined}");
                assert!(!clean.contains("a8F") || length == 1, "{clean}");
            }
        }
    }
}

/// All texts of a value one after another, but for the names of kinds.
fn strings(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !["type", "id"].contains(&name.as_str()))
            .for_each(|(_, item)| strings(item, out)),
        _ => {}
    }
}

#[test]
fn texts_of_parallel_choices_are_not_mixed() {
    let event = |index: u8, piece: &str| {
        format!("data: {}\n\n", json!({"choices": [{"index": index, "delta": {"content": piece}}]}))
    };
    let body = event(0, "sk-proj-a8F3")
        + &event(1, " plain")
        + &event(0, "kQ92mZx71Lp0")
        + &event(1, " words");
    let clean = text(redactor(&[]).whole(body.as_bytes(), Shape { coding: None, events: true }));
    assert!(
        clean.contains(" plain")
            && clean.contains(" words")
            && !clean.contains("a8F3")
            && !clean.contains("kQ92")
    );
}

#[test]
fn a_coding_is_undone_only_where_it_hides_something() {
    let gzip = |text: &str| coding::gzip(text.as_bytes());
    let shape = Shape { coding: Some("gzip"), events: false };
    let redactor = redactor(&[]);
    assert_eq!(redactor.whole(&gzip("{\"a\":\"plain\"}"), shape), None);
    let cleaned = redactor.whole(&gzip(&format!("{{\"a\":\"{KEY}\"}}")), shape).unwrap();
    assert!(cleaned.coding_undone && cleaned.bytes.starts_with(b"{\"a\":\"[redacted:api_key:"));
    assert_eq!(redactor.whole(b"no gzip at all", shape), None);
}

#[test]
fn the_version_follows_from_the_rules_alone() {
    let plain = redactor(&[]);
    assert_eq!(
        plain.version(),
        Redactor::new(&Settings::default(), [9; 32]).version(),
        "not from the key"
    );
    let versions = [
        plain.version(),
        redactor(&["/a"]).version(),
        redactor(&["/b"]).version(),
        Redactor::new(
            &Settings { headers_allow: vec!["x-a".to_owned()], ..Settings::default() },
            [3; 32],
        )
        .version(),
        Redactor::new(
            &Settings { patterns: vec![pattern("a", "b").unwrap()], ..Settings::default() },
            [3; 32],
        )
        .version(),
    ];
    for (index, version) in versions.iter().enumerate() {
        assert!(!versions[..index].contains(version), "{index}");
    }
}

#[test]
fn patterns_are_checked() {
    for (name, regex, why) in [
        ("", "a", "name of a pattern"),
        ("a b", "a", "name of a pattern"),
        ("a", "(", "unclosed group"),
        ("a", "x*", "empty text"),
    ] {
        let error = pattern(name, regex).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let own = Settings { patterns: vec![pattern("code", "ab1").unwrap()], ..Settings::default() };
    let redactor = Redactor::new(&own, [3; 32]);
    assert!(redactor.clean(b"ab1").unwrap().starts_with(b"[redacted:pattern:code:"));
    redactor.install();
    assert!(redact::short_text("ab1").starts_with("[redacted:pattern:code:"), "in force");
}
