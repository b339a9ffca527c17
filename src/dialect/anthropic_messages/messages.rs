//! Words of Anthropic's messages: blocks in, blocks out.

use serde_json::Value;

use crate::dialect::messages::{Draft, flat, index, items, other, text};
use crate::neutral::message::{Conversation, Message, Part};

pub(crate) fn request(body: &Value) -> Conversation {
    let messages = items(body, "messages").iter().map(message).collect();
    Conversation { system: content(&body["system"]), messages }
}

/// A message that only answers tools is the tools'.
fn message(message: &Value) -> Message {
    let parts = content(&message["content"]);
    let only_answers =
        !parts.is_empty() && parts.iter().all(|part| matches!(part, Part::ToolResponse { .. }));
    let role = if only_answers { "tool" } else { text(message, "role").unwrap_or("user") };
    Message::of(role, parts)
}

fn content(content: &Value) -> Vec<Part> {
    match content {
        Value::String(words) => vec![Part::Text(words.clone())],
        Value::Array(blocks) => blocks.iter().map(block).collect(),
        _ => Vec::new(),
    }
}

fn block(block: &Value) -> Part {
    match text(block, "type") {
        Some("text") => Part::Text(flat(&block["text"])),
        Some("thinking") => Part::Reasoning(flat(&block["thinking"])),
        Some("tool_use" | "server_tool_use") => Part::ToolCall {
            id: text(block, "id").map(str::to_owned),
            name: flat(&block["name"]),
            arguments: arguments(&block["input"]),
        },
        Some(kind) if kind.ends_with("tool_result") => Part::ToolResponse {
            id: text(block, "tool_use_id").map(str::to_owned),
            response: result(&block["content"]),
        },
        Some("image") => source("image", block),
        Some("document") => source("file", block),
        _ => other(block),
    }
}

fn arguments(input: &Value) -> String {
    match input.as_object() {
        // A stream begins each call with an empty object.
        Some(object) if object.is_empty() => String::new(),
        _ => flat(input),
    }
}

/// The words of a tool's answer; anything else in it is named.
fn result(answer: &Value) -> String {
    if let Value::String(words) = answer {
        return words.clone();
    }
    let words = content(answer).into_iter().map(|part| match part {
        Part::Text(words) => words,
        Part::Media { modality, bytes, .. } => format!("[{modality}, {bytes} bytes]"),
        _ => "[…]".to_owned(),
    });
    words.collect::<Vec<_>>().join("\n")
}

fn source(modality: &'static str, block: &Value) -> Part {
    let source = &block["source"];
    match (text(source, "type"), text(source, "url")) {
        (Some("base64"), _) => {
            Part::of_base64(text(source, "media_type"), source["data"].as_str().unwrap_or_default())
        }
        (Some("text"), _) => Part::Text(flat(&source["data"])),
        (_, Some(url)) => Part::of_url(modality, url),
        _ => other(block),
    }
}

pub(crate) fn document(body: &Value) -> Vec<Message> {
    let mut message = Message::of("assistant", content(&body["content"]));
    message.finish = text(body, "stop_reason").map(str::to_owned);
    if message.parts.is_empty() && message.finish.is_none() {
        return Vec::new();
    }
    vec![message]
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    let place = index(event, "index");
    let delta = &event["delta"];
    match text(event, "type") {
        Some("content_block_start") => draft.put(0, place, block(&event["content_block"])),
        Some("content_block_delta") => match text(delta, "type") {
            Some("text_delta") => {
                let more = text(delta, "text").unwrap_or_default();
                draft.append(0, place, || Part::Text(String::new()), more);
            }
            Some("thinking_delta") => {
                let more = text(delta, "thinking").unwrap_or_default();
                draft.append(0, place, || Part::Reasoning(String::new()), more);
            }
            Some("input_json_delta") => {
                let begin =
                    || Part::ToolCall { id: None, name: String::new(), arguments: String::new() };
                let more = text(delta, "partial_json").unwrap_or_default();
                draft.append(0, place, begin, more);
            }
            _ => {}
        },
        Some("message_delta") => {
            if let Some(reason) = text(delta, "stop_reason") {
                draft.finish(0, reason);
            }
        }
        _ => {}
    }
}
