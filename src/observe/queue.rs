//! The bounded queue between the hot path and the worker thread, and that thread.
//!
//! Pushing costs an uncontended lock. The push that finds the queue empty wakes the thread, which then waits a moment for
//! company: a busy gateway pays for a hundred wake-ups a second, an idle one (also one that only streams) for none.

#![expect(
    clippy::vec_box,
    reason = "an exchange is large: it is boxed once and then passed on by pointer"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crate::exchange::Exchange;
use crate::exchange::leg::Keep;
use crate::exchange::level::Level;
use crate::exchange::live::Live;
use crate::exchange::room::Room;
use crate::observe::digest::Digester;
use crate::observe::overflow::Overflow;
use crate::observe::rules::RulesInForce;
use crate::observe::signals::Finder;
use crate::observe::sink::Sinks;
use crate::store::Counters as StoreCounters;

/// Limit: finished exchanges waiting for the worker. Past it their records are lost and counted; see `overflow`.
pub const QUEUE_MAX: usize = 65_536;
/// How long a woken worker waits for more before it takes the batch.
const COMPANY: Duration = Duration::from_millis(10);

/// Finished exchanges on their way to the sinks.
pub struct Queue {
    /// Written by the hot path, emptied whole by the worker. Never held across an await.
    waiting: Mutex<Vec<Box<Exchange>>>,
    dropped: AtomicU64,
    unread: AtomicU64,
    unseen: AtomicU64,
    /// What the sinks want kept of each exchange.
    keep: Keep,
    /// For reading on the threads that serve.
    digester: Digester,
    /// What it costs to find no room.
    overflow: Overflow,
    /// Memory for what is kept of running exchanges.
    room: Arc<Room>,
    /// What of an exchange is stored, where there is a store.
    rules: Arc<RulesInForce>,
    stores: bool,
    /// The exchanges that run.
    live: Arc<Live>,
    /// What the store counts, where there is one.
    store: OnceLock<Arc<StoreCounters>>,
    closed: AtomicBool,
    cutting: AtomicBool,
    worker: Mutex<Option<Thread>>,
}

/// The running worker; [`Worker::stop`] empties the queue and waits for it.
pub struct Worker {
    queue: Arc<Queue>,
    handle: Option<JoinHandle<()>>,
}

impl Queue {
    /// Starts the worker thread over `sinks`.
    pub fn start(digester: Digester, sinks: Sinks) -> std::io::Result<(Arc<Self>, Worker)> {
        let queue = Arc::new(Self {
            waiting: Mutex::new(Vec::with_capacity(256)),
            dropped: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            unseen: AtomicU64::new(0),
            keep: sinks.keep(),
            digester: digester.clone().hurried(),
            overflow: Overflow::new(digester.clone()),
            room: Arc::clone(sinks.room()),
            rules: Arc::clone(sinks.rules()),
            stores: sinks.stores(),
            live: Arc::default(),
            store: OnceLock::new(),
            closed: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
            worker: Mutex::new(None),
        });
        let own = Arc::clone(&queue);
        let handle = std::thread::Builder::new()
            .name("pinhole-observe".to_owned())
            .spawn(move || own.run(digester, sinks))?;
        *queue.worker.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(handle.thread().clone());
        let worker = Worker { queue: Arc::clone(&queue), handle: Some(handle) };
        Ok((queue, worker))
    }

    pub(crate) fn push(&self, exchange: Box<Exchange>) {
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= QUEUE_MAX {
                drop(waiting);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.overflow.add(exchange);
                return;
            }
            waiting.push(exchange);
            waiting.len() == 1
        };
        if first {
            self.wake();
        }
    }

    pub fn digester(&self) -> &Digester {
        &self.digester
    }

    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// What the store counts; `None`: nothing is kept.
    pub fn store(&self) -> Option<&Arc<StoreCounters>> {
        self.store.get()
    }

    /// Told once, at the start.
    pub fn has_store(&self, counters: Arc<StoreCounters>) {
        // A second store would be a defect, and the first one is the one that is written.
        let _first = self.store.set(counters);
    }

    /// Bytes kept of exchanges that run or wait to be written.
    pub fn held_bytes(&self) -> u64 {
        let waiting = self.store().map_or(0, |store| store.queued_bytes.load(Ordering::Relaxed));
        u64::try_from(self.room.held_bytes()).unwrap_or(u64::MAX).saturating_add(waiting)
    }

    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    pub fn rules(&self) -> &Arc<RulesInForce> {
        &self.rules
    }

    /// How much is held of an exchange while it runs whose client asked for that level.
    pub fn keep_of(&self, asked: Option<Level>) -> Keep {
        if !self.stores {
            return self.keep;
        }
        let rules = self.rules.load();
        let stored = match rules.bound(asked) {
            Level::Meta if rules.reads_headers() => Keep::Headers,
            Level::Off | Level::Meta => Keep::Numbers,
            Level::Headers => Keep::Headers,
            Level::Full => Keep::Bodies,
        };
        stored.max(self.keep)
    }

    /// From now on an exchange that ends by being dropped was cut by the gateway, not left by its client.
    pub fn cut(&self) {
        self.cutting.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_cutting(&self) -> bool {
        self.cutting.load(Ordering::SeqCst)
    }

    /// Exchanges whose answer could not be read: a defect of the gateway.
    pub fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }

    /// Exchanges that a sink failed over: a defect of the gateway.
    pub fn unseen(&self) -> u64 {
        self.unseen.load(Ordering::Relaxed)
    }

    /// Exchanges that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(worker) = self.worker.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            worker.unpark();
        }
    }

    fn account(&self, sinks: &mut Sinks) {
        let accounts = self.overflow.take();
        if !accounts.is_empty() {
            sinks.account(&accounts);
        }
        let noted = self.overflow.take_noted();
        if !noted.is_empty() {
            sinks.lost(&noted);
        }
    }

    /// A defect in reading one answer must not end the reading of all others.
    fn digest(&self, digester: &mut Digester, exchange: &mut Exchange) {
        let digesting = AssertUnwindSafe(|| digester.digest(exchange));
        if catch_unwind(digesting).is_err() {
            self.unread.fetch_add(1, Ordering::Relaxed);
            tracing::error!(id = %exchange.id, "an answer could not be read; its tokens are not counted");
        }
    }

    /// Neither must one in finding sessions and signals.
    fn find(&self, finder: &mut Finder, exchange: &mut Exchange) {
        if catch_unwind(AssertUnwindSafe(|| finder.find(exchange))).is_err() {
            self.unread.fetch_add(1, Ordering::Relaxed);
            tracing::error!(id = %exchange.id, "no session or signals could be found; they are missing");
        }
    }

    fn run(&self, mut digester: Digester, mut sinks: Sinks) {
        let mut finder = Finder::default();
        let mut batch: Vec<Box<Exchange>> = Vec::with_capacity(256);
        loop {
            let closing = self.closed.load(Ordering::SeqCst);
            std::mem::swap(
                &mut batch,
                &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner),
            );
            if !batch.is_empty() {
                for exchange in &mut batch {
                    self.digest(&mut digester, exchange);
                    self.find(&mut finder, exchange);
                }
                self.unseen.fetch_add(sinks.take(&batch, self.dropped()), Ordering::Relaxed);
                batch.clear();
                self.account(&mut sinks);
            } else if closing {
                self.account(&mut sinks);
                sinks.flush();
                return;
            } else {
                // A wake-up that came before this is remembered, and parking returns at once.
                std::thread::park();
            }
            if !closing {
                std::thread::sleep(COMPANY);
            }
        }
    }
}

impl Worker {
    /// Lets the worker finish what is queued, and waits for it.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        self.queue.closed.store(true, Ordering::SeqCst);
        self.queue.wake();
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the observing thread panicked; log lines may be missing");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.handle.is_some() {
            self.close();
        }
    }
}
