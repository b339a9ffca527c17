//! Answers whose usage comes later, on disk: so that a restart between the call that began the work and the one that brings
//! its usage loses no tokens. Which ones are awaited now is the observer's to know.

use std::collections::VecDeque;

use rusqlite::Connection;

/// Limit: answers kept; of more, the oldest are forgotten at the next start.
pub const AWAITED_MAX: u32 = 65_536;

/// An answer that was begun and whose usage is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The provider's id of it.
    pub response_id: String,
    pub provider: String,
    pub model: Option<String>,
    pub model_label: String,
    /// Billed by the price of batches.
    pub batch: bool,
    pub noted_at_us: i64,
}

/// A change on its way to the disk.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Insert(Awaited),
    /// By the provider's id.
    Take(String),
}

pub(super) fn write(connection: &Connection, changes: &VecDeque<Change>) -> rusqlite::Result<()> {
    for change in changes {
        match change {
            Change::Insert(awaited) => {
                let sql = "INSERT OR IGNORE INTO awaited \
                           (response_id, provider, model, model_label, batch, noted_at_us) VALUES (?, ?, ?, ?, ?, ?)";
                connection.prepare_cached(sql)?.execute((
                    &awaited.response_id,
                    &awaited.provider,
                    &awaited.model,
                    &awaited.model_label,
                    awaited.batch,
                    awaited.noted_at_us,
                ))?;
            }
            Change::Take(response_id) => {
                let sql = "DELETE FROM awaited WHERE response_id = ?";
                connection.prepare_cached(sql)?.execute([response_id])?;
            }
        }
    }
    Ok(())
}

/// The newest of them, oldest first.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<Awaited>> {
    let sql = "SELECT response_id, provider, model, model_label, batch, noted_at_us FROM awaited \
               ORDER BY noted_at_us DESC LIMIT ?";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([AWAITED_MAX], |row| {
        Ok(Awaited {
            response_id: row.get(0)?,
            provider: row.get(1)?,
            model: row.get(2)?,
            model_label: row.get(3)?,
            batch: row.get(4)?,
            noted_at_us: row.get(5)?,
        })
    })?;
    let mut newest = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    newest.reverse();
    Ok(newest)
}

/// Forgets what is older than the newest [`AWAITED_MAX`].
pub(super) fn prune(connection: &Connection) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM awaited WHERE noted_at_us < \
               (SELECT noted_at_us FROM awaited ORDER BY noted_at_us DESC LIMIT 1 OFFSET ?)";
    connection.execute(sql, [AWAITED_MAX - 1])
}
