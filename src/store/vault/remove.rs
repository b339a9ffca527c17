//! Removes bodies. What is an exchange's own goes at once; its content goes when nothing is put together of it any more, and
//! then what it was put together of itself may go too.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::base::clock;
use crate::store::vault::shelf::Shelf;
use crate::store::vault::store::count_removal;
use crate::store::vault::{VaultError, seal};
use crate::store::{erase, flags};

/// Limit: how long one transaction gathers; its commit comes on top.
const HOLD: Duration = Duration::from_millis(8);
/// Pages given back to the file system in one step.
const PAGES_STEP: u32 = 256;
/// Exchanges removed at a time until a store is small enough.
const OLDEST: i64 = 256;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Exchanges whose bodies are gone.
    pub exchanges: u64,
    /// Contents that nothing needed any more.
    pub contents: u64,
    /// Bytes of the blobs.
    pub bytes: u64,
}

/// Removes the bodies of these exchanges, in short transactions; between two, the file is free for as long as it was held.
/// What goes is overwritten, in the file; the log is the caller's to empty.
pub fn prune(connection: &mut Connection, seqs: &[i64]) -> Result<Removed, VaultError> {
    // Without the key, what an encrypted content needs is told by the links as well, only slower.
    let mut shelf = Shelf::new(seal::in_force());
    let mut removed = Removed::default();
    erase::securely(connection, |connection| {
        let mut left = seqs;
        while !left.is_empty() {
            let began = clock::now();
            let done = prune_some(connection, left, &mut shelf, &mut removed)?;
            left = left.get(done..).unwrap_or_default();
            if !left.is_empty() {
                std::thread::sleep(clock::now().saturating_duration_since(began));
            }
        }
        Ok(removed)
    })
}

/// As [`prune`], in one transaction: as many of the first as it has time for, at least one; how many.
pub(in crate::store) fn prune_first(
    connection: &mut Connection,
    seqs: &[i64],
) -> Result<usize, VaultError> {
    let (mut shelf, mut removed) = (Shelf::new(seal::in_force()), Removed::default());
    erase::securely(connection, |connection| prune_some(connection, seqs, &mut shelf, &mut removed))
}

fn prune_some(
    connection: &mut Connection,
    seqs: &[i64],
    shelf: &mut Shelf,
    removed: &mut Removed,
) -> Result<usize, VaultError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let began = clock::now();
    let (contents, mut done) = (removed.contents, 0);
    for seq in seqs {
        if done > 0 && clock::now().saturating_duration_since(began) >= HOLD {
            break;
        }
        remove(&transaction, *seq, shelf, removed)?;
        done += 1;
    }
    if removed.contents > contents {
        count_removal(&transaction)?;
        forget_trained(&transaction)?;
    }
    transaction.commit()?;
    Ok(done)
}

/// With the last of the bodies goes whatever may be left beside them.
pub(in crate::store) fn remove_rest(connection: &mut Connection) -> Result<bool, VaultError> {
    let any = "SELECT EXISTS (SELECT 1 FROM bodies) OR EXISTS (SELECT 1 FROM links)
               OR EXISTS (SELECT 1 FROM dictionaries)";
    if !connection.query_row(any, [], |row| row.get(0))? {
        return Ok(false);
    }
    erase::securely(connection, |connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        count_removal(&transaction)?;
        let sql = "DELETE FROM bodies; DELETE FROM links; DELETE FROM dictionaries";
        transaction.execute_batch(sql)?;
        transaction.commit()?;
        Ok(true)
    })
}

/// Removes the oldest bodies that are not pinned until the file has at most `bytes_max` bytes in use.
pub fn prune_to_size(connection: &mut Connection, bytes_max: u64) -> Result<Removed, VaultError> {
    let mut sum = Removed::default();
    let mut after = 0;
    while used_bytes(connection)? > bytes_max {
        let sql = "SELECT b.seq FROM bodies b LEFT JOIN exchange_records r ON r.seq = b.seq
                   WHERE b.seq > ?1 AND b.rest IS NOT NULL AND coalesce(r.flags, 0) & ?2 = 0
                   ORDER BY b.seq LIMIT ?3";
        let seqs: Vec<i64> = connection
            .prepare_cached(sql)?
            .query_map([after, flags::PINNED, OLDEST], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let Some(last) = seqs.last() else { break };
        after = *last;
        let removed = prune(connection, &seqs)?;
        sum.exchanges += removed.exchanges;
        sum.contents += removed.contents;
        sum.bytes += removed.bytes;
    }
    Ok(sum)
}

/// Gives free pages back to the file system, one short transaction; whether there is more to give. Only a file that was
/// made with `auto_vacuum = incremental` can.
pub fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    let free = |connection: &Connection| {
        connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))
    };
    let before = free(connection)?;
    if before == 0 {
        return Ok(false);
    }
    vacuum(connection, PAGES_STEP)?;
    let left = free(connection)?;
    Ok(left > 0 && left < before)
}

/// Gives so many pages back. The statement has a row for each, and each has to be asked for.
pub(in crate::store) fn vacuum(connection: &Connection, pages: u32) -> rusqlite::Result<()> {
    let mut giving = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = giving.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Bytes of the file's pages that hold something.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).cast_unsigned())
}

/// Removes one exchange's own part, and its content where nothing needs it.
fn remove(
    transaction: &Transaction<'_>,
    seq: i64,
    shelf: &mut Shelf,
    removed: &mut Removed,
) -> Result<(), VaultError> {
    let sql = "SELECT length(rest) FROM bodies WHERE seq = ?1 AND rest IS NOT NULL";
    let length: Option<i64> =
        transaction.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    let Some(length) = length else { return Ok(()) };
    let sql = "UPDATE bodies SET rest = NULL, rest_dictionary = NULL, raw_bytes = 0 WHERE seq = ?1";
    transaction.prepare_cached(sql)?.execute([seq])?;
    removed.exchanges += 1;
    removed.bytes += length.cast_unsigned();
    if transaction
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'exchange_records'")?
        .exists([])?
    {
        let sql = "UPDATE exchange_records SET flags = (flags | ?2) & ~?3 WHERE seq = ?1";
        let gone = flags::REPLAYABLE;
        transaction.prepare_cached(sql)?.execute([seq, flags::REMOVED, gone])?;
    }
    let mut unneeded = vec![seq];
    while let Some(seq) = unneeded.pop() {
        release(transaction, seq, shelf, removed, &mut unneeded)?;
    }
    Ok(())
}

/// Removes a row whose own part is gone, when nothing needs its content; what it needed itself is looked at next.
fn release(
    transaction: &Transaction<'_>,
    seq: i64,
    shelf: &mut Shelf,
    removed: &mut Removed,
    unneeded: &mut Vec<i64>,
) -> Result<(), VaultError> {
    let sql = "SELECT coalesce(length(content), 0) FROM bodies WHERE seq = ?1 AND rest IS NULL
               AND NOT EXISTS (SELECT 1 FROM links WHERE needs = ?1)";
    let length: Option<i64> =
        transaction.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    let Some(length) = length else { return Ok(()) };
    let mut needs = Vec::new();
    let used = if length == 0 { Ok(BTreeSet::new()) } else { shelf.used(transaction, seq) };
    match used {
        Ok(used) => {
            let sql = "DELETE FROM links WHERE needs = ?1 AND seq = ?2";
            let mut unlink = transaction.prepare_cached(sql)?;
            for other in used {
                if unlink.execute(params![other, seq])? > 0 {
                    needs.push(other);
                }
            }
        }
        Err(VaultError::Sqlite(error)) => return Err(error.into()),
        // It cannot be read: the links are searched for it.
        Err(VaultError::Damaged { .. }) => {
            let sql = "DELETE FROM links WHERE seq = ?1 RETURNING needs";
            let mut unlink = transaction.prepare_cached(sql)?;
            needs = unlink.query_map([seq], |row| row.get(0))?.collect::<Result<_, _>>()?;
        }
    }
    transaction.prepare_cached("DELETE FROM bodies WHERE seq = ?1")?.execute([seq])?;
    shelf.forget(seq);
    removed.contents += 1;
    removed.bytes += length.cast_unsigned();
    unneeded.extend(needs);
    Ok(())
}

/// Without any body, what was learned from bodies goes too.
fn forget_trained(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    if !transaction.prepare_cached("SELECT 1 FROM bodies LIMIT 1")?.exists([])? {
        transaction.prepare_cached("DELETE FROM dictionaries")?.execute([])?;
    }
    Ok(())
}
