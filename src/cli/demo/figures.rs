//! The arithmetic of the summary. Pure.

use super::audit::Row;
use super::drive::Call;
use super::traffic::{FAST, PAIRS, SLOW};

/// The value that `percent` of the values are not above: the one at rank ⌈percent · n / 100⌉. Zero for none.
pub(crate) fn quantile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    values.get(place(values.len(), percent)).copied().unwrap_or_default()
}

/// Where the quantile stands among `n` sorted values.
fn place(n: usize, percent: usize) -> usize {
    (n * percent).div_ceil(100).max(1) - 1
}

/// The first tokens of two models on the same prompts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) n: usize,
    pub(crate) fast_us: u64,
    pub(crate) slow_us: u64,
    /// Geometric mean of `slow / fast` over the pairs: exp(mean(ln ratio)).
    pub(crate) ratio: f64,
    /// Quartiles of the ratios.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Pairs the calls by prompt; `None` without a complete pair.
pub(crate) fn compare(rows: &[Row<'_>]) -> Option<Comparison> {
    let ttft = |pair: usize, model: &str| {
        let fits = |call: &&Call| call.pair == Some(pair) && call.model == model;
        rows.iter().map(|row| row.call).find(fits)?.ttft_us
    };
    let pairs: Vec<(u64, u64)> = (0..PAIRS)
        .filter_map(|pair| Some((ttft(pair, FAST)?, ttft(pair, SLOW)?)))
        .filter(|(fast, slow)| *fast > 0 && *slow > 0)
        .collect();
    compare_pairs(&pairs)
}

fn compare_pairs(pairs: &[(u64, u64)]) -> Option<Comparison> {
    let n = pairs.len();
    if n == 0 {
        return None;
    }
    let mut ratios: Vec<f64> =
        pairs.iter().map(|(fast, slow)| *slow as f64 / *fast as f64).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / n as f64;
    let at = |percent| ratios.get(place(n, percent)).copied().unwrap_or(1.0);
    let mut fast: Vec<u64> = pairs.iter().map(|pair| pair.0).collect();
    let mut slow: Vec<u64> = pairs.iter().map(|pair| pair.1).collect();
    Some(Comparison {
        n,
        fast_us: quantile(&mut fast, 50),
        slow_us: quantile(&mut slow, 50),
        ratio: mean.exp(),
        low: at(25),
        high: at(75),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        for (percent, expected) in [(50, 20), (95, 40), (0, 10), (25, 10), (100, 40)] {
            assert_eq!(quantile(&mut [40, 10, 30, 20], percent), expected, "{percent}");
        }
        assert_eq!(quantile(&mut [], 50), 0);
    }

    #[test]
    fn ratios_are_averaged_as_factors() {
        let comparison = compare_pairs(&[(100, 200), (200, 100), (100, 100)]).expect("pairs");
        assert!((comparison.ratio - 1.0).abs() < 1e-9, "{comparison:?}");
        assert!(comparison.low < 0.51 && comparison.high > 1.99, "{comparison:?}");
        assert_eq!((comparison.n, comparison.fast_us), (3, 100));
        assert_eq!(compare_pairs(&[]), None);
    }
}
