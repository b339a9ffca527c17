//! One exchange on its way in: which body goes where, then both blobs, decoded again and compared before they are written.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};

use crate::store::capture::{Captured, Kind};
use crate::store::vault::content::Content;
use crate::store::vault::dictionaries;
use crate::store::vault::hash::SegmentHasher;
use crate::store::vault::index::Index;
use crate::store::vault::legs::{self, Sum};
use crate::store::vault::requests::{Requests, Tally};
use crate::store::vault::rest::{At, Rest, Told};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::wire::Bad;
use crate::store::vault::{Clean, Kept, Part, VaultError};

/// What the encoding of one exchange works with.
pub(super) struct Encoding<'v> {
    pub(super) connection: &'v Connection,
    pub(super) seq: i64,
    pub(super) clean: &'v dyn Clean,
    pub(super) hasher: &'v SegmentHasher,
    pub(super) index: &'v mut Index,
    pub(super) shelf: &'v mut Shelf,
}

/// A request's body as its recipe has to make it.
struct Expected {
    leg: u64,
    body: Bytes,
}

impl Encoding<'_> {
    /// Encodes, checks and writes.
    pub(super) fn store(mut self, captured: &Captured) -> Result<(Kept, Tally), VaultError> {
        let mut expected = Vec::new();
        let mut sum = Sum::default();
        let parts = (self.hasher, &mut *self.index, &mut *self.shelf);
        let mut requests = Requests::new(self.connection, self.seq, parts, self.clean);
        let rest = legs::encode(captured, self.clean, &mut sum, |leg, told, content| {
            let done = requests.body(leg, &content.bytes, &content.outline)?;
            let (digest, redacted) = (done.digest, done.redacted || told.redacted);
            let body = done.body.map_or_else(|| content.bytes.clone(), Bytes::from);
            expected.push(Expected { leg, body });
            // Of a body that is compressed again the digest is known already.
            let digest = if told.recoded.is_some() { told.digest } else { digest };
            let redacted = redacted || told.redacted;
            Ok(At::Recipe(Told { digest, redacted, ..told }))
        })?;
        let Requests { draft, used, tally, .. } = requests;
        let mut row = Row { links: self.links(used)?, ..Row::default() };
        if !draft.is_empty() {
            row.content = Some(self.content(&draft.write(), &expected)?);
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
        let clean = self.clean;
        let rest = legs::encode(captured, clean, &mut sum, |_, told, content| {
            Ok(legs::whole(told, content.bytes.clone(), clean))
        })?;
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
    ) -> Result<(i64, Vec<u8>), VaultError> {
        let (seq, connection) = (self.seq, self.connection);
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let place = (seq, Part::Content);
        let packed = self.shelf.pack(connection, plain, dictionaries::CONTENT, place);
        let (id, blob) = packed.map_err(damaged)?;
        let opened = self.shelf.open(connection, &blob, id, place).map_err(damaged)?;
        let content = Content::parse(seq, opened).map_err(damaged)?;
        self.shelf.keep(Arc::new(content));
        for body in expected {
            if self.shelf.assemble(connection, seq, body.leg)? != body.body {
                return Err(damaged(Bad("a body does not come back as it was")));
            }
        }
        Ok((id, blob))
    }

    fn rest(&mut self, rest: &Rest<'_>, captured: &Captured) -> Result<(i64, Vec<u8>), VaultError> {
        let (seq, connection) = (self.seq, self.connection);
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let kind = captured.attempts.last().map_or_else(Kind::default, |attempt| attempt.kind);
        let plain = {
            let (templates, hasher) = (&mut self.shelf.templates, self.hasher);
            rest.write(|head, to| templates.write(connection, hasher, head, to))?
        };
        let place = (seq, Part::Rest);
        let packed = self.shelf.pack(connection, &plain, dictionaries::of_rest(kind), place);
        let (id, blob) = packed.map_err(damaged)?;
        let opened = self.shelf.open(connection, &blob, id, place).map_err(damaged)?;
        if opened != plain {
            return Err(damaged(Bad("what was packed does not come back as it was")));
        }
        let templates = &mut self.shelf.templates;
        Rest::parse(opened, |from| templates.read(connection, from)).map_err(damaged)?;
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
