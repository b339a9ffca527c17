//! The bodies of one exchange's requests: what of them was met before, what is new, and the recipe of each.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use rusqlite::Connection;

use crate::store::capture::Outline;
use crate::store::vault::content::{Draft, Form};
use crate::store::vault::hash::{self, DIGEST_BYTES, SegmentHasher};
use crate::store::vault::index::{Index, Met, Place};
use crate::store::vault::pieces::{self, Cut};
use crate::store::vault::recipe::{Base, Insert, Recipe};
use crate::store::vault::shelf::{Shelf, with_inserts};
use crate::store::vault::wire::Bad;
use crate::store::vault::{Clean, VaultError};

/// Limit: recipes that stand on each other.
const DEPTH_MAX: usize = 16;
/// A secret may begin this many bytes before the segment it is in.
const BEFORE: usize = 64;
/// Lists that take no more runs than this stand alone.
const ALONE_RUNS: usize = 2;

/// What the encoding of one exchange works with.
pub(super) struct Requests<'v> {
    pub(super) connection: &'v Connection,
    pub(super) seq: i64,
    pub(super) hasher: &'v SegmentHasher,
    pub(super) index: &'v mut Index,
    pub(super) shelf: &'v mut Shelf,
    pub(super) clean: &'v dyn Clean,
    pub(super) draft: Draft,
    /// Segments that the recipes so far have introduced.
    pub(super) own: usize,
    /// Lists of the recipes so far.
    lists: Vec<(u64, Arc<[Place]>)>,
    /// Other exchanges whose content is needed.
    pub(super) used: BTreeSet<i64>,
    pub(super) tally: Tally,
}

/// What was met before and what was new.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) met: u64,
    pub(super) met_bytes: u64,
    pub(super) new: u64,
    pub(super) new_bytes: u64,
}

/// A body that has its recipe.
#[derive(Debug)]
pub(super) struct Done {
    /// What the recipe makes, where it is not the body itself.
    pub(super) body: Option<Vec<u8>>,
    pub(super) redacted: bool,
    pub(super) digest: [u8; DIGEST_BYTES],
}

/// A span of the body without its marks, and what is stored for it.
enum Part {
    Met(Met),
    /// With what it becomes, where something was hidden.
    New(Option<Vec<u8>>),
}

struct Parted {
    span: Range<usize>,
    /// `None` where nothing will be looked up by it.
    digest: Option<u128>,
    media: bool,
    part: Part,
}

impl<'v> Requests<'v> {
    pub(super) fn new(
        connection: &'v Connection,
        seq: i64,
        (hasher, index, shelf): (&'v SegmentHasher, &'v mut Index, &'v mut Shelf),
        clean: &'v dyn Clean,
    ) -> Self {
        Self {
            connection,
            seq,
            hasher,
            index,
            shelf,
            clean,
            draft: Draft::default(),
            own: 0,
            lists: Vec::new(),
            used: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    /// Writes the recipe of a body.
    pub(super) fn body(
        &mut self,
        leg: u64,
        body: &[u8],
        outline: &Outline,
    ) -> Result<Done, VaultError> {
        let mut cut = pieces::cut(body, outline);
        let marks_redacted = self.clean_marks(&mut cut.marks);
        let parts = self.parts(&cut);
        let redacted = marks_redacted
            || parts.iter().any(|part| match &part.part {
                Part::Met(met) => met.redacted,
                Part::New(cleaned) => cleaned.is_some(),
            });
        let mut hidden = redacted.then(Vec::new);
        if redacted {
            self.move_marks(&cut.plain, &parts, &mut cut.marks)?;
        }
        let list = self.admit(&cut.plain, parts, hidden.as_mut())?;
        let damaged = |reason| VaultError::Damaged { seq: self.seq, reason };
        let hidden =
            hidden.map(|hidden| with_inserts(hidden, &cut.marks)).transpose().map_err(damaged)?;
        self.recipe(leg, list, cut.marks)?;
        let digest = hash::digest(hidden.as_deref().unwrap_or(body));
        Ok(Done { body: hidden, redacted, digest })
    }

    /// Moves the marks to where they belong once what has to be hidden is.
    fn move_marks(
        &mut self,
        plain: &[u8],
        parts: &[Parted],
        marks: &mut [Insert],
    ) -> Result<(), VaultError> {
        let mut marks = marks.iter_mut().peekable();
        let mut end = 0;
        for part in parts {
            let start = end;
            let bytes = plain.get(part.span.clone()).unwrap_or_default();
            let hidden = match &part.part {
                Part::New(cleaned) => cleaned.clone(),
                Part::Met(met) if met.redacted => {
                    let mut stored = Vec::new();
                    self.stand_in(bytes, *met, &mut stored)?;
                    Some(stored)
                }
                Part::Met(_) => None,
            };
            end += hidden.as_ref().map_or(bytes.len(), Vec::len);
            while let Some(mark) = marks.next_if(|mark| mark.at < part.span.end) {
                let at = mark.at - part.span.start;
                let clean = |text: &[u8]| self.clean.clean(text);
                let within = hidden.as_ref().map_or(at, |it| pieces::moved(at, bytes, it, clean));
                mark.at = start + within;
            }
        }
        marks.for_each(|mark| mark.at = end);
        Ok(())
    }

    /// Marks are no place for secrets, and are looked at all the same.
    fn clean_marks(&self, marks: &mut [Insert]) -> bool {
        let mut redacted = false;
        for mark in marks {
            if let Some(cleaned) = self.clean.clean(&mark.text) {
                mark.text = cleaned;
                redacted = true;
            }
        }
        redacted
    }

    /// Looks up each piece, and has what is new cleaned.
    fn parts(&mut self, cut: &Cut<'_>) -> Vec<Parted> {
        let mut parts: Vec<Parted> = Vec::with_capacity(cut.pieces.len());
        let mut new_from: Option<usize> = None;
        for piece in &cut.pieces {
            let bytes = cut.plain.get(piece.span.clone()).unwrap_or_default();
            let digest = self.hasher.hash(bytes);
            let part = self.index.get(digest).map_or(Part::New(None), Part::Met);
            if matches!(part, Part::New(_)) {
                new_from.get_or_insert(parts.len());
            } else if let Some(from) = new_from.take() {
                self.clean_group(&cut.plain, &mut parts, from);
            }
            parts.push(Parted {
                span: piece.span.clone(),
                digest: Some(digest),
                media: piece.media,
                part,
            });
        }
        if let Some(from) = new_from {
            self.clean_group(&cut.plain, &mut parts, from);
        }
        parts
    }

    /// Cleans the parts from `from` on, which are all new. What is hidden across a cut becomes one part.
    fn clean_group(&self, plain: &[u8], parts: &mut Vec<Parted>, from: usize) {
        let span = |parts: &[Parted], from: usize| {
            let start = parts.get(from).map_or(plain.len(), |part| part.span.start);
            start..parts.last().map_or(plain.len(), |part| part.span.end)
        };
        let group = span(parts, from);
        let before = group.start.saturating_sub(BEFORE)..group.start;
        let text = |span: Range<usize>| plain.get(span).unwrap_or_default();
        let cleaned = |text| self.clean.clean(text).map_or(Cow::Borrowed(text), Cow::Owned);
        let Some(whole) = self.clean.clean(text(before.start..group.end)) else { return };
        let mut joined = cleaned(text(before.clone())).into_owned();
        let mut alone = Vec::new();
        for part in parts.get(from..).unwrap_or_default() {
            let part = self.clean.clean(text(part.span.clone()));
            alone.push(part);
        }
        for (part, cleaned) in parts.get(from..).unwrap_or_default().iter().zip(&alone) {
            joined.extend_from_slice(cleaned.as_deref().unwrap_or(text(part.span.clone())));
        }
        if joined == whole {
            for (part, cleaned) in parts.get_mut(from..).unwrap_or_default().iter_mut().zip(alone) {
                part.part = Part::New(cleaned);
            }
            return;
        }
        // Something is hidden across a cut, perhaps from before the group on.
        let from =
            parts.iter().rposition(|part| part.span.start <= before.start).unwrap_or(0).min(from);
        let group = span(parts, from);
        parts.truncate(from);
        let hidden = cleaned(text(group.clone())).into_owned();
        parts.push(Parted {
            span: group,
            digest: None,
            media: false,
            part: Part::New(Some(hidden)),
        });
    }

    /// Puts what is new into the content, and gives the places of all parts. `hidden` gets the text that they make.
    fn admit(
        &mut self,
        plain: &[u8],
        parts: Vec<Parted>,
        mut hidden: Option<&mut Vec<u8>>,
    ) -> Result<Vec<Place>, VaultError> {
        let mut list = Vec::with_capacity(parts.len());
        for part in parts {
            let bytes = plain.get(part.span.clone()).unwrap_or_default();
            let place = match part.part {
                Part::Met(met) => self.met(bytes, met),
                // The same may have come a second time within the body.
                Part::New(cleaned) => match part.digest.and_then(|digest| self.index.get(digest)) {
                    Some(met) => self.met(bytes, met),
                    None => {
                        let place = self.place(bytes, cleaned.as_deref(), part.media);
                        let met = Met { place, redacted: cleaned.is_some() };
                        part.digest.into_iter().for_each(|digest| self.index.enter(digest, met));
                        met
                    }
                },
            };
            if let Some(hidden) = hidden.as_mut() {
                self.stand_in(bytes, place, hidden)?;
            }
            list.push(place.place);
        }
        Ok(list)
    }

    fn met(&mut self, bytes: &[u8], met: Met) -> Met {
        self.tally.met += 1;
        self.tally.met_bytes += bytes.len() as u64;
        met
    }

    /// What is stored in place of `bytes`.
    fn stand_in(&mut self, bytes: &[u8], met: Met, to: &mut Vec<u8>) -> Result<(), VaultError> {
        if !met.redacted {
            to.extend_from_slice(bytes);
            return Ok(());
        }
        let Place { seq, index } = met.place;
        let missing = VaultError::Damaged { seq, reason: Bad("a segment is missing") };
        if seq == self.seq {
            to.extend_from_slice(self.draft.segment(index).ok_or(missing)?);
        } else {
            let content = self.shelf.content(self.connection, seq)?;
            let (bytes, form) = content.segment(index).ok_or(missing)?;
            form.write(bytes, to);
        }
        Ok(())
    }

    /// The place of a segment that was not met, or only in the form that it is stored in.
    fn place(&mut self, bytes: &[u8], cleaned: Option<&[u8]>, media: bool) -> Place {
        if let Some(cleaned) = cleaned {
            let digest = self.hasher.hash(cleaned);
            if let Some(met) = self.index.get(digest).filter(|met| !met.redacted) {
                return met.place;
            }
            let place = self.push(cleaned, Form::Text);
            self.index.enter(digest, Met { place, redacted: false });
            return place;
        }
        match media.then(|| Form::decode(bytes)).flatten() {
            Some((form, decoded)) => self.push(&decoded, form),
            None => self.push(bytes, Form::Text),
        }
    }

    /// The number of a text in the exchange's own content.
    pub(super) fn text(&mut self, text: &[u8]) -> u32 {
        let digest = self.hasher.hash(text);
        match self.index.get(digest) {
            Some(met) if met.place.seq == self.seq && !met.redacted => met.place.index,
            _ => {
                let place = self.push(text, Form::Text);
                self.index.enter(digest, Met { place, redacted: false });
                place.index
            }
        }
    }

    fn push(&mut self, bytes: &[u8], form: Form) -> Place {
        self.tally.new += 1;
        self.tally.new_bytes += bytes.len() as u64;
        Place { seq: self.seq, index: self.draft.push(bytes, form) }
    }

    fn recipe(
        &mut self,
        leg: u64,
        list: Vec<Place>,
        inserts: Vec<Insert>,
    ) -> Result<(), VaultError> {
        let mut runs = 0;
        let mut last = None;
        for place in &list {
            if last != Some(place.seq) {
                runs += 1;
                last = Some(place.seq);
                if place.seq != self.seq {
                    self.used.insert(place.seq);
                }
            }
        }
        let base = match self.sibling(&list) {
            Some((leg, based)) => Some((Base { seq: self.seq, leg }, based)),
            None if runs <= ALONE_RUNS => None,
            None => self.base(leg, &list)?,
        };
        let base = base.as_ref().map(|(base, places)| (*base, &**places));
        let recipe = Recipe::to(&list, self.seq, self.own, base, inserts);
        self.own += recipe.own();
        self.draft.recipe(self.seq, leg, &recipe);
        self.lists.push((leg, list.into()));
        Ok(())
    }

    /// The first request of the exchange, when half of this one or more is the same.
    fn sibling(&self, list: &[Place]) -> Option<(u64, Arc<[Place]>)> {
        let (leg, first) = self.lists.first()?;
        let known: HashSet<&Place> = first.iter().collect();
        let same = list.iter().filter(|place| known.contains(place)).count();
        (same * 2 >= list.len()).then(|| (*leg, Arc::clone(first)))
    }

    /// The body that a list most likely goes on from: the one that introduced the newest of its segments.
    fn base(
        &mut self,
        leg: u64,
        list: &[Place],
    ) -> Result<Option<(Base, Arc<[Place]>)>, VaultError> {
        let newest = list.iter().map(|place| place.seq).filter(|seq| *seq != self.seq).max();
        let Some(seq) = newest else { return Ok(None) };
        let content = self.shelf.content(self.connection, seq)?;
        let leg = if content.leg(leg).is_some() { leg } else { 0 };
        if content.leg(leg).is_none() {
            return Ok(None);
        }
        let based = self.shelf.list(self.connection, seq, leg)?;
        if based.depth + 1 >= DEPTH_MAX {
            return Ok(None);
        }
        Ok(Some((Base { seq, leg }, based.places)))
    }
}
