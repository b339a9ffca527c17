//! Traffic as agents make it: sessions that send their whole history again each turn, with a mark that moves, and answers
//! that come in events.

use bytes::Bytes;
use pinhole::dialect::outline::outline;
use pinhole::store::capture::{AttemptIn, BodyIn, Captured, Content, Kind, LegIn};
use serde_json::{Value, json};

use super::words::{Dice, Words};

/// One exchange, and the session it belongs to.
pub(crate) struct Sent {
    pub(crate) session: String,
    pub(crate) captured: Captured,
    pub(crate) messages: usize,
}

impl Sent {
    /// Bytes of both bodies.
    pub(crate) fn raw(&self) -> usize {
        self.request().len() + self.answer().len()
    }

    pub(crate) fn request(&self) -> &[u8] {
        bytes(&self.captured.request.body)
    }

    pub(crate) fn answer(&self) -> &[u8] {
        bytes(&self.captured.attempts[0].response.body)
    }
}

fn bytes(body: &BodyIn) -> &[u8] {
    match body {
        BodyIn::Content(content) => &content.bytes,
        BodyIn::Same | BodyIn::Nothing(_) => &[],
    }
}

/// Eight sessions or as many as asked for, their turns mixed.
pub(crate) fn sessions(seed: u64, count: usize) -> Vec<Sent> {
    let mut dice = Dice::new(seed);
    let words = Words::new(&mut dice, 4_000);
    let tools: Vec<Value> = (0..18).map(|_| tool(&words, &mut dice)).collect();
    let system = words.prose(&mut dice, 14_000);
    let mut open: Vec<(Session, usize)> = (0..count)
        .map(|n| {
            let turns = dice.between(30, 101);
            let system = format!("{system}\nYou work in /home/{}.", words.name(&mut dice));
            (Session::new(n, &words, &mut dice, (&tools, system)), turns)
        })
        .collect();
    let mut sent = Vec::new();
    while !open.is_empty() {
        let at = dice.below(open.len());
        let (session, left) = &mut open[at];
        sent.push(session.turn(&words, &mut dice));
        *left -= 1;
        if *left == 0 {
            open.swap_remove(at);
        }
    }
    sent
}

/// Single turns of about 2 KiB that share their system prompt, answered in one document.
pub(crate) fn chats(seed: u64, count: usize) -> Vec<Sent> {
    let mut dice = Dice::new(seed);
    let words = Words::new(&mut dice, 4_000);
    let system = words.prose(&mut dice, 1_600);
    let each = (0..count).map(|n| {
        let question = words.prose(&mut dice, 150 + n % 200);
        chat(&words, &mut dice, n, &[("system", &system), ("user", &question)])
    });
    each.collect()
}

/// Single turns that have nothing in common but their form.
pub(crate) fn unique(seed: u64, count: usize) -> Vec<Sent> {
    let mut dice = Dice::new(seed);
    let words = Words::new(&mut dice, 20_000);
    let each = (0..count).map(|n| {
        let length = dice.between(1_000, 8_000);
        let question = words.prose(&mut dice, length);
        chat(&words, &mut dice, n, &[("user", &question)])
    });
    each.collect()
}

fn chat(words: &Words, dice: &mut Dice, n: usize, messages: &[(&str, &str)]) -> Sent {
    let all: Vec<Value> =
        messages.iter().map(|(role, text)| json!({ "role": role, "content": text })).collect();
    let request = json!({ "model": "glim-4-mini", "temperature": 0.2, "messages": all });
    let text = words.prose(dice, 300);
    let answer = json!({
        "id": format!("chatcmpl-{}", dice.id(29)), "object": "chat.completion", "created": 1_760_000_000 + n,
        "model": "glim-4-mini-2026-01-01",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text, "refusal": null },
            "logprobs": null, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 400 + n % 99, "completion_tokens": 80 + n % 31, "total_tokens": 480 + n % 131 },
        "service_tier": "default", "system_fingerprint": "fp_50cad350e4"
    });
    let (request, answer) = (request.to_string(), answer.to_string());
    let frames = vec![(400_000 + 100 * dice.below(9_000) as u64, answer.len() as u32)];
    let kind = Kind { dialect: "openai_chat", events: false };
    Sent {
        session: format!("chat-{n}"),
        captured: captured(dice, request, answer, kind, frames),
        messages: messages.len(),
    }
}

/// A conversation under way.
struct Session {
    name: String,
    anthropic: bool,
    tools: Value,
    system: String,
    messages: Vec<Value>,
}

impl Session {
    fn new(n: usize, words: &Words, dice: &mut Dice, (tools, system): (&[Value], String)) -> Self {
        let anthropic = n.is_multiple_of(2);
        let own: Vec<Value> = tools
            .iter()
            .map(|tool| if anthropic { tool.clone() } else { json!({ "type": "function", "function": {
                    "name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"] } }) })
            .collect();
        let text = words.prose(dice, 900);
        let mut messages = vec![json!({ "role": "user", "content": text })];
        if !anthropic {
            messages.insert(0, json!({ "role": "system", "content": system }));
        }
        let name = format!("session-{n}-{}", dice.id(12));
        Self { name, anthropic, tools: own.into(), system, messages }
    }

    /// The next request and its answer; both go into the history.
    fn turn(&mut self, words: &Words, dice: &mut Dice) -> Sent {
        let request = if self.anthropic { self.anthropic_request() } else { self.chat_request() };
        let count = self.messages.len();
        let length = dice.between(60, 900);
        let (text, tool) = (words.prose(dice, length), words.name(dice));
        let arguments = json!({ "path": format!("/src/{}/{}.rs", words.name(dice), words.name(dice)),
            "command": words.prose(dice, 60 + length / 3) });
        let bytes = dice.between(300, 9_000);
        let result = match dice.below(3) {
            0 => words.prose(dice, bytes / 4),
            _ => words.source(dice, bytes),
        };
        let (answer, frames) = if self.anthropic {
            self.anthropic_answer(dice, &text, (&tool, &arguments), &result)
        } else {
            self.chat_answer(dice, &text, (&tool, &arguments), &result)
        };
        let dialect = if self.anthropic { "anthropic" } else { "openai_chat" };
        let kind = Kind { dialect, events: true };
        Sent {
            session: self.name.clone(),
            captured: captured(dice, request, answer, kind, frames),
            messages: count,
        }
    }

    fn anthropic_request(&self) -> String {
        let mark = json!({ "type": "ephemeral" });
        let mut messages = self.messages.clone();
        let marked = messages.iter_mut().rev().filter(|message| message["role"] == "user").take(2);
        for message in marked {
            if let Some(last) = message["content"].as_array_mut().and_then(|all| all.last_mut()) {
                last["cache_control"] = mark.clone();
            }
        }
        json!({
            "model": "glim-opus-4", "max_tokens": 32_000,
            "system": [{ "type": "text", "text": "You are an agent." },
                { "type": "text", "text": self.system, "cache_control": mark }],
            "messages": messages, "tools": self.tools,
            "metadata": { "user_id": format!("user_{}", self.name) }, "stream": true
        })
        .to_string()
    }

    fn chat_request(&self) -> String {
        json!({ "model": "glim-5", "messages": self.messages, "tools": self.tools, "tool_choice": "auto",
            "stream": true, "stream_options": { "include_usage": true }, "prompt_cache_key": self.name })
        .to_string()
    }

    fn anthropic_answer(
        &mut self,
        dice: &mut Dice,
        text: &str,
        (tool, arguments): (&str, &Value),
        result: &str,
    ) -> (String, Vec<(u64, u32)>) {
        let id = format!("toolu_01{}", dice.id(22));
        let mut events = Vec::new();
        let mut event =
            |name: &str, data: Value| events.push(format!("event: {name}\ndata: {data}\n\n"));
        event(
            "message_start",
            json!({ "type": "message_start", "message": {
            "id": format!("msg_01{}", dice.id(22)), "type": "message", "role": "assistant", "model": "glim-opus-4-20260101",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": dice.below(9),
            "cache_creation_input_tokens": dice.below(5_000), "cache_read_input_tokens": dice.below(90_000),
            "output_tokens": 1, "service_tier": "standard" } } }),
        );
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 0,
            "content_block": { "type": "text", "text": "" } }),
        );
        for piece in pieces(dice, text) {
            event(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 0,
                "delta": { "type": "text_delta", "text": piece } }),
            );
        }
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 0 }));
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 1,
            "content_block": { "type": "tool_use", "id": id, "name": tool, "input": {} } }),
        );
        for piece in pieces(dice, &arguments.to_string()) {
            event(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 1,
                "delta": { "type": "input_json_delta", "partial_json": piece } }),
            );
        }
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 1 }));
        event(
            "message_delta",
            json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use",
            "stop_sequence": null }, "usage": { "output_tokens": text.len() / 4 } }),
        );
        event("message_stop", json!({ "type": "message_stop" }));
        self.messages
            .push(json!({ "role": "assistant", "content": [{ "type": "text", "text": text },
            { "type": "tool_use", "id": id, "name": tool, "input": arguments }] }));
        self.messages.push(json!({ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": id, "content": result }] }));
        timed(dice, &events)
    }

    fn chat_answer(
        &mut self,
        dice: &mut Dice,
        text: &str,
        (tool, arguments): (&str, &Value),
        result: &str,
    ) -> (String, Vec<(u64, u32)>) {
        let (id, call) = (format!("chatcmpl-{}", dice.id(29)), format!("call_{}", dice.id(24)));
        let created = 1_760_000_000 + dice.below(1_000_000);
        let mut events = Vec::new();
        let mut event = |delta: Value, finish: Value| {
            let data = json!({ "id": id, "object": "chat.completion.chunk", "created": created, "model": "glim-5-2026",
                "service_tier": "default", "system_fingerprint": null,
                "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }], "usage": null });
            events.push(format!("data: {data}\n\n"));
        };
        event(json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null);
        for piece in pieces(dice, text) {
            event(json!({ "content": piece }), Value::Null);
        }
        let head = json!({ "index": 0, "id": call, "type": "function", "function": { "name": tool, "arguments": "" } });
        event(json!({ "tool_calls": [head] }), Value::Null);
        for piece in pieces(dice, &arguments.to_string()) {
            event(
                json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] }),
                Value::Null,
            );
        }
        event(json!({}), "tool_calls".into());
        events.push("data: [DONE]\n\n".to_owned());
        self.messages.push(json!({ "role": "assistant", "content": text, "tool_calls": [{ "id": call, "type": "function",
            "function": { "name": tool, "arguments": arguments.to_string() } }] }));
        self.messages.push(json!({ "role": "tool", "tool_call_id": call, "content": result }));
        timed(dice, &events)
    }
}

/// A text as a model gives it out: a word or so at a time.
fn pieces(dice: &mut Dice, text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.between(3, 24).min(rest.len()));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces
}

/// The events in one stream, each a frame of its own.
fn timed(dice: &mut Dice, events: &[String]) -> (String, Vec<(u64, u32)>) {
    let mut at = 300_000 + dice.below(900_000) as u64;
    let frames = events.iter().map(|event| {
        let shares = (dice.below(10_000) * dice.below(10_000)) as u64;
        at += 4_000 + shares / 3_000;
        (at / 100 * 100, event.len() as u32)
    });
    (frames_text(events), frames.collect())
}

fn frames_text(events: &[String]) -> String {
    events.concat()
}

fn tool(words: &Words, dice: &mut Dice) -> Value {
    let properties: serde_json::Map<String, Value> = (0..dice.between(2, 7))
        .map(|_| {
            let kind = dice.pick(&["string", "integer", "boolean"]);
            (words.name(dice), json!({ "type": kind, "description": words.prose(dice, 90) }))
        })
        .collect();
    let required: Vec<&String> = properties.keys().take(2).collect();
    json!({ "name": words.name(dice), "description": words.prose(dice, 500),
        "input_schema": { "type": "object", "properties": properties, "required": required, "additionalProperties": false } })
}

fn captured(
    dice: &mut Dice,
    request: String,
    answer: String,
    kind: Kind,
    frames: Vec<(u64, u32)>,
) -> Captured {
    let content = |text: String| {
        let bytes = Bytes::from(text);
        BodyIn::Content(Content { outline: outline(&bytes), bytes, ..Content::default() })
    };
    let kind_of = if kind.events { "text/event-stream" } else { "application/json" };
    let (id, length) = (dice.id(20), request.len().to_string());
    let sent = [
        ("host", "127.0.0.1:8000"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "Glim/Python 2.14.0"),
        ("x-glim-lang", "python"),
        ("x-glim-runtime", "CPython"),
        ("x-glim-retry-count", "0"),
        ("authorization", "[redacted bearer 5ab1f0c2]"),
        ("content-length", &length),
    ];
    let forwarded: Vec<_> =
        [("host", "api.glim.example")].into_iter().chain(sent.into_iter().skip(1)).collect();
    let (remaining, elapsed) = (dice.below(100_000).to_string(), dice.below(4_000).to_string());
    let received = [
        ("date", "Fri, 20 Nov 2026 14:25:25 GMT"),
        ("content-type", kind_of),
        ("x-request-id", &id),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-tokens", &remaining),
        ("x-processing-ms", &elapsed),
        ("server", "cloud"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ];
    let own = format!("0199{}", dice.id(28).to_lowercase());
    let given: Vec<_> = received
        .into_iter()
        .chain([
            ("x-pinhole-id", own.as_str()),
            ("x-pinhole-upstream", "glim"),
            ("x-pinhole-attempts", "1"),
        ])
        .collect();
    let line =
        if kind.dialect == "anthropic" { "POST /v1/messages" } else { "POST /v1/chat/completions" };
    Captured {
        request: leg(line, &sent, content(request)),
        attempts: vec![AttemptIn {
            request: leg(line, &forwarded, BodyIn::Same),
            response: leg("200", &received, content(answer)),
            edits: Vec::new(),
            frames,
            untabled: 0,
            kind,
        }],
        response: leg("200", &given, BodyIn::Same),
        headers_redacted: true,
        response_frames: Vec::new(),
        response_untabled: 0,
    }
}

fn leg(line: &str, headers: &[(&str, &str)], body: BodyIn) -> LegIn {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let headers = headers.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    LegIn { line: Some(line.to_owned()), headers: Some(headers), body }
}
