//! What became of spans and exports, and the bounds of what waits for one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Limit: bytes of spans waiting, whatever their number.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What became of spans and exports. Shared with `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Spans that a collector took.
    pub spans_exported: AtomicU64,
    /// Spans that found the queue full.
    pub spans_dropped_full: AtomicU64,
    /// Spans of exports that failed.
    pub spans_dropped_failed: AtomicU64,
    /// Exports of spans that a collector took.
    pub trace_exports: AtomicU64,
    /// Exports of spans that failed, after retries.
    pub trace_exports_failed: AtomicU64,
    /// Exports of metrics that a collector took.
    pub metric_exports: AtomicU64,
    /// Exports of metrics that failed.
    pub metric_exports_failed: AtomicU64,
    /// Spans waiting, and about how many bytes they take.
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    /// Limit: set once, before any span.
    queue_max: AtomicUsize,
}

impl Counters {
    pub(crate) fn new(queue_max: usize) -> Self {
        Self { queue_max: AtomicUsize::new(queue_max), ..Self::default() }
    }

    /// Spans that wait for an export.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a place in the queue; false, and counted, when there is none.
    pub(crate) fn admit(&self, bytes: usize) -> bool {
        let full = self.waiting.load(Ordering::Relaxed) >= self.queue_max.load(Ordering::Relaxed)
            || self.waiting_bytes.load(Ordering::Relaxed) + bytes > QUEUE_BYTES_MAX;
        if full {
            self.spans_dropped_full.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    pub(crate) fn leave(&self, spans: usize, bytes: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(counters: &Counters) -> u64 {
        counters.spans_dropped_full.load(Ordering::Relaxed)
    }

    #[test]
    fn no_more_spans_wait_than_the_queue_holds() {
        let counters = Counters::new(2);
        assert!(counters.admit(10) && counters.admit(10));
        assert!(!counters.admit(10));
        assert_eq!((counters.waiting(), dropped(&counters)), (2, 1));
        counters.leave(1, 10);
        assert!(counters.admit(10), "there is a place again");
        assert_eq!((counters.waiting(), dropped(&counters)), (2, 1));
    }

    #[test]
    fn few_large_spans_fill_it_too() {
        let counters = Counters::new(1_000);
        assert!(counters.admit(QUEUE_BYTES_MAX - 1));
        assert!(!counters.admit(2));
        assert!(counters.admit(1), "to the byte");
        counters.leave(2, QUEUE_BYTES_MAX);
        assert_eq!((counters.waiting(), dropped(&counters)), (0, 1));
        assert!(!counters.admit(QUEUE_BYTES_MAX + 1), "larger than all");
    }
}
