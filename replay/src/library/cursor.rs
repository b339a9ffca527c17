//! Which of several recordings of the same question a caller gets. Each caller has its own place in each list, so that
//! agents side by side do not take each other's answers.
//!
//! ```text
//!  recorded   session A: q q      session B: q
//!  caller A            ─► A1 A2   (its own name was recorded)
//!  caller x            ─► B1      (a session that nobody has yet; from then on always that one)
//!  callers without one ─► A1 A2 B1, whoever asks
//! ```

use std::collections::HashMap;

use super::After;

/// Limit: places that are remembered; past it all begin again.
const PLACES_MAX: usize = 1 << 20;

/// Recordings of one question, by recorded session in the order of their first request, each in the order in which they were
/// asked: a store has them in the order in which they ended, and of parallel requests that is another.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    pub(super) groups: Vec<(u32, Vec<Place>)>,
}

/// When a recording was asked, and which it is.
pub(super) type Place = (i64, u32);

impl Shelf {
    /// Those of one time keep the order in which they are added.
    pub(super) fn add(&mut self, session: u32, at_us: i64, entry: u32) {
        let place = (at_us, entry);
        let known = self.groups.iter().position(|(own, _)| *own == session);
        let mut at = known.unwrap_or(self.groups.len());
        if known.is_none() {
            self.groups.push((session, Vec::new()));
        }
        let is_first = self.groups.get_mut(at).is_some_and(|group| put(&mut group.1, place));
        // A session that began earlier than was known goes before those that began after it.
        let began = |groups: &[(u32, Vec<Place>)], at: usize| {
            groups.get(at).and_then(|group| group.1.first()).map(|first| first.0)
        };
        while is_first && at > 0 && began(&self.groups, at - 1) > began(&self.groups, at) {
            self.groups.swap(at - 1, at);
            at -= 1;
        }
    }

    fn of(&self, session: u32) -> Option<&[Place]> {
        let group = self.groups.iter().find(|(other, _)| *other == session);
        group.map(|(_, entries)| entries.as_slice())
    }

    fn nth(&self, mut n: usize) -> Option<u32> {
        for (_, entries) in &self.groups {
            if let Some((_, entry)) = entries.get(n) {
                return Some(*entry);
            }
            n -= entries.len();
        }
        None
    }

    fn len(&self) -> usize {
        self.groups.iter().map(|(_, entries)| entries.len()).sum()
    }
}

/// Puts a place in by its time; whether it is the first now.
fn put(places: &mut Vec<Place>, place: Place) -> bool {
    let at = places.partition_point(|(at_us, _)| *at_us <= place.0);
    places.insert(at, place);
    at == 0
}

/// Who has come how far.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// By caller: the recorded session that is its own.
    bound: HashMap<u64, u32>,
    /// By recorded session: callers that have it.
    claims: HashMap<u32, u32>,
    /// By caller and shelf: answers given. Emptied when there are too many.
    given: HashMap<(u64, u32), u32>,
    pub(super) begun_again: u64,
}

/// The caller as the cursors know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    /// 0: without a session.
    pub(super) digest: u64,
    /// The recorded session of that name, if there is one.
    pub(super) recorded: Option<u32>,
}

impl Cursors {
    /// The next recording of `shelf` for `caller`; `None` when there is none left and `after` says so.
    pub(super) fn next(
        &mut self,
        (number, shelf): (u32, &Shelf),
        caller: Caller,
        after: After,
    ) -> Option<u32> {
        if self.given.len() >= PLACES_MAX || self.bound.len() >= PLACES_MAX {
            self.given.clear();
            self.bound.clear();
            self.claims.clear();
            self.begun_again += 1;
        }
        let own = self.session(shelf, caller).and_then(|session| shelf.of(session));
        let count = self.given.entry((caller.digest, number)).or_default();
        let n = *count as usize;
        *count = count.saturating_add(1);
        let len = own.map_or_else(|| shelf.len(), <[Place]>::len);
        let n = match after {
            _ if n < len => n,
            After::Last => len.checked_sub(1)?,
            After::Cycle => n.checked_rem(len)?,
            After::Fail => return None,
        };
        match own {
            Some(entries) => entries.get(n).map(|(_, entry)| *entry),
            None => shelf.nth(n),
        }
    }

    /// The recorded session that this caller goes on with.
    fn session(&mut self, shelf: &Shelf, caller: Caller) -> Option<u32> {
        if caller.digest == 0 {
            return None;
        }
        if let Some(session) = self.bound.get(&caller.digest) {
            return Some(*session);
        }
        let named = caller.recorded.filter(|session| shelf.of(*session).is_some());
        let session = named.or_else(|| {
            let sessions = shelf.groups.iter().map(|(session, _)| *session);
            sessions.min_by_key(|session| self.claims.get(session).copied().unwrap_or(0))
        })?;
        self.bound.insert(caller.digest, session);
        *self.claims.entry(session).or_default() += 1;
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions 1 and 2 asked the same: twice and once.
    fn shelf() -> Shelf {
        let mut shelf = Shelf::default();
        for (session, at_us, entry) in [(1, 5, 10), (2, 7, 20), (1, 9, 11)] {
            shelf.add(session, at_us, entry);
        }
        shelf
    }

    fn check(callers: &[(u64, Option<u32>)], after: After, expected: &[Option<u32>]) {
        let (shelf, mut cursors) = (shelf(), Cursors::default());
        let got: Vec<Option<u32>> = callers
            .iter()
            .map(|(digest, recorded)| {
                let caller = Caller { digest: *digest, recorded: *recorded };
                cursors.next((0, &shelf), caller, after)
            })
            .collect();
        assert_eq!(got, expected, "{callers:?} {after:?}");
    }

    #[test]
    fn what_was_asked_first_comes_first_whatever_ended_first() {
        let mut shelf = Shelf::default();
        let ended = [(1, 30, 11), (2, 20, 20), (1, 10, 10), (2, 20, 21), (3, 20, 30), (0, 5, 1)];
        for (session, at_us, entry) in ended {
            shelf.add(session, at_us, entry);
        }
        let all: Vec<u32> = (0..ended.len()).filter_map(|n| shelf.nth(n)).collect();
        assert_eq!(all, [1, 10, 11, 20, 21, 30]);
        assert_eq!(shelf.nth(6), None);
    }

    #[test]
    fn without_a_session_they_come_by_session_then_order() {
        let nobody = (0, None);
        check(&[nobody; 5], After::Last, &[Some(10), Some(11), Some(20), Some(20), Some(20)]);
        check(&[nobody; 5], After::Cycle, &[Some(10), Some(11), Some(20), Some(10), Some(11)]);
        check(&[nobody; 4], After::Fail, &[Some(10), Some(11), Some(20), None]);
    }

    #[test]
    fn callers_side_by_side_have_a_session_each() {
        let (one, other) = ((7, None), (8, None));
        check(
            &[one, other, one, other, one],
            After::Last,
            &[Some(10), Some(20), Some(11), Some(20), Some(11)],
        );
    }

    #[test]
    fn a_recorded_name_is_that_session() {
        check(
            &[(7, Some(2)), (8, None), (7, Some(2)), (8, None)],
            After::Fail,
            &[Some(20), Some(10), None, Some(11)],
        );
    }
}
