//! Deletion of records that have grown too old. Roll-ups stay: sums outlive the rows they were made of.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::base::id::ExchangeId;

/// Limit: records of one transaction; with their attempts, about twice as many rows.
pub(super) const RECORDS: u32 = 5_000;

/// Deletes the oldest records that began before the instant `before_us`, with their attempts, at most `max` of them.
pub(super) fn delete(
    connection: &mut Connection,
    before_us: u64,
    max: u32,
) -> rusqlite::Result<usize> {
    let floor = ExchangeId::floor(before_us);
    // Ids are in the order of time; without anything old, no lock is taken.
    let oldest = "SELECT 1 FROM records WHERE id < ?1 LIMIT 1";
    if connection.prepare_cached(oldest)?.query_row([floor], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let next = "SELECT id FROM records WHERE id < ?1 ORDER BY id LIMIT 1 OFFSET ?2";
    let kept: Option<[u8; 16]> =
        transaction.prepare_cached(next)?.query_row((floor, max), |row| row.get(0)).optional()?;
    let until = kept.unwrap_or(floor);
    transaction.prepare_cached("DELETE FROM attempts WHERE exchange_id < ?1")?.execute([until])?;
    let deleted =
        transaction.prepare_cached("DELETE FROM records WHERE id < ?1")?.execute([until])?;
    transaction.commit()?;
    Ok(deleted)
}
