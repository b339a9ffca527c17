//! What went through lately, added up: over time, by model and by provider, with what failed and what was found odd.
//! Written by the operations API, read by the terminal; what either does not know of is passed over.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::exchange::signal::Signal;
use crate::store::recent::{Recent, Recents};
use crate::store::sketch::Sketch;

/// Failures that are named.
const FAILURES: usize = 5;
/// Limit: models and providers that are named; the rest have the fewest exchanges.
const GROUPS_MAX: usize = 100;
/// Fewer times than this do not make a model the slowest, where another has as many.
const TIMES_MIN: u64 = 5;
/// A span is no shorter, so that one exchange alone is not a rate of thousands.
const SPAN_MIN_US: i64 = 10_000_000;

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overview {
    /// What was counted: from the first exchange in the window to its end.
    pub from_us: i64,
    pub until_us: i64,
    /// Nothing came in the window: this is the last time anything did.
    pub past: bool,
    /// Only the newest of the window were counted.
    pub cut: bool,
    pub total: Sums,
    pub series: Series,
    /// The busiest first.
    pub models: Vec<Group>,
    pub providers: Vec<Group>,
    /// The newest first.
    pub failures: Vec<Failure>,
    /// The most frequent first.
    pub signals: Vec<Found>,
}

/// Equal stretches of the span, oldest first; an exchange counts when it ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Series {
    pub step_us: i64,
    pub exchanges: Vec<i64>,
    pub errors: Vec<i64>,
    pub output_tokens: Vec<i64>,
    pub cost_nanousd: Vec<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    pub exchanges: i64,
    /// Ended neither complete nor by the client's leaving.
    pub errors: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cost_nanousd: i64,
    pub ttft_p50_us: Option<u64>,
    pub ttft_p95_us: Option<u64>,
    pub duration_p50_us: Option<u64>,
    pub duration_p95_us: Option<u64>,
}

/// A model or a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Empty: no model was named, no provider was asked.
    pub name: String,
    /// Of a model: who has it, if one has.
    pub provider: Option<String>,
    #[serde(flatten)]
    pub sums: Sums,
    /// The longest time to the first token of all; by the whole duration where none streams.
    pub slowest: bool,
}

/// An exchange that failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    pub id: String,
    pub started_at_us: i64,
    pub model: Option<String>,
    pub provider: Option<String>,
    pub outcome: String,
    pub status: Option<u16>,
    pub error_kind: Option<String>,
    pub error_detail: Option<String>,
    pub session_id: Option<String>,
}

/// A signal, and how many exchanges have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    pub signal: String,
    pub exchanges: i64,
}

/// Whether an outcome is an error, as usage counts them.
pub fn is_error(outcome: &str) -> bool {
    !matches!(outcome, "complete" | "client_cancelled")
}

/// Adds the window up in `steps` stretches. Failures come by [`failed`] and are looked up by the caller.
pub fn overview(recents: &Recents, steps: usize) -> Overview {
    let errors: Vec<bool> = recents.names.iter().map(|name| is_error(name)).collect();
    let failed = |row: &Recent| is_failed(&errors, row);
    let stretch = Stretch::of(recents, steps);
    let mut total = Adding::default();
    let mut models: HashMap<Option<u32>, Adding> = HashMap::new();
    let mut providers: HashMap<Option<u32>, Adding> = HashMap::new();
    let mut series = Series { step_us: stretch.step_us, ..Series::default() };
    let lines = [
        &mut series.exchanges,
        &mut series.errors,
        &mut series.output_tokens,
        &mut series.cost_nanousd,
    ];
    lines.into_iter().for_each(|line| line.resize(stretch.steps, 0));
    let mut signals = [0i64; Signal::ALL.len()];
    for row in &recents.rows {
        let failed = failed(row);
        for adding in [
            &mut total,
            models.entry(row.model).or_default(),
            providers.entry(row.provider).or_default(),
        ] {
            adding.add(row, failed);
        }
        let step = stretch.step(row);
        let add = |line: &mut Vec<i64>, amount: i64| {
            if let Some(sum) = line.get_mut(step) {
                *sum = sum.saturating_add(amount);
            }
        };
        add(&mut series.exchanges, 1);
        add(&mut series.errors, i64::from(failed));
        add(&mut series.output_tokens, row.output_tokens);
        add(&mut series.cost_nanousd, row.cost_nanousd);
        for (count, signal) in signals.iter_mut().zip(Signal::ALL) {
            *count += i64::from(row.signals.has(signal));
        }
    }
    let mut models = groups(models, recents);
    mark_slowest(&mut models);
    Overview {
        from_us: stretch.from_us,
        until_us: recents.until_us,
        past: recents.past,
        cut: recents.cut,
        total: total.sums(),
        series,
        models: models.into_iter().map(|(group, _)| group).collect(),
        providers: groups(providers, recents).into_iter().map(|(group, _)| group).collect(),
        failures: Vec::new(),
        signals: found(&signals),
    }
}

/// The places of the newest exchanges that failed.
pub fn failed(recents: &Recents) -> Vec<i64> {
    let errors: Vec<bool> = recents.names.iter().map(|name| is_error(name)).collect();
    let failed = recents.rows.iter().filter(|row| is_failed(&errors, row));
    failed.map(|row| row.seq).take(FAILURES).collect()
}

fn is_failed(errors: &[bool], row: &Recent) -> bool {
    let outcome = row.outcome.and_then(|at| errors.get(usize::try_from(at).ok()?));
    outcome.copied().unwrap_or(false)
}

fn found(signals: &[i64]) -> Vec<Found> {
    let named = signals.iter().zip(Signal::ALL).filter(|(count, _)| **count > 0);
    let mut found: Vec<Found> = named
        .map(|(count, signal)| Found { signal: signal.label().to_owned(), exchanges: *count })
        .collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.exchanges));
    found
}

/// Sums that grow.
#[derive(Default)]
struct Adding {
    sums: Sums,
    ttfts: Sketch,
    durations: Sketch,
    /// Who had it; `None` beside a value: more than one had.
    provider: Option<Option<u32>>,
}

impl Adding {
    fn add(&mut self, row: &Recent, failed: bool) {
        let sums = &mut self.sums;
        sums.exchanges += 1;
        sums.errors += i64::from(failed);
        for (sum, more) in [
            (&mut sums.input_tokens, row.input_tokens),
            (&mut sums.output_tokens, row.output_tokens),
            (&mut sums.cache_read_tokens, row.cache_read_tokens),
            (&mut sums.cost_nanousd, row.cost_nanousd),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.provider = match self.provider {
            None => Some(row.provider),
            Some(one) if one == row.provider => Some(one),
            Some(_) => Some(None),
        };
        if let Some(ttft) = row.ttft_us.and_then(|us| u64::try_from(us).ok()) {
            self.ttfts.note(ttft);
        }
        self.durations.note(u64::try_from(row.duration_us).unwrap_or(0));
    }

    fn sums(&self) -> Sums {
        Sums {
            ttft_p50_us: self.ttfts.quantile(0.5),
            ttft_p95_us: self.ttfts.quantile(0.95),
            duration_p50_us: self.durations.quantile(0.5),
            duration_p95_us: self.durations.quantile(0.95),
            ..self.sums.clone()
        }
    }
}

/// The busiest first, each with how many times to the first token it has.
fn groups(groups: HashMap<Option<u32>, Adding>, recents: &Recents) -> Vec<(Group, u64)> {
    let group = |(name, adding): (Option<u32>, Adding)| {
        let provider = adding.provider.flatten().map(|at| recents.name(Some(at)).to_owned());
        let sums = adding.sums();
        let name = recents.name(name).to_owned();
        (Group { name, provider, sums, slowest: false }, adding.ttfts.count())
    };
    let mut named: Vec<(Group, u64)> = groups.into_iter().map(group).collect();
    named.sort_by(|(one, _), (other, _)| {
        other.sums.exchanges.cmp(&one.sums.exchanges).then_with(|| one.name.cmp(&other.name))
    });
    named.truncate(GROUPS_MAX);
    named
}

/// Marks the one with the longest median, if there are two to compare.
fn mark_slowest(models: &mut [(Group, u64)]) {
    let has_times = models.iter().any(|(_, times)| *times >= TIMES_MIN);
    let speed = |(group, times): &(Group, u64)| match has_times {
        true => group.sums.ttft_p50_us.filter(|_| *times >= TIMES_MIN),
        false => group.sums.ttft_p50_us.or(group.sums.duration_p50_us),
    };
    if models.iter().filter(|one| speed(one).is_some()).count() < 2 {
        return;
    }
    let slowest = models.iter_mut().max_by_key(|one| speed(one));
    if let Some((group, _)) = slowest {
        group.slowest = true;
    }
}

/// A span in equal steps.
struct Stretch {
    from_us: i64,
    step_us: i64,
    steps: usize,
}

impl Stretch {
    fn of(recents: &Recents, steps: usize) -> Self {
        let steps = steps.max(1);
        let first = recents.rows.iter().map(|row| row.started_us).min();
        let until_us = recents.until_us;
        let from_us = first.unwrap_or(recents.since_us).min(until_us - SPAN_MIN_US);
        let from_us = from_us.max(recents.since_us.min(until_us - SPAN_MIN_US));
        let span = until_us - from_us;
        let step_us = (span / i64::try_from(steps).unwrap_or(i64::MAX)).max(1) + 1;
        Self { from_us, step_us, steps }
    }

    fn step(&self, row: &Recent) -> usize {
        self.at(row.started_us.saturating_add(row.duration_us))
    }

    fn at(&self, us: i64) -> usize {
        let step = us.saturating_sub(self.from_us).max(0) / self.step_us;
        usize::try_from(step).unwrap_or(0).min(self.steps - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, model: u32, outcome: u32, ttft_ms: i64) -> Recent {
        Recent {
            seq,
            started_us: 1_000_000 * seq,
            duration_us: 500_000,
            ttft_us: (ttft_ms > 0).then_some(ttft_ms * 1_000),
            provider: Some(0),
            model: Some(model),
            outcome: Some(outcome),
            output_tokens: 10,
            cost_nanousd: 7,
            ..Recent::default()
        }
    }

    fn recents(mut rows: Vec<Recent>) -> Recents {
        rows.reverse();
        let names = ["up", "fast", "slow", "complete", "timeout"].map(str::to_owned).to_vec();
        Recents { rows, names, since_us: 0, until_us: 100_000_000, ..Recents::default() }
    }

    #[test]
    fn it_adds_up_by_time_model_and_provider() {
        let mut rows: Vec<Recent> = (40..50).map(|seq| row(seq, 1, 3, 200)).collect();
        rows.extend((50..56).map(|seq| row(seq, 2, 3, 300)));
        rows.push(row(56, 1, 4, 0));
        rows[0].signals.add(Signal::PrefixChanged);
        rows[3].signals.add(Signal::PrefixChanged);
        rows[3].signals.add(Signal::Stall);
        let recents = recents(rows);
        let told = overview(&recents, 60);
        assert_eq!((told.from_us, told.until_us), (40_000_000, 100_000_000));
        assert_eq!((told.total.exchanges, told.total.errors), (17, 1));
        let names: Vec<(&str, bool)> =
            told.models.iter().map(|one| (one.name.as_str(), one.slowest)).collect();
        assert_eq!(names, [("fast", false), ("slow", true)]);
        assert_eq!(told.models[0].provider.as_deref(), Some("up"));
        let p50 = told.models[1].sums.ttft_p50_us.unwrap();
        assert!((290_000..310_000).contains(&p50), "{p50}");
        assert_eq!(told.providers.len(), 1);
        assert_eq!(told.series.exchanges.iter().sum::<i64>(), 17);
        assert_eq!(told.series.errors.iter().sum::<i64>(), 1);
        assert_eq!(told.series.exchanges[..3], [1, 1, 1], "a second each");
        assert_eq!(told.series.cost_nanousd.len(), 60);
        let found: Vec<(&str, i64)> =
            told.signals.iter().map(|one| (one.signal.as_str(), one.exchanges)).collect();
        assert_eq!(found, [("prefix_changed", 2), ("stall", 1)]);
        assert_eq!(failed(&recents), [56]);
    }

    #[test]
    fn one_model_is_not_the_slowest_and_few_times_do_not_count_beside_many() {
        let alone = overview(&recents(vec![row(1, 1, 3, 900)]), 60);
        assert!(!alone.models[0].slowest);
        let mut rows: Vec<Recent> = (1..8).map(|seq| row(seq, 1, 3, 100)).collect();
        rows.push(row(8, 2, 3, 9_000));
        assert!(overview(&recents(rows), 60).models.iter().all(|one| !one.slowest));
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        let told = overview(&recents(Vec::new()), 30);
        assert_eq!((told.total, told.models.len()), (Sums::default(), 0));
        assert_eq!(told.series.exchanges, [0; 30]);
        let read: Overview = serde_json::from_str(r#"{"from_us": 3, "novel": []}"#).unwrap();
        assert_eq!(read.from_us, 3);
    }
}
