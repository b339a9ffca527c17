//! The one thread that writes: rows come in by a bounded queue and go to disk a batch at a time.
//!
//! ```text
//!  put ──try_send──► queue ──► gather up to ROWS or COMPANY ──► transaction ──► counted as stored
//!   │ full                                                       │ fails
//!   └─► counted as dropped                                       └─► tried again, then counted as failed
//! ```
//!
//! Whoever calls [`Handle::put`] never waits for the disk. While the disk fails each batch is tried once, so that the queue
//! keeps moving; the first batch that succeeds ends that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::base::clock;
use crate::store::Counters;
use crate::store::awaited::{self, Awaited, Change};
use crate::store::db::{self, OpenError};
use crate::store::insert::{Inserted, insert};
use crate::store::late::Late;
use crate::store::row::Row;

/// Limit: messages waiting; one of the observer's batches is one message.
const MESSAGES_MAX: usize = 4_096;
/// Quiet time after which what stands in the write-ahead log is brought into the file.
const IDLE: Duration = Duration::from_secs(2);

const PAUSES: &[Duration] = &[Duration::from_millis(100), Duration::from_millis(500)];

/// The writer's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows waiting for the writer; past it they are dropped and counted.
    pub queue_max: usize,
    /// Rows of one transaction.
    pub batch_max: usize,
    /// How long the first row of a batch waits for more.
    pub company: Duration,
    /// How long a transaction waits for another process's.
    pub busy: Duration,
    /// The pauses before a failed transaction is tried again.
    pub pauses: &'static [Duration],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_max: 32_768,
            batch_max: 4_096,
            company: Duration::from_millis(50),
            busy: db::BUSY,
            pauses: PAUSES,
        }
    }
}

/// The running writer; dropped or stopped, it writes what is queued and is waited for.
pub struct Writer {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Hands rows to the writer. Cheap to clone; outlives the writer, after which it drops and counts.
#[derive(Clone)]
pub struct Handle {
    messages: SyncSender<Message>,
    counters: Arc<Counters>,
    queue_max: usize,
}

enum Message {
    Rows(Vec<Row>),
    Awaited(Change),
    Late(Late),
    /// Answered when all before it has been written or given up.
    Flush(SyncSender<()>),
    Stop,
    #[cfg(test)]
    Run(Box<dyn FnOnce(&Connection) + Send>),
}

impl Writer {
    /// Opens the store in `folder`, making it where it is missing, and starts the thread.
    pub fn start(folder: &Path, limits: Limits) -> Result<Self, OpenError> {
        let connection = db::open_writer(folder, limits.busy)?;
        let (messages, inbox) = sync_channel(MESSAGES_MAX);
        let counters = Arc::new(Counters::default());
        let handle =
            Handle { messages, counters: Arc::clone(&counters), queue_max: limits.queue_max };
        let work = Work {
            folder: folder.to_owned(),
            connection: Some(connection),
            inbox,
            counters,
            limits,
            rows: Vec::new(),
            changes: Vec::new(),
            late: Late::default(),
            flushes: Vec::new(),
            stopping: false,
        };
        let thread = std::thread::Builder::new()
            .name("pinhole-store".to_owned())
            .spawn(move || work.run())
            .map_err(|error| OpenError::File { path: folder.join(db::FILE), error })?;
        Ok(Self { handle, thread: Some(thread) })
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Writes `late` and what is queued, and waits for it.
    pub fn stop_with(&mut self, late: Late) {
        if self.thread.is_some() {
            // A writer that is gone writes nothing more.
            let _sent = self.handle.messages.send(Message::Late(late));
        }
        self.stop();
    }

    /// Writes what is queued, and waits for it.
    pub fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // A writer that is gone has nothing left to stop.
        let _sent = self.handle.messages.send(Message::Stop);
        if thread.join().is_err() {
            tracing::error!("the store's thread panicked; records may be missing");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Handle {
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Queues rows, as many as there is room for. Never waits.
    pub fn put(&self, mut rows: Vec<Row>) {
        let queued = self.counters.queued.load(Ordering::Relaxed) as usize;
        let room = self.queue_max.saturating_sub(queued);
        if rows.len() > room {
            self.count_dropped((rows.len() - room) as u64);
            rows.truncate(room);
        }
        if rows.is_empty() {
            return;
        }
        let count = rows.len() as u64;
        self.counters.queued.fetch_add(count, Ordering::Relaxed);
        if self.messages.try_send(Message::Rows(rows)).is_err() {
            self.counters.queued.fetch_sub(count, Ordering::Relaxed);
            self.count_dropped(count);
        }
    }

    /// Notes on disk that an answer's usage comes later. Never waits; what finds no room is not noted.
    pub fn await_usage(&self, awaited: Awaited) {
        let _noted = self.messages.try_send(Message::Awaited(Change::Insert(awaited)));
    }

    /// Notes on disk that an awaited usage has come. Never waits.
    pub fn usage_came(&self, response_id: &str) {
        let change = Change::Take(response_id.to_owned());
        let _noted = self.messages.try_send(Message::Awaited(change));
    }

    /// Queues what counts without a record. Never waits; what finds no room is given back.
    pub fn put_late(&self, late: Late) -> Result<(), Late> {
        match self.messages.try_send(Message::Late(late)) {
            Err(TrySendError::Full(Message::Late(late))) => Err(late),
            // After the end nobody takes it.
            _ => Ok(()),
        }
    }

    /// Waits until all that was queued before has been written or given up; false when that took longer than `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        self.messages.send(Message::Flush(done)).is_ok() && wait.recv_timeout(limit).is_ok()
    }

    fn count_dropped(&self, rows: u64) {
        if self.counters.dropped.fetch_add(rows, Ordering::Relaxed) == 0 {
            tracing::warn!("records are dropped: the store's queue is full; is the disk too slow?");
        }
    }

    #[cfg(test)]
    pub(super) fn run(&self, job: impl FnOnce(&Connection) + Send + 'static) {
        assert!(self.messages.send(Message::Run(Box::new(job))).is_ok());
    }
}

/// What the thread owns.
struct Work {
    folder: PathBuf,
    /// `None` after an error that only opening anew can mend.
    connection: Option<Connection>,
    inbox: Receiver<Message>,
    counters: Arc<Counters>,
    limits: Limits,
    /// Gathered, and emptied by each commit.
    rows: Vec<Row>,
    changes: Vec<Change>,
    /// Stays until a transaction has it.
    late: Late,
    flushes: Vec<SyncSender<()>>,
    stopping: bool,
}

impl Work {
    fn run(mut self) {
        if let Some(connection) = &self.connection
            && let Err(error) = awaited::prune(connection)
        {
            tracing::debug!(%error, "old awaited answers stay");
        }
        // True while the write-ahead log may hold what the file does not.
        let mut behind = false;
        while !self.stopping {
            let first = if behind {
                self.inbox.recv_timeout(IDLE)
            } else {
                self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match first {
                Ok(message) => {
                    self.take(message);
                    self.gather();
                    self.commit();
                    behind = true;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint("PASSIVE");
                    behind = false;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
        self.commit();
        self.checkpoint("TRUNCATE");
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Rows(rows) if self.rows.is_empty() => self.rows = rows,
            Message::Rows(rows) => self.rows.extend(rows),
            Message::Awaited(change) => self.changes.push(change),
            Message::Late(late) => self.late.take_up(late),
            Message::Flush(done) => self.flushes.push(done),
            Message::Stop => self.stopping = true,
            #[cfg(test)]
            Message::Run(job) => job(self.connection.as_ref().unwrap()),
        }
    }

    /// Waits a moment for more rows, up to a batch; not when somebody waits for this one.
    fn gather(&mut self) {
        let until = clock::now() + self.limits.company;
        while self.rows.len() < self.limits.batch_max
            && self.changes.len() < self.limits.batch_max
            && self.flushes.is_empty()
            && !self.stopping
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
        let changes = std::mem::take(&mut self.changes);
        let mut changes = changes.as_slice();
        for batch in rows.chunks(self.limits.batch_max) {
            self.store(batch, changes);
            changes = &[];
        }
        if !changes.is_empty() || !self.late.is_empty() {
            self.store(&[], changes);
        }
        for done in self.flushes.drain(..) {
            // Whoever asked may have stopped waiting.
            let _told = done.try_send(());
        }
    }

    /// One batch: written, or after the last try given up and counted.
    fn store(&mut self, rows: &[Row], changes: &[Change]) {
        let was_failing = self.counters.failing.load(Ordering::Relaxed);
        let mut pauses = if was_failing { [].iter() } else { self.limits.pauses.iter() };
        let outcome = loop {
            match self.transaction(rows, changes) {
                Ok(done) => break Ok(done),
                Err(error) => match pauses.next() {
                    Some(pause) => {
                        self.counters.retried.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(*pause);
                    }
                    None => break Err(error),
                },
            }
        };
        self.counters.failing.store(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(done) => {
                self.late.clear();
                self.counters.stored.fetch_add(done.stored, Ordering::Relaxed);
                self.counters.failed.fetch_add(done.refused, Ordering::Relaxed);
                if was_failing {
                    tracing::info!("the store can be written again");
                }
            }
            Err(error) => {
                self.counters.failed.fetch_add(rows.len() as u64, Ordering::Relaxed);
                if !was_failing {
                    tracing::error!(
                        folder = %self.folder.display(),
                        "records are lost until the store can be written again: {error}; traffic goes on"
                    );
                }
            }
        }
        self.counters.queued.fetch_sub(rows.len() as u64, Ordering::Relaxed);
    }

    fn transaction(&mut self, rows: &[Row], changes: &[Change]) -> Result<Inserted, OpenError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(db::open_writer(&self.folder, self.limits.busy)?),
        };
        let mut write = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = insert(&transaction, rows)?;
            awaited::write(&transaction, changes)?;
            self.late.write(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        write().map_err(|error: rusqlite::Error| {
            if needs_new_connection(&error) {
                self.connection = None;
            }
            OpenError::Sqlite { path: self.folder.join(db::FILE), error }
        })
    }

    fn checkpoint(&self, mode: &str) {
        let Some(connection) = &self.connection else { return };
        // A reader may hold on to the log; then the next one does it.
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = connection.query_row(&sql, [], |_| Ok(())) {
            tracing::debug!(%error, "the write-ahead log stays as it is for now");
        }
    }
}

/// Busy and full pass by themselves; what is left may come from a file that was moved or broken.
fn needs_new_connection(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
    )
}
