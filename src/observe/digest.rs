//! From what passed to what it means: frames in, tokens, cost and times out. Runs on the observer's thread, once an
//! exchange, before any sink.
//!
//! ```text
//!  frames ─► (decoded) ─► dialect::Reader ─► Reading ──► usage ──► price ──► Tally   one per attempt
//!     └ arrival of each content ───────────────────────► Times                       of the last attempt
//! ```
//!
//! Formulas, all on the monotonic clock, offsets from the arrival of the request's head:
//!
//! - time to first token = first content − sent; content is text, reasoning or tool arguments, an empty string is none
//! - time per output token = (last content − first content) / (output tokens − 1), for two tokens and more
//! - gap = arrival of a content − arrival of the content before it
//! - overhead = end − the union of the times spent waiting for others: the client's body, each attempt

use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::base::coding;
use crate::base::money::Nanodollars;
use crate::dialect;
use crate::dialect::reader::Reader;
use crate::exchange::Exchange;
use crate::exchange::agent;
use crate::exchange::attempt::Attempt;
use crate::exchange::frames::{Extent, Frames};
use crate::exchange::summary::{Cost, Gaps, Tally, Times};
use crate::neutral::kind::Operation;
use crate::neutral::reading::{Billing, Content, Reading};
use crate::neutral::usage::{Usage, UsageSource};
use crate::observe::awaited::{Awaited, Owner};
use crate::observe::estimate;
use crate::observe::prices::PricesInForce;

/// Limit: bytes of a compressed answer once it is decoded.
const DECODED_MAX: usize = 16 * 1024 * 1024;
/// A gap is a stall when it is over ten times the median and over this.
const STALL_US: u64 = 250_000;

/// Reads finished exchanges. Holds buffers between them, and nothing of what it read.
#[derive(Default, Clone)]
pub struct Digester {
    awaited: Arc<Awaited>,
    prices: Arc<PricesInForce>,
    extent: Extent,
    /// Words are measured by their length.
    hurried: bool,
    /// Arrivals of contents of the answer under reading.
    arrivals: Vec<(u64, Content)>,
    gaps: Vec<u64>,
}

impl Digester {
    pub fn new(awaited: Arc<Awaited>, prices: Arc<PricesInForce>) -> Self {
        Self { awaited, prices, ..Self::default() }
    }

    /// One that reads nothing: no tokens, no cost, no times of content.
    pub fn off() -> Self {
        Self { extent: Extent::Ends, ..Self::default() }
    }

    /// How much of answers it wants kept.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// One that does not load the tokenizer's tables: for threads that have other work to do.
    #[must_use]
    pub fn hurried(self) -> Self {
        Self { hurried: true, ..self }
    }

    /// Whether an answer of this model can have a cost.
    pub fn has_price(&self, provider: &str, model: &str) -> bool {
        self.extent == Extent::Whole && self.prices.load().lookup(provider, model).is_some()
    }

    /// Fills `exchange.summary`.
    pub fn digest(&mut self, exchange: &mut Exchange) {
        if std::mem::replace(&mut exchange.summary.is_read, true) {
            return;
        }
        exchange.summary.agent = agent(exchange);
        exchange.summary.times.overhead_us = overhead_us(exchange);
        if self.extent == Extent::Ends {
            return;
        }
        let mut attempts = std::mem::take(&mut exchange.attempts);
        let mut tallies = Vec::with_capacity(attempts.len());
        for attempt in &mut attempts {
            let reading = self.read(exchange, attempt, Words::Leave);
            let mut tally = self.tally(exchange, attempt, reading);
            if exchange.operation == Operation::Opaque {
                self.settle(exchange, attempt, &mut tally);
            }
            self.price(attempt, &mut tally);
            tallies.push(tally);
        }
        exchange.attempts = attempts;
        let costs = tallies.iter().filter_map(|tally| tally.cost.as_ref());
        exchange.summary.cost = costs.map(|cost| cost.amount).reduce(Nanodollars::plus);
        let overhead_us = exchange.summary.times.overhead_us;
        exchange.summary.times = Times { overhead_us, ..self.times(exchange.attempts.last()) };
        exchange.summary.tallies = tallies;
    }

    fn read(&mut self, exchange: &Exchange, attempt: &Attempt, words: Words) -> Reading {
        let collect = words == Words::Collect;
        let mut reader = Reader::new(exchange.dialect, exchange.operation, collect);
        self.arrivals.clear();
        let frames = &attempt.frames;
        let decoded = attempt.coding.as_deref().map(|coding| decoded(coding, frames));
        match (attempt.events, decoded) {
            (true, None) => {
                let arrivals = &mut self.arrivals;
                let mut note = |at, content| arrivals.push((at, content));
                for (at, piece) in frames.head() {
                    reader.feed(at, piece, &mut note);
                }
                if !frames.tail().is_empty() {
                    if frames.missing_bytes() > 0 {
                        reader.skip();
                    }
                    reader.feed(frames.last_us().unwrap_or_default(), frames.tail(), &mut note);
                }
            }
            (true, Some(text)) => {
                // What arrived when cannot be told apart inside a coding; the end is known.
                let at = frames.last_us().unwrap_or_default();
                let arrivals = &mut self.arrivals;
                reader.feed(at, &text, &mut |at, content| arrivals.push((at, content)));
            }
            (false, text) => {
                let whole = text.or_else(|| frames.whole());
                let content = if let Some(whole) = &whole {
                    reader.document(whole)
                } else {
                    reader.document_end(frames.tail());
                    Content::NONE
                };
                if !content.is_none() {
                    self.arrivals.push((frames.last_us().unwrap_or_default(), content));
                }
            }
        }
        reader.finish()
    }

    /// What one attempt cost in tokens: what the provider said, and an estimate of what it did not.
    fn tally(&mut self, exchange: &Exchange, attempt: &Attempt, reading: Reading) -> Tally {
        let generates = matches!(
            exchange.operation,
            Operation::Chat | Operation::TextCompletion | Operation::Embeddings
        );
        let answered = attempt.status.is_some_and(|status| status.is_success());
        if reading.billing == Billing::Later {
            if exchange.method == Method::POST {
                self.expect(attempt, &reading, exchange.path.contains("/batches"));
            }
            return Tally { reading, ..Tally::default() };
        }
        if !generates || !answered {
            let usage = reading.usage;
            let source = usage.map(|_| UsageSource::Provider);
            return Tally { reading, usage, source, ..Tally::default() };
        }
        let ended = reading.ended;
        let missing = reading.usage.is_none();
        let mut usage = reading.usage.unwrap_or_default();
        let mut estimated = Usage::default();
        if missing || !ended {
            if usage.input.is_none() {
                estimated.input = Some(self.prompt(exchange));
            }
            if exchange.operation != Operation::Embeddings {
                let seen = self.words(exchange, attempt);
                // What was told so far may be the first event's word, before any of it was written.
                if usage.output.is_none_or(|told| told < seen) {
                    estimated.output = Some(seen);
                }
            }
            usage.input = estimated.input.or(usage.input);
            usage.output = estimated.output.or(usage.output);
        }
        let source =
            if estimated.is_empty() { UsageSource::Provider } else { UsageSource::Estimated };
        Tally {
            usage: Some(usage),
            estimated,
            source: Some(source),
            partial: !ended,
            missing: missing && ended,
            reading,
            ..Tally::default()
        }
    }

    /// Tokens of the words that came; the arrivals stay those of the first reading.
    fn words(&mut self, exchange: &Exchange, attempt: &Attempt) -> u64 {
        let arrivals = std::mem::take(&mut self.arrivals);
        let reading = self.read(exchange, attempt, Words::Collect);
        self.arrivals = arrivals;
        let counted = if self.hurried {
            estimate::bytes(reading.words.len() as u64)
        } else {
            estimate::words(&reading.words)
        };
        counted + estimate::bytes(reading.words_cut)
    }

    /// Tokens of the request, by its words where they were kept.
    fn prompt(&self, exchange: &Exchange) -> u64 {
        match exchange.prompt.as_ref().filter(|_| !self.hurried) {
            Some(body) => {
                estimate::prompt(&dialect::prompt::words(body), dialect::prompt::messages(body))
            }
            None => estimate::bytes(exchange.request_bytes),
        }
    }

    fn expect(&self, attempt: &Attempt, reading: &Reading, batch: bool) {
        if let Some(id) = &reading.response_id {
            let owner = Owner {
                provider: Arc::clone(&attempt.provider),
                model: attempt.model.clone(),
                model_label: Arc::clone(&attempt.model_label),
                batch,
            };
            self.awaited.expect(id, owner);
        }
    }

    /// An answer fetched by its id: its tokens count when they were waited for, once, for the model that made them.
    fn settle(&self, exchange: &Exchange, attempt: &mut Attempt, tally: &mut Tally) {
        // A response made by a POST under `/providers/{name}/` has the shape of a fetched one, and is none.
        let is_made_now = exchange.method == Method::POST && !exchange.path.ends_with("/cancel");
        if tally.reading.billing != Billing::Fetched || tally.usage.is_none() || is_made_now {
            return;
        }
        let own = tally.reading.response_id.as_deref();
        let ids = own.into_iter().chain(exchange.path.split('/'));
        let owner = ids.filter(|id| !id.is_empty()).find_map(|id| self.awaited.settle(id));
        let Some(owner) = owner.filter(|owner| owner.provider == attempt.provider) else {
            (tally.usage, tally.source) = (None, None);
            return;
        };
        attempt.model = owner.model;
        attempt.model_label = owner.model_label;
        if owner.batch {
            tally.reading.service_tier = Some("batch".to_owned());
        }
    }

    /// What the tokens cost by the list in force; without a price there is no cost, which is not a cost of nothing.
    fn price(&self, attempt: &Attempt, tally: &mut Tally) {
        let Some(usage) = &tally.usage else { return };
        let model = attempt.model.as_deref().or(tally.reading.model.as_deref());
        let tier = tally.reading.service_tier.as_deref();
        let book = self.prices.load();
        let amount = model.and_then(|model| book.price(&attempt.provider, model, usage, tier));
        tally.unpriced = amount.is_none();
        tally.cost = amount.map(|amount| Cost {
            amount: amount.nanodollars,
            basis: amount.basis,
            version: amount.version,
        });
    }

    fn times(&mut self, attempt: Option<&Attempt>) -> Times {
        let Some(attempt) = attempt else { return Times::default() };
        let answered =
            |content: &(u64, Content)| content.1.has(Content::TEXT) || content.1.has(Content::TOOL);
        self.gaps.clear();
        let pairs = self.arrivals.iter().zip(self.arrivals.iter().skip(1));
        self.gaps.extend(pairs.map(|((before, _), (at, _))| at - before));
        Times {
            first_byte_us: attempt.frames.first_us(),
            first_content_us: self.arrivals.first().map(|(at, _)| *at),
            first_answer_us: self.arrivals.iter().find(|one| answered(one)).map(|(at, _)| *at),
            last_content_us: self.arrivals.last().map(|(at, _)| *at),
            contents: self.arrivals.len() as u64,
            gaps: gaps(&mut self.gaps),
            overhead_us: 0,
        }
    }
}

/// Whether the answer's words are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Leave,
    Collect,
}

fn agent(exchange: &Exchange) -> &'static str {
    agent::name(exchange.user_agent.as_ref().map(HeaderValue::as_bytes))
}

fn decoded(coding: &str, frames: &Frames) -> Vec<u8> {
    let kept: Vec<u8> = frames.head().flat_map(|(_, piece)| piece.iter().copied()).collect();
    coding::beginning(coding, &kept, DECODED_MAX)
}

/// Median, 99th percentile and maximum by the nearest rank; stalls.
fn gaps(gaps: &mut [u64]) -> Gaps {
    if gaps.is_empty() {
        return Gaps::default();
    }
    gaps.sort_unstable();
    let rank = |share: f64| {
        #[expect(clippy::cast_sign_loss, reason = "shares are positive")]
        let rank = (share * gaps.len() as f64).ceil() as usize;
        gaps.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    };
    let p50_us = rank(0.5);
    let stalled = |gap: &&u64| **gap > STALL_US && **gap > p50_us.saturating_mul(10);
    Gaps {
        p50_us,
        p99_us: rank(0.99),
        max_us: gaps.last().copied().unwrap_or_default(),
        stalls: u32::try_from(gaps.iter().filter(stalled).count()).unwrap_or(u32::MAX),
    }
}

/// The gateway's own time: the whole, less the union of the intervals in which it waited for somebody else.
fn overhead_us(exchange: &Exchange) -> u64 {
    let mut waits = vec![(0, exchange.request_read_us)];
    waits.extend(
        exchange
            .attempts
            .iter()
            .map(|attempt| (attempt.sent_us, attempt.ended_us.unwrap_or(exchange.ended_us))),
    );
    exchange.ended_us.saturating_sub(union_us(&mut waits, exchange.ended_us))
}

/// How much of `0..end` the intervals cover, overlaps once.
fn union_us(intervals: &mut [(u64, u64)], end: u64) -> u64 {
    intervals.sort_unstable();
    let (mut covered, mut reached) = (0, 0);
    for (from, to) in intervals.iter() {
        let (from, to) = ((*from).max(reached), (*to).min(end));
        if to > from {
            covered += to - from;
            reached = to;
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::exchange::fixture;

    #[test]
    fn overlaps_are_counted_once() {
        for (mut intervals, end, covered) in [
            (vec![], 100, 0),
            (vec![(0, 10), (20, 30)], 100, 20),
            (vec![(20, 30), (0, 25)], 100, 30),
            (vec![(0, 50), (10, 20), (40, 60)], 100, 60),
            (vec![(90, 200)], 100, 10),
            (vec![(50, 40)], 100, 0),
        ] {
            assert_eq!(union_us(&mut intervals, end), covered, "{intervals:?}");
        }
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_stalls_stand_out() {
        assert_eq!(gaps(&mut []), Gaps::default());
        assert_eq!(gaps(&mut [7]), Gaps { p50_us: 7, p99_us: 7, max_us: 7, stalls: 0 });
        let mut even: Vec<u64> = (1..=100).collect();
        let found = gaps(&mut even);
        assert_eq!((found.p50_us, found.p99_us, found.max_us), (50, 99, 100));
        let mut stalled = vec![20_000; 9];
        stalled.push(2_000_000);
        assert_eq!(gaps(&mut stalled).stalls, 1);
        let mut slow = vec![1_000_000; 10];
        assert_eq!(gaps(&mut slow).stalls, 0, "slow all along is no stall");
    }

    /// One stream that five programs measure in five ways: a role at 60 ms, ten contents of five tokens each from 400 ms
    /// to 1,300 ms, the end at 1,320 ms. Sent at once, so that offsets are durations.
    #[test]
    fn one_stream_has_one_answer() {
        let mut exchange = fixture::exchange();
        let attempt = &mut exchange.attempts[0];
        attempt.sent_us = 0;
        let mut say = |at_ms: u64, event: &str| {
            let text = format!("data: {event}\n\n");
            attempt.frames.push(at_ms * 1_000, &Bytes::from(text));
        };
        say(60, r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#);
        for n in 0..10 {
            say(400 + n * 100, r#"{"choices":[{"index":0,"delta":{"content":"five tokens"}}]}"#);
        }
        say(1_320, r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
        say(1_320, r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":50}}"#);
        say(1_320, "[DONE]");
        exchange.request_read_us = 0;
        exchange.attempts[0].ended_us = Some(1_320_000);
        exchange.ended_us = 1_320_400;
        Digester::default().digest(&mut exchange);
        let times = &exchange.summary.times;
        assert_eq!(
            times.first_byte_us,
            Some(60_000),
            "what a program that counts bytes calls ttft"
        );
        assert_eq!(times.first_content_us, Some(400_000), "ttft: the role is no token");
        assert_eq!(times.first_answer_us, Some(400_000));
        assert_eq!((times.contents, times.last_content_us), (10, Some(1_300_000)));
        let gaps = Gaps { p50_us: 100_000, p99_us: 100_000, max_us: 100_000, stalls: 0 };
        assert_eq!(times.gaps, gaps, "between contents, not between tokens");
        assert_eq!(times.overhead_us, 400, "the end less the attempt");
        let output = exchange.summary.usage().and_then(|usage| usage.output);
        assert_eq!(output, Some(50));
        let tpot_us = (1_300_000 - 400_000) / (output.unwrap_or_default() - 1);
        assert_eq!(tpot_us, 18_367, "18.4 ms: decoding alone");
    }

    #[test]
    fn reasoning_is_a_first_token_and_no_first_answer() {
        let mut exchange = fixture::exchange();
        for (at, delta) in [
            (10, r#"{"reasoning_content":"hm"}"#),
            (20, r#"{"reasoning_content":"so"}"#),
            (50, r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#),
        ] {
            let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
            exchange.attempts[0].frames.push(at, &Bytes::from(event));
        }
        Digester::default().digest(&mut exchange);
        let times = &exchange.summary.times;
        assert_eq!((times.first_content_us, times.first_answer_us), (Some(10), Some(50)));
    }
}
