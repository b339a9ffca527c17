//! What the gateway tells of its traffic to machines that watch it: metrics, and spans by OTLP. The only room that names
//! the libraries for both.
//!
//! ```text
//!  metrics (the table) ─► instruments (registry, budget, exemplars) ◄── record: one exchange ─► adds
//!                              │                                    ◄── watched: counters that others keep
//!                              └─► series (plain values) ─► exposition: OpenMetrics 1.0, or text 0.0.4
//!
//!  spans (plain data) ─► emit (through tracing) ─► otlp (counted exporters) ─► a collector
//! ```

pub mod buckets;
mod call;
pub mod cardinality;
mod content;
pub mod counters;
pub mod docs;
pub mod emit;
pub mod exemplar;
pub mod handles;
pub mod instruments;
pub mod metrics;
pub mod model;
pub mod negotiate;
pub mod openmetrics;
pub mod otlp;
pub mod otlp_metrics;
pub mod record;
pub mod semconv;
pub mod series;
pub mod settings;
pub mod spans;
pub mod states;
pub mod variables;

#[cfg(test)]
mod tests;
