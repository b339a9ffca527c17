//! Puts other segments into a content that is stored, and brings everything up to it that is put together of it or goes on
//! from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};

use crate::store::flags;
use crate::store::vault::content::{Content, Draft, Form};
use crate::store::vault::dictionaries::{Slot, TRAINED_MIN};
use crate::store::vault::rest::{At, Rest, Told, Weave};
use crate::store::vault::rewrite::Hide;
use crate::store::vault::shelf::Shelf;
use crate::store::vault::{Part, VaultError, hash, pieces, recode};

/// Segments of a content as they are to be: number and text.
pub(super) type Segments = BTreeMap<u32, Vec<u8>>;

/// Puts other segments into a content, and brings everything that is put together of it up to that. Gives the number of
/// exchanges that changed.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    segments: &Segments,
    hide: Hide<'_>,
) -> Result<u64, VaultError> {
    // Everything is unpacked before anything is written: contents go on from each other.
    let mut old = BTreeMap::new();
    let mut moved = BTreeMap::new();
    for dependent in dependents(transaction, seq)? {
        old.insert(dependent, shelf.content(transaction, dependent)?);
        if shelf.used(transaction, dependent)?.contains(&seq) {
            // Lists name segments by number, and stay. Marks are told by where they stand in the text.
            let marks = marks(transaction, shelf, dependent, (seq, segments), hide)?;
            moved.insert(dependent, marks);
        }
    }
    let mut new: BTreeMap<i64, Arc<Content>> = BTreeMap::new();
    for (dependent, content) in &old {
        let marks = moved.get(dependent).filter(|marks| !marks.is_empty());
        let after = content.before.as_ref().is_some_and(|before| new.contains_key(&before.seq));
        if *dependent != seq && marks.is_none() && !after {
            continue;
        }
        let changed = Some(segments).filter(|_| *dependent == seq);
        let before = content.before.as_ref();
        let before = before.map(|before| new.get(&before.seq).unwrap_or(before)).cloned();
        let plain = plain(content, changed, marks.unwrap_or(&Marks::new()));
        let written = write(transaction, shelf, *dependent, &plain, before)?;
        new.insert(*dependent, written);
    }
    // Everything in memory was put together of the old.
    shelf.clear();
    for dependent in moved.keys() {
        let before = old.get(dependent).filter(|_| *dependent == seq);
        digests(transaction, shelf, *dependent, before.map(|content| &**content))?;
    }
    Ok(moved.len() as u64)
}

/// The exchange itself and whoever needs it, directly or by way of another.
fn dependents(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<BTreeSet<i64>> {
    let mut found = BTreeSet::from([seq]);
    let mut todo = vec![seq];
    let mut statement = transaction.prepare_cached("SELECT seq FROM links WHERE needs = ?1")?;
    while let Some(needs) = todo.pop() {
        let mut rows = statement.query([needs])?;
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            if found.insert(seq) {
                todo.push(seq);
            }
        }
    }
    Ok(found)
}

/// Where the marks of each leg stand once the segments have changed.
type Marks = BTreeMap<u64, Vec<usize>>;

fn marks(
    connection: &Connection,
    shelf: &mut Shelf,
    seq: i64,
    (changed, segments): (i64, &Segments),
    hide: Hide<'_>,
) -> Result<Marks, VaultError> {
    let content = shelf.content(connection, seq)?;
    let mut moved = Marks::new();
    for leg in content.legs.iter().filter(|leg| !leg.recipe.inserts.is_empty()) {
        let mut marks = leg.recipe.inserts.iter().map(|insert| insert.at).peekable();
        let mut places = Vec::new();
        let (mut before, mut after) = (0, 0);
        for place in shelf.list(connection, seq, leg.leg)?.places.iter() {
            let holder = shelf.content(connection, place.seq)?;
            let Some((bytes, form)) = holder.segment(place.index) else { continue };
            let mut text = Vec::new();
            form.write(bytes, &mut text);
            let hidden = segments.get(&place.index).filter(|_| place.seq == changed);
            while let Some(at) = marks.next_if(|at| *at < before + text.len()) {
                let at = at - before;
                let within = hidden.map_or(at, |hidden| pieces::moved(at, &text, hidden, hide));
                places.push(after + within);
            }
            before += text.len();
            after += hidden.map_or(text.len(), Vec::len);
        }
        places.extend(marks.map(|_| after));
        moved.insert(leg.leg, places);
    }
    Ok(moved)
}

/// A content with other segments and its marks moved.
fn plain(content: &Content, changed: Option<&Segments>, marks: &Marks) -> Vec<u8> {
    let mut draft = Draft::default();
    for (index, (bytes, form)) in (0..).zip(content.segments()) {
        match changed.and_then(|changed| changed.get(&index)) {
            Some(hidden) => draft.push(hidden, Form::Text),
            None => draft.push(bytes, form),
        };
    }
    for leg in &content.legs {
        let mut recipe = leg.recipe.clone();
        let moved = marks.get(&leg.leg).into_iter().flatten();
        for (insert, at) in recipe.inserts.iter_mut().zip(moved) {
            insert.at = *at;
        }
        draft.recipe(content.seq, leg.leg, &recipe);
    }
    draft.write()
}

fn write(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    plain: &[u8],
    before: Option<Arc<Content>>,
) -> Result<Arc<Content>, VaultError> {
    let damaged = |reason| VaultError::Damaged { seq, reason };
    let with = (Slot::Content.own(), before.as_deref());
    let packed = shelf.pack_content(transaction, seq, plain, with);
    let ((id, bytes), blob) = packed.map_err(damaged)?;
    let sql = "UPDATE bodies SET content_dictionary = ?2, content = ?3 WHERE seq = ?1";
    transaction.prepare_cached(sql)?.execute(params![seq, id, bytes])?;
    shelf.unpack(transaction, seq, &blob, before).map_err(damaged)
}

/// Makes the digests of an exchange's bodies anew, and flags it. `before` is its content as it was, where that changed.
fn digests(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    before: Option<&Content>,
) -> Result<(), VaultError> {
    let Some((mut rest, id)) = shelf.rest(transaction, seq)? else { return Ok(()) };
    let mut requests = vec![(0, &mut rest.request)];
    requests.extend((1..).zip(rest.attempts.iter_mut().map(|attempt| &mut attempt.request)));
    for (leg, request) in requests {
        if let At::Recipe(told) = &mut request.body {
            let body = shelf.assemble(transaction, seq, leg)?;
            let digest = hash::digest(&body);
            if let Some(recoded) = &mut told.recoded
                && let Ok(coded) = recode::again(recoded.way, &body)
            {
                recoded.digest = hash::digest(&coded);
            }
            told.redacted |= digest != told.digest;
            told.digest = digest;
        }
    }
    for leg in rest.legs_mut() {
        if let (At::Woven(told, weave), Some(before)) = (&mut leg.body, before) {
            let content = shelf.content(transaction, seq)?;
            let lengths = |content: &Content| -> Vec<usize> {
                let length =
                    |index: &u32| content.segment(*index).map_or(0, |(bytes, _)| bytes.len());
                weave.segments.iter().map(length).collect()
            };
            let (old, new) = (lengths(before), lengths(&content));
            weave.plan.fit(&old, &new);
            renew(transaction, shelf, seq, (told, weave))?;
        }
    }
    write_rest(transaction, shelf, seq, &rest, id)
}

/// Makes the digest of a stream anew.
pub(super) fn renew(
    connection: &Connection,
    shelf: &mut Shelf,
    seq: i64,
    (told, weave): (&mut Told, &Weave),
) -> Result<(), VaultError> {
    let digest = hash::digest(&shelf.weave(connection, seq, weave)?);
    told.redacted |= digest != told.digest;
    told.digest = digest;
    Ok(())
}

/// Writes an exchange's own part, its heads without templates, and flags it.
pub(super) fn write_rest(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    rest: &Rest<'_>,
    id: i64,
) -> Result<(), VaultError> {
    let damaged = |reason| VaultError::Damaged { seq, reason };
    let id = if id >= TRAINED_MIN { Slot::Documents.own() } else { id };
    let plain = rest.write(|head, to| {
        head.write_whole(to);
        Ok::<(), VaultError>(())
    })?;
    let (id, blob) = shelf.pack(transaction, &plain, id, (seq, Part::Rest)).map_err(damaged)?;
    let sql = "UPDATE bodies SET rest_dictionary = ?2, rest = ?3 WHERE seq = ?1";
    transaction.prepare_cached(sql)?.execute(params![seq, id, blob])?;
    if transaction
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'exchange_records'")?
        .exists([])?
    {
        let sql = "UPDATE exchange_records SET flags = (flags | ?2) & ~?3 WHERE seq = ?1";
        let flags = params![seq, flags::REDACTED, flags::REPLAYABLE];
        transaction.prepare_cached(sql)?.execute(flags)?;
    }
    Ok(())
}

/// The contents an exchange is put together of; none of one that has none or is damaged.
pub(super) fn used(
    connection: &Connection,
    shelf: &mut Shelf,
    seq: i64,
) -> Result<BTreeSet<i64>, VaultError> {
    match shelf.used(connection, seq) {
        Err(VaultError::Damaged { .. }) => Ok(BTreeSet::new()),
        used => used,
    }
}
