//! Writing to standard output and standard error: a closed pipe ends the talking, never the program.

use std::io::{self, IsTerminal, Write};

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

/// Whether the terminal's locale takes more than ASCII.
pub fn is_utf8(environment: &Environment) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| environment.get(name)).is_some_and(
        |locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        },
    )
}
