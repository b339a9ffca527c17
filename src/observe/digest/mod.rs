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
//! - overhead = end − the union of the times spent waiting for others: the client's body, a place at the provider, each
//!   attempt

mod tally;
mod times;

use std::sync::Arc;

use crate::base::coding;
use crate::base::money::Nanodollars;
use crate::dialect::reader::Reader;
use crate::exchange::attempt::Attempt;
use crate::exchange::frames::{Extent, Frames};
use crate::exchange::outcome::Outcome;
use crate::exchange::summary::{Summary, Tally};
use crate::exchange::{Blame, Exchange};
use crate::neutral::failure::Source;
use crate::neutral::reading::{Content, Reading};
use crate::observe::awaited::{Awaited, Owner};
use crate::observe::prices::PricesInForce;

/// Limit: bytes of a compressed answer once it is decoded.
const DECODED_MAX: usize = 64 * 1024 * 1024;
/// Limit on a thread that has other work to do.
const DECODED_HURRIED_MAX: usize = 1024 * 1024;

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
    /// Where in `arrivals` bytes are missing: the wait across the hole is no gap.
    hole: Option<usize>,
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

    /// Fills `exchange.summary` where the answer says all; else leaves it to the observer, who has the time to estimate.
    pub fn digest_told(&mut self, exchange: &mut Exchange) {
        self.digest(exchange);
        let told = |tally: &Tally| tally.estimated.is_empty() && !tally.partial && !tally.missing;
        if !exchange.summary.tallies.iter().all(told) {
            exchange.summary = Summary::default();
        }
    }

    /// Fills `exchange.summary`.
    pub fn digest(&mut self, exchange: &mut Exchange) {
        if std::mem::replace(&mut exchange.summary.is_read, true) {
            return;
        }
        exchange.summary.agent = exchange.agent;
        exchange.summary.times.overhead_us = times::overhead_us(exchange);
        if self.extent == Extent::Ends {
            return;
        }
        let mut tallies = Vec::with_capacity(exchange.attempts.len());
        let mut owners = Vec::new();
        for (n, attempt) in exchange.attempts.iter().enumerate() {
            let reading = self.read(exchange, attempt, Words::Leave);
            let mut tally = self.tally(exchange, attempt, reading);
            let owner = self.settle(exchange, attempt, &mut tally);
            self.price(attempt, owner.as_ref(), &mut tally);
            owners.extend(owner.map(|owner| (n, owner)));
            tallies.push(tally);
        }
        let overhead_us = exchange.summary.times.overhead_us;
        exchange.summary.times = self.times(exchange.attempts.last(), overhead_us);
        let costs = tallies.iter().filter_map(|tally| tally.cost.as_ref());
        exchange.summary.cost = costs.map(|cost| cost.amount).reduce(Nanodollars::plus);
        exchange.summary.tallies = tallies;
        for (n, owner) in owners {
            belong(exchange, n, owner);
        }
        blame(exchange);
    }

    fn read(&mut self, exchange: &Exchange, attempt: &Attempt, words: Words) -> Reading {
        let collect = words == Words::Collect;
        let mut reader = Reader::new(exchange.dialect, exchange.operation, collect);
        self.arrivals.clear();
        self.hole = None;
        let frames = &attempt.frames;
        let decoded = attempt.coding.as_deref().map(|coding| self.decoded(coding, frames));
        match (attempt.events, decoded) {
            (true, None) => self.read_events(&mut reader, frames),
            (true, Some(text)) => {
                // What arrived when cannot be told apart inside a coding.
                reader.feed(0, &text, &mut |_, _| ());
            }
            (false, text) => {
                // A document arrives at once, when its last byte does: it has no first token.
                if let Some(whole) = text.or_else(|| frames.whole()) {
                    reader.document(&whole);
                } else {
                    reader.document_end(frames.tail());
                }
            }
        }
        reader.finish()
    }

    fn read_events(&mut self, reader: &mut Reader, frames: &Frames) {
        let arrivals = &mut self.arrivals;
        for (at, piece) in frames.head() {
            reader.feed(at, piece, &mut |at, content| arrivals.push((at, content)));
        }
        if !frames.untimed().is_empty() {
            // Times of which nobody knows are none to count gaps by.
            reader.feed(
                frames.last_us().unwrap_or_default(),
                frames.untimed(),
                &mut |at, content| {
                    arrivals.push((at, content));
                },
            );
        }
        if frames.tail().is_empty() {
            return;
        }
        if frames.missing_bytes() > 0 {
            reader.skip();
            self.hole = Some(arrivals.len());
        }
        for (at, piece) in frames.tail_pieces() {
            reader.feed(at, piece, &mut |at, content| arrivals.push((at, content)));
        }
    }

    fn decoded(&self, coding: &str, frames: &Frames) -> Vec<u8> {
        let mut kept: Vec<u8> =
            frames.head().flat_map(|(_, piece)| piece.iter().copied()).collect();
        kept.extend_from_slice(frames.untimed());
        let bytes_max = if self.hurried { DECODED_HURRIED_MAX } else { DECODED_MAX };
        coding::beginning(coding, &kept, bytes_max)
    }
}

/// Whether the answer's words are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Leave,
    Collect,
}

/// What an attempt fetched belongs to the model that made it.
fn belong(exchange: &mut Exchange, attempt: usize, owner: Owner) {
    if let Some(attempt) = exchange.attempts.get_mut(attempt) {
        attempt.model = owner.model;
        attempt.model_label = owner.model_label;
    }
}

/// A provider that fails in the middle says so inside a 200: an error event, a failed response, an error document.
fn blame(exchange: &mut Exchange) {
    let said = exchange.summary.last().and_then(|tally| tally.reading.error.as_deref());
    let Some(kind) = said.map(error_kind) else { return };
    let blame = Blame { source: Source::Upstream, kind, detail: None };
    let status = exchange.last_attempt().and_then(|attempt| attempt.status);
    if !status.is_some_and(|status| status.is_success()) {
        return;
    }
    if let Some(attempt) = exchange.attempts.last_mut() {
        attempt.failure.get_or_insert_with(|| blame.clone());
    }
    exchange.failure.get_or_insert(blame);
    if exchange.outcome == Outcome::Complete {
        exchange.outcome = Outcome::UpstreamError;
    }
}

/// A closed kind for the provider's words.
fn error_kind(said: &str) -> &'static str {
    match said {
        "overloaded_error" | "overloaded" | "server_overloaded" | "503" | "529" | "UNAVAILABLE" => {
            "upstream_overloaded"
        }
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "429"
        | "RESOURCE_EXHAUSTED" => "upstream_rate_limit",
        "timeout_error" | "timeout" | "504" | "DEADLINE_EXCEEDED" => "upstream_timeout",
        "invalid_request_error" | "400" | "INVALID_ARGUMENT" => "upstream_invalid_request",
        "authentication_error" | "401" | "UNAUTHENTICATED" => "upstream_authentication",
        _ => "upstream_stream_error",
    }
}
