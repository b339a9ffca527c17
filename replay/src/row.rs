//! One line of a run's journal: the numbers of one outcome and how its answer compares, without the words of it. A run of any
//! length is a file of these; all tables, verdicts and pictures are made of them.

use serde::{Deserialize, Serialize};

use crate::outcome::{Answer, Arrival, Outcome};
use crate::recording::{Fault, Usage};

/// The name of the column that was captured and not sent.
pub const CAPTURED: &str = "captured";

/// Which job an outcome is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Job {
    /// The recording's place in the run, from 0. Pairs are formed on it.
    pub pair: u32,
    /// The target's place among the run's; `None`: the captured original.
    pub target: Option<u16>,
    /// From 0.
    pub repeat: u16,
}

/// One outcome in numbers. Times in µs; metrics as contract section 8 and docs/replay.md define them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    pub pair: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u16>,
    pub repeat: u16,
    /// Sent to warm up: in no comparison.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub warmup: bool,
    /// The captured exchange, and the session it belongs to: what intervals are resampled by.
    pub of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The exchange that the sending made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    pub intended_us: u64,
    pub sent_us: u64,
    pub ended_us: u64,
    pub metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_tokens: Option<u64>,
    /// Characters of the answer, of reasoning and of arguments.
    pub chars: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nanousd: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// Against the baseline's answer of the same pair and repeat; `None`: this is the baseline, or one of them has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// What asking a judge about this answer came to; `None`: nobody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Asking>,
    /// What other tools' formulas need beside the metrics; only of streams with content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<Marks>,
    /// Arrivals of content, thinned to at most [`ARRIVALS_MAX`], for timelines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<Arrival>,
}

/// The questions put to a judge about one pair of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asking {
    pub asked: u8,
    /// Without a verdict: no answer, or none that could be read.
    pub failed: u8,
    /// It changed its mind with the order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inconsistent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nanousd: Option<i64>,
}

/// The ends of a stream, from the run's zero, and how many pieces it came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// The first event of the answer, with content or not; `None`: not known, or the first content itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_us: Option<u64>,
    pub first_us: u64,
    pub last_us: u64,
    pub contents: u32,
}

impl Marks {
    fn of(outcome: &Outcome) -> Option<Self> {
        let (first, last) = (outcome.contents.first()?, outcome.contents.last()?);
        outcome.streamed.then(|| Self {
            first_event_us: outcome.first_event_us,
            first_us: first.at_us,
            last_us: last.at_us,
            contents: u32::try_from(outcome.contents.len()).unwrap_or(u32::MAX),
        })
    }
}

/// Limit: arrivals kept of one answer.
pub const ARRIVALS_MAX: usize = 256;

/// The metrics of one outcome: seconds, tokens a second, tokens, dollars. `None`: not defined for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttfo: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpot: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_p99: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chars_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_ttft: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_ttfo: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_e2e: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_speed: Option<f64>,
}

/// How like two answers are: shares from 0 to 1. `None`: neither has anything of the kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Likeness {
    /// Text and calls byte for byte.
    pub exact: bool,
    /// Text without differences of white space, case and punctuation; calls by canonical arguments.
    pub normalised: bool,
    /// Paths of the JSON answer that agree; where only one of the two is JSON, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<f64>,
    /// Whether the answer keeps to the schema that the request asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_valid: Option<bool>,
    /// Share of this answer's calls that the baseline made, and of the baseline's that this answer made, by name and
    /// canonical arguments; each `None` where there is nothing to take a share of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_precision: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_recall: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_f1: Option<f64>,
    /// The same by names alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names_f1: Option<f64>,
    /// The same calls in the same order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_in_order: Option<bool>,
    pub same_finish: bool,
    /// Length of the text, this one's over the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_ratio: Option<f64>,
    /// It refuses: by the provider's word, or by how it begins.
    pub refused: bool,
    /// It refuses where the baseline answers, or the other way round.
    pub refusal_differs: bool,
    /// The judge's word on which is better, where one was asked: 1 this one, -1 the baseline, 0 neither or not consistent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<i8>,
}

impl Row {
    /// What asking a judge about it cost.
    pub fn judge_nanousd(&self) -> i64 {
        self.judge.and_then(|judge| judge.cost_nanousd).unwrap_or_default()
    }

    pub fn job(&self) -> Job {
        Job { pair: self.pair, target: self.target, repeat: self.repeat }
    }

    pub fn is_good(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Characters of an answer, of its reasoning and of its tools' arguments.
    pub fn chars(answer: &Answer) -> u64 {
        let calls: usize = answer.calls.iter().map(|call| call.arguments.chars().count()).sum();
        (answer.text.chars().count() + answer.reasoning.chars().count() + calls) as u64
    }

    /// What of an outcome needs no formula; metrics and likeness are filled by [`crate::measure`] and [`crate::answers`].
    pub fn begin(job: Job, of: &str, session: Option<&str>, outcome: &Outcome) -> Self {
        let answer = &outcome.answer;
        let step = outcome.contents.len().div_ceil(ARRIVALS_MAX).max(1);
        Self {
            pair: job.pair,
            target: job.target,
            repeat: job.repeat,
            of: of.to_owned(),
            session: session.map(str::to_owned),
            id: outcome.id.clone(),
            status: outcome.status,
            error: outcome.error.clone(),
            intended_us: outcome.intended_us,
            sent_us: outcome.sent_us,
            ended_us: outcome.ended_us,
            usage: outcome.usage.clone(),
            reference_tokens: outcome.reference_tokens,
            chars: Self::chars(answer),
            cost_nanousd: outcome.cost_nanousd,
            finish: answer.finish.clone(),
            losses: outcome.losses.clone(),
            marks: Marks::of(outcome),
            arrivals: outcome.contents.iter().copied().step_by(step).collect(),
            ..Self::default()
        }
    }
}
