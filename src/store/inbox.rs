//! What feeds the writer: rows come in by a bounded queue, changes of what is awaited beside it.
//!
//! Whoever calls a [`Handle`] never waits for the disk.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::store::Counters;
use crate::store::adopt::Adopted;
use crate::store::awaited::{AWAITED_MAX, Awaited, Change};
use crate::store::capture::Absent;
use crate::store::db;
use crate::store::entry::Entry;
use crate::store::expire::Bounds;
use crate::store::in_flight::{Head, Heads};
use crate::store::late::Late;
use crate::store::text::{NAME_MAX, fit};

/// Limit: messages waiting; one of the observer's batches is one message.
const MESSAGES_MAX: usize = 4_096;
/// Limit: after this long a stop gives up what is not written yet.
pub(super) const STOP_MAX: Duration = Duration::from_secs(3);
const BODIES_AGAIN: Duration = Duration::from_secs(5);
const PAUSES: &[Duration] = &[Duration::from_millis(100), Duration::from_millis(500)];

/// The writer's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows waiting for the writer; past it they are dropped and counted.
    pub queue_max: usize,
    /// Bytes of headers and bodies waiting for the writer; past it bodies are dropped and counted.
    pub bytes_max: u64,
    /// Rows of one transaction.
    pub batch_max: usize,
    /// How long the first row of a batch waits for more.
    pub company: Duration,
    /// How long a transaction waits for another process's.
    pub busy: Duration,
    /// The pauses before a failed transaction is tried again.
    pub pauses: &'static [Duration],
    /// After a full disk, bodies are tried again this much later; records always.
    pub bodies_again: Duration,
    /// What is removed when.
    pub bounds: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_max: 32_768,
            bytes_max: 128 * 1024 * 1024,
            batch_max: 512,
            company: Duration::from_millis(50),
            busy: db::BUSY,
            pauses: PAUSES,
            bodies_again: BODIES_AGAIN,
            bounds: Bounds::default(),
        }
    }
}

/// Hands rows to the writer. Cheap to clone; outlives the writer, after which it drops and counts.
#[derive(Clone)]
pub struct Handle {
    messages: SyncSender<Message>,
    counters: Arc<Counters>,
    queue_max: usize,
    bytes_max: u64,
    /// Filled by handles, emptied by each commit: beside the queue, so that none is lost when that is full.
    changes: Arc<Mutex<VecDeque<Change>>>,
    /// The same, of exchanges that have not ended.
    heads: Arc<Mutex<Heads>>,
    /// The same, of exchanges whose rows found no room.
    late: Arc<Mutex<Late>>,
    leaving: Arc<OnceLock<Leaving>>,
}

/// The writer was told to stop.
pub(super) struct Leaving {
    pub at: Instant,
    /// What is to be written before.
    pub late: Late,
}

pub(super) enum Message {
    Rows(Vec<Entry>),
    /// In the order of the rows: what they adopt was put before.
    Adopt(Adopted),
    Late(Late),
    /// Answered when all before it has been written or given up.
    Flush(SyncSender<()>),
    /// There is something to do that stands outside the queue: changes, or a stop.
    Wake,
    #[cfg(test)]
    Run(Box<dyn FnOnce(&rusqlite::Connection) + Send>),
}

impl Handle {
    /// With the end that the writer's thread reads.
    pub(super) fn new(limits: &Limits) -> (Self, Receiver<Message>) {
        let (messages, inbox) = sync_channel(MESSAGES_MAX);
        let handle = Self {
            messages,
            counters: Arc::default(),
            queue_max: limits.queue_max,
            bytes_max: limits.bytes_max,
            changes: Arc::default(),
            heads: Arc::default(),
            late: Arc::default(),
            leaving: Arc::default(),
        };
        (handle, inbox)
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Queues exchanges, as many as there is room for: first bodies are let go of, then records. Never waits.
    pub fn put<E: Into<Entry>>(&self, entries: Vec<E>) {
        let mut entries: Vec<Entry> = entries.into_iter().map(Into::into).collect();
        let queued = self.counters.queued.load(Ordering::Relaxed) as usize;
        let room = self.queue_max.saturating_sub(queued);
        if entries.len() > room {
            self.drop_entries(&entries.split_off(room));
        }
        if entries.is_empty() {
            return;
        }
        let bytes: u64 = entries.iter_mut().map(|entry| self.fit(entry)).sum();
        let count = entries.len() as u64;
        self.counters.queued.fetch_add(count, Ordering::Relaxed);
        if let Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) =
            self.messages.try_send(Message::Rows(entries))
        {
            self.counters.queued.fetch_sub(count, Ordering::Relaxed);
            self.counters.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if let Message::Rows(entries) = back {
                self.drop_entries(&entries);
            }
        }
    }

    /// Takes the room that an exchange needs, without its bodies where there is not enough; how much.
    fn fit(&self, entry: &mut Entry) -> u64 {
        let queued = self.counters.queued_bytes.load(Ordering::Relaxed);
        let mut bytes = entry.weight();
        if queued.saturating_add(bytes) > self.bytes_max && entry.shed(Absent::ShedQueue) {
            bytes = entry.weight();
            if self.counters.bodies_shed_queue.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    "bodies are not kept: the store's queue is full; their records are; is the disk too slow?"
                );
            }
        }
        self.counters.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        bytes
    }

    /// The records are lost; what the exchanges took goes to the roll-ups with the next transaction.
    fn drop_entries(&self, entries: &[Entry]) {
        self.count_dropped(entries.len() as u64);
        let first = {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            let first = late.is_empty();
            for entry in entries {
                late.add_row(&entry.row);
            }
            first && !late.is_empty()
        };
        if first {
            self.wake();
        }
        let written = entries.iter().filter(|entry| entry.row.head_written);
        let ended: Vec<_> = written.map(|entry| entry.row.id).collect();
        if !ended.is_empty() {
            self.heads(Vec::new(), ended);
        }
    }

    /// Notes exchanges that run, so that a crash does not hide them, and those noted before that have ended without a row.
    /// Never waits for the disk.
    pub fn heads(&self, started: Vec<Head>, ended: Vec<[u8; 16]>) {
        let first = {
            let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            let first = heads.is_empty();
            for head in started {
                heads.start(head);
            }
            for id in ended {
                heads.end(id);
            }
            first && !heads.is_empty()
        };
        if first {
            self.wake();
        }
    }

    pub(super) fn take_late(&self) -> Late {
        std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn take_heads(&self) -> Heads {
        std::mem::take(&mut *self.heads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives an exchange that was put before, and had none, its session. Never waits; false when there was no room.
    pub fn adopt(&self, id: [u8; 16], session: &str) -> bool {
        let session = fit(session, NAME_MAX).into_owned();
        self.messages.try_send(Message::Adopt(Adopted { id, session })).is_ok()
    }

    /// Notes on disk that an answer's usage comes later. Never waits for the disk.
    pub fn await_usage(&self, awaited: Awaited) {
        self.note(Change::Insert(awaited));
    }

    /// Notes on disk that an awaited usage has come. Never waits for the disk.
    pub fn usage_came(&self, response_id: &str) {
        self.note(Change::Take(response_id.to_owned()));
    }

    fn note(&self, change: Change) {
        let first = {
            let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            changes.push_back(change);
            bound(&mut changes);
            changes.len() == 1
        };
        if first {
            self.wake();
        }
    }

    pub(super) fn take_changes(&self) -> VecDeque<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the thread to write what is queued, and `late`, and to end.
    pub(super) fn leave(&self, late: Late) {
        let _once = self.leaving.set(Leaving { at: clock::now(), late });
        self.wake();
    }

    fn wake(&self) {
        // Whoever has a full queue is awake, and looks here when that is done.
        let _woken = self.messages.try_send(Message::Wake);
    }

    pub(super) fn leaving(&self) -> Option<&Leaving> {
        self.leaving.get()
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
    pub(super) fn run(&self, job: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
        assert!(self.messages.send(Message::Run(Box::new(job))).is_ok());
    }
}

/// Of more changes than may be awaited, the oldest are given up.
pub(super) fn bound(changes: &mut VecDeque<Change>) {
    let excess = changes.len().saturating_sub(AWAITED_MAX as usize);
    changes.drain(..excess);
}
