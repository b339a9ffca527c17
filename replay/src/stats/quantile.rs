//! Quantiles of what was measured, and when a tail may be named.

#![expect(clippy::cast_sign_loss, reason = "places are never negative")]

use crate::report::Summary;

/// The quantile of sorted values by linear interpolation between the two nearest (type 7 of Hyndman and Fan: what numpy, R
/// and spreadsheets do). `None` without values.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = *sorted.get(place as usize)?;
    let above = sorted.get(place as usize + 1).copied().unwrap_or(below);
    Some(below + (above - below) * place.fract())
}

/// The same, where at least one value is past it on average (p90 from 10 values, p95 from 20, p99 from 100, p99.9 from 1,000):
/// a p99 of 30 values is but their maximum.
pub fn tail(sorted: &[f64], q: f64) -> Option<f64> {
    let n_min = match q {
        q if q >= 0.999 => 1_000,
        q if q >= 0.99 => 100,
        q if q >= 0.95 => 20,
        q if q >= 0.9 => 10,
        _ => 1,
    };
    if sorted.len() < n_min { None } else { quantile(sorted, q) }
}

/// A distribution in a few numbers. Sorts the values; those that are no numbers are left out. `None` without any.
pub fn summary(values: &mut [f64]) -> Option<Summary> {
    values.sort_unstable_by(f64::total_cmp);
    // What is no finite number sorts to the ends.
    let from = values.iter().position(|value| value.is_finite())?;
    let to = values.iter().rposition(|value| value.is_finite())? + 1;
    let sorted = values.get(from..to)?;
    Some(Summary {
        n: sorted.len() as u64,
        mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        p50: quantile(sorted, 0.5)?,
        p90: tail(sorted, 0.9),
        p95: tail(sorted, 0.95),
        p99: tail(sorted, 0.99),
        p999: tail(sorted, 0.999),
        min: *sorted.first()?,
        max: *sorted.last()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (q, numpy) in [(0.0, 1.0), (0.1, 1.4), (0.5, 4.0), (0.9, 12.8), (1.0, 16.0)] {
            let got = quantile(&sorted, q).unwrap();
            assert!((got - numpy).abs() < 1e-12, "{q}: {got}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.99), Some(3.0));
    }

    #[test]
    fn tails_wait_for_enough_values() {
        let of = |n: u32| summary(&mut (0..n).map(f64::from).collect::<Vec<_>>()).unwrap();
        let named = |n| {
            let s = of(n);
            [s.p90, s.p95, s.p99, s.p999].map(|tail| tail.is_some())
        };
        assert_eq!(named(9), [false; 4]);
        assert_eq!(named(10), [true, false, false, false]);
        assert_eq!(named(19), [true, false, false, false]);
        assert_eq!(named(20), [true, true, false, false]);
        assert_eq!(named(99), [true, true, false, false]);
        assert_eq!(named(100), [true, true, true, false]);
        assert_eq!(named(1_000), [true; 4]);
    }

    #[test]
    fn what_is_no_number_counts_for_nothing() {
        let s = summary(&mut [2.0, f64::NAN, 1.0, f64::INFINITY, -f64::NAN, 3.0]).unwrap();
        assert_eq!((s.n, s.mean, s.p50, s.min, s.max), (3, 2.0, 2.0, 1.0, 3.0));
        assert_eq!(summary(&mut [f64::NAN]), None);
        assert_eq!(summary(&mut []), None);
    }
}
