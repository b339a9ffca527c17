//! What belongs to the file as a whole: the key of its digests, what encryption needs to know.

use rusqlite::{Connection, OptionalExtension as _, params};

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
