//! A tree to a predicate in SQL with bound values, and to the places where rows can match.

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::store::query::Query;
use crate::store::query::candidates::{self, Candidates};
use crate::store::query::expr::Expr;
use crate::store::query::leaf;

/// A query made ready for one store at one moment: names are resolved to the numbers they have there.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    /// Over a row of `exchange_records`. Never NULL decides: NULL counts as no.
    pub sql: String,
    pub values: Vec<Value>,
    pub candidates: Candidates,
    /// The newest seq there was; rows that come later may use numbers that were not known yet.
    pub newest: i64,
}

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

/// Compiles inside the caller's read transaction, so that rows and names are of one moment.
pub(super) fn compile(
    connection: &Connection,
    query: &Query,
    texts: &Texts,
) -> rusqlite::Result<Compiled> {
    let context = Context::new(connection, texts);
    let mut part = part(&context, &query.expr)?;
    if !query.replays {
        part.sql = format!("run_id IS NULL AND {}", part.sql);
    }
    let newest = connection
        .prepare_cached("SELECT ifnull(max(seq), 0) FROM exchange_records")?
        .query_row([], |row| row.get(0))?;
    Ok(Compiled { sql: part.sql, values: part.values, candidates: part.candidates, newest })
}

fn part(context: &Context<'_>, expr: &Expr) -> rusqlite::Result<Part> {
    match expr {
        Expr::Is(term) => leaf::part(context, term),
        Expr::Not(inner) => {
            let inner = part(context, inner)?;
            Ok(Part::new(format!("({}) IS NOT TRUE", inner.sql), inner.values))
        }
        Expr::All(parts) => join(context, parts, " AND ", "1", Candidates::and),
        Expr::Any(parts) => join(context, parts, " OR ", "0", Candidates::or),
    }
}

fn join(
    context: &Context<'_>,
    parts: &[Expr],
    word: &str,
    none: &str,
    merge: fn(Candidates, Candidates) -> Candidates,
) -> rusqlite::Result<Part> {
    let mut sql = Vec::with_capacity(parts.len());
    let mut values = Vec::new();
    let mut candidates = None;
    for expr in parts {
        let one = part(context, expr)?;
        sql.push(one.sql);
        values.extend(one.values);
        candidates = Some(match candidates {
            None => one.candidates,
            Some(before) => merge(before, one.candidates),
        });
    }
    let sql = if sql.is_empty() { none.to_owned() } else { format!("({})", sql.join(word)) };
    Ok(Part { sql, values, candidates: candidates.unwrap_or(Candidates::All) })
}
