//! Words of the Responses API: items in, items out.

use serde_json::Value;

use crate::dialect::messages::{Draft, flat, index, items, other, text};
use crate::neutral::message::{Conversation, Message, Part};

pub(crate) fn request(body: &Value) -> Conversation {
    let system = text(body, "instructions").map(|words| Part::Text(words.to_owned()));
    let messages = match &body["input"] {
        Value::String(words) => vec![Message::of("user", vec![Part::Text(words.clone())])],
        _ => items(body, "input").iter().map(message).collect(),
    };
    Conversation { system: system.into_iter().collect(), messages }
}

fn message(item: &Value) -> Message {
    match text(item, "type").unwrap_or("message") {
        "message" => {
            let role = match text(item, "role").unwrap_or("user") {
                "developer" => "system",
                role => role,
            };
            Message::of(role, content(&item["content"]))
        }
        kind if kind.ends_with("_call_output") => {
            let id = text(item, "call_id").map(str::to_owned);
            Message::of("tool", vec![Part::ToolResponse { id, response: flat(&item["output"]) }])
        }
        _ => Message::of("assistant", vec![part_of_item(item)]),
    }
}

fn content(content: &Value) -> Vec<Part> {
    match content {
        Value::String(words) => vec![Part::Text(words.clone())],
        Value::Array(list) => list.iter().map(part).collect(),
        _ => Vec::new(),
    }
}

fn part(part: &Value) -> Part {
    match text(part, "type") {
        Some("input_text" | "output_text" | "text") => Part::Text(flat(&part["text"])),
        Some("refusal") => Part::Text(flat(&part["refusal"])),
        Some("input_image") => match text(part, "image_url") {
            Some(url) => Part::of_url("image", url),
            None => other(part),
        },
        Some("input_file") => match (text(part, "file_data"), text(part, "file_url")) {
            (Some(data), _) | (None, Some(data)) => Part::of_url("file", data),
            (None, None) => other(part),
        },
        _ => other(part),
    }
}

/// An item of an answer that is no message.
fn part_of_item(item: &Value) -> Part {
    match text(item, "type") {
        Some("function_call") => Part::ToolCall {
            id: text(item, "call_id").map(str::to_owned),
            name: flat(&item["name"]),
            arguments: flat(&item["arguments"]),
        },
        Some("custom_tool_call") => Part::ToolCall {
            id: text(item, "call_id").map(str::to_owned),
            name: flat(&item["name"]),
            arguments: flat(&item["input"]),
        },
        Some("reasoning") => {
            let texts = items(item, "content").iter().chain(items(item, "summary"));
            let texts: Vec<String> = texts.map(|one| flat(&one["text"])).collect();
            Part::Reasoning(texts.join("\n"))
        }
        _ => other(item),
    }
}

/// One message: the whole output is one choice.
pub(crate) fn document(body: &Value) -> Vec<Message> {
    let mut parts = Vec::new();
    for item in items(body, "output") {
        match text(item, "type") {
            Some("message") => parts.extend(content(&item["content"])),
            _ => parts.push(part_of_item(item)),
        }
    }
    if parts.is_empty() {
        return Vec::new();
    }
    let mut message = Message::of("assistant", parts);
    message.finish = finish(body).map(str::to_owned);
    vec![message]
}

/// The API has no reason of its own: a whole answer stopped, or called tools.
fn finish(body: &Value) -> Option<&str> {
    match text(body, "status") {
        Some("completed") => {
            let calls = items(body, "output").iter().any(|item| {
                matches!(text(item, "type"), Some("function_call" | "custom_tool_call"))
            });
            Some(if calls { "tool_calls" } else { "stop" })
        }
        Some("incomplete") => text(&body["incomplete_details"], "reason").or(Some("incomplete")),
        Some(other) => Some(other),
        None => None,
    }
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    // Places: output item by content part.
    let place =
        index(event, "output_index").saturating_mul(64) + index(event, "content_index").min(63);
    let more = text(event, "delta").unwrap_or_default();
    match text(event, "type") {
        Some("response.output_text.delta" | "response.refusal.delta") => {
            draft.append(0, place, || Part::Text(String::new()), more);
        }
        Some("response.reasoning_text.delta" | "response.reasoning_summary_text.delta") => {
            draft.append(0, place, || Part::Reasoning(String::new()), more);
        }
        Some("response.output_item.added") => {
            let item = &event["item"];
            if matches!(text(item, "type"), Some("function_call" | "custom_tool_call")) {
                draft.put(0, place, part_of_item(item));
            }
        }
        Some(
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta",
        ) => {
            let begin =
                || Part::ToolCall { id: None, name: String::new(), arguments: String::new() };
            draft.append(0, place, begin, more);
        }
        Some("response.completed" | "response.incomplete" | "response.failed") => {
            if let Some(reason) = finish(&event["response"]) {
                draft.finish(0, reason);
            }
        }
        _ => {}
    }
}
