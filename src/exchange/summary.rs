//! What the digest worked out of an exchange once it was over: tokens, cost, times. Every sink reads these, none works
//! them out anew. The formulas are published in `docs/telemetry.md`.

use std::sync::Arc;

use crate::base::id::ExchangeId;
use crate::base::money::Nanodollars;
use crate::exchange::signal::Signals;
use crate::neutral::reading::Reading;
use crate::neutral::usage::{Usage, UsageSource};

/// Filled by `observe::digest`, empty before.
#[derive(Debug, Default)]
pub struct Summary {
    /// The exchange has been read; nobody reads it twice.
    pub is_read: bool,
    /// One per attempt, in their order.
    pub tallies: Vec<Tally>,
    /// The sum of what all attempts cost; `None`: no attempt has a price.
    pub cost: Option<Nanodollars>,
    pub times: Times,
    /// A closed name for the client program, from its user agent: `claude-code`, `codex`, …, `other`; `none`.
    pub agent: &'static str,
    /// What is odd about the exchange.
    pub signals: Signals,
    /// The exchange that this one repeats, byte for byte.
    pub duplicate_of: Option<ExchangeId>,
    /// Where in the request's body the prompt first differs from the conversation's last turn: the beginning of the tool,
    /// the block of instructions or the message. Told where it breaks the provider's cache.
    pub prefix_changed_at: Option<u64>,
    /// An earlier exchange, stored without a session, and the session that it turned out to belong to.
    pub adopts: Option<(ExchangeId, Arc<str>)>,
}

/// Tokens and cost of one attempt.
#[derive(Debug, Default)]
pub struct Tally {
    /// What reading the answer found.
    pub reading: Reading,
    /// What counts: the provider's numbers, and the gateway's estimate where they are missing.
    pub usage: Option<Usage>,
    /// The kinds in `usage` that the gateway estimated, each with its number; empty when the provider said it all.
    pub estimated: Usage,
    /// `Estimated` as soon as one kind is.
    pub source: Option<UsageSource>,
    /// The answer ended before the provider had told its final usage.
    pub partial: bool,
    /// The answer should have told its usage and did not.
    pub missing: bool,
    pub cost: Option<Cost>,
    /// Why there is no cost, though there was usage.
    pub unpriced: bool,
    /// The usage comes with a later exchange.
    pub awaits: Option<Awaits>,
}

/// An answer whose usage comes later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaits {
    /// The provider's id of it.
    pub response_id: String,
    /// Billed by the price of batches.
    pub batch: bool,
}

/// An estimate of what an answer costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    pub amount: Nanodollars,
    /// Which entry it was made of: `openai/gpt-5`.
    pub basis: Arc<str>,
    /// The version of the price list.
    pub version: Arc<str>,
}

/// Times of the last attempt's answer, in microseconds. Offsets count from the exchange's start.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Times {
    /// First byte of the answer's body.
    pub first_byte_us: Option<u64>,
    /// First content of any kind: text, reasoning, tool arguments. Of a document: its last byte.
    pub first_content_us: Option<u64>,
    /// First content that is not reasoning.
    pub first_answer_us: Option<u64>,
    pub last_content_us: Option<u64>,
    /// Events with content.
    pub contents: u64,
    /// Differences between the arrivals of neighbouring contents.
    pub gaps: Gaps,
    /// The gateway's own time; see [`Times::overhead_us`] in `observe::digest`.
    pub overhead_us: u64,
}

/// The distribution of gaps between contents.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Gaps {
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    /// Gaps over ten times the median and over 250 ms.
    pub stalls: u32,
}

impl Tally {
    /// The kinds of `usage` that `source` counted: each kind belongs to exactly one.
    pub fn counted_by(&self, source: UsageSource) -> Usage {
        let Some(usage) = &self.usage else { return Usage::default() };
        match source {
            UsageSource::Estimated => self.estimated,
            UsageSource::Provider => usage.without(&self.estimated),
        }
    }
}

/// What exchanges of one provider and model cost, added up where their records were lost.
#[derive(Debug, Clone)]
pub struct Account {
    pub provider: Arc<str>,
    pub model_label: Arc<str>,
    pub answers: u64,
    pub told: Usage,
    pub estimated: Usage,
    pub cost: Nanodollars,
}

impl Account {
    pub fn new(provider: &Arc<str>, model_label: &Arc<str>) -> Self {
        Self {
            provider: Arc::clone(provider),
            model_label: Arc::clone(model_label),
            answers: 0,
            told: Usage::default(),
            estimated: Usage::default(),
            cost: Nanodollars::default(),
        }
    }

    pub fn add(&mut self, tally: &Tally) {
        self.answers += 1;
        self.told = self.told.plus(&tally.counted_by(UsageSource::Provider));
        self.estimated = self.estimated.plus(&tally.counted_by(UsageSource::Estimated));
        if let Some(cost) = &tally.cost {
            self.cost = self.cost.plus(cost.amount);
        }
    }

    /// Adds what another account of the same provider and model holds.
    pub fn plus(&mut self, other: &Self) {
        self.answers = self.answers.saturating_add(other.answers);
        self.told = self.told.plus(&other.told);
        self.estimated = self.estimated.plus(&other.estimated);
        self.cost = self.cost.plus(other.cost);
    }
}

impl Summary {
    /// The attempt whose answer went to the client.
    pub fn last(&self) -> Option<&Tally> {
        self.tallies.last()
    }

    /// What the client was told: the last attempt's usage, never the sum.
    pub fn usage(&self) -> Option<&Usage> {
        self.last()?.usage.as_ref()
    }
}
