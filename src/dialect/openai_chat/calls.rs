//! Tool calls of chat completions: `tool_calls`, and messages of role `tool`.

use serde_json::Value;

use crate::dialect::calls::{Draft, result};
use crate::dialect::messages::{flat, index, items, text};
use crate::neutral::call::{Call, Exchanged};

/// A call in `tool_calls`, of a function or of a custom tool, or the one in the older `function_call`.
fn call(given: &Value) -> Call {
    let id = text(given, "id").map(str::to_owned);
    if let Some(custom) = given.get("custom") {
        let (name, arguments) = (flat(&custom["name"]), flat(&custom["input"]));
        return Call { id, name, arguments, is_text: true };
    }
    let function = given.get("function").unwrap_or(given);
    Call {
        id,
        name: flat(&function["name"]),
        arguments: flat(&function["arguments"]),
        is_text: false,
    }
}

fn calls(message: &Value) -> Vec<Call> {
    let older = message.get("function_call").filter(|call| call.is_object());
    items(message, "tool_calls").iter().chain(older).map(call).collect()
}

pub(crate) fn document(body: &Value, draft: &mut Draft) {
    for choice in items(body, "choices") {
        for call in calls(&choice["message"]) {
            draft.whole(call);
        }
    }
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    for choice in items(event, "choices") {
        let at = index(choice, "index");
        for given in items(&choice["delta"], "tool_calls") {
            let call = call(given);
            if !call.is_text {
                let id = call.id.as_deref().unwrap_or_default();
                draft.piece((at, index(given, "index")), id, &call.name, &call.arguments);
            }
        }
    }
}

pub(crate) fn message(message: &Value, exchanged: &mut Exchanged) {
    match text(message, "role") {
        Some("tool" | "function") => {
            let mut found = result(text(message, "tool_call_id"), &message["content"]);
            found.name = text(message, "name").map(str::to_owned);
            exchanged.results.push(found);
        }
        _ => exchanged.calls.extend(calls(message)),
    }
}
