//! What compiling works with: a part of a query in SQL, and what all parts look things up in.

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::store::query::candidates::{self, Candidates};

/// Phrases that `text:` looks for, and the seqs that have them.
pub(in crate::store) type Texts = HashMap<String, Vec<i64>>;

/// A part of a query in SQL.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub sql: String,
    pub values: Vec<Value>,
    pub candidates: Candidates,
}

impl Part {
    pub(super) fn new(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values, candidates: Candidates::All }
    }

    pub(super) fn at(self, candidates: Candidates) -> Self {
        Self { candidates, ..self }
    }

    /// What nothing can fulfil.
    pub(super) fn nothing() -> Self {
        Self::new("0", Vec::new()).at(Candidates::Seqs(Vec::new()))
    }

    pub(super) fn or(self, other: Self) -> Self {
        let mut values = self.values;
        values.extend(other.values);
        Self {
            sql: format!("({} OR {})", self.sql, other.sql),
            values,
            candidates: self.candidates.or(other.candidates),
        }
    }
}

/// What the parts share.
pub(super) struct Context<'a> {
    pub connection: &'a Connection,
    pub texts: &'a Texts,
    /// What values a field of the skip index has, read once.
    known: RefCell<HashMap<i64, Option<Known>>>,
}

/// The texts that a word column can hold, with what stands in it for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub texts: Vec<(Value, String)>,
    /// There are blocks with words that are not listed.
    pub is_partial: bool,
}

impl<'a> Context<'a> {
    pub(super) fn new(connection: &'a Connection, texts: &'a Texts) -> Self {
        Self { connection, texts, known: RefCell::default() }
    }

    /// `None`: too many.
    pub(super) fn known(&self, zone: i64) -> rusqlite::Result<Option<Known>> {
        if let Some(known) = self.known.borrow().get(&zone) {
            return Ok(known.clone());
        }
        let known = match candidates::values(self.connection, zone)? {
            Some(values) => Some(self.named(values, zone)?),
            None => None,
        };
        self.known.borrow_mut().insert(zone, known.clone());
        Ok(known)
    }

    /// The numbers of the words that are this name, in any case.
    pub(super) fn words_of(&self, name: &str) -> rusqlite::Result<Vec<Value>> {
        let sql = "SELECT id FROM words WHERE lower(text) = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_map([name.to_ascii_lowercase()], |row| row.get(0))?.collect()
    }

    /// The numbers of the words that pass, of all there are.
    pub(super) fn words(&self, passes: &dyn Fn(&str) -> bool) -> rusqlite::Result<Vec<Value>> {
        let mut statement = self.connection.prepare_cached("SELECT id, text FROM words")?;
        let mut rows = statement.query([])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            if passes(row.get_ref(1)?.as_str().unwrap_or_default()) {
                ids.push(row.get(0)?);
            }
        }
        Ok(ids)
    }

    fn named(&self, values: Vec<Value>, zone: i64) -> rusqlite::Result<Known> {
        let sql = "SELECT text FROM words WHERE id = ?1";
        let mut text_of = self.connection.prepare_cached(sql)?;
        let partial = "SELECT 1 FROM zone_filters WHERE field = ? AND words LIMIT 1";
        let is_partial = self.connection.prepare_cached(partial)?.exists([zone])?;
        let mut known = Known { is_partial, ..Known::default() };
        for value in values {
            match value {
                Value::Integer(id) => match text_of.query_row([id], |row| row.get(0)) {
                    Ok(text) => known.texts.push((value, text)),
                    // A word that is gone; nothing can have it any more.
                    Err(rusqlite::Error::QueryReturnedNoRows) => {}
                    Err(error) => return Err(error),
                },
                Value::Text(ref text) => {
                    let text = text.clone();
                    known.texts.push((value, text));
                }
                Value::Blob(_) | Value::Null | Value::Real(_) => {}
            }
        }
        Ok(known)
    }
}
