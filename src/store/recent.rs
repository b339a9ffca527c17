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

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Microseconds since 1970.
    pub since_us: i64,
    pub now_us: i64,
    /// Also who called what tool: sessions, tools and agents.
    pub calls: bool,
}

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
    // Only where they were asked for:
    pub session: Option<i64>,
    pub agent: Option<u32>,
    /// A JSON array of names.
    pub tools: Option<u32>,
}

/// The window as it was read.
#[derive(Debug, Clone, Default)]
pub struct Recents {
    /// Newest first, by when they began.
    pub rows: Vec<Recent>,
    pub names: Vec<String>,
    pub since_us: i64,
    pub until_us: i64,
    /// Nothing began in the window asked for: it is the same stretch before the last exchange there is.
    pub past: bool,
    /// The window has more than was read.
    pub cut: bool,
}

impl Recents {
    pub fn name(&self, at: Option<u32>) -> &str {
        let named = at.and_then(|at| self.names.get(usize::try_from(at).ok()?));
        named.map_or("", String::as_str)
    }
}

impl Reader {
    /// The place of the newest record, replays among them; 0: there is none.
    pub fn newest_seq(&self) -> Result<i64, ReadError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM exchange_records";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// The exchanges that began in the window; of a store that has been quiet since, those of its last stretch as long.
    pub fn recents(&self, ask: &Ask) -> Result<Recents, ReadError> {
        let moment = self.connection.unchecked_transaction()?;
        let mut found = read(&moment, ask, ask.since_us, ask.now_us)?;
        if found.rows.is_empty()
            && let Some(last_us) = last(&moment)?
        {
            let length_us = ask.now_us.saturating_sub(ask.since_us);
            found = read(&moment, ask, last_us.saturating_sub(length_us), last_us)?;
            found.past = true;
        }
        Ok(found)
    }
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
                       input_tokens, output_tokens, cache_read_tokens, cost_nanousd, signals";

fn read(
    connection: &Connection,
    ask: &Ask,
    since_us: i64,
    until_us: i64,
) -> rusqlite::Result<Recents> {
    let floor = ExchangeId::floor(u64::try_from(since_us).unwrap_or(0));
    let more = if ask.calls { ", session, agent, tools" } else { "" };
    let sql = format!(
        "SELECT {COLUMNS}{more} FROM exchange_records WHERE id >= ?1 AND started_at_us >= ?2 AND run_id IS NULL \
         ORDER BY id DESC LIMIT {}",
        EXCHANGES_MAX + 1
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((floor, since_us))?;
    let mut found = Recents { since_us, until_us, ..Recents::default() };
    let mut names = Names::default();
    while let Some(row) = rows.next()? {
        if found.rows.len() == EXCHANGES_MAX {
            found.cut = true;
            break;
        }
        found.rows.push(one(row, &mut names, ask.calls)?);
    }
    drop(rows);
    found.names = names.spelled(connection)?;
    found.unite();
    Ok(found)
}

impl Recents {
    /// A text that came as itself first and as a word later is one name.
    fn unite(&mut self) {
        let mut first: HashMap<&str, u32> = HashMap::new();
        let mut same: Vec<u32> = Vec::with_capacity(self.names.len());
        for (at, name) in self.names.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            same.push(*first.entry(name).or_insert(at));
        }
        if first.len() == self.names.len() {
            return;
        }
        let one = |place: &mut Option<u32>| {
            *place = place.and_then(|at| same.get(usize::try_from(at).ok()?).copied());
        };
        for row in &mut self.rows {
            for place in [
                &mut row.provider,
                &mut row.model,
                &mut row.outcome,
                &mut row.agent,
                &mut row.tools,
            ] {
                one(place);
            }
        }
    }
}

fn one(row: &Row<'_>, names: &mut Names, calls: bool) -> rusqlite::Result<Recent> {
    let count = |at| row.get::<_, Option<i64>>(at).map(Option::unwrap_or_default);
    let bits: i64 = row.get(11)?;
    let mut one = Recent {
        seq: row.get(0)?,
        started_us: row.get(1)?,
        duration_us: row.get(2)?,
        ttft_us: row.get(3)?,
        provider: names.place(row.get_ref(4)?),
        model: names.place(row.get_ref(5)?),
        outcome: names.place(row.get_ref(6)?),
        input_tokens: count(7)?,
        output_tokens: count(8)?,
        cache_read_tokens: count(9)?,
        cost_nanousd: count(10)?,
        signals: Signals::of_bits(u32::try_from(bits).unwrap_or(0)),
        ..Recent::default()
    };
    if calls {
        one.session = row.get(12)?;
        one.agent = names.place(row.get_ref(13)?);
        one.tools = names.place(row.get_ref(14)?);
    }
    Ok(one)
}

/// Words as they come: a number of `words`, or the text itself. Each is spelled once, at the end.
#[derive(Default)]
struct Names {
    numbers: HashMap<i64, u32>,
    texts: HashMap<Box<str>, u32>,
    all: Vec<Spelling>,
}

enum Spelling {
    Number(i64),
    Text(Box<str>),
}

impl Names {
    fn place(&mut self, value: ValueRef<'_>) -> Option<u32> {
        let next = u32::try_from(self.all.len()).ok()?;
        match value {
            ValueRef::Integer(id) => Some(*self.numbers.entry(id).or_insert_with(|| {
                self.all.push(Spelling::Number(id));
                next
            })),
            ValueRef::Text(bytes) => {
                let text = std::str::from_utf8(bytes).ok()?;
                if let Some(at) = self.texts.get(text) {
                    return Some(*at);
                }
                self.texts.insert(text.into(), next);
                self.all.push(Spelling::Text(text.into()));
                Some(next)
            }
            _ => None,
        }
    }

    fn spelled(self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut lexicon = Lexicon::default();
        self.all
            .into_iter()
            .map(|one| match one {
                Spelling::Number(id) => lexicon.text(connection, id),
                Spelling::Text(text) => Ok(text.into_string()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::row::Row;
    use crate::store::tests::{BASE_US, HOUR_US, flushed, plain, signed, writer};

    fn ask(since_us: u64, now_us: u64) -> Ask {
        Ask { since_us: signed(since_us), now_us: signed(now_us), calls: true }
    }

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
        let found = reader.recents(&ask(BASE_US + 2_000, BASE_US + 9_000)).unwrap();
        assert_eq!((seqs(&found), found.past, found.cut), (vec![4, 2], false, false));
        let row = found.rows[0];
        assert_eq!((found.name(row.agent), found.name(row.outcome)), ("codex", "complete"));
        assert_eq!((row.input_tokens, row.output_tokens, row.cost_nanousd), (100, 10, 1_000));
        assert_eq!(found.name(None), "");
        assert_eq!(found.rows[0].model, found.rows[1].model, "spelled out and as a word");
    }

    #[test]
    fn a_store_that_is_quiet_shows_its_last_stretch() {
        let folder = tempfile::tempdir().unwrap();
        let running = writer(&folder);
        running.handle().put(vec![plain(1), plain(2_000)]);
        flushed(running.handle());
        let reader = Reader::open(folder.path()).unwrap();
        let later = BASE_US + 40 * HOUR_US;
        let found = reader.recents(&ask(later - 1_000_000, later)).unwrap();
        assert_eq!((seqs(&found), found.past), (vec![2], true));
        assert_eq!(found.until_us, signed(BASE_US) + 2_000_000 + 10_000);
        assert_eq!(found.until_us - found.since_us, 1_000_000);
    }

    #[test]
    fn an_empty_store_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let running = writer(&folder);
        flushed(running.handle());
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.newest_seq().unwrap(), 0);
        let found = reader.recents(&ask(0, BASE_US)).unwrap();
        assert!(found.rows.is_empty() && !found.past);
    }
}
