//! Full text, apart from the store: `search.db` holds which words stand in what each exchange brought, and no texts. It can be
//! deleted at any time and is made anew from the bodies.
//!
//! ```text
//!  bodies ─► what is new in each ─► words ─► search.db      a thread of its own, yields to the writer, capped in size
//!                                               ▲
//!  text:"…" ────────────────────────────────────┘   without it: the newest bodies are read, slowly
//! ```
//!
//! A text that is sent again each turn stands in the index once, at the exchange that first brought it; `spread.rs` goes on
//! from there to every exchange whose messages have it.

mod file;
mod find;
mod index;
mod scan;
mod sought;
mod spread;
mod thread;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use file::{FILE, discard, forget, settle};
pub use find::State;
pub(super) use find::look_up;
pub(super) use scan::scan;
pub(super) use sought::Sought;
pub(super) use spread::spread;
pub use thread::{Busy, Indexer};

/// What the index may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Limit: bytes of the file (`capture.search_size`); past it the oldest exchanges are dropped from the index.
    pub size_max: u64,
    /// Limit: bytes of the words of one exchange.
    pub document_max: usize,
    /// How often it is looked for new bodies.
    pub every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size_max: 1 << 30, document_max: 64 * 1024, every: Duration::from_millis(500) }
    }
}

/// Limit: bodies that are read where there is no index.
pub const SCANNED_MAX: usize = 2_000;
/// Limit: exchanges that one text is found in, the newest.
pub const FOUND_MAX: usize = 100_000;
/// Limit: exchanges that are looked at for whether they send again what another brought.
pub const SPREAD_MAX: usize = 200_000;
