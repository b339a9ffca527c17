//! Texts that come again, each written once: a column holds the number of its row in `words`, or the text itself.
//!
//! A text is interned when it comes for the second time, so that what never comes again (an id in a path, a tag with a
//! random value) takes no row. Reading resolves both; see the view `exchanges`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql};

/// Limit: rows of the table; past it texts are spelled out.
pub(super) const WORDS_MAX: i64 = 65_536;
/// Limit: bytes of a text that is interned.
const WORD_BYTES_MAX: usize = 256;
/// Limit: texts held in memory, twice: those used since the last change of generations, and those before.
const HELD_MAX: u32 = 8_192;
/// Limit: texts remembered for having come once, by their hash.
const ONCE_MAX: usize = 16_384;

/// A text on its way to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// The row in `words`.
    Id(i64),
    Text(Cow<'a, str>),
}

impl ToSql for Word<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Id(id) => ToSqlOutput::from(*id),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// The writer's memory of `words`. True only of what is committed or in the running transaction: after a rollback it is
/// cleared.
#[derive(Debug, Default)]
pub(super) struct Words {
    young: HashMap<Box<str>, i64>,
    old: HashMap<Box<str>, i64>,
    once: HashSet<u64>,
    hash: RandomState,
    /// The number of the newest row, which is how many there are: none is ever deleted alone. `None`: not read yet.
    newest: Option<i64>,
}

impl Words {
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.once.clear();
        self.newest = None;
    }

    /// What to write for a text, inside the caller's transaction.
    pub(super) fn of<'a>(
        &mut self,
        connection: &Connection,
        text: &'a str,
    ) -> rusqlite::Result<Word<'a>> {
        if let Some(id) = self.young.get(text) {
            return Ok(Word::Id(*id));
        }
        let newest = self.warm(connection)?;
        if let Some(id) = self.recall(text) {
            return Ok(Word::Id(id));
        }
        let spelled = Word::Text(Cow::Borrowed(text));
        if text.len() > WORD_BYTES_MAX || !self.came_before(text) {
            return Ok(spelled);
        }
        let known = connection.prepare_cached("SELECT id FROM words WHERE text = ?")?;
        let id = match lookup(known, text)? {
            Some(id) => id,
            None if newest >= WORDS_MAX => return Ok(spelled),
            None => {
                let sql = "INSERT INTO words (text) VALUES (?)";
                let id = connection.prepare_cached(sql)?.insert([text])?;
                self.newest = Some(id);
                id
            }
        };
        self.hold(text, id);
        Ok(Word::Id(id))
    }

    /// As [`Words::of`], of a text that may be missing.
    pub(super) fn of_some<'a>(
        &mut self,
        connection: &Connection,
        text: Option<&'a str>,
    ) -> rusqlite::Result<Option<Word<'a>>> {
        text.map(|text| self.of(connection, text)).transpose()
    }

    /// Reads the newest words once, so that a start does not spell out what the last run interned.
    fn warm(&mut self, connection: &Connection) -> rusqlite::Result<i64> {
        if let Some(newest) = self.newest {
            return Ok(newest);
        }
        let sql = "SELECT id, text FROM words ORDER BY id DESC LIMIT ?";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([HELD_MAX])?;
        let mut newest = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            newest = newest.max(id);
            self.old.insert(row.get_ref(1)?.as_str().unwrap_or_default().into(), id);
        }
        self.newest = Some(newest);
        Ok(newest)
    }

    fn recall(&mut self, text: &str) -> Option<i64> {
        if let Some(id) = self.young.get(text) {
            return Some(*id);
        }
        let id = self.old.remove(text)?;
        self.hold(text, id);
        Some(id)
    }

    fn hold(&mut self, text: &str, id: i64) {
        if self.young.len() >= HELD_MAX as usize {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text.into(), id);
    }

    fn came_before(&mut self, text: &str) -> bool {
        let hash = self.hash.hash_one(text);
        if self.once.len() >= ONCE_MAX {
            self.once.clear();
        }
        !self.once.insert(hash)
    }
}

fn lookup(mut known: rusqlite::CachedStatement<'_>, text: &str) -> rusqlite::Result<Option<i64>> {
    known.query_row([text], |row| row.get(0)).optional()
}

/// The text of a column that is a word, in SQL.
pub(super) fn spelled(column: &str) -> String {
    format!(
        "CASE typeof({column}) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = {column}) ELSE {column} END"
    )
}

/// Texts by their numbers, for one reading.
#[derive(Debug, Default)]
pub(super) struct Lexicon(HashMap<i64, String>);

impl Lexicon {
    /// A number without a row has no text: the file was changed by another hand.
    pub(super) fn text(&mut self, connection: &Connection, id: i64) -> rusqlite::Result<String> {
        if let Some(text) = self.0.get(&id) {
            return Ok(text.clone());
        }
        let mut statement = connection.prepare_cached("SELECT text FROM words WHERE id = ?")?;
        let text: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        let text = text.unwrap_or_default();
        self.0.insert(id, text.clone());
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema/0003_records.sql")).unwrap();
        connection
    }

    #[test]
    fn a_text_has_a_number_from_its_second_coming_on() {
        let connection = tables();
        let mut words = Words::default();
        assert_eq!(words.of(&connection, "gpt-5").unwrap(), Word::Text("gpt-5".into()));
        let id = words.of(&connection, "gpt-5").unwrap();
        assert_eq!((&id, words.of(&connection, "gpt-5").unwrap()), (&Word::Id(1), Word::Id(1)));
        let long = "x".repeat(WORD_BYTES_MAX + 1);
        for _ in 0..3 {
            assert_eq!(words.of(&connection, &long).unwrap(), Word::Text(long.as_str().into()));
        }
        words.clear();
        assert_eq!(words.of(&connection, "gpt-5").unwrap(), id, "a start knows the last run's");
        assert_eq!(Lexicon::default().text(&connection, 1).unwrap(), "gpt-5");
    }

    #[test]
    fn what_memory_let_go_of_is_found_on_disk_and_the_table_is_bounded() {
        let connection = tables();
        let mut words = Words::default();
        let many = |words: &mut Words, from: u32, to: u32| {
            for n in from..to {
                for _ in 0..2 {
                    words.of(&connection, &format!("w{n}")).unwrap();
                }
            }
        };
        many(&mut words, 0, 3 * HELD_MAX);
        assert!(words.young.len() + words.old.len() <= 2 * HELD_MAX as usize);
        words.of(&connection, "w0").unwrap();
        assert_eq!(words.of(&connection, "w0").unwrap(), Word::Id(1));
        let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 41000) \
                    INSERT INTO words (text) SELECT 'f' || n FROM n";
        connection.execute(fill, []).unwrap();
        let rows = || -> i64 {
            connection.query_row("SELECT count(*) FROM words", [], |row| row.get(0)).unwrap()
        };
        let before = rows();
        words.clear();
        many(&mut words, 100_000, 100_010);
        assert_eq!(rows(), before, "past the bound texts are spelled out");
    }
}
