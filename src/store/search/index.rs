//! The deeds of the indexer, one short transaction each: new bodies in, removed bodies out, the size held.

use rusqlite::{Connection, OptionalExtension};

use crate::store::search::file::Whole;
use crate::store::search::{Limits, file, find};
use crate::store::vault::vacuum;

/// Exchanges read for one transaction.
pub(super) const BATCH: usize = 64;
/// Documents looked at together for whether their bodies are still there.
const CHECKED: i64 = 4_096;
/// Pages merged at a time, so that removed words leave the file.
const MERGED_PAGES: i64 = 200;

/// The newest seq with bodies in the store, of those beyond `upto`.
pub(super) fn waiting(store: &Connection, upto: i64) -> rusqlite::Result<Vec<i64>> {
    let sql = format!("SELECT seq FROM bodies WHERE seq > ? ORDER BY seq LIMIT {BATCH}");
    let mut statement = store.prepare_cached(&sql)?;
    statement.query_map([upto], |row| row.get(0))?.collect()
}

/// Where to go on; from the beginning when the store is another one than the index was made of.
pub(super) fn begin(store: &Connection, index: &mut Connection) -> rusqlite::Result<i64> {
    let (upto, id): (i64, Option<Vec<u8>>) =
        index.query_row("SELECT upto, upto_id FROM progress", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let newest: i64 =
        store
            .query_row("SELECT ifnull(max(seq), 0) FROM exchange_records", [], |row| row.get(0))?;
    let there: Option<Vec<u8>> = id_of(store, upto)?;
    let same = upto <= newest && (there.is_none() || id.is_none() || there == id);
    if same {
        return Ok(upto);
    }
    let moment = index.transaction()?;
    moment.execute("INSERT INTO texts (texts) VALUES ('delete-all')", [])?;
    moment.execute("DELETE FROM documents", [])?;
    moment.execute("UPDATE progress SET upto = 0, upto_id = NULL, dropped_below = 0", [])?;
    moment.commit()?;
    Ok(0)
}

fn id_of(store: &Connection, seq: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT id FROM exchange_records WHERE seq = ?";
    store.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()
}

/// Adds documents and notes how far that is.
pub(super) fn add(
    store: &Connection,
    index: &mut Connection,
    documents: &[(i64, String)],
    upto: i64,
) -> rusqlite::Result<()> {
    let id = id_of(store, upto)?;
    let moment = index.transaction()?;
    for (seq, text) in documents {
        file::add(&moment, (*seq, text), Whole::Yes)?;
    }
    moment.execute("UPDATE progress SET upto = ?, upto_id = ?", (upto, id))?;
    moment.commit()
}

/// Takes out documents whose bodies are gone, but for what others are put together of: looks at those from `from` on, and
/// says where to go on, or that it is through, and whether any went.
pub(super) fn tidy(
    store: &Connection,
    index: &mut Connection,
    read: &mut dyn FnMut(&Connection, i64) -> Option<String>,
    from: i64,
) -> rusqlite::Result<(Option<i64>, bool)> {
    let sql = "SELECT seq, whole FROM documents WHERE seq >= ? ORDER BY seq LIMIT ?";
    let documents: Vec<(i64, bool)> = index
        .prepare_cached(sql)?
        .query_map((from, CHECKED), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let Some((mut last, _)) = documents.last().copied() else { return Ok((None, false)) };
    let mut there = store
        .prepare_cached("SELECT rest IS NOT NULL, content IS NOT NULL FROM bodies WHERE seq = ?")?;
    let (mut gone, mut needed) = (Vec::new(), Vec::new());
    for (seq, whole) in documents {
        let kept = there.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match kept {
            Some((true, _)) => continue,
            Some((false, true)) if !whole => continue,
            Some((false, true)) => needed.push((seq, read(store, seq).unwrap_or_default())),
            _ => {}
        }
        gone.push(seq);
        if needed.len() >= BATCH {
            last = seq;
            break;
        }
    }
    if !gone.is_empty() {
        let moment = index.transaction()?;
        file::remove(&moment, &gone)?;
        for (seq, words) in &needed {
            file::add(&moment, (*seq, words), Whole::No)?;
        }
        merge(&moment)?;
        moment.commit()?;
    }
    Ok((Some(last + 1), !gone.is_empty()))
}

/// Drops the oldest documents while the file is too large.
pub(super) fn hold_size(index: &mut Connection, limits: &Limits) -> rusqlite::Result<()> {
    let state = find::read_state(index)?;
    if state.bytes <= limits.size_max || state.documents == 0 {
        return Ok(());
    }
    // A tenth at a time: each drop costs a merge.
    let share = i64::try_from(state.documents.div_ceil(10)).unwrap_or(i64::MAX);
    let oldest: Vec<i64> = index
        .prepare_cached("SELECT seq FROM documents ORDER BY seq LIMIT ?")?
        .query_map([share], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let moment = index.transaction()?;
    file::remove(&moment, &oldest)?;
    if let Some(last) = oldest.last() {
        moment.execute("UPDATE progress SET dropped_below = ?", [last + 1])?;
    }
    moment.execute("INSERT INTO texts (texts) VALUES ('optimize')", [])?;
    moment.commit()?;
    vacuum(index, file::ALL_PAGES)
}

fn merge(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT INTO texts (texts, rank) VALUES ('merge', ?)";
    connection.prepare_cached(sql)?.execute([MERGED_PAGES]).map(|_| ())
}
