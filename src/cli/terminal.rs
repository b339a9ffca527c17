//! Writing to standard output and standard error: a closed pipe ends the talking, never the program.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::config::env::Environment;
use crate::report::look::Look;

/// Writes a line of data to standard output.
pub fn say(text: &str) {
    // Nobody reading (`| head`) is not an error of ours.
    let _written = writeln!(io::stdout(), "{text}");
}

/// As [`say`]; false when nobody reads any more, so that long work can end.
pub fn said(text: &str) -> bool {
    writeln!(io::stdout(), "{text}").is_ok()
}

/// Writes bytes as they are; false when nobody reads any more.
pub fn said_bytes(bytes: &[u8]) -> bool {
    let mut out = io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Whether somebody looks at standard output, and not a program.
pub fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// What standard output takes: colours and a width on a terminal, unless `NO_COLOR` or `TERM=dumb` forbid colours.
pub fn look() -> Look {
    if !is_watched() {
        return Look::default();
    }
    let environment = Environment::of_process();
    let plain = environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb");
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    Look { width: width.filter(|width| *width > 0), colour: !plain, full: false }
}

/// Writes a line of talk to standard error.
pub fn tell(text: &str) {
    let _written = writeln!(io::stderr(), "{text}");
}

/// How far long work is, on a line of standard error that is written over; nothing where nobody looks.
pub struct Meter {
    what: &'static str,
    /// `None`: standard error is no terminal.
    next: Option<Instant>,
    /// A line stands there.
    shown: bool,
}

/// Between two looks at how far it is.
const EVERY: Duration = Duration::from_millis(200);

impl Meter {
    pub fn new(what: &'static str) -> Self {
        let next = io::stderr().is_terminal().then(|| clock::now() + EVERY);
        Self { what, next, shown: false }
    }

    pub fn show(&mut self, done: u64, all: u64) {
        let now = clock::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = Some(now + EVERY);
        self.shown = true;
        let share = done.saturating_mul(100).checked_div(all).unwrap_or(100);
        let _written = write!(io::stderr(), "\r{done} of {all} {} ({share} %)", self.what);
    }

    /// Wipes the line.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _written = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
