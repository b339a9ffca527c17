//! When recordings were made and which waited for which: all that a schedule needs of them, a few words each, so that a run
//! of any length holds no recording longer than it is being sent.
//!
//! ```text
//!  session s   ├──turn 1──┤ think ├──turn 2──┤            turn 2 began after turn 1 had ended: it waits for it
//!                                   ├─turn 3─┤            so does turn 3, which ran beside turn 2
//!                                                ├turn 4┤ waits for all three, and thinks from the end of turn 2 on
//! ```
//!
//! What a turn waits for is a beginning of its session's answers in the order in which they ended, so its length says it.

use std::collections::HashMap;

/// No session.
const NONE: u32 = u32::MAX;

/// One recording's place in time, as pushed.
#[derive(Debug, Clone, Copy)]
pub struct Beat<'a> {
    /// The recording's number in the run.
    pub pair: u32,
    pub session: Option<&'a str>,
    pub started_at_us: i64,
    pub ended_at_us: i64,
    /// It may depend on earlier answers of its session; whether it does, the times say.
    pub depends: bool,
}

/// One recording in the outline. Numbers of others are places in the outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cue {
    pub pair: u32,
    /// From the first recording's start.
    pub start_us: u64,
    /// From the last end of the answers that it waits for to its start.
    pub think_us: u64,
    /// How many answers of its session it waits for: the first to have ended.
    pub(super) waits: u32,
    /// How many of its session had ended before it did.
    pub(super) rank: u32,
    session: u32,
}

impl Cue {
    /// A number for its session.
    pub fn session(&self) -> Option<u32> {
        (self.session != NONE).then_some(self.session)
    }
}

/// The turns of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// Those that wait for others, in the order of their starts: also in that of how many they wait for.
    pub(super) waiting: Vec<u32>,
    /// All, in the order of their ends.
    pub(super) ends: Vec<u32>,
}

/// All recordings of a run, in the order of their starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    cues: Vec<Cue>,
    sessions: Vec<Session>,
}

impl Outline {
    /// Beats may come in any order; those that start together keep it.
    pub fn of<'a>(beats: impl IntoIterator<Item = Beat<'a>>) -> Self {
        let mut beats: Vec<Beat<'a>> = beats.into_iter().collect();
        beats.sort_by_key(|beat| beat.started_at_us);
        let zero = beats.first().map_or(0, |first| first.started_at_us);
        let mut names: HashMap<&str, u32> = HashMap::new();
        let mut sessions: Vec<Session> = Vec::new();
        let mut cues = Vec::with_capacity(beats.len());
        for (place, beat) in (0..NONE).zip(&beats) {
            let session = beat.session.map_or(NONE, |name| {
                let next = u32::try_from(sessions.len()).unwrap_or(NONE);
                let session = *names.entry(name).or_insert(next);
                if session == next {
                    sessions.push(Session::default());
                }
                session
            });
            if let Some(session) = sessions.get_mut(session as usize) {
                session.ends.push(place);
            }
            let start_us = beat.started_at_us.abs_diff(zero);
            cues.push(Cue { pair: beat.pair, start_us, think_us: 0, waits: 0, rank: 0, session });
        }
        for session in &mut sessions {
            session.anchor(&beats, &mut cues);
        }
        Self { cues, sessions }
    }

    pub fn len(&self) -> usize {
        self.cues.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cues.is_empty()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> u32 {
        u32::try_from(self.sessions.len()).unwrap_or(NONE)
    }

    pub(super) fn session(&self, number: u32) -> Option<&Session> {
        self.sessions.get(number as usize)
    }

    pub fn get(&self, place: u32) -> Option<&Cue> {
        self.cues.get(place as usize)
    }

    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// From the first start to the last.
    pub fn span_us(&self) -> u64 {
        self.cues.last().map_or(0, |last| last.start_us)
    }

    /// The recordings whose answers this one waits for, in the order in which they ended.
    pub fn before(&self, place: u32) -> &[u32] {
        let found = self.get(place).and_then(|cue| {
            let session = self.session(cue.session()?)?;
            session.ends.get(..cue.waits as usize)
        });
        found.unwrap_or_default()
    }

    /// The first `count` recordings, each on its own: what a warm-up sends.
    #[must_use]
    pub fn head(&self, count: usize) -> Self {
        let alone = |cue: &Cue| Cue { waits: 0, ..*cue };
        Self { cues: self.cues.iter().take(count).map(alone).collect(), sessions: Vec::new() }
    }
}

impl Session {
    /// Works out who waits for whom. `ends` has the turns in the order of their starts, and has them in that of their ends after.
    fn anchor(&mut self, beats: &[Beat<'_>], cues: &mut [Cue]) {
        let starts = self.ends.clone();
        let beat = |place: u32| beats.get(place as usize);
        let end = |place: u32| {
            beat(place).map_or(i64::MAX, |beat| beat.ended_at_us.max(beat.started_at_us))
        };
        self.ends.sort_by_key(|place| (end(*place), *place));
        for (rank, place) in (0..).zip(&self.ends) {
            if let Some(cue) = cues.get_mut(*place as usize) {
                cue.rank = rank;
            }
        }
        let mut over: u32 = 0;
        for place in starts {
            let (Some(beat), Some(cue)) = (beat(place), cues.get_mut(place as usize)) else {
                continue;
            };
            // Of turns that begin and end in one instant the earlier place is the earlier turn.
            let has_ended = |other: u32| (end(other), other) < (beat.started_at_us, place);
            while self.ends.get(over as usize).is_some_and(|other| has_ended(*other)) {
                over += 1;
            }
            let last = over.checked_sub(1).and_then(|last| self.ends.get(last as usize));
            if let Some(last) = last.filter(|_| beat.depends) {
                cue.waits = over;
                cue.think_us = beat.started_at_us.abs_diff(end(*last));
                self.waiting.push(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(pair: u32, session: &'static str, from: i64, to: i64) -> Beat<'static> {
        Beat {
            pair,
            session: Some(session).filter(|name| !name.is_empty()),
            started_at_us: from,
            ended_at_us: to,
            depends: true,
        }
    }

    fn before(outline: &Outline) -> Vec<Vec<u32>> {
        (0..outline.len() as u32).map(|place| outline.before(place).to_vec()).collect()
    }

    #[test]
    fn a_turn_waits_for_all_that_had_ended_before_it_began() {
        let outline = Outline::of([
            beat(0, "a", 1000, 1100),
            beat(1, "a", 1150, 1400),
            beat(2, "a", 1200, 1300), // runs beside 1
            beat(3, "b", 1250, 1260),
            beat(4, "", 1270, 1280),
            beat(5, "a", 1310, 1900), // beside 1, after 2
            beat(6, "a", 1400, 1500), // after both, beside 5
        ]);
        let want =
            [vec![], vec![0], vec![0], vec![], vec![], vec![0, 2], vec![0, 2, 1]].map(Vec::from);
        assert_eq!(before(&outline), want);
        let think: Vec<u64> = outline.cues().iter().map(|cue| cue.think_us).collect();
        assert_eq!(think, [0, 50, 100, 0, 0, 10, 0]);
        assert!(outline.before(99).is_empty());
        assert_eq!((outline.sessions(), outline.span_us()), (2, 400));
    }

    #[test]
    fn turns_that_took_no_time_wait_for_those_before_them_and_never_for_each_other() {
        let outline = Outline::of([
            beat(0, "a", 10, 10),
            beat(1, "a", 10, 10),
            beat(2, "a", 10, 20),
            beat(3, "a", 10, 10),
        ]);
        assert_eq!(before(&outline), [vec![], vec![0], vec![0, 1], vec![0, 1]]);
    }

    #[test]
    fn recordings_are_ordered_by_their_start_and_clocks_that_ran_back_do_no_harm() {
        let outline =
            Outline::of([beat(7, "a", 50, 20), beat(8, "a", 10, 45), beat(9, "", 30, 31)]);
        let pairs: Vec<u32> = outline.cues().iter().map(|cue| cue.pair).collect();
        assert_eq!(pairs, [8, 9, 7]);
        assert_eq!(outline.before(2), [0]);
        assert_eq!(outline.head(2).len(), 2);
        assert!((0..9).all(|place| outline.head(9).before(place).is_empty()));
    }

    #[test]
    fn what_is_said_not_to_depend_does_not() {
        let free = Beat { depends: false, ..beat(1, "a", 20, 30) };
        let outline = Outline::of([beat(0, "a", 0, 10), free, beat(2, "a", 40, 50)]);
        assert_eq!(before(&outline), [vec![], vec![], vec![0, 1]]);
    }
}
