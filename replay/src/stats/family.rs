//! Tests that stand beside the ratios: right answers counted in pairs, and many tests at once.

use super::distribution::even_binomial_cdf;

/// The two-sided exact p of McNemar's test, from the pairs in which only the one and only the other answered well: the sign
/// test on the pairs that differ. `None` where none differs.
pub fn mcnemar(only_base: u64, only_new: u64) -> Option<f64> {
    let differing = only_base + only_new;
    if differing == 0 {
        return None;
    }
    Some((2.0 * even_binomial_cdf(only_base.min(only_new), differing)).min(1.0))
}

/// Holm's step-down correction: each p as it counts among all of them, in the order they were given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut by_size: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    by_size.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut corrected: Vec<(usize, f64)> = Vec::with_capacity(p.len());
    let p_count = p.len();
    let mut least = 0.0_f64;
    for (done, (place, p)) in by_size.into_iter().enumerate() {
        let left = p_count - done;
        least = least.max((p * left as f64).min(1.0));
        corrected.push((place, least));
    }
    corrected.sort_by_key(|(place, _)| *place);
    corrected.into_iter().map(|(_, p)| p).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_is_the_binomial_test_of_scipy() {
        // binomtest(k, n).pvalue
        for (base, new, scipy) in
            [(1, 9, 0.021_484_375), (9, 1, 0.021_484_375), (5, 5, 1.0), (0, 6, 0.031_25)]
        {
            let p = mcnemar(base, new).unwrap();
            assert!((p - scipy).abs() < 1e-12, "{base} {new}: {p}");
        }
        assert_eq!(mcnemar(0, 0), None);
    }

    #[test]
    fn holm_by_hand() {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        let got = holm(&[0.01, 0.04, 0.03, 0.005]);
        assert!(close(&got, &[0.03, 0.06, 0.06, 0.02]), "{got:?}");
        assert!(close(&holm(&[0.9, 0.8]), &[1.0, 1.0]));
        assert!(holm(&[]).is_empty());
    }
}
