//! Waits for an instant closer than tokio's timers, which count milliseconds: all but the last stretch is slept on tokio, the
//! rest on a thread of its own, whose wait the kernel ends within some tens of microseconds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What is left to the thread. Tokio may be late by a millisecond, and its wake-up by something more.
const LAST: Duration = Duration::from_millis(3);

/// A timer for one waiter.
pub(super) struct Pacer {
    thread: Option<SyncSender<Duration>>,
    ring: Arc<Notify>,
    /// What the thread waits for now: to be asked for the same again costs nothing.
    armed: Option<Instant>,
}

impl Pacer {
    /// `fine` off, or no thread to be had: tokio's timers alone.
    pub(super) fn new(fine: bool) -> Self {
        let ring = Arc::new(Notify::new());
        let thread = fine.then(|| {
            let (sender, receiver) = sync_channel(4);
            let bell = Arc::clone(&ring);
            std::thread::Builder::new()
                .name("replay-pacer".to_owned())
                .spawn(move || keep_time(&receiver, &bell))
                .ok()
                .map(|_| sender)
        });
        Self { thread: thread.flatten(), ring, armed: None }
    }

    /// Returns at the instant, or somewhat before it: the caller looks at the clock.
    pub(super) async fn until(&mut self, at: Instant) {
        let Some(thread) = &self.thread else {
            tokio::time::sleep_until(at).await;
            return;
        };
        let left = at.saturating_duration_since(Instant::now());
        if left > LAST {
            tokio::time::sleep(left.saturating_sub(LAST)).await;
        }
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if self.armed != Some(at) {
            if thread.try_send(left).is_err() {
                tokio::time::sleep(left).await;
                return;
            }
            self.armed = Some(at);
        }
        self.ring.notified().await;
        self.armed = None;
    }
}

/// Rings when the last duration that was asked for is over. A new one takes the place of the old.
fn keep_time(asked: &Receiver<Duration>, bell: &Notify) {
    let mut wait = asked.recv().ok();
    while let Some(left) = wait {
        wait = match asked.recv_timeout(left) {
            Ok(newer) => Some(newer),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                bell.notify_one();
                asked.recv().ok()
            }
        };
    }
}
