//! One example per bucket of a histogram: the trace of an exchange that fell into it, the newest of them.
//!
//! The metrics library knows no exemplars, so they are kept beside it and joined when a scrape is written.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::id::ExchangeId;
use crate::base::trace::{SpanId, TraceId};

/// Whose exchange it was. Made only of sampled traces: the others lead nowhere.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub trace: TraceId,
    pub span: SpanId,
    pub exchange: ExchangeId,
    /// Wall clock of the exchange's end, in microseconds.
    pub wall_us: u64,
}

/// An observation with its origin.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar {
    pub origin: Origin,
    pub value: f64,
}

/// The exemplars of one histogram, by bucket; what is over all bounds comes last.
#[derive(Debug, Clone, Default)]
pub struct Slots(Arc<Mutex<Vec<Option<Exemplar>>>>);

impl Slots {
    /// Puts `exemplar` in the place of the one that was in its bucket.
    pub fn put(&self, bucket: usize, exemplar: Exemplar) {
        // Held for a store; the other side is a scrape that copies.
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() <= bucket {
            slots.resize(bucket + 1, None);
        }
        if let Some(slot) = slots.get_mut(bucket) {
            *slot = Some(exemplar);
        }
    }

    pub fn all(&self) -> Vec<Option<Exemplar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Exemplar {
    /// Limit: characters of all label names and values, by OpenMetrics 1.0.
    pub const LABELS_MAX: usize = 128;

    /// As OpenMetrics writes it: ` # {labels} value timestamp`.
    pub fn write(&self, out: &mut String) {
        let Origin { trace, span, exchange, wall_us } = self.origin;
        let mut buffer = [0; 36];
        let written = write!(
            out,
            " # {{trace_id=\"{trace}\",span_id=\"{span}\",exchange_id=\"{}\"}} {} {}.{:03}",
            exchange.encode(&mut buffer),
            self.value,
            wall_us / 1_000_000,
            wall_us % 1_000_000 / 1_000,
        );
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(value: f64) -> Exemplar {
        let origin = Origin {
            trace: TraceId([0xab; 16]),
            span: SpanId([0xcd; 8]),
            exchange: ExchangeId::new(1_763_625_600_123_456),
            wall_us: 1_763_625_600_123_456,
        };
        Exemplar { origin, value }
    }

    #[test]
    fn the_newest_of_a_bucket_stays() {
        let slots = Slots::default();
        slots.put(3, exemplar(1.0));
        slots.put(3, exemplar(2.0));
        slots.put(1, exemplar(0.5));
        let kept: Vec<Option<f64>> =
            slots.all().into_iter().map(|one| one.map(|one| one.value)).collect();
        assert_eq!(kept, [None, Some(0.5), None, Some(2.0)]);
    }

    #[test]
    fn its_labels_fit_what_openmetrics_allows() {
        let mut text = String::new();
        exemplar(0.015).write(&mut text);
        let (labels, rest) = text.split_once("} ").unwrap();
        assert_eq!(rest, "0.015 1763625600.123");
        let bare = labels.trim_start_matches(" # {").replace(['"', '=', ','], "");
        assert!(bare.len() <= Exemplar::LABELS_MAX, "{} in {text}", bare.len());
        assert!(text.contains(&"ab".repeat(16)) && text.contains(&"cd".repeat(8)), "{text}");
    }
}
