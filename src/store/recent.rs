//! The exchanges of the last minutes or hours as a few numbers each: what an overview is added up from. Replays stay out.
//!
//! Ids are in the order in which exchanges began, so a window is a range of them; of a window that has more than is read,
//! the newest are read and the answer says so.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::base::id::ExchangeId;
use crate::exchange::signal::Signals;
use crate::store::reader::{ReadError, Reader};
use crate::store::words::Lexicon;

/// Limit: exchanges that one answer is made of.
pub const EXCHANGES_MAX: usize = 100_000;

/// One exchange. Names are places in [`Recents::names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    pub seq: i64,
    pub started_us: i64,
    pub duration_us: i64,
    pub ttft_us: Option<i64>,
    pub provider: Option<u32>,
    /// The model sent upstream; where none was, the one asked for.
    pub model: Option<u32>,
    pub outcome: Option<u32>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cost_nanousd: i64,
    pub signals: Signals,
    pub session: Option<i64>,
    pub agent: Option<u32>,
    /// A JSON array of names.
    pub tools: Option<u32>,
}

/// A window as it was read, which can be brought up to date for little.
#[derive(Debug, Clone, Default)]
pub struct Recents {
    /// In the order in which they ended.
    pub rows: Vec<Recent>,
    pub since_us: i64,
    pub until_us: i64,
    /// The place of the newest record in the store, replays among them.
    pub seq: i64,
    /// Nothing began in the window asked for: it is the same stretch before the last exchange there is.
    pub past: bool,
    /// The window has more than was read.
    pub cut: bool,
    names: Names,
}

impl Recents {
    pub fn name(&self, at: Option<u32>) -> &str {
        let named = at.and_then(|at| self.names.all.get(usize::try_from(at).ok()?));
        named.map_or("", String::as_str)
    }

    pub fn names(&self) -> &[String] {
        &self.names.all
    }

    #[cfg(test)]
    pub(crate) fn made_up(rows: Vec<Recent>, names: &[&str], until_us: i64) -> Self {
        let all = names.iter().map(|name| (*name).to_owned()).collect();
        Self { rows, until_us, names: Names { all, ..Names::default() }, ..Self::default() }
    }

    /// Lets go of what began before the window, and of the oldest beyond the limit.
    fn trim(&mut self) {
        let since_us = self.since_us;
        self.rows.retain(|row| row.started_us >= since_us);
        let over = self.rows.len().saturating_sub(EXCHANGES_MAX);
        self.cut |= over > 0;
        self.rows.drain(..over);
    }
}

impl Reader {
    /// The place of the newest record, replays among them; 0: there is none.
    pub fn newest_seq(&self) -> Result<i64, ReadError> {
        Ok(newest(&self.connection)?)
    }

    /// The exchanges that began in the window; of a store that has been quiet since, those of its last stretch as long.
    pub fn recents(&self, window_us: i64, now_us: i64) -> Result<Recents, ReadError> {
        let moment = self.connection.unchecked_transaction()?;
        let mut found = read(&moment, now_us.saturating_sub(window_us), now_us)?;
        if found.rows.is_empty()
            && let Some(last_us) = last(&moment)?
        {
            found = read(&moment, last_us.saturating_sub(window_us), last_us)?;
            found.past = true;
        }
        found.seq = newest(&moment)?;
        Ok(found)
    }

    /// Reads what ended since, and moves the window. What was removed or changed since stays as it was read.
    pub fn catch_up(&self, held: &mut Recents, now_us: i64) -> Result<(), ReadError> {
        let moment = self.connection.unchecked_transaction()?;
        let seq = newest(&moment)?;
        if held.past && seq == held.seq {
            return Ok(());
        }
        let window_us = held.until_us.saturating_sub(held.since_us);
        if held.past || seq < held.seq {
            drop(moment);
            *held = self.recents(window_us, now_us)?;
            return Ok(());
        }
        (held.since_us, held.until_us) = (now_us.saturating_sub(window_us), now_us);
        if seq > held.seq {
            let sql = format!(
                "SELECT {COLUMNS} FROM exchange_records NOT INDEXED WHERE seq > ?1 AND started_at_us >= ?2 \
                 AND run_id IS NULL ORDER BY seq DESC LIMIT {EXCHANGES_MAX}"
            );
            let mut news = Vec::new();
            let mut statement = moment.prepare_cached(&sql)?;
            let mut rows = statement.query((held.seq, held.since_us))?;
            while let Some(row) = rows.next()? {
                news.push(one(&moment, row, &mut held.names)?);
            }
            held.rows.extend(news.into_iter().rev());
            held.seq = seq;
        }
        held.trim();
        if held.rows.is_empty() {
            drop(moment);
            *held = self.recents(window_us, now_us)?;
        }
        Ok(())
    }
}

fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM exchange_records";
    connection.query_row(sql, [], |row| row.get(0))
}

/// When the last exchange that is no replay ended, as far back as is looked.
fn last(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = format!(
        "SELECT started_at_us + duration_us FROM \
         (SELECT started_at_us, duration_us, run_id FROM exchange_records ORDER BY id DESC LIMIT {EXCHANGES_MAX}) \
         WHERE run_id IS NULL LIMIT 1"
    );
    connection.query_row(&sql, [], |row| row.get(0)).optional()
}

const COLUMNS: &str = "seq, started_at_us, duration_us, ttft_us, provider, coalesce(model, model_requested), outcome, \
                       input_tokens, output_tokens, cache_read_tokens, cost_nanousd, signals, session, agent, tools";

fn read(connection: &Connection, since_us: i64, until_us: i64) -> rusqlite::Result<Recents> {
    let floor = ExchangeId::floor(u64::try_from(since_us).unwrap_or(0));
    let sql = format!(
        "SELECT {COLUMNS} FROM exchange_records WHERE id >= ?1 AND started_at_us >= ?2 AND run_id IS NULL \
         ORDER BY id DESC LIMIT {}",
        EXCHANGES_MAX + 1
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((floor, since_us))?;
    let mut found = Recents { since_us, until_us, ..Recents::default() };
    while let Some(row) = rows.next()? {
        found.rows.push(one(connection, row, &mut found.names)?);
    }
    found.rows.sort_unstable_by_key(|row| row.seq);
    found.trim();
    Ok(found)
}

fn one(connection: &Connection, row: &Row<'_>, names: &mut Names) -> rusqlite::Result<Recent> {
    let count = |at| row.get::<_, Option<i64>>(at).map(Option::unwrap_or_default);
    let mut name =
        |at| -> rusqlite::Result<Option<u32>> { names.place(connection, row.get_ref(at)?) };
    let bits: i64 = row.get(11)?;
    Ok(Recent {
        seq: row.get(0)?,
        started_us: row.get(1)?,
        duration_us: row.get(2)?,
        ttft_us: row.get(3)?,
        provider: name(4)?,
        model: name(5)?,
        outcome: name(6)?,
        input_tokens: count(7)?,
        output_tokens: count(8)?,
        cache_read_tokens: count(9)?,
        cost_nanousd: count(10)?,
        signals: Signals::of_bits(u32::try_from(bits).unwrap_or(0)),
        session: row.get(12)?,
        agent: name(13)?,
        tools: name(14)?,
    })
}

/// Words as they come: a number of `words`, or the text itself; the same text has one place.
#[derive(Debug, Clone, Default)]
struct Names {
    numbers: HashMap<i64, u32>,
    texts: HashMap<Box<str>, u32>,
    all: Vec<String>,
}

impl Names {
    fn place(
        &mut self,
        connection: &Connection,
        value: ValueRef<'_>,
    ) -> rusqlite::Result<Option<u32>> {
        Ok(match value {
            ValueRef::Integer(id) => Some(self.number(connection, id)?),
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().map(|text| self.text(text)),
            _ => None,
        })
    }

    fn number(&mut self, connection: &Connection, id: i64) -> rusqlite::Result<u32> {
        if let Some(at) = self.numbers.get(&id) {
            return Ok(*at);
        }
        let text = Lexicon::default().text(connection, id)?;
        let at = self.text(&text);
        self.numbers.insert(id, at);
        Ok(at)
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(at) = self.texts.get(text) {
            return *at;
        }
        let at = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.texts.insert(text.into(), at);
        self.all.push(text.to_owned());
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::row::Row;
    use crate::store::tests::{BASE_US, HOUR_US, flushed, plain, signed, writer};

    fn seqs(found: &Recents) -> Vec<i64> {
        found.rows.iter().map(|row| row.seq).collect()
    }

    #[test]
    fn a_window_has_what_began_in_it_and_no_replays() {
        let folder = tempfile::tempdir().unwrap();
        let running = writer(&folder);
        let mut replayed: Row = plain(3);
        replayed.run_id = Some([1; 16]);
        running.handle().put(vec![plain(1), plain(2), replayed, plain(4)]);
        flushed(running.handle());
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.newest_seq().unwrap(), 4);
        let mut found = reader.recents(7_000, signed(BASE_US) + 9_000).unwrap();
        assert_eq!((seqs(&found), found.past, found.cut), (vec![2, 4], false, false));
        let row = found.rows[0];
        assert_eq!((found.name(row.agent), found.name(row.outcome)), ("codex", "complete"));
        assert_eq!((row.input_tokens, row.output_tokens, row.cost_nanousd), (100, 10, 1_000));
        assert_eq!(found.name(None), "");
        assert_eq!(found.rows[0].model, found.rows[1].model, "spelled out and as a word");

        running.handle().put(vec![plain(6), plain(7)]);
        flushed(running.handle());
        reader.catch_up(&mut found, signed(BASE_US) + 10_500).unwrap();
        assert_eq!((seqs(&found), found.seq), (vec![4, 5, 6], 6), "what is old has left");
        let again = reader.recents(7_000, signed(BASE_US) + 10_500).unwrap();
        assert_eq!(seqs(&again), seqs(&found));
        reader.catch_up(&mut found, signed(BASE_US + HOUR_US)).unwrap();
        assert!(found.past, "nothing began in the window any more");
    }

    #[test]
    fn a_store_that_is_quiet_shows_its_last_stretch() {
        let folder = tempfile::tempdir().unwrap();
        let running = writer(&folder);
        running.handle().put(vec![plain(1), plain(2_000)]);
        flushed(running.handle());
        let reader = Reader::open(folder.path()).unwrap();
        let later = signed(BASE_US + 40 * HOUR_US);
        let mut found = reader.recents(1_000_000, later).unwrap();
        assert_eq!((seqs(&found), found.past), (vec![2], true));
        assert_eq!(found.until_us, signed(BASE_US) + 2_000_000 + 10_000);
        assert_eq!(found.until_us - found.since_us, 1_000_000);
        running.handle().put(vec![plain(40 * HOUR_US / 1_000 - 1)]);
        flushed(running.handle());
        reader.catch_up(&mut found, later).unwrap();
        assert_eq!((seqs(&found), found.past), (vec![3], false), "it goes on");
    }

    #[test]
    fn an_empty_store_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let running = writer(&folder);
        flushed(running.handle());
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.newest_seq().unwrap(), 0);
        let found = reader.recents(1_000, signed(BASE_US)).unwrap();
        assert!(found.rows.is_empty() && !found.past);
    }
}
