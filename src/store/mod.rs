//! Everything on disk, and the only room that knows SQLite.
//!
//! ```text
//!  observe ─► Entry ─► Handle::put ─► queue ─► writer thread ─► records, zones, bodies, roll-ups   one transaction a batch
//!             pure      never waits   bounded  owns the write connection
//!                                                                 ▲
//!  cli, admin ─────────────────► Reader (read-only connections) ──┘
//! ```

pub mod adopt;
mod apart;
pub mod awaited;
pub mod backup;
pub mod capture;
pub mod db;
mod detail;
pub mod digest_key;
pub mod entry;
mod erase;
pub mod exchange;
pub mod expire;
pub mod exported;
pub mod facts;
mod fault;
mod filters;
pub mod flags;
pub mod in_flight;
pub mod inbox;
mod insert;
pub mod labels;
pub mod late;
pub mod listing;
pub mod lock;
mod memory;
pub mod pins;
pub mod query;
pub mod reader;
pub mod recent;
pub mod reprice;
mod retention;
mod rezone;
pub mod rollup;
pub mod row;
pub mod scrub;
pub mod search;
mod sessions;
pub mod sketch;
pub mod stored;
pub mod text;
mod top;
mod upgrade;
pub mod upkeep;
pub mod usage;
pub mod vault;
mod window;
mod words;
mod work;
pub mod writer;
pub mod zones;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64};

/// What became of records, since the start. Written by the writer and its handles, read by metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Committed.
    pub stored: AtomicU64,
    /// Found the queue full, and were not written.
    pub dropped: AtomicU64,
    /// Could not be written: refused by the database, or the disk failed more often than was tried.
    pub failed: AtomicU64,
    /// Waiting for the writer now.
    pub queued: AtomicU64,
    /// Bytes of headers and bodies among them.
    pub queued_bytes: AtomicU64,
    /// Exchanges whose bodies found no room in the queue; their records were written.
    pub bodies_shed_queue: AtomicU64,
    /// Exchanges whose bodies found no room on the disk; their records were written.
    pub bodies_shed_disk: AtomicU64,
    /// Exchanges whose bodies could not be stored, for what is in them; their records were written.
    pub bodies_failed: AtomicU64,
    /// Exchanges of which a body was longer than what is kept of one.
    pub bodies_cut: AtomicU64,
    /// Pieces of their answers that no table had a row for: when they came is not known.
    pub frames_untabled: AtomicU64,
    /// Bytes of bodies as they were on the wire, and what they take on disk.
    pub raw_bytes: AtomicU64,
    pub stored_bytes: AtomicU64,
    /// Transactions that had to be tried again.
    pub retried: AtomicU64,
    /// The last transaction failed.
    pub failing: AtomicBool,
    /// The disk was full: bodies are not tried for a while.
    pub without_bodies: AtomicBool,
}
