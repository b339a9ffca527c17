//! The one place that spawns: every task has a name, and a panic in it is logged, not lost.

use tokio::task::JoinHandle;

/// Spawns `future` on the current runtime under `name`.
///
/// The name is for the log when the task panics; shutdown is the caller's affair, by the handle or by a signal the
/// future itself watches.
#[expect(clippy::disallowed_methods, reason = "this is the helper the ban points to")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // The panic hook prints the thread and the place; the name of the task comes from this log line at debug level.
    tracing::trace!(task = name, "spawned");
    tokio::spawn(future)
}
