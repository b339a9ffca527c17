//! An answer that is no stream, for a client whose stream was opened before it came: it is read here, and the client is
//! sent one event that says what it says.

use bytes::Bytes;

use crate::dialect;
use crate::neutral::kind::Dialect;

/// Limit: how much of a late error answer is put into the error event.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The beginning of such an answer.
#[derive(Debug, Default)]
pub struct Late {
    read: Vec<u8>,
}

impl Late {
    /// Takes a piece; true when there is enough.
    pub fn feed(&mut self, piece: &[u8]) -> bool {
        let room = ERROR_BYTES_MAX - self.read.len();
        self.read.extend_from_slice(&piece[..piece.len().min(room)]);
        self.read.len() == ERROR_BYTES_MAX
    }

    /// What the client is sent of it.
    pub fn event(&self, dialect: Dialect) -> Bytes {
        dialect::error_event(dialect, &self.read)
    }
}
