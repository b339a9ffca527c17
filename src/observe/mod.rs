//! From a live exchange to a finished record, off the hot path.
//!
//! ```text
//!  pipeline ─► Recorder ──(end, once)──► Queue ─► worker thread ─► sinks, in the order listed in `sink`
//!              drop guard                bounded
//! ```

pub mod awaited;
pub mod capture;
pub mod clean;
pub mod digest;
pub mod estimate;
pub mod keep;
pub mod line;
pub mod meter;
pub mod overflow;
pub mod pipe;
pub mod prices;
pub mod queue;
pub mod recorder;
pub mod rules;
pub mod scrub;
pub mod sessions;
pub mod signals;
pub mod sink;
pub mod span;

#[cfg(test)]
mod tests;
