//! Takes away dictionaries that were trained on content, after packing anew what depends on them.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::store::vault::dictionaries::{self, Slot, TRAINED_MIN};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::store::count_removal;
use crate::store::vault::{Part, Seal, VaultError, headers};

/// Exchanges that are packed anew in one transaction.
const REPACKED_AT_ONCE: i64 = 64;

/// Dictionaries that were trained on what is now hidden may hold it: what depends on them is packed without, some at a
/// time, and with the last of it they go.
pub(super) fn drop_trained(
    connection: &mut Connection,
    shelf: &mut Shelf,
) -> Result<(), VaultError> {
    let sql = "SELECT seq FROM bodies WHERE max(content_dictionary, -1 - content_dictionary) >= ?1
               OR max(rest_dictionary, -1 - rest_dictionary) >= ?1 LIMIT ?2";
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let seqs: Vec<i64> = transaction
            .prepare_cached(sql)?
            .query_map([TRAINED_MIN, REPACKED_AT_ONCE], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for seq in &seqs {
            repack(&transaction, shelf, *seq)?;
        }
        let is_last = seqs.len() < REPACKED_AT_ONCE as usize;
        if is_last {
            let sql = "DELETE FROM dictionaries WHERE kind NOT LIKE ?1 || '%'";
            transaction.prepare_cached(sql)?.execute([headers::KIND])?;
            count_removal(&transaction)?;
        }
        transaction.commit()?;
        if is_last {
            return Ok(());
        }
    }
}

/// Packs the blobs of an exchange that have a trained dictionary without it.
fn repack(transaction: &Transaction<'_>, shelf: &mut Shelf, seq: i64) -> Result<(), VaultError> {
    let damaged = |reason| VaultError::Damaged { seq, reason };
    for (part, column, id) in [
        (Part::Content, "content", Slot::Content.own()),
        (Part::Rest, "rest", Slot::Documents.own()),
    ] {
        let sql = format!("SELECT {column}_dictionary, {column} FROM bodies WHERE seq = ?1");
        let row: (Option<i64>, Option<Vec<u8>>) = transaction
            .prepare_cached(&sql)?
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(old), Some(blob)) = row else { continue };
        if old.max(-1 - old) < TRAINED_MIN {
            continue;
        }
        // What cannot be opened cannot be kept either: it could hold what is to go.
        let packed = shelf
            .open(transaction, &blob, old, (seq, part))
            .and_then(|plain| shelf.pack(transaction, &plain, id, (seq, part)));
        let (id, blob) = packed.map_err(damaged)?;
        let sql =
            format!("UPDATE bodies SET {column}_dictionary = ?2, {column} = ?3 WHERE seq = ?1");
        transaction.prepare_cached(&sql)?.execute(params![seq, id, blob])?;
    }
    Ok(())
}

/// Hides what is in headers' templates, those of before the store was encrypted too.
pub(super) fn templates(
    connection: &mut Connection,
    seal: Option<&dyn Seal>,
    hide: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<u64, VaultError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kinds = [false, true].map(|sealed| dictionaries::kind(headers::KIND, sealed));
    let all: Vec<(i64, bool)> = transaction
        .prepare_cached("SELECT id, kind = ?2 FROM dictionaries WHERE kind IN (?1, ?2)")?
        .query_map(kinds, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut changed = 0;
    for (id, is_sealed) in all {
        let Some((_, bytes)) = dictionaries::row(&transaction, seal, id) else { continue };
        if let Ok(Some(hidden)) = headers::changed(&bytes, hide) {
            let hidden = match seal.filter(|_| is_sealed) {
                None => hidden,
                Some(seal) => seal.seal(&hidden, id, Part::Dictionary),
            };
            let sql = "UPDATE dictionaries SET bytes = ?2 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id, hidden])?;
            changed += 1;
        }
    }
    if changed > 0 {
        count_removal(&transaction)?;
    }
    transaction.commit()?;
    Ok(changed)
}
