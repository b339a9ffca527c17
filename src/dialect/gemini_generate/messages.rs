//! Words of Gemini's contents: parts in, candidates out.

use serde_json::Value;

use crate::dialect::messages::{Draft, flat, index, items, other, text};
use crate::neutral::message::{Conversation, Message, Part};

pub(crate) fn request(body: &Value) -> Conversation {
    let system = body.get("systemInstruction").or_else(|| body.get("system_instruction"));
    let system = system.map(parts).unwrap_or_default();
    let messages = match &body["contents"] {
        Value::Object(_) => vec![message(&body["contents"])],
        _ => items(body, "contents").iter().map(message).collect(),
    };
    Conversation { system, messages }
}

fn message(content: &Value) -> Message {
    let parts = parts(content);
    let only_answers =
        !parts.is_empty() && parts.iter().all(|part| matches!(part, Part::ToolResponse { .. }));
    let role = match text(content, "role").unwrap_or("user") {
        _ if only_answers => "tool",
        "model" => "assistant",
        role => role,
    };
    Message::of(role, parts)
}

fn parts(content: &Value) -> Vec<Part> {
    items(content, "parts").iter().map(part).collect()
}

/// A field in either of the spellings that the API takes.
fn field<'a>(value: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    value.get(camel).or_else(|| value.get(snake))
}

fn part(part: &Value) -> Part {
    if let Some(words) = part.get("text") {
        let thought = part["thought"].as_bool() == Some(true);
        let words = flat(words);
        return if thought { Part::Reasoning(words) } else { Part::Text(words) };
    }
    if let Some(call) = field(part, "functionCall", "function_call") {
        return Part::ToolCall {
            id: text(call, "id").map(str::to_owned),
            name: flat(&call["name"]),
            arguments: flat(&call["args"]),
        };
    }
    if let Some(answer) = field(part, "functionResponse", "function_response") {
        let id = text(answer, "id").or_else(|| text(answer, "name")).map(str::to_owned);
        return Part::ToolResponse { id, response: flat(&answer["response"]) };
    }
    if let Some(data) = field(part, "inlineData", "inline_data") {
        let mime = field(data, "mimeType", "mime_type").and_then(Value::as_str);
        return Part::of_base64(mime, data["data"].as_str().unwrap_or_default());
    }
    if let Some(file) = field(part, "fileData", "file_data") {
        let uri = field(file, "fileUri", "file_uri").and_then(Value::as_str).unwrap_or_default();
        return Part::of_url("file", uri);
    }
    let kind = part.as_object().and_then(|part| part.keys().next());
    kind.map_or_else(|| other(part), |kind| Part::Other(kind.chars().take(64).collect()))
}

pub(crate) fn document(body: &Value) -> Vec<Message> {
    // Without `alt=sse` a stream is one list of answers.
    if let Value::Array(answers) = body {
        let mut draft = Draft::default();
        for answer in answers {
            event(answer, &mut draft);
        }
        return draft.messages();
    }
    items(body, "candidates")
        .iter()
        .map(|candidate| {
            let mut answer = Message::of("assistant", parts(&candidate["content"]));
            answer.finish = text(candidate, "finishReason").map(str::to_owned);
            answer
        })
        .collect()
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    for candidate in items(event, "candidates") {
        let choice = index(candidate, "index");
        for part in parts(&candidate["content"]) {
            match part {
                // Texts of one kind that follow each other are one text; thoughts come before the answer.
                Part::Reasoning(more) => {
                    draft.append(choice, 0, || Part::Reasoning(String::new()), &more);
                }
                Part::Text(more) => draft.append(choice, 1, || Part::Text(String::new()), &more),
                whole => draft.put(choice, draft.next_place(choice).max(2), whole),
            }
        }
        if let Some(reason) = text(candidate, "finishReason") {
            draft.finish(choice, reason);
        }
    }
}
