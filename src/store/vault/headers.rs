//! The line and the headers of a leg, as differences from a template: legs of one client and one provider have the same
//! names in the same order, and most values are the same too.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;

use crate::base::clock;
use crate::store::vault::Seal;
use crate::store::vault::dictionaries::{self, TRAINED_MIN};
use crate::store::vault::hash::SegmentHasher;
use crate::store::vault::wire::{Bad, Cursor, Put};

/// In the column `kind` of `dictionaries`.
pub(super) const KIND: &str = "headers";
/// Limit: templates of a store; what has none is written out.
const TEMPLATES_MAX: usize = 1_024;
/// Limit: combinations of names that were seen once; then they are forgotten.
const SEEN_MAX: usize = 4_096;
/// Limit: headers of a template.
const NAMES_MAX: usize = 256;

const LINE: u64 = 1;
const HEADERS: u64 = 2;
const TEMPLATE: u64 = 4;

/// A leg's line and headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) line: Option<Bytes>,
    pub(super) headers: Option<Vec<(Bytes, Bytes)>>,
}

impl Head {
    /// The values in their order, the line first.
    fn values(&self) -> impl Iterator<Item = &Bytes> {
        let values = self.headers.iter().flatten().map(|(_, value)| value);
        self.line.iter().chain(values)
    }

    fn flags(&self) -> u64 {
        let flag = |set, flag| if set { flag } else { 0 };
        flag(self.line.is_some(), LINE) | flag(self.headers.is_some(), HEADERS)
    }

    /// Written out.
    pub(super) fn write_whole(&self, to: &mut Vec<u8>) {
        to.put_number(self.flags());
        if let Some(line) = &self.line {
            to.put_text(line);
        }
        if let Some(headers) = &self.headers {
            to.put_number(headers.len() as u64);
            for (name, value) in headers {
                to.put_text(name);
                to.put_text(value);
            }
        }
    }

    fn read_whole(flags: u64, from: &mut Cursor<'_>) -> Result<Self, Bad> {
        let bytes = |from: &mut Cursor<'_>| from.text().map(Bytes::copy_from_slice);
        let line = if flags & LINE != 0 { Some(bytes(from)?) } else { None };
        if flags & HEADERS == 0 {
            return Ok(Self { line, headers: None });
        }
        let count = from.count()?;
        let mut headers = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            headers.push((bytes(from)?, bytes(from)?));
        }
        Ok(Self { line, headers: Some(headers) })
    }

    /// Which values differ from the template's, one bit each, then these values.
    fn write_differences(&self, id: i64, template: &Self, to: &mut Vec<u8>) {
        to.put_number(TEMPLATE);
        to.put_number((id - TRAINED_MIN).cast_unsigned());
        let differs = || self.values().zip(template.values()).map(|(own, theirs)| own != theirs);
        let mut bits = 0_u8;
        let mut count = 0;
        for differs in differs() {
            bits |= u8::from(differs) << (count % 8);
            count += 1;
            if count % 8 == 0 {
                to.push(std::mem::take(&mut bits));
            }
        }
        if count % 8 != 0 {
            to.push(bits);
        }
        for (value, differs) in self.values().zip(differs()) {
            if differs {
                to.put_text(value);
            }
        }
    }

    fn read_differences(template: &Self, from: &mut Cursor<'_>) -> Result<Self, Bad> {
        let mut head = template.clone();
        let count = head.values().count();
        let bits = from.take(count.div_ceil(8))?;
        let headers = head.headers.iter_mut().flatten().map(|(_, value)| value);
        for (n, value) in head.line.iter_mut().chain(headers).enumerate() {
            if bits.get(n / 8).is_some_and(|byte| byte & 1 << (n % 8) != 0) {
                *value = Bytes::copy_from_slice(from.text()?);
            }
        }
        Ok(head)
    }
}

/// The templates of a store: each stays what it was, so that differences from it can be read for ever.
#[derive(Debug, Default)]
pub(super) struct Templates {
    by_id: HashMap<i64, Arc<Head>>,
    /// By the digest of the names.
    by_names: HashMap<u128, i64>,
    /// Names that came once; what comes twice gets a template.
    seen: HashSet<u128>,
    /// Whether all of the store's have been read into `by_names`.
    loaded: bool,
}

impl Templates {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes a head, as differences where there is a template for it; makes one when names come for the second time.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        (seal, hasher): (Option<&dyn Seal>, &SegmentHasher),
        head: &Head,
        to: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        let count = head.headers.as_ref().map_or(0, Vec::len);
        if count == 0 || count > NAMES_MAX {
            head.write_whole(to);
            return Ok(());
        }
        if !self.loaded {
            self.load(connection, seal, hasher)?;
        }
        let names = names(hasher, head);
        let known = match self.by_names.get(&names) {
            Some(id) => Some(*id),
            None => self.learn(connection, seal, names, head)?,
        };
        match known.and_then(|id| Some((id, self.by_id.get(&id)?))) {
            Some((id, template)) => head.write_differences(id, template, to),
            None => head.write_whole(to),
        }
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        connection: &Connection,
        seal: Option<&dyn Seal>,
        from: &mut Cursor<'_>,
    ) -> Result<Head, Bad> {
        let flags = from.number()?;
        if flags & TEMPLATE == 0 {
            return Head::read_whole(flags, from);
        }
        let id = i64::try_from(from.number()?).ok().and_then(|id| id.checked_add(TRAINED_MIN));
        let id = id.ok_or(Bad("a template has no such number"))?;
        let template = match self.by_id.get(&id) {
            Some(template) => Arc::clone(template),
            None => self.fetch(connection, seal, id).ok_or(Bad("a template is missing"))?,
        };
        Head::read_differences(&template, from)
    }

    fn fetch(
        &mut self,
        connection: &Connection,
        seal: Option<&dyn Seal>,
        id: i64,
    ) -> Option<Arc<Head>> {
        let (label, bytes) = dictionaries::row(connection, seal, id)?;
        let template = Arc::new(parse(&bytes).ok().filter(|_| label == KIND)?);
        self.by_id.insert(id, Arc::clone(&template));
        Some(template)
    }

    fn load(
        &mut self,
        connection: &Connection,
        seal: Option<&dyn Seal>,
        hasher: &SegmentHasher,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT id FROM dictionaries WHERE kind = ?1 ORDER BY id";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([dictionaries::kind(KIND, seal.is_some())])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if let Some(head) = self.fetch(connection, seal, id) {
                self.by_names.insert(names(hasher, &head), id);
            }
        }
        self.loaded = true;
        Ok(())
    }

    fn learn(
        &mut self,
        connection: &Connection,
        seal: Option<&dyn Seal>,
        names: u128,
        head: &Head,
    ) -> rusqlite::Result<Option<i64>> {
        if self.by_names.len() >= TEMPLATES_MAX {
            return Ok(None);
        }
        if self.seen.insert(names) {
            if self.seen.len() > SEEN_MAX {
                self.seen.clear();
            }
            return Ok(None);
        }
        let mut bytes = Vec::new();
        head.write_whole(&mut bytes);
        let told = (1, clock::wall_us());
        let id = dictionaries::insert(connection, seal, KIND, told, &bytes)?;
        self.by_names.insert(names, id);
        self.by_id.insert(id, Arc::new(head.clone()));
        Ok(Some(id))
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Head, Bad> {
    let mut from = Cursor::new(bytes);
    let flags = from.number()?;
    Head::read_whole(flags, &mut from)
}

/// The head with each of its values changed by `change`, as the bytes of a template; `None` when nothing changes.
pub(super) fn changed(
    bytes: &[u8],
    change: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Bad> {
    let mut head = parse(bytes)?;
    if !change_values(&mut head, change) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    head.write_whole(&mut bytes);
    Ok(Some(bytes))
}

/// Changes the values; whether there was anything to change.
pub(super) fn change_values(head: &mut Head, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let headers = head.headers.iter_mut().flatten().map(|(_, value)| value);
    let mut any = false;
    for value in head.line.iter_mut().chain(headers) {
        if let Some(changed) = change(value) {
            *value = changed.into();
            any = true;
        }
    }
    any
}

fn names(hasher: &SegmentHasher, head: &Head) -> u128 {
    let mut bytes = vec![head.flags() as u8];
    for (name, _) in head.headers.iter().flatten() {
        bytes.put_text(name);
    }
    hasher.hash(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(line: Option<&str>, headers: &[(&str, &str)]) -> Head {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let headers = headers.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        Head { line: line.map(bytes), headers: Some(headers) }
    }

    #[test]
    fn the_third_of_its_kind_takes_a_few_bytes() {
        let connection = super::super::tests::connection();
        let hasher = SegmentHasher::default();
        let mut templates = Templates::default();
        let heads: Vec<Head> = (0..9)
            .map(|n| {
                let id = format!("req-{n}");
                let (line, agent) = (Some("POST /v1/x HTTP/1.1"), "a long user agent");
                head(
                    line,
                    &[("host", "a"), ("user-agent", agent), ("x-id", &id), ("a", ""), ("a", "1")],
                )
            })
            .collect();
        let mut written = Vec::new();
        for head in &heads {
            let mut bytes = Vec::new();
            templates.write(&connection, (None, &hasher), head, &mut bytes).unwrap();
            written.push(bytes);
        }
        assert!(written[0].len() > 50);
        assert_eq!(written[1].len(), 3, "the second is the template");
        assert_eq!(written[2].len(), 3 + 6);
        for (head, bytes) in heads.iter().zip(&written) {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(&Templates::default().read(&connection, None, &mut cursor).unwrap(), head);
            assert_eq!(cursor.left(), 0);
        }
        // A new process goes on with the template that is there.
        let mut bytes = Vec::new();
        let hasher = SegmentHasher::default();
        Templates::default().write(&connection, (None, &hasher), &heads[4], &mut bytes).unwrap();
        assert_eq!(bytes, written[4]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let connection = super::super::tests::connection();
            let mut cursor = Cursor::new(&bytes);
            let _refused = Templates::default().read(&connection, None, &mut cursor);
        }
    }
}
