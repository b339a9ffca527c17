//! Re-sends recorded exchanges on a schedule and compares what comes back. Knows nothing of the gateway.
//!
//! ```text
//!  Recording ──┐                       (what was asked, when, by which session)
//!              ├─► Schedule ─► Transport ─► Outcome ─► Row ─► Report
//!  Targets  ───┘   (when to    (who sends)  (what came  (numbers, (paired ratios,
//!                   send)                    back, when) no words)  intervals, verdicts)
//! ```
//!
//! The arrow between this crate and the gateway points here only: the gateway implements [`Transport`] with its own
//! pipeline, so a replayed exchange takes the same path as live traffic.

pub mod answers;
pub mod bundle;
pub mod context;
pub mod dice;
pub mod elsewhere;
pub mod engine;
pub mod estimate;
pub mod faces;
pub mod journal;
pub mod judging;
pub mod library;
pub mod measure;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod recording;
pub mod report;
pub mod row;
pub mod schedule;
pub mod shelf;
pub mod stats;
pub mod summarise;
pub mod table;

use std::sync::Arc;

use outcome::Outcome;
use recording::Recording;
use row::Job;

/// What a transport is to send.
#[derive(Debug, Clone)]
pub struct Order {
    pub job: Job,
    /// The target's place among the run's.
    pub target: usize,
    pub recording: Arc<Recording>,
    /// The request's body, where it is not the recorded one: an earlier answer was fed on, a marker was put in.
    pub body: Option<Vec<u8>>,
    pub warmup: bool,
    /// When the schedule wants it sent; times of the outcome count from `zero`.
    pub intended_us: u64,
    /// The run's zero.
    pub zero: std::time::Instant,
}

/// Sends one recording to one target. The gateway implements this with its own pipeline.
pub trait Transport: Send + Sync + 'static {
    /// Reports what happened; an error is an outcome, not a failure of the run.
    fn send(&self, order: Order) -> impl Future<Output = Outcome> + Send;
}
