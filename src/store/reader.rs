//! Read-only connections: short transactions beside the writer, in this process or another.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::store::awaited::{self, Awaited};
use crate::store::db::{self, OpenError};
use crate::store::vault::{Seal, Shelf, seal};

/// A read-only connection to the store of a data directory.
pub struct Reader {
    pub(super) connection: Connection,
    /// What was unpacked lately: the turns of a conversation share most of their content.
    pub(super) shelf: RefCell<Shelf>,
}

/// A read that failed half-way.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(
        "the store cannot be read: {0}; check the disk, or run `PRAGMA integrity_check` on it with sqlite3"
    )]
    Sqlite(#[from] rusqlite::Error),
    #[error(
        "text: looks into bodies, and those of this store are encrypted and no key is given; set \
         capture.encryption_key in the file that --config names"
    )]
    NoKey,
}

impl ReadError {
    /// As SQLite's, for what walks through rows.
    pub(super) fn into_inner(self) -> rusqlite::Error {
        match self {
            Self::Sqlite(error) => error,
            Self::NoKey => rusqlite::Error::ToSqlConversionFailure(Box::new(self)),
        }
    }
}

impl Reader {
    /// With the key that is in force in this process, if any.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_sealed(folder, seal::in_force())
    }

    /// With the key that bodies and headers are encrypted with.
    pub fn open_sealed(folder: &Path, seal: Option<Arc<dyn Seal>>) -> Result<Self, OpenError> {
        let connection = db::open_reader(folder)?;
        Ok(Self { connection, shelf: RefCell::new(Shelf::new(seal)) })
    }

    /// The newest answers whose usage is awaited, oldest first.
    pub fn awaited(&self) -> Result<Vec<Awaited>, ReadError> {
        Ok(awaited::load(&self.connection)?)
    }
}
