//! Tool calls of Gemini's contents: `functionCall` and `functionResponse`, linked by name where there is no id.

use serde_json::Value;

use crate::dialect::calls::{Draft, result};
use crate::dialect::messages::{flat, items, text};
use crate::neutral::call::{Call, Exchanged};

fn call(part: &Value) -> Option<Call> {
    let call = part.get("functionCall").or_else(|| part.get("function_call"))?;
    Some(Call {
        id: text(call, "id").map(str::to_owned),
        name: flat(&call["name"]),
        arguments: flat(&call["args"]),
        is_text: false,
    })
}

/// Without `alt=sse` a stream is one list of answers.
pub(crate) fn document(body: &Value, draft: &mut Draft) {
    match body {
        Value::Array(answers) => answers.iter().for_each(|answer| event(answer, draft)),
        answer => event(answer, draft),
    }
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    let event = event.get("response").unwrap_or(event);
    for candidate in items(event, "candidates") {
        let parts = items(&candidate["content"], "parts");
        parts.iter().filter_map(call).for_each(|call| draft.whole(call));
    }
}

pub(crate) fn message(content: &Value, exchanged: &mut Exchanged) {
    for part in items(content, "parts") {
        if let Some(call) = call(part) {
            exchanged.calls.push(call);
        } else if let Some(answer) =
            part.get("functionResponse").or_else(|| part.get("function_response"))
        {
            let response = &answer["response"];
            let said = response.get("output").filter(|output| output.is_string());
            let mut found = result(text(answer, "id"), said.unwrap_or(response));
            found.name = text(answer, "name").map(str::to_owned);
            // Google's own word for a tool that failed: a member `error` in place of `output`.
            found.failed |= match &response["error"] {
                Value::Null | Value::Bool(false) => false,
                Value::String(error) => !error.is_empty(),
                _ => response.get("output").is_none(),
            };
            exchanged.results.push(found);
        }
    }
}
