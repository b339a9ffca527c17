//! What a condition can ask about: names, what they are counted in, and where a report has them.

use super::lex::Unit as Written;
use crate::faces::words::{self, Unit};
use crate::report::{Answers, Comparison, Report, Summary, Target};

/// A number of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// A statistic of a target's distribution: `ttft.p95`.
    Of(&'static str, Stat),
    /// A number of the paired comparison: `ttft.ratio`, and `ttft` itself against `x`.
    Paired(&'static str, Paired),
    Total(Total),
    Answer(Answer),
    Schedule(Lag),
    /// Recordings that could not be sent.
    LeftOut,
}

/// What it is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Seconds,
    Usd,
    /// From 0 to 1; written as it is or in per cent.
    Share,
    Count,
    PerSecond,
    /// A ratio in itself: `x` may be written, and is no baseline's.
    Ratio,
}

macro_rules! named {
    ($(#[$what:meta])* $name:ident { $($member:ident = $text:literal),* $(,)? }) => {
        $(#[$what])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($member),* }

        impl $name {
            pub(super) const ALL: &[Self] = &[$(Self::$member),*];

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$member => $text),* }
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.name() == name)
            }
        }
    };
}

named!(Stat {
    P50 = "p50", P90 = "p90", P95 = "p95", P99 = "p99", P999 = "p999", Mean = "mean", Min = "min", Max = "max",
});
named!(Paired {
    Ratio = "ratio", Low = "ci_low", High = "ci_high", Mde = "mde", Shift = "shift", P = "p",
    Holm = "p_holm", Pairs = "pairs",
});
named!(
    /// `cost` is a metric, too: against `$` it is the sum, against `x` the paired ratio.
    Total {
        Requests = "requests", Errors = "errors", Cost = "cost", Unpriced = "unpriced", Stopped = "stopped",
        InputTokens = "input_tokens", Losses = "losses",
    }
);
named!(Answer {
    Exact = "exact", Normalised = "normalised", Json = "json", SchemaValid = "schema_valid",
    Precision = "tool_calls_precision", Recall = "tool_calls_recall", F1 = "tool_calls_f1",
    Names = "tool_names_f1", InOrder = "tool_calls_in_order", SameFinish = "same_finish",
    LengthRatio = "length_ratio", Refusals = "refusals", OnlyBaseline = "only_baseline_good",
    OnlyTarget = "only_target_good", Mcnemar = "mcnemar_p", Pairs = "pairs",
});
named!(Lag { P50 = "lag_p50", P99 = "lag_p99", Max = "lag_max" });

/// The names a condition can begin with.
pub(super) fn heads() -> impl Iterator<Item = &'static str> {
    let totals = Total::ALL.iter().map(|total| total.name());
    words::metrics().chain(totals).chain(["answers", "schedule", "left_out", "verdict", "target"])
}

pub(super) fn metric(name: &str) -> Option<&'static str> {
    words::metrics().find(|metric| *metric == name)
}

/// Why there is no number.
pub(super) type Missing = String;

impl Quantity {
    pub(super) fn path(self) -> String {
        match self {
            Self::Of(metric, stat) => format!("{metric}.{}", stat.name()),
            Self::Paired(metric, Paired::Ratio) => metric.to_owned(),
            Self::Paired(metric, member) => format!("{metric}.{}", member.name()),
            Self::Total(total) => total.name().to_owned(),
            Self::Answer(answer) => format!("answers.{}", answer.name()),
            Self::Schedule(lag) => format!("schedule.{}", lag.name()),
            Self::LeftOut => "left_out".to_owned(),
        }
    }

    /// Of `errors` and `left_out` the limit says whether it is the count or the share that is meant.
    pub(super) fn kind(self, written: Written) -> Kind {
        match self {
            Self::Of(metric, _) | Self::Paired(metric, Paired::Shift) => {
                match words::unit_of(metric) {
                    Unit::Seconds => Kind::Seconds,
                    Unit::PerSecond => Kind::PerSecond,
                    Unit::Count => Kind::Count,
                    Unit::Usd => Kind::Usd,
                }
            }
            Self::Paired(_, Paired::Ratio | Paired::Low | Paired::High | Paired::Mde)
            | Self::Answer(Answer::LengthRatio) => Kind::Ratio,
            Self::Paired(_, Paired::P | Paired::Holm) | Self::Answer(Answer::Mcnemar) => {
                Kind::Share
            }
            Self::Total(Total::Cost) => Kind::Usd,
            Self::Total(Total::Errors) | Self::LeftOut
                if matches!(written, Written::Percent | Written::Times) =>
            {
                Kind::Share
            }
            Self::Paired(_, Paired::Pairs)
            | Self::Total(_)
            | Self::LeftOut
            | Self::Answer(
                Answer::Refusals | Answer::OnlyBaseline | Answer::OnlyTarget | Answer::Pairs,
            ) => Kind::Count,
            Self::Answer(_) => Kind::Share,
            Self::Schedule(_) => Kind::Seconds,
        }
    }

    /// Whether a limit in `x` means times the baseline's.
    pub(super) fn has_baseline(self) -> bool {
        matches!(self, Self::Of(..) | Self::Total(_))
    }

    pub(super) fn look_up(
        self,
        report: &Report,
        target: &Target,
        kind: Kind,
    ) -> Result<f64, Missing> {
        let found = match self {
            Self::Of(metric, stat) => {
                let summary = target.metrics.get(metric);
                let summary = summary.ok_or_else(|| format!("{metric} was not measured"))?;
                stat_of(summary, stat).ok_or_else(|| {
                    format!("{} is not given for {} values", self.path(), summary.n)
                })?
            }
            Self::Paired(metric, member) => {
                let comparison = target.comparisons.iter().find(|other| other.metric == metric);
                let comparison = comparison
                    .ok_or_else(|| format!("{metric} was not compared with the baseline"))?;
                paired(comparison, member).ok_or_else(|| format!("{} is not given", self.path()))?
            }
            Self::Total(total) => total_of(target, total, kind)
                .ok_or_else(|| format!("{} is not known", self.path()))?,
            Self::Answer(answer) => {
                let answers = target.answers.as_ref();
                let answers = answers.ok_or("its answers were not compared")?;
                answer_of(answers, answer).ok_or_else(|| format!("{} has no cases", self.path()))?
            }
            Self::Schedule(lag) => lag_of(report, lag),
            Self::LeftOut => left_out(report, kind).ok_or("there were no recordings")?,
        };
        if found.is_finite() { Ok(found) } else { Err(format!("{} is no number", self.path())) }
    }
}

fn stat_of(summary: &Summary, stat: Stat) -> Option<f64> {
    match stat {
        Stat::P50 => Some(summary.p50),
        Stat::P90 => summary.p90,
        Stat::P95 => summary.p95,
        Stat::P99 => summary.p99,
        Stat::P999 => summary.p999,
        Stat::Mean => Some(summary.mean),
        Stat::Min => Some(summary.min),
        Stat::Max => Some(summary.max),
    }
}

fn paired(comparison: &Comparison, member: Paired) -> Option<f64> {
    match member {
        Paired::Ratio => Some(comparison.ratio),
        Paired::Low => Some(comparison.ci95[0]),
        Paired::High => Some(comparison.ci95[1]),
        Paired::Mde => comparison.mde,
        Paired::Shift => comparison.shift,
        Paired::P => comparison.p,
        Paired::Holm => comparison.p_holm,
        Paired::Pairs => Some(comparison.n as f64),
    }
}

fn total_of(target: &Target, total: Total, kind: Kind) -> Option<f64> {
    let count = match total {
        Total::Requests => target.n,
        Total::Errors if kind == Kind::Share => {
            return (target.n > 0).then(|| target.errors as f64 / target.n as f64);
        }
        Total::Errors => target.errors,
        Total::Cost => return target.cost_usd,
        Total::Unpriced => target.unpriced,
        Total::Stopped => target.stopped,
        Total::InputTokens => target.input_tokens,
        Total::Losses => target.losses.values().sum(),
    };
    Some(count as f64)
}

fn answer_of(answers: &Answers, answer: Answer) -> Option<f64> {
    if answers.n == 0 {
        return None;
    }
    match answer {
        Answer::Exact => Some(answers.exact),
        Answer::Normalised => Some(answers.normalised),
        Answer::Json => answers.json,
        Answer::SchemaValid => answers.schema_valid,
        Answer::Precision => answers.tool_calls_precision,
        Answer::Recall => answers.tool_calls_recall,
        Answer::F1 => answers.tool_calls_f1,
        Answer::Names => answers.tool_names_f1,
        Answer::InOrder => answers.tool_calls_in_order,
        Answer::SameFinish => Some(answers.same_finish),
        Answer::LengthRatio => answers.length_ratio,
        Answer::Refusals => Some(answers.refusals as f64),
        Answer::OnlyBaseline => Some(answers.only_baseline_good as f64),
        Answer::OnlyTarget => Some(answers.only_target_good as f64),
        Answer::Mcnemar => answers.mcnemar_p,
        Answer::Pairs => Some(answers.n as f64),
    }
}

fn lag_of(report: &Report, lag: Lag) -> f64 {
    let us = match lag {
        Lag::P50 => report.schedule.lag_p50_us,
        Lag::P99 => report.schedule.lag_p99_us,
        Lag::Max => report.schedule.lag_max_us,
    };
    us as f64 / 1e6
}

fn left_out(report: &Report, kind: Kind) -> Option<f64> {
    let left: u64 = report.left_out.values().sum();
    if kind == Kind::Share {
        let all = left.saturating_add(report.recordings);
        return (all > 0).then(|| left as f64 / all as f64);
    }
    Some(left as f64)
}

impl Kind {
    pub(super) fn shown(self, value: f64) -> String {
        match self {
            Self::Seconds => words::seconds(value),
            Self::Usd => words::usd(value),
            Self::Share => words::share(value),
            Self::Count => words::value("output_tokens", value),
            Self::PerSecond => words::value("speed", value),
            Self::Ratio => words::ratio(value),
        }
    }

    /// Whether a limit in this unit can be held against it, as a number and not as times the baseline's.
    pub(super) fn takes(self, written: Written) -> bool {
        match self {
            Self::Seconds => written == Written::Seconds,
            Self::Usd => written == Written::Usd,
            Self::Share => matches!(written, Written::Percent | Written::Plain),
            Self::Count | Self::PerSecond => written == Written::Plain,
            Self::Ratio => matches!(written, Written::Times | Written::Plain),
        }
    }

    /// How its limits are written.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Seconds => "a time, as in 250ms or 2s",
            Self::Usd => "dollars, as in $0.50",
            Self::Share => "a share, as in 0.95 or 95%",
            Self::Count => "a number without a unit",
            Self::PerSecond => "a number without a unit, which counts tokens a second",
            Self::Ratio => "a ratio, as in 1.2x",
        }
    }
}
