//! Applies a cleaning to what is stored already, shared content included. Whoever is put together of a changed segment
//! changes with it: its marks move, its digest is made anew, it is flagged as redacted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::base::coding;
use crate::store::vault::dictionaries::{self, Slot, TRAINED_MIN};

use crate::store::vault::replace::{Segments, renew, replace, used, write_rest};
use crate::store::vault::rest::At;
use crate::store::vault::shelf::Shelf;
use crate::store::vault::store::count_removal;
use crate::store::vault::{Part, Seal, VaultError, hash, headers};

/// Limit: a coded body that is decoded to be looked at.
const DECODED_MAX: usize = 256 << 20;

/// What hides something: `None` when there is nothing to hide.
pub type Hide<'h> = &'h dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// What was rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Contents that had something to hide.
    pub contents: u64,
    /// Exchanges whose bodies or headers changed.
    pub exchanges: u64,
    /// Headers' templates that had something to hide.
    pub templates: u64,
}

/// Hides what `hide` finds in the bodies and headers of these exchanges and in whatever content they share. Afterwards
/// nothing of it is left in the file: trained dictionaries go, and the log is emptied.
pub fn rewrite(
    connection: &mut Connection,
    shelf: &mut Shelf,
    seqs: &[i64],
    hide: Hide<'_>,
) -> Result<Rewritten, VaultError> {
    rewrite_with(connection, shelf, seqs, (hide, hide))
}

/// As [`rewrite`]; the second hides in whole bodies, where what is to be hidden can be told by its place.
pub fn rewrite_with(
    connection: &mut Connection,
    shelf: &mut Shelf,
    seqs: &[i64],
    hides: (Hide<'_>, Hide<'_>),
) -> Result<Rewritten, VaultError> {
    let before: i64 = connection.pragma_query_value(None, "secure_delete", |row| row.get(0))?;
    connection.pragma_update(None, "secure_delete", true)?;
    let done = rewrite_all(connection, shelf, seqs, hides);
    connection.pragma_update(None, "secure_delete", before)?;
    let done = done?;
    if done != Rewritten::default() {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(done)
}

fn rewrite_all(
    connection: &mut Connection,
    shelf: &mut Shelf,
    seqs: &[i64],
    (hide, whole): (Hide<'_>, Hide<'_>),
) -> Result<Rewritten, VaultError> {
    shelf.clear();
    let mut done = Rewritten::default();
    let mut changed = BTreeSet::new();
    let mut looked = BTreeSet::new();
    for seq in seqs {
        for other in used(connection, shelf, *seq)? {
            if looked.insert(other) && segments(connection, shelf, other, hide)?.is_some() {
                changed.insert(other);
            }
        }
    }
    // What only shows across segments is looked for in whole bodies, segment by segment being clean.
    for seq in changed {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(segments) = segments(&transaction, shelf, seq, hide)? {
            done.contents += 1;
            done.exchanges += replace(&transaction, shelf, seq, &segments, hide)?;
            count_removal(&transaction)?;
        }
        transaction.commit()?;
    }
    for seq in seqs {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        done.exchanges += across(&transaction, shelf, *seq, (hide, whole))?;
        done.exchanges += u64::from(own(&transaction, shelf, *seq, (hide, whole))?);
        transaction.commit()?;
    }
    let seal = shelf.seal.clone();
    done.templates = templates(connection, seal.as_deref(), hide)?;
    if done != Rewritten::default() {
        drop_trained(connection, shelf)?;
    }
    shelf.clear();
    Ok(done)
}

/// The segments of a content that have something to hide.
fn segments(
    connection: &Connection,
    shelf: &mut Shelf,
    seq: i64,
    hide: Hide<'_>,
) -> Result<Option<Segments>, VaultError> {
    let content = match shelf.content(connection, seq) {
        Err(VaultError::Damaged { .. }) => return Ok(None),
        content => content?,
    };
    let mut changed = Segments::new();
    for (index, (bytes, form)) in (0..).zip(content.segments()) {
        let mut text = Vec::new();
        form.write(bytes, &mut text);
        if let Some(hidden) = hide(&text) {
            changed.insert(index, hidden);
        }
    }
    Ok((!changed.is_empty()).then_some(changed))
}

/// Hides what only shows when segments stand side by side: the first of them gets what is to be there, the others nothing.
fn across(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    (hide, whole): (Hide<'_>, Hide<'_>),
) -> Result<u64, VaultError> {
    let legs: Vec<u64> = match shelf.content(transaction, seq) {
        Err(VaultError::Damaged { .. }) => return Ok(0),
        content => content?.legs.iter().map(|leg| leg.leg).collect(),
    };
    let mut changed = 0;
    for leg in legs {
        // Each turn hides one more place; that many are not in any body.
        for _ in 0..64 {
            let mut texts = Vec::new();
            for place in shelf.list(transaction, seq, leg)?.places.iter() {
                let holder = shelf.content(transaction, place.seq)?;
                let Some((bytes, form)) = holder.segment(place.index) else { continue };
                let mut text = Vec::new();
                form.write(bytes, &mut text);
                texts.push((*place, text));
            }
            let body: Vec<u8> = texts.iter().flat_map(|(_, text)| text).copied().collect();
            let Some(hidden) = whole(&body).filter(|hidden| *hidden != body) else { break };
            let head = body.iter().zip(&hidden).take_while(|(one, two)| one == two).count();
            let (left, right) = (body.get(head..), hidden.get(head..));
            let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
            let tail =
                left.iter().rev().zip(right.iter().rev()).take_while(|(one, two)| one == two);
            let tail = tail.count();
            let (span, put) = (head..body.len() - tail, right.get(..right.len() - tail));
            changed +=
                put_across(transaction, shelf, &texts, (span, put.unwrap_or_default()), hide)?;
        }
    }
    Ok(changed)
}

/// Replaces the bytes at `span` of a body by `put`, in the segments that have them.
fn put_across(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    texts: &[(crate::store::vault::index::Place, Vec<u8>)],
    (span, put): (std::ops::Range<usize>, &[u8]),
    hide: Hide<'_>,
) -> Result<u64, VaultError> {
    let mut by_content: BTreeMap<i64, Segments> = BTreeMap::new();
    let (mut start, mut put) = (0, Some(put));
    for (place, text) in texts {
        let own = start..start + text.len();
        start = own.end;
        let (from, to) = (span.start.max(own.start), span.end.min(own.end));
        let touches = from < to || (span.is_empty() && own.contains(&span.start));
        if !touches {
            continue;
        }
        let mut hidden = text.get(..from - own.start).unwrap_or_default().to_vec();
        hidden.extend_from_slice(put.take().unwrap_or_default());
        hidden.extend_from_slice(text.get(to.max(from) - own.start..).unwrap_or_default());
        by_content.entry(place.seq).or_default().insert(place.index, hidden);
    }
    let mut changed = 0;
    for (seq, segments) in by_content {
        changed += replace(transaction, shelf, seq, &segments, hide)?;
        count_removal(transaction)?;
    }
    Ok(changed)
}

/// Hides what is in an exchange's own part: headers, and bodies that stand there whole.
fn own(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    (hide, whole): (Hide<'_>, Hide<'_>),
) -> Result<bool, VaultError> {
    let read = match shelf.rest(transaction, seq) {
        Err(VaultError::Damaged { .. }) => return Ok(false),
        read => read?,
    };
    let Some((mut rest, id)) = read else { return Ok(false) };
    let mut changed = false;
    for leg in rest.legs_mut() {
        changed |= headers::change_values(&mut leg.head, hide);
        if let At::Woven(told, weave) = &mut leg.body
            && weave.plan.change(hide)
        {
            renew(transaction, shelf, seq, (told, weave))?;
            changed = true;
        }
        if let At::Whole(told, bytes) = &mut leg.body {
            let decoded = told
                .coding
                .as_ref()
                .and_then(|coding| coding::decode(coding, bytes, DECODED_MAX).ok());
            let coded = decoded.is_some();
            if let Some(hidden) = whole(decoded.as_ref().unwrap_or(bytes)) {
                *bytes = Bytes::from(hidden);
                told.digest = hash::digest(bytes);
                told.redacted = true;
                told.coding = told.coding.take().filter(|_| !coded);
                changed = true;
            }
        }
    }
    if changed {
        write_rest(transaction, shelf, seq, &rest, id)?;
    }
    Ok(changed)
}

fn templates(
    connection: &mut Connection,
    seal: Option<&dyn Seal>,
    hide: Hide<'_>,
) -> Result<u64, VaultError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kind = dictionaries::kind(headers::KIND, seal.is_some());
    let all: Vec<i64> = transaction
        .prepare_cached("SELECT id FROM dictionaries WHERE kind = ?1")?
        .query_map([kind], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut changed = 0;
    for id in all {
        let Some((_, bytes)) = dictionaries::row(&transaction, seal, id) else { continue };
        if let Ok(Some(hidden)) = headers::changed(&bytes, hide) {
            let hidden = match seal {
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

/// Dictionaries that were trained on what is now hidden may hold it: what depends on them is packed without, and they go.
fn drop_trained(connection: &mut Connection, shelf: &mut Shelf) -> Result<(), VaultError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "SELECT seq FROM bodies WHERE max(content_dictionary, -1 - content_dictionary) >= ?1
               OR max(rest_dictionary, -1 - rest_dictionary) >= ?1";
    let seqs: Vec<i64> = transaction
        .prepare_cached(sql)?
        .query_map([TRAINED_MIN], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for seq in seqs {
        repack(&transaction, shelf, seq)?;
    }
    let sql = "DELETE FROM dictionaries WHERE kind NOT LIKE ?1 || '%'";
    transaction.prepare_cached(sql)?.execute([headers::KIND])?;
    count_removal(&transaction)?;
    transaction.commit()?;
    Ok(())
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
