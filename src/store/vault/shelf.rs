//! Reads contents and puts bodies together. Keeps what it has unpacked, so that the turns of a conversation unpack each
//! content once.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use crate::store::vault::codec::Codec;
use crate::store::vault::content::{Content, List};
use crate::store::vault::dictionaries;
use crate::store::vault::headers::Templates;
use crate::store::vault::index::Folded;
use crate::store::vault::recipe::Insert;
use crate::store::vault::rest::Weave;
use crate::store::vault::wire::{Bad, Cursor, Put};
use crate::store::vault::{NO_KEY, Part, Seal, VaultError};

/// Limit: unpacked contents kept, in bytes; there are two generations of half.
const KEPT_BYTES: usize = 32 << 20;
/// Limit: bases that stand on each other; far more than are written.
const DEPTH_MAX: usize = 256;
/// Limit: bytes of a body.
const BODY_MAX: usize = 1 << 30;

/// The number in the column of a content whose frame goes on from an earlier content.
pub(super) const AFTER: i64 = 100;
/// Limit: contents that go on from each other; twice what is written.
const AFTER_MAX: usize = 64;

/// A content's blob, not sealed.
#[derive(Debug)]
pub(super) struct Blob {
    id: i64,
    /// The exchange whose content the frame goes on from; told in the first `head` bytes.
    after: Option<i64>,
    head: usize,
    bytes: Vec<u8>,
}

/// What reading needs: contexts for decompression, the key if there is one, and contents unpacked lately.
#[derive(Debug, Default)]
pub struct Shelf {
    pub(super) codec: Codec,
    pub(super) templates: Templates,
    pub(in crate::store) seal: Option<Arc<dyn Seal>>,
    young: HashMap<i64, Arc<Content>, BuildHasherDefault<Folded>>,
    young_bytes: usize,
    old: HashMap<i64, Arc<Content>, BuildHasherDefault<Folded>>,
}

impl Shelf {
    pub fn new(seal: Option<Arc<dyn Seal>>) -> Self {
        Self { seal, ..Self::default() }
    }

    /// The content of an exchange.
    pub(super) fn content(
        &mut self,
        connection: &Connection,
        seq: i64,
    ) -> Result<Arc<Content>, VaultError> {
        if let Some(content) = self.young.get(&seq) {
            return Ok(Arc::clone(content));
        }
        if let Some(content) = self.old.get(&seq).cloned() {
            self.keep(Arc::clone(&content));
            return Ok(content);
        }
        let (mut chain, mut next) = (Vec::new(), Some(seq));
        let mut before = None;
        while let Some(seq) = next {
            if let Some(content) = self.young.get(&seq).or_else(|| self.old.get(&seq)) {
                before = Some(Arc::clone(content));
                break;
            }
            let blob = self.blob(connection, seq)?;
            next = blob.after;
            chain.push((seq, blob));
            if chain.len() > AFTER_MAX {
                let reason = Bad("contents go on from each other without an end");
                return Err(VaultError::Damaged { seq, reason });
            }
        }
        while let Some((seq, blob)) = chain.pop() {
            let content = self.unpack(connection, seq, &blob, before);
            let content = content.map_err(|reason| VaultError::Damaged { seq, reason })?;
            self.keep(Arc::clone(&content));
            before = Some(content);
        }
        before.ok_or(VaultError::Damaged { seq, reason: Bad("a content is missing") })
    }

    /// The blob of a content as it is stored, opened where it is sealed.
    fn blob(&self, connection: &Connection, seq: i64) -> Result<Blob, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let sql = "SELECT content_dictionary, content FROM bodies WHERE seq = ?1";
        let row = connection
            .prepare_cached(sql)?
            .query_row([seq], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
            })
            .optional()?;
        let Some((Some(id), Some(bytes))) = row else {
            return Err(damaged(Bad("content that is needed is not there")));
        };
        let (id, bytes) = self.unseal(bytes, id, (seq, Part::Content)).map_err(damaged)?;
        let mut blob = Blob { id, after: None, head: 0, bytes };
        if id == AFTER {
            let mut cursor = Cursor::new(&blob.bytes);
            let by = cursor.number().map_err(damaged)?;
            let after =
                i64::try_from(by).ok().filter(|by| *by > 0).and_then(|by| seq.checked_sub(by));
            blob.after = Some(after.ok_or(damaged(Bad("a content goes on from a later one")))?);
            blob.head = blob.bytes.len() - cursor.left();
        }
        Ok(blob)
    }

    /// Unpacks a content whose frame goes on from `before`.
    pub(super) fn unpack(
        &mut self,
        connection: &Connection,
        seq: i64,
        blob: &Blob,
        before: Option<Arc<Content>>,
    ) -> Result<Arc<Content>, Bad> {
        let bytes = blob.bytes.get(blob.head..).unwrap_or_default();
        let before = before.filter(|before| blob.after == Some(before.seq));
        let plain = match &before {
            Some(before) => self.codec.open_after(bytes, &before.window())?,
            None if blob.id == AFTER => return Err(Bad("the content before it is missing")),
            None => {
                let seal = self.seal.as_deref();
                self.codec
                    .open(bytes, blob.id, || dictionaries::bytes(connection, seal, blob.id))?
            }
        };
        Ok(Arc::new(Content::parse(seq, before, plain)?))
    }

    /// Packs a content, going on from `before` where there is one; as it goes into the row, and as [`Self::unpack`] wants it.
    pub(super) fn pack_content(
        &mut self,
        connection: &Connection,
        seq: i64,
        plain: &[u8],
        (id, before): (i64, Option<&Content>),
    ) -> Result<((i64, Vec<u8>), Blob), Bad> {
        let blob = match before {
            None => {
                let bytes = self.pack_with(connection, plain, id)?;
                Blob { id, after: None, head: 0, bytes }
            }
            Some(before) => {
                let mut bytes = Vec::new();
                bytes.put_number((seq - before.seq).cast_unsigned());
                let head = bytes.len();
                bytes.extend(Codec::pack_after(plain, &before.window())?);
                Blob { id: AFTER, after: Some(before.seq), head, bytes }
            }
        };
        let row = match &self.seal {
            None => (blob.id, blob.bytes.clone()),
            Some(seal) => (-1 - blob.id, sealed(&**seal, &blob.bytes, (seq, Part::Content))?),
        };
        Ok((row, blob))
    }

    /// Keeps what was unpacked.
    pub(super) fn keep(&mut self, content: Arc<Content>) {
        if self.young_bytes > KEPT_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += content.weight();
        self.young.insert(content.seq, content);
    }

    pub(super) fn forget(&mut self, seq: i64) {
        self.young.remove(&seq);
        self.old.remove(&seq);
    }

    /// Forgets everything that was unpacked: it may have changed on the disk.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_bytes = 0;
        self.codec.forget_trained();
        self.templates.clear();
    }

    /// The number for a blob's column: of its dictionary, below zero when it is sealed.
    pub(super) fn pack(
        &mut self,
        connection: &Connection,
        plain: &[u8],
        id: i64,
        place: (i64, Part),
    ) -> Result<(i64, Vec<u8>), Bad> {
        let blob = self.pack_with(connection, plain, id)?;
        Ok(match &self.seal {
            None => (id, blob),
            Some(seal) => (-1 - id, sealed(&**seal, &blob, place)?),
        })
    }

    /// A blob, not sealed yet.
    pub(super) fn pack_with(
        &mut self,
        connection: &Connection,
        plain: &[u8],
        id: i64,
    ) -> Result<Vec<u8>, Bad> {
        let seal = self.seal.as_deref();
        self.codec.pack(plain, id, || dictionaries::bytes(connection, seal, id))
    }

    pub(super) fn open(
        &mut self,
        connection: &Connection,
        blob: &[u8],
        id: i64,
        place: (i64, Part),
    ) -> Result<Vec<u8>, Bad> {
        if id >= 0 {
            let seal = self.seal.as_deref();
            return self.codec.open(blob, id, || dictionaries::bytes(connection, seal, id));
        }
        let (id, blob) = self.unseal(blob.to_vec(), id, place)?;
        let seal = self.seal.as_deref();
        self.codec.open(&blob, id, || dictionaries::bytes(connection, seal, id))
    }

    /// Decrypts what is encrypted.
    fn unseal(&self, blob: Vec<u8>, id: i64, place: (i64, Part)) -> Result<(i64, Vec<u8>), Bad> {
        if id >= 0 {
            return Ok((id, blob));
        }
        let seal = self.seal.as_deref().ok_or(NO_KEY)?;
        let opened = seal.open(&blob, place.0, place.1);
        Ok((-1 - id, opened.ok_or(Bad("it is encrypted with another key, or was changed"))?))
    }

    /// The segments of the body of a leg, in order.
    pub(super) fn list(
        &mut self,
        connection: &Connection,
        seq: i64,
        leg: u64,
    ) -> Result<List, VaultError> {
        let mut todo = vec![(seq, leg)];
        let mut list = None;
        while let Some(&(seq, leg)) = todo.last() {
            let damaged = |reason| VaultError::Damaged { seq, reason };
            let content = self.content(connection, seq)?;
            let found = content.leg(leg).ok_or(damaged(Bad("a recipe is missing")))?;
            let based = match (found.list.get(), found.recipe.base) {
                (Some(_), _) | (None, None) => None,
                (None, Some(base)) => {
                    if (base.seq, base.leg) >= (seq, leg) || todo.len() > DEPTH_MAX {
                        return Err(damaged(Bad("recipes stand on each other without an end")));
                    }
                    let content = self.content(connection, base.seq)?;
                    let based = content.leg(base.leg).and_then(|leg| leg.list.get());
                    let Some(based) = based else {
                        todo.push((base.seq, base.leg));
                        continue;
                    };
                    Some(based.clone())
                }
            };
            list = Some(found.expand(seq, based.as_ref()).map_err(damaged)?);
            todo.pop();
        }
        list.ok_or(VaultError::Damaged { seq, reason: Bad("a list is missing") })
    }

    /// Puts the body of a leg together.
    pub(super) fn assemble(
        &mut self,
        connection: &Connection,
        seq: i64,
        leg: u64,
    ) -> Result<Vec<u8>, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let list = self.list(connection, seq, leg)?;
        let mut body = Vec::new();
        let mut held: Option<Arc<Content>> = None;
        for place in list.places.iter() {
            let content = match held.take().filter(|content| content.seq == place.seq) {
                Some(content) => content,
                None => self.content(connection, place.seq)?,
            };
            let (bytes, form) =
                content.segment(place.index).ok_or(damaged(Bad("a segment is missing")))?;
            if body.len() + bytes.len() > BODY_MAX {
                return Err(damaged(Bad("a body is larger than any can be")));
            }
            form.write(bytes, &mut body);
            held = Some(content);
        }
        let content = self.content(connection, seq)?;
        let recipe = content.leg(leg).ok_or(damaged(Bad("a recipe is missing")))?;
        with_inserts(body, &recipe.recipe.inserts).map_err(damaged)
    }

    /// Puts a stream together.
    pub(super) fn weave(
        &mut self,
        connection: &Connection,
        seq: i64,
        weave: &Weave,
    ) -> Result<Vec<u8>, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let content = self.content(connection, seq)?;
        let mut texts = Vec::new();
        for segment in &weave.segments {
            let segment = content.segment(*segment).ok_or(damaged(Bad("a segment is missing")))?;
            segment.1.write(segment.0, &mut texts);
        }
        weave.plan.put_together(&texts).map_err(damaged)
    }

    /// The exchanges whose content the bodies of `seq` are put together of, its own among them, ascending.
    pub(super) fn used(
        &mut self,
        connection: &Connection,
        seq: i64,
    ) -> Result<BTreeSet<i64>, VaultError> {
        let content = self.content(connection, seq)?;
        let mut used = BTreeSet::from([seq]);
        for leg in &content.legs {
            let list = self.list(connection, seq, leg.leg)?;
            used.extend(leg.recipe.base.map(|base| base.seq));
            let mut last = None;
            for place in list.places.iter() {
                if last != Some(place.seq) {
                    used.insert(place.seq);
                    last = Some(place.seq);
                }
            }
        }
        Ok(used)
    }
}

/// Encrypts; what cannot be is not stored.
fn sealed(seal: &dyn Seal, blob: &[u8], (seq, part): (i64, Part)) -> Result<Vec<u8>, Bad> {
    let sealed = seal.seal(blob, seq, part);
    if sealed.is_empty() { Err(Bad("it cannot be encrypted")) } else { Ok(sealed) }
}

/// `plain` with what stands in it and in no segment.
pub(super) fn with_inserts(plain: Vec<u8>, inserts: &[Insert]) -> Result<Vec<u8>, Bad> {
    if inserts.is_empty() {
        return Ok(plain);
    }
    let more: usize = inserts.iter().map(|insert| insert.text.len()).sum();
    let (mut body, mut from) = (Vec::with_capacity(plain.len() + more), 0);
    for insert in inserts {
        let before = plain.get(from..insert.at).ok_or(Bad("an insert is outside of its body"))?;
        body.extend_from_slice(before);
        body.extend_from_slice(&insert.text);
        from = insert.at;
    }
    body.extend_from_slice(plain.get(from..).unwrap_or_default());
    Ok(body)
}
