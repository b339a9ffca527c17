//! The skip index: which blocks of 1,024 records have which value of which field, so that a filter reads the blocks that
//! may have what it looks for and no others. A value costs one row a block, however many records have it.
//!
//! Zones promise no false absence: a block without a row has no such record. They may name blocks that have it no more.
//! Sessions, runs and labels have indexes of their own and stand in no zone.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use crate::store::words::Word;

/// Records to a block, as a power of two: `block = seq >> BLOCK_LOG2`.
pub const BLOCK_LOG2: u32 = 10;
/// Limit: spelled-out texts of one field in one block; past it the block may have any, which [`ANY`] says.
const TEXTS_MAX: usize = 64;
/// The value that stands for all texts of a field: `x''` in SQL.
pub const ANY: &[u8] = &[];

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
    // By size: the value is the number of bits, see [`size`].
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
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// The block of a record.
pub fn block_of(seq: i64) -> i64 {
    seq >> BLOCK_LOG2
}

/// How many bits a number has: 0 of zero (and of what is less), 1 of one, 2 of two and three. A filter by size reads the
/// blocks with the sizes from that of its lower bound to that of its upper one.
pub fn size(number: i64) -> i64 {
    i64::from(i64::BITS - number.max(0).leading_zeros())
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
    let sql = format!("DELETE FROM zones WHERE block IN ({})", empty.join(", "));
    connection.execute(&sql, [])?;
    Ok(true)
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

/// The writer's memory of the newest block: what of it has been written. Cleared after a rollback.
#[derive(Debug, Default)]
pub(super) struct Zones {
    block: i64,
    numbers: HashSet<(u8, i64)>,
    texts: HashMap<u8, HashSet<u64>>,
    /// Words whose parts have been written: lists of tools, tags, headers.
    lists: HashSet<(u8, i64)>,
    hash: RandomState,
}

impl Zones {
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.texts.clear();
        self.lists.clear();
    }

    /// From here on, records of the block of `seq` are noted.
    pub(super) fn enter(&mut self, seq: i64) {
        let block = block_of(seq);
        if block != self.block {
            self.clear();
            self.block = block;
        }
    }

    pub(super) fn number(
        &mut self,
        connection: &Connection,
        field: Field,
        value: Option<i64>,
    ) -> rusqlite::Result<()> {
        match value {
            Some(value) if self.numbers.insert((field.number(), value)) => {
                insert(connection, field, &value, self.block)
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

    pub(super) fn word(
        &mut self,
        connection: &Connection,
        field: Field,
        word: Option<&Word<'_>>,
    ) -> rusqlite::Result<()> {
        match word {
            None => Ok(()),
            Some(Word::Id(id)) => self.number(connection, field, Some(*id)),
            Some(Word::Text(text)) => {
                let hash = self.hash.hash_one(&**text);
                let texts = self.texts.entry(field.number()).or_default();
                if texts.len() > TEXTS_MAX || !texts.insert(hash) {
                    return Ok(());
                }
                if texts.len() > TEXTS_MAX {
                    return insert(connection, field, &ANY, self.block);
                }
                let value = ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()));
                insert(connection, field, &value, self.block)
            }
        }
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
    fn sizes_are_bits() {
        let sizes = [-5, 0, 1, 2, 3, 4, 1_023, 1_024, i64::MAX].map(size);
        assert_eq!(sizes, [0, 0, 1, 2, 2, 3, 10, 11, 63]);
    }

    #[test]
    fn a_value_costs_one_row_a_block_and_texts_are_bounded() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema/0003_records.sql")).unwrap();
        let mut zones = Zones::default();
        for seq in 1_000..1_100i64 {
            zones.enter(seq);
            zones.number(&connection, Field::Status, Some(200)).unwrap();
            zones.size(&connection, Field::Ttft, Some(seq)).unwrap();
            zones.bits(&connection, Field::Signal, 5).unwrap();
            let path = Word::Text(format!("/{seq}").into());
            zones.word(&connection, Field::Path, Some(&path)).unwrap();
            zones.word(&connection, Field::Model, Some(&Word::Id(7))).unwrap();
        }
        let blocks = |field: Field, value: &str| -> Vec<i64> {
            let sql = format!(
                "SELECT block FROM zones WHERE field = {} AND value = {value} ORDER BY block",
                field.number()
            );
            let mut statement = connection.prepare(&sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(blocks(Field::Status, "200"), [0, 1]);
        assert_eq!(blocks(Field::Model, "7"), [0, 1]);
        assert_eq!(blocks(Field::Ttft, "10"), [0]);
        assert_eq!(blocks(Field::Ttft, "11"), [1]);
        assert_eq!((blocks(Field::Signal, "1"), blocks(Field::Signal, "2")), (vec![0, 1], vec![]));
        assert_eq!(blocks(Field::Path, "'/1000'"), [0]);
        assert_eq!(blocks(Field::Path, "x''"), [1], "the second block has too many");
        assert_eq!(blocks(Field::Path, "'/1087'"), [1]);
        assert!(blocks(Field::Path, "'/1088'").is_empty());
        assert!(clear_empty(&connection, &[0]).unwrap());
        assert_eq!(blocks(Field::Status, "200"), [1]);
    }
}
