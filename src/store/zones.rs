//! The skip index: which blocks of 1,024 records have which value of which field, so that a filter reads the blocks that
//! may have what it looks for and no others. A value costs one row a block, however many records have it; texts that come
//! only once, and whatever a block has very many of, stand in a filter of the block instead.
//!
//! Zones promise no false absence: a block without a row, and without the text in its filter, has no such record. They may
//! name blocks that have it no more. Sessions, runs and labels have indexes of their own and stand in no zone.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use crate::store::filters::{self, Filter, Places, places};
use crate::store::words::{Word, Words};

/// Records to a block, as a power of two: `block = seq >> BLOCK_LOG2`.
pub const BLOCK_LOG2: u32 = 10;
/// Limit: words of one open field that have rows in one block; past it they are in the block's filter.
const WORDS_MAX: usize = 64;
/// Of a size, how many bits below its highest count: four sizes to each power of two.
const FINE_LOG2: i64 = 2;

/// What can be filtered by. The numbers are in files and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    // By value: words, and numbers as they are.
    Provider = 1,
    Model = 2,
    ModelRequested = 3,
    Dialect = 4,
    Operation = 5,
    Outcome = 6,
    Status = 7,
    UpstreamStatus = 8,
    ErrorSource = 9,
    ErrorKind = 10,
    FinishReason = 11,
    Agent = 12,
    Method = 13,
    Path = 14,
    KeyLabel = 15,
    UserLabel = 16,
    /// The name of one tool.
    Tool = 17,
    /// `name=value`.
    Tag = 18,
    /// `name=value`, the name in lower case.
    Header = 19,
    /// 0 or 1.
    Stream = 20,
    /// The level's number.
    Level = 21,
    /// One bit of `flags`, as a number.
    Flag = 22,
    /// One bit of `signals`, as a number.
    Signal = 23,
    UsageSource = 24,
    // By size: the value is the logarithm in quarters, see [`size`].
    Ttft = 64,
    Duration = 65,
    Overhead = 66,
    InputTokens = 67,
    OutputTokens = 68,
    CacheReadTokens = 69,
    CacheWriteTokens = 70,
    ReasoningTokens = 71,
    Cost = 72,
    RequestBytes = 73,
    ResponseBytes = 74,
    Attempts = 75,
    GapMax = 76,
    // By hour: the value is the hour since 1970 in which it started, see [`hour`].
    StartedHour = 96,
}

impl Field {
    /// Whose texts others choose, so that a block may have any number of them. Those of the other fields are few.
    pub const OPEN: [Self; 12] = [
        Self::Provider,
        Self::Model,
        Self::ModelRequested,
        Self::FinishReason,
        Self::Agent,
        Self::Method,
        Self::Path,
        Self::KeyLabel,
        Self::UserLabel,
        Self::Tool,
        Self::Tag,
        Self::Header,
    ];

    pub fn number(self) -> u8 {
        self as u8
    }

    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }
}

/// The block of a record.
pub fn block_of(seq: i64) -> i64 {
    seq >> BLOCK_LOG2
}

/// Four times how many bits a number has, and the two bits below the highest: what lies within a quarter of a power of two
/// has the same size. Zero of zero and of what is less. A filter by size reads the blocks with the sizes from that of its
/// lower bound to that of its upper one.
pub fn size(number: i64) -> i64 {
    let number = number.max(0);
    let bits = i64::from(i64::BITS - number.leading_zeros());
    let beyond = bits - 1 - FINE_LOG2;
    let below = if beyond >= 0 { number >> beyond } else { number << -beyond };
    (bits << FINE_LOG2) + (below & ((1 << FINE_LOG2) - 1))
}

/// The first and the last seq of a block.
pub(super) fn seqs_of(block: i64) -> (i64, i64) {
    (block << BLOCK_LOG2, ((block + 1) << BLOCK_LOG2) - 1)
}

/// The hour since 1970 of an instant in microseconds.
pub fn hour(at_us: i64) -> i64 {
    at_us.div_euclid(3_600_000_000)
}

/// Marks a value of a record that was stored before: its block may have it from now on.
pub(super) fn add(
    connection: &Connection,
    seq: i64,
    field: Field,
    value: &dyn ToSql,
) -> rusqlite::Result<()> {
    insert(connection, field, value, block_of(seq))
}

/// Removes the zones of those among `blocks` (ascending) that have no record any more; true when there were any.
pub(super) fn clear_empty(connection: &Connection, blocks: &[i64]) -> rusqlite::Result<bool> {
    let mut there = connection.prepare_cached(
        "SELECT 1 FROM exchange_records WHERE seq >= ?1 << 10 AND seq < (?1 + 1) << 10 LIMIT 1",
    )?;
    let mut empty: Vec<String> = Vec::new();
    for block in blocks {
        if !there.exists([block])? {
            empty.push(block.to_string());
        }
    }
    if empty.is_empty() {
        return Ok(false);
    }
    // One pass over the zones for all of them: their key begins with the field.
    let empty = empty.join(", ");
    connection.execute(&format!("DELETE FROM zones WHERE block IN ({empty})"), [])?;
    filters::clear(connection, &open_fields(), &empty)?;
    Ok(true)
}

/// Removes the filters of a block that are about to be made anew.
pub(super) fn clear_filters(connection: &Connection, block: i64) -> rusqlite::Result<()> {
    filters::clear(connection, &open_fields(), &block.to_string())
}

fn insert(
    connection: &Connection,
    field: Field,
    value: &dyn ToSql,
    block: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO zones (field, value, block) VALUES (?, ?, ?)";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute((field.number(), value, block)).map(|_| ())
}

/// Their numbers, with commas.
fn open_fields() -> String {
    Field::OPEN.map(|field| field.number().to_string()).join(", ")
}

fn remove(connection: &Connection, field: Field, word: i64, block: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM zones WHERE field = ? AND value = ? AND block = ?";
    connection.prepare_cached(sql)?.execute((field.number(), word, block)).map(|_| ())
}

/// The writer's memory of the newest block: what of it has been written. Cleared after a rollback, and when others wrote.
#[derive(Debug, Default)]
pub(super) struct Zones {
    /// `None`: nothing is known of any block.
    block: Option<i64>,
    numbers: HashSet<(u8, i64)>,
    /// Spelled-out texts of fields that are not open, by their hash.
    texts: HashSet<(u8, u64)>,
    /// Words of open fields that were given rows, and where they would stand in the filter.
    words: HashMap<u8, Vec<(i64, Places)>>,
    filters: HashMap<u8, Filter>,
    /// Words whose parts have been written: lists of tools, tags, headers.
    lists: HashSet<(u8, i64)>,
    hash: RandomState,
}

impl Zones {
    pub(super) fn clear(&mut self) {
        self.block = None;
        self.numbers.clear();
        self.texts.clear();
        self.words.clear();
        self.filters.clear();
        self.lists.clear();
    }

    /// From here on, records of the block of `seq` are noted.
    pub(super) fn enter(&mut self, connection: &Connection, seq: i64) -> rusqlite::Result<()> {
        let block = block_of(seq);
        if self.block == Some(block) {
            return Ok(());
        }
        self.flush(connection)?;
        self.clear();
        self.block = Some(block);
        for field in Field::OPEN {
            if let Some(filter) = Filter::read(connection, field.number(), block)? {
                self.filters.insert(field.number(), filter);
            }
        }
        Ok(())
    }

    /// Writes the filters that changed: before the transaction ends, or the block would lack what it has.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(block) = self.block else { return Ok(()) };
        for (field, filter) in &mut self.filters {
            filter.write(connection, *field, block)?;
        }
        Ok(())
    }

    /// Whether a word of the block was noted.
    pub(super) fn knows(&self, field: Field, word: i64) -> bool {
        self.numbers.contains(&(field.number(), word))
    }

    pub(super) fn number(
        &mut self,
        connection: &Connection,
        field: Field,
        value: Option<i64>,
    ) -> rusqlite::Result<()> {
        match value {
            Some(value) if self.numbers.insert((field.number(), value)) => {
                self.insert(connection, field, &value)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn size(
        &mut self,
        connection: &Connection,
        field: Field,
        value: Option<i64>,
    ) -> rusqlite::Result<()> {
        self.number(connection, field, value.map(size))
    }

    /// Each bit that is set.
    pub(super) fn bits(
        &mut self,
        connection: &Connection,
        field: Field,
        bits: i64,
    ) -> rusqlite::Result<()> {
        let mut rest = bits;
        while rest != 0 {
            let lowest = rest & rest.wrapping_neg();
            self.number(connection, field, Some(lowest))?;
            rest ^= lowest;
        }
        Ok(())
    }

    /// A word, and the text that it stands for.
    pub(super) fn word(
        &mut self,
        connection: &Connection,
        field: Field,
        (word, text): (&Word<'_>, &str),
    ) -> rusqlite::Result<()> {
        let number = field.number();
        let id = match word {
            Word::Text(text) if field.is_open() => {
                self.filters.entry(number).or_default().add(places(text));
                return Ok(());
            }
            Word::Text(text) => {
                if !self.texts.insert((number, self.hash.hash_one(&**text))) {
                    return Ok(());
                }
                let value = ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()));
                return self.insert(connection, field, &value);
            }
            Word::Id(id) if !self.numbers.insert((number, *id)) => return Ok(()),
            Word::Id(id) if !field.is_open() => return self.insert(connection, field, id),
            Word::Id(id) => *id,
        };
        if self.has_words_in_filter(field) {
            self.filters.entry(number).or_default().add(places(text));
            return Ok(());
        }
        let words = self.words.entry(number).or_default();
        words.push((id, places(text)));
        if words.len() <= WORDS_MAX {
            return self.insert(connection, field, &id);
        }
        // So many: their rows would be more than all others, and no query could go through them.
        let (words, filter) = (std::mem::take(words), self.filters.entry(number).or_default());
        filter.hold_words();
        for (id, places) in words {
            filter.add(places);
            remove(connection, field, id, self.block.unwrap_or_default())?;
        }
        Ok(())
    }

    /// A part of a list; it becomes a word where the block does not have too many of them.
    pub(super) fn member(
        &mut self,
        connection: &Connection,
        words: &mut Words,
        (field, text): (Field, &str),
    ) -> rusqlite::Result<()> {
        let word = if self.has_words_in_filter(field) {
            Word::Text(text.into())
        } else {
            words.of(connection, text)?
        };
        self.word(connection, field, (&word, text))
    }

    fn has_words_in_filter(&self, field: Field) -> bool {
        self.filters.get(&field.number()).is_some_and(Filter::holds_words)
    }

    fn insert(
        &self,
        connection: &Connection,
        field: Field,
        value: &dyn ToSql,
    ) -> rusqlite::Result<()> {
        insert(connection, field, value, self.block.unwrap_or_default())
    }

    /// Whether the parts of a list are still to be noted: the same list, as a word, was not there before.
    pub(super) fn is_new_list(&mut self, field: Field, list: &Word<'_>) -> bool {
        match list {
            Word::Id(id) => self.lists.insert((field.number(), *id)),
            Word::Text(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_quarters_of_powers_of_two_in_order() {
        let sizes = [-5, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 1_024, 1_279, 1_280, i64::MAX].map(size);
        assert_eq!(sizes, [0, 0, 4, 8, 10, 12, 13, 15, 16, 16, 17, 44, 44, 45, 255]);
        let all: Vec<i64> = (0..100_000).map(size).collect();
        assert!(all.is_sorted());
    }

    fn tables() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema/0003_records.sql")).unwrap();
        connection.execute_batch(include_str!("schema/0004_filters.sql")).unwrap();
        connection
    }

    fn blocks(connection: &Connection, field: Field, value: &str) -> Vec<i64> {
        let sql = format!(
            "SELECT block FROM zones WHERE field = {} AND value = {value} ORDER BY block",
            field.number()
        );
        let mut statement = connection.prepare(&sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_value_costs_one_row_a_block_and_texts_are_in_its_filter() {
        let connection = tables();
        let mut zones = Zones::default();
        for seq in 1_000..1_100i64 {
            zones.enter(&connection, seq).unwrap();
            zones.number(&connection, Field::Status, Some(200)).unwrap();
            zones.size(&connection, Field::Ttft, Some(seq)).unwrap();
            zones.bits(&connection, Field::Signal, 5).unwrap();
            let path = format!("/{seq}");
            let word = Word::Text(path.as_str().into());
            zones.word(&connection, Field::Path, (&word, &path)).unwrap();
            zones.word(&connection, Field::Model, (&Word::Id(7), "m")).unwrap();
        }
        zones.flush(&connection).unwrap();
        let blocks = |field, value| blocks(&connection, field, value);
        assert_eq!(blocks(Field::Status, "200"), [0, 1]);
        assert_eq!(blocks(Field::Model, "7"), [0, 1]);
        assert_eq!((blocks(Field::Ttft, "43"), blocks(Field::Ttft, "44")), (vec![0], vec![1]));
        assert_eq!((blocks(Field::Signal, "1"), blocks(Field::Signal, "2")), (vec![0, 1], vec![]));
        let paths = |text: &str| -> Vec<i64> {
            let has = |block: &i64| {
                Filter::read(&connection, Field::Path.number(), *block)
                    .unwrap()
                    .is_some_and(|filter| filter.has(places(text)))
            };
            (0..2).filter(has).collect()
        };
        assert_eq!((paths("/1000"), paths("/1087")), (vec![0], vec![1]));
        assert!(clear_empty(&connection, &[0]).unwrap());
        assert_eq!((blocks(Field::Status, "200"), paths("/1000")), (vec![1], vec![]));
    }

    #[test]
    fn too_many_words_leave_their_rows_for_the_filter_also_after_a_restart() {
        let connection = tables();
        let mut zones = Zones::default();
        let note = |zones: &mut Zones, from: i64, to: i64| {
            zones.enter(&connection, 1).unwrap();
            for id in from..to {
                zones.word(&connection, Field::Tag, (&Word::Id(id), &format!("N={id}"))).unwrap();
                zones.word(&connection, Field::ErrorKind, (&Word::Id(id), "kind")).unwrap();
            }
            zones.flush(&connection).unwrap();
        };
        let rows = |field: Field| -> i64 {
            let sql = "SELECT count(*) FROM zones WHERE field = ?";
            connection.query_row(sql, [field.number()], |row| row.get(0)).unwrap()
        };
        let filter = || Filter::read(&connection, Field::Tag.number(), 0).unwrap();
        note(&mut zones, 0, 64);
        assert_eq!((rows(Field::Tag), filter()), (64, None));
        note(&mut zones, 64, 70);
        zones.clear();
        note(&mut zones, 70, 200);
        assert_eq!((rows(Field::Tag), rows(Field::ErrorKind)), (0, 200), "kinds are few by nature");
        let filter = filter().unwrap();
        assert!(filter.holds_words());
        assert!((0..200).all(|id| filter.has(places(&format!("n={id}")))));
        let others = (1_000..2_000).filter(|id| filter.has(places(&format!("n={id}")))).count();
        assert!(others < 20, "{others} of 1000");
    }
}
