//! What only the provider that wrote an answer can read of it, and wants back when the conversation goes on: signed thinking of
//! Anthropic, signatures of Gemini's thoughts, encrypted reasoning of the Responses API.

use std::collections::BTreeMap;

use memchr::memmem;
use pinhole_replay::outcome::{Seal, Sealed};
use serde_json::Value;

use crate::base::sse::Splitter;
use crate::neutral::kind::Dialect;

/// Limit: bytes of one event that is read.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// Limit: pieces of one answer.
const PIECES_MAX: usize = 256;

/// What is sealed in an answer, in its order.
pub(super) fn of(dialect: Dialect, events: bool, body: &[u8]) -> Vec<Sealed> {
    let words: &[&str] = match dialect {
        Dialect::Anthropic => &["\"signature\"", "redacted_thinking"],
        Dialect::Gemini => &["thoughtSignature", "thought_signature"],
        Dialect::OpenAiResponses => &["encrypted_content"],
        Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => &[],
    };
    // Most answers have nothing of it, and are not read a second time.
    if !words.iter().any(|word| memmem::find(body, word.as_bytes()).is_some()) {
        return Vec::new();
    }
    let mut found = values(events, body);
    let mut sealed = match dialect {
        Dialect::Anthropic => anthropic(events, &found),
        Dialect::Gemini => gemini(&found),
        _ => {
            if !events {
                found = found.iter().flat_map(|body| list(body, "output")).cloned().collect();
            }
            responses(events, &found)
        }
    };
    sealed.truncate(PIECES_MAX);
    sealed
}

/// The events, or the one document; a list of documents is its items.
fn values(events: bool, body: &[u8]) -> Vec<Value> {
    if !events {
        return match serde_json::from_slice(body) {
            Ok(Value::Array(all)) => all,
            Ok(one) => vec![one],
            Err(_) => Vec::new(),
        };
    }
    let mut all = Vec::new();
    let mut splitter = Splitter::new(EVENT_BYTES_MAX);
    splitter.feed_borrowed(body, |event| all.extend(serde_json::from_slice(event.data)));
    if let Some(last) = splitter.finish() {
        all.extend(serde_json::from_slice(&last.data));
    }
    all
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Thinking is worth something to the provider only with its signature.
fn anthropic(events: bool, found: &[Value]) -> Vec<Sealed> {
    let mut blocks: BTreeMap<u64, Value> = BTreeMap::new();
    if events {
        for event in found {
            let place = event.get("index").and_then(Value::as_u64).unwrap_or_default();
            match kind(event) {
                "content_block_start" => {
                    if let Some(block) = event.get("content_block") {
                        blocks.insert(place, block.clone());
                    }
                }
                "content_block_delta" => {
                    if let (Some(delta), Some(block)) = (event.get("delta"), blocks.get_mut(&place))
                    {
                        grow(block, delta);
                    }
                }
                _ => {}
            }
        }
    } else {
        let all = found.iter().flat_map(|body| list(body, "content")).cloned();
        blocks.extend((0..).zip(all));
    }
    let mut calls = 0;
    let mut sealed = Vec::new();
    for block in blocks.into_values() {
        let is_signed =
            || block.get("signature").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
        match kind(&block) {
            "tool_use" | "server_tool_use" => calls += 1,
            "redacted_thinking" => sealed.push(Sealed { place: Seal::Before(calls), item: block }),
            "thinking" if is_signed() => {
                sealed.push(Sealed { place: Seal::Before(calls), item: block });
            }
            _ => {}
        }
    }
    sealed
}

fn grow(block: &mut Value, delta: &Value) {
    for name in ["thinking", "signature"] {
        let Some(more) = delta.get(name).and_then(Value::as_str) else { continue };
        if let Some(block) = block.as_object_mut() {
            match block.get_mut(name) {
                Some(Value::String(text)) => text.push_str(more),
                _ => {
                    block.insert(name.to_owned(), Value::from(more));
                }
            }
        }
    }
}

/// A signature stands beside the call or the text that it belongs to.
fn gemini(found: &[Value]) -> Vec<Sealed> {
    let mut calls = 0;
    let mut sealed = Vec::new();
    let first = found.iter().filter_map(|answer| list(answer, "candidates").next());
    for part in first.filter_map(|one| one.get("content")).flat_map(|one| list(one, "parts")) {
        let is_call = part.get("functionCall").or(part.get("function_call")).is_some();
        let is_thought = part.get("thought").and_then(Value::as_bool) == Some(true);
        let place = if is_call { Seal::Call(calls) } else { Seal::Text };
        calls += usize::from(is_call);
        let signature = part.get("thoughtSignature").or(part.get("thought_signature"));
        if let Some(item) = signature.filter(|it| it.is_string() && !is_thought) {
            sealed.push(Sealed { place, item: item.clone() });
        }
    }
    sealed
}

/// Items of reasoning that can be read without being stored there.
fn responses(events: bool, found: &[Value]) -> Vec<Sealed> {
    let done = |event: &Value| {
        let is_done = kind(event) == "response.output_item.done";
        is_done.then(|| event.get("item").cloned()).flatten()
    };
    let items: Vec<Value> =
        if events { found.iter().filter_map(done).collect() } else { found.to_vec() };
    let mut calls = 0;
    let mut sealed = Vec::new();
    for mut item in items {
        match kind(&item) {
            "function_call" | "custom_tool_call" => calls += 1,
            "reasoning" if item.get("encrypted_content").is_some_and(Value::is_string) => {
                if let Some(item) = item.as_object_mut() {
                    item.shift_remove("status");
                }
                sealed.push(Sealed { place: Seal::Before(calls), item });
            }
            _ => {}
        }
    }
    sealed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stream(events: &[Value]) -> Vec<u8> {
        let lines: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        lines.concat().into_bytes()
    }

    fn places(sealed: &[Sealed]) -> Vec<(Seal, &Value)> {
        sealed.iter().map(|one| (one.place, &one.item)).collect()
    }

    #[test]
    fn signed_thinking_is_kept_from_streams_and_documents() {
        let thinking = json!({"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"});
        let hidden = json!({"type": "redacted_thinking", "data": "eA=="});
        let call = json!({"type": "tool_use", "id": "t", "name": "read", "input": {}});
        let unsigned = json!({"type": "thinking", "thinking": "loud", "signature": ""});
        let want = [(Seal::Before(0), &thinking), (Seal::Before(1), &hidden)];
        let whole = json!({"content": [thinking, unsigned, call, hidden]}).to_string();
        assert_eq!(places(&of(Dialect::Anthropic, false, whole.as_bytes())), want);
        let start = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let delta =
            |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
        let body = stream(&[
            start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(json!({"type": "thinking_delta", "thinking": "Let me"})),
            delta(json!({"type": "thinking_delta", "thinking": " see."})),
            delta(json!({"type": "signature_delta", "signature": "c2ln"})),
            start(1, call),
            start(2, hidden.clone()),
        ]);
        assert_eq!(places(&of(Dialect::Anthropic, true, &body)), want);
    }

    #[test]
    fn signatures_of_gemini_stay_with_their_call_or_text() {
        let call = |signature: Option<&str>| {
            let mut part = json!({"functionCall": {"name": "read", "args": {}}});
            if let Some(signature) = signature {
                part["thoughtSignature"] = json!(signature);
            }
            part
        };
        let parts = [call(Some("a")), call(None), json!({"text": "", "thoughtSignature": "b"})];
        let event = |part: &Value| json!({"candidates": [{"content": {"parts": [part]}}]});
        let body = stream(&parts.each_ref().map(event));
        let (a, b) = (json!("a"), json!("b"));
        let want = [(Seal::Call(0), &a), (Seal::Text, &b)];
        assert_eq!(places(&of(Dialect::Gemini, true, &body)), want);
        let whole = json!({"candidates": [{"content": {"parts": parts}}]}).to_string();
        assert_eq!(places(&of(Dialect::Gemini, false, whole.as_bytes())), want);
    }

    #[test]
    fn encrypted_reasoning_is_kept_and_what_is_stored_elsewhere_is_not() {
        let item =
            json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"});
        let open = json!({"type": "reasoning", "id": "rs_2", "summary": []});
        let call =
            json!({"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"});
        let whole = json!({"output": [item, open, call]}).to_string();
        let want = [(Seal::Before(0), &item)];
        assert_eq!(places(&of(Dialect::OpenAiResponses, false, whole.as_bytes())), want);
        let done = |item: &Value| json!({"type": "response.output_item.done", "item": item});
        let body = stream(&[done(&item), done(&open), done(&call)]);
        assert_eq!(places(&of(Dialect::OpenAiResponses, true, &body)), want);
        assert!(of(Dialect::OpenAiResponses, true, b"data: {}\n\n").is_empty());
    }
}
