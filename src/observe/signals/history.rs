//! What the newest messages of the request bring: results of tools. Messages that were there in an earlier turn are not
//! read again.

use std::collections::HashMap;

use serde_json::Value;

use crate::base::fold::Fold;
use crate::dialect::calls;
use crate::dialect::session::{Part, Side};
use crate::exchange::Exchange;
use crate::exchange::signal::{Signal, Signals};
use crate::neutral::call::{Call, CallResult};
use crate::observe::sessions::{Placed, RESULTS_MAX};

/// Limit: bytes of messages that are read of one request; of a longer history the end counts.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Limit: values in each other that a call's arguments are compared to.
const DEPTH_MAX: usize = 64;

/// Reads the results that are new, and remembers them with their calls.
pub(super) fn read(
    exchange: &Exchange,
    placed: &Placed,
    remembered: Option<&mut Vec<u64>>,
    signals: &mut Signals,
) {
    let (Some(body), Some(remembered)) = (&exchange.prompt, remembered) else { return };
    let messages = &placed.sketch.messages;
    let newest = newest(messages);
    if newest == messages.len() {
        return;
    }
    let mut open = Open::default();
    for (at, part) in messages.iter().enumerate().skip(from(messages, placed.known)) {
        let message = body.get(part.from..part.to).unwrap_or_default();
        let found = calls::of_message(exchange.dialect, message);
        found.calls.into_iter().for_each(|call| open.begin(call));
        for result in found.results {
            let is_newest = at >= newest;
            if is_newest && result.failed {
                signals.add(Signal::FailedToolResult);
            }
            let Some(call) = open.end(&result) else { continue };
            let digest = digest(&call, &result);
            let before = remembered.iter().filter(|known| **known == digest).count();
            // Of a turn that is sent once more, the results have been remembered before.
            let is_known = at < placed.known;
            if is_newest && before > usize::from(is_known) {
                signals.add(Signal::RepeatedCall);
            }
            if !is_known {
                remembered.push(digest);
            }
        }
    }
    if remembered.len() > RESULTS_MAX {
        remembered.drain(..remembered.len() - RESULTS_MAX);
    }
}

/// Where the newest messages begin: after the model's last answer.
fn newest(messages: &[Part]) -> usize {
    let answered = |part: &Part| part.side == Side::Answered;
    messages.iter().rposition(answered).map_or(0, |last| last + 1)
}

/// Where reading begins: at the first message that is new, or the calls that the newest messages answer.
fn from(messages: &[Part], known: usize) -> usize {
    let asked = |part: &Part| part.side != Side::Answered;
    let newest = newest(messages);
    let answers = messages.get(..newest).unwrap_or_default();
    let due = answers.iter().rposition(asked).map_or(0, |last| last + 1).min(known);
    let mut bytes = 0;
    let fits = messages.iter().enumerate().skip(due).rev().take_while(|(_, part)| {
        bytes += part.to - part.from;
        bytes <= BYTES_MAX
    });
    fits.last().map_or(messages.len(), |(at, _)| at)
}

/// Calls whose results have not come yet.
#[derive(Default)]
struct Open {
    by_id: HashMap<String, Call>,
    /// Where the dialect has no ids, in order.
    by_name: Vec<Call>,
}

impl Open {
    fn begin(&mut self, call: Call) {
        match &call.id {
            Some(id) => {
                self.by_id.insert(id.clone(), call);
            }
            None => self.by_name.push(call),
        }
    }

    fn end(&mut self, result: &CallResult) -> Option<Call> {
        if let Some(call) = result.id.as_ref().and_then(|id| self.by_id.remove(id)) {
            return Some(call);
        }
        let name = result.name.as_ref()?;
        let at = self.by_name.iter().position(|call| call.name == *name)?;
        Some(self.by_name.remove(at))
    }
}

/// Of a call and its result: the same for the same arguments in whatever order and layout.
fn digest(call: &Call, result: &CallResult) -> u64 {
    let mut fold = Fold::default();
    fold.bytes(call.name.as_bytes());
    match serde_json::from_str::<Value>(&call.arguments) {
        Ok(arguments) => canonical(&arguments, &mut fold, 0),
        Err(_) => fold.bytes(call.arguments.as_bytes()),
    }
    fold.bytes(result.text.as_bytes());
    fold.end()
}

fn canonical(value: &Value, fold: &mut Fold, depth: usize) {
    match value {
        Value::Object(members) if depth < DEPTH_MAX => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            fold.number(1);
            for (name, value) in members {
                fold.bytes(name.as_bytes());
                canonical(value, fold, depth + 1);
            }
            fold.number(2);
        }
        Value::Array(elements) if depth < DEPTH_MAX => {
            fold.number(3);
            for element in elements {
                canonical(element, fold, depth + 1);
            }
            fold.number(4);
        }
        value => fold.bytes(value.to_string().as_bytes()),
    }
}
