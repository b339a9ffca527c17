//! Dictionaries for compression: those of the program, and those trained on a store's own content.

use rusqlite::{Connection, OptionalExtension};

use crate::store::capture::Kind;
use crate::store::vault::codec::NO_DICTIONARY;

/// Numbers from here on are those of dictionaries trained on a store's own content.
pub(super) const TRAINED_MIN: i64 = 1_000;

/// The dictionary for segments of requests.
pub(super) const CONTENT: i64 = NO_DICTIONARY;

/// The dictionary for headers and answers.
pub(super) fn of_rest(_kind: Kind) -> i64 {
    NO_DICTIONARY
}

/// The bytes of the dictionary `id`; none of no dictionary.
pub(super) fn bytes(connection: &Connection, id: i64) -> Option<Vec<u8>> {
    if id == NO_DICTIONARY {
        return Some(Vec::new());
    }
    if id < TRAINED_MIN {
        return None;
    }
    let sql = "SELECT bytes FROM dictionaries WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql).ok()?;
    statement.query_row([id], |row| row.get(0)).optional().ok().flatten()
}
