//! A run being watched: the line of progress, and ctrl-C, which ends it with what there is.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::engine::{Finish, Progress};
use pinhole_replay::faces::words;
use tokio::sync::watch;

use crate::proxy::loopback::drive::{self, RunError};
use crate::proxy::loopback::run::Ready;
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;

const EVERY: Duration = Duration::from_millis(500);

/// Sends everything on threads of its own, until the end or ctrl-C.
pub(super) fn go(
    shared: &Arc<Shared>,
    ready: &Ready,
    place: &Place,
    runtime: &tokio::runtime::Runtime,
) -> Result<Finish, RunError> {
    let (stop, stopped) = watch::channel(false);
    let (tell, progress) = watch::channel(Progress::default());
    std::thread::scope(|scope| {
        let running = scope.spawn(move || drive::go(shared, ready, place, stopped, &tell));
        runtime.block_on(follow(progress, &stop));
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Returns when the run has ended: then nobody tells of progress any more.
async fn follow(mut progress: watch::Receiver<Progress>, stop: &watch::Sender<bool>) {
    let is_watched = std::io::stderr().is_terminal();
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            changed = progress.changed() => {
                if changed.is_err() {
                    break;
                }
            }
            _ = every.tick(), if is_watched => draw(&line(&progress.borrow())),
            // A signal that cannot be watched ends the process, as signals do.
            Ok(()) = tokio::signal::ctrl_c() => {
                // Nobody listening means that the run has ended.
                let _told = stop.send(true);
            }
        }
    }
    if is_watched {
        draw("");
    }
}

fn line(progress: &Progress) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
    let spent = progress.spent_nanousd as f64 / 1e9;
    let left = progress
        .left
        .map_or_else(String::new, |left| format!(", {} left", words::seconds(left.as_secs_f64())));
    format!(
        "{} of {}, {} in flight, {:.1}/s, {} errors, {}{left}",
        words::count(progress.done),
        words::count(progress.planned),
        progress.in_flight,
        progress.per_s,
        progress.errors,
        words::usd(spent),
    )
}

fn draw(line: &str) {
    // Progress that cannot be shown is not worth an error.
    let _written = write!(std::io::stderr(), "\r\u{1b}[K{line}");
}
