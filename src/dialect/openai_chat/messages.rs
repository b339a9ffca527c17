//! Words of chat completions, and of the legacy completions.

use serde_json::Value;

use crate::dialect::messages::{Draft, flat, index, items, other, text};
use crate::neutral::message::{Conversation, Message, Part};

/// Places of a choice's parts: reasoning comes first, then text, then tool calls.
const REASONING: u64 = 0;
const TEXT: u64 = 1;
const TOOLS: u64 = 2;

pub(crate) fn request(body: &Value) -> Conversation {
    let mut messages: Vec<Message> = items(body, "messages").iter().map(message).collect();
    // Legacy completions: a text or a list of texts.
    match &body["prompt"] {
        Value::String(prompt) => {
            messages.push(Message::of("user", vec![Part::Text(prompt.clone())]));
        }
        Value::Array(prompts) => {
            let texts = prompts.iter().filter_map(Value::as_str);
            let parts = texts.map(|prompt| Part::Text(prompt.to_owned())).collect();
            messages.push(Message::of("user", parts));
        }
        _ => {}
    }
    Conversation { system: Vec::new(), messages }
}

fn message(message: &Value) -> Message {
    let role = match text(message, "role").unwrap_or("user") {
        "developer" => "system",
        "function" => "tool",
        role => role,
    };
    let mut parts = Vec::new();
    if let Some(reasoning) = reasoning(message) {
        parts.push(Part::Reasoning(reasoning.to_owned()));
    }
    if role == "tool" {
        let id = text(message, "tool_call_id").map(str::to_owned);
        parts.push(Part::ToolResponse { id, response: flat(&message["content"]) });
    } else {
        content(&message["content"], &mut parts);
    }
    if let Some(refusal) = text(message, "refusal") {
        parts.push(Part::Text(refusal.to_owned()));
    }
    parts.extend(items(message, "tool_calls").iter().map(tool_call));
    Message::of(role, parts)
}

fn reasoning(message: &Value) -> Option<&str> {
    text(message, "reasoning_content").or_else(|| text(message, "reasoning"))
}

fn content(content: &Value, parts: &mut Vec<Part>) {
    match content {
        Value::String(words) => parts.push(Part::Text(words.clone())),
        Value::Array(list) => parts.extend(list.iter().map(part)),
        _ => {}
    }
}

fn part(part: &Value) -> Part {
    match text(part, "type") {
        Some("text") => Part::Text(flat(&part["text"])),
        Some("refusal") => Part::Text(flat(&part["refusal"])),
        Some("image_url") => {
            let url = &part["image_url"];
            Part::of_url("image", url["url"].as_str().or(url.as_str()).unwrap_or_default())
        }
        Some("input_audio") => {
            let data = part["input_audio"]["data"].as_str().unwrap_or_default();
            Part::of_base64(Some("audio"), data)
        }
        Some("file") => match part["file"]["file_data"].as_str() {
            Some(data) => Part::of_url("file", data),
            None => other(part),
        },
        _ => other(part),
    }
}

fn tool_call(call: &Value) -> Part {
    Part::ToolCall {
        id: text(call, "id").map(str::to_owned),
        name: flat(&call["function"]["name"]),
        arguments: flat(&call["function"]["arguments"]),
    }
}

pub(crate) fn document(body: &Value) -> Vec<Message> {
    items(body, "choices")
        .iter()
        .map(|choice| {
            let mut answer = match choice.get("message") {
                Some(own) => message(own),
                None => Message::of("assistant", vec![Part::Text(flat(&choice["text"]))]),
            };
            answer.finish = text(choice, "finish_reason").map(str::to_owned);
            answer
        })
        .collect()
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    for choice in items(event, "choices") {
        let at = index(choice, "index");
        let delta = &choice["delta"];
        if let Some(more) = reasoning(delta) {
            draft.append(at, REASONING, || Part::Reasoning(String::new()), more);
        }
        let words = text(delta, "content").or_else(|| text(choice, "text"));
        if let Some(more) = words.or_else(|| text(delta, "refusal")) {
            draft.append(at, TEXT, || Part::Text(String::new()), more);
        }
        for call in items(delta, "tool_calls") {
            let begin = || Part::ToolCall {
                id: text(call, "id").map(str::to_owned),
                name: flat(&call["function"]["name"]),
                arguments: String::new(),
            };
            let more = text(&call["function"], "arguments").unwrap_or_default();
            draft.append(at, TOOLS.saturating_add(index(call, "index")), begin, more);
        }
        if let Some(reason) = text(choice, "finish_reason") {
            draft.finish(at, reason);
        }
    }
}
