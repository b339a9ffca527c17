//! From the exchange that first brought a text to every exchange whose messages have it.
//!
//! The index holds a text once, at the exchange that first sent it; a turn that sends it again is put together of the same
//! segment. Who may be is told by the links and by the session; who is, by the list of segments of its requests.

use std::collections::{HashSet, VecDeque};

use rusqlite::{Connection, OptionalExtension};

use crate::dialect::texts::Texts;
use crate::store::search::SPREAD_MAX;
use crate::store::search::sought::Sought;
use crate::store::vault::{Segments, Shelf, VaultError};

/// Limit: bytes of the words of one message.
const WORDS_MAX: usize = 1 << 20;
/// Limit: exchanges that are looked up in one statement.
const CHECKED: usize = 1_024;

/// Adds to `seqs`, which brought the words, the exchanges that send them again; those whose own bodies are gone are left
/// out, though their content may be kept for others.
pub(in crate::store) fn spread(
    store: &Connection,
    shelf: &mut Shelf,
    sought: &Sought,
    seqs: &mut Vec<i64>,
) -> rusqlite::Result<()> {
    let mut walk = Walk { found: seqs.iter().copied().collect(), ..Walk::new(store) };
    let mut segments = Segments::default();
    for seq in seqs.iter() {
        let brought = shelf.segments_of(store, *seq, &mut segments, |part| has(part, sought));
        // Words of the answer alone are in no request yet; a later one that has them brought them itself.
        if or_damaged(brought)? {
            walk.go_on_from(*seq)?;
            walk.session_of(*seq)?;
        }
    }
    while let Some(seq) = walk.next() {
        if or_damaged(shelf.has_any_of(store, seq, &segments))? {
            walk.found.insert(seq);
            seqs.push(seq);
            walk.go_on_from(seq)?;
            walk.session_of(seq)?;
        }
    }
    keep_whole(store, seqs)
}

/// Leaves those that have bodies of their own.
fn keep_whole(store: &Connection, seqs: &mut Vec<i64>) -> rusqlite::Result<()> {
    let sql =
        "SELECT seq FROM bodies WHERE rest IS NULL AND seq IN (SELECT value FROM json_each(?))";
    let mut statement = store.prepare_cached(sql)?;
    let mut gone: HashSet<i64> = HashSet::new();
    for some in seqs.chunks(CHECKED) {
        let mut rows = statement.query([serde_json::json!(some).to_string()])?;
        while let Some(row) = rows.next()? {
            gone.insert(row.get(0)?);
        }
    }
    seqs.retain(|seq| !gone.contains(seq));
    Ok(())
}

fn has(part: &[u8], sought: &Sought) -> bool {
    let mut texts = Texts::new(WORDS_MAX);
    texts.add_part(part);
    sought.is_in(&texts.into_words())
}

/// What is damaged has nothing that could be found; `captures verify` tells about it.
fn or_damaged(read: Result<bool, VaultError>) -> rusqlite::Result<bool> {
    match read {
        Ok(yes) => Ok(yes),
        Err(VaultError::Sqlite(error)) => Err(error),
        Err(VaultError::Damaged { seq, reason }) => {
            tracing::debug!(seq, %reason, "messages of an exchange are not searched");
            Ok(false)
        }
    }
}

/// Whom to ask next.
struct Walk<'a> {
    store: &'a Connection,
    found: HashSet<i64>,
    asked: HashSet<i64>,
    sessions: HashSet<i64>,
    waiting: VecDeque<i64>,
}

impl<'a> Walk<'a> {
    fn new(store: &'a Connection) -> Self {
        Self {
            store,
            found: HashSet::new(),
            asked: HashSet::new(),
            sessions: HashSet::new(),
            waiting: VecDeque::new(),
        }
    }

    fn next(&mut self) -> Option<i64> {
        if self.asked.len() > SPREAD_MAX {
            tracing::warn!(
                "`text:` looked at {SPREAD_MAX} exchanges that may send the words again and stopped; ask for words that are rarer"
            );
            return None;
        }
        self.waiting.pop_front()
    }

    fn ask(&mut self, seqs: Vec<i64>) {
        for seq in seqs {
            if !self.found.contains(&seq) && self.asked.insert(seq) {
                self.waiting.push_back(seq);
            }
        }
    }

    /// Those that are put together with content of this one.
    fn go_on_from(&mut self, seq: i64) -> rusqlite::Result<()> {
        let sql = "SELECT seq FROM links WHERE needs = ?1 AND seq <> ?1 ORDER BY seq DESC";
        let seqs = self.seqs(sql, seq)?;
        self.ask(seqs);
        Ok(())
    }

    /// The rest of its session: a link that another link implies is not written.
    fn session_of(&mut self, seq: i64) -> rusqlite::Result<()> {
        let sql = "SELECT session FROM exchange_records WHERE seq = ?";
        let session: Option<Option<i64>> =
            self.store.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
        let Some(session) = session.flatten().filter(|session| self.sessions.insert(*session))
        else {
            return Ok(());
        };
        let sql = "SELECT r.seq FROM exchange_records AS r INDEXED BY exchanges_of_session
                   JOIN bodies AS b ON b.seq = r.seq
                   WHERE r.session = ? AND b.content IS NOT NULL ORDER BY r.seq DESC";
        let seqs = self.seqs(sql, session)?;
        self.ask(seqs);
        Ok(())
    }

    fn seqs(&self, sql: &str, value: i64) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.store.prepare_cached(sql)?;
        statement.query_map([value], |row| row.get(0))?.collect()
    }
}
