//! Words of prompts and answers as attributes: JSON in the shape of the conventions' schemas, without secrets, and never
//! larger than the limit.
//!
//! Invariant: secrets are taken out before anything is cut, so that no half of one is left.

use serde_json::{Value, json};

use crate::base::coding;
use crate::dialect::messages;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::redact;
use crate::neutral::message::{Message, Part};
use crate::telemetry::model::Attributes;
use crate::telemetry::semconv as names;

/// Limit: bytes of a compressed answer once it is decoded.
const DECODED_MAX: usize = 4 * 1024 * 1024;
/// Limit: bytes of one text that are looked through for secrets; the rest is cut off.
const LOOKED_THROUGH_MAX: usize = 64 * 1024;
/// What is dropped of the end of such a text, so that no half of a secret is left of the cut.
const BEFORE_CUT: usize = 1_024;
/// Limit: bytes of all texts of an attribute that are looked through; earlier messages are dropped.
const ALL_LOOKED_THROUGH_MAX: usize = 512 * 1024;
/// Limit: messages of an attribute, and parts of one; earlier ones are dropped.
const ITEMS_MAX: usize = 256;
const CUT: &str = "… [cut]";
/// Lengths that texts are cut to, one after another, until the whole fits.
const TEXT_MAX: [usize; 6] = [16_384, 4_096, 1_024, 256, 64, 16];

/// Sets what is known of the words, each within `bytes_max`.
pub(crate) fn attributes(attributes: &mut Attributes, exchange: &Exchange, bytes_max: usize) {
    if let Some(prompt) = &exchange.prompt {
        let conversation = messages::request(exchange.dialect, prompt);
        if !conversation.system.is_empty() {
            let system = clean_parts(conversation.system);
            let fitted = fitted(&system, bytes_max, |parts, max| {
                Value::Array(parts.iter().map(|part| part_json(part, max)).collect())
            });
            attributes.set(names::SYSTEM_INSTRUCTIONS, fitted);
        }
        set_messages(attributes, names::INPUT_MESSAGES, conversation.messages, bytes_max);
    }
    if let Some(attempt) = exchange.last_attempt() {
        set_messages(attributes, names::OUTPUT_MESSAGES, answer(exchange, attempt), bytes_max);
    }
}

fn answer(exchange: &Exchange, attempt: &Attempt) -> Vec<Message> {
    let frames = &attempt.frames;
    let mut kept: Vec<u8> = frames.head().flat_map(|(_, piece)| piece.iter().copied()).collect();
    kept.extend_from_slice(frames.untimed());
    if let Some(coding) = &attempt.coding {
        kept = coding::beginning(coding, &kept, DECODED_MAX);
    }
    let mut answer = if attempt.events {
        messages::events(exchange.dialect, &kept)
    } else {
        messages::document(exchange.dialect, &kept)
    };
    for message in &mut answer {
        // Backends drop an answer without a reason, so one that was cut off has this.
        message.finish = Some(finish(message.finish.as_deref()).to_owned());
    }
    answer
}

/// The conventions' word for why an answer ended.
fn finish(reason: Option<&str>) -> &str {
    let Some(reason) = reason else { return "error" };
    match reason {
        "tool_calls" | "tool_use" | "function_call" => "tool_call",
        "end_turn" | "stop_sequence" | "STOP" | "completed" => "stop",
        "max_tokens" | "MAX_TOKENS" | "max_output_tokens" => "length",
        "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "refusal" => "content_filter",
        "failed" => "error",
        other => other,
    }
}

fn set_messages(
    attributes: &mut Attributes,
    name: &'static str,
    messages: Vec<Message>,
    bytes_max: usize,
) {
    if messages.is_empty() {
        return;
    }
    let mut room = ALL_LOOKED_THROUGH_MAX;
    // From the end: the last messages tell the most.
    let recent = messages.into_iter().rev().take(ITEMS_MAX).map_while(|mut message| {
        message.parts.drain(..message.parts.len().saturating_sub(ITEMS_MAX));
        let parts = message.parts.iter().map(|part| text_bytes(part).min(LOOKED_THROUGH_MAX));
        room = room.checked_sub(parts.sum())?;
        Some(Message { parts: clean_parts(message.parts), ..message })
    });
    let mut cleaned: Vec<Message> = recent.collect();
    cleaned.reverse();
    attributes.set(name, fitted(&cleaned, bytes_max, messages_json));
}

/// The JSON with its texts as long as fit; then without its first items, which tell the least.
fn fitted<T>(items: &[T], bytes_max: usize, json: impl Fn(&[T], usize) -> Value) -> String {
    let whole = json(items, usize::MAX).to_string();
    if whole.len() <= bytes_max {
        return whole;
    }
    for max in TEXT_MAX {
        let cut = json(items, max).to_string();
        if cut.len() <= bytes_max {
            return cut;
        }
    }
    let mut rest = items;
    while rest.len() > 1 {
        rest = &rest[rest.len().div_ceil(2)..];
        let cut = json(rest, 16).to_string();
        if cut.len() <= bytes_max {
            return cut;
        }
    }
    "[]".to_owned()
}

fn messages_json(messages: &[Message], max: usize) -> Value {
    let messages = messages.iter().map(|message| {
        let parts: Vec<Value> = message.parts.iter().map(|part| part_json(part, max)).collect();
        let mut value = json!({ "role": message.role, "parts": parts });
        if let Some(finish) = &message.finish {
            value["finish_reason"] = finish.as_str().into();
        }
        value
    });
    messages.collect()
}

fn part_json(part: &Part, max: usize) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "content": cut(text, max) }),
        Part::Reasoning(text) => json!({ "type": "reasoning", "content": cut(text, max) }),
        Part::ToolCall { id, name, arguments } => {
            let mut value = json!({ "type": "tool_call", "name": cut(name, max) });
            set_id(&mut value, id.as_ref());
            value["arguments"] = structured(arguments, max);
            value
        }
        Part::ToolResponse { id, response } => {
            let mut value = json!({ "type": "tool_call_response" });
            set_id(&mut value, id.as_ref());
            // The schema's key; an example of the same release says `result`, which backends do not know.
            value["response"] = cut(response, max).into();
            value
        }
        Part::Media { modality, mime, bytes } => {
            json!({ "type": "omitted", "modality": modality, "mime_type": mime, "bytes": bytes })
        }
        Part::Uri { modality, uri } => {
            json!({ "type": "uri", "modality": modality, "uri": cut(uri, max) })
        }
        Part::Other(kind) => json!({ "type": kind }),
    }
}

fn set_id(value: &mut Value, id: Option<&String>) {
    if let Some(id) = id {
        value["id"] = cut(id, 256).into();
    }
}

/// JSON where it is JSON and need not be cut, else text.
fn structured(text: &str, max: usize) -> Value {
    if text.len() <= max
        && let Ok(value) = serde_json::from_str(text)
    {
        return value;
    }
    cut(text, max).into()
}

/// At most about `max` bytes, ending at a character, and said so.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(max);
    format!("{}{CUT}", &text[..kept])
}

fn text_bytes(part: &Part) -> usize {
    match part {
        Part::Text(text)
        | Part::Reasoning(text)
        | Part::ToolCall { arguments: text, .. }
        | Part::ToolResponse { response: text, .. } => text.len(),
        Part::Media { .. } | Part::Uri { .. } | Part::Other(_) => 0,
    }
}

fn clean(mut text: String) -> String {
    if text.len() <= LOOKED_THROUGH_MAX {
        return redact::secrets(&text).into_owned();
    }
    text.truncate(text.floor_char_boundary(LOOKED_THROUGH_MAX));
    let mut clean = redact::secrets(&text).into_owned();
    clean.truncate(clean.floor_char_boundary(clean.len().saturating_sub(BEFORE_CUT)));
    clean + CUT
}

fn clean_parts(parts: Vec<Part>) -> Vec<Part> {
    let part = |part| match part {
        Part::Text(text) => Part::Text(clean(text)),
        Part::Reasoning(text) => Part::Reasoning(clean(text)),
        Part::ToolCall { id, name, arguments } => {
            Part::ToolCall { id, name: clean(name), arguments: clean(arguments) }
        }
        Part::ToolResponse { id, response } => Part::ToolResponse { id, response: clean(response) },
        // A query may be a signature.
        Part::Uri { modality, uri } => {
            let bare = uri.split(['?', '#']).next().unwrap_or_default().to_owned();
            Part::Uri { modality, uri: clean(bare) }
        }
        Part::Media { .. } | Part::Other(_) => part,
    };
    parts.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::exchange::fixture;
    use crate::neutral::kind::Dialect;
    use crate::telemetry::model;

    fn of(
        dialect: Dialect,
        prompt: &Value,
        answer: &[u8],
        events: bool,
        max: usize,
    ) -> Vec<(String, String)> {
        let mut exchange = fixture::exchange();
        exchange.dialect = dialect;
        exchange.prompt = Some(Bytes::from(prompt.to_string()));
        let attempt = &mut exchange.attempts[0];
        attempt.events = events;
        attempt.status = Some(StatusCode::OK);
        attempt.frames.push(1, &Bytes::copy_from_slice(answer));
        let mut set = Attributes::default();
        attributes(&mut set, &exchange, max);
        let text = |value| match value {
            model::Value::Text(text) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        set.0.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    fn events(events: &[Value]) -> Vec<u8> {
        events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
    }

    fn parsed(found: &[(String, String)], name: &str) -> Value {
        let text = found.iter().find(|(own, _)| own == name).map(|(_, text)| text.as_str());
        serde_json::from_str(text.unwrap_or("null")).unwrap()
    }

    #[test]
    fn a_chat_stream_is_put_together() {
        let prompt = json!({"messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "what is it"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJDREVG"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ]});
        let answer = events(&[
            json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
            json!({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "A "}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "cat"}}]}),
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "id": "c2", "function": {"name": "feed", "arguments": "{\"x\""}}]}}]}),
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "function": {"arguments": ":2}"}}]}}]}),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        ]);
        let found = of(Dialect::OpenAiChat, &prompt, &answer, true, 32_768);
        assert_eq!(
            parsed(&found, names::INPUT_MESSAGES),
            json!([
                {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
                {"role": "user", "parts": [
                    {"type": "text", "content": "what is it"},
                    {"type": "omitted", "modality": "image", "mime_type": "image/png", "bytes": 6}]},
                {"role": "assistant", "parts": [
                    {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}}]},
                {"role": "tool", "parts": [
                    {"type": "tool_call_response", "id": "c1", "response": "a cat"}]},
            ])
        );
        assert_eq!(
            parsed(&found, names::OUTPUT_MESSAGES),
            json!([{"role": "assistant", "finish_reason": "tool_call", "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "A cat"},
                {"type": "tool_call", "id": "c2", "name": "feed", "arguments": {"x": 2}}]}])
        );
    }

    #[test]
    fn every_dialect_is_read_whole_and_streamed() {
        let said = json!([{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]);
        let told = |finish: &str| {
            json!([{"role": "assistant", "finish_reason": finish, "parts": [
                {"type": "text", "content": "hi there"}]}])
        };
        let messages = json!({"messages": [{"role": "user", "content": "hello"}]});
        let input = json!({"instructions": "be kind", "input": "hello"});
        let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
        let cases: [(Dialect, &Value, Value, Vec<Value>); 4] = [
            (
                Dialect::OpenAiChat,
                &messages,
                json!({"choices": [{"message": {"role": "assistant", "content": "hi there"}, "finish_reason": "stop"}]}),
                vec![
                    json!({"choices": [{"index": 0, "delta": {"content": "hi "}}]}),
                    json!({"choices": [{"index": 0, "delta": {"content": "there"}, "finish_reason": "stop"}]}),
                ],
            ),
            (
                Dialect::OpenAiResponses,
                &input,
                json!({"status": "completed", "output": [
                    {"type": "message", "content": [{"type": "output_text", "text": "hi there"}]}]}),
                vec![
                    json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi "}),
                    json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "there"}),
                    json!({"type": "response.completed", "response": {"status": "completed", "output": []}}),
                ],
            ),
            (
                Dialect::Anthropic,
                &messages,
                json!({"content": [{"type": "text", "text": "hi there"}], "stop_reason": "end_turn"}),
                vec![
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi "}}),
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there"}}),
                    json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
                ],
            ),
            (
                Dialect::Gemini,
                &contents,
                json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hi there"}]}, "finishReason": "STOP"}]}),
                vec![
                    json!({"candidates": [{"content": {"parts": [{"text": "hi "}]}}]}),
                    json!({"candidates": [{"content": {"parts": [{"text": "there"}]}, "finishReason": "STOP"}]}),
                ],
            ),
        ];
        for (dialect, prompt, whole, stream) in cases {
            let document = of(dialect, prompt, whole.to_string().as_bytes(), false, 32_768);
            let streamed = of(dialect, prompt, &events(&stream), true, 32_768);
            for found in [document, streamed] {
                assert_eq!(parsed(&found, names::INPUT_MESSAGES), said, "{dialect:?}");
                assert_eq!(parsed(&found, names::OUTPUT_MESSAGES), told("stop"), "{dialect:?}");
            }
        }
    }

    #[test]
    fn secrets_are_gone_and_the_size_is_kept_whatever_is_sent() {
        let key = "sk-planted-0123456789abcdef";
        let long = format!("{key} {}{key}", "wörter ".repeat(8_190));
        let messages: Vec<Value> =
            (0..20).map(|n| json!({"role": "user", "content": format!("{n} {long}")})).collect();
        let prompt = json!({"messages": messages});
        let answer = json!({"choices": [{"message": {"content": long}, "finish_reason": "stop"}]});
        for max in [0, 2, 100, 1_000, 32_768] {
            let found = of(Dialect::OpenAiChat, &prompt, answer.to_string().as_bytes(), false, max);
            assert_eq!(found.len(), 2);
            for (name, text) in &found {
                assert!(text.len() <= max.max(2), "{name}: {} of {max}", text.len());
                assert!(!text.contains("sk-planted"), "{name}");
                let _: Value = serde_json::from_str(text).unwrap();
            }
            if max == 32_768 {
                assert!(found[1].1.contains("[redacted:api_key:") && found[1].1.contains("[cut]"));
            }
        }
    }

    #[test]
    fn anything_may_stand_in_a_body() {
        for body in [
            "",
            "[]",
            "null",
            "{\"messages\":7}",
            "{\"messages\":[7,null,[]]}",
            "{\"choices\":[{}]}",
        ] {
            for dialect in Dialect::ALL {
                for events in [false, true] {
                    let mut exchange = fixture::exchange();
                    exchange.dialect = dialect;
                    exchange.prompt = Some(Bytes::from(body));
                    let attempt = &mut exchange.attempts[0];
                    attempt.events = events;
                    attempt.frames.push(1, &Bytes::from(format!("data: {body}\n\n")));
                    let mut set = Attributes::default();
                    attributes(&mut set, &exchange, 100);
                    assert!(set.0.len() <= 3);
                }
            }
        }
    }
}
