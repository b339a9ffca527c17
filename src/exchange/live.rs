//! The exchanges that run now: what a live view shows, and what is written of them so that a crash does not hide them.
//!
//! An entry costs the hot path one allocation and two uncontended locks an exchange, three stores a frame, and one load to
//! see whether anybody watches. Somebody who does sees the answer grow (`watch.rs`).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::Method;

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::base::trace::TraceId;
use crate::exchange::level::Level;
use crate::exchange::replay::Replay;
use crate::exchange::watch::{ASKED_US, Seen};
use crate::neutral::kind::{Dialect, Operation};

/// As many locks as there may be workers that do not wait for each other.
const SHARDS: usize = 16;

/// The table of running exchanges.
#[derive(Debug, Default)]
pub struct Live {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    slots: Vec<Option<Arc<Entry>>>,
    free: Vec<usize>,
}

/// One running exchange, as far as others may see it.
#[derive(Debug)]
pub struct Entry {
    pub begun: Begun,
    known: Mutex<Known>,
    /// Where its head stands. Held while the head is handed over, so that the end, which takes it too, comes wholly before
    /// or wholly after that.
    head: Mutex<HeadState>,
    frames: AtomicU64,
    bytes: AtomicU64,
    last_us: AtomicU64,
    ended: AtomicBool,
    /// Somebody watches, and asked last at this offset.
    watched: AtomicBool,
    asked_us: AtomicU64,
    seen: Mutex<Seen>,
}

/// What has become of the head of an exchange that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum HeadState {
    #[default]
    Unwritten,
    /// Handed over, to be written to the disk.
    Written,
    /// The exchange ended before it was handed over; it never will be.
    Needless,
}

/// What is learnt on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    pub key_label: Option<Arc<str>>,
    pub model_requested: Option<String>,
    pub stream: bool,
    pub provider: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    /// Attempts begun.
    pub attempts: u32,
    /// Offset at which the running attempt was sent.
    pub sent_us: Option<u64>,
}

/// How far an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The request is being read, or waits for a place.
    Coming,
    /// Sent, and nothing has come back.
    Waiting,
    /// The answer is coming.
    Answering,
    /// Over, and not stored yet.
    Ended,
}

impl Phase {
    pub fn label(self) -> &'static str {
        match self {
            Self::Coming => "coming",
            Self::Waiting => "waiting",
            Self::Answering => "answering",
            Self::Ended => "ended",
        }
    }
}

/// What has arrived so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    pub frames: u64,
    pub bytes: u64,
    /// Offset of the last frame.
    pub last_us: u64,
}

/// The facts an entry begins with.
#[derive(Debug)]
pub struct Begun {
    pub id: ExchangeId,
    pub started: Instant,
    pub wall_us: u64,
    pub client: Option<SocketAddr>,
    pub method: Method,
    pub path: String,
    pub dialect: Dialect,
    pub operation: Operation,
    pub agent: &'static str,
    pub session: Option<Arc<str>>,
    pub trace: TraceId,
    /// The level that the client asked for by a header.
    pub asked: Option<Level>,
    pub replay: Option<Replay>,
}

/// An exchange's place in the table; given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    live: Arc<Live>,
    shard: usize,
    slot: usize,
    entry: Arc<Entry>,
}

impl Live {
    /// `worker` spreads the locks.
    pub fn enter(self: &Arc<Self>, worker: usize, begun: Begun) -> Seat {
        let entry = Arc::new(Entry {
            begun,
            known: Mutex::default(),
            head: Mutex::default(),
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            asked_us: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        let shard = worker % SHARDS;
        let slot = self.shard(shard).map_or(0, |mut table| table.take(Arc::clone(&entry)));
        Seat { live: Arc::clone(self), shard, slot, entry }
    }

    /// The one that has this id, if it runs.
    pub fn find(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries().into_iter().find(|entry| entry.begun.id.to_string() == id)
    }

    /// All that run, oldest first.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            if let Some(table) = self.shard(shard) {
                all.extend(table.slots.iter().flatten().map(Arc::clone));
            }
        }
        all.sort_unstable_by_key(|entry| (entry.begun.wall_us, entry.begun.id.bytes()));
        all
    }

    fn shard(&self, at: usize) -> Option<MutexGuard<'_, Shard>> {
        Some(self.shards.get(at)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn take(&mut self, entry: Arc<Entry>) -> usize {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot)
        {
            *place = Some(entry);
            return slot;
        }
        self.slots.push(Some(entry));
        self.slots.len() - 1
    }
}

impl Entry {
    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    pub fn arrived(&self) -> Arrived {
        Arrived {
            frames: self.frames.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            last_us: self.last_us.load(Ordering::Relaxed),
        }
    }

    pub fn phase(&self) -> Phase {
        if self.ended.load(Ordering::Relaxed) {
            Phase::Ended
        } else if self.frames.load(Ordering::Relaxed) > 0 {
            Phase::Answering
        } else if self.lock().attempts > 0 {
            Phase::Waiting
        } else {
            Phase::Coming
        }
    }

    pub fn age_us(&self) -> u64 {
        clock::us_between(self.begun.started, clock::now())
    }

    /// From now on what comes is published, until nobody has asked for a while. `read` is given what was.
    pub fn watch<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        self.asked_us.store(self.age_us(), Ordering::Relaxed);
        self.watched.store(true, Ordering::Relaxed);
        read(&self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its head stands on disk, or is on its way there.
    pub fn is_written(&self) -> bool {
        *self.head() == HeadState::Written
    }

    /// Hands its head over, unless that was done before or the exchange has ended. `write` must not wait.
    ///
    /// Invariant: what is handed over is so before the exchange ends. Whoever stores the end then finds the head to
    /// delete; a head that came later would stand there for ever, and be told as interrupted by the next start.
    pub fn write_head(&self, write: impl FnOnce()) {
        let mut head = self.head();
        if *head == HeadState::Unwritten {
            write();
            *head = HeadState::Written;
        }
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let mut head = self.head();
        if *head == HeadState::Unwritten {
            *head = HeadState::Needless;
        }
    }

    fn head(&self) -> MutexGuard<'_, HeadState> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    pub fn learn(&self, learn: impl FnOnce(&mut Known)) {
        learn(&mut self.entry.lock());
    }

    /// One frame of the answer. Only the exchange's own task calls this.
    pub fn frame(&self, at_us: u64, length: usize) {
        let own = &self.entry;
        own.frames.store(own.frames.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        own.bytes.store(own.bytes.load(Ordering::Relaxed) + length as u64, Ordering::Relaxed);
        own.last_us.store(at_us, Ordering::Relaxed);
    }

    /// Whether anybody wants to see what comes. This is all that a frame costs when nobody does.
    pub fn is_watched(&self) -> bool {
        self.entry.watched.load(Ordering::Relaxed)
    }

    /// Shows what came at `at_us`; nobody is shown anything who has not asked for long.
    pub fn publish(&self, at_us: u64, publish: impl FnOnce(&mut Seen)) {
        let own = &self.entry;
        if at_us > own.asked_us.load(Ordering::Relaxed).saturating_add(ASKED_US) {
            own.watched.store(false, Ordering::Relaxed);
            *own.seen() = Seen::default();
            return;
        }
        publish(&mut own.seen());
    }

    pub fn end(&self) {
        self.entry.end();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(mut table) = self.live.shard(self.shard)
            && let Some(place) = table.slots.get_mut(self.slot)
        {
            *place = None;
            table.free.push(self.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(n: u64) -> Begun {
        Begun {
            id: ExchangeId::new(n),
            started: clock::now(),
            wall_us: n,
            client: None,
            method: Method::POST,
            path: format!("/{n}"),
            dialect: Dialect::Anthropic,
            operation: Operation::Chat,
            agent: "none",
            session: None,
            trace: TraceId([1; 16]),
            asked: None,
            replay: None,
        }
    }

    #[test]
    fn the_table_holds_those_that_run_and_reuses_their_places() {
        let live = Arc::new(Live::default());
        let first = live.enter(0, begun(2));
        let second = live.enter(1, begun(1));
        let paths =
            || live.entries().iter().map(|entry| entry.begun.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(), ["/1", "/2"], "oldest first, whatever the shard");
        drop(first);
        let third = live.enter(16, begun(3));
        assert_eq!((third.shard, third.slot), (0, 0), "the place of the first");
        assert_eq!(paths(), ["/1", "/3"]);
        drop((second, third));
        assert!(paths().is_empty());
    }

    #[test]
    fn phases_follow_what_comes() {
        let live = Arc::new(Live::default());
        let seat = live.enter(0, begun(1));
        let entry = Arc::clone(seat.entry());
        assert_eq!(entry.phase(), Phase::Coming);
        seat.learn(|known| (known.attempts, known.provider) = (1, Some("openai".into())));
        assert_eq!(
            (entry.phase(), entry.known().provider.as_deref()),
            (Phase::Waiting, Some("openai"))
        );
        seat.frame(70, 10);
        seat.frame(90, 5);
        assert_eq!(entry.arrived(), Arrived { frames: 2, bytes: 15, last_us: 90 });
        assert_eq!(entry.phase(), Phase::Answering);
        seat.end();
        assert_eq!(entry.phase(), Phase::Ended);
    }

    #[test]
    fn what_comes_is_published_while_somebody_asks() {
        let live = Arc::new(Live::default());
        let seat = live.enter(0, begun(1));
        assert!(!seat.is_watched());
        let entry = live.find(&seat.entry().begun.id.to_string()).unwrap();
        entry.watch(|seen| assert_eq!(*seen, Seen::default()));
        assert!(seat.is_watched());
        seat.publish(5, |seen| seen.attempt = 1);
        assert_eq!(entry.watch(|seen| seen.attempt), 1);
        let late = entry.age_us() + 2 * ASKED_US;
        seat.publish(late, |_| panic!("nobody has asked for long"));
        assert!(!seat.is_watched());
        assert!(live.find("another").is_none());
    }

    #[test]
    fn a_head_is_handed_over_once_and_never_after_the_end() {
        let live = Arc::new(Live::default());
        let handed = AtomicU64::new(0);
        let write = |entry: &Entry| {
            entry.write_head(|| {
                handed.fetch_add(1, Ordering::SeqCst);
            });
        };
        let seat = live.enter(0, begun(1));
        write(seat.entry());
        write(seat.entry());
        assert!(seat.entry().is_written());
        seat.end();
        assert!(seat.entry().is_written(), "whoever stores the end deletes it");
        let late = live.enter(0, begun(2));
        late.end();
        write(late.entry());
        assert!(!late.entry().is_written());
        assert_eq!(handed.load(Ordering::SeqCst), 1);
        // Whoever asks after the end is told for good, however the two meet.
        for n in 0..200 {
            let seat = live.enter(0, begun(n));
            let entry = Arc::clone(seat.entry());
            let handed = std::thread::scope(|scope| {
                let writing = scope.spawn(move || {
                    let mut handed = false;
                    entry.write_head(|| handed = true);
                    handed
                });
                seat.end();
                let told = seat.entry().is_written();
                (told, writing.join().unwrap())
            });
            assert_eq!(handed.0, handed.1);
        }
    }
}
