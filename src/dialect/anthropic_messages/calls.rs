//! Tool calls of Anthropic's messages: blocks `tool_use` and `tool_result`.

use serde_json::Value;

use crate::dialect::calls::{Draft, result};
use crate::dialect::messages::{flat, index, items, text};
use crate::neutral::call::{Call, Exchanged};

/// Tools that the provider runs itself have no arguments to check.
fn is_call(block: &Value) -> bool {
    text(block, "type") == Some("tool_use")
}

fn call(block: &Value) -> Call {
    Call {
        id: text(block, "id").map(str::to_owned),
        name: flat(&block["name"]),
        arguments: flat(&block["input"]),
        is_text: false,
    }
}

pub(crate) fn document(body: &Value, draft: &mut Draft) {
    items(body, "content").iter().filter(|block| is_call(block)).for_each(|block| {
        draft.whole(call(block));
    });
}

pub(crate) fn event(event: &Value, draft: &mut Draft) {
    let place = (0, index(event, "index"));
    match text(event, "type") {
        Some("content_block_start") if is_call(&event["content_block"]) => {
            let block = &event["content_block"];
            // A stream begins each call with an empty object; some servers send all of it here.
            let begun = block["input"].as_object().is_some_and(|input| !input.is_empty());
            let input = if begun { flat(&block["input"]) } else { String::new() };
            let (id, name) = (text(block, "id"), text(block, "name"));
            draft.piece(place, id.unwrap_or_default(), name.unwrap_or_default(), &input);
        }
        Some("content_block_delta") => {
            if let Some(more) = text(&event["delta"], "partial_json") {
                draft.piece(place, "", "", more);
            }
        }
        _ => {}
    }
}

pub(crate) fn message(message: &Value, exchanged: &mut Exchanged) {
    for block in items(message, "content") {
        if is_call(block) {
            exchanged.calls.push(call(block));
        } else if text(block, "type") == Some("tool_result") {
            let mut found = result(text(block, "tool_use_id"), &block["content"]);
            // The dialect says it itself.
            found.failed = block["is_error"].as_bool() == Some(true);
            exchanged.results.push(found);
        }
    }
}
