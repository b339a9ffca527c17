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

mod answer;
mod ask;
mod endpoint;
mod fault;
mod headers;
mod magic;
pub mod pace;
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
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use self::provider::Provider;
use self::record::{Counts, Log, Seen};
use self::script::Script;

/// Connections the system queues before they are accepted.
const BACKLOG: i32 = 4_096;

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
        listener.set_nonblocking(true)?;
        // The standard library queues 128 connections; a thousand clients at once would wait a second for their second try.
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        let log = Arc::new(Log::new(options.log_entries, options.log_bytes));
        let provider = Arc::new(Provider::new(script, Arc::clone(&log)));
        let (stop, stopped) = watch::channel(false);
        let mut handle = Handle { addr, log, stop, threads: Vec::new() };
        let more = (1..options.threads).map(|_| listener.try_clone());
        let listeners = more.collect::<io::Result<Vec<_>>>()?;
        for listener in listeners.into_iter().chain([listener]) {
            let provider = Arc::clone(&provider);
            let stopped = stopped.clone();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let serve = move || serve::run(&runtime, listener, &provider, options, stopped);
            let thread = std::thread::Builder::new().name("simulate".into());
            handle.threads.push(thread.spawn(serve)?);
        }
        Ok(handle)
    }

    /// Starts on a free loopback port with default limits.
    pub fn local(script: Script) -> io::Result<Handle> {
        Self::start(TcpListener::bind("127.0.0.1:0")?, script, Options::default())
    }
}

/// A running simulator. Dropped, it stops: the port is closed and every connection ends.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    log: Arc<Log>,
    stop: watch::Sender<bool>,
    /// Emptied when stopped.
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDR`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
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
        self.shut();
    }

    fn shut(&mut self) {
        // Without receivers all threads have ended already.
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the simulator panicked");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shut();
    }
}
