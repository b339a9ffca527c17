//! Log lines on their way to a pipe that may be full: whoever writes never waits. A thread of its own does the waiting;
//! lines that find no room are dropped and counted, and once there is room again the log says how many.
//!
//! Invariant: every log line comes by here, and leaves without secrets.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::exchange::redact;
use crate::observe::line::LogForm;

/// Limit: bytes waiting to be written.
const WAITING_MAX: usize = 4 * 1024 * 1024;
/// How long the end of the program waits for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The writing end. Cheap to clone; every clone feeds the same thread.
#[derive(Clone)]
pub struct Pipe(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told of new lines, of lines written, and of the end.
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Whole lines; emptied by the thread.
    waiting: Vec<u8>,
    /// The thread is writing what it took.
    writing: bool,
}

impl Pipe {
    /// Starts the thread that writes to `to`. It ends with the program.
    pub fn start(form: LogForm, to: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("pinhole-log".to_owned());
        thread.spawn(move || own.run(form, to))?;
        Ok(Self(shared))
    }

    /// Lines that found no room, since the start.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn push(&self, lines: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.len() + lines.len() > WAITING_MAX {
            let count = memchr::memchr_iter(b'\n', lines).count().max(1);
            self.0.dropped.fetch_add(count as u64, Ordering::Relaxed);
            return;
        }
        state.waiting.extend_from_slice(lines);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, but not for a reader that does not read.
    pub fn drain(&self) {
        let state = self.0.lock();
        let unwritten = |state: &mut State| !state.waiting.is_empty() || state.writing;
        let waited = self.0.changed.wait_timeout_while(state, LAST_WORDS, unwritten);
        drop(waited);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, form: LogForm, mut to: impl Write) {
        let mut lines = Vec::new();
        let mut told = 0;
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut lines, &mut state.waiting);
            state.writing = true;
            drop(state);
            // A log that cannot be written must not stop the traffic; there is nowhere left to say so.
            let _written = to.write_all(&lines).and_then(|()| to.flush());
            lines.clear();
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > told {
                let _written = to.write_all(notice(form, dropped - told).as_bytes());
                told = dropped;
            }
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }
}

fn notice(form: LogForm, lost: u64) -> String {
    match form {
        LogForm::Text => {
            format!("warn {lost} log lines dropped: standard error was not read in time\n")
        }
        LogForm::Json => format!(
            "{{\"level\":\"warn\",\"message\":\"log lines dropped: standard error was not read in time\",\
             \"count\":{lost}}}\n"
        ),
    }
}

impl Write for Pipe {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match redact::current().clean(lines) {
            Some(clean) => self.push(&clean),
            None => self.push(lines),
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that takes nothing until it is told to.
    struct Stuck {
        go: mpsc::Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            // The sender gone means: read on.
            let _told = self.go.recv();
            self.read.lock().unwrap().extend_from_slice(data);
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody() {
        let (go, wait) = mpsc::channel();
        let read = Arc::new(Mutex::new(Vec::new()));
        let mut pipe =
            Pipe::start(LogForm::Text, Stuck { go: wait, read: Arc::clone(&read) }).unwrap();
        let line = [&[b'x'; 1_023][..], b"\n"].concat();
        let written = 3 * WAITING_MAX / line.len();
        for _ in 0..written {
            pipe.write_all(&line).unwrap();
        }
        let dropped = pipe.dropped();
        assert!(dropped > 0 && dropped < written as u64, "{dropped} of {written}");
        drop(go);
        pipe.drain();
        let read = String::from_utf8(read.lock().unwrap().clone()).unwrap();
        let (kept, told) = read.split_at(read.find("warn").unwrap());
        let rest: usize = told.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(kept.lines().count() + rest + dropped as usize, written);
        assert!(told.starts_with(&format!("warn {dropped} log lines dropped")), "{told:.80}");
    }

    #[test]
    fn the_end_waits_for_the_last_line_but_not_for_ever() {
        let (go, wait) = mpsc::channel::<()>();
        let read = Arc::new(Mutex::new(Vec::new()));
        let mut pipe = Pipe::start(LogForm::Json, Stuck { go: wait, read }).unwrap();
        pipe.write_all(b"{}\n").unwrap();
        pipe.drain();
        drop(go);
        pipe.drain();
    }
}
