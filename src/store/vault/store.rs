//! The writing side, as the store's one writer thread owns it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::base::clock;
use crate::store::capture::{BodyIn, Captured};
use crate::store::vault::dictionaries::{Current, Slot};
use crate::store::vault::encode::Encoding;
use crate::store::vault::hash::SegmentHasher;
use crate::store::vault::index::{Index, Met, Place};
use crate::store::vault::requests::Tally;
use crate::store::vault::shelf::Shelf;
use crate::store::vault::train::{Trained, Training};
use crate::store::vault::{Clean, Kept, Seal, VaultCounters, VaultError};

/// Limits: what is read of the newest exchanges at the start, and of a session that is met for the first time.
const WARM_ROWS: i64 = 64;
const WARM_BYTES: usize = 8 << 20;
/// Bodies shorter than this are not worth looking for the session's earlier ones.
const SESSION_BYTES: usize = 8 << 10;
/// How often dictionaries are trained.
const TRAIN_EVERY: Duration = Duration::from_hours(24);
/// Limit: sessions remembered as looked for.
const SESSIONS_MAX: usize = 4_096;

/// Puts bodies away. One at a time writes to a store; where content was removed meanwhile, by whomever, it notices.
pub struct Vault {
    clean: Box<dyn Clean>,
    hasher: SegmentHasher,
    pub(super) index: Index,
    pub(super) shelf: Shelf,
    counters: Arc<VaultCounters>,
    /// Dictionaries in use, looked up once a transaction.
    current: Current,
    /// Exchanges of the transaction under way; emptied at its end.
    uncommitted: Vec<i64>,
    /// The number of removals that `index` and `shelf` know of; `None` before the first exchange.
    removals: Option<i64>,
    /// The policy that `index` was made under: segments in it are not cleaned again.
    policy: u32,
    /// Whether that was looked up in the transaction under way.
    settled: bool,
    /// Sessions whose last bodies were looked for; emptied when there are too many.
    sessions: HashSet<String>,
    /// The newest exchange when the vault was opened: sessions of later ones need not be looked for.
    first_seq: i64,
    /// For which slot a dictionary is trained next, and when all were tried.
    next_slot: usize,
    trained: Option<Instant>,
    /// The training under way, on a thread of its own.
    training: Option<Training>,
}

impl Vault {
    pub fn new(clean: Box<dyn Clean>, seal: Option<Arc<dyn Seal>>) -> Self {
        Self {
            clean,
            hasher: SegmentHasher::default(),
            index: Index::default(),
            shelf: Shelf::new(seal),
            counters: Arc::default(),
            current: Current::default(),
            uncommitted: Vec::new(),
            removals: None,
            policy: 0,
            settled: false,
            sessions: HashSet::new(),
            first_seq: 0,
            next_slot: 0,
            trained: None,
            training: None,
        }
    }

    pub fn counters(&self) -> &Arc<VaultCounters> {
        &self.counters
    }

    /// Which rules bodies are cleaned by now.
    pub fn clean_version(&self) -> u32 {
        self.clean.version()
    }

    /// Writes the bodies of the exchange `seq`, within the caller's transaction.
    pub fn store(
        &mut self,
        connection: &Connection,
        seq: i64,
        session: Option<&str>,
        captured: &Captured,
    ) -> rusqlite::Result<Kept> {
        self.settle(connection)?;
        self.uncommitted.push(seq);
        let mark = self.index.mark();
        self.look_for_session(connection, session, captured)?;
        let stored = match self.encoding(connection, seq).store(captured) {
            Err(VaultError::Damaged { .. }) => {
                // Something older is damaged, or the encoding is wrong: what is here is stored by itself.
                self.index.forget_since(mark);
                self.index.clear();
                self.shelf.clear();
                self.counters.mismatches.fetch_add(1, Ordering::Relaxed);
                self.encoding(connection, seq).store_plainly(captured)
            }
            stored => stored,
        };
        match stored {
            Ok((kept, tally)) => {
                self.count(&kept, tally);
                Ok(Kept { policy: Some(self.clean.version()), ..kept })
            }
            Err(error) => {
                self.index.forget_since(mark);
                self.shelf.forget(seq);
                Err(match error {
                    VaultError::Sqlite(error) => error,
                    VaultError::Damaged { reason, .. } => {
                        rusqlite::Error::ToSqlConversionFailure(Box::new(reason))
                    }
                })
            }
        }
    }

    /// Forgets all that is known of the file: it may be another one.
    pub fn forget(&mut self) {
        self.rolled_back();
        self.index.clear();
        self.shelf.clear();
        self.sessions.clear();
        self.removals = None;
    }

    /// The transaction has been committed.
    pub fn committed(&mut self) {
        self.index.committed();
        self.uncommitted.clear();
        self.settled = false;
    }

    /// The transaction has been rolled back: what it wrote is not there.
    pub fn rolled_back(&mut self) {
        self.index.forget_since(0);
        for seq in self.uncommitted.drain(..) {
            self.shelf.forget(seq);
        }
        self.shelf.templates.clear();
        self.settled = false;
    }

    /// What the last failed [`Vault::store`] wrote is not there; its segments were forgotten with the error.
    pub(in crate::store) fn undone(&mut self) {
        self.shelf.templates.clear();
    }

    /// While there is nothing to write: has a dictionary trained for one slot, each slot once a day, and takes one that is
    /// done. The training, a second or so, goes on elsewhere and reads by itself.
    pub fn idle(&mut self, connection: &Connection) -> Result<(), VaultError> {
        let now = clock::now();
        if self.trained.is_some_and(|at| now.duration_since(at) < TRAIN_EVERY) {
            return Ok(());
        }
        if let Some(training) = &self.training {
            let Some(done) = training.done() else { return Ok(()) };
            let removals = training.removals;
            self.training = None;
            self.next_slot += 1;
            return done?.map_or(Ok(()), |trained| self.keep(connection, &trained, removals));
        }
        let Some(slot) = Slot::ALL.get(self.next_slot) else {
            (self.next_slot, self.trained) = (0, Some(now));
            return Ok(());
        };
        let removals = removals(connection)?;
        let training = Training::start(connection, self.shelf.seal.clone(), *slot, removals);
        // Without a thread there is no dictionary today.
        self.next_slot += usize::from(training.is_none());
        self.training = training;
        Ok(())
    }

    /// Not what was trained on content that has been removed or rewritten since.
    fn keep(
        &self,
        connection: &Connection,
        trained: &Trained,
        known: i64,
    ) -> Result<(), VaultError> {
        let moment = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        if removals(&moment)? != known {
            return Ok(());
        }
        trained.keep(&moment, &self.shelf)?;
        moment.commit()?;
        tracing::info!(
            slot = trained.slot.label(),
            samples = trained.samples,
            saved_percent = trained.saved,
            "a dictionary was trained on the store's own content"
        );
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn is_at(&self, slots: usize) -> bool {
        self.next_slot >= slots
    }

    fn encoding<'v>(&'v mut self, connection: &'v Connection, seq: i64) -> Encoding<'v> {
        Encoding {
            connection,
            seq,
            clean: &*self.clean,
            hasher: &self.hasher,
            index: &mut self.index,
            shelf: &mut self.shelf,
            current: self.current,
        }
    }

    fn count(&self, kept: &Kept, tally: Tally) {
        let counters = &self.counters;
        for (counter, more) in [
            (&counters.raw_bytes, kept.raw_bytes),
            (&counters.stored_bytes, kept.stored_bytes),
            (&counters.met, tally.met),
            (&counters.met_bytes, tally.met_bytes),
            (&counters.new, tally.new),
            (&counters.new_bytes, tally.new_bytes),
        ] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Once a transaction: forgets everything when content was removed or rewritten, and reads the newest at the start.
    fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.settled {
            return Ok(());
        }
        let (removals, policy) = (removals(connection)?, self.clean.version());
        if self.removals != Some(removals) || self.policy != policy {
            self.policy = policy;
            self.index.clear();
            self.shelf.clear();
            self.sessions.clear();
            let newest = "SELECT coalesce(max(seq), 0) FROM bodies";
            self.first_seq = connection.prepare_cached(newest)?.query_row([], |row| row.get(0))?;
            let newest =
                "SELECT seq FROM bodies WHERE content IS NOT NULL ORDER BY seq DESC LIMIT ?1";
            let seqs: Vec<i64> = connection
                .prepare_cached(newest)?
                .query_map([WARM_ROWS], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            self.warm(connection, seqs)?;
            self.removals = Some(removals);
        }
        self.current = Current::load(connection, self.shelf.seal.as_deref())?;
        self.settled = true;
        Ok(())
    }

    /// When a session is met for the first time since the start, what its last exchange was put together of is read.
    fn look_for_session(
        &mut self,
        connection: &Connection,
        session: Option<&str>,
        captured: &Captured,
    ) -> rusqlite::Result<()> {
        let (Some(session), BodyIn::Content(body)) = (session, &captured.request.body) else {
            return Ok(());
        };
        // Without anything from before the start, there is nothing to find.
        if self.first_seq == 0
            || body.bytes.len() < SESSION_BYTES
            || self.sessions.contains(session)
        {
            return Ok(());
        }
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.clear();
        }
        self.sessions.insert(session.to_owned());
        let sql = "SELECT max(seq) FROM exchange_records
                   WHERE session = (SELECT id FROM sessions WHERE name = ?1) AND seq <= ?2";
        // A store without records has no sessions either.
        let Ok(mut statement) = connection.prepare_cached(sql) else { return Ok(()) };
        let last: Option<i64> = statement.query_row((session, self.first_seq), |row| row.get(0))?;
        let Some(last) = last else { return Ok(()) };
        match self.shelf.used(connection, last) {
            Ok(used) => self.warm(connection, used.into_iter().rev()),
            Err(VaultError::Sqlite(error)) => Err(error),
            Err(VaultError::Damaged { .. }) => Ok(()),
        }
    }

    /// Enters the segments of these exchanges, the first first.
    fn warm(
        &mut self,
        connection: &Connection,
        seqs: impl IntoIterator<Item = i64>,
    ) -> rusqlite::Result<()> {
        let mut bytes = 0;
        for seq in seqs {
            let content = match self.shelf.content(connection, seq) {
                Ok(content) => content,
                Err(VaultError::Sqlite(error)) => return Err(error),
                // It will be found by whoever asks for it.
                Err(VaultError::Damaged { .. }) => continue,
            };
            bytes += content.weight();
            for (index, (segment, form)) in (0..).zip(content.segments()) {
                let mut text = Vec::new();
                let text = match form {
                    super::content::Form::Text => segment,
                    form => {
                        form.write(segment, &mut text);
                        &text
                    }
                };
                // What was stored by an older policy is not met by text that this one would change.
                if self.clean.clean(text).is_some() {
                    continue;
                }
                let met = Met { place: Place { seq, index }, redacted: false };
                self.index.warm(self.hasher.hash(text), met);
            }
            if bytes > WARM_BYTES {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.counters)
    }
}

/// How often content has been removed or rewritten. Whoever does either adds one, so that a writer that holds on to what it
/// saw notices.
pub(super) fn removals(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT value FROM facts WHERE name = 'removals'";
    let found = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

/// Adds one to [`removals`], within the transaction that removes or rewrites.
pub(super) fn count_removal(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT INTO facts (name, value) VALUES ('removals', 1)
               ON CONFLICT (name) DO UPDATE SET value = value + 1";
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
