//! The same answers by the names and formulas of other tools, so that a number from here can be laid beside one from there.
//!
//! Words are not used alike: of one stream the "ITL" of four tools is 18, 26, 100 or 124 ms. All of these count from the actual
//! send, as those tools do, and from the provider's N where they may count with a tokenizer of their own.

use std::collections::BTreeMap;

use crate::row::{Marks, Row};

/// One number of another tool.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// `tool.name`, the name as that tool writes it.
    pub name: &'static str,
    pub unit: &'static str,
    pub formula: &'static str,
    /// How it comes from single answers.
    pub of: Of,
}

/// From one answer to the run's number.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// The mean over the answers that have it.
    Mean(fn(&Stream) -> Option<f64>),
    /// All pieces of all answers in one pot: the sum of the first over the sum of the second.
    Pooled(fn(&Stream) -> Option<(f64, f64)>),
}

/// One streamed answer, in seconds from the actual send.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// First event of the answer, even one without content.
    first_event: f64,
    first: f64,
    /// First content that is no reasoning.
    answer: Option<f64>,
    last: f64,
    end: f64,
    /// Arrivals of content.
    contents: f64,
    tokens: Option<f64>,
}

/// In ms where the tool says ms, in s where it says s.
pub const NUMBERS: &[Number] = &[
    mean("aiperf.time_to_first_token", "ms", "c1 − s", |s| Some(1e3 * s.first)),
    mean("aiperf.time_to_first_output_token", "ms", "first content but reasoning − s", |s| {
        s.answer.map(|answer| 1e3 * answer)
    }),
    mean("aiperf.request_latency", "ms", "cm − s", |s| Some(1e3 * s.last)),
    mean("aiperf.inter_token_latency", "ms", "(cm − c1) / (N − 1)", |s| s.decoding().map(ms)),
    Number {
        name: "aiperf.inter_chunk_latency",
        unit: "ms",
        formula: "mean of c(i+1) − c(i), all answers in one pot",
        of: Of::Pooled(|s| Some((1e3 * (s.last - s.first), s.contents - 1.0))),
    },
    mean("aiperf.output_token_throughput_per_user", "tok/s", "1 / inter_token_latency", |s| {
        s.decoding().filter(|itl| *itl > 0.0).map(f64::recip)
    }),
    mean("aiperf.e2e_output_token_throughput", "tok/s", "N / request_latency", |s| {
        s.tokens.filter(|_| s.last > 0.0).map(|tokens| tokens / s.last)
    }),
    mean("guidellm.time_to_first_token_ms", "ms", "c1 − s", |s| Some(1e3 * s.first)),
    mean("guidellm.inter_token_latency_ms", "ms", "(cm − c1) / (N − 1)", |s| {
        s.decoding().map(ms)
    }),
    mean("guidellm.time_per_output_token_ms", "ms", "(cm − s) / N", |s| {
        s.per_token(s.last).map(ms)
    }),
    mean("guidellm.request_latency", "s", "end − s", |s| Some(s.end)),
    mean("guidellm.tokens_per_second", "tok/s", "N / request_latency", |s| {
        s.per_token(s.end).map(f64::recip)
    }),
    mean("vllm.mean_ttft_ms", "ms", "first event, with content or not − s", |s| {
        Some(1e3 * s.first_event)
    }),
    mean("vllm.mean_tpot_ms", "ms", "(cm − first event) / (N − 1)", |s| {
        s.tokens_after_first().map(|tokens| 1e3 * (s.last - s.first_event) / tokens)
    }),
    Number {
        name: "vllm.mean_itl_ms",
        unit: "ms",
        formula: "mean of the gaps between events from the first on, all answers in one pot",
        of: Of::Pooled(|s| {
            let before = if s.first_event < s.first { 1.0 } else { 0.0 };
            Some((1e3 * (s.last - s.first_event), s.contents - 1.0 + before))
        }),
    },
    mean("vllm.mean_e2el_ms", "ms", "cm − s", |s| Some(1e3 * s.last)),
    mean("llmperf.ttft_s", "s", "c1 − s", |s| Some(s.first)),
    mean("llmperf.inter_token_latency_s", "s", "(cm − s) / N", |s| s.per_token(s.last)),
    mean("llmperf.end_to_end_latency_s", "s", "end − s", |s| Some(s.end)),
    mean("llmperf.request_output_throughput_token_per_s", "tok/s", "N / end_to_end_latency", |s| {
        s.per_token(s.end).map(f64::recip)
    }),
];

const fn mean(
    name: &'static str,
    unit: &'static str,
    formula: &'static str,
    of: fn(&Stream) -> Option<f64>,
) -> Number {
    Number { name, unit, formula, of: Of::Mean(of) }
}

fn ms(seconds: f64) -> f64 {
    1e3 * seconds
}

impl Stream {
    /// Of a row that is a good streamed answer.
    pub fn of(row: &Row) -> Option<Self> {
        let marks: Marks = row.marks?;
        let since = |at_us: u64| at_us.saturating_sub(row.sent_us) as f64 / 1e6;
        row.is_good().then(|| Self {
            first_event: since(marks.first_event_us.unwrap_or(marks.first_us)),
            first: since(marks.first_us),
            answer: row.metrics.service_ttfo,
            last: since(marks.last_us),
            end: since(row.ended_us),
            contents: f64::from(marks.contents),
            tokens: row.metrics.output_tokens,
        })
    }

    fn tokens_after_first(&self) -> Option<f64> {
        self.tokens.filter(|tokens| *tokens >= 2.0).map(|tokens| tokens - 1.0)
    }

    fn decoding(&self) -> Option<f64> {
        self.tokens_after_first().map(|tokens| (self.last - self.first) / tokens)
    }

    fn per_token(&self, time: f64) -> Option<f64> {
        self.tokens.filter(|tokens| *tokens > 0.0 && time > 0.0).map(|tokens| time / tokens)
    }
}

/// Sums of a run, to which one answer after the other is added.
#[derive(Debug, Clone)]
pub struct Sums(Vec<(f64, f64)>);

impl Default for Sums {
    fn default() -> Self {
        Self(vec![(0.0, 0.0); NUMBERS.len()])
    }
}

impl Sums {
    pub fn add(&mut self, stream: &Stream) {
        for ((over, under), number) in self.0.iter_mut().zip(NUMBERS) {
            let (more_over, more_under) = match number.of {
                Of::Mean(of) => of(stream).map_or((0.0, 0.0), |value| (value, 1.0)),
                Of::Pooled(of) => of(stream).unwrap_or_default(),
            };
            *over += more_over;
            *under += more_under;
        }
    }

    /// The run's numbers by name; those that no answer has are left out.
    pub fn numbers(&self) -> BTreeMap<String, f64> {
        self.0
            .iter()
            .zip(NUMBERS)
            .filter(|((_, under), _)| *under > 0.0)
            .map(|((over, under), number)| (number.name.to_owned(), over / under))
            .collect()
    }
}
