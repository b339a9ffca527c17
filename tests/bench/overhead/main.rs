//! What a gateway costs: the same loads through nothing, a bare hyper proxy, nginx and Pinhole, interleaved in one run.
//!
//! ```text
//!   driver and load client ──▶ gateway under test ──▶ mock provider
//!          core 0                    core 1                core 0
//! ```
//!
//! Every box is a process of its own: this program starts itself again for the roles `mock`, `floor` and `launch`.
//! How it measures and what each figure means is in `docs/performance.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its tables on standard output and its progress on standard error"
)]

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod contender;
#[cfg(target_os = "linux")]
mod goals;
#[cfg(target_os = "linux")]
mod http;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod roles;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod sheet;
#[cfg(target_os = "linux")]
mod store;
#[cfg(target_os = "linux")]
mod wire;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((first, rest)) if first == roles::WORD => roles::play(rest),
        // Test runners ask every target for its tests; a benchmark has none.
        _ if words.iter().any(|word| word == "--list") => Ok(()),
        _ => run::whole(&options::read()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overhead: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("overhead: needs Linux (affinity, timerfd and /proc)");
    ExitCode::FAILURE
}
