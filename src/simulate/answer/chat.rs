//! OpenAI chat completions, and the legacy completions beside them.

use serde_json::{Map, Value, json};

use super::{Beat, Event};
use crate::simulate::ask::Ask;
use crate::simulate::reply::{Finish, Reply, Usage};
use crate::simulate::script::UsageMode;

/// The whole answer in one object.
pub(crate) fn plain(ask: &Ask<'_>, mut reply: Reply) -> Value {
    let id = reply.rng.id("chatcmpl-", 29);
    let message = message(&mut reply);
    let choices: Vec<Value> = (0..ask.choices)
        .map(|index| {
            json!({"index": index, "message": message, "logprobs": null,
                "finish_reason": finish(reply.finish)})
        })
        .collect();
    let mut answer = json!({"id": id, "object": "chat.completion", "created": reply.created,
        "model": reply.model, "choices": choices});
    if let Some(told) = reply.told() {
        answer["usage"] = usage(told);
    }
    answer["service_tier"] = json!("default");
    answer["system_fingerprint"] = json!("fp_simulated");
    answer
}

fn message(reply: &mut Reply) -> Value {
    let spoken = !reply.refusal && reply.calls.is_empty();
    let mut message = json!({"role": "assistant", "content": spoken.then(|| reply.words()),
        "refusal": reply.refusal.then(|| reply.words()), "annotations": []});
    if let Some(thoughts) = reply.thoughts() {
        message["reasoning_content"] = json!(thoughts);
    }
    if !reply.calls.is_empty() {
        let rng = &mut reply.rng;
        let calls = reply.calls.iter().map(|call| {
            json!({"id": rng.id("call_", 24), "type": "function",
                "function": {"name": call.name, "arguments": call.text()}})
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

/// The answer as events, `[DONE]` at the end.
pub(crate) fn stream(ask: &Ask<'_>, mut reply: Reply) -> Vec<Event> {
    let writer = Writer {
        id: reply.rng.id("chatcmpl-", 29),
        created: reply.created,
        model: reply.model.clone(),
        null_usage: ask.include_usage,
    };
    let mut events = Vec::with_capacity(reply.text.len() * ask.choices + 8);
    for index in 0..ask.choices {
        let first = json!({"role": "assistant", "content": "", "refusal": null});
        events.push(writer.event(index, &first, None, Beat::Now));
        for token in &reply.reasoning {
            let delta = json!({"reasoning_content": token});
            events.push(writer.event(index, &delta, None, Beat::Token));
        }
        let field = if reply.refusal { "refusal" } else { "content" };
        for token in &reply.text {
            events.push(writer.event(index, &json!({field: token}), None, Beat::Token));
        }
        calls(&writer, index, &mut reply, &mut events);
        let reason = finish(reply.finish);
        events.push(writer.event(index, &json!({}), Some(reason), Beat::Now));
    }
    tell_usage(ask, &writer, &reply, &mut events);
    events.push(Event::raw("data: [DONE]\n\n", Beat::Last));
    events
}

fn calls(writer: &Writer, index: usize, reply: &mut Reply, events: &mut Vec<Event>) {
    for (position, call) in reply.calls.iter().enumerate() {
        let id = reply.rng.id("call_", 24);
        let opening = json!({"tool_calls": [{"index": position, "id": id, "type": "function",
            "function": {"name": call.name, "arguments": ""}}]});
        events.push(writer.event(index, &opening, None, Beat::Token));
        for piece in &call.pieces {
            let delta =
                json!({"tool_calls": [{"index": position, "function": {"arguments": piece}}]});
            events.push(writer.event(index, &delta, None, Beat::Token));
        }
    }
}

fn tell_usage(ask: &Ask<'_>, writer: &Writer, reply: &Reply, events: &mut Vec<Event>) {
    match reply.usage_mode {
        UsageMode::Cumulative => grow(reply.usage, events),
        UsageMode::Present | UsageMode::Late if ask.include_usage => {
            let mut chunk = writer.envelope();
            chunk.insert("choices".into(), json!([]));
            chunk.insert("usage".into(), usage(reply.usage));
            events.push(Event::data(&Value::Object(chunk), Beat::Usage));
        }
        UsageMode::Present | UsageMode::Late | UsageMode::Absent => {}
    }
}

/// Writes events of one answer: all share id, time and model.
struct Writer {
    id: String,
    created: u64,
    model: String,
    /// With `include_usage`, every other event says `"usage": null`.
    null_usage: bool,
}

impl Writer {
    fn envelope(&self) -> Map<String, Value> {
        let mut envelope = Map::new();
        envelope.insert("id".into(), json!(self.id));
        envelope.insert("object".into(), json!("chat.completion.chunk"));
        envelope.insert("created".into(), json!(self.created));
        envelope.insert("model".into(), json!(self.model));
        envelope.insert("service_tier".into(), json!("default"));
        envelope.insert("system_fingerprint".into(), json!("fp_simulated"));
        envelope
    }

    fn event(&self, index: usize, delta: &Value, finish: Option<&str>, beat: Beat) -> Event {
        let mut envelope = self.envelope();
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        envelope.insert("choices".into(), json!([choice]));
        if self.null_usage {
            envelope.insert("usage".into(), Value::Null);
        }
        Event::data(&Value::Object(envelope), beat)
    }
}

/// Puts a growing usage into every event, as some compatible providers do.
fn grow(total: Usage, events: &mut [Event]) {
    let mut done = 0;
    let last = events.len().saturating_sub(1);
    for (position, event) in events.iter_mut().enumerate() {
        done += u64::from(event.beat == Beat::Token);
        let so_far = if position == last { total } else { total.so_far(done) };
        let object = event.text.trim_end().trim_start_matches("data: ");
        if let Ok(mut chunk) = serde_json::from_str::<Value>(object) {
            chunk["usage"] = usage(so_far);
            *event = Event::data(&chunk, event.beat);
        }
    }
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

fn usage(usage: Usage) -> Value {
    json!({"prompt_tokens": usage.input, "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}})
}

/// A legacy completion in one object.
pub(crate) fn legacy_plain(ask: &Ask<'_>, mut reply: Reply) -> Value {
    let id = reply.rng.id("cmpl-", 29);
    let choices: Vec<Value> = (0..ask.choices)
        .map(|index| {
            json!({"index": index, "text": reply.words(), "logprobs": null,
                "finish_reason": finish(reply.finish)})
        })
        .collect();
    let mut answer = json!({"id": id, "object": "text_completion", "created": reply.created,
        "model": reply.model, "choices": choices});
    if let Some(told) = reply.told() {
        answer["usage"] = usage(told);
    }
    answer
}

/// A legacy completion as events.
pub(crate) fn legacy_stream(ask: &Ask<'_>, mut reply: Reply) -> Vec<Event> {
    let id = reply.rng.id("cmpl-", 29);
    let chunk = |choices: Value, told: Value| {
        let mut chunk = json!({"id": id, "object": "text_completion", "created": reply.created,
            "model": reply.model, "choices": choices});
        if ask.include_usage {
            chunk["usage"] = told;
        }
        chunk
    };
    let mut events = Vec::new();
    for index in 0..ask.choices {
        for token in &reply.text {
            let choice =
                json!([{"index": index, "text": token, "logprobs": null, "finish_reason": null}]);
            events.push(Event::data(&chunk(choice, Value::Null), Beat::Token));
        }
        let choice = json!([{"index": index, "text": "", "logprobs": null,
            "finish_reason": finish(reply.finish)}]);
        events.push(Event::data(&chunk(choice, Value::Null), Beat::Now));
    }
    if let Some(told) = reply.told().filter(|_| ask.include_usage) {
        events.push(Event::data(&chunk(json!([]), usage(told)), Beat::Usage));
    }
    events.push(Event::raw("data: [DONE]\n\n", Beat::Last));
    events
}
