//! Answers whose usage comes later: which ones are awaited, in memory for the digest and on disk over a restart.

use std::collections::{HashMap, VecDeque};

use rusqlite::Connection;

/// Limit: answers awaited at once; past it the oldest is given up.
pub const AWAITED_MAX: u32 = 65_536;

/// A provider's id of an answer that was begun and whose usage is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    pub provider: String,
    pub response_id: String,
    /// The exchange that began it.
    pub exchange: [u8; 16],
    pub noted_at_us: i64,
}

type Name = (String, String);

/// The answers awaited, in memory. Whoever changes it tells the writer, too.
#[derive(Debug, Default)]
pub struct Table {
    known: HashMap<Name, Awaited>,
    /// By age; may hold names that have been taken since.
    ages: VecDeque<Name>,
}

impl Table {
    /// Of what a store holds, oldest first.
    pub fn of(stored: Vec<Awaited>) -> Self {
        let mut table = Self::default();
        for awaited in stored {
            table.insert(awaited);
        }
        table
    }

    /// Awaits an answer; one that is awaited already stays as it was.
    pub fn insert(&mut self, awaited: Awaited) -> bool {
        let name = (awaited.provider.clone(), awaited.response_id.clone());
        if self.known.contains_key(&name) {
            return false;
        }
        while self.ages.len() >= AWAITED_MAX as usize {
            if let Some(oldest) = self.ages.pop_front() {
                self.known.remove(&oldest);
            }
        }
        self.ages.push_back(name.clone());
        self.known.insert(name, awaited);
        true
    }

    /// The usage has come: true once, and only for an answer that is awaited.
    pub fn take(&mut self, provider: &str, response_id: &str) -> Option<Awaited> {
        self.known.remove(&(provider.to_owned(), response_id.to_owned()))
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// A change on its way to the disk.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Insert(Awaited),
    Take { provider: String, response_id: String },
}

pub(super) fn write(connection: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    for change in changes {
        match change {
            Change::Insert(awaited) => {
                let sql = "INSERT OR IGNORE INTO awaited (provider, response_id, exchange_id, noted_at_us) VALUES (?, ?, ?, ?)";
                connection.prepare_cached(sql)?.execute((
                    &awaited.provider,
                    &awaited.response_id,
                    &awaited.exchange,
                    awaited.noted_at_us,
                ))?;
            }
            Change::Take { provider, response_id } => {
                let sql = "DELETE FROM awaited WHERE provider = ? AND response_id = ?";
                connection.prepare_cached(sql)?.execute((provider, response_id))?;
            }
        }
    }
    Ok(())
}

/// The newest of them, oldest first.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<Awaited>> {
    let sql = "SELECT provider, response_id, exchange_id, noted_at_us FROM awaited ORDER BY noted_at_us DESC LIMIT ?";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([AWAITED_MAX], |row| {
        Ok(Awaited {
            provider: row.get(0)?,
            response_id: row.get(1)?,
            exchange: row.get(2)?,
            noted_at_us: row.get(3)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(n: usize) -> Awaited {
        Awaited {
            provider: "openai".to_owned(),
            response_id: format!("resp_{n}"),
            exchange: [7; 16],
            noted_at_us: i64::try_from(n).unwrap(),
        }
    }

    #[test]
    fn usage_is_taken_once_and_the_oldest_is_given_up() {
        let mut table = Table::of((0..AWAITED_MAX as usize).map(awaited).collect());
        assert!(!table.insert(awaited(5)), "known already");
        assert_eq!(table.take("openai", "resp_5"), Some(awaited(5)));
        assert_eq!(table.take("openai", "resp_5"), None, "once");
        assert_eq!(table.take("other", "resp_6"), None, "another provider's");
        assert!(table.insert(awaited(AWAITED_MAX as usize)));
        assert_eq!(table.take("openai", "resp_0"), None, "given up");
        assert!(table.len() < AWAITED_MAX as usize && !table.is_empty());
        assert!(table.take("openai", &format!("resp_{AWAITED_MAX}")).is_some());
    }
}
