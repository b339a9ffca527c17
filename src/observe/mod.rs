//! From a live exchange to a finished record, off the hot path.
//!
//! ```text
//!  pipeline ─► Recorder ──(end, once)──► Queue ─► worker thread ─► sinks, in the order listed in `sink`
//!              drop guard                bounded
//! ```

pub mod digest;
pub mod keep;
pub mod line;
pub mod queue;
pub mod recorder;
pub mod sink;

#[cfg(test)]
mod tests;
