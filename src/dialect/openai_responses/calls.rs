//! Tool calls of the Responses API: items `…_call` and `…_call_output`.

use serde_json::Value;

use crate::dialect::calls::{Draft, result};
use crate::dialect::messages::{flat, items, text};
use crate::neutral::call::{Call, Exchanged};

/// A call that the client answers.
fn call(item: &Value) -> Option<Call> {
    let (arguments, is_text) = match text(item, "type")? {
        "function_call" => (flat(&item["arguments"]), false),
        "custom_tool_call" => (flat(&item["input"]), true),
        "local_shell_call" | "shell_call" => (flat(&item["action"]), true),
        _ => return None,
    };
    let name = text(item, "name").or_else(|| text(item, "type")).unwrap_or_default();
    let id = text(item, "call_id").map(str::to_owned);
    Some(Call { id, name: name.to_owned(), arguments, is_text })
}

pub(crate) fn document(body: &Value, draft: &mut Draft) {
    items(body, "output").iter().filter_map(call).for_each(|call| draft.whole(call));
}

/// Each item comes once as a whole, when it is done.
pub(crate) fn event(event: &Value, draft: &mut Draft) {
    if text(event, "type") == Some("response.output_item.done")
        && let Some(call) = call(&event["item"])
    {
        draft.whole(call);
    }
}

pub(crate) fn message(item: &Value, exchanged: &mut Exchanged) {
    let kind = text(item, "type").unwrap_or("message");
    if kind.ends_with("_call_output") {
        let mut found = result(text(item, "call_id"), &item["output"]);
        found.failed |= text(item, "status") == Some("failed");
        // A shell's output is a list, each with the way it ended.
        found.failed |= items(item, "output")
            .iter()
            .filter_map(|one| one["outcome"]["exit_code"].as_i64())
            .any(|code| code != 0);
        exchanged.results.push(found);
    } else if let Some(call) = call(item) {
        exchanged.calls.push(call);
    }
}
