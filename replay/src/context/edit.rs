//! Changes of a body that are the same for every turn: a marker at its beginning, a cap on the answer, parameters.

use serde_json::{Map, Value, json};

use super::{Dialect, fault};
use crate::recording::Fault;

/// The least that the Responses API takes as a cap.
const RESPONSES_CAP_MIN: u64 = 16;

/// Parameters that Gemini keeps in `generationConfig`, by the names that the other dialects have for them.
const GEMINI_NAMES: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("max_tokens", "maxOutputTokens"),
    ("max_output_tokens", "maxOutputTokens"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("stop", "stopSequences"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("n", "candidateCount"),
];

/// Sets what stands at a path, making objects on the way; `null` takes it away.
pub(super) fn set(body: &mut Value, path: &[&str], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *body = value;
        return;
    };
    if !body.is_object() {
        if value.is_null() {
            return;
        }
        *body = Value::Object(Map::new());
    }
    let Some(object) = body.as_object_mut() else { return };
    if rest.is_empty() && value.is_null() {
        object.shift_remove(*name);
    } else if !value.is_null() || object.contains_key(*name) {
        set(object.entry(*name).or_insert(Value::Null), rest, value);
    }
}

/// Puts a parameter in the place that the dialect has for it. A dot leads into an object.
pub(super) fn override_with(dialect: Dialect, body: &mut Value, name: &str, value: &Value) {
    let is_cap = matches!(name, "max_tokens" | "max_completion_tokens" | "max_output_tokens");
    let value = value.clone();
    match dialect {
        Dialect::Chat if is_cap => set(body, &[chat_cap(body, Some(name))], value),
        Dialect::Responses if is_cap => set(body, &["max_output_tokens"], value),
        Dialect::Anthropic if is_cap => set(body, &["max_tokens"], value),
        Dialect::Responses if name == "reasoning_effort" => {
            set(body, &["reasoning", "effort"], value);
        }
        Dialect::Anthropic if name == "stop" => set(body, &["stop_sequences"], listed(value)),
        Dialect::Gemini => match GEMINI_NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, own @ "stopSequences")) => {
                set(body, &["generationConfig", own], listed(value));
            }
            Some((_, own)) => set(body, &["generationConfig", own], value),
            None => set(body, &name.split('.').collect::<Vec<_>>(), value),
        },
        _ => set(body, &name.split('.').collect::<Vec<_>>(), value),
    }
}

fn listed(value: Value) -> Value {
    if value.is_array() || value.is_null() { value } else { json!([value]) }
}

/// The name under which a chat request has its cap: the one it uses, else the one that was asked for, else the newer.
fn chat_cap(body: &Value, asked: Option<&str>) -> &'static str {
    let has = |name: &str| body.get(name).is_some();
    let asked_for_old = asked == Some("max_tokens") && !has("max_completion_tokens");
    if has("max_tokens") || asked_for_old { "max_tokens" } else { "max_completion_tokens" }
}

/// Lets the answer be no longer than this, and forces it to be as long where that can be said.
pub(super) fn cap(dialect: Dialect, body: &mut Value, tokens: u64, forced: bool) {
    let path: &[&str] = match dialect {
        Dialect::Chat => &[chat_cap(body, None)],
        Dialect::Responses => &["max_output_tokens"],
        Dialect::Anthropic => &["max_tokens"],
        Dialect::Gemini => &["generationConfig", "maxOutputTokens"],
    };
    let found = path.iter().try_fold(&*body, |value, name| value.get(name));
    let asked = found.and_then(Value::as_u64).unwrap_or(u64::MAX);
    let least = match dialect {
        Dialect::Responses => RESPONSES_CAP_MIN,
        // Anthropic refuses a cap that does not leave room for the thinking that is asked for.
        Dialect::Anthropic => body
            .pointer("/thinking/budget_tokens")
            .and_then(Value::as_u64)
            .map_or(1, |budget| budget + 1),
        Dialect::Chat | Dialect::Gemini => 1,
    };
    let tokens = tokens.max(least).min(asked);
    set(body, path, Value::from(tokens));
    if forced && dialect == Dialect::Chat {
        set(body, &["min_tokens"], Value::from(tokens));
        set(body, &["ignore_eos"], Value::from(true));
    }
}

/// Puts a text that was never sent before where the provider begins to read: the first tool, which stands before everything
/// else in its prompt, and the system prompt or the first message.
pub(super) fn mark(dialect: Dialect, body: &mut Value, marker: &str) -> Result<(), Fault> {
    let marker = format!("[{marker}]\n");
    let tool = match dialect {
        Dialect::Chat => "/tools/0/function",
        Dialect::Responses | Dialect::Anthropic => "/tools/0",
        Dialect::Gemini => "/tools/0/functionDeclarations/0",
    };
    if let Some(Value::Object(tool)) = body.pointer_mut(tool)
        && let Some(Value::String(description)) = tool.get_mut("description")
    {
        description.insert_str(0, &marker);
    }
    let places: &[&str] = match dialect {
        Dialect::Chat => &["/messages/0/content"],
        Dialect::Responses => &["/instructions", "/input"],
        Dialect::Anthropic => &["/system", "/messages/0/content"],
        Dialect::Gemini => {
            &["/systemInstruction/parts", "/system_instruction/parts", "/contents/0/parts"]
        }
    };
    for place in places {
        if let Some(content) = body.pointer_mut(place)
            && put_first(dialect, content, &marker)
        {
            return Ok(());
        }
    }
    Err(fault("not_editable", "there is no message that a marker could be put before"))
}

fn put_first(dialect: Dialect, content: &mut Value, marker: &str) -> bool {
    match content {
        Value::String(text) => {
            text.insert_str(0, marker);
            true
        }
        Value::Array(parts) => {
            let part = match dialect {
                Dialect::Gemini => json!({"text": marker}),
                Dialect::Responses => {
                    match parts.first_mut().and_then(|item| item.get_mut("content")) {
                        Some(Value::String(text)) => {
                            text.insert_str(0, marker);
                            return true;
                        }
                        Some(Value::Array(inner)) => {
                            inner.insert(0, json!({"type": "input_text", "text": marker}));
                            return true;
                        }
                        _ => json!({"role": "user", "content": marker}),
                    }
                }
                Dialect::Chat | Dialect::Anthropic => json!({"type": "text", "text": marker}),
            };
            parts.insert(0, part);
            true
        }
        _ => false,
    }
}
