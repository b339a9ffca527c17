//! A line of progress on standard error, once a second, where somebody watches.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::base::clock;

const EVERY: Duration = Duration::from_secs(1);

/// How far long work has come.
pub(super) struct Progress {
    verb: &'static str,
    told: Option<Instant>,
    is_watched: bool,
    has_line: bool,
}

impl Progress {
    pub(super) fn new(verb: &'static str) -> Self {
        let is_watched = std::io::stderr().is_terminal();
        Self { verb, told: Some(clock::now()), is_watched, has_line: false }
    }

    /// Says how many exchanges are done, if it is time to.
    pub(super) fn at(&mut self, done: u64) {
        let now = clock::now();
        let is_due = self.told.is_none_or(|told| now.duration_since(told) >= EVERY);
        if !self.is_watched || !is_due {
            return;
        }
        self.told = Some(now);
        self.has_line = true;
        let _written = write!(std::io::stderr(), "\r{} {done} exchanges …", self.verb);
    }

    /// Takes the line away.
    pub(super) fn done(&mut self) {
        if std::mem::take(&mut self.has_line) {
            let _written = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
