//! A session with turns that can be compared, and the part of the query language that the walks use.

use std::fmt::Write as _;

use serde_json::json;

use super::fake::{Fake, NOW_US};
use crate::store::stored::{Attempt, Body, Leg, Listed, Stored, Whole};

fn body(text: String) -> Body {
    Body::Whole(Whole { bytes: text.into_bytes(), ..Whole::default() })
}

fn events(words: &str) -> String {
    let mut out = String::new();
    for word in words.split_inclusive(' ') {
        let data = json!({ "choices": [{ "index": 0, "delta": { "content": word } }] });
        writeln!(out, "data: {data}\n").unwrap();
    }
    out.push_str("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    out
}

/// A turn: its number, what the system says, how the conversation goes on, what the model answers.
fn turn(n: i64, model: &str, system: &str, messages: &[&str], answer: &str) -> Stored {
    let mut all = vec![json!({ "role": "system", "content": system })];
    for (at, text) in messages.iter().enumerate() {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        all.push(json!({ "role": role, "content": text }));
    }
    let request = json!({ "model": model, "stream": true, "messages": all }).to_string();
    let answer = events(answer);
    let pieces = answer.split_inclusive("\n\n");
    let frames: Vec<(u64, u32)> = pieces
        .enumerate()
        .map(|(at, piece)| {
            (300_000 + at as u64 * 60_000 * n.unsigned_abs(), u32::try_from(piece.len()).unwrap())
        })
        .collect();
    let duration_us = i64::try_from(frames.last().unwrap().0).unwrap() + 10_000;
    let row = Listed {
        id: format!("019aa1d0-000{n}-7c3e-9a40-3f0b6c1d2e5f"),
        started_at_us: NOW_US - 60_000_000 + n * 9_000_000,
        session_id: Some("fix-login-test".to_owned()),
        dialect: "openai-chat".to_owned(),
        operation: "chat".to_owned(),
        provider: Some("openai".to_owned()),
        model: Some(model.to_owned()),
        model_requested: Some(model.to_owned()),
        status: Some(200),
        outcome: "complete".to_owned(),
        stream: true,
        input_tokens: Some(900 + n * 100),
        output_tokens: Some(12),
        cache_read_tokens: Some(if n == 3 { 0 } else { 800 }),
        ttft_us: Some(300_000),
        duration_us,
        request_bytes: i64::try_from(request.len()).unwrap(),
        attempts: 1,
        agent: "codex".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        capture_level: "full".to_owned(),
        signals: if n == 3 { vec!["prefix_changed"] } else { Vec::new() },
        ..Listed::default()
    };
    let attempt = Attempt {
        provider: "openai".to_owned(),
        model: Some(model.to_owned()),
        status: Some(200),
        request: Leg { body: Body::Same, ..Leg::default() },
        response: Leg { body: body(answer), ..Leg::default() },
        frames,
        ..Attempt::default()
    };
    Stored {
        row,
        request: Leg { body: body(request), ..Leg::default() },
        attempts: vec![attempt],
        response: Leg { body: Body::Same, ..Leg::default() },
        ..Stored::default()
    }
}

impl Fake {
    /// Beside the rest three turns of one session: the third says another date, so the cache is broken. And one of another
    /// session that answers the second's question with another model.
    pub(super) fn with_turns() -> Self {
        let system = "You fix tests. Today is 2026-11-19.";
        let asked = ["why does login_test fail?", "The clock is mocked twice.", "then fix it"];
        let mut turns = vec![
            turn(1, "gpt-5", system, &asked[..1], "The clock is mocked twice."),
            turn(2, "gpt-5", system, &asked, "Done: one mock is left.\nAll tests pass now."),
            turn(
                3,
                "gpt-5",
                "You fix tests. Today is 2026-11-20.",
                &[asked[0], asked[1], asked[2], "Done.", "and 日本語?"],
                "はい。",
            ),
            turn(4, "small-1", system, &asked, "Done: both mocks are left.\nAll tests pass now."),
        ];
        turns[3].row.session_id = Some("elsewhere".to_owned());
        let mut fake = Self::default();
        for stored in &mut turns {
            stored.row.seq = i64::try_from(fake.rows.len()).unwrap() + 1;
            fake.rows.push(stored.row.clone());
            fake.stored.push(stored.clone());
        }
        fake
    }
}

/// Whether a row is what the terms ask for, all of them; terms that are none of these are passed over.
pub(super) fn matches(filter: &str, row: &Listed) -> bool {
    filter.split([' ', '(', ')']).filter(|term| !term.is_empty()).all(|term| {
        let (not, term) = term.strip_prefix('-').map_or((false, term), |term| (true, term));
        let Some((field, value)) = term.split_once(':') else { return true };
        let value = value.trim_matches('"');
        let is = match field {
            "outcome" => row.outcome == value,
            "session" => row.session_id.as_deref() == Some(value),
            "operation" => row.operation == value,
            "signal" => row.signals.contains(&value),
            "model" => row.model.as_deref() == Some(value),
            _ => return true,
        };
        is != not
    })
}
