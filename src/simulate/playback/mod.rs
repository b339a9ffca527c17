//! Recordings served as a provider: each request is answered with the bytes, the times and the end that were recorded for
//! it. What was never asked is an error that names the nearest recording; nothing is made up (docs/playback.md).
//!
//! ```text
//! recording ─► tape (head, pieces with times, end)   ┐
//!          └─► library (what was asked → which tape) ┴─► desk (one request) ─► play (pieces at their times) ─► wire
//! ```

mod desk;
mod forward;
mod miss;
mod play;
mod tape;
mod timer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pinhole_replay::library::{Asked, Library, Recorded};
use pinhole_replay::recording::Recording;
use serde_json::Value;

use self::desk::Desk;
use self::tape::Tape;
use self::timer::Timer;
use super::pace::Millis;
use super::script::Fault;
use super::serve::Running;
use crate::upstream::provider::Provider;

/// What an answer is: `exact; of=ID`, `near; of=ID; differs=…`, `miss; of=ID`, `forwarded`.
pub const PLAYBACK: &str = "x-pinhole-playback";
/// Limit: bytes of requests and answers that are held; what comes after them is left out.
pub const BYTES_MAX: u64 = 4 << 30;
/// Limit: misses that are remembered until somebody asks for them.
const MISSES_MAX: usize = 64;

/// What is served, and to be put in before it starts.
#[derive(Debug, Default)]
pub struct Collection {
    library: Library,
    tapes: Vec<Arc<Tape>>,
    models: BTreeSet<String>,
    bytes: u64,
    recordings: u64,
    left_out: BTreeMap<&'static str, u64>,
}

/// What is done when no recording answers.
#[derive(Debug, Clone, Default)]
pub enum OnMiss {
    #[default]
    Error,
    /// The nearest of the same dialect, operation, streaming and family of model.
    Nearest,
    /// This provider is asked.
    Forward(Arc<Provider>),
}

/// How fast time goes: 1 as recorded, 2 twice as fast, 0 at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Speed {
    /// `1x`, `2.5x`, `0`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix(['x', 'X']).unwrap_or(text);
        let factor: f64 = number.parse().ok()?;
        (factor == 0.0 || (0.01..=1_000.0).contains(&factor)).then_some(Self(factor))
    }

    fn scaled(self, us: u64) -> Duration {
        if self.0 == 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(us as f64 / 1e6 / self.0)
    }
}

/// What goes wrong on purpose.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Of these, `cut_after`, `cut`, `stall_after` and `stall`, counted in recorded frames.
    pub script: Fault,
    /// This status instead of the recorded answer.
    pub status: Option<u16>,
    pub retry_after_s: Option<u64>,
    /// The first frame, and all after it, come so much later.
    pub first_token: Option<Duration>,
    /// Every so-manieth request only; 0 and 1: all.
    pub every: u64,
}

/// A duration as faults take it.
pub fn milliseconds(duration: Duration) -> Millis {
    Millis(duration.as_secs_f64() * 1e3)
}

#[derive(Debug, Clone)]
pub struct Options {
    pub threads: usize,
    pub speed: Speed,
    pub on_miss: OnMiss,
    pub faults: Faults,
    /// Longest request body taken; more is 413.
    pub body_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 2,
            speed: Speed::default(),
            on_miss: OnMiss::Error,
            faults: Faults::default(),
            body_max: 256 << 20,
        }
    }
}

/// How requests were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub exact: u64,
    pub near: u64,
    pub missed: u64,
    pub forwarded: u64,
    /// Answers that the flags changed, among the others.
    pub faulted: u64,
}

/// One request that no recording answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    pub method: String,
    pub path: String,
    pub words: String,
    pub facts: Value,
}

#[derive(Debug, Default)]
struct Tally {
    exact: AtomicU64,
    near: AtomicU64,
    missed: AtomicU64,
    forwarded: AtomicU64,
    faulted: AtomicU64,
    connections: AtomicU64,
    requests: AtomicU64,
    /// The newest. Emptied by whoever asks.
    misses: Mutex<VecDeque<Missed>>,
}

impl Tally {
    fn remember(&self, missed: Missed) {
        let mut misses = self.misses.lock().unwrap_or_else(PoisonError::into_inner);
        if misses.len() >= MISSES_MAX {
            misses.pop_front();
        }
        misses.push_back(missed);
    }
}

impl Collection {
    pub fn new(library: Library) -> Self {
        Self { library, ..Self::default() }
    }

    /// Puts a recording in; what cannot be played is counted by its reason.
    pub fn push(&mut self, recording: &Recording) {
        let cut = match tape::of(recording) {
            Ok(cut) => cut,
            Err(reason) => return self.leave_out(reason),
        };
        let bytes = cut.tapes.iter().map(|tape| tape.body.len() as u64).sum::<u64>()
            + cut.cues.iter().map(|(cue, _)| cue.body.len() as u64).sum::<u64>();
        if self.bytes + bytes > BYTES_MAX {
            return self.leave_out("over the limit of 4 GiB; narrow --from");
        }
        self.bytes += bytes;
        self.recordings += 1;
        let first = self.tapes.len();
        self.tapes.extend(cut.tapes.into_iter().map(Arc::new));
        let mut before: Option<&tape::Cue> = None;
        for (cue, tape) in &cut.cues {
            let is_same = before.is_some_and(|before| {
                before.method == cue.method
                    && before.target == cue.target
                    && before.body == cue.body
            });
            if !is_same {
                let asked = Asked { method: &cue.method, target: &cue.target, body: &cue.body };
                self.library.add(&Recorded {
                    asked,
                    id: &recording.id,
                    session: recording.session.as_deref(),
                    at_us: recording.started_at_us,
                    answer: (first + tape) as u32,
                });
            }
            before = Some(cue);
        }
        let attempts = recording.attempts.iter().filter_map(|attempt| attempt.model.as_ref());
        let named = recording.model_requested.iter().chain(attempts);
        self.models.extend(named.filter(|name| !name.is_empty()).cloned());
    }

    pub fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Exchanges that are served.
    pub fn recordings(&self) -> u64 {
        self.recordings
    }

    /// Different questions among them.
    pub fn questions(&self) -> usize {
        self.library.questions()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(String::as_str)
    }

    /// What is not served, by reason.
    pub fn left_out(&self) -> &BTreeMap<&'static str, u64> {
        &self.left_out
    }

    /// Answers of which a part stands in place of what was redacted.
    pub fn redacted(&self) -> usize {
        self.tapes.iter().filter(|tape| tape.redacted).count()
    }

    /// Serves `listener` on threads of its own until the handle is stopped or dropped.
    pub fn serve(self, listener: TcpListener, options: Options) -> io::Result<Handle> {
        let threads = options.threads.max(1);
        let tally = Arc::new(Tally::default());
        let timer = Arc::new(Timer::start()?);
        let desk = Desk { collection: self, options, tally: Arc::clone(&tally), timer };
        let running = Running::start(listener, threads, &Arc::new(desk))?;
        Ok(Handle { running, tally })
    }
}

/// A running playback. Dropped, it stops: the port is closed and every connection ends.
#[derive(Debug)]
pub struct Handle {
    running: Running,
    tally: Arc<Tally>,
}

impl Handle {
    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// `http://ADDR`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.addr)
    }

    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            exact: of(&self.tally.exact),
            near: of(&self.tally.near),
            missed: of(&self.tally.missed),
            forwarded: of(&self.tally.forwarded),
            faulted: of(&self.tally.faulted),
        }
    }

    /// The newest misses since this was asked last.
    pub fn misses(&self) -> Vec<Missed> {
        let mut misses = self.tally.misses.lock().unwrap_or_else(PoisonError::into_inner);
        misses.drain(..).collect()
    }

    /// Closes the port and every connection, and waits until that is done.
    pub fn stop(mut self) {
        self.running.shut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        for (text, expected) in [
            ("1x", Some(1.0)),
            ("0", Some(0.0)),
            ("0x", Some(0.0)),
            ("2.5x", Some(2.5)),
            ("10", Some(10.0)),
        ] {
            assert_eq!(Speed::parse(text).map(|speed| speed.0), expected, "{text}");
        }
        for text in ["", "x", "-1x", "fast", "inf", "NaN", "0.0001x", "1e9x"] {
            assert_eq!(Speed::parse(text), None, "{text}");
        }
    }
}
