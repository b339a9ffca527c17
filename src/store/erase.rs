//! Deleting so that nothing of it is left on the disk: pages are overwritten, the log is emptied, the file is written anew.

use std::time::Duration;

use rusqlite::Connection;

use crate::base::clock;

/// Between two tries to empty the log, which a reader may hold.
const AGAIN: Duration = Duration::from_millis(20);
/// Limit: how long a reader is waited for who holds on to the log.
pub(super) const LOG_WAIT: Duration = Duration::from_secs(5);

/// What `work` deletes on this connection is overwritten with zeros.
pub(super) fn securely<T, E: From<rusqlite::Error>>(
    connection: &mut Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E> {
    let before: i64 = connection.pragma_query_value(None, "secure_delete", |row| row.get(0))?;
    connection.pragma_update(None, "secure_delete", true)?;
    let done = work(connection);
    connection.pragma_update(None, "secure_delete", before)?;
    done
}

/// Brings the log into the file and makes it empty. False: others have held on to it for as long as `wait`; what was deleted
/// may stand in it until they end.
pub(super) fn empty_log(connection: &Connection, wait: Duration) -> rusqlite::Result<bool> {
    let began = clock::now();
    loop {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if is_busy == 0 {
            return Ok(true);
        }
        if clock::now().saturating_duration_since(began) >= wait {
            return Ok(false);
        }
        std::thread::sleep(AGAIN);
    }
}

/// As [`empty_log`], and says so when that is not to be had.
pub(super) fn empty_log_or_tell(connection: &Connection) -> rusqlite::Result<bool> {
    let is_empty = empty_log(connection, LOG_WAIT)?;
    if !is_empty {
        tracing::warn!(
            "what was removed may stand in pinhole.db-wal until those who read the store end; then do it again"
        );
    }
    Ok(is_empty)
}

/// Writes the whole file anew. The copy is made in a file, because it may be larger than the memory.
pub(super) fn write_anew(connection: &Connection) -> rusqlite::Result<()> {
    let before: i64 = connection.pragma_query_value(None, "temp_store", |row| row.get(0))?;
    connection.pragma_update(None, "temp_store", "file")?;
    let done = connection.execute_batch("VACUUM");
    connection.pragma_update(None, "temp_store", before)?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db;

    fn pragma(connection: &Connection, name: &str) -> i64 {
        connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    #[test]
    fn settings_hold_for_the_work_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = db::open_writer(folder.path(), db::BUSY).unwrap();
        let before = ["secure_delete", "temp_store"].map(|name| pragma(&connection, name));
        let within = securely(&mut connection, |connection| {
            Ok::<_, rusqlite::Error>(pragma(connection, "secure_delete"))
        });
        assert_eq!(within.unwrap(), 1);
        write_anew(&connection).unwrap();
        let after = ["secure_delete", "temp_store"].map(|name| pragma(&connection, name));
        assert_eq!(before, after);
    }

    #[test]
    fn a_reader_who_holds_on_to_the_log_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let connection = db::open_writer(folder.path(), Duration::ZERO).unwrap();
        let reader = db::open_reader(folder.path()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM words").unwrap();
        connection.execute("INSERT INTO words (text) VALUES ('a')", []).unwrap();
        assert!(!empty_log(&connection, Duration::ZERO).unwrap());
        reader.execute_batch("COMMIT").unwrap();
        assert!(empty_log(&connection, Duration::ZERO).unwrap());
        let log = std::fs::metadata(folder.path().join("pinhole.db-wal")).unwrap();
        assert_eq!(log.len(), 0);
    }
}
