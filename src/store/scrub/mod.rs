//! Applies newer rules of redaction to what is stored already, and looks afterwards whether anything is left.
//!
//! ```text
//!  bodies, headers ─► vault::rewrite ─┐                                                  ┌─► every body decoded and looked at
//!  texts of records ─► texts          ├─► free pages given back, log emptied ─► verify ──┤
//!  search.db ─► deleted, made anew ───┘                                                  └─► files read as bytes
//! ```
//!
//! In many short transactions, so that a gateway goes on writing.

mod look;
mod texts;
mod traces;

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use crate::store::db::{self, OpenError};
use crate::store::reader::{ReadError, Reader};
use crate::store::vault::{self, Shelf, VaultError, seal};
use crate::store::zones::Field;
use crate::store::{erase, flags, rezone, search};

pub use traces::Trace;

/// Exchanges between two reports of progress.
const STEP: usize = 256;
/// Limit: times that exchanges which came meanwhile are looked at too.
const ROUNDS_MAX: usize = 3;
/// Limit: exchanges and files with something left that are named; more are counted.
const NAMED_MAX: usize = 100;

/// How a body came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape<'a> {
    /// The coding as its headers name it.
    pub coding: Option<&'a str>,
    /// A stream of events.
    pub events: bool,
}

/// The rules that are applied.
pub trait Policy {
    /// What stands on each row that was looked at.
    fn version(&self) -> u32;

    /// A part of a body, a header's value, a text; `None`: nothing to hide.
    fn part(&self, text: &[u8]) -> Option<Vec<u8>>;

    /// A body as a whole; `None`: nothing to hide.
    fn whole(&self, body: &[u8], shape: Shape<'_>) -> Option<Vec<u8>>;

    /// What was found so far. Held in memory alone.
    fn values(&self) -> BTreeSet<Vec<u8>>;
}

/// What was done, and whether it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scrubbed {
    /// Exchanges that were looked at.
    pub exchanges: u64,
    /// Of the store's exchanges, those that changed; with shared content more than were asked for.
    pub changed: u64,
    /// Texts of records, sessions, labels, roll-ups that changed.
    pub texts: u64,
    /// Different values that were replaced.
    pub values: u64,
    /// Of them, those that are too short to be looked for as bytes.
    pub short: u64,
    /// Exchanges that could not be decoded, so that nobody can tell what is in them.
    pub unreadable: Vec<i64>,
    /// Exchanges in which something is still found.
    pub left: Vec<i64>,
    /// Files in which a value still stands.
    pub traces: Vec<Trace>,
}

impl Scrubbed {
    /// Nothing is left of what was found.
    pub fn is_clean(&self) -> bool {
        self.unreadable.is_empty() && self.left.is_empty() && self.traces.is_empty()
    }
}

/// Why a scrub stopped.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the scrub stopped: {0}; what is replaced stays replaced, run it again for the rest")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{path} cannot be read to look for what is left: {error}; the scrub itself is done")]
    File { path: String, error: std::io::Error },
    #[error("search.db cannot be deleted: {0}; remove it by hand, it is made anew")]
    Search(std::io::Error),
}

/// Which exchanges, and how.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub seqs: Vec<i64>,
    /// Those too that come meanwhile, after this one.
    pub newer_than: Option<i64>,
}

/// Those of them that stand at other rules than these.
pub fn not_at(reader: &Reader, seqs: &[i64], version: u32) -> Result<Vec<i64>, ReadError> {
    let sql = "SELECT 1 FROM exchange_records WHERE seq = ? AND policy = ?";
    let mut is_at = reader.connection.prepare_cached(sql)?;
    let mut others = Vec::new();
    for seq in seqs {
        if !is_at.exists((seq, version))? {
            others.push(*seq);
        }
    }
    Ok(others)
}

/// Says what would change, and changes nothing.
pub fn preview(
    folder: &Path,
    asked: &Asked,
    policy: &dyn Policy,
    mut on: impl FnMut(u64),
) -> Result<Scrubbed, ScrubError> {
    let reader = Reader::open(folder)?;
    let mut done = Scrubbed { exchanges: asked.seqs.len() as u64, ..Scrubbed::default() };
    let looked = look::exchanges(&reader, &asked.seqs, policy, &mut on)?;
    done.changed = looked.found.len() as u64;
    done.unreadable = looked.unreadable;
    done.texts = texts::count(&reader.connection, policy)?;
    done.count_values(policy);
    Ok(done)
}

/// Replaces what the policy finds in these exchanges, in the content they share with others, and in all texts of records;
/// then looks whether any of it is left.
pub fn scrub(
    folder: &Path,
    asked: &Asked,
    policy: &dyn Policy,
    mut on: impl FnMut(u64),
) -> Result<Scrubbed, ScrubError> {
    drop(db::open_reader(folder)?);
    let mut connection = db::open_writer(folder, db::BUSY)?;
    connection.pragma_update(None, "secure_delete", true)?;
    let mut done = Scrubbed::default();
    let before = redacted(&connection)?;
    let mut looked = asked.seqs.clone();
    let mut todo = asked.seqs.clone();
    for _ in 0..ROUNDS_MAX {
        bodies(&mut connection, &todo, policy, &mut |more| on(done.exchanges + more))?;
        done.exchanges += todo.len() as u64;
        let texts = texts::replace(&mut connection, policy)?;
        done.texts += texts;
        let newest = looked.last().copied().max(asked.newer_than);
        todo = newer(&connection, asked.newer_than.and(newest))?;
        looked.extend(&todo);
        if todo.is_empty() {
            break;
        }
    }
    if done.texts > 0 {
        // Filters are of texts as they were.
        rezone::each_block(&mut connection)?;
    }
    let after = redacted(&connection)?;
    done.changed = after.difference(&before).count() as u64;
    done.count_values(policy);
    if done.values > 0 || done.changed > 0 {
        search::discard(folder).map_err(ScrubError::Search)?;
        while vault::give_back(&connection)? {}
    }
    erase::empty_log_or_tell(&connection)?;
    verify(folder, &connection, &looked, policy, &mut done)?;
    let clean: BTreeSet<i64> = done.left.iter().chain(&done.unreadable).copied().collect();
    looked.retain(|seq| !clean.contains(seq));
    mark(&mut connection, &looked, policy.version())?;
    erase::empty_log_or_tell(&connection)?;
    Ok(done)
}

impl Scrubbed {
    fn count_values(&mut self, policy: &dyn Policy) {
        let values = policy.values();
        self.values = values.len() as u64;
        self.short = values.iter().filter(|value| !traces::is_searched(value)).count() as u64;
    }
}

fn bodies(
    connection: &mut Connection,
    seqs: &[i64],
    policy: &dyn Policy,
    on: &mut dyn FnMut(u64),
) -> Result<(), ScrubError> {
    let mut shelf = Shelf::new(seal::in_force());
    let part = |text: &[u8]| policy.part(text);
    let whole = |body: &[u8]| {
        let clean = policy.whole(body, Shape { coding: None, events: is_events(body) });
        policy.part(clean.as_deref().unwrap_or(body)).or(clean)
    };
    for (n, some) in (1..).zip(seqs.chunks(STEP)) {
        vault::rewrite_with(connection, &mut shelf, some, (&part, &whole))?;
        on((n * STEP).min(seqs.len()) as u64);
    }
    Ok(())
}

/// A stream of events begins with a field or a comment.
fn is_events(body: &[u8]) -> bool {
    ["data:", "event:", "id:", "retry:", ":"].iter().any(|field| body.starts_with(field.as_bytes()))
}

/// Those that ended since.
fn newer(connection: &Connection, seq: Option<i64>) -> rusqlite::Result<Vec<i64>> {
    let Some(seq) = seq else { return Ok(Vec::new()) };
    let sql = "SELECT seq FROM exchange_records WHERE seq > ? ORDER BY seq";
    connection.prepare_cached(sql)?.query_map([seq], |row| row.get(0))?.collect()
}

fn redacted(connection: &Connection) -> rusqlite::Result<BTreeSet<i64>> {
    let sql = "SELECT seq FROM exchange_records WHERE flags & ? <> 0";
    connection.prepare(sql)?.query_map([flags::REDACTED], |row| row.get(0))?.collect()
}

/// Decodes everything once more, and reads the files as bytes. Where a value stands in a page between what is used, the
/// file is written anew.
fn verify(
    folder: &Path,
    connection: &Connection,
    seqs: &[i64],
    policy: &dyn Policy,
    done: &mut Scrubbed,
) -> Result<(), ScrubError> {
    // The values first: what is found from here on is found again.
    let values = policy.values();
    let reader = Reader::open(folder)?;
    let looked = look::exchanges(&reader, seqs, policy, &mut |_| ())?;
    drop(reader);
    done.left = looked.found;
    done.unreadable = looked.unreadable;
    done.traces = traces::find(folder, &values)?;
    if done.traces.iter().any(|trace| trace.file.starts_with(db::FILE)) {
        // Where others hold the file too long, what is left is told.
        if let Err(error) = erase::write_anew(connection) {
            tracing::info!(%error, "the store's file was not written anew");
        }
        erase::empty_log_or_tell(connection)?;
        done.traces = traces::find(folder, &values)?;
    }
    done.left.truncate(NAMED_MAX);
    done.unreadable.truncate(NAMED_MAX);
    Ok(())
}

/// Notes the policy on what was looked at, and where the flags that were set are found by filters.
fn mark(connection: &mut Connection, seqs: &[i64], version: u32) -> rusqlite::Result<()> {
    for some in seqs.chunks(STEP) {
        let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut update =
            moment.prepare_cached("UPDATE exchange_records SET policy = ? WHERE seq = ?")?;
        for seq in some {
            update.execute((version, seq))?;
        }
        drop(update);
        moment.commit()?;
    }
    let sql = "INSERT OR IGNORE INTO zones (field, value, block) \
               SELECT DISTINCT ?1, ?2, seq >> 10 FROM exchange_records WHERE flags & ?2 <> 0";
    connection.execute(sql, (Field::Flag.number(), flags::REDACTED)).map(drop)
}
