//! The budget of time series: one for each metric, one for all. Past it, label values collapse to `other`.
//!
//! ```text
//!  as asked ──full──► model=other ──full──► provider, model, status, key, target = other
//! ```
//!
//! Limit: `series_max`, plus the last step's series, which are few: closed sets alone.

use std::collections::HashSet;

use crate::telemetry::metrics::{Metric, TABLE};

/// What stands for every value that has no series of its own.
pub const OTHER: &str = "other";

/// Labels whose values come from the configuration or from a provider, in the order in which they are given up.
const STEPS: [&[&str]; 2] = [&["model"], &["provider", "model", "status", "key", "target"]];

/// What has been admitted so far.
#[derive(Debug)]
pub struct Budget {
    series_max: usize,
    series: usize,
    sets: Vec<usize>,
    known: HashSet<(Metric, String)>,
}

/// Under which label values something is counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission<'a> {
    pub values: Vec<&'a str>,
    pub collapsed: bool,
}

impl Budget {
    pub fn new(series_max: usize) -> Self {
        Self { series_max, series: 0, sets: vec![0; TABLE.len()], known: HashSet::new() }
    }

    /// Time series admitted so far.
    pub fn series(&self) -> usize {
        self.series
    }

    /// The label values that stand for `values`.
    pub fn admit<'a>(&mut self, metric: Metric, values: &[&'a str]) -> Admission<'a> {
        if self.try_exactly(metric, values) {
            return Admission { values: values.to_vec(), collapsed: false };
        }
        let labels = metric.declaration().labels;
        let mut given_up = values.to_vec();
        for step in STEPS {
            for (value, label) in given_up.iter_mut().zip(labels) {
                if step.contains(label) {
                    *value = OTHER;
                }
            }
            if self.try_exactly(metric, &given_up) {
                return Admission { values: given_up, collapsed: true };
            }
        }
        self.note(metric, &given_up);
        Admission { values: given_up, collapsed: true }
    }

    /// Whether exactly these values have, or may have, a series; for gauges, which cannot be added up under `other`.
    pub fn try_exactly(&mut self, metric: Metric, values: &[&str]) -> bool {
        let declaration = metric.declaration();
        if self.known.contains(&(metric, joined(values))) {
            return true;
        }
        let sets = self.sets.get(metric as usize).copied().unwrap_or_default();
        let fits = sets < declaration.sets_max
            && self.series + declaration.kind.width() <= self.series_max;
        if fits {
            self.note(metric, values);
        }
        fits
    }

    /// Gives back what a series took, when it has been removed.
    pub fn forget(&mut self, metric: Metric, values: &[&str]) {
        if self.known.remove(&(metric, joined(values))) {
            self.series = self.series.saturating_sub(metric.declaration().kind.width());
            if let Some(sets) = self.sets.get_mut(metric as usize) {
                *sets = sets.saturating_sub(1);
            }
        }
    }

    fn note(&mut self, metric: Metric, values: &[&str]) {
        if self.known.insert((metric, joined(values))) {
            self.series += metric.declaration().kind.width();
            if let Some(sets) = self.sets.get_mut(metric as usize) {
                *sets += 1;
            }
        }
    }
}

/// The values as one key, apart by a control character that no configured name holds.
fn joined(values: &[&str]) -> String {
    values.join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_the_budget_values_stay_as_they_are() {
        let mut budget = Budget::new(1_000);
        for _ in 0..2 {
            let admission = budget.admit(Metric::Cost, &["openai", "gpt-5"]);
            assert_eq!(admission, Admission { values: vec!["openai", "gpt-5"], collapsed: false });
        }
        assert_eq!(budget.series(), 1, "known is known");
        budget.admit(Metric::FirstToken, &["openai", "gpt-5"]);
        let width = Metric::FirstToken.declaration().kind.width();
        assert_eq!(budget.series(), 1 + width, "a histogram counts as what it exposes");
    }

    #[test]
    fn past_it_models_collapse_first_and_providers_then() {
        let mut budget = Budget::new(3);
        let values = |budget: &mut Budget, provider, model| {
            let Admission { values, collapsed } = budget.admit(Metric::Cost, &[provider, model]);
            (values[0].to_owned(), values[1].to_owned(), collapsed)
        };
        let told = |provider: &str, model: &str, collapsed| {
            (provider.to_owned(), model.to_owned(), collapsed)
        };
        assert_eq!(values(&mut budget, "a", "m1"), told("a", "m1", false));
        assert_eq!(values(&mut budget, "a", OTHER), told("a", OTHER, false));
        assert_eq!(values(&mut budget, "b", OTHER), told("b", OTHER, false));
        assert_eq!(values(&mut budget, "a", "m2"), told("a", OTHER, true));
        assert_eq!(values(&mut budget, "a", "m1"), told("a", "m1", false), "who is in stays in");
        assert_eq!(values(&mut budget, "c", "m"), told(OTHER, OTHER, true));
        for provider in ["d", "e", "f"] {
            assert_eq!(values(&mut budget, provider, "m"), told(OTHER, OTHER, true));
        }
        assert_eq!(budget.series(), 4, "the last resort is one series on top");
    }

    #[test]
    fn what_is_removed_makes_room() {
        let mut budget = Budget::new(1);
        assert!(budget.try_exactly(Metric::ProviderUp, &["a"]));
        assert!(!budget.try_exactly(Metric::ProviderUp, &["b"]));
        budget.forget(Metric::ProviderUp, &["a"]);
        budget.forget(Metric::ProviderUp, &["a"]);
        assert!(budget.try_exactly(Metric::ProviderUp, &["b"]));
        assert_eq!(budget.series(), 1);
    }

    #[test]
    fn a_metric_has_a_budget_of_its_own() {
        let mut budget = Budget::new(1_000_000);
        let models: Vec<String> = (0..2_000).map(|at| format!("m{at}")).collect();
        let collapsed =
            models.iter().filter(|model| budget.admit(Metric::Cost, &["a", model]).collapsed);
        assert_eq!(collapsed.count(), 1_000);
        assert_eq!(budget.series(), 1_001);
    }
}
