//! A sweep: the same recordings at one rate after another, until the target cannot follow.
//!
//! A rate is too much when too many answers are errors, when the sender itself is late, or when the time to the first token
//! grows while the rate lasts: a queue that grows shows as a line that rises, and is told from noise by the line's own
//! standard error.

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::pace;
use crate::row::Row;

/// A slope counts when it is this many standard errors above nothing: one in a thousand lines of noise is.
const SLOPE_T: f64 = 3.1;
/// Fewer answers than this have no slope.
const SLOPE_N: usize = 20;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub rate_per_s: f64,
    pub n: u64,
    /// Share of them.
    pub errors: f64,
    pub lag_p99_us: u64,
    /// Good answers a second, from the first sending to the last end.
    pub per_s: f64,
    /// How many times the time to the first token has grown, where it has for certain.
    pub ttft_growth: Option<f64>,
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
        Self {
            rate_per_s,
            n: n as u64,
            errors: if n == 0 { 0.0 } else { 1.0 - good as f64 / n as f64 },
            lag_p99_us: lags.get(n.saturating_sub(1) * 99 / 100).copied().unwrap_or_default(),
            per_s: if seconds > 0.0 { good as f64 / seconds } else { 0.0 },
            ttft_growth: growth(&points),
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
    use super::*;
    use crate::dice::Dice;
    use crate::row::Metrics;

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

    #[test]
    fn nothing_is_said_of_nothing() {
        let step = Step::of(1.0, &Vec::<Row>::new());
        assert_eq!(step.saturated(&StopRule::default()), None);
        let warm = Row { warmup: true, target: Some(0), ..Row::default() };
        assert_eq!(Step::of(1.0, [&warm]).n, 0);
    }
}
