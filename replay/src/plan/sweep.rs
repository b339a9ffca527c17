//! A sweep: the same recordings at one rate after another, until the target cannot follow.
//!
//! A rate is too much when too many answers are errors, when the sender itself is late, or when the time to the first token
//! grows while the rate lasts: a queue that grows shows as a line that rises, and is told from noise by the line's own
//! standard error.

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::engine::Setup;
use crate::journal::Journaled;
use crate::pace::{self, Pace, Shape};
use crate::row::Row;
use crate::schedule::Groups;
use crate::stats::quantile;

/// A slope counts when it is this many standard errors above nothing: one in a thousand lines of noise is.
const SLOPE_T: f64 = 3.1;
/// Fewer answers than this have no slope.
const SLOPE_N: usize = 20;
/// Fewer answers than this have no 99th percentile.
const TAIL_N: usize = 100;

/// Rates to be tried, the lowest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sweep {
    /// As `--rate` takes them.
    pub rates: Vec<String>,
    /// Requests to each target at each rate.
    pub requests: u64,
    pub stop: StopRule,
}

/// When a rate is too much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopRule {
    /// Share of the answers that are errors.
    pub errors: f64,
    /// The 99th percentile of how late requests were sent.
    pub lag_ms: f64,
    /// How many times the time to the first token has grown by the end of the rate, along the line through all of it.
    pub ttft_growth: f64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { rates: Vec::new(), requests: 200, stop: StopRule::default() }
    }
}

impl Default for StopRule {
    fn default() -> Self {
        Self { errors: 0.05, lag_ms: 100.0, ttft_growth: 2.0 }
    }
}

impl Sweep {
    /// The rates a second.
    pub fn rates(&self) -> Result<Vec<f64>, pace::PaceError> {
        self.rates.iter().map(|rate| pace::rate(rate)).collect()
    }

    /// How often all recordings are sent at each rate, the last time perhaps not all of them. `None`: so often that rows
    /// cannot number it, over all rates.
    pub fn repeats(&self, recordings: usize) -> Option<u16> {
        let each = u16::try_from(self.requests.div_ceil(recordings.max(1) as u64)).ok()?;
        each.checked_mul(u16::try_from(self.rates.len()).ok()?)?;
        Some(each)
    }

    /// The part of a run that is sent at the rate of this number. The shape of the gaps is that of the run's own pace, where
    /// that is a rate; what is warmed up is warmed up before the first rate.
    pub fn part(&self, run: &Setup, at: usize, before: Option<&Journaled>) -> Option<Setup> {
        let rate = self.rates.get(at).and_then(|rate| pace::rate(rate).ok())?;
        let repeats = self.repeats(run.outline.len())?;
        let shape = match run.pace {
            Pace::Rate { shape, .. } => shape,
            _ => Shape::Constant,
        };
        let length = run.outline.len() as u64;
        let mut done = Groups::default();
        for group in self.requests..length * u64::from(repeats) {
            done.insert(group);
        }
        // A rate is one stretch of load. Half of it, and the rest after a pause, would say nothing of queues: all or nothing.
        if before.is_some_and(|before| self.is_finished(run, at, before)) {
            for group in 0..length * u64::from(repeats) {
                done.insert(group);
            }
        }
        Some(Setup {
            pace: Pace::Rate { per_s: rate, shape },
            repeats,
            warmup: if at == 0 { run.warmup } else { 0 },
            seed: run.seed.wrapping_add(at as u64),
            marker: format!("{}-{at}", run.marker),
            done,
            ..run.clone()
        })
    }

    /// Whether an earlier part of the run has all rows of the rate of this number.
    pub fn is_finished(&self, run: &Setup, at: usize, before: &Journaled) -> bool {
        let (first, length) = (self.first_repeat(run.outline.len(), at), run.outline.len() as u64);
        (0..self.requests).all(|group| {
            let (repeat, place) = (group / length.max(1), group % length.max(1));
            let cue = u32::try_from(place).ok().and_then(|place| run.outline.get(place));
            cue.is_some_and(|cue| before.is_finished(cue.pair, first.saturating_add(repeat as u16)))
        })
    }

    /// The repeat that the rows of a rate begin with.
    pub fn first_repeat(&self, recordings: usize, at: usize) -> u16 {
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        self.repeats(recordings).unwrap_or(1).saturating_mul(at)
    }

    /// What came of the rate of this number, a step a target, from rows that may hold other rates' too. Empty: it was not tried.
    pub fn steps<'a>(
        &self,
        targets: &[String],
        recordings: usize,
        at: usize,
        rows: impl IntoIterator<Item = &'a Row>,
    ) -> Vec<Step> {
        let Some(rate) = self.rates.get(at).and_then(|rate| pace::rate(rate).ok()) else {
            return Vec::new();
        };
        let (first, end) =
            (self.first_repeat(recordings, at), self.first_repeat(recordings, at + 1));
        let mut by_target: Vec<Vec<&Row>> = vec![Vec::new(); targets.len()];
        for row in rows.into_iter().filter(|row| !row.warmup && (first..end).contains(&row.repeat))
        {
            let place = row.target.map(usize::from);
            if let Some(rows) = place.and_then(|place| by_target.get_mut(place)) {
                rows.push(row);
            }
        }
        let steps = targets.iter().zip(by_target).filter(|(_, rows)| !rows.is_empty());
        steps
            .map(|(target, rows)| {
                let step = Step { target: target.clone(), ..Step::of(rate, rows) };
                Step { stopped: step.saturated(&self.stop), ..step }
            })
            .collect()
    }

    pub(super) fn check(
        &self,
        within: impl Fn(&'static str, f64, f64, f64) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        within("sweep.rates", self.rates.len() as f64, 1.0, 100.0)?;
        for rate in &self.rates {
            within("sweep.rates", pace::rate(rate).unwrap_or(f64::NAN), 1e-4, pace::RATE_MAX)?;
        }
        within("sweep.requests", self.requests as f64, 1.0, 1e6)?;
        within("sweep.stop.errors", self.stop.errors, 0.0, 1.0)?;
        within("sweep.stop.lag_ms", self.stop.lag_ms, 0.0, 1e6)?;
        within("sweep.stop.ttft_growth", self.stop.ttft_growth, 1.0, 1e6)
    }
}

/// What came of one rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Of all targets together.
    pub rate_per_s: f64,
    pub target: String,
    pub n: u64,
    /// Share of them.
    pub errors: f64,
    pub lag_p99_us: u64,
    /// Good answers a second, from the first sending to the last end.
    pub per_s: f64,
    /// Seconds; the tail only where there are answers enough for one.
    pub ttft_p50: Option<f64>,
    pub ttft_p99: Option<f64>,
    /// How many times the time to the first token has grown, where it has for certain.
    pub ttft_growth: Option<f64>,
    /// Why the sweep went no further, where it was this that stopped it.
    pub stopped: Option<String>,
}

impl Step {
    /// From the rows of one rate; warm-ups are left out.
    pub fn of<'a>(rate_per_s: f64, rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let rows: Vec<&Row> =
            rows.into_iter().filter(|row| !row.warmup && row.target.is_some()).collect();
        let n = rows.len();
        let good = rows.iter().filter(|row| row.is_good()).count();
        let mut lags: Vec<u64> =
            rows.iter().map(|row| row.sent_us.saturating_sub(row.intended_us)).collect();
        lags.sort_unstable();
        let begin = rows.iter().map(|row| row.intended_us).min().unwrap_or_default();
        let end = rows.iter().map(|row| row.ended_us).max().unwrap_or_default();
        let seconds = end.saturating_sub(begin) as f64 / 1e6;
        let points: Vec<(f64, f64)> = rows
            .iter()
            .filter_map(|row| Some((row.intended_us as f64 / 1e6, row.metrics.ttft?)))
            .collect();
        let mut times: Vec<f64> = points.iter().map(|(_, ttft)| *ttft).collect();
        times.sort_unstable_by(f64::total_cmp);
        Self {
            rate_per_s,
            ttft_p50: quantile(&times, 0.5),
            ttft_p99: quantile(&times, 0.99).filter(|_| times.len() >= TAIL_N),
            n: n as u64,
            errors: if n == 0 { 0.0 } else { 1.0 - good as f64 / n as f64 },
            lag_p99_us: lags.get(n.saturating_sub(1) * 99 / 100).copied().unwrap_or_default(),
            per_s: if seconds > 0.0 { good as f64 / seconds } else { 0.0 },
            ttft_growth: growth(&points),
            ..Self::default()
        }
    }

    /// Why the rate was too much.
    pub fn saturated(&self, rule: &StopRule) -> Option<String> {
        let rate = self.rate_per_s;
        if self.n > 0 && self.errors > rule.errors {
            let (share, limit) = (self.errors * 100.0, rule.errors * 100.0);
            return Some(format!(
                "at {rate}/s {share:.1} % of the answers are errors, over {limit} %"
            ));
        }
        let lag_ms = self.lag_p99_us as f64 / 1e3;
        if lag_ms > rule.lag_ms {
            return Some(format!(
                "at {rate}/s requests are sent {lag_ms:.0} ms late (p99), over {} ms",
                rule.lag_ms
            ));
        }
        let growth = self.ttft_growth.filter(|growth| *growth > rule.ttft_growth)?;
        Some(format!(
            "at {rate}/s the time to the first token grows {growth:.1} times, over {}",
            rule.ttft_growth
        ))
    }
}

/// How many times the line through the points has grown from its first to its last, where its slope is no noise.
fn growth(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len();
    if n < SLOPE_N {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n as f64;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let sxx: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let sxy: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = sxy / sxx;
    let line = |x: f64| mean_y + slope * (x - mean_x);
    let residual: f64 = points.iter().map(|(x, y)| (y - line(*x)).powi(2)).sum();
    let error = (residual / (n - 2) as f64 / sxx).sqrt();
    let first = points.iter().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let last = points.iter().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max);
    // A line that begins at nothing or below grows without bound; the smallest point stands in for its beginning.
    let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let begin = line(first).max(least);
    let is_certain = slope > 0.0 && slope > SLOPE_T * error && begin > 0.0;
    is_certain.then(|| line(last) / begin)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dice::Dice;
    use crate::plan::Plan;
    use crate::row::Metrics;
    use crate::schedule::{Beat, Outline};

    fn rows(count: u64, ttft: impl Fn(f64, &mut Dice) -> f64) -> Vec<Row> {
        let mut dice = Dice::new(4);
        let row = |number: u64| {
            let ttft = ttft(number as f64 / count as f64, &mut dice);
            let intended_us = number * 10_000;
            Row {
                target: Some(0),
                status: Some(200),
                intended_us,
                sent_us: intended_us + number % 100 * 10,
                ended_us: intended_us + 50_000,
                metrics: Metrics { ttft: Some(ttft), ..Metrics::default() },
                ..Row::default()
            }
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn a_rate_that_is_borne_is_not_too_much() {
        let step = Step::of(100.0, &rows(500, |_, dice| 0.2 * (0.3 * dice.normal()).exp()));
        assert_eq!(step.ttft_growth, None, "noise is no slope");
        assert_eq!(step.saturated(&StopRule::default()), None);
        assert!((step.per_s - 99.2).abs() < 0.1, "{step:?}");
        assert_eq!((step.n, step.lag_p99_us), (500, 980));
    }

    #[test]
    fn errors_lag_and_a_queue_that_grows_are_too_much() {
        let rule = StopRule::default();
        let mut failing = rows(100, |_, _| 0.2);
        for row in failing.iter_mut().take(6) {
            row.status = Some(429);
        }
        let why = Step::of(5.0, &failing).saturated(&rule).unwrap();
        assert_eq!(why, "at 5/s 6.0 % of the answers are errors, over 5 %");
        let mut late = rows(100, |_, _| 0.2);
        for row in &mut late {
            row.sent_us += 200_000;
        }
        let why = Step::of(5.0, &late).saturated(&rule).unwrap();
        assert!(why.contains("sent 201 ms late"), "{why}");
        let queue = rows(200, |at, dice| (0.2 + at) * (0.2 * dice.normal()).exp());
        let step = Step::of(5.0, &queue);
        assert!((4.0..9.0).contains(&step.ttft_growth.unwrap()), "{step:?}");
        assert!(step.saturated(&rule).unwrap().contains("first token grows"));
    }

    fn sweep(requests: u64) -> Sweep {
        let rates = ["5/s", "10/s"].map(str::to_owned).to_vec();
        Sweep { rates, requests, stop: StopRule::default() }
    }

    #[test]
    fn a_sweep_numbers_the_rows_of_each_rate_apart() {
        let beat = |pair| Beat {
            pair,
            session: None,
            started_at_us: i64::from(pair),
            ended_at_us: i64::from(pair),
            depends: false,
        };
        let outline = Arc::new(Outline::of((0..4).map(beat)));
        let plan = Plan { from: "x".into(), to: vec!["p/a".into()], warmup: 2, ..Plan::default() };
        let run = plan.setup(outline, Arc::from([]), "m".into()).unwrap();
        let sweep = sweep(6);
        assert_eq!(sweep.repeats(4), Some(2));
        let first = sweep.part(&run, 0, None).unwrap();
        assert_eq!(
            (first.repeats, first.warmup, first.pace.to_string()),
            (2, 2, "constant 5/s".into())
        );
        let left: Vec<u64> = (0..8).filter(|group| !first.done.contains(*group)).collect();
        assert_eq!(left, [0, 1, 2, 3, 4, 5], "six of eight are sent");
        let second = sweep.part(&run, 1, None).unwrap();
        assert_eq!((second.warmup, sweep.first_repeat(4, 1)), (0, 2));
        assert_ne!(first.marker, second.marker);
        assert!(sweep.part(&run, 2, None).is_none());
        assert_eq!(Sweep { requests: 1_000_000, ..sweep.clone() }.repeats(1), None);

        let mut rows = rows(6, |_, _| 0.2);
        for (at, row) in (0..).zip(&mut rows) {
            row.pair = at % 4;
            row.repeat = 2 + at as u16 / 4;
        }
        rows[5].status = Some(500);
        let steps = sweep.steps(&plan.to, 4, 1, &rows);
        assert_eq!((steps.len(), steps[0].n, steps[0].target.as_str()), (1, 6, "p/a"));
        assert_eq!((steps[0].ttft_p50, steps[0].ttft_p99), (Some(0.2), None), "too few for a tail");
        assert!(steps[0].stopped.as_ref().unwrap().contains("at 10/s 16.7 %"), "{steps:?}");
        assert!(sweep.steps(&plan.to, 4, 0, &rows).is_empty(), "that rate was not tried");
    }

    #[test]
    fn a_sweep_is_taken_up_at_the_rate_that_was_not_finished() {
        let beat = |pair| Beat {
            pair,
            session: None,
            started_at_us: i64::from(pair),
            ended_at_us: i64::from(pair),
            depends: false,
        };
        let outline = Arc::new(Outline::of((0..3).map(beat)));
        let plan = Plan { from: "x".into(), to: vec!["p/a".into()], ..Plan::default() };
        let run = plan.setup(outline, Arc::from([]), "m".into()).unwrap();
        let mut text = serde_json::to_string(&plan.header("r", ["a", "b", "c"])).unwrap();
        text += "\n{\"part\":{\"started_at_us\":1}}\n";
        // The first rate whole, of the second one pair.
        for (pair, repeat) in [(0, 0), (1, 0), (2, 0), (1, 1)] {
            let row = Row { pair, repeat, target: Some(0), ..Row::default() };
            text += &(serde_json::to_string(&row).unwrap() + "\n");
        }
        let before = crate::journal::read_from("j", &mut text.as_bytes()).unwrap();
        let left = |at| {
            let part = sweep(3).part(&run, at, Some(&before)).unwrap();
            (0..3).filter(|group| !part.done.contains(*group)).collect::<Vec<u64>>()
        };
        assert_eq!((left(0), left(1)), (vec![], vec![0, 1, 2]), "half a rate is no load");
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let step = Step::of(1.0, &Vec::<Row>::new());
        assert_eq!(step.saturated(&StopRule::default()), None);
        let warm = Row { warmup: true, target: Some(0), ..Row::default() };
        assert_eq!(Step::of(1.0, [&warm]).n, 0);
    }
}
