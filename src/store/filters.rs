//! Which texts a block may have: 16,384 bits, of which each text sets four. A text whose bits are not all set is not there;
//! of a thousand texts in a block, another is taken for one of them once in four hundred times.
//!
//! Upper and lower case are the same, as to the queries. The bits are in files: how they are chosen never changes.

use rusqlite::{Connection, OptionalExtension};

/// Bits of a filter, as a power of two.
const BITS_LOG2: u32 = 14;
const WORDS: usize = 1 << (BITS_LOG2 - 6);
/// Bytes of a filter in which every bit has its place.
const BYTES: usize = 1 << (BITS_LOG2 - 3);
/// Limit: bits of a filter that is written as the list of them, two bytes each.
const LISTED_MAX: usize = BYTES / 2 / 2;

/// The bits of one text.
pub(super) type Places = [u16; 4];

/// Those of a text.
pub(super) fn places(text: &str) -> Places {
    let hash = blake3::hash(text.to_ascii_lowercase().as_bytes());
    let bits = hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mask = (1 << BITS_LOG2) - 1;
    [0, 16, 32, 48].map(|shift| u16::try_from(bits >> shift & mask).unwrap_or_default())
}

/// The filter of one field in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    bits: Box<[u64; WORDS]>,
    /// Words are in it, too.
    words: bool,
    changed: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { bits: Box::new([0; WORDS]), words: false, changed: false }
    }
}

impl Filter {
    pub(super) fn add(&mut self, places: Places) {
        for place in places {
            self.set(place);
        }
    }

    fn set(&mut self, place: u16) {
        if let Some(word) = self.bits.get_mut(usize::from(place >> 6)) {
            let before = *word;
            *word |= 1 << (place & 63);
            self.changed |= *word != before;
        }
    }

    #[cfg(test)]
    pub(super) fn has(&self, places: Places) -> bool {
        has(&self.encode(), places)
    }

    pub(super) fn hold_words(&mut self) {
        self.changed |= !self.words;
        self.words = true;
    }

    pub(super) fn holds_words(&self) -> bool {
        self.words
    }

    pub(super) fn read(
        connection: &Connection,
        field: u8,
        block: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT words, bits FROM zone_filters WHERE field = ? AND block = ?";
        let mut statement = connection.prepare_cached(sql)?;
        let read = statement.query_row((field, block), |row| {
            Ok(Self::decode(row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default()))
        });
        read.optional()
    }

    /// Writes what changed since it was read or written.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        field: u8,
        block: i64,
    ) -> rusqlite::Result<()> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let sql =
            "INSERT OR REPLACE INTO zone_filters (field, block, words, bits) VALUES (?, ?, ?, ?)";
        let mut statement = connection.prepare_cached(sql)?;
        statement.execute((field, block, self.words, self.encode())).map(|_| ())
    }

    /// All bits, or where few are set, their places: the length tells which.
    fn encode(&self) -> Vec<u8> {
        let set: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        if set as usize > LISTED_MAX {
            return self.bits.iter().flat_map(|word| word.to_le_bytes()).collect();
        }
        let mut list = Vec::with_capacity(set as usize * 2);
        for (at, word) in (0u16..).zip(self.bits.iter()) {
            let mut rest = *word;
            while rest != 0 {
                let place = (at << 6) + u16::try_from(rest.trailing_zeros()).unwrap_or_default();
                list.extend(place.to_le_bytes());
                rest &= rest - 1;
            }
        }
        list
    }

    fn decode(words: bool, bytes: &[u8]) -> Self {
        let mut filter = Self { words, ..Self::default() };
        if bytes.len() == BYTES {
            for (word, bytes) in filter.bits.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            return filter;
        }
        for place in bytes.as_chunks().0 {
            filter.set(u16::from_le_bytes(*place));
        }
        filter.changed = false;
        filter
    }
}

/// Whether a filter as it is written has all of these.
pub(super) fn has(bytes: &[u8], places: Places) -> bool {
    if bytes.len() == BYTES {
        let bit = |place: u16| {
            bytes.get(usize::from(place >> 3)).is_some_and(|byte| byte >> (place & 7) & 1 == 1)
        };
        return places.into_iter().all(bit);
    }
    let list = bytes.as_chunks().0;
    places.into_iter().all(|place| list.contains(&place.to_le_bytes()))
}

/// Removes those of fields and blocks, whose numbers stand in lists with commas: the key leads to each.
pub(super) fn clear(connection: &Connection, fields: &str, blocks: &str) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM zone_filters WHERE field IN ({fields}) AND block IN ({blocks})");
    connection.execute(&sql, []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_what_was_put_in_and_little_else_at_any_size() {
        for count in [0, 1, 100, 128, 129, 1_024, 5_000] {
            let text = |n: usize| format!("Ticket=T-{n}");
            let mut filter = Filter::default();
            (0..count).for_each(|n| filter.add(places(&text(n))));
            let bytes = filter.encode();
            assert!(bytes.len() <= (count * 8).min(BYTES), "{count}: {} bytes", bytes.len());
            let back = Filter::decode(false, &bytes);
            assert_eq!(back.bits, filter.bits, "{count}");
            assert!((0..count).all(|n| has(&bytes, places(&text(n).to_uppercase()))), "{count}");
            let wrong = (10_000..20_000).filter(|n| has(&bytes, places(&text(*n)))).count();
            let most = if count > 1_024 { 10_000 } else { 60 };
            assert!(wrong <= most, "{count}: {wrong} of 10000");
        }
    }

    #[test]
    fn the_bits_of_a_text_never_change() {
        assert_eq!(places("team=search"), places("TEAM=Search"));
        assert_eq!(places("team=search"), [4_978, 14_851, 12_278, 2_813]);
    }
}
