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

/// A line a metric: what it is called is the field it is read from.
macro_rules! table {
    ($($part:ident $field:ident $unit:literal $better:ident $formula:literal;)*) => {
        &[$(Metric {
            name: stringify!($field),
            unit: $unit,
            better: Better::$better,
            published: table!($part),
            formula: $formula,
            value: |metrics| metrics.$field,
        }),*]
    };
    (published) => { true };
    (detail) => { false };
}

/// All metrics, in the order in which they are shown.
pub const METRICS: &[Metric] = table! {
    published ttft "s" Lower "c1 − t0";
    published ttfo "s" Lower "first content that is no reasoning − t0";
    published tpot "s" Lower "(cm − c1) / (N − 1), N ≥ 2, cm > c1";
    detail gap_p50 "s" Lower "median of c(i+1) − c(i) within one answer";
    published gap_p99 "s" Lower "99th percentile of c(i+1) − c(i) within one answer";
    detail gap_max "s" Lower "largest c(i+1) − c(i) within one answer";
    published e2e "s" Lower "end − t0";
    published speed "tok/s" Higher "N / e2e";
    detail chars_per_s "char/s" Higher "characters of text, reasoning and tool arguments / e2e";
    published cost "USD" Lower "tokens × the target's prices";
    published output_tokens "tok" Neither "N, by the provider's usage";
    detail reference_tokens "tok" Neither "the output counted with one tokenizer for all targets";
    detail cached_tokens "tok" Higher "input tokens read from the provider's cache";
    detail service_ttft "s" Lower "c1 − actual send";
    detail service_ttfo "s" Lower "first content that is no reasoning − actual send";
    detail service_e2e "s" Lower "end − actual send";
    detail service_speed "tok/s" Higher "N / service_e2e";
};

/// Metric and formula, for people. t0 is the intended send, c1 … cm the arrivals of content, N the output tokens.
pub const FORMULAS: &[(&str, &str)] = &formulas();

/// What the letters of [`FORMULAS`] stand for.
pub const SYMBOLS: &[(&str, &str)] = &[
    ("t0", "the instant at which the schedule wanted the request sent"),
    ("c1 … cm", "the arrivals of content that is not empty: text, reasoning, arguments of tools"),
    ("N", "output tokens, reasoning in them, by the provider's usage"),
    ("end", "the last byte of the answer"),
];

/// What a report's comparisons and answers are worked out by. docs/replay.md says more of each.
pub const COMPARED: &[(&str, &str)] = &[
    ("ratio", "exp of the mean of ln(target / baseline) over pairs: the geometric mean"),
    (
        "ci95",
        "bootstrap of ln(ratio), whole sessions drawn 10,000 times, at Hesterberg's expanded percentiles; \
         under 8 sessions by exchange, under 8 exchanges Student's t",
    ),
    (
        "verdict",
        "same: ci95 lies within [1/(1 + margin), 1 + margin]; else faster or slower: it excludes 1; else undecided",
    ),
    ("mde", "exp((t(0.975) + t(0.8)) · standard error by sessions): shown in 80 % of such runs"),
    (
        "p",
        "Wilcoxon's signed-rank test on ln(target / baseline), sessions being what is independent",
    ),
    ("p_holm", "p after Holm's correction over all published metrics of all targets"),
    ("shift", "Hodges–Lehmann: the median of all pairwise means of target − baseline"),
    ("mcnemar_p", "McNemar's exact test on pairs in which only one of the two answered well"),
    (
        "quantile",
        "interpolated between the two nearest values; p90 from 10 values on, p95 from 20, p99 from 100",
    ),
    (
        "tool_calls_f1",
        "2 · calls that both made / (calls of the one + calls of the other), by name and arguments",
    ),
];

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
