//! Gemini: candidates of parts, streamed as events or as one JSON array, and token counts.

use serde_json::{Map, Value, json};

use super::{Beat, Event};
use crate::simulate::ask::Ask;
use crate::simulate::reply::{Finish, Reply, Usage};
use crate::simulate::script::UsageMode;

/// The whole answer in one object.
pub(crate) fn plain(mut reply: Reply) -> Value {
    let id = reply.rng.id("", 22);
    let mut parts = Vec::new();
    if let Some(thoughts) = reply.thoughts() {
        parts.push(json!({"text": thoughts, "thought": true}));
    }
    if !reply.text.is_empty() && !reply.refusal {
        parts.push(json!({"text": reply.words()}));
    }
    parts.extend(calls(&mut reply));
    let told = reply.told();
    chunk(&reply, &id, &parts, Some(reply.finish), told)
}

fn calls(reply: &mut Reply) -> Vec<Value> {
    let signed = !reply.reasoning.is_empty();
    let mut parts = Vec::with_capacity(reply.calls.len());
    for call in &reply.calls {
        let id = reply.rng.id("", 16);
        let mut part =
            json!({"functionCall": {"id": id, "name": call.name, "args": call.arguments}});
        if signed {
            part["thoughtSignature"] = json!("c2ltdWxhdGVk");
        }
        parts.push(part);
    }
    parts
}

/// One `GenerateContentResponse`; without a finish it is a piece of a stream.
fn chunk(
    reply: &Reply,
    id: &str,
    parts: &[Value],
    finish: Option<Finish>,
    told: Option<Usage>,
) -> Value {
    let mut candidate = Map::new();
    if !parts.is_empty() || finish != Some(Finish::Refusal) {
        candidate.insert("content".into(), json!({"parts": parts, "role": "model"}));
    }
    if let Some(finish) = finish {
        let reason = match finish {
            Finish::Stop | Finish::ToolCalls => "STOP",
            Finish::Length => "MAX_TOKENS",
            Finish::Refusal => "SAFETY",
        };
        candidate.insert("finishReason".into(), json!(reason));
    }
    candidate.insert("index".into(), json!(0));
    let mut answer = json!({"candidates": [candidate]});
    if let Some(told) = told {
        answer["usageMetadata"] = usage(told);
    }
    answer["modelVersion"] = json!(reply.model);
    answer["responseId"] = json!(id);
    answer
}

/// Gemini counts thoughts beside the candidates, not in them, and leaves zeros out.
fn usage(usage: Usage) -> Value {
    let mut told = json!({"promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.input + usage.output});
    if usage.reasoning > 0 {
        told["thoughtsTokenCount"] = json!(usage.reasoning);
    }
    if usage.cached > 0 {
        told["cachedContentTokenCount"] = json!(usage.cached);
    }
    told["promptTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": usage.input}]);
    told
}

/// The answer as events, or as the elements of one array. Usage grows with each, as Gemini's does.
pub(crate) fn stream(ask: &Ask<'_>, mut reply: Reply) -> Vec<Event> {
    let chunks = chunks(&mut reply);
    let last = chunks.len().saturating_sub(1);
    let write = |(position, chunk): (usize, Value)| {
        let beat = match (position == last, reply.usage_mode) {
            (true, UsageMode::Late) => Beat::Usage,
            (true, _) => Beat::Last,
            _ => Beat::Token,
        };
        if !ask.array {
            return Event { text: format!("data: {chunk}\r\n\r\n"), beat };
        }
        let open = if position == 0 { "[" } else { ",\r\n" };
        Event::raw(format!("{open}{chunk}"), beat)
    };
    let mut events: Vec<Event> = chunks.into_iter().enumerate().map(write).collect();
    if ask.array {
        events.push(Event::raw("]", Beat::Last));
    }
    events
}

fn chunks(reply: &mut Reply) -> Vec<Value> {
    let id = reply.rng.id("", 22);
    let calls = calls(reply);
    let thoughts = reply.reasoning.iter();
    let mut parts: Vec<Value> =
        thoughts.map(|token| json!({"text": token, "thought": true})).collect();
    if !reply.refusal {
        parts.extend(reply.text.iter().map(|token| json!({"text": token})));
    }
    let told = |done: u64| match reply.usage_mode {
        UsageMode::Absent | UsageMode::Late => None,
        UsageMode::Present | UsageMode::Cumulative => Some(reply.usage.so_far(done)),
    };
    let mut chunks: Vec<Value> = parts
        .into_iter()
        .enumerate()
        .map(|(position, part)| chunk(reply, &id, &[part], None, told(position as u64 + 1)))
        .collect();
    for call in calls {
        let done = chunks.len() as u64 + 1;
        chunks.push(chunk(reply, &id, &[call], None, told(done)));
    }
    let end = if reply.refusal { Vec::new() } else { vec![json!({"text": ""})] };
    chunks.push(chunk(reply, &id, &end, Some(reply.finish), reply.told()));
    chunks
}

/// The answer of `countTokens`.
pub(crate) fn count(input_tokens: u64) -> Value {
    json!({"totalTokens": input_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input_tokens}]})
}
