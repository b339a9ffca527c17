//! Metrics as plain values: what a scrape, or any other exporter, reads. Knows no library.

use crate::telemetry::exemplar::Exemplar;
use crate::telemetry::metrics::Kind;

/// One metric with all its series.
#[derive(Debug, Clone)]
pub struct Family {
    /// As in `docs/telemetry.md`, `_total` included.
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub points: Vec<Point>,
}

/// The value of one set of labels.
#[derive(Debug, Clone)]
pub struct Point {
    /// In the order of the declaration.
    pub labels: Vec<(String, String)>,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    Distribution(Distribution),
}

/// What a histogram holds.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    /// (upper bound, observations up to it), infinity left out.
    pub buckets: Vec<(f64, u64)>,
    pub sum: f64,
    pub count: u64,
    /// By bucket, infinity last; may be shorter than `buckets`.
    pub exemplars: Vec<Option<Exemplar>>,
}

impl Family {
    /// Time series that it takes in a scrape.
    pub fn series(&self) -> usize {
        self.points.len() * self.kind.width()
    }
}
