//! One exchange on its way in: which body goes where, then both blobs, decoded again and compared before they are written.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};

use crate::store::capture::{self, Captured, Kind};
use crate::store::vault::content::Content;
use crate::store::vault::dictionaries::{Current, Slot};
use crate::store::vault::hash::{self, SegmentHasher};
use crate::store::vault::index::Index;
use crate::store::vault::legs::{self, Places, Sum};
use crate::store::vault::requests::{Requests, Tally};
use crate::store::vault::rest::{At, Rest, Told, Weave};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::weave::{self, Woven};
use crate::store::vault::wire::Bad;
use crate::store::vault::{Clean, Kept, Part, VaultError};

/// Bodies from this length on are compressed as going on from the turn before.
const AFTER_BYTES: usize = 8 << 10;
/// Limit: contents that go on from each other.
const AFTER_DEPTH: usize = 32;

/// What the encoding of one exchange works with.
pub(super) struct Encoding<'v> {
    pub(super) connection: &'v Connection,
    pub(super) seq: i64,
    pub(super) clean: &'v dyn Clean,
    pub(super) hasher: &'v SegmentHasher,
    pub(super) index: &'v mut Index,
    pub(super) shelf: &'v mut Shelf,
    pub(super) current: Current,
}

/// A request's body as its recipe has to make it.
struct Expected {
    leg: u64,
    body: Bytes,
}

/// Bodies on their way into the content.
struct Placing<'v> {
    requests: Requests<'v>,
    expected: Vec<Expected>,
    /// Streams, and what they have to come to.
    streams: Vec<(Weave, Bytes)>,
}

impl Places for Placing<'_> {
    fn request(
        &mut self,
        leg: u64,
        told: Told,
        content: &capture::Content,
    ) -> Result<At<Bytes>, VaultError> {
        let done = self.requests.body(leg, &content.bytes, &content.outline)?;
        let (digest, redacted) = (done.digest, done.redacted || told.redacted);
        let body = done.body.map_or_else(|| content.bytes.clone(), Bytes::from);
        self.expected.push(Expected { leg, body });
        Ok(At::Recipe(Told { redacted, digest, ..told }))
    }

    fn stream(&mut self, told: &Told, body: &Bytes) -> Option<(At<Bytes>, Bytes)> {
        let Woven { mut plan, mut texts } = weave::take_apart(body)?;
        let old: Vec<usize> = texts.iter().map(Vec::len).collect();
        let mut redacted = false;
        for text in &mut texts {
            // What came in pieces may have to be hidden as a whole.
            if let Some(hidden) = self.requests.clean.clean(text) {
                (*text, redacted) = (hidden, true);
            }
        }
        let (mut told, mut body) = (told.clone(), body.clone());
        if redacted {
            let new: Vec<usize> = texts.iter().map(Vec::len).collect();
            plan.fit(&old, &new);
            body = plan.put_together(&texts.concat()).ok()?.into();
            (told.redacted, told.digest) = (true, hash::digest(&body));
        }
        let segments = texts.iter().map(|text| self.requests.text(text)).collect();
        let weave = Weave { plan, segments };
        self.streams.push((weave.clone(), body.clone()));
        Some((At::Woven(told, weave), body))
    }
}

/// Each body by itself.
struct Plainly<'v>(&'v dyn Clean);

impl Places for Plainly<'_> {
    fn request(
        &mut self,
        _leg: u64,
        told: Told,
        content: &capture::Content,
    ) -> Result<At<Bytes>, VaultError> {
        Ok(legs::whole(told, content.bytes.clone(), self.0))
    }

    fn stream(&mut self, _told: &Told, _body: &Bytes) -> Option<(At<Bytes>, Bytes)> {
        None
    }
}

impl Encoding<'_> {
    /// Encodes, checks and writes.
    pub(super) fn store(mut self, captured: &Captured) -> Result<(Kept, Tally), VaultError> {
        let mut sum = Sum::default();
        let parts = (self.hasher, &mut *self.index, &mut *self.shelf);
        let requests = Requests::new(self.connection, self.seq, parts, self.clean);
        let mut placing = Placing { requests, expected: Vec::new(), streams: Vec::new() };
        let rest = legs::encode(captured, self.clean, &mut sum, &mut placing)?;
        let Placing { requests, expected, streams } = placing;
        let Requests { draft, used, tally, .. } = requests;
        let parent = used.last().copied();
        let mut row = Row { links: self.links(used)?, ..Row::default() };
        if !draft.is_empty() {
            row.content = Some(self.content(&draft.write(), &expected, parent)?);
        }
        for (weave, body) in streams {
            if self.shelf.weave(self.connection, self.seq, &weave)? != body {
                let reason = Bad("a stream does not come back as it was");
                return Err(VaultError::Damaged { seq: self.seq, reason });
            }
        }
        if let Some(rest) = rest {
            row.rest = Some(self.rest(&rest, captured)?);
        }
        Ok((row.write(self.connection, self.seq, &sum)?, tally))
    }

    /// Encodes without any recipe: each body whole.
    pub(super) fn store_plainly(
        mut self,
        captured: &Captured,
    ) -> Result<(Kept, Tally), VaultError> {
        let mut sum = Sum::default();
        let rest = legs::encode(captured, self.clean, &mut sum, &mut Plainly(self.clean))?;
        let mut row = Row::default();
        if let Some(rest) = rest {
            row.rest = Some(self.rest(&rest, captured)?);
        }
        Ok((row.write(self.connection, self.seq, &sum)?, Tally::default()))
    }

    /// Packs the content, unpacks it, and has each body put together of it as a reader would.
    fn content(
        &mut self,
        plain: &[u8],
        expected: &[Expected],
        parent: Option<i64>,
    ) -> Result<(i64, Vec<u8>), VaultError> {
        let (seq, connection) = (self.seq, self.connection);
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let before = self.before(expected, parent)?;
        let with = (self.current.of(Slot::Content), before.as_deref());
        let packed = self.shelf.pack_content(connection, seq, plain, with);
        let (row, blob) = packed.map_err(damaged)?;
        let content = self.shelf.unpack(connection, seq, &blob, before).map_err(damaged)?;
        self.shelf.keep(content);
        for body in expected {
            if self.shelf.assemble(connection, seq, body.leg)? != body.body {
                return Err(damaged(Bad("a body does not come back as it was")));
            }
        }
        Ok(row)
    }

    /// The content to go on from: that of the turn before, in conversations that are long enough to be worth it.
    fn before(
        &mut self,
        expected: &[Expected],
        parent: Option<i64>,
    ) -> Result<Option<Arc<Content>>, VaultError> {
        let long = expected.iter().any(|body| body.body.len() >= AFTER_BYTES);
        let Some(parent) = parent.filter(|_| long) else { return Ok(None) };
        let content = self.shelf.content(self.connection, parent)?;
        Ok((content.depth() + 1 < AFTER_DEPTH).then_some(content))
    }

    fn rest(&mut self, rest: &Rest<'_>, captured: &Captured) -> Result<(i64, Vec<u8>), VaultError> {
        let (seq, connection) = (self.seq, self.connection);
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let kind = captured.attempts.last().map_or_else(Kind::default, |attempt| attempt.kind);
        let plain = {
            let with = (self.shelf.seal.as_deref(), self.hasher);
            let templates = &mut self.shelf.templates;
            rest.write(|head, to| templates.write(connection, with, head, to))?
        };
        let place = (seq, Part::Rest);
        let packed =
            self.shelf.pack(connection, &plain, self.current.of(Slot::of_rest(kind)), place);
        let (id, blob) = packed.map_err(damaged)?;
        let opened = self.shelf.open(connection, &blob, id, place).map_err(damaged)?;
        if opened != plain {
            return Err(damaged(Bad("what was packed does not come back as it was")));
        }
        Ok((id, blob))
    }

    /// The newest exchange that is needed, and those that it does not hold by itself.
    fn links(&mut self, mut used: BTreeSet<i64>) -> Result<BTreeSet<i64>, VaultError> {
        let Some(parent) = used.last().copied().filter(|_| used.len() > 1) else { return Ok(used) };
        let held = self.shelf.used(self.connection, parent)?;
        used.retain(|seq| *seq == parent || !held.contains(seq));
        Ok(used)
    }
}

/// What is written of one exchange.
#[derive(Debug, Default)]
struct Row {
    content: Option<(i64, Vec<u8>)>,
    rest: Option<(i64, Vec<u8>)>,
    links: BTreeSet<i64>,
}

impl Row {
    fn write(self, connection: &Connection, seq: i64, sum: &Sum) -> rusqlite::Result<Kept> {
        let length =
            |blob: &Option<(i64, Vec<u8>)>| blob.as_ref().map_or(0, |(_, blob)| blob.len());
        let kept = Kept {
            flags: sum.flags,
            raw_bytes: sum.raw_bytes,
            stored_bytes: (length(&self.content) + length(&self.rest)) as u64,
            policy: None,
        };
        if self.content.is_none() && self.rest.is_none() {
            return Ok(kept);
        }
        let (content_dictionary, content) = self.content.unzip();
        let (rest_dictionary, rest) = self.rest.unzip();
        let sql = "INSERT INTO bodies (seq, content_dictionary, content, rest_dictionary, rest, raw_bytes)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let raw_bytes = i64::try_from(kept.raw_bytes).unwrap_or(i64::MAX);
        connection.prepare_cached(sql)?.execute(params![
            seq,
            content_dictionary,
            content,
            rest_dictionary,
            rest,
            raw_bytes
        ])?;
        let mut link =
            connection.prepare_cached("INSERT INTO links (needs, seq) VALUES (?1, ?2)")?;
        for needs in self.links {
            link.execute([needs, seq])?;
        }
        Ok(kept)
    }
}
