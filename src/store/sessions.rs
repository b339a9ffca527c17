//! Sessions by name: each has a number, the session it came from, and whether a client named it or the gateway found it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

/// Limit: sessions held in memory, twice: those used since the last change of generations, and those before.
const HELD_MAX: usize = 8_192;

#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    has_parent: bool,
    inferred: bool,
}

/// The writer's memory of `sessions`; cleared after a rollback.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    young: HashMap<Box<str>, Known>,
    old: HashMap<Box<str>, Known>,
}

impl Sessions {
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// The number of a session, made where it is new, inside the caller's transaction. A parent that becomes known later is
    /// added; a session that a client names is no longer inferred.
    pub(super) fn id(
        &mut self,
        connection: &Connection,
        name: &str,
        parent: Option<&str>,
        inferred: bool,
    ) -> rusqlite::Result<i64> {
        let known = match self.recall(name) {
            Some(known) => known,
            None => find_or_make(connection, name, inferred)?,
        };
        let mut now = known;
        if let (Some(parent), false) = (parent.filter(|parent| *parent != name), known.has_parent) {
            let of = self.id(connection, parent, None, inferred)?;
            let sql = "UPDATE sessions SET parent = ?2 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute((known.id, of))?;
            now.has_parent = true;
        }
        if known.inferred && !inferred {
            let sql = "UPDATE sessions SET inferred = 0 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute([known.id])?;
            now.inferred = false;
        }
        self.hold(name, now);
        Ok(now.id)
    }

    fn recall(&mut self, name: &str) -> Option<Known> {
        self.young.get(name).copied().or_else(|| self.old.remove(name))
    }

    fn hold(&mut self, name: &str, known: Known) {
        if let Some(place) = self.young.get_mut(name) {
            *place = known;
            return;
        }
        if self.young.len() >= HELD_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name.into(), known);
    }
}

fn find_or_make(connection: &Connection, name: &str, inferred: bool) -> rusqlite::Result<Known> {
    let sql = "SELECT id, parent IS NOT NULL, inferred FROM sessions WHERE name = ?";
    let found = connection.prepare_cached(sql)?.query_row([name], |row| {
        Ok(Known { id: row.get(0)?, has_parent: row.get(1)?, inferred: row.get(2)? })
    });
    if let Some(known) = found.optional()? {
        return Ok(known);
    }
    let sql = "INSERT INTO sessions (name, inferred) VALUES (?, ?)";
    let id = connection.prepare_cached(sql)?.insert((name, inferred))?;
    Ok(Known { id, has_parent: false, inferred })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_keep_their_numbers_and_learn() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema/0003_records.sql")).unwrap();
        let mut sessions = Sessions::default();
        let child = sessions.id(&connection, "child", None, true).unwrap();
        assert_eq!(sessions.id(&connection, "child", Some("whole"), true).unwrap(), child);
        sessions.clear();
        assert_eq!(sessions.id(&connection, "child", Some("other"), true).unwrap(), child);
        let whole = sessions.id(&connection, "whole", Some("whole"), false).unwrap();
        let row = |id: i64| {
            let sql = "SELECT name, parent, inferred FROM sessions WHERE id = ?";
            let get = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            connection.query_row::<(String, Option<i64>, bool), _, _>(sql, [id], get).unwrap()
        };
        assert_eq!(row(child), ("child".to_owned(), Some(whole), true), "the first parent stays");
        assert_eq!(row(whole), ("whole".to_owned(), None, false), "a client named it");
        for n in 0..3 * HELD_MAX {
            sessions.id(&connection, &format!("s{n}"), None, false).unwrap();
        }
        assert!(sessions.young.len() + sessions.old.len() <= 2 * HELD_MAX);
        assert_eq!(sessions.id(&connection, "child", None, true).unwrap(), child);
    }
}
