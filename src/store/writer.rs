//! The start and the end of the one thread that writes: rows come in by a bounded queue (`inbox`) and go to disk a batch at a
//! time (`work`).
//!
//! ```text
//!  put ──try_send──► queue ──► gather up to ROWS or COMPANY ──► transaction ──► counted as stored
//!   │ full                                                       │ fails
//!   └─► counted as dropped                                       └─► tried again, then counted as failed
//! ```
//!
//! Whoever calls [`Handle::put`] never waits for the disk. While the disk fails each batch is tried once, so that the queue
//! keeps moving; the first batch that succeeds ends that. A stop takes five seconds at most, whatever the disk does.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::store::db::{self, OpenError};
use crate::store::entry::Bodies;
use crate::store::inbox::{Handle, Limits};
use crate::store::late::Late;
use crate::store::search;
use crate::store::work::Work;

/// Limit: after this long a stop waits no more for the thread itself, which hangs in the disk.
const LEFT_AFTER: Duration = Duration::from_secs(5);

/// The running writer; dropped or stopped, it writes what is queued and is waited for.
pub struct Writer {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Writer {
    /// Opens the store in `folder`, making it where it is missing, and starts the thread. Of exchanges that come with
    /// headers or bodies only the records are kept.
    pub fn start(folder: &Path, limits: Limits) -> Result<Self, OpenError> {
        Self::start_with(folder, limits, None)
    }

    /// As [`Writer::start`], with a place for headers and bodies.
    pub fn start_with(
        folder: &Path,
        limits: Limits,
        bodies: Option<Box<dyn Bodies>>,
    ) -> Result<Self, OpenError> {
        let connection = db::open_writer(folder, limits.busy)?;
        if limits.bounds.keep_no_bodies()
            && let Err(error) = search::discard(folder)
        {
            tracing::error!(%error, "search.db holds words of bodies and cannot be deleted; remove it by hand");
        }
        let (handle, inbox) = Handle::new(&limits);
        let mut work = Work::new(folder, connection, inbox, &handle, limits);
        work.bodies = bodies;
        let (end, ended) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("pinhole-store".to_owned())
            .spawn(move || {
                work.run();
                drop(end);
            })
            .map_err(|error| OpenError::File { path: folder.join(db::FILE), error })?;
        Ok(Self { handle, thread: Some(thread), ended })
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Writes `late` and what is queued, and waits for it, five seconds at most.
    pub fn stop_with(&mut self, late: Late) {
        let Some(thread) = self.thread.take() else { return };
        self.handle.leave(late);
        if self.ended.recv_timeout(LEFT_AFTER) == Err(RecvTimeoutError::Timeout) {
            let rows = self.handle.counters().queued.load(Ordering::Relaxed);
            tracing::error!(
                rows,
                "the store does not answer and is left; its last records are given up; is the disk reachable?"
            );
        } else if thread.join().is_err() {
            tracing::error!("the store's thread panicked; records may be missing");
        }
    }

    /// Writes what is queued, and waits for it, five seconds at most.
    pub fn stop(&mut self) {
        self.stop_with(Late::default());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}
