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
//! This crate lands with part 4 of the plan; until then it holds the life cycle and the two seams the gateway builds on.

use std::time::Duration;

/// One recorded request: what to send, and when it was sent relative to the start of its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The captured exchange this came from; pairs are formed on it.
    pub exchange_id: String,
    /// Order is kept within a session.
    pub session_id: Option<String>,
    /// Offset of the request from the recording's first one.
    pub at: Duration,
    /// Path and query as the client sent them.
    pub path: String,
    /// The request body, byte for byte.
    pub body: Vec<u8>,
}

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
