//! The numbers of one outcome, each by its one formula. The same table feeds reports and docs/replay.md.
//!
//! ```text
//!  t0 = intended     s = sent       c1 … cm = contents       end
//!  ├──── lag ────────┤
//!  ├──────── ttft ───────────────────┤├── tpot × (N − 1) ──┤
//!  ├──────────────────────────── e2e ───────────────────────────┤
//!                    ├─ service_ttft ┤
//! ```
//!
//! - An outcome that is no good answer has no metrics: a refusal in 3 ms is not fast. It is counted as an error.
//! - Only an answer that came as a stream has `ttft`, `ttfo`, `tpot` and gaps. One that came in one piece has its first
//!   content at its end, which says how long it is and not how soon it begins.
//! - N is what the provider says. Where usage is estimated or missing, what needs N is not defined.

use crate::outcome::{Arrival, Outcome, What};
use crate::row::{Metrics, Row};
use crate::stats::quantile;

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// More is neither good nor bad. In verdicts less is called faster.
    Neither,
}

/// One metric: what it is called and how it is made.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    /// `s`, `tok/s`, `char/s`, `tok`, `USD`.
    pub unit: &'static str,
    pub better: Better,
    /// In every report's comparisons; the others stand in the data and in details.
    pub published: bool,
    pub formula: &'static str,
    pub value: fn(&Metrics) -> Option<f64>,
}

/// All metrics, in the order in which they are shown.
pub const METRICS: &[Metric] = &[
    published("ttft", "s", Better::Lower, "c1 − t0", |m| m.ttft),
    published("ttfo", "s", Better::Lower, "first content that is no reasoning − t0", |m| m.ttfo),
    published("tpot", "s", Better::Lower, "(cm − c1) / (N − 1), N ≥ 2, cm > c1", |m| m.tpot),
    detail("gap_p50", "s", Better::Lower, "median of c(i+1) − c(i) within one answer", |m| {
        m.gap_p50
    }),
    published(
        "gap_p99",
        "s",
        Better::Lower,
        "99th percentile of c(i+1) − c(i) within one answer",
        |m| m.gap_p99,
    ),
    detail("gap_max", "s", Better::Lower, "largest c(i+1) − c(i) within one answer", |m| {
        m.gap_max
    }),
    published("e2e", "s", Better::Lower, "end − t0", |m| m.e2e),
    published("speed", "tok/s", Better::Higher, "N / e2e", |m| m.speed),
    detail(
        "chars_per_s",
        "char/s",
        Better::Higher,
        "characters of text, reasoning and tool arguments / e2e",
        |m| m.chars_per_s,
    ),
    published("cost", "USD", Better::Lower, "tokens × the target's prices", |m| m.cost),
    published("output_tokens", "tok", Better::Neither, "N, by the provider's usage", |m| {
        m.output_tokens
    }),
    detail(
        "reference_tokens",
        "tok",
        Better::Neither,
        "the output counted with one tokenizer for all targets",
        |m| m.reference_tokens,
    ),
    detail(
        "cached_tokens",
        "tok",
        Better::Higher,
        "input tokens read from the provider's cache",
        |m| m.cached_tokens,
    ),
    detail("service_ttft", "s", Better::Lower, "c1 − actual send", |m| m.service_ttft),
    detail(
        "service_ttfo",
        "s",
        Better::Lower,
        "first content that is no reasoning − actual send",
        |m| m.service_ttfo,
    ),
    detail("service_e2e", "s", Better::Lower, "end − actual send", |m| m.service_e2e),
    detail("service_speed", "tok/s", Better::Higher, "N / service_e2e", |m| m.service_speed),
];

/// Metric and formula, for people. t0 is the intended send, c1 … cm the arrivals of content, N the output tokens.
pub const FORMULAS: &[(&str, &str)] = &formulas();

type Value = fn(&Metrics) -> Option<f64>;

const fn detail(
    name: &'static str,
    unit: &'static str,
    better: Better,
    formula: &'static str,
    value: Value,
) -> Metric {
    Metric { name, unit, better, published: false, formula, value }
}

const fn published(
    name: &'static str,
    unit: &'static str,
    better: Better,
    formula: &'static str,
    value: Value,
) -> Metric {
    Metric { published: true, ..detail(name, unit, better, formula, value) }
}

const fn formulas() -> [(&'static str, &'static str); METRICS.len()] {
    let mut all = [("", ""); METRICS.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = (METRICS[place].name, METRICS[place].formula);
        place += 1;
    }
    all
}

/// The metric of this name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The metrics of an outcome, by the formulas of [`METRICS`].
pub fn metrics(outcome: &Outcome) -> Metrics {
    if !outcome.is_good() {
        return Metrics::default();
    }
    let tokens = output_tokens(outcome);
    let e2e = seconds(outcome.intended_us, outcome.ended_us);
    let service_e2e = seconds(outcome.sent_us, outcome.ended_us);
    let per_second = |amount: f64, time: f64| (time > 0.0).then_some(amount / time);
    let usage = outcome.usage.as_ref();
    Metrics {
        e2e: Some(e2e),
        speed: tokens.and_then(|tokens| per_second(tokens, e2e)),
        chars_per_s: per_second(Row::chars(&outcome.answer) as f64, e2e),
        output_tokens: tokens,
        reference_tokens: outcome.reference_tokens.map(|tokens| tokens as f64),
        cached_tokens: usage.and_then(|usage| usage.cache_read).map(|tokens| tokens as f64),
        cost: outcome.cost_nanousd.map(|cost| cost as f64 / 1e9),
        service_e2e: Some(service_e2e),
        service_speed: tokens.and_then(|tokens| per_second(tokens, service_e2e)),
        ..streamed(outcome, tokens)
    }
}

/// What only a stream has.
fn streamed(outcome: &Outcome, tokens: Option<f64>) -> Metrics {
    let (Some(first), Some(last)) = (outcome.contents.first(), outcome.contents.last()) else {
        return Metrics::default();
    };
    if !outcome.streamed {
        return Metrics::default();
    }
    let answer = outcome.contents.iter().find(|content| content.what != What::Reasoning);
    let since = |from_us: u64, content: &Arrival| seconds(from_us, content.at_us);
    let span = seconds(first.at_us, last.at_us);
    let mut gaps: Vec<f64> = outcome
        .contents
        .windows(2)
        .filter_map(|two| Some(seconds(two.first()?.at_us, two.last()?.at_us)))
        .collect();
    gaps.sort_unstable_by(f64::total_cmp);
    Metrics {
        ttft: Some(since(outcome.intended_us, first)),
        ttfo: answer.map(|answer| since(outcome.intended_us, answer)),
        // All contents in one instant: the stream was held back on its way, and shows nothing of the decoding.
        tpot: tokens
            .filter(|tokens| *tokens >= 2.0 && span > 0.0)
            .map(|tokens| span / (tokens - 1.0)),
        gap_p50: quantile(&gaps, 0.5),
        gap_p99: quantile(&gaps, 0.99),
        gap_max: gaps.last().copied(),
        service_ttft: Some(since(outcome.sent_us, first)),
        service_ttfo: answer.map(|answer| since(outcome.sent_us, answer)),
        ..Metrics::default()
    }
}

/// N: what the provider billed as output, reasoning in it.
fn output_tokens(outcome: &Outcome) -> Option<f64> {
    let usage = outcome.usage.as_ref()?;
    let is_estimated = usage.source.as_deref() == Some("estimated");
    usage.output.filter(|output| *output >= 0 && !is_estimated).map(|output| output as f64)
}

fn seconds(from_us: u64, to_us: u64) -> f64 {
    to_us.saturating_sub(from_us) as f64 / 1e6
}

#[cfg(test)]
mod tests;
