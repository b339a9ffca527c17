//! Paired statistics: from the values of two targets for the same exchanges to a ratio, how sure of it one may be, and a word.
//!
//! ```text
//!  pairs ─► log ratios ─► by cluster ─┬─► geometric mean, bootstrap interval ─► verdict
//!                                     ├─► standard error ─► what this n could have shown
//!           differences ──────────────┼─► shift in the metric's unit, with its interval
//!           signs and ranks ──────────┴─► p (signed ranks) ─► Holm over the family
//! ```
//!
//! Exchanges of one session resemble one another (the same prompt grows, the same cache is warm), so what is independent is
//! the session: it is what gets resampled, and what the tests' variances count. Formulas: docs/replay.md.

mod bootstrap;
mod distribution;
mod family;
mod quantile;
mod rank;

use std::collections::{BTreeMap, BTreeSet};

pub use family::{holm, mcnemar};
pub use quantile::{quantile, summary, tail};
pub use rank::{Difference, Shift, shift, wilcoxon};

use crate::measure::{self, Better};
use crate::report::{Comparison, Verdict};
use bootstrap::Clusters;
use distribution::t_quantile;

/// Under so many sessions exchanges are resampled, and under so many exchanges nothing is.
pub const CLUSTERS_MIN: usize = 8;

/// One exchange's value for the baseline and for the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub base: f64,
    pub new: f64,
    /// Its session. An exchange of none has a number of its own.
    pub session: u32,
    /// The captured exchange: repeats of it share the number.
    pub exchange: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Ratios from 1/(1 + margin) to 1 + margin are as good as the same.
    pub margin: f64,
    pub resamples: u32,
    /// Same seed, same intervals.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { margin: 0.05, resamples: 10_000, seed: 1 }
    }
}

/// Compares one metric. `None`: fewer than two pairs have a ratio.
pub fn compare(metric: &str, pairs: &[Pair], options: &Options) -> Option<Comparison> {
    compare_all(&[(metric, pairs)], options).pop()
}

/// Compares several metrics, which share the resampling and the correction of Holm. Those with fewer than two pairs are left
/// out.
pub fn compare_all(metrics: &[(&str, &[Pair])], options: &Options) -> Vec<Comparison> {
    let prepared: Vec<Prepared> =
        metrics.iter().filter_map(|(metric, pairs)| Prepared::of(metric, pairs)).collect();
    let intervals = intervals(&prepared, options);
    let mut comparisons: Vec<Comparison> = prepared
        .iter()
        .zip(intervals)
        .map(|(prepared, interval)| prepared.conclude(interval, options))
        .collect();
    correct(&mut comparisons.iter_mut().collect::<Vec<_>>());
    comparisons
}

/// Sets `p_holm` of a family of comparisons: all of a report, where it has several targets.
pub fn correct(family: &mut [&mut Comparison]) {
    let mut with_p: Vec<&mut Comparison> = family
        .iter_mut()
        .filter(|comparison| comparison.p.is_some())
        .map(|comparison| &mut **comparison)
        .collect();
    let corrected = holm(&with_p.iter().filter_map(|comparison| comparison.p).collect::<Vec<_>>());
    for (comparison, p) in with_p.iter_mut().zip(corrected) {
        comparison.p_holm = Some(p);
    }
}

/// The word for an interval of ratios, target over baseline.
pub fn verdict(ci95: [f64; 2], better: Better, margin: f64) -> Verdict {
    let [low, high] = ci95;
    if low >= 1.0 / (1.0 + margin) && high <= 1.0 + margin {
        return Verdict::Same;
    }
    let is_less = high < 1.0;
    if !is_less && low <= 1.0 {
        return Verdict::Undecided;
    }
    match better {
        Better::Lower | Better::Neither if is_less => Verdict::Faster,
        Better::Higher if !is_less => Verdict::Faster,
        Better::Lower | Better::Neither | Better::Higher => Verdict::Slower,
    }
}

/// What counts as independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Session,
    Exchange,
    /// There is but one exchange, repeated.
    Repeat,
}

impl Unit {
    fn of(pairs: &[Pair]) -> Self {
        if distinct(pairs, |pair| pair.session) >= CLUSTERS_MIN {
            Self::Session
        } else if distinct(pairs, |pair| pair.exchange) > 1 {
            Self::Exchange
        } else {
            Self::Repeat
        }
    }

    fn cluster(self, pair: &Pair, place: u32) -> u32 {
        match self {
            Self::Session => pair.session,
            Self::Exchange => pair.exchange,
            Self::Repeat => place,
        }
    }
}

fn distinct(pairs: &[Pair], of: impl Fn(&Pair) -> u32) -> usize {
    pairs.iter().map(of).collect::<BTreeSet<_>>().len()
}

/// A metric whose pairs are sorted into clusters.
struct Prepared<'a> {
    metric: &'a str,
    unit: Unit,
    sessions: usize,
    left_out: usize,
    /// Which cluster stands at each place of `clusters`.
    names: Vec<u32>,
    clusters: Clusters,
    log_ratios: Vec<Difference>,
    differences: Vec<Difference>,
}

impl<'a> Prepared<'a> {
    fn of(metric: &'a str, pairs: &[Pair]) -> Option<Self> {
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        let mut kept: Vec<Pair> = pairs
            .iter()
            .filter(|pair| is_positive(pair.base) && is_positive(pair.new))
            .copied()
            .collect();
        if kept.len() < 2 {
            return None;
        }
        // The order in which outcomes came must not show in the last digit.
        kept.sort_by(|a, b| {
            let place = |pair: &Pair| (pair.session, pair.exchange);
            place(a).cmp(&place(b)).then(a.base.total_cmp(&b.base)).then(a.new.total_cmp(&b.new))
        });
        let unit = Unit::of(&kept);
        let with = |value: &dyn Fn(&Pair) -> f64| -> Vec<Difference> {
            let place = |(pair, place): (&Pair, u32)| Difference {
                value: value(pair),
                cluster: unit.cluster(pair, place),
            };
            kept.iter().zip(0..).map(place).collect()
        };
        let log_ratios = with(&|pair| (pair.new / pair.base).ln());
        let (names, clusters) = gather(&log_ratios);
        Some(Self {
            metric,
            unit,
            sessions: distinct(&kept, |pair| pair.session),
            left_out: pairs.len() - kept.len(),
            names,
            clusters,
            differences: with(&|pair| pair.new - pair.base),
            log_ratios,
        })
    }

    fn is_resampled(&self) -> bool {
        self.names.len() >= CLUSTERS_MIN
    }

    fn conclude(&self, interval: [f64; 2], options: &Options) -> Comparison {
        let ci95 = interval.map(ratio);
        let better = measure::metric(self.metric).map_or(Better::Lower, |metric| metric.better);
        let shift = shift(&self.differences);
        Comparison {
            metric: self.metric.to_owned(),
            ratio: ratio(self.clusters.mean),
            ci95,
            n: self.log_ratios.len() as u64,
            left_out: self.left_out as u64,
            sessions: self.sessions as u64,
            resampled_by: match self.unit {
                _ if !self.is_resampled() => "none",
                Unit::Session => "session",
                Unit::Exchange => "exchange",
                Unit::Repeat => "repeat",
            }
            .to_owned(),
            mde: Some(smallest_detectable(&self.clusters)),
            verdict: verdict(ci95, better, options.margin),
            p: wilcoxon(&self.log_ratios),
            p_holm: None,
            shift: shift.map(|shift| shift.estimate),
            shift_ci95: shift.and_then(|shift| shift.ci95),
        }
    }
}

/// Log ratios by cluster, in the order of the clusters' names.
fn gather(log_ratios: &[Difference]) -> (Vec<u32>, Clusters) {
    let mean = log_ratios.iter().map(|ratio| ratio.value).sum::<f64>() / log_ratios.len() as f64;
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for ratio in log_ratios {
        let (error, count) = sums.entry(ratio.cluster).or_default();
        *error += ratio.value - mean;
        *count += 1.0;
    }
    let names = sums.keys().copied().collect();
    let (errors, counts) = sums.into_values().unzip();
    (names, Clusters { mean, errors, counts })
}

/// The 95 % interval of each metric's mean log ratio. Those that have the same clusters are resampled together.
fn intervals(prepared: &[Prepared], options: &Options) -> Vec<[f64; 2]> {
    let mut by_clusters: BTreeMap<&[u32], Vec<usize>> = BTreeMap::new();
    for (place, metric) in prepared.iter().enumerate().filter(|(_, metric)| metric.is_resampled()) {
        by_clusters.entry(&metric.names).or_default().push(place);
    }
    let mut intervals: Vec<[f64; 2]> =
        prepared.iter().map(|metric| metric.clusters.t_interval()).collect();
    for places in by_clusters.values() {
        let metrics: Vec<&Clusters> =
            places.iter().filter_map(|place| prepared.get(*place)).map(|m| &m.clusters).collect();
        let found = bootstrap::intervals(&metrics, options.resamples, options.seed);
        for (place, interval) in places.iter().zip(found) {
            if let Some(slot) = intervals.get_mut(*place) {
                *slot = interval;
            }
        }
    }
    intervals
}

/// The smallest ratio above 1 that an interval of so many clusters, so far apart, would exclude 1 for in four of five runs.
fn smallest_detectable(clusters: &Clusters) -> f64 {
    let freedom = clusters.freedom();
    let reach = t_quantile(0.975, freedom) + t_quantile(0.8, freedom);
    ratio(reach * clusters.standard_error())
}

/// Never infinite: JSON has no word for that.
fn ratio(log: f64) -> f64 {
    log.exp().clamp(f64::MIN_POSITIVE, f64::MAX)
}

#[cfg(test)]
mod tests;
