//! What the gateway tells of itself to machines that watch it. The only room that names the metrics library.
//!
//! ```text
//!  metrics (the table) ─► instruments (registry, budget, exemplars) ◄── record: one exchange ─► adds
//!                              │                                    ◄── watched: counters that others keep
//!                              └─► series (plain values) ─► exposition: OpenMetrics 1.0, or text 0.0.4
//! ```

pub mod buckets;
pub mod cardinality;
pub mod docs;
pub mod exemplar;
pub mod handles;
pub mod instruments;
pub mod metrics;
pub mod negotiate;
pub mod openmetrics;
pub mod record;
pub mod series;
pub mod states;
