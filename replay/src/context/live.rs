//! Feeds a target's own answers on: in a recorded history the recorded answers are replaced by those that the target gave, and
//! recorded results of tools are given to its calls of the same tools.
//!
//! ```text
//!  recorded   user · [call a #1, call b #2] · result #1 · result #2 · [text] · user
//!  live              [call b ?0]                                               the target called b alone
//!  sent       user · [call b ?0]            · result #2 as of ?0    · …
//! ```
//!
//! An answer is found again by what was said before it: everything that is not the model's, without marks for caches. So
//! branches of one session do not take each other's answers, and a history that begins in the middle keeps what was recorded.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{BRANCH_STOPPED, Dialect, fault};
use crate::outcome::{Answer, Call, Outcome, Seal};
use crate::recording::Fault;

/// What had been said when an answer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// The answers of one target to one session. Clones share the texts.
#[derive(Debug, Clone, Default)]
pub struct History {
    answers: HashMap<Key, Result<Arc<Answer>, Arc<str>>>,
}

impl History {
    pub fn keep(&mut self, key: Key, outcome: &Outcome) {
        let answer = match &outcome.error {
            None if outcome.is_good() => Ok(Arc::new(outcome.answer.clone())),
            Some(fault) => Err(Arc::from(format!("an earlier turn failed: {}", fault.kind))),
            None => Err(Arc::from("an earlier turn failed")),
        };
        self.answers.insert(key, answer);
    }

    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

fn stopped(why: impl Into<String>) -> Fault {
    fault(BRANCH_STOPPED, why)
}

/// A call in the recorded history.
struct Asked {
    id: String,
    name: String,
}

/// What the model said, and what came before it said more.
#[derive(Default)]
struct Turn {
    model: Vec<Value>,
    then: Vec<Value>,
}

/// Puts the answers of the history in the body's, and says under which key this request's own answer is to be kept.
pub(super) fn feed(dialect: Dialect, body: &mut Value, history: &History) -> Result<Key, Fault> {
    if body.get("previous_response_id").is_some_and(|id| !id.is_null()) {
        return Err(stopped("the request goes on from an answer that only its provider has"));
    }
    let list = match dialect {
        Dialect::Chat | Dialect::Anthropic => "messages",
        Dialect::Responses => "input",
        Dialect::Gemini => "contents",
    };
    let mut said = blake3::Hasher::new();
    let Some(place) = body.get_mut(list) else {
        return Ok(Key(*said.finalize().as_bytes()));
    };
    let Value::Array(items) = place else {
        said.update(place.to_string().as_bytes());
        return Ok(Key(*said.finalize().as_bytes()));
    };
    let mut fed = Vec::with_capacity(items.len());
    for (number, turn) in turns(dialect, std::mem::take(items)).into_iter().enumerate() {
        let key = Key(*said.finalize().as_bytes());
        if !turn.model.is_empty() {
            said.update(b"\nmodel\n");
        }
        for item in &turn.then {
            said.update(canonical(item).as_bytes());
            said.update(b"\n");
        }
        match history.answers.get(&key) {
            Some(answer) if !turn.model.is_empty() => {
                let answer = answer.as_ref().map_err(|why| stopped(why.to_string()))?;
                replace(dialect, turn, answer, number, &mut fed)?;
            }
            _ => fed.extend(turn.model.into_iter().chain(turn.then)),
        }
    }
    *place = Value::Array(fed);
    Ok(Key(*said.finalize().as_bytes()))
}

fn turns(dialect: Dialect, items: Vec<Value>) -> Vec<Turn> {
    let mut turns = vec![Turn::default()];
    for item in items {
        let is_model = is_model(dialect, &item);
        if is_model && turns.last().is_some_and(|turn| !turn.then.is_empty()) {
            turns.push(Turn::default());
        }
        if let Some(turn) = turns.last_mut() {
            if is_model { turn.model.push(item) } else { turn.then.push(item) }
        }
    }
    turns
}

fn is_model(dialect: Dialect, item: &Value) -> bool {
    let role = item.get("role").and_then(Value::as_str);
    match dialect {
        Dialect::Chat | Dialect::Anthropic => role == Some("assistant"),
        Dialect::Gemini => role == Some("model"),
        Dialect::Responses => match item.get("type").and_then(Value::as_str) {
            None | Some("message") => role == Some("assistant"),
            Some(kind) => kind == "reasoning" || kind.ends_with("_call"),
        },
    }
}

/// An item as it is compared: marks for caches come and go between turns, and a text may be written as a list of one.
fn canonical(item: &Value) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.shift_remove("cache_control");
                if let Some(content) = object.get_mut("content")
                    && let Value::String(text) = content
                {
                    *content = json!([{"type": "text", "text": text}]);
                }
                object.values_mut().for_each(strip);
                object.sort_keys();
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut item = item.clone();
    strip(&mut item);
    item.to_string()
}

/// One turn with the target's answer in place of the recorded one.
fn replace(
    dialect: Dialect,
    turn: Turn,
    answer: &Answer,
    number: usize,
    fed: &mut Vec<Value>,
) -> Result<(), Fault> {
    if answer.text.is_empty() && answer.calls.is_empty() {
        return Err(stopped("the target's answer is empty where the recording goes on"));
    }
    let mut asked = Vec::new();
    for item in &turn.model {
        calls(dialect, item, &mut asked);
    }
    let mut with_result = vec![false; asked.len()];
    for item in &turn.then {
        remap(dialect, item.clone(), &mut |id| {
            claim(&asked, id, &mut with_result);
            None
        });
    }
    let ids: Vec<String> =
        (0..answer.calls.len()).map(|at| format!("call_live_{number}_{at}")).collect();
    let given = pair(&asked, &with_result, &answer.calls)?;
    fed.extend(said(dialect, answer, &ids, &turn.model)?);
    let mut used = vec![false; asked.len()];
    let before = fed.len();
    let had_more = !turn.then.is_empty();
    for item in turn.then {
        fed.extend(remap(dialect, item, &mut |id| {
            let live = claim(&asked, id, &mut used).and_then(|at| given.get(at).copied().flatten());
            live.and_then(|at| ids.get(at).cloned())
        }));
    }
    if had_more && fed.len() == before {
        return Err(stopped(
            "the target's answer calls no tool where the recording goes on with results",
        ));
    }
    Ok(())
}

/// The first call with this id (or name, where calls have no ids) that was not claimed before.
fn claim(asked: &[Asked], id: &str, claimed: &mut [bool]) -> Option<usize> {
    let at = asked
        .iter()
        .zip(claimed.iter())
        .position(|(call, is_claimed)| call.id == id && !is_claimed)?;
    *claimed.get_mut(at)? = true;
    Some(at)
}

/// For each recorded call the live one that gets its result: the n-th of a name gets that of the n-th of the name.
fn pair(asked: &[Asked], with_result: &[bool], live: &[Call]) -> Result<Vec<Option<usize>>, Fault> {
    let mut given: Vec<Option<usize>> = vec![None; asked.len()];
    for (number, call) in live.iter().enumerate() {
        let free = asked.iter().zip(with_result).zip(given.iter_mut()).find(
            |((recorded, has_result), taken)| {
                recorded.name == call.name && **has_result && taken.is_none()
            },
        );
        match free {
            Some((_, place)) => *place = Some(number),
            None => {
                return Err(stopped(format!(
                    "the target calls `{}`, for which no result was recorded",
                    call.name.chars().take(64).collect::<String>()
                )));
            }
        }
    }
    Ok(given)
}

/// The calls in an item of the model's.
fn calls(dialect: Dialect, item: &Value, asked: &mut Vec<Asked>) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |name: &str| item.get(name).and_then(Value::as_array).into_iter().flatten();
    match dialect {
        Dialect::Chat => asked.extend(list("tool_calls").map(|call| Asked {
            id: text(call.get("id")),
            name: text(call.pointer("/function/name").or(call.pointer("/custom/name"))),
        })),
        Dialect::Anthropic => asked.extend(
            list("content")
                .filter(|block| block.get("type").is_some_and(|kind| kind == "tool_use"))
                .map(|block| Asked { id: text(block.get("id")), name: text(block.get("name")) }),
        ),
        Dialect::Gemini => {
            asked.extend(list("parts").filter_map(|part| part.get("functionCall")).map(|call| {
                Asked {
                    id: text(call.get("id").or(call.get("name"))),
                    name: text(call.get("name")),
                }
            }));
        }
        Dialect::Responses => {
            if item.get("call_id").is_some() {
                asked.push(Asked { id: text(item.get("call_id")), name: text(item.get("name")) });
            }
        }
    }
}

/// An item with the ids of its results renewed; results without a new id are left out, and so is an item of nothing else.
fn remap(
    dialect: Dialect,
    mut item: Value,
    renew: &mut dyn FnMut(&str) -> Option<String>,
) -> Option<Value> {
    match dialect {
        Dialect::Chat => renewed(&mut item, "tool_call_id", renew).then_some(item),
        Dialect::Responses => {
            let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
            if !kind.ends_with("_call_output") {
                return Some(item);
            }
            renewed(&mut item, "call_id", renew).then_some(item)
        }
        Dialect::Anthropic => {
            let Some(Value::Array(blocks)) = item.get_mut("content") else { return Some(item) };
            blocks.retain_mut(|block| renewed(block, "tool_use_id", renew));
            (!blocks.is_empty()).then_some(item)
        }
        Dialect::Gemini => {
            let Some(Value::Array(parts)) = item.get_mut("parts") else { return Some(item) };
            parts.retain_mut(|part| match part.get_mut("functionResponse") {
                None => true,
                Some(response) if response.get("id").is_some() => renewed(response, "id", renew),
                Some(response) => {
                    let name = response.get("name").and_then(Value::as_str).unwrap_or_default();
                    renew(name).is_some()
                }
            });
            (!parts.is_empty()).then_some(item)
        }
    }
}

/// Whether the object has no id of a result, or got a new one.
fn renewed(object: &mut Value, name: &str, renew: &mut dyn FnMut(&str) -> Option<String>) -> bool {
    let Some(id) = object.get_mut(name) else { return true };
    let new = renew(id.as_str().unwrap_or_default());
    let is_renewed = new.is_some();
    *id = new.map_or(Value::Null, Value::String);
    is_renewed
}

/// The target's answer as items of a history.
fn said(
    dialect: Dialect,
    answer: &Answer,
    ids: &[String],
    recorded: &[Value],
) -> Result<Vec<Value>, Fault> {
    let calls = || answer.calls.iter().zip(ids);
    let before = |number: usize| sealed(answer, Seal::Before(number));
    let text = Some(answer.text.as_str()).filter(|text| !text.is_empty());
    Ok(match dialect {
        Dialect::Chat => {
            let mut message = json!({"role": "assistant", "content": text});
            if !ids.is_empty() {
                let calls = calls().map(|(call, id)| {
                    let function = json!({"name": call.name, "arguments": call.arguments});
                    json!({"id": id, "type": "function", "function": function})
                });
                super::edit::set(&mut message, &["tool_calls"], calls.collect());
            }
            vec![message]
        }
        Dialect::Responses => {
            let message = |text| {
                let content = json!([{"type": "output_text", "text": text}]);
                json!({"type": "message", "role": "assistant", "content": content})
            };
            let mut items: Vec<Value> = before(0).chain(text.map(message)).collect();
            for (number, (call, id)) in (1..).zip(calls()) {
                items.push(json!({"type": "function_call", "call_id": id, "name": call.name, "arguments": call.arguments}));
                items.extend(before(number));
            }
            items
        }
        Dialect::Anthropic => {
            let text = text.map(|text| json!({"type": "text", "text": text}));
            let mut blocks: Vec<Value> = before(0).chain(text).collect();
            for (number, (call, id)) in (1..).zip(calls()) {
                let input = arguments(call)?;
                blocks
                    .push(json!({"type": "tool_use", "id": id, "name": call.name, "input": input}));
                blocks.extend(before(number));
            }
            remark(recorded, &mut blocks);
            vec![json!({"role": "assistant", "content": blocks})]
        }
        Dialect::Gemini => {
            let signature = sealed(answer, Seal::Text).last();
            let text = text.or(signature.is_some().then_some(""));
            let mut parts: Vec<Value> =
                text.map(|text| signed(json!({"text": text}), signature)).into_iter().collect();
            let has_ids =
                recorded.iter().filter_map(|item| item.get("parts")?.as_array()).flatten();
            let has_ids = has_ids.filter_map(|part| part.pointer("/functionCall/id")).count() > 0;
            for (number, (call, id)) in calls().enumerate() {
                let mut made = json!({"name": call.name, "args": arguments(call)?});
                if has_ids {
                    super::edit::set(&mut made, &["id"], Value::from(id.as_str()));
                }
                let signature = sealed(answer, Seal::Call(number)).last();
                parts.push(signed(json!({"functionCall": made}), signature));
            }
            vec![json!({"role": "model", "parts": parts})]
        }
    })
}

/// Puts the recorded mark for a cache on the last block that takes one: thinking does not.
fn remark(recorded: &[Value], blocks: &mut [Value]) {
    let mut marks = recorded
        .iter()
        .filter_map(|item| item.get("content")?.as_array()?.last()?.get("cache_control"));
    let mut takers = blocks
        .iter_mut()
        .rev()
        .filter(|block| block.get("type").is_some_and(|kind| kind == "text" || kind == "tool_use"));
    if let (Some(mark), Some(last)) = (marks.next_back(), takers.next()) {
        super::edit::set(last, &["cache_control"], mark.clone());
    }
}

/// What is sealed at a place of the answer.
fn sealed(answer: &Answer, place: Seal) -> impl Iterator<Item = Value> {
    answer.sealed.iter().filter(move |one| one.place == place).map(|one| one.item.clone())
}

/// A part of Gemini's with its signature, where there is one.
fn signed(mut part: Value, signature: Option<Value>) -> Value {
    if let Some(signature) = signature {
        super::edit::set(&mut part, &["thoughtSignature"], signature);
    }
    part
}

/// Arguments as an object, for the dialects that take nothing else.
fn arguments(call: &Call) -> Result<Value, Fault> {
    let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
        stopped(format!(
            "the target calls `{}` with arguments that are no JSON object",
            call.name.chars().take(64).collect::<String>()
        ))
    })
}
