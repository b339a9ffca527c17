//! Reads everything back, and counts what there is.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::Serialize;

use crate::store::stored::{Body, Leg};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::wire::Bad;
use crate::store::vault::{VaultError, seal};

/// Limit: damaged exchanges that are named; more are counted.
const NAMED_MAX: usize = 1_000;
/// Exchanges between two reports of progress.
const STEP: u64 = 256;

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub all: u64,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub exchanges: u64,
    pub bodies: u64,
    /// Of all bodies, put together.
    pub bytes: u64,
    pub damaged: u64,
    /// The first of them: the number of the exchange, and what is wrong.
    pub named: Vec<(i64, String)>,
}

/// Decodes every body and compares its digest, and checks that whatever is needed is held by a link.
pub fn verify(connection: &Connection, on: impl FnMut(Progress)) -> Result<Verified, VaultError> {
    verify_with(connection, &mut Shelf::new(seal::in_force()), None, on)
}

/// As [`verify`], with a shelf that has the key; of all, or only of these exchanges.
pub fn verify_with(
    connection: &Connection,
    shelf: &mut Shelf,
    only: Option<&BTreeSet<i64>>,
    mut on: impl FnMut(Progress),
) -> Result<Verified, VaultError> {
    // One look at the whole: what is written meanwhile is of the next one.
    let alone = connection.is_autocommit();
    let _moment = alone.then(|| connection.unchecked_transaction()).transpose()?;
    let all =
        connection.query_row("SELECT count(*) FROM bodies", [], |row| row.get::<_, i64>(0))?;
    let all = only.map_or(all.cast_unsigned(), |only| only.len() as u64);
    let links = links(connection)?;
    let mut verified = Verified::default();
    let mut statement =
        connection.prepare("SELECT seq, content IS NOT NULL FROM bodies ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, content): (i64, bool) = (row.get(0)?, row.get(1)?);
        if only.is_some_and(|only| !only.contains(&seq)) {
            continue;
        }
        let none = BTreeSet::new();
        let needs = links.get(&seq).unwrap_or(&none);
        match exchange(connection, shelf, (seq, content), needs, &mut verified) {
            Err(VaultError::Damaged { reason, .. }) => {
                verified.damaged += 1;
                if verified.named.len() < NAMED_MAX {
                    verified.named.push((seq, reason.to_string()));
                }
            }
            done => done?,
        }
        verified.exchanges += 1;
        if verified.exchanges % STEP == 0 {
            on(Progress { done: verified.exchanges, all });
        }
    }
    on(Progress { done: verified.exchanges, all });
    Ok(verified)
}

/// Who needs whom.
fn links(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, BTreeSet<i64>>> {
    let mut links: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT needs, seq FROM links")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        links.entry(row.get(1)?).or_default().insert(row.get(0)?);
    }
    Ok(links)
}

fn exchange(
    connection: &Connection,
    shelf: &mut Shelf,
    (seq, content): (i64, bool),
    needs: &BTreeSet<i64>,
    verified: &mut Verified,
) -> Result<(), VaultError> {
    let damaged = |reason| VaultError::Damaged { seq, reason };
    if content {
        let mut held = BTreeSet::from([seq]);
        for other in needs {
            held.insert(*other);
            held.extend(shelf.used(connection, *other)?);
        }
        if !shelf.used(connection, seq)?.is_subset(&held) {
            return Err(damaged(Bad("content that is needed is held by no link")));
        }
    } else if !needs.is_empty() {
        return Err(damaged(Bad("a link holds content for nothing")));
    }
    let Some(legs) = shelf.read(connection, seq)? else { return Ok(()) };
    let attempts = legs.attempts.iter().flat_map(|attempt| [&attempt.request, &attempt.response]);
    let mut count = |leg: &Leg| {
        if let Body::Whole(whole) = &leg.body {
            verified.bodies += 1;
            verified.bytes += whole.bytes.len() as u64;
        }
    };
    [&legs.request, &legs.response].into_iter().chain(attempts).for_each(&mut count);
    Ok(())
}

/// What the bodies of a store take.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Exchanges with bodies or headers.
    pub exchanges: u64,
    /// Bytes of all bodies as they were on the wire.
    pub raw_bytes: u64,
    /// Blobs of segments, and what is each exchange's own.
    pub content_bytes: u64,
    pub rest_bytes: u64,
    /// Contents whose exchange is gone and that others need.
    pub kept_for_others: u64,
    pub dictionaries: u64,
    pub dictionary_bytes: u64,
    pub links: u64,
    /// Bytes of the pages of each table and index.
    pub pages: BTreeMap<String, u64>,
    /// Bytes of pages that hold nothing.
    pub free_bytes: u64,
    /// Raw bytes for each byte of blobs.
    pub ratio: f64,
}

/// Counts what is kept of these exchanges, given as a JSON array of their numbers.
pub fn stats_of(connection: &Connection, list: &str) -> rusqlite::Result<Stats> {
    let sql = "SELECT count(rest), coalesce(sum(raw_bytes), 0), coalesce(sum(length(content)), 0),
                      coalesce(sum(length(rest)), 0) FROM bodies
               WHERE seq IN (SELECT value FROM json_each(?1))";
    let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let mut stats = connection.query_row(sql, [list], |row| {
        Ok(Stats {
            exchanges: number(row, 0)?,
            raw_bytes: number(row, 1)?,
            content_bytes: number(row, 2)?,
            rest_bytes: number(row, 3)?,
            ..Stats::default()
        })
    })?;
    stats.ratio = ratio(stats.raw_bytes, stats.content_bytes + stats.rest_bytes);
    Ok(stats)
}

fn ratio(raw: u64, stored: u64) -> f64 {
    if stored == 0 { 1.0 } else { raw as f64 / stored as f64 }
}

/// Counts what there is; reads the whole file's tree.
pub fn stats(connection: &Connection) -> rusqlite::Result<Stats> {
    let sql = "SELECT count(rest), coalesce(sum(raw_bytes), 0), coalesce(sum(length(content)), 0),
                      coalesce(sum(length(rest)), 0), count(*) - count(rest) FROM bodies";
    let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let mut stats = connection.query_row(sql, [], |row| {
        Ok(Stats {
            exchanges: number(row, 0)?,
            raw_bytes: number(row, 1)?,
            content_bytes: number(row, 2)?,
            rest_bytes: number(row, 3)?,
            kept_for_others: number(row, 4)?,
            ..Stats::default()
        })
    })?;
    let sql = "SELECT count(*), coalesce(sum(length(bytes)), 0) FROM dictionaries";
    (stats.dictionaries, stats.dictionary_bytes) =
        connection.query_row(sql, [], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    stats.links = connection.query_row("SELECT count(*) FROM links", [], |row| number(row, 0))?;
    let mut statement = connection.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")?;
    stats.pages = statement
        .query_map([], |row| Ok((row.get(0)?, number(row, 1)?)))?
        .collect::<Result<_, _>>()?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| number(row, 0));
    stats.free_bytes = pragma("freelist_count")? * pragma("page_size")?;
    let stored = stats.content_bytes + stats.rest_bytes + stats.dictionary_bytes;
    stats.ratio = ratio(stats.raw_bytes, stored);
    Ok(stats)
}
