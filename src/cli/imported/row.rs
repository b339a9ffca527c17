//! The record: what the digest found, and over it what the recorder alone could know.

use pinhole_replay::recording::{Attempt, Recording, Usage as Told};

use super::exchange::level;
use crate::exchange::Exchange;
use crate::exchange::signal::{Signal, Signals};
use crate::neutral::usage::{Usage, UsageSource};
use crate::store::flags;
use crate::store::row::{AttemptRow, Row};
use crate::store::text::{LINE_MAX, NAME_MAX, fit};

pub(super) fn of(recording: &Recording, exchange: &Exchange) -> Row {
    let mut row = Row::of(exchange);
    row.level = level(recording);
    row.run_id = recording.run_id.as_deref().and_then(id);
    row.replay_of = recording.replay_of.as_deref().and_then(id);
    for signal in signals(&recording.signals).iter() {
        row.signals.add(signal);
    }
    row.headers.clone_from(&recording.indexed_headers);
    row.duplicate_of = row.duplicate_of.or_else(|| recording.duplicate_of.as_deref().and_then(id));
    row.prefix_changed_at = row.prefix_changed_at.or(recording.prefix_changed_at);
    if recording.redacted {
        row.flags |= flags::REDACTED;
    }
    let times = &recording.times;
    // It saw the arrivals themselves; tables of them are rounded.
    row.ttft_us = times.ttft_us.or(row.ttft_us);
    row.ttfo_us = times.ttfo_us.or(row.ttfo_us);
    row.gaps_us = times.gaps_us.or(row.gaps_us);
    row.stalls = times.stalls.and_then(|stalls| u32::try_from(stalls).ok()).unwrap_or(row.stalls);
    if row.finish_reason.is_none() {
        row.finish_reason = recording.finish_reason.as_deref().map(name);
    }
    if row.tools.is_empty() {
        row.tools = recording.tools.iter().take(64).map(|tool| (name(tool), 1)).collect();
    }
    if row.error_detail.is_none() {
        let detail = recording.error.as_ref().and_then(|error| error.detail.as_deref());
        row.error_detail = detail.map(|detail| fit(detail, LINE_MAX).into_owned());
    }
    for (own, told) in row.attempts.iter_mut().zip(&recording.attempts) {
        attempt(own, told);
    }
    if let Some(last) = row.attempts.last_mut()
        && last.usage_source != Some(UsageSource::Provider)
        && let Some(told) = &recording.usage
    {
        take_usage(last, told);
    }
    row.cost_nanousd = recording.cost_nanousd.or(row.cost_nanousd);
    row
}

fn attempt(own: &mut AttemptRow, told: &Attempt) {
    own.bytes = told.bytes.max(own.bytes);
    if own.peer.is_none() {
        own.peer = told.peer.as_deref().map(name);
    }
    for (own, told) in [
        (&mut own.response_id, &told.response_id),
        (&mut own.response_model, &told.response_model),
        (&mut own.service_tier, &told.service_tier),
    ] {
        if own.is_none() {
            *own = told.as_deref().map(name);
        }
    }
    if own.usage_source != Some(UsageSource::Provider)
        && let Some(usage) = &told.usage
    {
        take_usage(own, usage);
    }
    if told.cost_nanousd.is_some() {
        own.cost_nanousd = told.cost_nanousd;
        own.unpriced = false;
    }
}

/// The recorder's numbers, where the answer's bytes tell none.
fn take_usage(own: &mut AttemptRow, told: &Told) {
    let count = |tokens: Option<i64>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    own.usage = Usage {
        input: count(told.input),
        output: count(told.output),
        cache_read: count(told.cache_read),
        cache_write: count(told.cache_write),
        reasoning: count(told.reasoning),
        ..Usage::default()
    };
    let estimated = told.source.as_deref() == Some("estimated");
    own.estimated = if estimated { own.usage } else { Usage::default() };
    own.usage_source = Some(if estimated { UsageSource::Estimated } else { UsageSource::Provider });
    (own.missing, own.partial) = (false, false);
}

fn signals(words: &[String]) -> Signals {
    let mut found = Signals::default();
    for signal in Signal::ALL {
        if words.iter().any(|word| word == signal.label()) {
            found.add(signal);
        }
    }
    found
}

fn id(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes)
}

fn name(text: &str) -> String {
    fit(text, NAME_MAX).into_owned()
}
