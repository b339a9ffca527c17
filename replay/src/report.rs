//! A run's report as data: what `--report x.json` writes, and what every other form (terminal, Markdown, CSV, HTML, JUnit) is
//! drawn from. `docs/replay-report.schema.json` is its schema; within version 1 members are only added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Step;
use crate::row::CAPTURED;

pub const SCHEMA: u32 = 1;
/// What stands as the baseline of a run that has none: one target, and recordings without answers.
pub const NO_BASELINE: &str = "none";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub schema: u32,
    pub run_id: String,
    pub started_at_us: i64,
    pub duration_us: u64,
    /// `whole`, `interrupted`, `max_cost`: why it ended.
    pub ended: String,
    /// What all targets are compared with: the name of one, or `captured`.
    pub baseline: String,
    /// Whether the baseline was sent in turns with the targets. If not, it was captured earlier, and its times and the targets'
    /// are not of the same hour.
    pub interleaved: bool,
    pub plan: Plan,
    /// Recordings that were to be sent, and those that could not be, by reason.
    pub recordings: u64,
    pub left_out: BTreeMap<String, u64>,
    pub sessions: u64,
    pub targets: Vec<Target>,
    pub schedule: Schedule,
    /// What came of each rate of a sweep, an entry a target, in the order in which they were tried; empty: it was none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What asking a judge came to, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// What the plan's conditions came to, where the run's host held them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gated>,
    pub environment: BTreeMap<String, String>,
    /// What the reader has to know to trust the numbers, in sentences.
    pub notes: Vec<String>,
    /// Metric → formula, as used.
    pub formulas: BTreeMap<String, String>,
}

impl Report {
    /// The targets that were sent to, as rows number them: by their numbers, where they have any.
    pub fn sent(&self) -> Vec<&Target> {
        let mut sent: Vec<&Target> =
            self.targets.iter().filter(|target| target.target != CAPTURED).collect();
        sent.sort_by_key(|target| target.number);
        sent
    }

    /// The place of what all others are compared with.
    pub fn baseline_place(&self) -> Option<usize> {
        let named = |target: &Target| target.target == self.baseline;
        let first =
            |target: &&Target| named(target) && target.number.is_none_or(|number| number == 0);
        let found = self.targets.iter().find(first)?;
        self.targets.iter().position(|target| std::ptr::eq(target, found))
    }
}

/// What was to be done, as the user would write it again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    pub from: String,
    pub pace: String,
    pub context: String,
    pub cache: String,
    pub repeat: u16,
    pub warmup: u32,
    pub seed: u64,
    pub margin: f64,
    pub polite: bool,
}

/// The questions that a judge was asked. Their cost is in no target's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judge {
    pub target: String,
    /// Requests to the judge: two a pair.
    pub asked: u64,
    /// Those that came back without a verdict.
    pub failed: u64,
    /// Pairs of which it said another thing in the other order.
    pub inconsistent: u64,
    pub cost_usd: Option<f64>,
}

/// One condition of `fail_if`, held against the report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gated {
    pub condition: String,
    /// `pass`, `fail`, `cannot tell`.
    pub outcome: String,
    /// The numbers that decided it.
    pub sentences: Vec<String>,
}

/// How well the schedule was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    pub lag_p50_us: u64,
    pub lag_p99_us: u64,
    pub lag_max_us: u64,
    /// `p99 > 5 ms`: times from the intended instant then show the sender, too.
    pub degraded: bool,
}

/// One column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    pub target: String,
    /// Its place in the plan, which rows name it by; two targets may have one name. `None`: what was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u16>,
    /// Outcomes that count, and how many of them are errors.
    pub n: u64,
    pub errors: u64,
    pub errors_by_kind: BTreeMap<String, u64>,
    pub cost_usd: Option<f64>,
    /// Requests without a price, so that `cost_usd` leaves them out.
    pub unpriced: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    /// Branches stopped because the target called what was never recorded (`--context live`).
    pub stopped: u64,
    pub losses: BTreeMap<String, u64>,
    /// Metric → its distribution.
    pub metrics: BTreeMap<String, Summary>,
    /// The same answers by the names and formulas of other tools.
    pub elsewhere: BTreeMap<String, f64>,
    /// Against the baseline; empty for the baseline itself.
    pub comparisons: Vec<Comparison>,
    pub answers: Option<Answers>,
}

/// A distribution. Tails are `None` where n is too small for them to mean anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub n: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub min: f64,
    pub max: f64,
}

/// One metric against the baseline, over pairs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    pub metric: String,
    /// Geometric mean of the per-pair ratios, this target over the baseline.
    pub ratio: f64,
    pub ci95: [f64; 2],
    /// Pairs.
    pub n: u64,
    /// Pairs with a value of zero, which have no ratio.
    pub left_out: u64,
    pub sessions: u64,
    /// `session`, `exchange` or `repeat`: what the interval was resampled by; `none`: under eight of them it is Student's.
    pub resampled_by: String,
    /// The smallest ratio above 1 that this n could have shown, with 80 % power.
    pub mde: Option<f64>,
    pub verdict: Verdict,
    /// Wilcoxon signed-rank on the log ratios, and the same after Holm over the family.
    pub p: Option<f64>,
    pub p_holm: Option<f64>,
    /// Hodges–Lehmann shift, in the metric's unit, with its 95 % interval.
    pub shift: Option<f64>,
    pub shift_ci95: Option<[f64; 2]>,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Less time, or more tokens a second. For costs and lengths: less.
    Faster,
    Slower,
    Same,
    #[default]
    Undecided,
}

/// How a target's answers compare with the baseline's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    pub n: u64,
    pub exact: f64,
    pub normalised: f64,
    pub json: Option<f64>,
    pub schema_valid: Option<f64>,
    pub tool_calls_precision: Option<f64>,
    pub tool_calls_recall: Option<f64>,
    pub tool_calls_f1: Option<f64>,
    pub tool_names_f1: Option<f64>,
    pub tool_calls_in_order: Option<f64>,
    pub same_finish: f64,
    pub length_ratio: Option<f64>,
    pub refusals: u64,
    /// Pairs where only the baseline, and where only this target, answered well; McNemar's exact p.
    pub only_baseline_good: u64,
    pub only_target_good: u64,
    pub mcnemar_p: Option<f64>,
    /// Won, lost and neither by the judge, where one was asked.
    pub judged: Option<[u64; 3]>,
    /// Pairs that differ most, the worst first.
    pub worst: Vec<Worst>,
}

/// A pair whose answers differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worst {
    /// The captured exchange.
    pub of: String,
    pub baseline_id: Option<String>,
    pub target_id: Option<String>,
    /// From 0, alike, to 1.
    pub difference: f64,
    pub why: String,
}
