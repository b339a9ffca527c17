//! Re-sends recorded exchanges on a schedule and compares what comes back. Knows nothing of the gateway.
//!
//! ```text
//!  Recording ──┐                       (what was asked, when, by which session)
//!              ├─► Schedule ─► Transport ─► Outcome ─► Judge ─► Report
//!  Targets  ───┘   (when to    (who sends)  (what came  (same?   (paired ratios,
//!                   send)                    back, when) better?) intervals, verdicts)
//! ```
//!
//! The arrow between this crate and the gateway points here only: the gateway implements [`Transport`] with its own
//! pipeline, so a replayed exchange takes the same path as live traffic.
//!
//! Recordings and the file they are kept in are here. The schedule, the judge and the report land with part 4 of the plan;
//! until then the life cycle and the seam the gateway builds on hold their place.

pub mod bundle;
pub mod recording;

use std::time::Duration;

use recording::Recording;

/// What came back for one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status, when an answer came.
    pub status: Option<u16>,
    /// Arrivals of non-empty content, from the intended send time.
    pub content_at: Vec<Duration>,
    /// End of the answer, from the intended send time.
    pub end: Duration,
}

/// Sends one recording to one target. The gateway implements this with its own pipeline.
pub trait Transport {
    /// Names one provider and model.
    type Target;
    /// Sends `recording` to `target` and reports what happened; an error is an outcome, not a failure of the run.
    fn send(
        &self,
        recording: &Recording,
        target: &Self::Target,
    ) -> impl Future<Output = Outcome> + Send;
}
