//! Read-only connections: short transactions beside the writer, in this process or another.

use std::path::Path;

use rusqlite::Connection;

use crate::store::awaited::{self, Awaited};
use crate::store::db::{self, OpenError};

/// A read-only connection to the store of a data directory.
pub struct Reader {
    pub(super) connection: Connection,
}

/// A read that failed half-way.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store cannot be read: {0}; check the disk, or run `PRAGMA integrity_check` on it with sqlite3"
)]
pub struct ReadError(#[from] rusqlite::Error);

impl Reader {
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: db::open_reader(folder)? })
    }

    /// The newest answers whose usage is awaited, oldest first.
    pub fn awaited(&self) -> Result<Vec<Awaited>, ReadError> {
        Ok(awaited::load(&self.connection)?)
    }
}
