//! The file `search.db`: opening, its version, and its end. Whatever is wrong with it, it is deleted and begun anew.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::db::BUSY;
use crate::store::erase;
use crate::store::search::{Limits, scan};
use crate::store::vault::vacuum;

/// The file inside the data directory.
pub const FILE: &str = "search.db";
/// To `vacuum`: as many pages as are free.
pub(super) const ALL_PAGES: u32 = 0;
/// Says that a SQLite file is ours: `PNHS`.
const APPLICATION_ID: i32 = 0x504E_4853;
/// A file of another version is made anew.
const VERSION: i32 = 2;

/// `whole` is 0 of a document that has only what other exchanges are put together of: its own bodies are gone.
const SCHEMA: &str = "
CREATE VIRTUAL TABLE texts USING fts5(
    words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TABLE documents (seq INTEGER NOT NULL PRIMARY KEY, whole INTEGER NOT NULL);
CREATE TABLE progress (upto INTEGER NOT NULL, upto_id BLOB, dropped_below INTEGER NOT NULL);
INSERT INTO progress VALUES (0, NULL, 0);
";

/// To write; the file is made where it is missing, and made anew where it is not what it should be.
pub(super) fn open_writer(folder: &Path) -> rusqlite::Result<Connection> {
    match open(folder) {
        Ok(connection) => Ok(connection),
        Err(error) => {
            tracing::info!(%error, "the index of texts is made anew");
            delete(folder).map_err(as_sqlite)?;
            open(folder)
        }
    }
}

fn open(folder: &Path) -> rusqlite::Result<Connection> {
    let path = folder.join(FILE);
    // SQLite gives the files beside it the mode of this one.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(as_sqlite)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    connection.busy_timeout(BUSY)?;
    let empty: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if empty == 0 {
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 0)?;
    if empty == 0 {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", VERSION)?;
    } else if !is_ours(&connection)? {
        return Err(rusqlite::Error::InvalidQuery);
    }
    Ok(connection)
}

/// To read; `None`: there is no index, or none that this program knows.
pub(super) fn open_reader(folder: &Path) -> Option<Connection> {
    let path = folder.join(FILE);
    if !path.exists() {
        return None;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).ok()?;
    connection.busy_timeout(BUSY).ok()?;
    is_ours(&connection).ok()?.then_some(connection)
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    Ok(pragma("application_id")? == APPLICATION_ID && pragma("user_version")? == VERSION)
}

/// Removes exchanges from the index, where there is one: their bodies are gone, and `text:` finds them no more. Of content
/// that others still need the words stay, for those others. The rest leaves the file with [`settle`].
pub fn forget(store: &Connection, folder: &Path, seqs: &[i64]) -> rusqlite::Result<()> {
    if seqs.is_empty() || !folder.join(FILE).exists() {
        return Ok(());
    }
    let mut connection = open_writer(folder)?;
    let (mut read, most) = (scan::reader(), Limits::default().document_max);
    // The lock first: the indexer may write between a look and what follows from it.
    let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for seq in remove(&moment, seqs)? {
        let words = read(store, seq, most).unwrap_or_default();
        add(&moment, (seq, &words), Whole::No)?;
    }
    remove(&moment, &unneeded(&moment, store)?)?;
    moment.commit()
}

/// What was kept for others, of whom the last is gone.
fn unneeded(index: &Connection, store: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut kept = index.prepare_cached("SELECT seq FROM documents WHERE whole = 0")?;
    let mut there =
        store.prepare_cached("SELECT 1 FROM bodies WHERE seq = ? AND content IS NOT NULL")?;
    let mut rows = kept.query([])?;
    let mut gone = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if !there.exists([seq])? {
            gone.push(seq);
        }
    }
    Ok(gone)
}

/// Whether a document is of all that an exchange brought, or of what others need of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

/// Adds a document that is not there yet, inside the caller's transaction.
pub(super) fn add(
    connection: &Connection,
    (seq, words): (i64, &str),
    whole: Whole,
) -> rusqlite::Result<()> {
    let known = "INSERT OR IGNORE INTO documents (seq, whole) VALUES (?, ?)";
    let whole = whole == Whole::Yes;
    if !words.is_empty() && connection.prepare_cached(known)?.execute((seq, whole))? > 0 {
        let sql = "INSERT INTO texts (rowid, words) VALUES (?, ?)";
        connection.prepare_cached(sql)?.execute((seq, words))?;
    }
    Ok(())
}

/// Takes the words of what was removed out of the file, which reads and writes all of the index once.
pub fn settle(folder: &Path) -> rusqlite::Result<()> {
    if !folder.join(FILE).exists() {
        return Ok(());
    }
    let connection = open_writer(folder)?;
    settle_index(&connection)
}

/// Takes the words of what was removed out of the file.
pub(super) fn settle_index(index: &Connection) -> rusqlite::Result<()> {
    index.execute("INSERT INTO texts (texts) VALUES ('optimize')", [])?;
    vacuum(index, ALL_PAGES)?;
    // Where somebody reads it, the next time does it.
    erase::empty_log(index, Duration::ZERO).map(drop)
}

/// Takes documents out, inside the caller's transaction; those that were there.
pub(super) fn remove(connection: &Connection, seqs: &[i64]) -> rusqlite::Result<Vec<i64>> {
    let mut known = connection.prepare_cached("DELETE FROM documents WHERE seq = ?")?;
    let mut words = connection.prepare_cached("DELETE FROM texts WHERE rowid = ?")?;
    let mut removed = Vec::new();
    for seq in seqs {
        if known.execute([seq])? > 0 {
            words.execute([seq])?;
            removed.push(*seq);
        }
    }
    Ok(removed)
}

/// Deletes the index with all that is in it; whoever indexes begins anew.
pub fn discard(folder: &Path) -> io::Result<()> {
    delete(folder)
}

fn delete(folder: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm", "-journal"] {
        let path: PathBuf = folder.join(format!("{FILE}{end}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn as_sqlite(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}
