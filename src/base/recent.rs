//! A bounded table that forgets what was not used for long: two halves, and when the younger one is full or old, the
//! older one is let go. No list to keep in order, and nothing to pay for an entry that nobody asks for.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::base::fold::AsIs;

/// Values with their weights.
type Half<V> = HashMap<u64, (V, usize), BuildHasherDefault<AsIs>>;

/// Entries by digest. An entry that is used stays; one that is not lives for one to two times `turn_us`, at most.
#[derive(Debug)]
pub struct Recent<V> {
    young: Half<V>,
    old: Half<V>,
    limit: Limit,
    /// Weight of what was put into the younger half.
    weight: usize,
    turned_us: u64,
}

/// How much a table holds, and for how long. Each half holds half of it.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub entries_max: usize,
    /// In units of the caller's choice, see [`Recent::put`].
    pub weight_max: usize,
    pub turn_us: u64,
}

impl<V> Recent<V> {
    pub fn new(limit: Limit) -> Self {
        Self { young: Half::default(), old: Half::default(), limit, weight: 0, turned_us: 0 }
    }

    /// The entry, which stays for having been asked for, while there is room.
    pub fn get(&mut self, key: u64) -> Option<&mut V> {
        let has_room = self.young.len() < self.limit.entries_max / 2;
        if let Some((_, weight)) = self.old.get(&key)
            && has_room
            && self.weight + weight <= self.limit.weight_max / 2
            && let Some((value, weight)) = self.old.remove(&key)
        {
            self.weight += weight;
            self.young.insert(key, (value, weight));
        }
        let found = self.young.get_mut(&key).or_else(|| self.old.get_mut(&key));
        found.map(|(value, _)| value)
    }

    /// Takes an entry out.
    pub fn take(&mut self, key: u64) -> Option<V> {
        if let Some((value, weight)) = self.young.remove(&key) {
            self.weight -= weight;
            return Some(value);
        }
        self.old.remove(&key).map(|(value, _)| value)
    }

    /// Puts an entry in place of the one before, at the time `now_us`. `weight` is what it takes beyond the entry itself.
    pub fn put(&mut self, key: u64, value: V, weight: usize, now_us: u64) {
        drop(self.take(key));
        let is_full = self.young.len() >= self.limit.entries_max / 2
            || self.weight + weight > self.limit.weight_max / 2;
        if is_full || now_us.saturating_sub(self.turned_us) > self.limit.turn_us {
            self.old = std::mem::take(&mut self.young);
            (self.weight, self.turned_us) = (0, now_us);
        }
        self.young.insert(key, (value, weight));
        self.weight += weight;
    }

    /// What the younger half weighs; the older one weighs no more than half of the limit.
    pub fn weight(&self) -> usize {
        self.weight
    }

    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { entries_max: 100, weight_max: 1_000, turn_us: 60 };

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(LIMIT);
        for n in 0..10_000 {
            recent.put(n, n, 1, 1);
            assert_eq!(recent.get(0), Some(&mut 0), "asked for all the time");
        }
        assert_eq!(recent.get(9_999), Some(&mut 9_999));
        assert_eq!(recent.get(5_000), None);
    }

    #[test]
    fn using_everything_all_the_time_keeps_no_more() {
        let mut recent = Recent::new(LIMIT);
        for n in 0..1_000 {
            recent.put(n, n, 1, 1);
            for key in 0..n {
                recent.get(key);
            }
            assert!(recent.len() <= 100, "{}", recent.len());
        }
    }

    #[test]
    fn heavy_entries_count_for_more() {
        let mut recent = Recent::new(LIMIT);
        for n in 0..50 {
            recent.put(n, (), 100, 1);
            assert!(recent.len() <= 10);
        }
        for _ in 0..50 {
            recent.put(1, (), 400, 1);
            recent.put(2, (), 100, 1);
        }
        assert!(recent.get(1).is_some(), "what is put anew weighs once");
    }

    #[test]
    fn time_lets_go_of_everything() {
        let mut recent = Recent::new(LIMIT);
        recent.put(1, (), 1, 0);
        recent.put(2, (), 1, 100);
        assert!(recent.get(1).is_some(), "within two turns");
        recent.put(3, (), 1, 200);
        recent.put(4, (), 1, 300);
        assert!(recent.get(1).is_none() && recent.get(2).is_none());
        assert_eq!(recent.len(), 2);
    }
}
