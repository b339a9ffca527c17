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
    /// There are blocks whose texts are not listed.
    pub any: bool,
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
            Some(values) => Some(self.named(values)?),
            None => None,
        };
        self.known.borrow_mut().insert(zone, known.clone());
        Ok(known)
    }

    fn named(&self, values: Vec<Value>) -> rusqlite::Result<Known> {
        let sql = "SELECT text FROM words WHERE id = ?1";
        let mut text_of = self.connection.prepare_cached(sql)?;
        let mut known = Known::default();
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
                Value::Blob(_) | Value::Null | Value::Real(_) => known.any = true,
            }
        }
        Ok(known)
    }
}
