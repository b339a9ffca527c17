//! Simulated providers: all dialects of the traffic path, answered from a script and a seed, faults included.
//!
//! For `pinhole simulate`, the demo, the tests and the benchmarks. Nothing here knows the gateway. What users may write
//! into a script is in `docs/simulate.md`.
//!
//! ```text
//! socket ─ wire ─ hyper ─ respond ─┬─ endpoint   which endpoint the path means
//!                                  ├─ ask        what the body asks for, whatever the dialect
//!                                  ├─ script     default ← model ← magic name ← rules = profile
//!                                  ├─ reply      words, reasoning, calls, usage
//!                                  ├─ answer/*   the dialect's object, or its events
//!                                  └─ fault      events → steps (waits, bytes, cuts), played by wire
//! ```
//!
//! [`playback`] answers from recordings instead of a script, on the same sockets.

mod answer;
mod ask;
mod endpoint;
mod fault;
mod headers;
mod magic;
pub mod pace;
pub mod playback;
mod provider;
pub mod record;
mod reply;
mod respond;
mod schema;
pub mod script;
mod serve;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use self::provider::Provider;
use self::record::{Counts, Log, Seen};
use self::script::Script;
use self::serve::{Running, Scripted};

/// Limits of one simulator.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Threads, each with a runtime of its own.
    pub threads: usize,
    /// Requests the log holds; 0 turns the log off.
    pub log_entries: usize,
    /// Bytes of request bodies the log holds.
    pub log_bytes: usize,
    /// Longest request body taken; more is 413.
    pub body_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, log_entries: 4_096, log_bytes: 64 << 20, body_max: 256 << 20 }
    }
}

/// Starts simulated providers.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Serves `listener` (port 0 is fine) on threads of its own until the handle is stopped or dropped.
    pub fn start(listener: TcpListener, script: Script, options: Options) -> io::Result<Handle> {
        let log = Arc::new(Log::new(options.log_entries, options.log_bytes));
        let provider = Arc::new(Provider::new(script, Arc::clone(&log)));
        let scripted = Arc::new(Scripted { provider, body_max: options.body_max });
        let running = Running::start(listener, options.threads, &scripted)?;
        Ok(Handle { running, log })
    }

    /// Starts on a free loopback port with default limits.
    pub fn local(script: Script) -> io::Result<Handle> {
        Self::start(TcpListener::bind("127.0.0.1:0")?, script, Options::default())
    }
}

/// A running simulator. Dropped, it stops: the port is closed and every connection ends.
#[derive(Debug)]
pub struct Handle {
    running: Running,
    log: Arc<Log>,
}

impl Handle {
    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// `http://ADDR`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.addr)
    }

    /// What the log holds, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.log.snapshot()
    }

    pub fn counts(&self) -> Counts {
        self.log.counts()
    }

    /// Empties the log; the counters go on.
    pub fn forget(&self) {
        self.log.clear();
    }

    /// Waits until `condition` holds for the log, at most `deadline`; says whether it did.
    pub async fn wait(&self, deadline: Duration, condition: impl Fn(&[Seen]) -> bool) -> bool {
        self.log.wait(deadline, condition).await
    }

    /// Closes the port and every connection, and waits until that is done.
    pub fn stop(mut self) {
        self.running.shut();
    }
}
