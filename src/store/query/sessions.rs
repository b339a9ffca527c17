//! Sessions: those that have a matching exchange, the one with the newest match first, each added up.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::exchange::signal::Signals;
use crate::store::query::Query;
use crate::store::query::compile::{Compiled, compile};
use crate::store::query::expr::{Expr, Term, Test};
use crate::store::query::field::Field;
use crate::store::query::page::Page;
use crate::store::query::pattern::Pattern;
use crate::store::query::walk::{Order, walk};
use crate::store::reader::{ReadError, Reader};
use crate::store::stored::Listed;
use crate::store::words::spelled;

/// Matches that are looked at together for their sessions.
const STRETCH: usize = 2_048;
/// Limit: sessions of a page.
pub const SESSIONS_MAX: usize = 1_000;
/// Limit: models, agents, labels of a session that are named.
const NAMES_MAX: usize = 16;

/// One session, added up over all its exchanges, also those that the query did not ask for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    pub id: String,
    pub parent: Option<String>,
    /// The gateway found it by the messages; no client named it.
    pub inferred: bool,
    pub first_us: i64,
    /// When its last exchange ended.
    pub last_us: i64,
    pub exchanges: i64,
    /// Of them, those that are a conversation's: what a client asks beside it (titles, counts) is no chat.
    pub turns: i64,
    /// Of them, ended neither complete nor by the client's leaving.
    pub errors: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cost_nanousd: i64,
    pub models: Vec<String>,
    pub agents: Vec<String>,
    /// Addresses without the port.
    pub clients: Vec<String>,
    pub users: Vec<String>,
    /// What was found odd, and in how many of its exchanges.
    pub signals: BTreeMap<String, i64>,
    pub labels: Vec<String>,
    /// The place of its newest match: what paging goes on from.
    pub seq: i64,
}

impl Reader {
    /// A page of sessions; `before` is the `seq` of the last one of the page before. With `after`, those alone that have a
    /// match after that seq: what is new to whoever follows.
    pub fn sessions(&self, query: &Query, page: &Page) -> Result<Vec<Session>, ReadError> {
        let texts = self.texts(query)?;
        let moment = self.connection.unchecked_transaction()?;
        let compiled = compile(&moment, query, &texts)?;
        let newest = newest_matches(&moment, &compiled, page)?;
        let mut sessions = Vec::with_capacity(newest.len());
        for (session, seq) in newest {
            sessions.extend(add_up(&moment, session, seq, query.replays)?);
        }
        Ok(sessions)
    }

    /// The exchanges of a session, in their order, from after a seq on.
    pub fn of_session(
        &self,
        session: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Listed>, ReadError> {
        let test = Test::Like(Pattern::exact(session));
        let query = Query { expr: Expr::Is(Term { field: Field::Session, test }), replays: true };
        let page = Page { limit, before: None, after: Some(after.unwrap_or(0)) };
        self.list(&query, &page)
    }
}

/// Sessions by their newest match, and that match.
fn newest_matches(
    connection: &Connection,
    compiled: &Compiled,
    page: &Page,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let limit = page.limit.min(SESSIONS_MAX);
    let mut found: Vec<(i64, i64)> = Vec::new();
    let mut seen: HashSet<i64> = HashSet::new();
    let mut highest = page.before.map_or(i64::MAX, |before| before.saturating_sub(1));
    let lowest = page.after.map_or(i64::MIN, |after| after.saturating_add(1));
    let mut session_of =
        connection.prepare_cached("SELECT session FROM exchange_records WHERE seq = ?")?;
    while found.len() < limit {
        let seqs = walk(connection, compiled, (lowest, highest), Order::Newest, STRETCH)?;
        for seq in &seqs {
            let session: Option<i64> = session_of.query_row([seq], |row| row.get(0))?;
            let Some(session) = session.filter(|session| seen.insert(*session)) else { continue };
            // One with a newer match stood on an earlier page.
            if let Some(before) = page.before
                && matches_from(connection, compiled, session, before)?
            {
                continue;
            }
            found.push((session, *seq));
            if found.len() == limit {
                break;
            }
        }
        match seqs.last() {
            Some(last) if seqs.len() == STRETCH => highest = last - 1,
            _ => break,
        }
    }
    Ok(found)
}

fn matches_from(
    connection: &Connection,
    compiled: &Compiled,
    session: i64,
    from: i64,
) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT 1 FROM exchange_records INDEXED BY exchanges_of_session \
         WHERE session = ? AND seq >= ? AND ({}) LIMIT 1",
        compiled.sql
    );
    let ends = [Value::Integer(session), Value::Integer(from)];
    let mut statement = connection.prepare_cached(&sql)?;
    statement.exists(params_from_iter(ends.iter().chain(&compiled.values)))
}

fn add_up(
    connection: &Connection,
    session: i64,
    seq: i64,
    replays: bool,
) -> rusqlite::Result<Option<Session>> {
    let (outcome, operation) = (spelled("outcome"), spelled("operation"));
    let sql = format!(
        "SELECT min(started_at_us), max(started_at_us + duration_us), count(*), \
         total({outcome} NOT IN ('complete', 'client_cancelled')), total(input_tokens), total(output_tokens), \
         total(cache_read_tokens), total(cost_nanousd), total({operation} = 'chat') \
         FROM exchange_records WHERE session = ?1 AND (?2 OR run_id IS NULL)"
    );
    let whole = |number: f64| number as i64;
    let mut sums = connection.prepare_cached(&sql)?.query_row((session, replays), |row| {
        Ok(Session {
            first_us: row.get::<_, Option<i64>>(0)?.unwrap_or_default(),
            last_us: row.get::<_, Option<i64>>(1)?.unwrap_or_default(),
            exchanges: row.get(2)?,
            errors: whole(row.get(3)?),
            input_tokens: whole(row.get(4)?),
            output_tokens: whole(row.get(5)?),
            cache_read_tokens: whole(row.get(6)?),
            cost_nanousd: whole(row.get(7)?),
            turns: whole(row.get(8)?),
            seq,
            ..Session::default()
        })
    })?;
    let sql = "SELECT s.name, p.name, s.inferred FROM sessions AS s LEFT JOIN sessions AS p ON p.id = s.parent \
               WHERE s.id = ?";
    let named = connection.prepare_cached(sql)?.query_row([session], |row| {
        sums.id = row.get(0)?;
        sums.parent = row.get(1)?;
        sums.inferred = row.get(2)?;
        Ok(())
    });
    match named {
        Ok(()) => {}
        // The file was changed by another hand.
        Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(None),
        Err(error) => return Err(error),
    }
    sums.models = names(connection, session, "ifnull(model, model_requested)")?;
    sums.agents = names(connection, session, "agent")?;
    sums.clients = names(connection, session, "client_ip")?;
    sums.users = names(connection, session, "user_label")?;
    sums.signals = signals(connection, session, replays)?;
    let sql = "SELECT DISTINCT name FROM labels WHERE session = ? ORDER BY name";
    let mut labels = connection.prepare_cached(sql)?;
    let labels = labels.query_map([&sums.id], |row| row.get(0))?;
    sums.labels = labels.take(NAMES_MAX).collect::<rusqlite::Result<_>>()?;
    Ok(Some(sums))
}

/// Each signal that an exchange of the session has, with how many have it.
fn signals(
    connection: &Connection,
    session: i64,
    replays: bool,
) -> rusqlite::Result<BTreeMap<String, i64>> {
    let sql = "SELECT signals, count(*) FROM exchange_records \
               WHERE session = ?1 AND signals <> 0 AND (?2 OR run_id IS NULL) GROUP BY signals";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((session, replays))?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let bits = Signals::of_bits(row.get(0)?);
        let times: i64 = row.get(1)?;
        for signal in bits.iter() {
            *found.entry(signal.label().to_owned()).or_default() += times;
        }
    }
    Ok(found)
}

/// The texts of a word column over a session, the most frequent first.
fn names(connection: &Connection, session: i64, column: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!(
        "SELECT {} AS name FROM (SELECT {column} AS word, count(*) AS times FROM exchange_records \
         WHERE session = ? GROUP BY word) WHERE name IS NOT NULL GROUP BY name ORDER BY sum(times) DESC, name LIMIT {NAMES_MAX}",
        spelled("word")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([session], |row| row.get(0))?;
    found.collect()
}
