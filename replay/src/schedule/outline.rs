//! When recordings were made and which waited for which: all that a schedule needs of them, a few words each, so that a run
//! of any length holds no recording longer than it is being sent.
//!
//! ```text
//!  session s   ├──turn 1──┤ think ├──turn 2──┤       turn 2 began after turn 1 had ended: it depends on it
//!                                   ├─turn 3─┤       so does turn 3, which ran beside turn 2
//! ```

use std::collections::HashMap;

/// No recording.
const NONE: u32 = u32::MAX;

/// One recording's place in time, as pushed.
#[derive(Debug, Clone, Copy)]
pub struct Beat<'a> {
    /// The recording's number in the run.
    pub pair: u32,
    pub session: Option<&'a str>,
    pub started_at_us: i64,
    pub ended_at_us: i64,
    /// It may depend on an earlier answer of its session; whether it does, the times say.
    pub depends: bool,
}

/// One recording in the outline. Numbers of others are places in the outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cue {
    pub pair: u32,
    /// From the first recording's start.
    pub start_us: u64,
    /// From the end of the answer that it depends on to its start.
    pub think_us: u64,
    session: u32,
    after: u32,
    first_child: u32,
    sibling: u32,
}

impl Cue {
    /// The recording whose answer this one waits for.
    pub fn after(&self) -> Option<u32> {
        (self.after != NONE).then_some(self.after)
    }

    /// A number for its session.
    pub fn session(&self) -> Option<u32> {
        (self.session != NONE).then_some(self.session)
    }
}

/// All recordings of a run, in the order of their starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    cues: Vec<Cue>,
    sessions: u32,
}

/// The turns of a session seen so far that a later one may depend on.
#[derive(Default)]
struct Open {
    /// The latest to have ended: end, place.
    ended: Option<(i64, u32)>,
    running: Vec<(i64, u32)>,
}

impl Outline {
    /// Beats may come in any order; those that start together keep it.
    pub fn of<'a>(beats: impl IntoIterator<Item = Beat<'a>>) -> Self {
        let mut beats: Vec<Beat<'a>> = beats.into_iter().collect();
        beats.sort_by_key(|beat| beat.started_at_us);
        let zero = beats.first().map_or(0, |first| first.started_at_us);
        let mut names: HashMap<&str, u32> = HashMap::new();
        let mut open: Vec<Open> = Vec::new();
        let mut outline = Self::default();
        for (place, beat) in (0..NONE).zip(&beats) {
            let mut cue = Cue {
                pair: beat.pair,
                start_us: beat.started_at_us.abs_diff(zero),
                think_us: 0,
                session: NONE,
                after: NONE,
                first_child: NONE,
                sibling: NONE,
            };
            if let Some(name) = beat.session {
                let next = u32::try_from(names.len()).unwrap_or(NONE);
                cue.session = *names.entry(name).or_insert(next);
                if cue.session == next {
                    open.push(Open::default());
                }
                if let Some(session) = open.get_mut(cue.session as usize) {
                    outline.anchor(&mut cue, place, beat, session);
                }
            }
            outline.cues.push(cue);
        }
        outline.sessions = u32::try_from(open.len()).unwrap_or(NONE);
        outline
    }

    fn anchor(&mut self, cue: &mut Cue, place: u32, beat: &Beat<'_>, session: &mut Open) {
        let Open { ended, running } = session;
        running.retain(|turn| {
            let is_over = turn.0 <= beat.started_at_us;
            if is_over && ended.is_none_or(|latest| latest.0 <= turn.0) {
                *ended = Some(*turn);
            }
            !is_over
        });
        running.push((beat.ended_at_us.max(beat.started_at_us), place));
        if let Some((end, parent)) = ended.filter(|_| beat.depends)
            && let Some(before) = self.cues.get_mut(parent as usize)
        {
            cue.after = parent;
            cue.think_us = beat.started_at_us.abs_diff(end);
            // The newest child first; a schedule orders them by time.
            cue.sibling = std::mem::replace(&mut before.first_child, place);
        }
    }

    pub fn len(&self) -> usize {
        self.cues.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cues.is_empty()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> u32 {
        self.sessions
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

    /// The recordings that wait for this one's answer.
    pub fn children(&self, place: u32) -> impl Iterator<Item = (u32, &Cue)> {
        let mut next = self.get(place).map_or(NONE, |cue| cue.first_child);
        std::iter::from_fn(move || {
            let cue = self.get(next)?;
            Some((std::mem::replace(&mut next, cue.sibling), cue))
        })
    }

    /// The first `count` recordings, each on its own: what a warm-up sends.
    #[must_use]
    pub fn head(&self, count: usize) -> Self {
        let alone = |cue: &Cue| Cue { after: NONE, first_child: NONE, sibling: NONE, ..*cue };
        Self { cues: self.cues.iter().take(count).map(alone).collect(), sessions: self.sessions }
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

    fn children(outline: &Outline, place: u32) -> Vec<u32> {
        let mut found: Vec<u32> = outline.children(place).map(|(at, _)| at).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_turn_depends_on_the_answer_that_ended_last_before_it_began() {
        let outline = Outline::of([
            beat(0, "a", 1000, 1100),
            beat(1, "a", 1150, 1400),
            beat(2, "a", 1200, 1300), // runs beside 1, so it depends on 0
            beat(3, "b", 1250, 1260),
            beat(4, "", 1270, 1280),
            beat(5, "a", 1400, 1500), // 1 ended last
        ]);
        let after: Vec<_> = outline.cues().iter().map(Cue::after).collect();
        assert_eq!(after, [None, Some(0), Some(0), None, None, Some(1)]);
        let think: Vec<u64> = outline.cues().iter().map(|cue| cue.think_us).collect();
        assert_eq!(think, [0, 50, 100, 0, 0, 0]);
        assert_eq!(children(&outline, 0), [1, 2]);
        assert_eq!(children(&outline, 1), [5]);
        assert!(children(&outline, 3).is_empty() && children(&outline, 99).is_empty());
        assert_eq!((outline.sessions(), outline.span_us()), (2, 400));
    }

    #[test]
    fn recordings_are_ordered_by_their_start_and_clocks_that_ran_back_do_no_harm() {
        let outline =
            Outline::of([beat(7, "a", 50, 20), beat(8, "a", 10, 45), beat(9, "", 30, 31)]);
        let pairs: Vec<u32> = outline.cues().iter().map(|cue| cue.pair).collect();
        assert_eq!(pairs, [8, 9, 7]);
        assert_eq!(outline.cues()[2].after(), Some(0));
        assert_eq!(outline.head(2).len(), 2);
        assert!(outline.head(9).cues().iter().all(|cue| cue.after().is_none()));
    }

    #[test]
    fn what_is_said_not_to_depend_does_not() {
        let free = Beat { depends: false, ..beat(1, "a", 20, 30) };
        let outline = Outline::of([beat(0, "a", 0, 10), free, beat(2, "a", 40, 50)]);
        let after: Vec<_> = outline.cues().iter().map(Cue::after).collect();
        assert_eq!(after, [None, None, Some(1)]);
    }
}
