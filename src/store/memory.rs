//! What the writer remembers of the file from one transaction to the next, and how it notices that others changed it.

use rusqlite::Connection;

use crate::base::id;
use crate::store::facts;
use crate::store::sessions::Sessions;
use crate::store::words::Words;
use crate::store::zones::Zones;

/// The fact that holds the greatest number a deleted record had, so that none is given twice.
const SEQ_FLOOR: &str = "seq_floor";
/// The fact that changes when words and sessions are deleted, so that no writer uses numbers that are gone.
pub(super) const GENERATION: &str = "words_generation";

/// What the writer remembers of the file, so as not to ask for it an exchange. All of it can be read again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub words: Words,
    pub sessions: Sessions,
    pub zones: Zones,
    /// What `PRAGMA data_version` said: another one means that somebody else wrote.
    data_version: i64,
    generation: Vec<u8>,
    /// The number of the newest record or body.
    newest: i64,
    /// Used for one row's attempts after another's.
    pub blob: Vec<u8>,
}

impl Memory {
    /// After a rollback, or with another connection.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.sessions.clear();
        self.zones.clear();
        self.data_version = 0;
    }

    /// After this connection has deleted records: what is known is looked at anew.
    pub(super) fn doubt(&mut self) {
        self.data_version = 0;
    }

    /// At the beginning of a transaction that holds the write lock: looks whether others have written since.
    pub(super) fn begin(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut version = connection.prepare_cached("PRAGMA data_version")?;
        let version: i64 = version.query_row([], |row| row.get(0))?;
        if version != self.data_version {
            self.zones.clear();
            let generation = facts::get(connection, GENERATION)?.unwrap_or_default();
            if generation != self.generation {
                self.words.clear();
                self.sessions.clear();
                self.generation = generation;
            }
            self.data_version = version;
        }
        let newest = "SELECT max(coalesce((SELECT max(seq) FROM exchange_records), 0), \
                      coalesce((SELECT max(seq) FROM bodies), 0), \
                      coalesce((SELECT value FROM facts WHERE name = ?), 0))";
        self.newest =
            connection.prepare_cached(newest)?.query_row([SEQ_FLOOR], |row| row.get(0))?;
        Ok(())
    }

    /// The number of the next record.
    pub(super) fn next(&mut self) -> i64 {
        self.newest += 1;
        self.newest
    }
}

/// Notes that records up to `seq` were there, before they are deleted.
pub(super) fn keep_floor(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2) \
               ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)";
    connection.prepare_cached(sql)?.execute((SEQ_FLOOR, seq)).map(|_| ())
}

/// With the last record go the words and sessions that only records referred to.
pub(super) fn forget_words(connection: &Connection) -> rusqlite::Result<()> {
    let any = "SELECT 1 FROM exchange_records LIMIT 1";
    if connection.prepare_cached(any)?.exists([])? {
        return Ok(());
    }
    connection.execute_batch(
        "DELETE FROM words; DELETE FROM sessions; DELETE FROM zones; DELETE FROM zone_filters",
    )?;
    facts::put(connection, GENERATION, &id::next_random().to_le_bytes())
}
