//! `pinhole demo`: agents, the gateway and simulated providers in one process, and what came of it. No keys, no network.
//!
//! ```text
//!  traffic ── what the agents do      stage ── simulated providers, the gateway on a free port, its store, and the records
//!     │                                 │
//!  drive ─── sends, reads (talk, answer) ─── audit ── calls, records, providers' logs and bills compared: the exit code
//!     │                                        │
//!  again ─── a slice of it replayed ───────────┤
//!                                              │
//!                                           summary (page, figures, timeline) ── the text
//! ```

mod again;
mod answer;
mod audit;
mod bill;
mod drive;
mod figures;
mod findings;
mod page;
mod record;
mod stage;
mod summary;
mod talk;
mod timeline;
mod traffic;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::engine::Progress;

use crate::base::{clock, task};
use crate::cli::Exit;
use crate::cli::args::DemoArgs;
use crate::cli::terminal::{is_utf8, say, tell};
use crate::cli::tui;
use crate::config::env::Environment;
use crate::upstream::provider::Provider;

use again::Replayed;
use audit::Arrival;
use bill::Bill;
use drive::{Call, Ledger};
use page::Page;
use record::Record;
use stage::{Remains, Stage};
use summary::Report;

/// No call starts in the last part of the time that `--seconds` gives, so that those under way can end.
const LAST_CALLS: Duration = Duration::from_millis(1_500);
/// The part of the time that is kept for the replay, and the most of it.
const REPLAY_SHARE: f64 = 0.4;
const REPLAY_MAX: Duration = Duration::from_secs(6);
/// How often the progress line is drawn.
const PROGRESS: Duration = Duration::from_millis(100);
/// How long a provider may take to see that its client is gone.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What the play left behind.
struct Traces {
    calls: Vec<Call>,
    records: Vec<Record>,
    arrivals: Vec<Arrival>,
    metrics: Bill,
    store: Result<Bill, String>,
    elapsed: Duration,
    origin: String,
    played_out: bool,
    /// `None`: there was no time for it.
    replayed: Option<Replayed>,
}

pub fn run(args: &DemoArgs) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("error: no runtime: {error}"));
            return Exit::Environment;
        }
    };
    let data_dir = args.data_dir.clone().map_or_else(stage::temporary_folder, Ok);
    let limit = Duration::from_secs(args.seconds);
    let performed =
        data_dir.and_then(|folder| Ok((runtime.block_on(perform(limit, &folder))?, folder)));
    let (traces, data_dir) = match performed {
        Ok(performed) => performed,
        Err(error) => {
            tell(&format!("error: the demo cannot start: {error}"));
            return Exit::Environment;
        }
    };
    let rows = audit::join(&traces.calls, &traces.records);
    let bill = Bill::of_records(&traces.records);
    let mut audit = audit::audit(&rows, &traces.records, &traces.arrivals);
    audit.bills(&bill, &traces.metrics, traces.store.as_ref());
    audit.findings(&rows, findings::of(&data_dir, &rows));
    audit.differences.extend(traces.replayed.as_ref().and_then(Replayed::difference));
    let report = Report {
        rows: &rows,
        audit: &audit,
        elapsed: traces.elapsed,
        origin: &traces.origin,
        seconds: (!traces.played_out).then_some(args.seconds),
        bill: &bill,
        replayed: traces.replayed.as_ref(),
        data_dir: &data_dir,
        temporary: args.data_dir.is_none(),
    };
    let page = Page::new(is_utf8(&Environment::of_process()));
    say(summary::render(&report, page).trim_end());
    if !audit.differences.is_empty() {
        return Exit::Failed;
    }
    if args.headless || !tui::has_terminal() {
        return Exit::Done;
    }
    // The summary is there again when the screens are left.
    tui::on(&data_dir)
}

/// Sets the stage, plays, sends a slice of it again, clears up.
async fn perform(limit: Duration, data_dir: &Path) -> io::Result<Traces> {
    let stage = stage::start(data_dir)?;
    let origin = format!("http://{}", stage.gateway.server.address);
    let gateway = as_provider(&stage, &origin)?;
    let (begun, begun_us) = (clock::now(), clock::wall_us());
    let kept = LAST_CALLS + limit.mul_f64(REPLAY_SHARE).min(REPLAY_MAX);
    let ledger = Ledger::new(begun, begun + limit.saturating_sub(kept).max(limit.mul_f64(0.3)));
    let is_watched = io::stderr().is_terminal();
    let progress = is_watched.then(|| task::spawn("progress line", progress(Arc::clone(&ledger))));
    let played_out = drive::play(&gateway, &ledger).await;
    let elapsed = clock::now().saturating_duration_since(begun);
    if let Some(progress) = progress {
        progress.abort();
    }
    let calls = ledger.calls();
    // What arrives from here on is the replay's.
    let met: Vec<usize> = stage.providers.iter().map(|one| one.handle.requests().len()).collect();
    let since_us = i64::try_from(begun_us).unwrap_or(i64::MAX);
    let shared = Arc::clone(&stage.gateway.shared);
    let told = |progress: &Progress| {
        if is_watched {
            draw(&format!("{} of {} requests sent again", progress.done, progress.planned));
        }
    };
    let mut replayed =
        again::perform(&shared, data_dir, &calls, since_us, begun + limit, told).await?;
    drop(shared);
    if is_watched {
        draw("");
    }
    let Remains { providers, records, metrics, store } = stage.end().await;
    let mut arrivals = Vec::new();
    let mut again = 0;
    for (provider, met) in providers.into_iter().zip(met) {
        let handle = provider.handle;
        // The last connection that was given up may not have been seen as closed yet.
        let ended = |seen: &[crate::simulate::record::Seen]| seen.iter().all(|s| s.end.is_some());
        handle.wait(CLOSE_MAX, ended).await;
        let seen = handle.requests();
        again += seen.len().saturating_sub(met);
        arrivals.extend(seen.iter().take(met).map(|seen| Arrival::of(provider.id, seen)));
        handle.stop();
    }
    if let Some(replayed) = &mut replayed {
        replayed.arrived = again;
        replayed.stored =
            again::stored(data_dir, &replayed.report.run_id).map_err(io::Error::other)?;
    }
    Ok(Traces { calls, records, arrivals, metrics, store, elapsed, origin, played_out, replayed })
}

/// The gateway as its clients see it: a provider at another address.
fn as_provider(stage: &Stage, origin: &str) -> io::Result<Provider> {
    let snapshot = stage.gateway.shared.snapshot();
    let first = snapshot.settings.providers.first();
    let Some(first) = first else {
        return Err(io::Error::other("no provider was configured"));
    };
    let mut provider = Provider::clone(first);
    provider.base_url = origin.parse().map_err(io::Error::other)?;
    Ok(provider)
}

/// Keeps one line on standard error current.
async fn progress(ledger: Arc<Ledger>) {
    loop {
        let (elapsed, working, done) = ledger.progress();
        let seconds = elapsed.as_secs_f64();
        draw(&format!("{working} agents at work, {done} exchanges so far, {seconds:.1} s"));
        tokio::time::sleep(PROGRESS).await;
    }
}

/// Replaces the progress line.
fn draw(text: &str) {
    let mut stderr = io::stderr();
    // A terminal that is gone needs no progress.
    let _drawn = write!(stderr, "\r{text:<60}\r{text}").and_then(|()| stderr.flush());
}
