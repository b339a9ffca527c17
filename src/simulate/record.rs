//! What a simulated provider saw: a bounded log of requests with how each ended, and counters.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use tokio::sync::Notify;

use crate::base::clock;

/// How an answer ended, seen from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last byte was handed to the connection.
    Complete,
    /// The client's connection (or its HTTP/2 stream) was gone before.
    Cancelled,
    /// The script cut the connection.
    Cut,
}

/// One request, and its end once there is one.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Counts from 0 in order of arrival.
    pub number: u64,
    /// Counts connections from 0: equal numbers mean a reused connection.
    pub connection: u64,
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    /// In order of arrival; equal names stand together.
    pub headers: HeaderMap,
    /// As it came, still compressed if it was.
    pub body: Bytes,
    /// When the body was complete.
    pub arrived: Instant,
    pub end: Option<(End, Instant)>,
}

impl Seen {
    /// Path and query as sent.
    pub fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// The first value of a header, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// When the client was seen to be gone before its answer ended.
    pub fn cancelled_at(&self) -> Option<Instant> {
        match self.end {
            Some((End::Cancelled, at)) => Some(at),
            _ => None,
        }
    }
}

/// How often things happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    pub completed: u64,
    pub cancelled: u64,
    pub cut: u64,
    /// Requests that the log no longer holds.
    pub forgotten: u64,
}

/// The log itself, shared by all connections of one simulator.
#[derive(Debug)]
pub(crate) struct Log {
    /// Held for a push or a copy, never across an await.
    entries: Mutex<Entries>,
    entries_max: usize,
    bytes_max: usize,
    /// Woken at each request and each end.
    pub(crate) changed: Notify,
    connections: AtomicU64,
    requests: AtomicU64,
    ends: [AtomicU64; 3],
    forgotten: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    list: VecDeque<Seen>,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            entries: Mutex::default(),
            entries_max,
            bytes_max,
            changed: Notify::new(),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            ends: [const { AtomicU64::new(0) }; 3],
            forgotten: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a new connection.
    pub(crate) fn connect(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Logs a request and returns the ticket that reports its end.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        connection: u64,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Ticket {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if self.entries_max > 0 {
            self.push(Seen {
                number,
                connection,
                method: head.method.clone(),
                uri: head.uri.clone(),
                version: head.version,
                headers: head.headers.clone(),
                body: body.clone(),
                arrived: clock::now(),
                end: None,
            });
            self.changed.notify_waiters();
        }
        Ticket { log: Arc::clone(self), number, end: Some(End::Cancelled) }
    }

    /// Limit: `entries_max` requests and `bytes_max` of bodies; the oldest go first and are counted.
    fn push(&self, seen: Seen) {
        let mut entries = self.lock();
        entries.bytes += seen.body.len();
        entries.list.push_back(seen);
        while entries.list.len() > self.entries_max || entries.bytes > self.bytes_max {
            let Some(oldest) = entries.list.pop_front() else {
                break;
            };
            entries.bytes -= oldest.body.len();
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn finish(&self, number: u64, end: End) {
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
        if self.entries_max == 0 {
            return;
        }
        let mut entries = self.lock();
        let newest_first = entries.list.iter_mut().rev();
        if let Some(seen) = newest_first.into_iter().find(|seen| seen.number == number) {
            seen.end = Some((end, clock::now()));
        }
        drop(entries);
        self.changed.notify_waiters();
    }

    pub(crate) fn snapshot(&self) -> Vec<Seen> {
        self.lock().list.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Entries::default();
    }

    pub(crate) fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: of(&self.connections),
            requests: of(&self.requests),
            completed: of(&self.ends[End::Complete as usize]),
            cancelled: of(&self.ends[End::Cancelled as usize]),
            cut: of(&self.ends[End::Cut as usize]),
            forgotten: of(&self.forgotten),
        }
    }

    /// Waits until `condition` holds for the log, at most `deadline`; says whether it did.
    pub(crate) async fn wait(
        &self,
        deadline: Duration,
        condition: impl Fn(&[Seen]) -> bool,
    ) -> bool {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before the look, so that a change in between is not missed.
                changed.as_mut().enable();
                if condition(&self.snapshot()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(deadline, waiting).await.is_ok()
    }
}

/// Reports the end of one answer, once: dropped untouched it was cancelled.
#[derive(Debug)]
pub(crate) struct Ticket {
    log: Arc<Log>,
    number: u64,
    end: Option<End>,
}

impl Ticket {
    pub(crate) fn end(&mut self, end: End) {
        if self.end.take().is_some() {
            self.log.finish(self.number, end);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.log.finish(self.number, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(log: &Arc<Log>, body: &'static [u8]) -> Ticket {
        let (head, ()) = http::Request::new(()).into_parts();
        log.arrive(0, &head, &Bytes::from_static(body))
    }

    #[test]
    fn the_log_is_bounded_and_counts_what_it_forgets() {
        let log = Arc::new(Log::new(10, 8));
        for _ in 0..3 {
            arrive(&log, b"1234").end(End::Complete);
        }
        let seen = log.snapshot();
        assert_eq!(seen.iter().map(|seen| seen.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((log.counts().forgotten, log.counts().completed), (1, 3));
    }

    #[tokio::test]
    async fn a_dropped_ticket_is_a_cancelled_request() {
        let log = Arc::new(Log::new(10, 100));
        let ticket = arrive(&log, b"");
        let waiting = log.wait(Duration::from_secs(5), |seen| {
            seen.iter().any(|seen| seen.cancelled_at().is_some())
        });
        let (done, ()) = tokio::join!(waiting, async { drop(ticket) });
        assert!(done);
    }
}
