//! A distribution of durations in a few dozen bytes: counts by size, sixteen sizes to each doubling. Two of them add up
//! exactly, so that an hour's, a day's and a year's percentiles come from the same counts.
//!
//! Up to 31 µs a size is one microsecond; above, a percentile is off by at most a thirty-second of itself.

use crate::base::varint;

/// Sizes to a doubling, as a power of two.
const STEPS_LOG2: u32 = 4;
const STEPS: u64 = 1 << STEPS_LOG2;
/// Below this, each microsecond has its own count.
const EXACT: u64 = 2 * STEPS;

/// Counts by size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Size and count, by size, no count zero.
    counts: Vec<(u16, u64)>,
}

impl Sketch {
    pub fn note(&mut self, us: u64) {
        self.add(size(us), 1);
    }

    pub fn merge(&mut self, other: &Self) {
        for (size, count) in &other.counts {
            self.add(*size, *count);
        }
    }

    /// Adds what [`Sketch::encode`] wrote. Of bytes that it did not write, as much as makes sense.
    pub fn merge_encoded(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let mut size = 0u64;
        while let (Some(step), Some(count)) = (varint::take(&mut rest), varint::take(&mut rest)) {
            size = size.saturating_add(step);
            let Ok(known) = u16::try_from(size) else { return };
            self.add(known, count);
        }
    }

    fn add(&mut self, size: u16, count: u64) {
        match self.counts.binary_search_by_key(&size, |(size, _)| *size) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(count),
            Err(at) if count > 0 => self.counts.insert(at, (size, count)),
            Err(_) => {}
        }
    }

    /// Pairs of (size less the size before, count), each a variable-length integer of seven bits a byte, lowest first.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.counts.len() * 3);
        let mut before = 0;
        for (size, count) in &self.counts {
            varint::push(&mut bytes, u64::from(size - before));
            varint::push(&mut bytes, *count);
            before = *size;
        }
        bytes
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The percentile by the nearest rank, in microseconds; `None` of nothing.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        #[expect(clippy::cast_sign_loss, reason = "shares are positive")]
        let rank = ((share * self.count() as f64).ceil() as u64).max(1);
        let mut passed = 0;
        self.counts.iter().find_map(|(size, count)| {
            passed += count;
            (passed >= rank).then(|| middle(*size))
        })
    }
}

fn size(us: u64) -> u16 {
    if us < EXACT {
        return us as u16;
    }
    let doubling = u64::from(us.ilog2() - STEPS_LOG2);
    let step = (us >> doubling) & (STEPS - 1);
    (EXACT + (doubling - 1) * STEPS + step) as u16
}

/// The middle of the durations that have this size.
fn middle(size: u16) -> u64 {
    let size = u64::from(size);
    if size < EXACT {
        return size;
    }
    let doubling = ((size - EXACT) / STEPS + 1).min(63 - u64::from(STEPS_LOG2));
    let step = (size - EXACT) % STEPS;
    ((STEPS + step) << doubling) + ((1 << doubling) >> 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        for us in durations {
            sketch.note(*us);
        }
        sketch
    }

    #[test]
    fn percentiles_are_by_nearest_rank_within_a_thirty_second() {
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(of(&[7]).quantile(0.95), Some(7));
        let even: Vec<u64> = (1..=1_000).map(|n| n * 1_000).collect();
        for (share, exact) in [(0.5, 500_000), (0.95, 950_000), (0.99, 990_000)] {
            let found = of(&even).quantile(share).unwrap();
            assert!(found.abs_diff(exact) <= exact / 32, "{share}: {found}");
        }
    }

    #[test]
    fn bytes_that_are_no_sketch_do_no_harm() {
        for bytes in [&[0x80; 40][..], &[0xff; 40], &[1], &[0xff, 0xff, 0xff, 0x7f, 1], &[1, 0]] {
            let mut sketch = of(&[5]);
            sketch.merge_encoded(bytes);
            assert!(sketch.count() >= 1 && sketch.quantile(0.0) == Some(5), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_sums_are_exact(
            one in prop::collection::vec(any::<u64>(), 0..50),
            two in prop::collection::vec(0u64..100_000_000, 0..50),
        ) {
            let mut sum = of(&one);
            sum.merge_encoded(&of(&two).encode());
            let mut merged = of(&one);
            merged.merge(&of(&two));
            prop_assert_eq!(&sum, &merged);
            let all: Vec<u64> = one.iter().chain(&two).copied().collect();
            prop_assert_eq!(&sum, &of(&all));
        }

        #[test]
        fn the_middle_of_a_size_is_near_and_sizes_rise(us in any::<u64>()) {
            let found = middle(size(us));
            prop_assert!(found.abs_diff(us) <= us / 32, "{} for {}", found, us);
            prop_assert!(size(us) <= size(us.saturating_add(1)));
        }
    }
}
