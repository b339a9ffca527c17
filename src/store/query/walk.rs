//! From candidates to the seqs that match, in order, a page or a stretch at a time. Memory is bounded by the stretch.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::store::query::candidates::Candidates;
use crate::store::query::compile::Compiled;
use crate::store::zones::{BLOCK_LOG2, block_of};

/// Limit: seqs that are compared in one statement.
const SEQS_AT_ONCE: usize = 512;

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Newest,
    Oldest,
}

/// The seqs from `lowest` to `highest`, both included, that match, at most `limit` of them.
pub(super) fn walk(
    connection: &Connection,
    compiled: &Compiled,
    (lowest, highest): (i64, i64),
    order: Order,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let highest = highest.min(compiled.newest);
    let mut found = Vec::new();
    match &compiled.candidates {
        Candidates::All => {
            Stretches::new(connection, compiled, order)?
                .read(lowest, highest, limit, &mut found)?;
        }
        Candidates::Blocks(blocks) => {
            let mut stretches = Stretches::new(connection, compiled, order)?;
            let (mut low, mut high) = (lowest.max(0), highest);
            while found.len() < limit && low <= high {
                let run = match order {
                    Order::Newest => blocks.run_below(block_of(high)),
                    Order::Oldest => blocks.run_above(block_of(low)),
                };
                let Some((first, last)) = run else { break };
                let (from, to) = (first << BLOCK_LOG2, ((last + 1) << BLOCK_LOG2) - 1);
                stretches.read(from.max(low), to.min(high), limit, &mut found)?;
                match order {
                    Order::Newest => high = from - 1,
                    Order::Oldest => low = to + 1,
                }
            }
        }
        Candidates::Seqs(seqs) => {
            let inside = |seq: &&i64| (lowest..=highest).contains(*seq);
            let mut wanted: Vec<i64> = seqs.iter().filter(inside).copied().collect();
            if order == Order::Oldest {
                wanted.reverse();
            }
            for some in wanted.chunks(SEQS_AT_ONCE) {
                if found.len() >= limit {
                    break;
                }
                compare(connection, compiled, some, order, limit, &mut found)?;
            }
        }
    }
    Ok(found)
}

/// Reads stretches of the table with one prepared statement.
struct Stretches<'a> {
    statement: rusqlite::CachedStatement<'a>,
    values: &'a [Value],
}

impl<'a> Stretches<'a> {
    fn new(
        connection: &'a Connection,
        compiled: &'a Compiled,
        order: Order,
    ) -> rusqlite::Result<Self> {
        // In the order of the table: any other index would have to sort.
        let sql = format!(
            "SELECT seq FROM exchange_records NOT INDEXED WHERE seq BETWEEN ? AND ? AND ({}) ORDER BY seq {} LIMIT ?",
            compiled.sql,
            direction(order)
        );
        Ok(Self { statement: connection.prepare_cached(&sql)?, values: &compiled.values })
    }

    /// Adds to `found` until it holds `limit`.
    fn read(
        &mut self,
        lowest: i64,
        highest: i64,
        limit: usize,
        found: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let left = integer(limit.saturating_sub(found.len()));
        let ends = [Value::Integer(lowest), Value::Integer(highest)];
        let values = ends.iter().chain(self.values).chain(std::iter::once(&left));
        let mut rows = self.statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(())
    }
}

fn compare(
    connection: &Connection,
    compiled: &Compiled,
    seqs: &[i64],
    order: Order,
    limit: usize,
    found: &mut Vec<i64>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT seq FROM exchange_records NOT INDEXED WHERE seq IN (SELECT value FROM json_each(?)) AND ({}) \
         ORDER BY seq {} LIMIT ?",
        compiled.sql,
        direction(order)
    );
    let list = Value::Text(serde_json::json!(seqs).to_string());
    let left = integer(limit.saturating_sub(found.len()));
    let values = std::iter::once(&list).chain(&compiled.values).chain(std::iter::once(&left));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(())
}

fn direction(order: Order) -> &'static str {
    match order {
        Order::Newest => "DESC",
        Order::Oldest => "ASC",
    }
}

fn integer(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
