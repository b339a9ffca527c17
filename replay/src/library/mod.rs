//! Recordings by what was asked: finds the one that answers a request, the nearest where none does, and says how the two
//! differ. It keeps no answers and never makes one up.
//!
//! ```text
//!  request ─► raw digest ─► canonical digest ─► shelf (recordings of that question) ─► cursor of the caller ─► recording
//!                                  │ no shelf
//!                                  └─► kin (dialect, operation, stream, family) ─► most alike ─► nearest, differences
//! ```

mod alike;
mod cursor;
mod difference;
pub mod place;
mod question;
mod rules;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use difference::{DIFFERENCES_MAX, Difference};
pub use question::{Asked, Content, Digest, Question};
pub use rules::{DEFAULTS, Mask, RULES_MAX, RuleError, Rules};

use alike::Sketch;
use cursor::{Caller, Cursors, Shelf};
use question::Kin;

/// Limit: recordings that a request is compared with when none answers it.
pub const COMPARED_MAX: usize = 4_096;

/// What a caller gets who asks once more than was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum After {
    /// The last answer again.
    #[default]
    Last,
    /// All answers from the first on.
    Cycle,
    /// A miss.
    Fail,
}

/// A recorded request that is put in.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    pub asked: Asked<'a>,
    /// The exchange, as it is named to callers.
    pub id: &'a str,
    pub session: Option<&'a str>,
    /// When it was asked: answers to one question come in this order.
    pub at_us: i64,
    /// What finding it gives: the caller's own number for the answer.
    pub answer: u32,
}

/// What is kept of a recorded request.
#[derive(Debug)]
struct Entry {
    id: Arc<str>,
    answer: u32,
    shelf: u32,
    kin: u32,
    sketch: Sketch,
    method: String,
    target: String,
    body: Arc<[u8]>,
}

/// What was found for a request.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// The number of the answer.
    Exact(u32),
    Missed(Box<Miss>),
}

/// Why no recording answers a request.
#[derive(Debug, PartialEq)]
pub struct Miss {
    pub reason: Reason,
    pub nearest: Option<Nearest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was never asked.
    Unrecorded,
    /// All its recordings have been given, and [`After::Fail`] is in force.
    Exhausted,
}

/// The recording most like a request.
#[derive(Debug, PartialEq)]
pub struct Nearest {
    pub id: Arc<str>,
    /// From 0 to 1000.
    pub alike: u16,
    /// Same dialect, operation, streaming and family of model: its answer is of the shape that the caller waits for.
    pub is_kin: bool,
    /// At most [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
    entry: u32,
}

/// The library.
#[derive(Debug, Default)]
pub struct Library {
    rules: Rules,
    after: After,
    entries: Vec<Entry>,
    shelves: Vec<Shelf>,
    by_digest: HashMap<Digest, u32>,
    /// Requests that come again byte for byte need not be read.
    by_bytes: HashMap<Digest, u32>,
    kins: HashMap<Kin, u32>,
    /// By kin: its recordings.
    relatives: Vec<Vec<u32>>,
    sessions: HashMap<Arc<str>, u32>,
    /// Held for a look-up, never longer.
    cursors: Mutex<Cursors>,
}

impl Library {
    pub fn new(rules: Rules, after: After) -> Self {
        Self { rules, after, ..Self::default() }
    }

    /// Puts in a recorded request.
    pub fn add(&mut self, recorded: &Recorded<'_>) {
        let question = Question::read(&recorded.asked, &self.rules);
        let number = self.entries.len() as u32;
        let shelf = *self.by_digest.entry(question.digest(&self.rules)).or_insert_with(|| {
            self.shelves.push(Shelf::default());
            self.shelves.len() as u32 - 1
        });
        self.by_bytes.insert(recorded.asked.raw_digest(), shelf);
        let sessions = self.sessions.len() as u32;
        let session =
            *self.sessions.entry(recorded.session.unwrap_or("").into()).or_insert(sessions);
        if let Some(shelf) = self.shelves.get_mut(shelf as usize) {
            shelf.add(session, recorded.at_us, number);
        }
        let kin = *self.kins.entry(question.kin()).or_insert_with(|| {
            self.relatives.push(Vec::new());
            self.relatives.len() as u32 - 1
        });
        if let Some(relatives) = self.relatives.get_mut(kin as usize) {
            relatives.push(number);
        }
        self.entries.push(Entry {
            id: recorded.id.into(),
            answer: recorded.answer,
            shelf,
            kin,
            sketch: Sketch::of(&question, &self.rules),
            method: recorded.asked.method.to_owned(),
            target: recorded.asked.target.to_owned(),
            body: recorded.asked.body.into(),
        });
    }

    /// Recorded requests.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Different questions among them.
    pub fn questions(&self) -> usize {
        self.shelves.len()
    }

    /// How often the limit on remembered places was hit, and all callers began again.
    pub fn begun_again(&self) -> u64 {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).begun_again
    }

    /// The recording that answers `asked`, for the caller's session where it names one.
    pub fn find(&self, asked: &Asked<'_>, session: Option<&str>) -> Found {
        if let Some(shelf) = self.by_bytes.get(&asked.raw_digest()) {
            return match self.next(*shelf, session) {
                Some(answer) => Found::Exact(answer),
                None => self.missed(Reason::Exhausted, asked),
            };
        }
        let question = Question::read(asked, &self.rules);
        match self.by_digest.get(&question.digest(&self.rules)) {
            None => self.nearest(Reason::Unrecorded, &question),
            Some(shelf) => match self.next(*shelf, session) {
                Some(answer) => Found::Exact(answer),
                None => self.nearest(Reason::Exhausted, &question),
            },
        }
    }

    /// The answer of the nearest recording, or of the next one of the same question.
    pub fn take(&self, nearest: &Nearest, session: Option<&str>) -> Option<u32> {
        self.next(self.entries.get(nearest.entry as usize)?.shelf, session)
    }

    fn next(&self, number: u32, session: Option<&str>) -> Option<u32> {
        let shelf = self.shelves.get(number as usize)?;
        let caller = Caller {
            digest: session.map_or(0, digest),
            recorded: session.and_then(|session| self.sessions.get(session)).copied(),
        };
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = cursors.next((number, shelf), caller, self.after)?;
        self.entries.get(entry as usize).map(|entry| entry.answer)
    }

    fn missed(&self, reason: Reason, asked: &Asked<'_>) -> Found {
        self.nearest(reason, &Question::read(asked, &self.rules))
    }

    /// Looks among the kin first; where there is none, among those of the dialect, then among all: to tell, not to serve.
    fn nearest(&self, reason: Reason, asked: &Question) -> Found {
        let kin = asked.kin();
        let sketch = Sketch::of(asked, &self.rules);
        let own = self.kins.get(&kin).copied();
        let best = own
            .and_then(|own| self.most_alike(&sketch, |one| one == own))
            .or_else(|| {
                let dialect: Vec<u32> = self
                    .kins
                    .iter()
                    .filter(|(other, _)| {
                        other.dialect == kin.dialect && other.operation == kin.operation
                    })
                    .map(|(_, number)| *number)
                    .collect();
                self.most_alike(&sketch, |one| dialect.contains(&one))
            })
            .or_else(|| self.most_alike(&sketch, |_| true));
        let nearest = best.and_then(|(number, alike)| {
            let entry = self.entries.get(number as usize)?;
            let recorded =
                Asked { method: &entry.method, target: &entry.target, body: &entry.body };
            let recorded = Question::read(&recorded, &self.rules);
            Some(Nearest {
                id: Arc::clone(&entry.id),
                alike,
                is_kin: own == Some(entry.kin),
                differences: difference::between(&recorded, asked, &self.rules),
                entry: number,
            })
        });
        Found::Missed(Box::new(Miss { reason, nearest }))
    }

    /// The newest [`COMPARED_MAX`] of those kins, and the first of the most alike among them.
    fn most_alike(&self, sketch: &Sketch, wanted: impl Fn(u32) -> bool) -> Option<(u32, u16)> {
        let kins = self.relatives.iter().enumerate().filter(|(kin, _)| wanted(*kin as u32));
        let mut numbers: Vec<u32> = kins.flat_map(|(_, numbers)| numbers).copied().collect();
        numbers.sort_unstable();
        let skipped = numbers.len().saturating_sub(COMPARED_MAX);
        numbers
            .into_iter()
            .skip(skipped)
            .filter_map(|number| {
                let entry = self.entries.get(number as usize)?;
                Some((number, entry.sketch.alike(sketch)))
            })
            .max_by_key(|(number, alike)| (*alike, std::cmp::Reverse(*number)))
    }
}

/// Never 0, which is the caller without a session.
fn digest(session: &str) -> u64 {
    question::short(&blake3::hash(session.as_bytes())).max(1)
}

#[cfg(test)]
mod tests;
