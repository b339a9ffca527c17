//! Deletion of records. Roll-ups stay: sums outlive the rows they were made of.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::store::flags;
use crate::store::memory::{forget_words, keep_floor};
use crate::store::zones::{block_of, clear_empty};

/// Limit: records of one transaction.
pub(super) const RECORDS: u32 = 5_000;
/// Limit: how long one transaction goes on deleting; what is left is for the next.
const HOLD: Duration = Duration::from_millis(8);
/// Records between two looks at the clock.
const STEP: usize = 128;

/// Deletes the oldest records that are not pinned and began before the instant `before_us`, at most `max` of them and for as long as a writer
/// can wait.
pub(super) fn delete(
    connection: &mut Connection,
    before_us: u64,
    upto: i64,
    max: u32,
) -> rusqlite::Result<usize> {
    let floor = ExchangeId::floor(before_us);
    // Ids are in the order of time; without anything old, no lock is taken.
    let oldest =
        "SELECT 1 FROM exchange_records WHERE id < ?1 AND flags & ?2 = 0 AND seq <= ?3 LIMIT 1";
    let found =
        connection.prepare_cached(oldest)?.query_row((floor, flags::PINNED, upto), |_| Ok(()));
    if found.optional()?.is_none() {
        return Ok(0);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let until = clock::now() + HOLD;
    let seqs: Vec<i64> = {
        let next = "SELECT seq FROM exchange_records WHERE id < ?1 AND flags & ?3 = 0 AND seq <= ?4 ORDER BY id LIMIT ?2";
        let mut statement = transaction.prepare_cached(next)?;
        let seqs = statement.query_map((floor, max, flags::PINNED, upto), |row| row.get(0))?;
        seqs.collect::<rusqlite::Result<_>>()?
    };
    let deleted = delete_records(&transaction, &seqs, Some(until))?;
    transaction.commit()?;
    Ok(deleted)
}

/// Deletes records by their numbers, inside the caller's transaction, with the labels and zones that were theirs alone; stops
/// at the instant `until`. How many are gone: the first of the list.
pub(super) fn delete_records(
    connection: &Connection,
    seqs: &[i64],
    until: Option<Instant>,
) -> rusqlite::Result<usize> {
    let mut labels = connection.prepare_cached(
        "DELETE FROM labels WHERE exchange = (SELECT id FROM exchange_records WHERE seq = ?)",
    )?;
    let mut records = connection.prepare_cached("DELETE FROM exchange_records WHERE seq = ?")?;
    let any_labels = connection
        .prepare_cached("SELECT 1 FROM labels WHERE exchange IS NOT NULL LIMIT 1")?
        .exists([])?;
    let mut gone = 0;
    for some in seqs.chunks(STEP) {
        if gone > 0 && until.is_some_and(|until| clock::now() >= until) {
            break;
        }
        for seq in some {
            if any_labels {
                labels.execute([seq])?;
            }
            records.execute([seq])?;
        }
        gone += some.len();
    }
    let mut blocks: Vec<i64> = seqs.iter().take(gone).copied().map(block_of).collect();
    blocks.sort_unstable();
    blocks.dedup();
    clear_empty(connection, &blocks)?;
    if let Some(newest) = seqs.iter().take(gone).max() {
        keep_floor(connection, *newest)?;
    }
    forget_words(connection)?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db;
    use crate::store::tests::{BASE_US, HOUR_US, count, plain, traffic, writer};

    #[test]
    fn with_the_last_record_of_a_block_go_its_zones_and_with_the_last_of_all_the_words() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [traffic(), (300_000_000..300_002_000).map(plain).collect()].concat();
        writer(&folder).handle().put(rows);
        let mut connection = db::open_writer(folder.path(), db::BUSY).unwrap();
        let label = "INSERT INTO labels (exchange, name, at_us) \
                     SELECT id, 'odd', 0 FROM exchange_records WHERE seq IN (1, 2600)";
        assert_eq!(connection.execute(label, []).unwrap(), 2);
        let blocks =
            |connection: &Connection| count(connection, "(SELECT DISTINCT block FROM zones)");
        assert_eq!(blocks(&connection), 3);
        let newest = count(&connection, "exchange_records");
        let before_us = BASE_US + 75 * HOUR_US;
        while delete(&mut connection, before_us, i64::MAX, 250).unwrap() > 0 {}
        assert_eq!(count(&connection, "exchange_records"), 2_000, "traffic() is of 75 hours");
        assert_eq!((blocks(&connection), count(&connection, "labels")), (3, 1));
        let first: Vec<i64> = (1..=1_100).collect();
        assert_eq!(delete_records(&connection, &first, None).unwrap(), 1_100);
        assert_eq!(blocks(&connection), 2, "the first block is empty");
        assert!(count(&connection, "words") > 0);
        let all: Vec<i64> = (1..=newest).collect();
        delete_records(&connection, &all, None).unwrap();
        for table in ["exchange_records", "zones", "words", "sessions", "labels"] {
            assert_eq!(count(&connection, table), 0, "{table}");
        }
        drop(connection);
        writer(&folder).handle().put(vec![plain(1), plain(2)]);
        let connection = db::open_reader(folder.path()).unwrap();
        let numbers = format!("exchange_records WHERE seq > {newest}");
        assert_eq!(count(&connection, &numbers), 2, "no number is given twice");
    }

    #[test]
    fn a_deletion_holds_the_file_no_longer_than_a_writer_can_wait() {
        let folder = tempfile::tempdir().unwrap();
        writer(&folder).handle().put((0..20_000).map(plain).collect());
        let connection = db::open_writer(folder.path(), db::BUSY).unwrap();
        let all: Vec<i64> = (1..=20_000).collect();
        let until = clock::now();
        let gone = delete_records(&connection, &all, Some(until)).unwrap();
        assert_eq!(gone, STEP, "past the instant it takes no second step");
    }
}
