//! The instants of a rate: worked out from the start, never from the last one, so that nothing drifts.
//!
//! Random gaps are drawn twice with the same dice: once to learn their sum, once to be used, scaled so that n of them take
//! exactly n/rate. A run of any length keeps none of them.

use std::time::Duration;

use crate::dice::Dice;
use crate::pace::{Pace, Shape};

const PURPOSE: &str = "gaps";

/// The offsets at which requests of a rate are to be sent.
#[derive(Debug, Clone)]
pub struct Slots {
    kind: Kind,
    taken: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Even { per_s: f64 },
    Drawn { dice: Dice, shape: Shape, scale_s: f64, at_s: f64 },
    Ramp { from: f64, to: f64, over_s: f64 },
}

impl Slots {
    /// `None`: the pace has no rate.
    pub fn of(pace: Pace, count: u64, seed: u64) -> Option<Self> {
        let kind = match pace {
            Pace::Rate { per_s, shape: Shape::Constant } => Kind::Even { per_s },
            Pace::Rate { per_s, shape } => {
                let dice = Dice::of(seed, PURPOSE);
                let mut drawn = dice.clone();
                let sum: f64 = (0..count).map(|_| gap(&mut drawn, shape)).sum();
                let scale_s = if sum > 0.0 { count as f64 / per_s / sum } else { 0.0 };
                Kind::Drawn { dice, shape, scale_s, at_s: 0.0 }
            }
            Pace::Ramp { from, to, over } => Kind::Ramp { from, to, over_s: over.as_secs_f64() },
            Pace::Recorded { .. } | Pace::Closed { .. } | Pace::OneByOne => return None,
        };
        Some(Self { kind, taken: 0 })
    }
}

impl Iterator for Slots {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let taken = self.taken as f64;
        self.taken += 1;
        let at_s = match &mut self.kind {
            Kind::Even { per_s } => taken / *per_s,
            Kind::Drawn { dice, shape, scale_s, at_s } => {
                let now = *at_s;
                *at_s += gap(dice, *shape) * *scale_s;
                now
            }
            Kind::Ramp { from, to, over_s } => ramp(taken, *from, *to, *over_s),
        };
        Duration::try_from_secs_f64(at_s).ok()
    }
}

/// A gap with mean 1.
fn gap(dice: &mut Dice, shape: Shape) -> f64 {
    match shape {
        Shape::Constant => 1.0,
        Shape::Poisson => dice.exponential(),
        Shape::Gamma(k) => dice.gamma(k) / k,
    }
}

/// When `n` requests have come: the rate is a straight line, their number the area under it.
fn ramp(n: f64, from: f64, to: f64, over_s: f64) -> f64 {
    let area = f64::midpoint(from, to) * over_s;
    if n >= area {
        return over_s + (n - area) / to;
    }
    let slope = (to - from) / over_s;
    // The root that stays exact when the slope is small.
    let root = (from * from + 2.0 * slope * n).max(0.0).sqrt();
    if from + root > 0.0 { 2.0 * n / (from + root) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pace: &str, count: usize, seed: u64) -> Vec<f64> {
        let slots = Slots::of(pace.parse().unwrap(), count as u64, seed).unwrap();
        slots.take(count + 1).map(|at| at.as_secs_f64()).collect()
    }

    #[test]
    fn n_requests_take_n_over_rate_whatever_their_shape() {
        for pace in ["constant 200/s", "poisson 200/s", "gamma:0.3 200/s", "gamma:9 200/s"] {
            let at = seconds(pace, 1000, 3);
            assert!(at[0].abs() < 1e-12, "{pace} begins at zero");
            assert!((at[1000] - 5.0).abs() < 1e-6, "{pace}: {}", at[1000]);
            assert!(at.is_sorted(), "{pace}");
        }
    }

    #[test]
    fn gaps_have_the_spread_of_their_shape() {
        for (pace, want) in [("constant 50/s", 0.0), ("poisson 50/s", 1.0), ("gamma:4 50/s", 0.5)] {
            let at = seconds(pace, 20_000, 11);
            let gaps: Vec<f64> = at.windows(2).map(|pair| (pair[1] - pair[0]) * 50.0).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let spread = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
            let deviation = (spread / gaps.len() as f64).sqrt();
            assert!((mean - 1.0).abs() < 1e-3, "{pace}: mean {mean}");
            assert!((deviation - want).abs() < 0.03, "{pace}: deviation {deviation}");
        }
        assert_eq!(seconds("poisson 50/s", 50, 1), seconds("poisson 50/s", 50, 1));
        assert_ne!(seconds("poisson 50/s", 50, 1), seconds("poisson 50/s", 50, 2));
    }

    #[test]
    fn a_long_run_does_not_drift() {
        let mut slots = Slots::of("constant 300/s".parse().unwrap(), 0, 0).unwrap();
        let at = slots.nth(3_000_000).unwrap();
        assert_eq!(at, Duration::from_secs(10_000));
    }

    #[test]
    fn a_ramp_grows_evenly_and_then_stays() {
        // From 1 to 9 a second over 10 s: 50 requests, half of the rate's change at 5 s with 1·5 + 0.4·25 = 15.
        let at = seconds("ramp 1/s..9/s over 10s", 100, 0);
        assert!((at[15] - 5.0).abs() < 1e-9 && (at[50] - 10.0).abs() < 1e-9, "{at:?}");
        assert!((at[59] - 11.0).abs() < 1e-9, "nine a second from then on");
        let down = seconds("ramp 9/s..1/s over 10s", 100, 0);
        assert!((down[50] - 10.0).abs() < 1e-9 && (down[52] - 12.0).abs() < 1e-9);
        let flat = seconds("ramp 4/s..4/s over 10s", 100, 0);
        assert!((flat[20] - 5.0).abs() < 1e-9);
    }
}
