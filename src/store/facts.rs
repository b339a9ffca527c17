//! What belongs to the file as a whole: the key of its digests, what encryption needs to know.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::db::{self, OpenError};

/// The key under which this store's secrets are digested in placeholders.
const DIGEST_KEY: &str = "digest_key";

/// The store's own key of digests, made with the store. Makes the store where there is none.
pub fn digest_key(folder: &Path) -> Result<[u8; 32], OpenError> {
    let connection = db::open_writer(folder, db::BUSY)?;
    let failed = |error| OpenError::Sqlite { path: folder.join(db::FILE), error };
    made_once(&connection, DIGEST_KEY).map_err(failed)
}

/// Thirty-two random bytes that are drawn at the first call and stay.
pub(super) fn made_once(connection: &Connection, name: &str) -> rusqlite::Result<[u8; 32]> {
    let sql =
        "INSERT INTO facts (name, value) VALUES (?1, randomblob(32)) ON CONFLICT (name) DO NOTHING";
    connection.execute(sql, params![name])?;
    connection.query_row("SELECT value FROM facts WHERE name = ?1", params![name], |row| row.get(0))
}

/// What is known under the name.
pub(super) fn get(connection: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT value FROM facts WHERE name = ?1";
    connection.query_row(sql, params![name], |row| row.get(0)).optional()
}

pub(super) fn put(connection: &Connection, name: &str, value: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    connection.execute(sql, params![name, value]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_has_one_key_of_its_own() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = digest_key(one.path()).unwrap();
        assert_eq!(key, digest_key(one.path()).unwrap());
        assert_ne!(key, digest_key(other.path()).unwrap());
        let connection = db::open_writer(one.path(), db::BUSY).unwrap();
        assert_eq!(get(&connection, DIGEST_KEY).unwrap().as_deref(), Some(key.as_slice()));
        assert_eq!(get(&connection, "x").unwrap(), None);
        put(&connection, "x", b"1").unwrap();
        put(&connection, "x", b"2").unwrap();
        assert_eq!(get(&connection, "x").unwrap().as_deref(), Some(b"2".as_slice()));
    }
}
