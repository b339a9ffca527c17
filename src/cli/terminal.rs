//! Writing to standard output and standard error: a closed pipe ends the talking, never the program.

use std::io::Write;

/// Writes a line of data to standard output.
pub fn say(text: &str) {
    // Nobody reading (`| head`) is not an error of ours.
    let _written = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line of talk to standard error.
pub fn tell(text: &str) {
    let _written = writeln!(std::io::stderr(), "{text}");
}
