//! Two digests. One finds equal segments in memory: keyed with a number that this process alone knows, fast, never on disk.
//! The other is kept with each body and proves at each reading that it came back as it was.

use std::hash::{BuildHasher, Hasher};

/// Bytes of a body's digest: enough to see damage, which is what it is for.
pub(super) const DIGEST_BYTES: usize = 8;

/// The beginning of the BLAKE3 digest of a body.
pub(super) fn digest(body: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut short = [0; DIGEST_BYTES];
    let whole = blake3::hash(body);
    short.copy_from_slice(whole.as_bytes().get(..DIGEST_BYTES).unwrap_or(&[0; DIGEST_BYTES]));
    short
}

/// Digests of segments, by a key drawn at the start: two lanes of folded multiplication, 16 bytes a step.
#[derive(Debug, Clone)]
pub(super) struct SegmentHasher {
    key: [u64; 4],
}

impl Default for SegmentHasher {
    fn default() -> Self {
        let random = || std::hash::RandomState::new().build_hasher().finish();
        Self { key: [random() | 1, random() | 1, random() | 1, random() | 1] }
    }
}

impl SegmentHasher {
    #[inline]
    pub(super) fn hash(&self, bytes: &[u8]) -> u128 {
        let [k0, k1, k2, k3] = self.key;
        let (mut one, mut two) = (k2 ^ bytes.len() as u64, k3);
        let (steps, rest) = bytes.as_chunks::<16>();
        let step = |one: &mut u64, two: &mut u64, words: u128| {
            let (low, high) = (words as u64, (words >> 64) as u64);
            let (first, second) = (fold(low ^ k0, high ^ *one), fold(low ^ *two, high ^ k1));
            (*one, *two) = (first, second.wrapping_add(low));
        };
        for words in steps {
            step(&mut one, &mut two, u128::from_le_bytes(*words));
        }
        let mut last = [0; 16];
        if let Some(place) = last.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        step(&mut one, &mut two, u128::from_le_bytes(last));
        let (first, second) = (fold(one ^ k1, two ^ k0), fold(two ^ k2, one ^ k3));
        u128::from(first) << 64 | u128::from(second)
    }
}

/// Both halves of the product in one word.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_bit_and_each_length_counts() {
        let hasher = SegmentHasher::default();
        let text: Vec<u8> = (0..100_u8).collect();
        let mut seen = HashSet::new();
        for length in 0..=text.len() {
            assert!(seen.insert(hasher.hash(&text[..length])));
            assert!(seen.insert(hasher.hash(&vec![0; length + 200])));
        }
        for bit in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(hasher.hash(&changed)));
        }
        assert_ne!(hasher.hash(&text), SegmentHasher::default().hash(&text));
        assert_eq!(hasher.hash(&text), hasher.clone().hash(&text));
    }
}
