//! Made-up exchanges for the tests of all renderings: one that was tried twice and stalled, one that the client left, one
//! that the gateway refused, one that the provider refused, one that is no words.

use std::path::Path;

use serde_json::json;

use crate::base::coding;
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Label, LabelOn, Leg, Listed, Stored, Whole};

/// 2026-11-20T14:27:03.412Z.
const AT_US: i64 = 1_795_184_823_412_000;

pub(super) fn golden(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(folder.join(path)).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as the fields are that it fills")]
fn headers(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn whole(bytes: impl Into<Vec<u8>>) -> Body {
    Body::Whole(Whole { bytes: bytes.into(), ..Whole::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "as the fields are that it fills")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn row(n: u64, dialect: &str, path: &str) -> Listed {
    let at_us = AT_US + i64::try_from(n).unwrap() * 1_370_000;
    let ms = format!("{:012x}", at_us / 1_000);
    Listed {
        id: format!("{}-{}-7{n:03x}-8def-0123456789ab", &ms[..8], &ms[8..]),
        started_at_us: at_us,
        dialect: dialect.to_owned(),
        operation: "chat".to_owned(),
        outcome: "complete".to_owned(),
        agent: "other".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        capture_level: "full".to_owned(),
        client_addr: text("127.0.0.1:51234"),
        overhead_us: 212,
        seq: i64::try_from(n).unwrap(),
        ..Listed::default()
    }
}

/// Tried twice, with a stall, tools, reasoning and an image.
pub(super) fn retried() -> Stored {
    let request = Leg {
        line: text("POST /v1/chat/completions"),
        headers: headers(&[
            ("host", "127.0.0.1:8000"),
            ("authorization", "[redacted:key:9f3c]"),
            ("content-type", "application/json"),
            ("user-agent", "codex_cli_rs/0.58.0 (Ubuntu 24.04; x86_64) xterm-256color"),
            ("x-pinhole-tag", "team=search"),
            ("x-pinhole-tag", "run=7"),
            ("cookie", "[redacted:cookie:77aa]"),
            ("accept", "text/event-stream"),
        ]),
        body: whole(asked()),
    };
    let (stream, frames) = stream();
    let response = Leg {
        line: text("200 OK"),
        headers: headers(&[
            ("content-type", "text/event-stream"),
            ("x-request-id", "req_8f3a"),
            ("x-pinhole-id", "01a1f95a-9728-7002-8def-0123456789ab"),
            ("x-pinhole-attempts", "2"),
        ]),
        body: Body::Same,
    };
    Stored {
        row: retried_row(),
        request,
        attempts: vec![refused_attempt(), attempt(frames, stream)],
        response,
        damage: Vec::new(),
        labels: vec![Label {
            on: LabelOn::Exchange,
            name: "good".to_owned(),
            score: Some(0.9),
            note: text("found the right file"),
            author: text("ada"),
            at_us: AT_US + 600_000_000,
        }],
        ..Stored::default()
    }
}

fn retried_row() -> Listed {
    Listed {
        session_id: text("0d2c7c4e-1111-4222-8333-944455556666"),
        parent_session_id: text("main-agent"),
        provider: text("openai-eu"),
        model_requested: text("gpt-5"),
        model: text("gpt-5-2026-08"),
        status: Some(200),
        stream: true,
        input_tokens: Some(18_412),
        output_tokens: Some(512),
        cache_read_tokens: Some(16_384),
        reasoning_tokens: Some(256),
        usage_source: text("provider"),
        cost_nanousd: Some(12_345_678),
        ttft_us: Some(1_140_000),
        ttfo_us: Some(1_900_000),
        gap_p50_us: Some(21_000),
        gap_max_us: Some(2_600_000),
        stalls: Some(1),
        duration_us: 6_420_000,
        request_bytes: 2_100,
        response_bytes: 5_200,
        attempts: 2,
        upstream_status: Some(200),
        finish_reason: text("tool_calls"),
        tools: vec!["edit_file".to_owned()],
        agent: "codex".to_owned(),
        key_label: text("dev"),
        upstream_request_id: text("req_8f3a"),
        trace_id: text("4bf92f3577b34da6a3ce929d0e0e4736"),
        replayable: true,
        redacted: true,
        tags: vec![("team".to_owned(), "search".to_owned()), ("run".to_owned(), "7".to_owned())],
        labels: vec!["good".to_owned()],
        signals: vec!["failed_tool_result", "stall"],
        ..row(2, "openai_chat", "/v1/chat/completions")
    }
}

fn asked() -> Vec<u8> {
    let log = (1..=40).map(|n| format!("test store::tests::case_{n:02} ... ok\n"));
    let log = log.collect::<String>() + "test store::tests::case_41 ... FAILED\n";
    let image = format!("data:image/png;base64,{}", "iVBORw0K".repeat(4_400));
    let earlier = (0..8).map(|n| {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        json!({ "role": role, "content": format!("Earlier words, number {n}.") })
    });
    let mut messages = vec![
        json!({ "role": "system", "content": "You are a careful engineer.\nUse the tools.\nAnswer briefly." }),
    ];
    messages.extend(earlier);
    messages.extend([
        json!({ "role": "user", "content": [
            { "type": "text", "text": "The tests fail, see the picture. Please find out why, mend it, and say in one sentence what it was; do not touch anything else.\u{1b}[31m" },
            { "type": "image_url", "image_url": { "url": image } },
        ]}),
        json!({ "role": "assistant", "content": "I run them first.", "tool_calls": [
            { "id": "call_1", "type": "function", "function": { "name": "shell", "arguments": "{\"command\":[\"cargo\",\"test\"],\"timeout_ms\":60000}" } },
        ]}),
        json!({ "role": "tool", "tool_call_id": "call_1", "content": log }),
    ]);
    let tools = [json!({ "type": "function", "function": { "name": "shell", "parameters": {} } })];
    let body = json!({ "model": "gpt-5", "stream": true, "messages": messages, "tools": tools });
    body.to_string().into_bytes()
}

/// Events, and when each came.
fn stream() -> (Vec<u8>, Vec<(u64, u32)>) {
    let mut bytes = Vec::new();
    let mut frames = Vec::new();
    let mut at = 1_100_000_u64;
    let mut send = |pause: u64, data: String| {
        at += pause;
        let event = format!("data: {data}\n\n");
        frames.push((at, u32::try_from(event.len()).unwrap()));
        bytes.extend_from_slice(event.as_bytes());
    };
    let delta = |delta: serde_json::Value| {
        json!({ "id": "c1", "choices": [{ "index": 0, "delta": delta }], "usage": null })
            .to_string()
    };
    send(0, delta(json!({ "role": "assistant", "content": "" })));
    for word in "The case 41 fails since the limit is off by one ; look at the loop .".split(' ') {
        send(40_000, delta(json!({ "reasoning_content": format!("{word} ") })));
    }
    for (at, word) in
        "The loop in `store.rs` stops one row too early; I mend it.".split(' ').enumerate()
    {
        send(
            if at == 5 { 2_600_000 } else { 21_000 },
            delta(json!({ "content": format!("{word} ") })),
        );
    }
    let call = |arguments: &str| {
        delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": arguments } }] }))
    };
    let begin = json!({ "index": 0, "id": "call_2", "type": "function", "function": { "name": "edit_file", "arguments": "" } });
    send(90_000, delta(json!({ "tool_calls": [begin] })));
    let arguments = json!({ "path": "src/store.rs", "old": "for row in 0..n {\n    read(row);\n}", "new": "for row in 0..=n {\n    read(row);\n}", "dry_run": false });
    for piece in arguments.to_string().as_bytes().chunks(16) {
        send(15_000, call(std::str::from_utf8(piece).unwrap()));
    }
    send(
        30_000,
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] })
            .to_string(),
    );
    send(
        2_000,
        json!({ "choices": [], "usage": { "prompt_tokens": 18_412, "completion_tokens": 512 } })
            .to_string(),
    );
    send(100, "[DONE]".to_owned());
    (bytes, frames)
}

fn refused_attempt() -> Attempt {
    Attempt {
        provider: "openai".to_owned(),
        model: text("gpt-5"),
        because: "exact model".to_owned(),
        status: Some(429),
        error_source: text("upstream"),
        error_kind: text("rate_limit_exceeded"),
        sent_us: 400,
        head_us: Some(310_000),
        ended_us: Some(311_000),
        link_us: Some([1_200, 9_800, 14_300]),
        peer: text("203.0.113.7:443"),
        http: text("2"),
        tls: text("1.3"),
        bytes: 61,
        request: Leg {
            line: text("POST https://api.openai.com/v1/chat/completions"),
            headers: None,
            body: Body::Same,
        },
        response: Leg {
            line: text("429 Too Many Requests"),
            headers: headers(&[("retry-after", "1"), ("content-type", "application/json")]),
            body: whole(r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#),
        },
        frames: vec![(310_400, 62)],
        ..Attempt::default()
    }
}

fn attempt(frames: Vec<(u64, u32)>, stream: Vec<u8>) -> Attempt {
    Attempt {
        provider: "openai-eu".to_owned(),
        model: text("gpt-5-2026-08"),
        key_label: text("key-2"),
        because: "fallback".to_owned(),
        status: Some(200),
        sent_us: 320_000,
        head_us: Some(1_090_000),
        ended_us: Some(6_419_000),
        peer: text("203.0.113.9:443"),
        http: text("2"),
        tls: text("1.3"),
        bytes: i64::try_from(stream.len()).unwrap(),
        edits: vec!["model".to_owned(), "stream_options.include_usage".to_owned()],
        request: Leg {
            line: text("POST https://eu.api.openai.com/v1/chat/completions"),
            headers: headers(&[
                ("host", "eu.api.openai.com"),
                ("authorization", "[redacted:key:1b2c]"),
                ("content-type", "application/json"),
                ("user-agent", "codex_cli_rs/0.58.0 (Ubuntu 24.04; x86_64) xterm-256color"),
                ("accept", "text/event-stream"),
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ]),
            body: Body::Whole(Whole {
                bytes: b"{\"model\":\"gpt-5-2026-08\"}".to_vec(),
                redacted: true,
                ..Whole::default()
            }),
        },
        response: Leg {
            line: text("200 OK"),
            headers: headers(&[
                ("content-type", "text/event-stream"),
                ("x-request-id", "req_8f3a"),
                ("set-cookie", "[redacted:cookie:aaaa]"),
                ("server", "cloudflare"),
            ]),
            body: whole(stream),
        },
        frames,
        ..Attempt::default()
    }
}

/// The client left in the middle; the answer is compressed.
pub(super) fn left() -> Stored {
    let stream = golden("anthropic_messages/streams/thinking_tool.sse");
    let coded = coding::gzip(&stream[..1_150]);
    let frames = vec![(900_000, 300), (1_400_000, u32::try_from(coded.len()).unwrap() - 300)];
    let row = Listed {
        session_id: text("s-7"),
        session_inferred: true,
        provider: text("anthropic"),
        model_requested: text("claude-opus-4-8"),
        model: text("claude-opus-4-8"),
        status: Some(200),
        outcome: "client_cancelled".to_owned(),
        stream: true,
        input_tokens: Some(12),
        output_tokens: Some(1),
        usage_source: text("provider"),
        ttft_us: Some(900_000),
        duration_us: 1_420_000,
        request_bytes: 1_586,
        response_bytes: 410,
        attempts: 1,
        upstream_status: Some(200),
        agent: "claude-code".to_owned(),
        replayable: true,
        signals: vec!["truncated"],
        ..row(3, "anthropic", "/v1/messages")
    };
    let request = Leg {
        line: text("POST /v1/messages?beta=true"),
        headers: headers(&[
            ("x-api-key", "[redacted:key:5555]"),
            ("anthropic-version", "2023-06-01"),
        ]),
        body: whole(golden("anthropic_messages/requests/claude_code.json")),
    };
    let body = Whole { bytes: coded, coding: text("gzip"), ..Whole::default() };
    let attempt = Attempt {
        provider: "anthropic".to_owned(),
        model: text("claude-opus-4-8"),
        because: "exact model".to_owned(),
        status: Some(200),
        sent_us: 300,
        head_us: Some(850_000),
        ended_us: Some(1_420_000),
        peer: text("198.51.100.4:443"),
        request: Leg {
            body: Body::Same,
            headers: request.headers.clone(),
            line: request.line.clone(),
        },
        response: Leg {
            line: text("200 OK"),
            headers: headers(&[
                ("content-encoding", "gzip"),
                ("content-type", "text/event-stream"),
            ]),
            body: Body::Whole(body),
        },
        frames,
        ..Attempt::default()
    };
    let response = Leg { headers: attempt.response.headers.clone(), body: Body::Same, line: None };
    Stored { row, request, attempts: vec![attempt], response, ..Stored::default() }
}

/// Refused by the gateway, at level meta.
pub(super) fn rejected() -> Stored {
    let row = Listed {
        model_requested: text("gpt5"),
        status: Some(404),
        outcome: "rejected".to_owned(),
        error_source: text("client"),
        error_kind: text("model_not_found"),
        error_detail: text("no configured provider serves `gpt5`; near names: gpt-5, gpt-5-mini"),
        duration_us: 410,
        request_bytes: 88,
        response_bytes: 210,
        capture_level: "meta".to_owned(),
        agent: "openai-python".to_owned(),
        ..row(4, "openai_chat", "/v1/chat/completions")
    };
    Stored { row, ..Stored::default() }
}

/// The provider answered with an error; what the client sent was let go.
pub(super) fn failed() -> Stored {
    let answer = golden("openai_chat/responses/error.json");
    let length = answer.len();
    let row = Listed {
        provider: text("gemini"),
        model_requested: text("gemini-3-pro"),
        model: text("gemini-3-pro"),
        status: Some(500),
        outcome: "upstream_error".to_owned(),
        error_source: text("upstream"),
        error_kind: text("upstream_error"),
        error_detail: text("INTERNAL: try again later"),
        upstream_status: Some(500),
        duration_us: 230_000,
        request_bytes: 700_000,
        response_bytes: i64::try_from(length).unwrap(),
        attempts: 1,
        ..row(5, "gemini", "/v1beta/models/gemini-3-pro:generateContent")
    };
    let attempt = Attempt {
        provider: "gemini".to_owned(),
        because: "exact model".to_owned(),
        status: Some(500),
        error_kind: text("upstream_error"),
        sent_us: 200,
        head_us: Some(229_000),
        ended_us: Some(229_500),
        request: Leg { body: Body::Same, ..Leg::default() },
        response: Leg { body: whole(answer), ..Leg::default() },
        frames: vec![(229_300, u32::try_from(length).unwrap())],
        ..Attempt::default()
    };
    let request = Leg { body: Body::Absent(Absent::ShedMemory), ..Leg::default() };
    let response = Leg { body: Body::Same, ..Leg::default() };
    Stored { row, request, attempts: vec![attempt], response, ..Stored::default() }
}

/// Bytes that are no words.
pub(super) fn speech() -> Stored {
    let row = Listed {
        operation: "opaque".to_owned(),
        provider: text("openai"),
        model: text("tts-1"),
        status: Some(200),
        duration_us: 820_000,
        request_bytes: 52,
        response_bytes: 4_100,
        attempts: 1,
        ..row(6, "openai_chat", "/v1/audio/speech")
    };
    let sound: Vec<u8> =
        (0..4_100_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let attempt = Attempt {
        provider: "openai".to_owned(),
        model: text("tts-1"),
        because: "opaque path".to_owned(),
        status: Some(200),
        head_us: Some(300_000),
        ended_us: Some(819_000),
        request: Leg { body: Body::Same, ..Leg::default() },
        response: Leg { body: whole(sound), ..Leg::default() },
        frames: vec![(310_000, 2_050), (810_000, 2_050)],
        ..Attempt::default()
    };
    let request = Leg {
        line: text("POST /v1/audio/speech"),
        headers: headers(&[("content-type", "application/json")]),
        body: whole(r#"{"model":"tts-1","input":"It's me","voice":"alloy"}"#),
    };
    let response = Leg { body: Body::Same, ..Leg::default() };
    Stored { row, request, attempts: vec![attempt], response, ..Stored::default() }
}

pub(crate) fn all() -> [(&'static str, Stored); 5] {
    [
        ("retried", retried()),
        ("left", left()),
        ("rejected", rejected()),
        ("failed", failed()),
        ("speech", speech()),
    ]
}
