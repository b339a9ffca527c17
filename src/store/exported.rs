//! How far exports went: retention that asks for an export first removes nothing beyond.

use std::path::Path;

use rusqlite::{OptionalExtension, TransactionBehavior};

use crate::store::db::{self, OpenError};
use crate::store::reader::{ReadError, Reader};

/// The fact that holds the seq of the newest exchange that has been exported with all before it; an integer.
pub(super) const EXPORTED_UPTO: &str = "exported_upto";

/// Why the mark could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(
        "how far the export went could not be noted: {0}; check the disk and the rights on the data directory"
    )]
    Write(#[from] rusqlite::Error),
}

/// Notes that everything up to `seq` has been exported. The mark never goes back.
pub fn mark(folder: &Path, seq: i64) -> Result<(), MarkError> {
    let mut connection = db::open_writer(folder, db::BUSY)?;
    let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    moment.execute(
        "INSERT INTO facts (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        (EXPORTED_UPTO, seq),
    )?;
    Ok(moment.commit()?)
}

impl Reader {
    /// The seq up to which everything has been exported; `None`: nothing has.
    pub fn exported_upto(&self) -> Result<Option<i64>, ReadError> {
        let sql = "SELECT value FROM facts WHERE name = ?";
        let mut asked = self.connection.prepare_cached(sql)?;
        Ok(asked.query_row([EXPORTED_UPTO], |row| row.get(0)).optional()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::inbox::Limits;
    use crate::store::writer::Writer;

    #[test]
    fn the_mark_goes_on_and_never_back() {
        let folder = tempfile::tempdir().unwrap();
        Writer::start(folder.path(), Limits::default()).unwrap().stop();
        let upto = || Reader::open(folder.path()).unwrap().exported_upto().unwrap();
        assert_eq!(upto(), None);
        for (seq, expected) in [(5, 5), (9, 9), (7, 9)] {
            mark(folder.path(), seq).unwrap();
            assert_eq!(upto(), Some(expected));
        }
    }
}
