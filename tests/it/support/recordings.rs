//! Recordings made by hand: agents that ask a model for a tool call, as a gateway would have kept them. Nothing of anybody's is
//! in them; the same numbers give the same bytes.

use std::fs::File;
use std::path::Path;

use pinhole_replay::bundle::Writer;
use pinhole_replay::recording::{Attempt, Body, Leg, Recording, Usage};
use serde_json::{Value, json};

/// 2026-11-20T08:00:00Z.
const BEGUN_US: i64 = 1_795_161_600_000_000;
/// What a simulated provider gives the tool's arguments, whatever it is asked.
const ARGUMENTS: &str = r#"{"pattern":"simulated","path":"README.md"}"#;

/// How the recorded provider answered.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub first_token_us: u64,
    pub gap_us: u64,
}

/// Sessions of so many turns each, in the order in which they were asked, chat and messages by turns.
pub fn sessions(sessions: u32, turns: u32, pace: Pace) -> Vec<Recording> {
    let mut all: Vec<Recording> = (0..sessions)
        .flat_map(|session| (0..turns).map(move |turn| recording(session, turn, pace)))
        .collect();
    all.sort_by_key(|recording| recording.started_at_us);
    all
}

/// Puts them into a bundle.
pub fn bundle(path: &Path, recordings: &[Recording]) {
    let file = File::create(path).expect("a file");
    let mut writer = Writer::begin(file, BEGUN_US, "made by hand").expect("a header");
    for recording in recordings {
        writer.push(&mut recording.clone()).expect("a line");
    }
    writer.finish().expect("an end");
}

fn recording(session: u32, turn: u32, pace: Pace) -> Recording {
    let is_chat = session.is_multiple_of(2);
    let request = if is_chat { chat(session, turn) } else { messages(session, turn) };
    let events = if is_chat { chat_events() } else { message_events() };
    let started_at_us =
        BEGUN_US + i64::from(turn) * 2_000_000 + i64::from(session) * 37_000 + i64::from(turn);
    let (mut answer, mut frames, mut at_us) = (Vec::new(), Vec::new(), pace.first_token_us);
    for event in events {
        frames.push((at_us, u32::try_from(event.len()).expect("a short event")));
        answer.extend_from_slice(event.as_bytes());
        at_us += pace.gap_us;
    }
    let ended_us = i64::try_from(at_us).expect("a short time");
    let path = if is_chat { "/v1/chat/completions" } else { "/v1/messages" };
    let body = request.to_string().into_bytes();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Recording {
        id: format!("019ab000-0000-7000-8000-{:012x}", session * 100 + turn + 1),
        started_at_us,
        duration_us: ended_us,
        session: Some(format!("agent-{session}")),
        dialect: if is_chat { "openai_chat" } else { "anthropic" }.to_owned(),
        operation: "chat".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        model_requested: Some("recorded".to_owned()),
        stream: true,
        status: Some(200),
        outcome: "complete".to_owned(),
        finish_reason: Some("tool_calls".to_owned()),
        tools: vec!["search".to_owned()],
        usage: Some(Usage {
            input: Some(400),
            output: Some(12),
            source: Some("provider".to_owned()),
            ..Usage::default()
        }),
        cost_nanousd: Some(500_000),
        request_bytes: i64::try_from(body.len()).expect("a short body"),
        response_bytes: i64::try_from(answer.len()).expect("a short answer"),
        level: "full".to_owned(),
        replayable: true,
        request: Leg {
            line: Some(format!("POST {path} HTTP/1.1")),
            headers: Some(vec![header("content-type", "application/json")]),
            body: Body::of(body),
        },
        attempts: vec![Attempt {
            provider: "recorded".to_owned(),
            model: Some("recorded".to_owned()),
            status: Some(200),
            head_us: Some(1_000),
            ended_us: Some(ended_us),
            frames,
            request: Leg { body: Body::Same, ..Leg::default() },
            response: Leg {
                headers: Some(vec![header("content-type", "text/event-stream")]),
                body: Body::of(answer),
                ..Leg::default()
            },
            ..Attempt::default()
        }],
        response: Leg { body: Body::Same, ..Leg::default() },
        ..Recording::default()
    }
}

fn said(session: u32, turn: u32) -> String {
    format!("Session {session}, turn {turn}: find where the lantern is lit, and say which file.")
}

fn schema() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["pattern", "path"],
        "properties": {"pattern": {"type": "string"}, "path": {"type": "string"}}})
}

fn chat(session: u32, turn: u32) -> Value {
    let mut history = vec![json!({"role": "system", "content": "Look before you leap."})];
    history.extend((0..=turn).map(|turn| json!({"role": "user", "content": said(session, turn)})));
    json!({"model": "recorded", "messages": history, "stream": true,
        "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": {"name": "search",
            "description": "Searches the files.", "parameters": schema()}}]})
}

fn messages(session: u32, turn: u32) -> Value {
    let history = (0..=turn).map(|turn| json!({"role": "user", "content": said(session, turn)}));
    json!({"model": "recorded", "max_tokens": 256, "stream": true,
        "system": "Look before you leap.", "messages": history.collect::<Vec<_>>(),
        "tools": [{"name": "search", "description": "Searches the files.",
            "input_schema": schema()}]})
}

fn chat_events() -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "recorded",
            "choices": [choice]})
    };
    let call = |function: Value| {
        let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
        chunk(json!({"tool_calls": [call]}), Value::Null)
    };
    let usage = json!({"id": "c", "object": "chat.completion.chunk", "created": 1,
        "model": "recorded", "choices": [],
        "usage": {"prompt_tokens": 400, "completion_tokens": 12, "total_tokens": 412}});
    let (one, other) = ARGUMENTS.split_at(12);
    let events = [
        call(json!({"name": "search", "arguments": ""})),
        call(json!({"arguments": one})),
        call(json!({"arguments": other})),
        chunk(json!({}), json!("tool_calls")),
        usage,
    ];
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    events.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

fn message_events() -> Vec<String> {
    let (one, other) = ARGUMENTS.split_at(12);
    let part = |text: &str| {
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": text}})
    };
    let events = [
        json!({"type": "message_start", "message": {"id": "m", "type": "message",
            "role": "assistant", "model": "recorded", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 400, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block":
            {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}}),
        part(one),
        part(other),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 12}}),
        json!({"type": "message_stop"}),
    ];
    let event = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    events.iter().map(event).collect()
}
