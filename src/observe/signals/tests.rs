//! Each signal in each dialect where it can be, streamed and whole.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::base::id::ExchangeId;
use crate::exchange::fixture;
use crate::exchange::outcome::Outcome;
use crate::exchange::signal::Signals;
use crate::neutral::kind::{Dialect, Operation};
use crate::observe::digest::Digester;

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::Anthropic;
const GEMINI: Dialect = Dialect::Gemini;

/// Reads exchanges as the observer's thread does.
#[derive(Default)]
struct Desk {
    finder: Finder,
    now_us: u64,
}

impl Desk {
    /// An exchange that was asked this and answered that: a document, or a stream where it begins with `data:`.
    fn exchange(&mut self, dialect: Dialect, request: &Value, answer: &str) -> Exchange {
        self.now_us += 1_000_000;
        let mut exchange = fixture::exchange();
        exchange.id = ExchangeId::new(self.now_us);
        exchange.wall_us = self.now_us;
        exchange.dialect = dialect;
        exchange.prompt = Some(Bytes::from(request.to_string()));
        exchange.outcome = Outcome::Complete;
        exchange.ended_us = 500_000;
        let attempt = &mut exchange.attempts[0];
        attempt.events = answer.starts_with("data:");
        for (at, event) in (0..).zip(answer.split_inclusive("\n\n")) {
            attempt.frames.push(10_000 * at, &Bytes::from(event.to_owned()));
        }
        exchange
    }

    fn read(&mut self, mut exchange: Exchange) -> Exchange {
        Digester::default().digest(&mut exchange);
        self.finder.find(&mut exchange);
        exchange
    }

    fn send(&mut self, dialect: Dialect, request: &Value, answer: &str) -> Exchange {
        let exchange = self.exchange(dialect, request, answer);
        self.read(exchange)
    }
}

fn labels(signals: Signals) -> Vec<&'static str> {
    signals.iter().map(Signal::label).collect()
}

/// The signals of one answer to a request with a tool `read` that wants a path.
fn of_answer(dialect: Dialect, answer: &str) -> Vec<&'static str> {
    labels(Desk::default().send(dialect, &asking(dialect), answer).summary.signals)
}

fn asking(dialect: Dialect) -> Value {
    let schema =
        json!({"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}});
    match dialect {
        MESSAGES => json!({"messages": [{"role": "user", "content": "hi"}],
            "tools": [{"name": "read", "input_schema": schema}]}),
        RESPONSES => {
            json!({"input": "hi", "tools": [{"type": "function", "name": "read", "parameters": schema}]})
        }
        GEMINI => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "tools": [{"functionDeclarations": [{"name": "read", "parameters": schema}]}]}),
        _ => json!({"messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "read", "parameters": schema}}]}),
    }
}

fn events(events: &[Value]) -> String {
    let events: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    events.concat()
}

/// A chat stream of these deltas, to its end.
fn chat_stream(deltas: &[Value], finish: &str) -> String {
    let event = |delta: &Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let mut list: Vec<Value> = deltas.iter().map(|delta| event(delta, Value::Null)).collect();
    list.push(event(&json!({}), finish.into()));
    list.push(json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}));
    events(&list) + "data: [DONE]\n\n"
}

fn chat_document(message: &Value, finish: &str) -> String {
    json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
    .to_string()
}

/// A stream of Anthropic's with these blocks, each begun and added to.
fn messages_stream(blocks: &[(Value, Value)], stop: &str) -> String {
    let mut list = vec![
        json!({"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 5}}}),
    ];
    for (at, (block, delta)) in blocks.iter().enumerate() {
        list.push(json!({"type": "content_block_start", "index": at, "content_block": block}));
        list.push(json!({"type": "content_block_delta", "index": at, "delta": delta}));
        list.push(json!({"type": "content_block_stop", "index": at}));
    }
    list.push(json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 2}}));
    list.push(json!({"type": "message_stop"}));
    events(&list)
}

fn messages_document(content: &Value, stop: &str) -> String {
    json!({"type": "message", "content": content, "stop_reason": stop,
        "usage": {"input_tokens": 5, "output_tokens": 2}})
    .to_string()
}

fn responses_document(output: &Value, status: &str, reason: Option<&str>) -> Value {
    json!({"id": "resp_1", "object": "response", "status": status, "output": output,
        "incomplete_details": reason.map(|reason| json!({"reason": reason})),
        "usage": {"input_tokens": 5, "output_tokens": 2}})
}

fn responses_stream(items: &[Value], status: &str, reason: Option<&str>) -> String {
    let mut list = vec![];
    for (at, item) in items.iter().enumerate() {
        list.push(json!({"type": "response.output_item.added", "output_index": at, "item": item}));
        if let Some(text) = item["content"][0]["text"].as_str() {
            list.push(
                json!({"type": "response.output_text.delta", "output_index": at, "delta": text}),
            );
        }
        if let Some(text) = item["content"][0]["refusal"].as_str() {
            list.push(json!({"type": "response.refusal.delta", "output_index": at, "delta": text}));
        }
        list.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    list.push(json!({"type": format!("response.{status}"), "response": responses_document(&json!(items), status, reason)}));
    events(&list)
}

fn gemini(parts: &Value, finish: &str) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}})
}

fn gemini_stream(parts: &Value, finish: &str) -> String {
    events(&[gemini(parts, finish)])
}

fn output_text(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

#[test]
fn good_answers_have_no_signals() {
    let nothing: [&str; 0] = [];
    let said = json!([{"type": "text", "text": "ho"}]);
    for (dialect, answer) in [
        (CHAT, chat_document(&json!({"content": "ho", "refusal": null}), "stop")),
        (
            CHAT,
            chat_stream(
                &[json!({"role": "assistant", "content": ""}), json!({"content": "ho"})],
                "stop",
            ),
        ),
        (MESSAGES, messages_document(&said, "end_turn")),
        (
            MESSAGES,
            messages_stream(
                &[(
                    json!({"type": "text", "text": ""}),
                    json!({"type": "text_delta", "text": "ho"}),
                )],
                "end_turn",
            ),
        ),
        (RESPONSES, responses_document(&json!([output_text("ho")]), "completed", None).to_string()),
        (RESPONSES, responses_stream(&[output_text("ho")], "completed", None)),
        (GEMINI, gemini(&json!([{"text": "ho"}]), "STOP").to_string()),
        (GEMINI, gemini_stream(&json!([{"text": "ho"}]), "STOP")),
    ] {
        assert_eq!(of_answer(dialect, &answer), nothing, "{answer}");
    }
}

#[test]
fn answers_without_words_or_calls_are_empty() {
    let thought = json!({"type": "thinking", "thinking": "hm"});
    for (dialect, answer) in [
        (CHAT, chat_document(&json!({"content": ""}), "stop")),
        (CHAT, chat_document(&json!({"content": null, "reasoning_content": "hm"}), "stop")),
        (CHAT, chat_stream(&[json!({"role": "assistant", "content": ""})], "stop")),
        (MESSAGES, messages_document(&json!([]), "end_turn")),
        (MESSAGES, messages_stream(&[], "end_turn")),
        (
            MESSAGES,
            messages_stream(
                &[(thought, json!({"type": "thinking_delta", "thinking": "hm"}))],
                "end_turn",
            ),
        ),
        (
            RESPONSES,
            responses_document(&json!([{"type": "reasoning", "summary": []}]), "completed", None)
                .to_string(),
        ),
        (RESPONSES, responses_stream(&[], "completed", None)),
        (GEMINI, gemini(&json!([]), "STOP").to_string()),
        (GEMINI, gemini_stream(&json!([{"text": "hm", "thought": true}]), "STOP")),
    ] {
        assert_eq!(of_answer(dialect, &answer), ["empty_reply"], "{answer}");
    }
}

#[test]
fn answers_that_hit_a_limit_or_break_off_are_truncated() {
    let cut = |answer: String| answer[..answer.len() / 2].to_owned();
    let words = [json!({"content": "ho"}), json!({"content": "ho"})];
    let block = (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": "ho"}));
    for (dialect, answer) in [
        (CHAT, chat_document(&json!({"content": "ho"}), "length")),
        (CHAT, chat_stream(&words, "length")),
        (CHAT, cut(chat_stream(&words, "stop"))),
        (CHAT, cut(chat_document(&json!({"content": "ho"}), "stop"))),
        (MESSAGES, messages_document(&json!([{"type": "text", "text": "ho"}]), "max_tokens")),
        (MESSAGES, messages_stream(std::slice::from_ref(&block), "model_context_window_exceeded")),
        (MESSAGES, cut(messages_stream(&[block.clone(), block], "end_turn"))),
        (
            RESPONSES,
            responses_document(
                &json!([output_text("ho")]),
                "incomplete",
                Some("max_output_tokens"),
            )
            .to_string(),
        ),
        (
            RESPONSES,
            responses_stream(&[output_text("ho")], "incomplete", Some("max_output_tokens")),
        ),
        (RESPONSES, cut(responses_stream(&[output_text("ho")], "completed", None))),
        (GEMINI, gemini(&json!([{"text": "ho"}]), "MAX_TOKENS").to_string()),
        (GEMINI, gemini_stream(&json!([{"text": "ho"}]), "MAX_TOKENS")),
    ] {
        assert_eq!(of_answer(dialect, &answer), ["truncated"], "{answer}");
    }
    let mut desk = Desk::default();
    let mut left = desk.exchange(CHAT, &asking(CHAT), &cut(chat_stream(&words, "stop")));
    left.outcome = Outcome::ClientCancelled;
    assert!(labels(desk.read(left).summary.signals).is_empty(), "its client wanted no more");
    assert!(of_answer(CHAT, "<html>log in</html>").is_empty(), "something else");
}

#[test]
fn refusals_are_told_in_every_dialects_words() {
    let refusal = json!({"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]});
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5}});
    for (dialect, answer) in [
        (CHAT, chat_document(&json!({"content": null, "refusal": "No."}), "stop")),
        (CHAT, chat_stream(&[json!({"refusal": "No."})], "stop")),
        (CHAT, chat_document(&json!({"content": ""}), "content_filter")),
        (CHAT, chat_stream(&[json!({"content": "ho"})], "content_filter")),
        (MESSAGES, messages_document(&json!([]), "refusal")),
        (MESSAGES, messages_stream(&[], "refusal")),
        (RESPONSES, responses_document(&json!([refusal.clone()]), "completed", None).to_string()),
        (RESPONSES, responses_stream(&[refusal], "completed", None)),
        (RESPONSES, responses_stream(&[output_text("ho")], "incomplete", Some("content_filter"))),
        (GEMINI, gemini(&json!([]), "SAFETY").to_string()),
        (GEMINI, gemini_stream(&json!([{"text": "ho"}]), "RECITATION")),
        (GEMINI, blocked.to_string()),
        (GEMINI, events(&[blocked])),
    ] {
        assert_eq!(of_answer(dialect, &answer), ["refusal"], "{answer}");
    }
    let mut desk = Desk::default();
    let mut filtered =
        desk.exchange(CHAT, &asking(CHAT), r#"{"error":{"code":"content_filter","message":"no"}}"#);
    filtered.attempts[0].status = Some(StatusCode::BAD_REQUEST);
    filtered.outcome = Outcome::UpstreamError;
    assert_eq!(labels(desk.read(filtered).summary.signals), ["refusal"]);
}

#[test]
fn calls_that_the_tool_cannot_take_are_found_in_pieces_and_whole() {
    for (arguments, expected) in [
        (r#"{"path":"a"}"#, None),
        (r#"{"path":5}"#, Some("invalid_tool_arguments")),
        (r#"{"paths":["a"]}"#, Some("invalid_tool_arguments")),
    ] {
        let parsed: Value = serde_json::from_str(arguments).unwrap();
        for (dialect, answer) in calling(arguments, &parsed) {
            let found = of_answer(dialect, &answer);
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{answer}");
        }
    }
    for broken in [r#"{"path":"a"#, "path=a", r#"["a"]"#] {
        for (dialect, answer) in calling(broken, &Value::Null) {
            if dialect != GEMINI && !answer.starts_with(r#"{"type":"message""#) {
                assert_eq!(of_answer(dialect, &answer), ["invalid_tool_arguments"], "{answer}");
            }
        }
    }
}

/// Answers of all kinds that call `read` with these arguments, in two pieces where they come in pieces.
fn calling(arguments: &str, parsed: &Value) -> Vec<(Dialect, String)> {
    let (one, two) = arguments.split_at(4);
    let call = json!({"id": "c", "type": "function", "function": {"name": "read", "arguments": arguments}});
    let piece = |more: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": more}}]});
    let begun = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "read", "arguments": ""}}]});
    let item =
        json!({"type": "function_call", "call_id": "c", "name": "read", "arguments": arguments});
    let block = json!({"type": "tool_use", "id": "t", "name": "read", "input": {}});
    let mut pieces = messages_stream(
        &[(block, json!({"type": "input_json_delta", "partial_json": one}))],
        "tool_use",
    );
    let more = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": two}});
    let stop = pieces
        .find("data: {\"type\":\"content_block_stop\"")
        .or_else(|| pieces.find("data: {\"index\":0,\"type\":\"content_block_stop\""))
        .unwrap();
    pieces.insert_str(stop, &format!("data: {more}\n\n"));
    let parts = json!([{"functionCall": {"name": "read", "args": parsed}}]);
    vec![
        (CHAT, chat_document(&json!({"content": null, "tool_calls": [call]}), "tool_calls")),
        (CHAT, chat_stream(&[begun, piece(one), piece(two)], "tool_calls")),
        (
            MESSAGES,
            messages_document(
                &json!([{"type": "tool_use", "id": "t", "name": "read", "input": parsed}]),
                "tool_use",
            ),
        ),
        (MESSAGES, pieces),
        (RESPONSES, responses_document(&json!([item.clone()]), "completed", None).to_string()),
        (RESPONSES, responses_stream(&[item], "completed", None)),
        (GEMINI, gemini(&parts, "STOP").to_string()),
        (GEMINI, gemini_stream(&parts, "STOP")),
    ]
}

#[test]
fn pauses_far_beyond_the_streams_own_pace_are_stalls() {
    let of = |gaps_ms: &[u64]| {
        let mut desk = Desk::default();
        let mut exchange = desk.exchange(CHAT, &asking(CHAT), "");
        let deltas: Vec<Value> = (0..=gaps_ms.len()).map(|_| json!({"content": "ho"})).collect();
        exchange.attempts[0].events = true;
        let answer = chat_stream(&deltas, "stop");
        let mut at_us = 0;
        for (n, event) in answer.split_inclusive("\n\n").enumerate() {
            at_us += n.checked_sub(1).and_then(|n| gaps_ms.get(n)).copied().unwrap_or(0) * 1_000;
            exchange.attempts[0].frames.push(at_us, &Bytes::from(event.to_owned()));
        }
        labels(desk.read(exchange).summary.signals)
    };
    assert_eq!(of(&[50, 50, 6_000, 50]), ["stall"]);
    assert!(of(&[50, 50, 4_000, 50]).is_empty(), "not five seconds");
    assert!(of(&[1_000, 1_000, 6_000, 1_000]).is_empty(), "not ten times the median");
    assert!(of(&[6_000]).is_empty(), "there is no pace to compare with");
}

/// The messages of one step, in a dialect's words: a call of `sh`, and its result.
fn step(dialect: Dialect, n: usize, arguments: &Value, result: &str, failed: bool) -> Vec<Value> {
    let id = format!("c{n}");
    match dialect {
        MESSAGES => vec![
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "sh", "input": arguments}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": result, "is_error": failed}]}),
        ],
        RESPONSES => vec![
            json!({"type": "function_call", "call_id": id, "name": "sh", "arguments": arguments.to_string()}),
            json!({"type": "function_call_output", "call_id": id, "output": result}),
        ],
        GEMINI => {
            let response =
                if failed { json!({"error": result}) } else { json!({"output": result}) };
            vec![
                json!({"role": "model", "parts": [{"functionCall": {"name": "sh", "args": arguments}}]}),
                json!({"role": "user", "parts": [{"functionResponse": {"name": "sh", "response": response}}]}),
            ]
        }
        _ => vec![
            json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function",
                "function": {"name": "sh", "arguments": arguments.to_string()}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": result}),
        ],
    }
}

fn request(dialect: Dialect, steps: &[Vec<Value>]) -> Value {
    let (key, first) = match dialect {
        RESPONSES => ("input", json!({"role": "user", "content": "go"})),
        GEMINI => ("contents", json!({"role": "user", "parts": [{"text": "go"}]})),
        _ => ("messages", json!({"role": "user", "content": "go"})),
    };
    let mut messages = vec![first];
    messages.extend(steps.concat());
    json!({key: messages})
}

fn well(dialect: Dialect) -> String {
    match dialect {
        MESSAGES => messages_document(&json!([{"type": "text", "text": "ho"}]), "end_turn"),
        RESPONSES => responses_document(&json!([output_text("ho")]), "completed", None).to_string(),
        GEMINI => gemini(&json!([{"text": "ho"}]), "STOP").to_string(),
        _ => chat_document(&json!({"content": "ho"}), "stop"),
    }
}

#[test]
fn tools_that_failed_are_told_of_in_the_turn_that_brings_it() {
    for dialect in [CHAT, RESPONSES, MESSAGES, GEMINI] {
        let mut desk = Desk::default();
        let mut send = |steps: &[Vec<Value>]| {
            labels(desk.send(dialect, &request(dialect, steps), &well(dialect)).summary.signals)
        };
        let failed = step(dialect, 1, &json!({"c": "ls"}), "Exit code: 2\nno such file", true);
        let worked = step(dialect, 2, &json!({"c": "pwd"}), "here", false);
        assert!(send(&[]).is_empty());
        assert_eq!(send(std::slice::from_ref(&failed)), ["failed_tool_result"], "{dialect:?}");
        assert_eq!(send(std::slice::from_ref(&failed)), ["failed_tool_result"], "sent once more");
        assert!(send(&[failed, worked]).is_empty(), "{dialect:?}: it was told before");
    }
}

#[test]
fn the_same_call_with_the_same_result_is_repeated() {
    for dialect in [CHAT, RESPONSES, MESSAGES, GEMINI] {
        let one = |n| step(dialect, n, &json!({"c": "ls", "all": true}), "a b", false);
        let same = |n| step(dialect, n, &json!({"all": true, "c": "ls"}), "a b", false);
        let other = |n| step(dialect, n, &json!({"c": "ls", "all": true}), "a b c", false);
        let mut desk = Desk::default();
        let mut send = |steps: &[Vec<Value>]| {
            labels(desk.send(dialect, &request(dialect, steps), &well(dialect)).summary.signals)
        };
        assert!(send(&[]).is_empty());
        assert!(send(&[one(1)]).is_empty(), "{dialect:?}");
        assert!(send(&[one(1)]).is_empty(), "{dialect:?}: sent once more");
        assert!(send(&[one(1), other(2)]).is_empty(), "{dialect:?}: another result");
        let turn = [one(1), other(2), same(3)];
        assert_eq!(send(&turn), ["repeated_call"], "{dialect:?}");
        assert_eq!(send(&turn), ["repeated_call"], "{dialect:?}: sent once more");
        let later = [one(1), other(2), same(3), step(dialect, 4, &json!({}), "x", false)];
        assert!(send(&later).is_empty(), "{dialect:?}: it was told before");
        let unknown = Desk::default().send(dialect, &request(dialect, &turn), &well(dialect));
        assert_eq!(
            labels(unknown.summary.signals),
            ["repeated_call"],
            "{dialect:?}: all of it new"
        );
    }
}

#[test]
fn a_request_tried_again_is_a_duplicate_and_one_asked_again_is_none() {
    let mut desk = Desk::default();
    let asked = asking(CHAT);
    let mut send = |change: fn(&mut Exchange)| {
        let mut exchange = desk.exchange(CHAT, &asked, &well(CHAT));
        change(&mut exchange);
        let exchange = desk.read(exchange);
        let told = exchange.summary.signals.has(Signal::DuplicateOf);
        assert_eq!(told, exchange.summary.duplicate_of.is_some());
        (exchange.id, exchange.summary.duplicate_of)
    };
    let fail = |exchange: &mut Exchange| {
        exchange.outcome = Outcome::UpstreamError;
        exchange.status = Some(StatusCode::SERVICE_UNAVAILABLE);
    };
    let (first, of) = send(fail);
    assert_eq!(of, None);
    assert_eq!(send(|exchange| exchange.path = "/v1/other".to_owned()).1, None);
    assert_eq!(send(|exchange| exchange.key_label = None).1, None);
    assert_eq!(send(fail).1, Some(first));
    assert_eq!(send(|_| ()).1, Some(first), "all repeat the first");
    assert_eq!(send(fail).1, None, "the one before was answered well");
    assert_eq!(send(|exchange| exchange.wall_us += 601_000_000).1, None, "too late");
}

#[test]
fn a_broken_prefix_is_a_signal() {
    let mut desk = Desk::default();
    let turn = |system: &str| {
        json!({"system": system, "metadata": {"user_id": "u_session_s"},
            "messages": [{"role": "user", "content": "a"}]})
    };
    desk.send(MESSAGES, &turn("Be."), &well(MESSAGES));
    let second = json!({"system": "Be!", "metadata": {"user_id": "u_session_s"}, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]});
    let exchange = desk.send(MESSAGES, &second, &well(MESSAGES));
    assert_eq!(labels(exchange.summary.signals), ["prefix_changed"]);
    let at = second.to_string().find("\"Be!\"").unwrap();
    assert_eq!(exchange.summary.prefix_changed_at, Some(at as u64));
}

#[test]
fn other_operations_and_refused_requests_have_none() {
    let mut desk = Desk::default();
    let mut exchange = desk.exchange(CHAT, &asking(CHAT), "");
    exchange.attempts.clear();
    exchange.outcome = Outcome::Rejected;
    assert!(labels(desk.read(exchange).summary.signals).is_empty());
    for operation in [Operation::Embeddings, Operation::CountTokens, Operation::Opaque] {
        let mut exchange = desk.exchange(CHAT, &json!({"input": "x"}), r#"{"data":[]}"#);
        exchange.operation = operation;
        exchange.path = format!("/{}", operation.label());
        assert!(labels(desk.read(exchange).summary.signals).is_empty(), "{operation:?}");
    }
}
