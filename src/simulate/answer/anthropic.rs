//! Anthropic Messages: content blocks, their events, and token counts.

use serde_json::{Value, json};

use super::{Beat, Event};
use crate::simulate::reply::{Finish, Reply, Usage};
use crate::simulate::script::UsageMode;

/// The signature of a thinking block. Clients send it back as it came.
const SIGNATURE: &str = "EqQBCkYIBxgCKkDsimulatedSignature==";

/// The whole answer in one object.
pub(crate) fn plain(mut reply: Reply) -> Value {
    let id = reply.rng.id("msg_01", 22);
    let content: Vec<Value> = blocks(&mut reply).into_iter().map(|block| block.whole).collect();
    let mut answer = json!({"id": id, "type": "message", "role": "assistant", "model": reply.model,
        "content": content, "stop_reason": stop(reply.finish), "stop_sequence": null});
    if let Some(told) = reply.told() {
        answer["usage"] = usage(told, told.output);
    }
    answer
}

/// A content block: complete, as it opens, and the deltas between.
struct Block {
    whole: Value,
    opening: Value,
    deltas: Vec<(Value, Beat)>,
}

fn blocks(reply: &mut Reply) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(thoughts) = reply.thoughts() {
        let words = reply.reasoning.iter();
        let mut deltas: Vec<_> = words
            .map(|token| (json!({"type": "thinking_delta", "thinking": token}), Beat::Token))
            .collect();
        let signature = json!({"type": "signature_delta", "signature": SIGNATURE});
        deltas.push((signature, Beat::Now));
        blocks.push(Block {
            whole: json!({"type": "thinking", "thinking": thoughts, "signature": SIGNATURE}),
            opening: json!({"type": "thinking", "thinking": "", "signature": ""}),
            deltas,
        });
    }
    if !reply.text.is_empty() {
        let words = reply.text.iter();
        blocks.push(Block {
            whole: json!({"type": "text", "text": reply.words(), "citations": null}),
            opening: json!({"type": "text", "text": ""}),
            deltas: words
                .map(|token| (json!({"type": "text_delta", "text": token}), Beat::Token))
                .collect(),
        });
    }
    for call in &reply.calls {
        let id = reply.rng.id("toolu_01", 22);
        let pieces = std::iter::once("").chain(call.pieces.iter().map(String::as_str));
        blocks.push(Block {
            whole: json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments}),
            opening: json!({"type": "tool_use", "id": id, "name": call.name, "input": {}}),
            deltas: pieces
                .map(|piece| {
                    let delta = json!({"type": "input_json_delta", "partial_json": piece});
                    (delta, Beat::Token)
                })
                .collect(),
        });
    }
    blocks
}

/// The answer as events, `message_stop` at the end.
pub(crate) fn stream(mut reply: Reply) -> Vec<Event> {
    let told = reply.told();
    let mut events = Vec::with_capacity(reply.text.len() + 8);
    let mut put = |name: &str, beat: Beat, data: Value| {
        events.push(Event::named(name, &data, beat));
    };
    let mut opening = json!({"id": reply.rng.id("msg_01", 22), "type": "message",
        "role": "assistant", "model": reply.model, "content": [], "stop_reason": null,
        "stop_sequence": null});
    if let Some(told) = told {
        opening["usage"] = usage(told, 1);
    }
    put("message_start", Beat::Now, json!({"type": "message_start", "message": opening}));
    let mut done = 0;
    for (index, block) in blocks(&mut reply).into_iter().enumerate() {
        let start =
            json!({"type": "content_block_start", "index": index, "content_block": block.opening});
        // The name of a tool is something that the model says: it takes the time of a token.
        let is_call = block.opening["type"] == "tool_use";
        put("content_block_start", if is_call { Beat::Token } else { Beat::Now }, start);
        if index == 0 {
            put("ping", Beat::Now, json!({"type": "ping"}));
        }
        for (delta, beat) in block.deltas {
            let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
            put("content_block_delta", beat, data);
            done += 1;
            if reply.usage_mode == UsageMode::Cumulative {
                let so_far = usage(reply.usage, reply.usage.so_far(done).output);
                let delta = json!({"stop_reason": null, "stop_sequence": null});
                let data = json!({"type": "message_delta", "delta": delta, "usage": so_far});
                put("message_delta", Beat::Now, data);
            }
        }
        let stop = json!({"type": "content_block_stop", "index": index});
        put("content_block_stop", Beat::Now, stop);
    }
    let delta = json!({"stop_reason": stop(reply.finish), "stop_sequence": null});
    let mut last = json!({"type": "message_delta", "delta": delta});
    if let Some(told) = told {
        last["usage"] = usage(told, told.output);
    }
    put("message_delta", Beat::Usage, last);
    put("message_stop", Beat::Last, json!({"type": "message_stop"}));
    events
}

fn stop(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Refusal => "refusal",
    }
}

/// Anthropic counts input without what the cache read or wrote.
fn usage(usage: Usage, output: u64) -> Value {
    let fresh = usage.input - usage.cached - usage.cache_write;
    json!({"input_tokens": fresh, "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached, "output_tokens": output,
        "service_tier": "standard"})
}

/// The answer of `count_tokens`.
pub(crate) fn count(input_tokens: u64) -> Value {
    json!({"input_tokens": input_tokens})
}
