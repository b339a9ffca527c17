//! The one thread that writes: gathers what comes into batches, writes each in a transaction, and says what became of it.
//!
//! It waits for other processes a short slice at a time, so that a stop is noticed within one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use crate::base::clock;
use crate::store::Counters;
use crate::store::adopt::{self, Adopted};
use crate::store::awaited::{self, Change};
use crate::store::capture::Absent;
use crate::store::db::{self, FileId, OpenError};
use crate::store::entry::{Bodies, Entry};
use crate::store::erase;
use crate::store::expire::{self, Cursor};
use crate::store::fault::{is_busy, is_full, is_of_the_disk, needs_new_connection};
use crate::store::in_flight::Heads;
use crate::store::inbox::{Handle, Limits, Message, STOP_MAX, bound};
use crate::store::insert::{Inserted, insert};
use crate::store::late::Late;
use crate::store::memory::Memory;

/// Quiet time after which what stands in the write-ahead log is brought into the file.
const IDLE: Duration = Duration::from_secs(2);
/// How long SQLite waits for another process's transaction before it is asked again, a millisecond or so a try.
const SLICE: Duration = Duration::from_millis(100);
const SLICE_TRIES: i32 = 80;
/// Limit: how long a transaction waits for another process's once the writer is to stop.
const BUSY_LEAVING: Duration = Duration::from_secs(1);
/// How often it is looked at most whether the file is still the one that was opened.
const LOOK: Duration = Duration::from_secs(1);
/// How often records that have grown too old are looked for.
const RETENTION_EVERY: Duration = Duration::from_hours(1);
/// The same after a deletion that failed.
const RETENTION_AGAIN: Duration = Duration::from_mins(1);

/// Limit: sessions that wait for the disk to be given to records.
const ADOPTED_MAX: usize = 16_384;

/// What the thread owns.
pub(super) struct Work {
    folder: PathBuf,
    /// `None` after an error that only opening anew can mend.
    connection: Option<Connection>,
    /// Where headers and bodies go; `None`: nowhere.
    pub(super) bodies: Option<Box<dyn Bodies>>,
    /// The disk was full: until then no bodies are tried.
    bodies_again: Option<Instant>,
    /// What is known of the connection's file.
    memory: Memory,
    /// The file of the connection, set when it is opened.
    file: Option<FileId>,
    /// When the file was last compared with the path's.
    looked: Instant,
    inbox: Receiver<Message>,
    /// What handles share with this thread; never used to send.
    shared: Handle,
    limits: Limits,
    /// When old records are deleted next; `None`: never.
    retention: Option<Instant>,
    /// Where that goes on, and whether anything went since the log was last empty.
    cursor: Cursor,
    has_removed: bool,
    /// Gathered, and emptied by each commit.
    rows: Vec<Entry>,
    /// Stay until a transaction has them.
    changes: VecDeque<Change>,
    late: Late,
    heads: Heads,
    adopted: Vec<Adopted>,
    flushes: Vec<SyncSender<()>>,
    /// Rows that were given up since the writer was told to stop.
    given_up: u64,
}

impl Work {
    pub(super) fn new(
        folder: &Path,
        connection: Connection,
        inbox: Receiver<Message>,
        handle: &Handle,
        limits: Limits,
    ) -> Self {
        let now = clock::now();
        Self {
            folder: folder.to_owned(),
            connection: Some(connection),
            bodies: None,
            bodies_again: None,
            memory: Memory::default(),
            file: FileId::of(folder),
            looked: now,
            inbox,
            shared: handle.clone(),
            limits,
            cursor: Cursor::default(),
            has_removed: false,
            retention: limits.bounds.are_set().then_some(now),
            rows: Vec::new(),
            changes: VecDeque::new(),
            late: Late::default(),
            heads: Heads::default(),
            adopted: Vec::new(),
            flushes: Vec::new(),
            given_up: 0,
        }
    }

    pub(super) fn run(mut self) {
        if let Some(connection) = &mut self.connection {
            wait_for_others(connection);
        }
        if let Some(connection) = &self.connection
            && let Err(error) = awaited::prune(connection)
        {
            tracing::debug!(%error, "old awaited answers stay");
        }
        // True while the write-ahead log may hold what the file does not.
        let mut behind = false;
        while self.shared.leaving().is_none() {
            behind |= self.delete_old();
            match self.next(behind) {
                Ok(message) => {
                    self.take(message);
                    self.gather();
                    self.commit();
                    behind = true;
                }
                Err(RecvTimeoutError::Timeout) if behind && !self.retention_is_due() => {
                    self.look();
                    if let (Some(bodies), Some(connection)) = (&mut self.bodies, &self.connection) {
                        bodies.idle(connection);
                    }
                    self.checkpoint();
                    behind = self.has_removed;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.end();
    }

    /// The next message; none when there is something else to do.
    fn next(&self, behind: bool) -> Result<Message, RecvTimeoutError> {
        let idle = behind.then_some(IDLE);
        let due = self.retention.map(|due| due.saturating_duration_since(clock::now()));
        match idle.into_iter().chain(due).min() {
            Some(limit) => self.inbox.recv_timeout(limit),
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn end(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
        if let Some(leaving) = self.shared.leaving() {
            self.late.take_up(leaving.late.clone());
        }
        self.commit();
        // What records took may find room where they found none.
        if self.has_more_than_rows() {
            self.store(Vec::new());
        }
        self.has_removed = true;
        self.checkpoint();
        if self.given_up > 0 {
            tracing::error!(
                rows = self.given_up,
                folder = %self.folder.display(),
                "the store could not be written before the end; its last records are given up"
            );
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Rows(rows) if self.rows.is_empty() => self.rows = rows,
            Message::Rows(rows) => self.rows.extend(rows),
            Message::Adopt(adopted) if self.adopted.len() < ADOPTED_MAX => {
                self.adopted.push(adopted);
            }
            Message::Late(late) => self.late.take_up(late),
            Message::Flush(done) => self.flushes.push(done),
            // Of more than can wait while the disk fails, the newest keep no session.
            Message::Adopt(_) | Message::Wake => {}
            #[cfg(test)]
            Message::Run(job) => job(self.connection.as_ref().unwrap()),
        }
    }

    /// Waits a moment for more rows, up to a batch; not when somebody waits for this one.
    fn gather(&mut self) {
        let until = clock::now() + self.limits.company;
        while self.rows.len() < self.limits.batch_max
            && self.flushes.is_empty()
            && self.shared.leaving().is_none()
        {
            let left = until.saturating_duration_since(clock::now());
            match self.inbox.recv_timeout(left) {
                Ok(message) => self.take(message),
                Err(_) => return,
            }
        }
    }

    fn commit(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.changes.extend(self.shared.take_changes());
        bound(&mut self.changes);
        self.heads.take_up(self.shared.take_heads());
        self.late.take_up(self.shared.take_late());
        if since(self.looked) >= LOOK {
            self.look();
        }
        let had_rows = !rows.is_empty();
        let mut rest = rows;
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(self.limits.batch_max));
            self.store(rest);
            rest = after;
        }
        // After rows that could not be written there is nothing to be had from another try.
        if !had_rows && self.has_more_than_rows() {
            self.store(Vec::new());
        }
        for done in self.flushes.drain(..) {
            // Whoever asked may have stopped waiting.
            let _told = done.try_send(());
        }
    }

    fn has_more_than_rows(&self) -> bool {
        let none = self.changes.is_empty() && self.late.is_empty();
        !(none && self.heads.is_empty() && self.adopted.is_empty())
    }

    /// One batch: written, or after the last try given up and counted.
    fn store(&mut self, mut rows: Vec<Entry>) {
        let bytes: u64 = rows.iter().map(Entry::weight).sum();
        let tries_bodies = self.bodies_again.is_none_or(|at| clock::now() >= at);
        if !tries_bodies {
            self.shed(&mut rows);
        } else if bytes > 0 {
            // Set again if the disk is still full.
            self.bodies_again = None;
        }
        let was_failing = self.counters().failing.load(Ordering::Relaxed);
        let mut pauses = if was_failing { [].iter() } else { self.limits.pauses.iter() };
        // Bodies are written in one go, and apart from each other only when something in them fails.
        let mut apart = false;
        let outcome = loop {
            match self.transaction(&rows, apart) {
                Ok(done) => break Ok(done),
                Err(OpenError::Sqlite { error, .. }) if is_full(&error) && self.shed(&mut rows) => {
                    self.bodies_again = Some(clock::now() + self.limits.bodies_again);
                }
                Err(OpenError::Sqlite { error, .. })
                    if !apart && bytes > 0 && !is_of_the_disk(&error) =>
                {
                    apart = true;
                }
                Err(error) => match pauses.next().filter(|_| self.shared.leaving().is_none()) {
                    Some(pause) => {
                        self.counters().retried.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(*pause);
                    }
                    None => break Err(error),
                },
            }
        };
        self.counters().failing.store(outcome.is_err(), Ordering::Relaxed);
        self.counters().without_bodies.store(self.bodies_again.is_some(), Ordering::Relaxed);
        match outcome {
            Ok(done) => self.written(done, was_failing),
            Err(error) => self.give_up(&rows, &error, was_failing),
        }
        self.counters().queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.counters().queued.fetch_sub(rows.len() as u64, Ordering::Relaxed);
    }

    fn written(&mut self, done: Inserted, was_failing: bool) {
        self.late.clear();
        self.changes.clear();
        self.heads.clear();
        self.adopted.clear();
        self.counters().raw_bytes.fetch_add(done.raw_bytes, Ordering::Relaxed);
        self.counters().stored_bytes.fetch_add(done.stored_bytes, Ordering::Relaxed);
        self.counters().stored.fetch_add(done.stored, Ordering::Relaxed);
        self.counters().failed.fetch_add(done.refused, Ordering::Relaxed);
        self.counters().bodies_failed.fetch_add(done.without_bodies, Ordering::Relaxed);
        if was_failing {
            tracing::info!("the store can be written again");
        }
    }

    /// What the rows took waits for a transaction that succeeds; they do not.
    fn give_up(&mut self, rows: &[Entry], error: &OpenError, was_failing: bool) {
        let lost = rows.len() as u64;
        for Entry { row, .. } in rows {
            self.late.add_row(row);
            if row.head_written {
                self.heads.end(row.id);
            }
        }
        self.counters().failed.fetch_add(lost, Ordering::Relaxed);
        if self.shared.leaving().is_some() {
            self.given_up += lost;
        }
        if !was_failing {
            tracing::error!(
                folder = %self.folder.display(),
                "records are lost until the store can be written again: {error}; traffic goes on"
            );
        }
    }

    /// Lets go of the bodies of a batch, because the disk is full; true when there were any.
    fn shed(&self, rows: &mut [Entry]) -> bool {
        let shed = rows.iter_mut().filter_map(|entry| entry.shed(Absent::ShedDisk).then_some(()));
        let count = shed.count() as u64;
        if count > 0 && self.counters().bodies_shed_disk.fetch_add(count, Ordering::Relaxed) == 0 {
            tracing::error!(
                folder = %self.folder.display(),
                "bodies are not kept: the disk is full; records are kept while there is room for them, traffic goes on"
            );
        }
        count > 0
    }

    fn counters(&self) -> &Counters {
        self.shared.counters()
    }

    /// Tries until another process's transaction has been waited for long enough.
    fn transaction(&mut self, rows: &[Entry], apart: bool) -> Result<Inserted, OpenError> {
        let began = clock::now();
        loop {
            let slice = clock::now();
            match self.write(rows, apart) {
                Err(OpenError::Sqlite { error, .. })
                    if is_busy(&error) && since(began) < self.patience() =>
                {
                    // SQLite does not wait where waiting could not help.
                    if since(slice) < SLICE {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                done => return done,
            }
        }
    }

    /// How long a transaction may wait for another process's.
    fn patience(&self) -> Duration {
        match self.shared.leaving() {
            None => self.limits.busy,
            Some(leaving) => {
                let left = STOP_MAX.saturating_sub(since(leaving.at));
                self.limits.busy.min(BUSY_LEAVING).min(left)
            }
        }
    }

    fn write(&mut self, rows: &[Entry], apart: bool) -> Result<Inserted, OpenError> {
        let (memory, bodies) = (&mut self.memory, &mut self.bodies);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                memory.clear();
                if let Some(bodies) = &mut *bodies {
                    bodies.reopened();
                }
                let mut opened = db::open_writer(&self.folder, SLICE)?;
                wait_for_others(&mut opened);
                self.file = FileId::of(&self.folder);
                none.insert(opened)
            }
        };
        let mut write = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.heads.write(&transaction)?;
            let done = insert(&transaction, memory, bodies.as_deref_mut(), (rows, apart))?;
            adopt::write(&transaction, memory, &self.adopted)?;
            awaited::write(&transaction, &self.changes)?;
            self.late.write(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        let written = write();
        if let (Ok(_), Some(bodies)) = (&written, &mut *bodies) {
            bodies.committed();
        }
        written.map_err(|error: rusqlite::Error| {
            memory.clear();
            if let Some(bodies) = bodies {
                bodies.rolled_back();
            }
            if needs_new_connection(&error) {
                self.connection = None;
            }
            OpenError::Sqlite { path: self.folder.join(db::FILE), error }
        })
    }

    /// Lets go of a file that is no longer the path's: what is written to it nobody reads. The next transaction opens, and
    /// where nothing is there makes, the one that is.
    fn look(&mut self) {
        self.looked = clock::now();
        if self.connection.is_some() && FileId::of(&self.folder) != self.file {
            self.connection = None;
            tracing::error!(
                path = %self.folder.join(db::FILE).display(),
                "the store's file was removed or replaced while in use; records of the last moments may be lost, and the next \
                 ones go to the file that is there, or to a new one"
            );
        }
    }

    fn retention_is_due(&self) -> bool {
        self.retention.is_some_and(|due| due <= clock::now())
    }

    /// Takes one step in removing what is too old or too much, when it is time to; true when there is more.
    fn delete_old(&mut self) -> bool {
        if !self.retention_is_due() {
            return false;
        }
        let began = clock::now();
        let Some(connection) = &mut self.connection else {
            self.retention = Some(began + RETENTION_AGAIN);
            return false;
        };
        let (bounds, cursor) = (&self.limits.bounds, &mut self.cursor);
        let (next, more) = match expire::step(connection, bounds, cursor, clock::wall_us()) {
            Ok(false) => {
                if self.has_removed {
                    self.checkpoint();
                }
                (RETENTION_EVERY, false)
            }
            // As long as the file was held, it is left to others.
            Ok(true) => {
                self.has_removed = true;
                (since(began), true)
            }
            Err(error) => {
                tracing::warn!(%error, "what is old is not removed yet; that is tried again in a minute");
                (RETENTION_AGAIN, false)
            }
        };
        self.memory.doubt();
        self.retention = Some(clock::now() + next);
        more
    }

    /// Brings the log into the file, and makes it empty where what was removed may stand in it.
    fn checkpoint(&mut self) {
        let Some(connection) = &self.connection else { return };
        // A reader may hold on to the log; then the next one does it.
        let done = if self.has_removed {
            erase::empty_log(connection, Duration::ZERO)
        } else {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(false))
        };
        match done {
            Ok(is_empty) => self.has_removed &= !is_empty,
            Err(error) => tracing::debug!(%error, "the write-ahead log stays as it is for now"),
        }
    }
}

/// For another process's transaction, a moment at a time, so that its end is noticed within a millisecond.
fn wait_for_others(connection: &mut Connection) {
    let wait = |tries| {
        std::thread::sleep(Duration::from_millis(1));
        tries < SLICE_TRIES
    };
    if let Err(error) = connection.busy_handler(Some(wait)) {
        tracing::debug!(%error, "the store waits longer for others than it should");
    }
}

fn since(at: Instant) -> Duration {
    clock::now().saturating_duration_since(at)
}
