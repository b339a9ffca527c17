//! Waits that end within tens of microseconds of their time, on a thread of their own: the runtime's timer has a grain of a
//! millisecond, which is a tenth of the gap between the frames of a fast model.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::base::clock;

#[derive(Debug, Default)]
struct Waits {
    /// When and who. One that was given up stands here until its time.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Who is still waiting. Emptied by the thread, and by waits that are dropped.
    wakers: HashMap<u64, Waker>,
    last: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held for a look, never across an await.
    waits: Mutex<Waits>,
    earlier: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that wakes.
#[derive(Debug)]
pub(super) struct Timer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("playback timer".into());
        let thread = thread.spawn(move || run(&own))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn until(&self, due: Instant) -> Wait {
        Wait { shared: Arc::clone(&self.shared), due, number: None }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.earlier.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the timer of playback panicked");
        }
    }
}

fn run(shared: &Shared) {
    let mut waits = shared.lock();
    while !waits.closed {
        let now = clock::now();
        let mut woken = Vec::new();
        while let Some(Reverse((due, number))) = waits.due.peek().copied()
            && due <= now
        {
            waits.due.pop();
            woken.extend(waits.wakers.remove(&number));
        }
        if !woken.is_empty() {
            drop(waits);
            woken.into_iter().for_each(Waker::wake);
            waits = shared.lock();
            continue;
        }
        waits = match waits.due.peek() {
            None => shared.earlier.wait(waits).unwrap_or_else(PoisonError::into_inner),
            Some(Reverse((due, _))) => {
                let left = due.saturating_duration_since(now);
                let woken = shared.earlier.wait_timeout(waits, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Ends at its time.
#[derive(Debug)]
pub(super) struct Wait {
    shared: Arc<Shared>,
    due: Instant,
    /// Once the thread knows of it.
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if clock::now() >= self.due {
            return Poll::Ready(());
        }
        let this = &mut *self;
        let mut waits = this.shared.lock();
        if let Some(number) = this.number {
            waits.wakers.insert(number, cx.waker().clone());
            // Its time may have come since the look at the clock, and then nobody wakes it any more.
            return if clock::now() >= this.due { Poll::Ready(()) } else { Poll::Pending };
        }
        waits.last += 1;
        let number = waits.last;
        this.number = Some(number);
        let is_first = waits.due.peek().is_none_or(|Reverse((due, _))| this.due < *due);
        waits.due.push(Reverse((this.due, number)));
        waits.wakers.insert(number, cx.waker().clone());
        drop(waits);
        if is_first {
            this.shared.earlier.notify_one();
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.lock().wakers.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn waits_end_in_the_order_of_their_times_and_not_before() {
        let timer = Timer::start().unwrap();
        let zero = clock::now();
        let wait = |ms| {
            let wait = timer.until(zero + Duration::from_millis(ms));
            async move {
                wait.await;
                (ms, clock::now())
            }
        };
        let (a, b, c) = tokio::join!(wait(30), wait(10), wait(20));
        for (ms, at) in [a, b, c] {
            assert!(at >= zero + Duration::from_millis(ms));
        }
        assert!(b.1 < c.1 && c.1 < a.1);
        drop(timer.until(zero + Duration::from_hours(1)));
    }
}
