//! Asking the index: which exchanges brought a phrase, and how far it has come.

use std::path::Path;

use rusqlite::Connection;

use crate::store::search::sought::Sought;
use crate::store::search::{FOUND_MAX, file};

/// How far the index has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Everything up to this seq has been read.
    pub upto: i64,
    /// Below this seq, documents were dropped for want of room.
    pub dropped_below: i64,
    pub documents: u64,
    pub bytes: u64,
}

impl State {
    /// `None`: there is no index.
    pub fn of(folder: &Path) -> Option<Self> {
        read_state(&file::open_reader(folder)?).ok()
    }
}

pub(super) fn read_state(connection: &Connection) -> rusqlite::Result<State> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    let (upto, dropped_below, documents) = connection.query_row(
        "SELECT upto, dropped_below, (SELECT count(*) FROM documents) FROM progress",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?)),
    )?;
    Ok(State {
        upto,
        dropped_below,
        documents: u64::try_from(documents).unwrap_or_default(),
        bytes: u64::from(pages) * u64::from(number("page_size")?),
    })
}

/// The exchanges that brought these words, newest first, and how far the index has come; `None`: there is no index.
pub(in crate::store) fn look_up(folder: &Path, sought: &Sought) -> Option<(Vec<i64>, i64)> {
    let connection = file::open_reader(folder)?;
    let find = || -> rusqlite::Result<(Vec<i64>, i64)> {
        let state = read_state(&connection)?;
        let Some(phrase) = sought.phrase() else { return Ok((Vec::new(), state.upto)) };
        let sql = format!(
            "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid DESC LIMIT {FOUND_MAX}"
        );
        let mut statement = connection.prepare(&sql)?;
        let seqs = statement.query_map([phrase], |row| row.get(0))?;
        Ok((seqs.collect::<rusqlite::Result<_>>()?, state.upto))
    };
    match find() {
        Ok(found) => Some(found),
        Err(error) => {
            tracing::warn!(%error, "the index of texts cannot be read; delete search.db and it is made anew");
            None
        }
    }
}
