//! Where rows that match can be at all: what saves a filter from reading every record. Never too little, often too much.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::store::filters;
use crate::store::zones::block_of;

/// Limit: seqs that are kept one by one; of more, their blocks are.
pub(super) const SEQS_MAX: usize = 20_000;
/// Limit: different values of one field that are looked through.
const VALUES_MAX: usize = 16_384;

/// The places that are left to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Candidates {
    All,
    Blocks(Blocks),
    /// Newest first, each once.
    Seqs(Vec<i64>),
}

/// A set of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Blocks {
    bits: Vec<u64>,
}

impl Candidates {
    /// Of seqs in any order.
    pub(super) fn of_seqs(mut seqs: Vec<i64>) -> Self {
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        seqs.dedup();
        if seqs.len() > SEQS_MAX {
            return Self::Blocks(seqs.into_iter().map(block_of).collect());
        }
        Self::Seqs(seqs)
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (other, Self::All) => other,
            (Self::Seqs(seqs), Self::Seqs(other)) => Self::Seqs(
                seqs.into_iter()
                    .filter(|seq| other.binary_search_by(|probe| seq.cmp(probe)).is_ok())
                    .collect(),
            ),
            (Self::Seqs(mut seqs), Self::Blocks(blocks))
            | (Self::Blocks(blocks), Self::Seqs(mut seqs)) => {
                seqs.retain(|seq| blocks.has(block_of(*seq)));
                Self::Seqs(seqs)
            }
            (Self::Blocks(mut blocks), Self::Blocks(other)) => {
                blocks.bits.truncate(other.bits.len());
                for (bits, other) in blocks.bits.iter_mut().zip(other.bits) {
                    *bits &= other;
                }
                Self::Blocks(blocks)
            }
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Seqs(mut seqs), Self::Seqs(other)) => {
                seqs.extend(other);
                Self::of_seqs(seqs)
            }
            (left, right) => {
                let mut blocks = left.into_blocks();
                blocks.add_all(&right.into_blocks());
                Self::Blocks(blocks)
            }
        }
    }

    fn into_blocks(self) -> Blocks {
        match self {
            Self::Blocks(blocks) => blocks,
            Self::Seqs(seqs) => seqs.into_iter().map(block_of).collect(),
            Self::All => Blocks::default(),
        }
    }
}

impl Blocks {
    pub(super) fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }

    pub(super) fn add(&mut self, block: i64) {
        let Ok(block) = usize::try_from(block) else { return };
        let word = block / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= 1 << (block % 64);
        }
    }

    pub(super) fn has(&self, block: i64) -> bool {
        let Ok(block) = usize::try_from(block) else { return false };
        self.bits.get(block / 64).is_some_and(|bits| bits >> (block % 64) & 1 == 1)
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        if self.bits.len() < other.bits.len() {
            self.bits.resize(other.bits.len(), 0);
        }
        for (bits, other) in self.bits.iter_mut().zip(&other.bits) {
            *bits |= other;
        }
    }

    /// The highest stretch of neighbouring blocks that lies at `highest` or below it.
    pub(super) fn run_below(&self, highest: i64) -> Option<(i64, i64)> {
        let top = i64::try_from(self.bits.len()).ok()?.saturating_mul(64) - 1;
        let mut last = highest.min(top);
        while last >= 0 && !self.has(last) {
            // Whole words of nothing are passed over at once.
            let empty =
                usize::try_from(last / 64).ok().and_then(|word| self.bits.get(word)) == Some(&0);
            last = if empty { last / 64 * 64 - 1 } else { last - 1 };
        }
        if last < 0 {
            return None;
        }
        let mut first = last;
        while self.has(first - 1) {
            first -= 1;
        }
        Some((first, last))
    }

    /// The lowest stretch that lies at `lowest` or above it.
    pub(super) fn run_above(&self, lowest: i64) -> Option<(i64, i64)> {
        let top = i64::try_from(self.bits.len()).ok()?.saturating_mul(64) - 1;
        let mut first = lowest.max(0);
        while first <= top && !self.has(first) {
            first += 1;
        }
        if first > top {
            return None;
        }
        let mut last = first;
        while self.has(last + 1) {
            last += 1;
        }
        Some((first, last))
    }
}

impl FromIterator<i64> for Blocks {
    fn from_iter<I: IntoIterator<Item = i64>>(blocks: I) -> Self {
        let mut set = Self::default();
        for block in blocks {
            set.add(block);
        }
        set
    }
}

/// The blocks in which a field has one of these values.
pub(super) fn with_values(
    connection: &Connection,
    field: i64,
    values: &[Value],
) -> rusqlite::Result<Blocks> {
    let sql = "SELECT block FROM zones WHERE field = ?1 AND value = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut blocks = Blocks::default();
    for value in values {
        let mut rows = statement.query((field, value))?;
        while let Some(row) = rows.next()? {
            blocks.add(row.get(0)?);
        }
    }
    Ok(blocks)
}

/// The blocks in which a field has a number from `min` to `max`.
pub(super) fn between(
    connection: &Connection,
    field: i64,
    min: i64,
    max: i64,
) -> rusqlite::Result<Blocks> {
    let sql = "SELECT block FROM zones WHERE field = ?1 AND value BETWEEN ?2 AND ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((field, min, max))?;
    let mut blocks = Blocks::default();
    while let Some(row) = rows.next()? {
        blocks.add(row.get(0)?);
    }
    Ok(blocks)
}

/// The blocks whose filter of a field may have a text; without one, all that have a filter.
pub(super) fn filtered(
    connection: &Connection,
    field: i64,
    text: Option<&str>,
) -> rusqlite::Result<Blocks> {
    let sql = "SELECT block, bits FROM zone_filters WHERE field = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([field])?;
    let places = text.map(filters::places);
    let mut blocks = Blocks::default();
    while let Some(row) = rows.next()? {
        let bits = row.get_ref(1)?.as_blob().unwrap_or_default();
        if places.is_none_or(|places| filters::has(bits, places)) {
            blocks.add(row.get(0)?);
        }
    }
    Ok(blocks)
}

/// The values that a field has anywhere, from one to the next through the index; `None`: there are too many.
pub(super) fn values(connection: &Connection, field: i64) -> rusqlite::Result<Option<Vec<Value>>> {
    let first = "SELECT value FROM zones WHERE field = ?1 ORDER BY value LIMIT 1";
    let next = "SELECT value FROM zones WHERE field = ?1 AND value > ?2 ORDER BY value LIMIT 1";
    let mut next = connection.prepare_cached(next)?;
    let mut found: Vec<Value> = Vec::new();
    let mut value =
        optional(connection.prepare_cached(first)?.query_row([field], |row| row.get(0)))?;
    while let Some(one) = value {
        if found.len() >= VALUES_MAX {
            return Ok(None);
        }
        value = optional(next.query_row((field, &one), |row| row.get(0)))?;
        found.push(one);
    }
    Ok(Some(found))
}

fn optional<T>(found: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error),
    }
}
