//! A tree to a predicate in SQL with bound values, and to the places where rows can match.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::store::query::Query;
use crate::store::query::candidates::Candidates;
use crate::store::query::expr::Expr;
use crate::store::query::leaf;
use crate::store::query::part::{Context, Part, Texts};

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
