//! What the operations API tells of runs, targets and plans, as far as this screen shows it. Members that are not known here are
//! passed over.

use std::collections::BTreeMap;

use pinhole_replay::estimate::Estimate;
use pinhole_replay::report::Verdict;
use serde::Deserialize;

use crate::report::look::Tone;

/// A line of `/api/runs`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub run_id: String,
    pub state: String,
    pub started_at_us: Option<i64>,
    pub duration_us: Option<u64>,
    pub from: String,
    pub pace: String,
    pub recordings: u64,
    pub baseline: String,
    pub targets: Vec<Side>,
    /// Of the run that is being sent.
    pub progress: Option<Progress>,
}

impl Run {
    /// Whether the gateway that answers sends it now.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.state.as_str(), "running" | "stopping")
    }

    /// What it came to, in a word.
    pub(super) fn word(&self) -> (Tone, &'static str) {
        let compared = self.targets.iter().filter_map(Side::verdicts).flatten();
        let mut counts = [0usize; 4];
        for (_, verdict) in compared {
            let place = match verdict {
                Verdict::Slower => 0,
                Verdict::Faster => 1,
                Verdict::Same => 2,
                Verdict::Undecided => 3,
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        match counts {
            [0, 0, 0, 0] => (Tone::Dim, "-"),
            [0, 0, 0, _] => (Tone::Odd, "undecided"),
            [0, 0, _, _] => (Tone::Plain, "same"),
            [_, 0, _, _] => (Tone::Bad, "worse"),
            [0, _, _, _] => (Tone::Good, "better"),
            _ => (Tone::Odd, "mixed"),
        }
    }

    pub(super) fn cost_usd(&self) -> Option<f64> {
        if let Some(progress) = &self.progress {
            return Some(progress.spent_usd);
        }
        let costs: Vec<f64> = self.targets.iter().filter_map(Side::cost_usd).collect();
        (!costs.is_empty()).then(|| costs.iter().sum())
    }
}

/// A target of a run: its name alone before there is a report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Side {
    Name(String),
    Told {
        target: String,
        #[serde(default)]
        cost_usd: Option<f64>,
        #[serde(default)]
        verdicts: BTreeMap<String, Verdict>,
    },
}

impl Side {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Told { target: name, .. } => name,
        }
    }

    fn verdicts(&self) -> Option<&BTreeMap<String, Verdict>> {
        match self {
            Self::Name(_) => None,
            Self::Told { verdicts, .. } => Some(verdicts),
        }
    }

    /// What was captured was paid before.
    fn cost_usd(&self) -> Option<f64> {
        match self {
            Self::Told { target, cost_usd, .. } if target != pinhole_replay::row::CAPTURED => {
                *cost_usd
            }
            _ => None,
        }
    }
}

/// How a run is going.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub planned: u64,
    pub sent: u64,
    pub done: u64,
    pub errors: u64,
    pub in_flight: u64,
    pub spent_usd: f64,
    pub elapsed_s: f64,
    pub per_s: f64,
    pub left_s: Option<f64>,
}

/// A line of `/api/targets`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Offer {
    pub target: String,
    /// It stands for names that only the user knows.
    pub pattern: bool,
    pub usd_per_million: Option<Prices>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Prices {
    pub input: f64,
    pub cached: Option<f64>,
    pub output: f64,
}

/// What a plan comes to, before it is sent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Ready {
    pub run_id: String,
    pub recordings: u64,
    pub left_out: BTreeMap<String, u64>,
    pub targets: Vec<Aim>,
    pub estimate: Vec<Estimate>,
}

/// Where a target leads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Aim {
    pub target: String,
    pub provider: String,
    pub model: String,
    pub because: String,
}

impl Ready {
    pub(super) fn requests(&self) -> u64 {
        self.estimate.iter().map(|one| one.requests).sum()
    }

    /// About, and at worst; what has no price is in neither.
    pub(super) fn costs(&self) -> (i64, i64) {
        let sum = |of: fn(&Estimate) -> Option<i64>| {
            self.estimate.iter().filter_map(of).fold(0, i64::saturating_add)
        };
        (sum(|one| one.cost_nanousd), sum(|one| one.worst_nanousd))
    }

    pub(super) fn unpriced(&self) -> usize {
        self.estimate.iter().filter(|one| one.cost_nanousd.is_none()).count()
    }
}

/// A line of `/api/runs/{id}/pairs`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Pair {
    pub repeat: u16,
    pub of: String,
    pub session: Option<String>,
    pub target: String,
    pub baseline_id: Option<String>,
    pub target_id: Option<String>,
    pub error: Option<String>,
    pub baseline_error: Option<String>,
    pub baseline: Option<f64>,
    pub value: Option<f64>,
    pub ratio: Option<f64>,
    pub difference: Option<f64>,
    pub why: String,
}

/// `/api/runs/{id}/pairs`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Pairs {
    pub sort: String,
    pub count: usize,
    pub pairs: Vec<Pair>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_comes_to_a_word() {
        let run = |verdicts: &[&str]| {
            let verdicts: BTreeMap<String, &str> =
                verdicts.iter().enumerate().map(|(at, one)| (at.to_string(), *one)).collect();
            let told = json!({
                "run_id": "r", "state": "whole", "more": 1,
                "targets": ["unsent", { "target": "a", "n": 3, "verdicts": verdicts }],
            });
            let run: Run = serde_json::from_value(told).unwrap();
            run.word().1
        };
        for (verdicts, word) in [
            (&[][..], "-"),
            (&["undecided"], "undecided"),
            (&["undecided", "same"], "same"),
            (&["slower", "same"], "worse"),
            (&["faster", "undecided"], "better"),
            (&["faster", "slower"], "mixed"),
        ] {
            assert_eq!(run(verdicts), word, "{verdicts:?}");
        }
    }

    #[test]
    fn what_was_captured_costs_the_run_nothing() {
        let told = json!({ "targets": [
            { "target": "captured", "cost_usd": 5.0 }, { "target": "a", "cost_usd": 0.5 },
        ]});
        let run: Run = serde_json::from_value(told).unwrap();
        assert_eq!(run.cost_usd(), Some(0.5));
        assert_eq!(Run::default().cost_usd(), None);
    }
}
