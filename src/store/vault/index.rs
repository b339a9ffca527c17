//! Where each segment stands that was seen lately: in memory only, bounded, rebuilt from what is stored.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Limit: entries of one of the two generations; with the other, about 12 MiB.
const GENERATION_MAX: usize = 128 * 1024;

/// A segment of some exchange's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) seq: i64,
    pub(super) index: u32,
}

/// A segment that was met before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) place: Place,
    /// What stands there is what was made of it: something was replaced.
    pub(super) redacted: bool,
}

/// Digest of a segment → where it is. Two generations: when the younger is full, the older is forgotten.
#[derive(Debug, Default)]
pub(super) struct Index {
    young: HashMap<u128, Met, BuildHasherDefault<Folded>>,
    old: HashMap<u128, Met, BuildHasherDefault<Folded>>,
    /// Entries of the transaction under way, to be taken back when it fails; emptied at its end.
    uncommitted: Vec<u128>,
}

impl Index {
    pub(super) fn get(&mut self, digest: u128) -> Option<Met> {
        if let Some(met) = self.young.get(&digest) {
            return Some(*met);
        }
        let met = self.old.get(&digest).copied()?;
        self.keep(digest, met);
        Some(met)
    }

    /// Enters a segment of the transaction under way.
    pub(super) fn enter(&mut self, digest: u128, met: Met) {
        self.uncommitted.push(digest);
        self.keep(digest, met);
    }

    /// Enters a segment that is on disk, unless it is known.
    pub(super) fn warm(&mut self, digest: u128, met: Met) {
        if !self.young.contains_key(&digest) {
            self.keep(digest, met);
        }
    }

    fn keep(&mut self, digest: u128, met: Met) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, met);
    }

    pub(super) fn committed(&mut self) {
        self.uncommitted.clear();
    }

    /// How many entries the transaction has made; a mark for [`Self::forget_since`].
    pub(super) fn mark(&self) -> usize {
        self.uncommitted.len()
    }

    /// Takes back what was entered after the mark.
    pub(super) fn forget_since(&mut self, mark: usize) {
        for digest in self.uncommitted.drain(mark.min(self.uncommitted.len())..) {
            self.young.remove(&digest);
            self.old.remove(&digest);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The keys are digests already.
#[derive(Debug, Default)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }

    fn write_i64(&mut self, number: i64) {
        self.0 = number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(seq: i64) -> Met {
        Met { place: Place { seq, index: 0 }, redacted: false }
    }

    #[test]
    fn a_failed_transaction_leaves_nothing_and_the_bound_holds() {
        let mut index = Index::default();
        index.enter(1, met(1));
        index.committed();
        index.enter(2, met(2));
        let mark = index.mark();
        index.enter(3, met(3));
        index.forget_since(mark);
        assert_eq!((index.get(2), index.get(3)), (Some(met(2)), None));
        index.forget_since(0);
        assert_eq!((index.get(1), index.get(2)), (Some(met(1)), None));
        for digest in 0..3 * GENERATION_MAX as u128 {
            index.warm((digest + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15), met(9));
            assert_eq!(index.get(1), Some(met(1)), "what is used stays");
        }
        assert!(index.young.len() + index.old.len() <= 2 * GENERATION_MAX);
        assert_eq!(index.get(0x9e37_79b9_7f4a_7c15 * 7), None);
    }
}
