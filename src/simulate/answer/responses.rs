//! OpenAI Responses: the response object, and the stream of numbered events that builds it.

use serde_json::{Value, json};

use super::{Beat, Event};
use crate::simulate::ask::Ask;
use crate::simulate::reply::{Call, Finish, Reply, Usage};
use crate::simulate::script::UsageMode;

/// The whole answer in one object.
pub(crate) fn plain(ask: &Ask<'_>, mut reply: Reply) -> Value {
    let id = reply.rng.id("resp_", 48);
    let output = items(ask, &mut reply);
    response(ask, &reply, &id, ending(reply.finish).1, &output)
}

/// Every output item, complete: reasoning first, then calls or the message.
fn items(ask: &Ask<'_>, reply: &mut Reply) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thoughts) = reply.thoughts() {
        let id = reply.rng.id("rs_", 48);
        items.push(reasoning(ask, &id, Some(&thoughts)));
    }
    for call in &reply.calls {
        let (id, call_id) = (reply.rng.id("fc_", 48), reply.rng.id("call_", 24));
        items.push(function_call(&id, &call_id, call, "completed"));
    }
    if reply.calls.is_empty() {
        let id = reply.rng.id("msg_", 48);
        let status = ending(reply.finish).1;
        items.push(message(&id, status, &[part(reply.refusal, &reply.words())]));
    }
    items
}

fn reasoning(ask: &Ask<'_>, id: &str, thoughts: Option<&str>) -> Value {
    let summary: Vec<Value> =
        thoughts.iter().map(|thoughts| json!({"type": "summary_text", "text": thoughts})).collect();
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if ask.encrypted {
        item["encrypted_content"] = json!("gAAAAABsimulated");
    }
    item
}

fn function_call(id: &str, call_id: &str, call: &Call, status: &str) -> Value {
    let arguments = if status == "completed" { call.text() } else { String::new() };
    json!({"id": id, "type": "function_call", "status": status, "arguments": arguments,
        "call_id": call_id, "name": call.name})
}

fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

fn part(refusal: bool, words: &str) -> Value {
    if refusal {
        json!({"type": "refusal", "refusal": words})
    } else {
        json!({"type": "output_text", "annotations": [], "logprobs": [], "text": words})
    }
}

/// The name of the last event and the status it carries.
fn ending(finish: Finish) -> (&'static str, &'static str) {
    match finish {
        Finish::Length => ("response.incomplete", "incomplete"),
        Finish::Stop | Finish::ToolCalls | Finish::Refusal => ("response.completed", "completed"),
    }
}

fn response(ask: &Ask<'_>, reply: &Reply, id: &str, status: &str, output: &[Value]) -> Value {
    let ended = status != "in_progress";
    let told = reply.told().filter(|_| ended).map(usage);
    let incomplete = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    json!({"id": id, "object": "response", "created_at": reply.created, "status": status,
        "background": false, "error": null, "incomplete_details": incomplete, "instructions": null,
        "max_output_tokens": ask.max_tokens, "model": reply.model, "output": output,
        "parallel_tool_calls": ask.parallel, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": told, "user": null, "metadata": {}})
}

fn usage(usage: Usage) -> Value {
    json!({"input_tokens": usage.input, "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output})
}

/// The answer as events, `response.completed` (or `.incomplete`) at the end.
pub(crate) fn stream(ask: &Ask<'_>, mut reply: Reply) -> Vec<Event> {
    let id = reply.rng.id("resp_", 48);
    let mut writer = Writer::default();
    let opening = response(ask, &reply, &id, "in_progress", &[]);
    writer.put("response.created", Beat::Now, json!({"response": opening}));
    writer.put("response.in_progress", Beat::Now, json!({"response": opening}));
    let output = items(ask, &mut reply);
    for (index, item) in output.iter().enumerate() {
        match item["type"].as_str() {
            Some("reasoning") => writer.reasoning(index, item, &reply),
            Some("function_call") => writer.function_call(index, item, &reply),
            _ => writer.message(index, item, &reply),
        }
        writer.put(
            "response.output_item.done",
            Beat::Now,
            json!({"output_index": index, "item": item}),
        );
    }
    let (name, status) = ending(reply.finish);
    let whole = response(ask, &reply, &id, status, &output);
    // The last event also tells usage; `late` delays it, so its beat says which.
    let beat = match reply.usage_mode {
        UsageMode::Late => Beat::Usage,
        _ => Beat::Last,
    };
    writer.put(name, beat, json!({"response": whole}));
    writer.events
}

/// Numbers the events as they are written.
#[derive(Default)]
struct Writer {
    events: Vec<Event>,
    calls: usize,
}

impl Writer {
    fn put(&mut self, name: &str, beat: Beat, mut fields: Value) {
        let mut data = json!({"type": name, "sequence_number": self.events.len()});
        if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object_mut()) {
            data.append(fields);
        }
        self.events.push(Event::named(name, &data, beat));
    }

    fn added(&mut self, index: usize, item: &Value) {
        let fields = json!({"output_index": index, "item": item});
        self.put("response.output_item.added", Beat::Now, fields);
    }

    fn reasoning(&mut self, index: usize, item: &Value, reply: &Reply) {
        let id = item["id"].clone();
        let mut empty = item.clone();
        empty["summary"] = json!([]);
        self.added(index, &empty);
        let at = |rest: Value| {
            let mut fields = json!({"item_id": id, "output_index": index, "summary_index": 0});
            merge(&mut fields, rest);
            fields
        };
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        let opening = at(json!({"part": part("")}));
        self.put("response.reasoning_summary_part.added", Beat::Now, opening);
        for token in &reply.reasoning {
            let delta = at(json!({"delta": token}));
            self.put("response.reasoning_summary_text.delta", Beat::Token, delta);
        }
        let text = reply.reasoning.concat();
        let done = at(json!({"text": text}));
        self.put("response.reasoning_summary_text.done", Beat::Now, done);
        let closing = at(json!({"part": part(&text)}));
        self.put("response.reasoning_summary_part.done", Beat::Now, closing);
    }

    fn function_call(&mut self, index: usize, item: &Value, reply: &Reply) {
        let Some(call) = reply.calls.get(self.calls) else {
            return;
        };
        self.calls += 1;
        let mut empty = item.clone();
        empty["arguments"] = json!("");
        empty["status"] = json!("in_progress");
        self.added(index, &empty);
        for piece in &call.pieces {
            self.put(
                "response.function_call_arguments.delta",
                Beat::Token,
                json!({"item_id": item["id"], "output_index": index, "delta": piece}),
            );
        }
        self.put(
            "response.function_call_arguments.done",
            Beat::Now,
            json!({"item_id": item["id"], "output_index": index, "name": call.name,
                "arguments": call.text()}),
        );
    }

    fn message(&mut self, index: usize, item: &Value, reply: &Reply) {
        let id = item["id"].clone();
        let mut empty = item.clone();
        empty["content"] = json!([]);
        empty["status"] = json!("in_progress");
        self.added(index, &empty);
        let at = |rest: Value| {
            let mut fields = json!({"item_id": id, "output_index": index, "content_index": 0});
            merge(&mut fields, rest);
            fields
        };
        let opening = at(json!({"part": part(reply.refusal, "")}));
        self.put("response.content_part.added", Beat::Now, opening);
        let (kind, field) = if reply.refusal {
            ("response.refusal", "refusal")
        } else {
            ("response.output_text", "text")
        };
        for token in &reply.text {
            let mut delta = at(json!({"delta": token}));
            if !reply.refusal {
                delta["logprobs"] = json!([]);
            }
            self.put(&format!("{kind}.delta"), Beat::Token, delta);
        }
        let mut done = at(json!({field: reply.words()}));
        if !reply.refusal {
            done["logprobs"] = json!([]);
        }
        self.put(&format!("{kind}.done"), Beat::Now, done);
        let closing = at(json!({"part": part(reply.refusal, &reply.words())}));
        self.put("response.content_part.done", Beat::Now, closing);
    }
}

fn merge(fields: &mut Value, mut rest: Value) {
    if let (Some(fields), Some(rest)) = (fields.as_object_mut(), rest.as_object_mut()) {
        fields.append(rest);
    }
}
