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
use crate::store::vault::wire::Bad;
use crate::store::vault::{Part, Seal, VaultError};

/// Limit: unpacked contents kept, in bytes; there are two generations of half.
const KEPT_BYTES: usize = 32 << 20;
/// Limit: bases that stand on each other; far more than are written.
const DEPTH_MAX: usize = 256;
/// Limit: bytes of a body.
const BODY_MAX: usize = 1 << 30;

/// What reading needs: contexts for decompression, the key if there is one, and contents unpacked lately.
#[derive(Debug, Default)]
pub struct Shelf {
    pub(super) codec: Codec,
    pub(super) templates: Templates,
    pub(super) seal: Option<Arc<dyn Seal>>,
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
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let sql = "SELECT content_dictionary, content FROM bodies WHERE seq = ?1";
        let row = connection
            .prepare_cached(sql)?
            .query_row([seq], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
            })
            .optional()?;
        let Some((Some(id), Some(blob))) = row else {
            return Err(damaged(Bad("content that is needed is not there")));
        };
        let plain = self.open(connection, &blob, id, (seq, Part::Content)).map_err(damaged)?;
        let content = Arc::new(Content::parse(seq, plain).map_err(damaged)?);
        self.keep(Arc::clone(&content));
        Ok(content)
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
        let blob = self.codec.pack(plain, id, || dictionaries::bytes(connection, id))?;
        Ok(match &self.seal {
            None => (id, blob),
            Some(seal) => (-1 - id, seal.seal(&blob, place.0, place.1)),
        })
    }

    pub(super) fn open(
        &mut self,
        connection: &Connection,
        blob: &[u8],
        id: i64,
        place: (i64, Part),
    ) -> Result<Vec<u8>, Bad> {
        if id >= 0 {
            return self.codec.open(blob, id, || dictionaries::bytes(connection, id));
        }
        let seal = self.seal.as_ref().ok_or(Bad("it is encrypted, and no key was given"))?;
        let opened = seal.open(blob, place.0, place.1);
        let opened = opened.ok_or(Bad("it is encrypted with another key, or was changed"))?;
        let id = -1 - id;
        self.codec.open(&opened, id, || dictionaries::bytes(connection, id))
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
