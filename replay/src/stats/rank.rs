//! What can be said from ranks alone: Wilcoxon's signed-rank test, and the shift of Hodges and Lehmann.

#![expect(clippy::cast_sign_loss, reason = "ranks and places are never negative")]

use super::distribution::{normal_cdf, normal_quantile, subset_sum_shares, t_quantile};

/// Up to this many differences p is exact.
const EXACT_MAX: usize = 50;

/// A difference and its cluster (a session, or an exchange with its repeats).
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    pub value: f64,
    pub cluster: u32,
}

/// The two-sided p of Wilcoxon's signed-rank test. Differences of zero are dropped.
///
/// Where each difference is a cluster of its own it is `scipy.stats.wilcoxon(d, zero_method="wilcox", correction=True)`:
/// for more than 50 differences normal, with the variance corrected for ties and a continuity correction of one half; for up
/// to 50 exact, and so too with ties (as scipy is up to 13). Where clusters have several it is the test of Rosner, Glynn and Lee (2006): signs are
/// flipped by whole clusters, so that the variance is the sum of the squares of the clusters' signed-rank sums.
/// `None`: no difference is left, or but one cluster.
pub fn wilcoxon(differences: &[Difference]) -> Option<f64> {
    let ranked = Ranked::of(differences, 0.0);
    let n = ranked.ranks.len();
    if n == 0 {
        return None;
    }
    let signed: f64 = ranked.ranks.iter().map(|rank| rank.signed).sum();
    let clusters = ranked.cluster_sums();
    if clusters.len() < n {
        let variance: f64 = clusters.iter().map(|sum| sum * sum).sum();
        return (clusters.len() > 1).then(|| 2.0 * normal_cdf(-signed.abs() / variance.sqrt()));
    }
    let all = (n * (n + 1) / 2) as f64;
    if n <= EXACT_MAX {
        // Twice the ranks: shared ones are halves.
        let doubled: Vec<usize> =
            ranked.ranks.iter().map(|rank| (rank.signed.abs() * 2.0) as usize).collect();
        let lesser = (all - signed.abs()).round() as usize;
        let tail: f64 = subset_sum_shares(&doubled).iter().take(lesser + 1).sum();
        return Some((2.0 * tail).min(1.0));
    }
    // The variance of the signed sum is that of the sum of squared ranks, ties included; the correction is one half of the
    // sum of positive ranks, which is one of the signed sum.
    let variance: f64 = ranked.ranks.iter().map(|rank| rank.signed * rank.signed).sum();
    Some((2.0 * normal_cdf(-(signed.abs() - 1.0).max(0.0) / variance.sqrt())).min(1.0))
}

/// The shift of Hodges and Lehmann: the median of all pairwise means of the differences, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub estimate: f64,
    /// `None` where so few differences have no such interval (under six, or but one cluster).
    pub ci95: Option<[f64; 2]>,
}

/// The interval holds the shifts that the signed-rank test does not refuse: exact for up to 50 differences, each its own
/// cluster; else by the normal distribution; with larger clusters by their signed-rank sums and Student's t.
pub fn shift(differences: &[Difference]) -> Option<Shift> {
    let mut sorted: Vec<f64> = differences.iter().map(|difference| difference.value).collect();
    if sorted.is_empty() || sorted.iter().any(|value| !value.is_finite()) {
        return None;
    }
    sorted.sort_unstable_by(f64::total_cmp);
    let means = sorted.len() as u64 * (sorted.len() as u64 + 1) / 2;
    let middle = [means.div_ceil(2), means / 2 + 1].map(|place| pairwise_mean(&sorted, place));
    let estimate = f64::midpoint(middle[0], middle[1]);
    let ci95 = interval_place(differences, estimate)
        .filter(|place| *place > 0)
        .map(|place| [pairwise_mean(&sorted, place), pairwise_mean(&sorted, means + 1 - place)]);
    Some(Shift { estimate, ci95 })
}

/// The place, from 1, of the interval's lower end among the pairwise means.
fn interval_place(differences: &[Difference], estimate: f64) -> Option<u64> {
    let n = differences.len();
    let means = (n * (n + 1) / 2) as f64;
    let mut clusters: Vec<u32> = differences.iter().map(|difference| difference.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    if clusters.len() == n {
        if n <= EXACT_MAX {
            let mut tail = 0.0;
            let shares = subset_sum_shares(&(1..=n).collect::<Vec<_>>());
            let place = shares.iter().position(|share| {
                tail += share;
                tail > 0.025
            })?;
            return Some(place as u64);
        }
        let deviation = (means * (2 * n + 1) as f64 / 12.0).sqrt();
        return place(means, normal_quantile(0.975) * deviation);
    }
    let count = clusters.len() as f64;
    if clusters.len() < 2 {
        return None;
    }
    let sums = Ranked::of(differences, estimate).cluster_sums();
    let variance = sums.iter().map(|sum| sum * sum).sum::<f64>() / 4.0 * count / (count - 1.0);
    place(means, t_quantile(0.975, count - 1.0) * variance.sqrt())
}

fn place(means: f64, reach: f64) -> Option<u64> {
    let place = (means / 2.0 - reach).round();
    (place >= 1.0).then_some(place as u64)
}

/// The mean at `place`, from 1, among all means of two of the sorted values, each also with itself: found by halving the
/// range of floats, counting at each step, so that a hundred million means need not be made.
fn pairwise_mean(sorted: &[f64], place: u64) -> f64 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return f64::NAN };
    let (mut low, mut high) = (ordered(*first), ordered(*last));
    while low < high {
        let middle = low.midpoint(high);
        // Rounds towards zero: never `high` while low < high but for neighbours about zero.
        let middle = if middle == high { low } else { middle };
        if means_up_to(sorted, unordered(middle)) >= place {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    unordered(low)
}

/// How many means of two values are at most `limit`: the partner's place only falls as the value rises.
fn means_up_to(sorted: &[f64], limit: f64) -> u64 {
    let mut partners = sorted.len();
    let mut count = 0;
    for (place, value) in sorted.iter().enumerate() {
        while let Some(other) = partners.checked_sub(1).and_then(|last| sorted.get(last)) {
            if f64::midpoint(*value, *other) <= limit {
                break;
            }
            partners -= 1;
        }
        if partners <= place {
            break;
        }
        count += (partners - place) as u64;
    }
    count
}

/// Floats as whole numbers in the same order.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

fn unordered(value: i64) -> f64 {
    let bits = if value < 0 { i64::MIN.wrapping_sub(value) } else { value };
    f64::from_bits(bits.cast_unsigned())
}

/// Ranks of the sizes of differences, with the signs put back.
struct Ranked {
    ranks: Vec<Rank>,
}

struct Rank {
    cluster: u32,
    signed: f64,
}

impl Ranked {
    /// Of the differences less `centre`; those of zero are dropped, equal sizes share the mean of their ranks.
    fn of(differences: &[Difference], centre: f64) -> Self {
        let mut left: Vec<(f64, u32)> = differences
            .iter()
            .map(|difference| (difference.value - centre, difference.cluster))
            .filter(|(value, _)| *value != 0.0 && !value.is_nan())
            .collect();
        left.sort_unstable_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
        let mut ranks = Vec::with_capacity(left.len());
        let same_size = |a: &(f64, u32), b: &(f64, u32)| a.0.abs().total_cmp(&b.0.abs()).is_eq();
        for group in left.chunk_by(same_size) {
            let rank = ranks.len() as f64 + (group.len() + 1) as f64 / 2.0;
            ranks.extend(
                group.iter().map(|(value, cluster)| Rank {
                    cluster: *cluster,
                    signed: rank * value.signum(),
                }),
            );
        }
        Self { ranks }
    }

    /// The signed ranks added up by cluster.
    fn cluster_sums(&self) -> Vec<f64> {
        let mut by_cluster: Vec<(u32, f64)> =
            self.ranks.iter().map(|rank| (rank.cluster, rank.signed)).collect();
        by_cluster.sort_by_key(|(cluster, _)| *cluster);
        by_cluster
            .chunk_by(|a, b| a.0 == b.0)
            .map(|cluster| cluster.iter().map(|(_, signed)| signed).sum())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "what is selected is one of the values")]

    use super::*;
    use crate::dice::Dice;

    fn alone(values: &[f64]) -> Vec<Difference> {
        values
            .iter()
            .zip(0..)
            .map(|(value, cluster)| Difference { value: *value, cluster })
            .collect()
    }

    fn check_p(values: &[f64], scipy: f64) {
        let p = wilcoxon(&alone(values)).unwrap();
        assert!((p - scipy).abs() < 1e-12, "{values:?}: {p} is not {scipy}");
    }

    #[test]
    fn p_is_that_of_scipy() {
        check_p(
            &[
                6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0,
                75.0,
            ],
            0.041_259_765_625,
        );
        check_p(&[1.0, 1.0, -2.0, 3.0, 3.0, -3.0, 5.0, 0.0, 4.0, 6.0], 0.097_656_25);
        check_p(&[0.5, -0.25, 0.125], 0.75);
        assert_eq!(wilcoxon(&alone(&[0.0, 0.0])), None);
        assert_eq!(wilcoxon(&[]), None);
    }

    #[test]
    fn the_selected_mean_is_the_sorted_one() {
        let mut dice = Dice::new(5);
        for n in [1_usize, 2, 3, 7, 20] {
            let mut values: Vec<f64> =
                (0..n).map(|_| (dice.normal() * 4.0).round() / 2.0).collect();
            values.sort_unstable_by(f64::total_cmp);
            let mut means: Vec<f64> = (0..n)
                .flat_map(|a| (a..n).map(move |b| (a, b)))
                .map(|(a, b)| f64::midpoint(values[a], values[b]))
                .collect();
            means.sort_unstable_by(f64::total_cmp);
            for (place, mean) in means.iter().enumerate() {
                assert_eq!(pairwise_mean(&values, place as u64 + 1), *mean, "{values:?} {place}");
            }
        }
    }

    #[test]
    fn floats_keep_their_order_as_whole_numbers() {
        let values = [f64::MIN, -1.5, -f64::MIN_POSITIVE, -0.0, 0.0, 1e-300, 2.0, f64::MAX];
        assert!(values.map(ordered).is_sorted());
        assert!(values.iter().all(|value| unordered(ordered(*value)) == *value));
    }
}
