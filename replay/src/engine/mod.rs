//! Drives a [`Transport`] over a [`crate::schedule::Schedule`]: waits for each instant, sends, gathers what comes back into groups, has them
//! judged and written, and keeps within the limits of cost, time and number.
//!
//! ```text
//!  Schedule ─due─► load + prepare ─► queue (by instant) ─► Transport ─► group ─► Judge ─► Sink
//!     ▲                                                        │
//!     └───────────────────────── ended ────────────────────────┘
//! ```
//!
//! One task decides; loading, sending and judging are tasks beside it, so that nothing slow makes a request late. Times are
//! tokio's, so that a test can let hours pass at once.

mod deeds;
mod drive;
mod ledger;
mod pacer;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Transport;
use crate::context::{Cache, Context, Length, Target};
use crate::outcome::Outcome;
use crate::pace::Pace;
use crate::recording::{Fault, Recording};
use crate::row::Row;
use crate::schedule::{Groups, Outline};

/// Where recordings are read from, one at a time, shortly before they are sent.
pub trait Library: Send + Sync + 'static {
    /// The recording of this number, or why it cannot be sent.
    fn load(&self, pair: u32) -> impl Future<Output = Result<Arc<Recording>, Fault>> + Send;
}

/// Makes rows of a group's outcomes: metrics, and how like the answers are.
pub trait Judge: Send + Sync + 'static {
    fn judge(&self, group: Group) -> impl Future<Output = Vec<Row>> + Send;
}

/// What is kept of a run.
pub trait Sink: Send {
    fn row(&mut self, row: &Row) -> std::io::Result<()>;
}

/// The outcomes of one recording in one repeat. The only place where answers are kept, and only until they are judged.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// `None`: it could not be read, which every outcome says.
    pub recording: Option<Arc<Recording>>,
    /// By target; fewer than there are targets when the run was broken off. Rows have all but metrics and likeness.
    pub outcomes: Vec<(Row, Outcome)>,
}

/// Everything a run is made of but the deeds.
#[derive(Debug, Clone)]
pub struct Setup {
    pub outline: Arc<Outline>,
    /// Names and sessions of the recordings, by their number.
    pub names: Arc<[(String, Option<String>)]>,
    pub targets: Vec<Target>,
    pub pace: Pace,
    pub repeats: u16,
    /// Recordings sent once to every target before the run, in no comparison.
    pub warmup: u32,
    pub seed: u64,
    pub context: Context,
    pub cache: Cache,
    pub length: Length,
    /// Honours `Retry-After`.
    pub polite: bool,
    pub budget: Option<Budget>,
    /// What an earlier part of the run has finished.
    pub done: Groups,
    /// Never used before: what makes requests new to a cache.
    pub marker: String,
    pub limits: Limits,
}

/// What the run may cost, in billionths of a US dollar.
#[derive(Clone)]
pub struct Budget {
    pub max_nanousd: i64,
    /// The most that sending a recording to a target can cost.
    pub worst: Arc<dyn Fn(u32, u16) -> i64 + Send + Sync>,
    /// The most that a judge's word on one answer can cost; 0: none is asked.
    pub judge_nanousd: i64,
    /// What an earlier part of the run has cost.
    pub spent_nanousd: i64,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget").field("max_nanousd", &self.max_nanousd).finish_non_exhaustive()
    }
}

/// Limits of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight of an open loop; what is due beyond it waits, and that is lag.
    pub in_flight: usize,
    /// Groups whose answers are held.
    pub groups: usize,
    /// How long one request may take.
    pub deadline: Duration,
    /// How long making rows of one group may take.
    pub judging: Duration,
    /// How long a target may ask to be left alone.
    pub hold: Duration,
    /// How long requests in flight are waited for after a stop.
    pub grace: Duration,
    /// How long before its instant a request is made ready.
    pub ahead: Duration,
    /// Wait on a timer finer than the runtime's milliseconds. Paused time needs it off.
    pub fine: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 4096,
            groups: 4096,
            deadline: Duration::from_mins(10),
            judging: Duration::from_mins(10),
            hold: Duration::from_mins(2),
            grace: Duration::from_secs(2),
            ahead: Duration::from_millis(100),
            fine: true,
        }
    }
}

/// How a run is going.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Requests of the whole run, warm-up left out.
    pub planned: u64,
    pub sent: u64,
    pub done: u64,
    pub errors: u64,
    pub in_flight: u64,
    pub spent_nanousd: i64,
    pub elapsed: Duration,
    /// Requests done a second, of the run so far.
    pub per_s: f64,
    pub left: Option<Duration>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ended {
    #[default]
    Whole,
    Interrupted,
    MaxCost,
}

impl Ended {
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Interrupted => "interrupted",
            Self::MaxCost => "max_cost",
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Finish {
    pub ended: Ended,
    pub progress: Progress,
    /// Groups that were held at once, at most.
    pub groups_max: usize,
}

/// Who does what.
pub struct Crew<T, L, J> {
    pub transport: T,
    pub library: L,
    pub judge: J,
}

/// Runs to the end, to the limit of cost, or until `stop` is true. An error is the sink's: what it has got stays valid.
pub async fn run<T, L, J, S>(
    setup: Setup,
    crew: Crew<T, L, J>,
    sink: &mut S,
    stop: watch::Receiver<bool>,
    progress: &watch::Sender<Progress>,
) -> std::io::Result<Finish>
where
    T: Transport,
    L: Library,
    J: Judge,
    S: Sink,
{
    drive::Drive::new(setup, crew, sink, stop, progress).run().await
}

#[cfg(test)]
mod tests;
