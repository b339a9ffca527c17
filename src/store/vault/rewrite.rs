//! Applies a cleaning to what is stored already, shared content included. Whoever is put together of a changed segment
//! changes with it: its marks move, its digest is made anew, it is flagged as redacted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::base::coding;
use crate::store::vault::content::{Content, Draft, Form};
use crate::store::vault::dictionaries::{Slot, TRAINED_MIN};
use crate::store::vault::repack::{drop_trained, templates};
use crate::store::vault::rest::{At, Rest, Told, Weave};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::store::count_removal;
use crate::store::vault::{Part, VaultError, hash, headers, pieces, recode};
use crate::store::zones::{self, Field};
use crate::store::{erase, flags};

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
    let done =
        erase::securely(connection, |connection| rewrite_all(connection, shelf, seqs, hides))?;
    if done != Rewritten::default() {
        erase::empty_log_or_tell(connection)?;
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

/// The contents an exchange is put together of; none of one that has none or is damaged.
fn used(connection: &Connection, shelf: &mut Shelf, seq: i64) -> Result<BTreeSet<i64>, VaultError> {
    match shelf.used(connection, seq) {
        Err(VaultError::Damaged { .. }) => Ok(BTreeSet::new()),
        used => used,
    }
}

/// Segments of a content as they are to be: number and text.
type Segments = BTreeMap<u32, Vec<u8>>;

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

/// Puts other segments into a content, and brings everything that is put together of it up to that. Gives the number of
/// exchanges that changed.
fn replace(
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

/// Makes the digests of an exchange's bodies anew, and flags it where one is another. `before` is its content as it was, where that changed.
fn digests(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    before: Option<&Content>,
) -> Result<(), VaultError> {
    let Some((mut rest, id)) = shelf.rest(transaction, seq)? else { return Ok(()) };
    let mut changed = false;
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
            changed |= digest != told.digest;
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
            changed |= renew(transaction, shelf, seq, (told, weave))?;
        }
    }
    // Who shares other parts of a content stays as it was.
    if !changed && before.is_none() {
        return Ok(());
    }
    write_rest(transaction, shelf, seq, (&rest, changed), id)
}

/// Makes the digest of a stream anew; true: it is another.
fn renew(
    connection: &Connection,
    shelf: &mut Shelf,
    seq: i64,
    (told, weave): (&mut Told, &Weave),
) -> Result<bool, VaultError> {
    let digest = hash::digest(&shelf.weave(connection, seq, weave)?);
    let changed = digest != told.digest;
    told.redacted |= changed;
    told.digest = digest;
    Ok(changed)
}

/// Writes an exchange's own part, its heads without templates, and flags it where it changed.
fn write_rest(
    transaction: &Transaction<'_>,
    shelf: &mut Shelf,
    seq: i64,
    (rest, changed): (&Rest<'_>, bool),
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
    if changed
        && transaction
            .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'exchange_records'")?
            .exists([])?
    {
        let sql = "UPDATE exchange_records SET flags = (flags | ?2) & ~?3 WHERE seq = ?1";
        let flags = params![seq, flags::REDACTED, flags::REPLAYABLE];
        transaction.prepare_cached(sql)?.execute(flags)?;
        flag_zone(transaction, seq, flags::REDACTED)?;
    }
    Ok(())
}

/// Lets filters find a record by a flag that it has from now on.
fn flag_zone(transaction: &Transaction<'_>, seq: i64, flag: i64) -> rusqlite::Result<()> {
    let zones = "SELECT 1 FROM sqlite_master WHERE name = 'zones'";
    if transaction.prepare_cached(zones)?.exists([])? {
        zones::add(transaction, seq, Field::Flag, &flag)?;
    }
    Ok(())
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
        write_rest(transaction, shelf, seq, (&rest, true), id)?;
    }
    Ok(changed)
}
