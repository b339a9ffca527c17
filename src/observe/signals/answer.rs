//! What the answer alone tells: how it ended, what was in it, how it came.

use crate::base::coding;
use crate::dialect::calls;
use crate::exchange::Exchange;
use crate::exchange::outcome::Outcome;
use crate::exchange::signal::{Signal, Signals};
use crate::exchange::summary::Gaps;
use crate::neutral::call::Call;
use crate::neutral::kind::Operation;
use crate::neutral::reading::{Billing, Content, Reading};

/// A pause this long is one that people notice, whatever the stream's own pace.
const STALL_US: u64 = 5_000_000;
/// And it is this many times the median.
const STALL_TIMES: u64 = 10;
/// Limit: bytes of a compressed answer once it is decoded.
const DECODED_MAX: usize = 16 * 1024 * 1024;

/// Finish reasons of all dialects that say a limit of tokens was reached.
const LIMITS: [&str; 6] = [
    "length",
    "max_tokens",
    "max_output_tokens",
    "model_context_window_exceeded",
    "MAX_TOKENS",
    "incomplete",
];

/// Finish reasons, and codes of errors, that say the model or the provider would not.
const REFUSALS: [&str; 17] = [
    "content_filter",
    "refusal",
    "guardrail_intervened",
    "content_filtered",
    "content_policy_violation",
    "ResponsibleAIPolicyViolation",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "JAILBREAK",
];

pub(super) fn signals(exchange: &Exchange) -> Signals {
    let mut signals = Signals::default();
    let generates = matches!(exchange.operation, Operation::Chat | Operation::TextCompletion);
    let (Some(tally), Some(attempt)) = (exchange.summary.last(), exchange.last_attempt()) else {
        return signals;
    };
    let reading = &tally.reading;
    if !generates || reading.billing != Billing::Now {
        return signals;
    }
    let is_refused = is_refused(reading);
    if is_refused {
        signals.add(Signal::Refusal);
    }
    if !attempt.status.is_some_and(|status| status.is_success()) {
        return signals;
    }
    let is_whole = attempt.frames.missing_bytes() == 0;
    if ended_with(reading, &LIMITS) || (is_whole && is_cut(exchange, reading)) {
        signals.add(Signal::Truncated);
    }
    let said = reading.content.has(Content::TEXT) || reading.content.has(Content::TOOL);
    let is_over = exchange.outcome == Outcome::Complete && reading.ended;
    if is_over && is_whole && !said && !is_refused && reading.error.is_none() {
        signals.add(Signal::EmptyReply);
    }
    if is_stalled(&exchange.summary.times.gaps) {
        signals.add(Signal::Stall);
    }
    signals
}

fn is_refused(reading: &Reading) -> bool {
    let by_error = reading.error.as_deref().is_some_and(|error| REFUSALS.contains(&error));
    reading.refused || by_error || ended_with(reading, &REFUSALS)
}

fn ended_with(reading: &Reading, words: &[&str]) -> bool {
    reading.finish_reasons.iter().any(|reason| words.contains(&reason.as_str()))
}

/// The answer began, and neither said why it ended nor was left by its client. A page that is no JSON at all is something
/// else, as long as it came to its end.
fn is_cut(exchange: &Exchange, reading: &Reading) -> bool {
    let began = exchange.last_attempt().is_some_and(|attempt| {
        let first = attempt.frames.beginning(1);
        let is_answer =
            attempt.events || attempt.coding.is_some() || first == b"{" || first == b"[";
        attempt.frames.bytes > 0 && (is_answer || exchange.outcome != Outcome::Complete)
    });
    began
        && !reading.ended
        && reading.finish_reasons.is_empty()
        && exchange.outcome != Outcome::ClientCancelled
}

fn is_stalled(gaps: &Gaps) -> bool {
    gaps.max_us > STALL_US && gaps.max_us > gaps.p50_us.saturating_mul(STALL_TIMES)
}

/// The tools that the answer calls, where all of it came and was kept.
pub(super) fn calls(exchange: &Exchange) -> Vec<Call> {
    let (Some(tally), Some(attempt)) = (exchange.summary.last(), exchange.last_attempt()) else {
        return Vec::new();
    };
    let reading = &tally.reading;
    let ended = reading.ended || !reading.finish_reasons.is_empty();
    if reading.tools.is_empty() || !ended || exchange.operation != Operation::Chat {
        return Vec::new();
    }
    let Some(mut answer) = attempt.frames.whole() else { return Vec::new() };
    if let Some(coding) = &attempt.coding {
        answer = coding::beginning(coding, &answer, DECODED_MAX);
    }
    let is_stream = attempt.events || answer.starts_with(b"data:") || answer.starts_with(b"event:");
    if is_stream {
        calls::of_events(exchange.dialect, &answer)
    } else {
        calls::of_document(exchange.dialect, &answer)
    }
}
