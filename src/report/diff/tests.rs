//! Exchanges compared: what every comparison says of made-up ones.

use super::json::Bodies;
use super::pair::Compares;
use super::prefix::Agreement;
use super::turns::Became;
use super::{legs, pair, text, turns};
use crate::dialect::pieces::Section;
use crate::report::fixture::{exchange, whole};
use crate::report::look::Look;
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Leg, Stored, Whole};

const PLAIN: Look = Look { width: None, colour: false, full: false };

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn legs_that_are_the_same_are_proven_to_be() {
    let stored = exchange("anthropic").answering("{}");
    let found = legs::compare(&stored);
    assert!(found.unmodified);
    let hash = blake3::hash(b"{\"model\":\"m-1\"}").to_hex().to_string();
    assert_eq!(found.sides[0].body, Bodies::Same { hash, bytes: 15 });
    let shown = text::legs(&found, PLAIN);
    assert!(shown.starts_with("Unmodified: both bodies passed byte for byte"), "{shown}");
}

#[test]
fn what_the_gateway_changed_is_told() {
    let mut stored = exchange("openai_chat")
        .asking(r#"{"model":"a","stream":true}"#)
        .answering("data: [DONE]\n\n");
    stored.request.headers = Some(headers(&[
        ("Host", "gate"),
        ("authorization", "«key:1»"),
        ("accept", "*/*"),
        ("accept", "x"),
    ]));
    let attempt = stored.attempt();
    attempt.edits = vec!["model".to_owned(), "stream_options".to_owned()];
    attempt.request = Leg {
        headers: Some(headers(&[
            ("host", "far"),
            ("authorization", "«key:2»"),
            ("accept", "*/*, x"),
            ("traceparent", "00"),
        ])),
        body: whole(br#"{"model":"b","stream":true,"stream_options":{"include_usage":true}}"#),
        ..Leg::default()
    };
    stored.response.body = Body::Absent(Absent::ShedQueue);
    let found = legs::compare(&stored);
    assert!(!found.unmodified);
    let changed: Vec<&str> =
        found.sides[0].headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(changed, ["authorization", "host", "traceparent"]);
    let shown = text::legs(&found, PLAIN);
    for line in [
        "    ~ model: \"a\" → \"b\"",
        "    + stream_options: {\"include_usage\":true}",
        "  ~ host: gate → far",
        "  + traceparent: 00",
        "  edited by the gateway: model, stream_options",
        "  body unknown: let go because the store's queue was full",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    stored.attempts.clear();
    assert!(text::legs(&legs::compare(&stored), PLAIN).starts_with("No provider was called"));
}

#[test]
fn a_body_in_another_coding_says_the_same() {
    let mut stored = exchange("anthropic").asking(r#"{"model":"a"}"#).answering("{}");
    let packed = Whole {
        bytes: crate::base::coding::gzip(br#"{"model":"a"}"#),
        coding: Some("gzip".to_owned()),
        ..Whole::default()
    };
    stored.attempt().request.body = Body::Whole(packed);
    assert!(matches!(legs::compare(&stored).sides[0].body, Bodies::Same { .. }));
}

#[test]
fn attempts_are_held_against_each_other() {
    let mut stored = exchange("anthropic").refused(529, "{\"error\":1}");
    assert!(legs::attempts(&stored).is_empty());
    let second =
        Attempt { provider: "near".to_owned(), status: Some(200), ..stored.attempts[0].clone() };
    stored.attempts.push(second);
    stored.attempts[1].response.body = whole(b"{\"error\":2}");
    let pairs = legs::attempts(&stored);
    let facts: Vec<&str> = pairs[0].facts.iter().map(|fact| fact.name.as_str()).collect();
    assert_eq!(facts, ["provider", "status"]);
    let shown = text::attempts(&pairs, PLAIN);
    assert!(
        shown.contains("~ provider: far → near") && shown.contains("~ error: 1 → 2"),
        "{shown}"
    );
}

/// A turn with these messages, the system text and the tokens told.
fn turn(id: &str, system: &str, messages: &[&str], [input, read]: [i64; 2]) -> Stored {
    let messages: Vec<String> = messages
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":[{{"type":"text","text":"{text}"}}]}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"model":"m","tools":[{{"name":"look","input_schema":{{"type":"object"}}}}],"system":[{{"type":"text","text":"{system}","cache_control":{{"type":"ephemeral"}}}}],"messages":[{}]}}"#,
        messages.join(",")
    );
    let mut stored = exchange("anthropic").asking(&body);
    stored.row.id = id.to_owned();
    stored.row.input_tokens = Some(input);
    stored.row.cache_read_tokens = Some(read);
    stored.row.usage_source = Some("provider".to_owned());
    stored
}

#[test]
fn a_turn_that_only_appends_keeps_the_prefix() {
    let long = "word ".repeat(2_000);
    let before = turn("one", &long, &["a"], [2_000, 0]);
    let mut after = turn("two", &long, &["a", "b", "c"], [2_100, 1_990]);
    after.row.started_at_us += 10_000_000;
    let found = turns::compare(&before, &after);
    assert_eq!((found.kept, found.added, found.changed, found.removed), (3, 2, 0, 0));
    let prefix = found.prefix.clone().expect("a prefix");
    assert!(prefix.holds && prefix.first_change.is_none());
    assert_eq!((prefix.agreement, prefix.pause_us), (Agreement::Agrees, 8_000_000));
    let shown = text::turns(&found, PLAIN);
    assert!(shown.starts_with("The prompt's beginning holds: "), "{shown}");
    assert!(shown.contains("\n  + messages[1] assistant ("), "{shown}");

    let mut unread = turn("two", &long, &["a", "b", "c"], [2_100, 0]);
    unread.row.started_at_us += 600_000_000;
    let prefix = turns::compare(&before, &unread).prefix.expect("a prefix");
    assert_eq!(prefix.agreement, Agreement::ReadLess);
    assert!(prefix.says.contains("longer than most caches live"), "{}", prefix.says);
}

#[test]
fn the_first_byte_that_changed_is_found() {
    let before = turn("one", "It is 12:00 now.", &["a", "b", "c"], [50, 0]);
    let after = turn("two", "It is 12:01 now.", &["a", "x", "c", "d"], [60, 0]);
    let found = turns::compare(&before, &after);
    assert_eq!((found.kept, found.added, found.changed, found.removed), (3, 1, 2, 0));
    let change =
        found.prefix.as_ref().and_then(|prefix| prefix.first_change.clone()).expect("a change");
    let body = after.client_request().expect("a body").bytes.clone();
    assert_eq!(
        (change.section, change.index, change.path.as_str()),
        (Section::System, 0, "system[0].text")
    );
    assert_eq!(body[change.offset_after], b'1');
    assert!(body[change.offset_after..].starts_with(b"1 now."));
    assert_eq!(change.offset_after, change.offset_before);
    assert!(change.before.contains("12:00 now") && change.after.contains("12:01 now"));
    let prefix = found.prefix.as_ref().expect("a prefix");
    let before_system =
        body.windows(7).position(|window| window == b"{\"type\"").expect("the schema");
    assert!(before_system > 0 && prefix.valid_bytes < prefix.prompt_bytes);
    let changed: Vec<&str> = found
        .altered
        .iter()
        .filter(|it| it.became == Became::Changed)
        .map(|it| it.path.as_str())
        .collect();
    assert_eq!(changed, ["system[0].text", "messages[1].content"]);
    assert!(text::turns(&found, PLAIN).starts_with("The prompt's beginning changed at byte"));
}

#[test]
fn marks_that_move_are_no_change_and_a_tool_that_comes_is() {
    let mark = |at: usize, tools: &str| {
        let messages: Vec<String> = (0..3)
            .map(|n| {
                let mark = if n == at { r#","cache_control":{"type":"ephemeral"}"# } else { "" };
                format!(r#"{{"role":"user","content":[{{"type":"text","text":"m{n}"{mark}}}]}}"#)
            })
            .collect();
        exchange("anthropic")
            .asking(&format!(r#"{{"tools":[{tools}],"messages":[{}]}}"#, messages.join(",")))
    };
    let found = turns::compare(&mark(0, r#"{"name":"f"}"#), &mark(2, r#"{"name":"f"}"#));
    let prefix = found.prefix.as_ref().expect("a prefix");
    assert!(prefix.holds);
    assert_eq!(
        (prefix.marks_before.join(","), prefix.marks_after.join(",")),
        ("messages[0]".to_owned(), "messages[2]".to_owned())
    );
    assert_eq!((found.kept, found.altered.len()), (4, 0));

    let found =
        turns::compare(&mark(0, r#"{"name":"f"}"#), &mark(0, r#"{"name":"f"},{"name":"g"}"#));
    let change = found.prefix.and_then(|prefix| prefix.first_change).expect("a change");
    assert_eq!((change.section, change.path.as_str()), (Section::Tools, "tools[1]"));
    let found =
        turns::compare(&mark(0, r#"{"name":"f"},{"name":"g"}"#), &mark(0, r#"{"name":"f"}"#));
    let change = found.prefix.and_then(|prefix| prefix.first_change).expect("a change");
    assert_eq!(change.path, "tools[1]");
}

#[test]
fn another_model_has_another_cache() {
    let before = turn("one", "s", &["a"], [50, 0]);
    let mut after = turn("two", "s", &["a"], [50, 0]);
    after.row.model = Some("m-2".to_owned());
    let prefix = turns::compare(&before, &after).prefix.expect("a prefix");
    assert_eq!(
        (prefix.valid_bytes, prefix.key_changes.join(",")),
        (0, "model: m-1 → m-2".to_owned())
    );
}

#[test]
fn what_was_not_kept_is_said() {
    let found = turns::compare(&exchange("anthropic").bare(), &turn("two", "s", &["a"], [1, 0]));
    assert!(found.missing.as_ref().is_some_and(|missing| missing.contains("capture was meta")));
    assert!(text::turns(&found, PLAIN).starts_with("The turns can't be compared"));
}

fn answer(text: &str, arguments: &str) -> Stored {
    let arguments = serde_json::to_string(arguments).expect("JSON");
    let body = format!(
        r#"{{"choices":[{{"message":{{"content":"{text}","tool_calls":[{{"function":{{"name":"look","arguments":{arguments}}}}}]}},"finish_reason":"stop"}}]}}"#
    );
    exchange("openai_chat").answering(&body)
}

#[test]
fn two_exchanges_are_compared_in_all_they_have() {
    let mut left = answer("the red fox", r#"{"b":2,"a":1}"#)
        .asking(r#"{"model":"a","temperature":0,"messages":[{"role":"user","content":"hi"}]}"#);
    left.row.cost_nanousd = Some(1_500_000);
    let right = answer("the brown fox", r#"{ "a": 1, "b": 2 }"#).asking(
        r#"{"model":"a","temperature":1,"messages":[{"role":"user","content":"hi"}],"seed":7}"#,
    );
    let found = pair::compare(&left, &right);
    let parameters: Vec<&str> =
        found.parameters.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(parameters, ["temperature", "seed"]);
    assert!(!found.answers.text_same && found.answers.calls_same);
    assert_eq!(found.answers.calls[0].compares, Compares::Same);
    let shown = text::exchanges(&found, PLAIN);
    assert!(
        shown.starts_with("The same prompt: other parameters, other words, the same tool calls.\n"),
        "{shown}"
    );
    assert!(shown.contains("the [-red-] {+brown+} fox"), "{shown}");
    assert!(shown.contains("cost          $0.0015"), "{shown}");

    let other = answer("the red fox", r#"{"a":3}"#);
    let found = pair::compare(&answer("the red fox", r#"{"a":1}"#), &other);
    assert_eq!(found.answers.calls[0].compares, Compares::Arguments);
    assert!(text::exchanges(&found, PLAIN).contains("the same words, other tool calls"));
    let found = pair::compare(&exchange("anthropic").bare(), &other);
    assert!(!found.answers.known);
    assert!(text::exchanges(&found, PLAIN).contains("not kept on both sides"));
    serde_json::to_value(&found).expect("JSON");
}

#[test]
fn large_turns_are_compared_in_bounded_time() {
    let text = "0123456789abcdef".repeat(1_000);
    let messages: Vec<String> = (0..200).map(|at| format!("{at} {text}")).collect();
    let mut texts: Vec<&str> = messages.iter().map(String::as_str).collect();
    let before = turn("one", "s", &texts, [3_000_000, 0]);
    texts[150] = "changed";
    texts.push("new");
    let after = turn("two", "s", &texts, [3_000_000, 0]);
    assert!(after.row.request_bytes > 3_000_000);
    let began = crate::base::clock::now();
    let found = turns::compare(&before, &after);
    let both = pair::compare(&before, &after);
    let took_us = crate::base::clock::us_between(began, crate::base::clock::now());
    assert_eq!((found.kept, found.added, found.changed), (201, 1, 1));
    assert_eq!(both.prompt, found);
    // Unoptimised, on a busy machine; it takes a fraction of this.
    assert!(took_us < 30_000_000, "{took_us} µs");
}

#[test]
fn hostile_contents_neither_break_nor_garble() {
    let nasty = r#"{"messages":[{"role":"\u001b[2J","content":"\u001b[2J\u0000"}],"x":"\u001b"}"#;
    for body in [
        nasty,
        "",
        "[",
        "{\"messages\":7}",
        "{\"messages\":[1,null,[]],\"tools\":{}}",
        "\u{feff}{}",
        "data: x",
    ] {
        for other in [nasty, "{\"messages\":[{}]}"] {
            let mut left = exchange("anthropic").asking(body).answering(body);
            left.request.headers = Some(headers(&[("a", "\u{1b}[2J")]));
            left.attempt().request.headers = Some(headers(&[]));
            left.attempt().request.body = whole(other.as_bytes());
            let right = exchange("gemini").asking(other).answering(other);
            let shown = [
                text::legs(&legs::compare(&left), PLAIN),
                text::turns(&turns::compare(&left, &right), PLAIN),
                text::exchanges(&pair::compare(&left, &right), PLAIN),
            ];
            assert!(!shown.concat().contains(['\u{1b}', '\0']), "{shown:?}");
        }
    }
}
