//! Headers, bodies and arrival times: put away small, given back byte for byte.
//!
//! ```text
//!  request ─► pieces ─► met before? ──yes──► recipe ─┐
//!                          │ no                      ├─► content ─► zstd ─► bodies.content    stays while others need it
//!                          └─► Clean ─► segments ────┘
//!  answers, headers, frames ─► Clean ─► rest ─────────────► zstd ─► bodies.rest               goes with its exchange
//! ```
//!
//! What an exchange brings that no earlier one had are segments of its `content`; a conversation that is sent again each
//! turn is a recipe of a few bytes. Of a stream of events, what is said is content too: the next request says it again. `links` says who needs whose content. Everything is decoded again and compared before
//! it is written. The file is specified in `docs/capture-format.md`.

mod codec;
mod content;
mod dictionaries;
mod encode;
mod frames;
mod fresh;
mod hash;
mod headers;
mod index;
mod legs;
mod pieces;
mod read;
mod recipe;
mod recode;
mod remove;
mod repack;
mod requests;
mod rest;
mod rewrite;
pub mod seal;
mod shelf;
mod spread;
mod store;
mod train;
mod verify;
mod weave;
mod wire;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::AtomicU64;

pub use dictionaries::Slot;
pub use fresh::Fresh;
pub use read::{AttemptLegs, Legs, read};
pub use remove::{Removed, give_back, prune, prune_to_size};
pub(in crate::store) use remove::{prune_first, remove_rest, vacuum};
pub use rewrite::{Hide, Rewritten, rewrite, rewrite_with};
pub use shelf::Shelf;
pub use spread::Segments;
pub use store::Vault;
pub use train::{Trained, samples, train};
pub use verify::{Progress, Stats, Verified, stats, stats_of, verify, verify_with};
pub use wire::Bad;

/// Removes secrets from what is about to be stored. The same text always becomes the same text, so that what was equal
/// stays equal.
pub trait Clean: Send {
    /// `None`: nothing to hide.
    fn clean(&self, text: &[u8]) -> Option<Vec<u8>>;

    /// Which rules these are; later ones have higher numbers.
    fn version(&self) -> u32;
}

/// Hides nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClean;

impl Clean for NoClean {
    fn clean(&self, _text: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn version(&self) -> u32 {
        0
    }
}

/// Which blob of an exchange is sealed: it opens as no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Content,
    Rest,
    /// A dictionary; its number takes the place of the exchange's.
    Dictionary,
}

/// Encryption of blobs, after compression. What was sealed for one place opens at no other.
pub trait Seal: Send + Sync + fmt::Debug {
    fn seal(&self, plain: &[u8], seq: i64, part: Part) -> Vec<u8>;

    /// `None`: it was sealed with another key, for another place, or is damaged.
    fn open(&self, sealed: &[u8], seq: i64, part: Part) -> Option<Vec<u8>>;
}

/// What became of an exchange's bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// See [`crate::store::flags`].
    pub flags: i64,
    /// Bytes of all bodies, equal legs once.
    pub raw_bytes: u64,
    /// Bytes of the blobs they became.
    pub stored_bytes: u64,
    /// Which rules they were cleaned by.
    pub policy: Option<u32>,
}

/// A failure to read what is stored.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the bodies of exchange {seq} are {}", damage(*reason))]
    Damaged { seq: i64, reason: Bad },
}

/// Why a sealed blob is not opened where there is no key.
pub(super) const NO_KEY: Bad = Bad("it is encrypted, and no key was given");

/// What is merely locked is not damaged, and must not be taken for something to be removed.
fn damage(reason: Bad) -> String {
    if reason == NO_KEY {
        return "encrypted and no key is given; set capture.encryption_key in the file that --config names".to_owned();
    }
    format!("damaged: {reason}; `pinhole captures verify` lists all that are")
}

/// What the vault has done since the start; read by metrics.
#[derive(Debug, Default)]
pub struct VaultCounters {
    /// Bytes of bodies as they were on the wire, equal legs once.
    pub raw_bytes: AtomicU64,
    /// Bytes of the blobs they became.
    pub stored_bytes: AtomicU64,
    /// Segments that were met before, and their bytes.
    pub met: AtomicU64,
    pub met_bytes: AtomicU64,
    /// Segments that were new, and their bytes.
    pub new: AtomicU64,
    pub new_bytes: AtomicU64,
    /// Exchanges that did not come back as they were and were stored plainly.
    pub mismatches: AtomicU64,
}
