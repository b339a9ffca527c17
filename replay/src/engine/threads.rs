//! What each target has answered to each session, where answers are fed on; kept until the session's last turn.

use std::collections::HashMap;

use super::Setup;
use crate::context::{Context, History, Key};
use crate::outcome::Outcome;
use crate::schedule::{Cue, Due};

/// One target's side of one session in one repeat.
type Thread = (u32, u16, u16);

pub(super) struct Threads {
    is_live: bool,
    /// How many turns each session has.
    turns: Vec<u32>,
    /// The answers, and the turns that are left.
    open: HashMap<Thread, (History, u32)>,
}

impl Threads {
    pub(super) fn new(setup: &Setup) -> Self {
        let mut turns = vec![0; setup.outline.sessions() as usize];
        for session in setup.outline.cues().iter().filter_map(Cue::session) {
            if let Some(turns) = turns.get_mut(session as usize) {
                *turns += 1;
            }
        }
        Self { is_live: setup.context == Context::Live, turns, open: HashMap::new() }
    }

    fn thread(&self, due: &Due) -> Option<Thread> {
        let session = due.session.filter(|_| self.is_live);
        session.map(|session| (session, due.target, due.job.repeat))
    }

    /// The answers that a request may hold; `None`: it is sent as recorded.
    pub(super) fn history(&mut self, due: &Due) -> Option<History> {
        let thread = self.thread(due)?;
        let turns = self.turns.get(thread.0 as usize).copied().unwrap_or_default();
        Some(self.open.entry(thread).or_insert_with(|| (History::default(), turns)).0.clone())
    }

    /// A turn has ended.
    pub(super) fn keep(&mut self, due: &Due, key: Option<Key>, outcome: &Outcome) {
        let Some(thread) = self.thread(due) else { return };
        let Some((history, left)) = self.open.get_mut(&thread) else { return };
        if let Some(key) = key {
            history.keep(key, outcome);
        }
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.open.remove(&thread);
        }
    }
}
