//! A stream that was opened before its answer came: what its client was sent meanwhile.
//!
//! Two hold it: whoever sends, and the exchange, which takes all of it in as soon as there is an answer, or when it ends
//! without one. Both are polled by one task, so the lock is never waited for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;

use crate::exchange::frames::TABLE_MAX;

/// What went out before the answer came.
#[derive(Debug, Default)]
pub struct Opened(Mutex<Sent>);

/// A head, then comments.
#[derive(Debug, Default)]
pub struct Sent {
    /// `None`: it was not opened.
    pub head: Option<HeaderMap>,
    /// Limit: as many as a table has rows; a provider's `first_byte` timeout comes long before.
    pub pieces: Vec<(Instant, Bytes)>,
}

impl Opened {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The head went out, with status 200.
    pub fn open(&self, head: HeaderMap) {
        self.lock().head = Some(head);
    }

    /// A piece of the body went out.
    pub fn sent(&self, at: Instant, piece: Bytes) {
        let mut sent = self.lock();
        if sent.pieces.len() < TABLE_MAX {
            sent.pieces.push((at, piece));
        }
    }

    /// All that went out; `None` when it was not opened, or taken before.
    pub fn take(&self) -> Option<(HeaderMap, Vec<(Instant, Bytes)>)> {
        let mut sent = self.lock();
        let head = sent.head.take()?;
        Some((head, std::mem::take(&mut sent.pieces)))
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
