//! The demo's last act: a slice of what was captured is sent again, by turns to one model, to the same model once more and to
//! the slower one, and compared: what was planted has to be found, and nothing where there is nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinhole_replay::engine::{Finish, Progress};
use pinhole_replay::plan::Plan;
use pinhole_replay::report::{Comparison, Report};
use tokio::sync::watch;

use crate::base::clock;
use crate::cli::replay::deliver;
use crate::proxy::loopback::run::{self, Ready};
use crate::proxy::loopback::{account, drive};
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;
use crate::report::replay::source::Source;
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::Reader;

use super::drive::{Call, End};
use super::traffic::{COMPARING, FAST, SESSIONS, SLOW};

/// In less than this nothing can be found out.
const LEAST: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The whole report, in the data directory.
const PAGE_FILE: &str = "demo-replay.html";
/// Wider than the default of 5 %: on a busy machine the waits of a demo this short are not measured more finely. What was
/// planted lies well outside.
pub(crate) const MARGIN: f64 = 0.10;
/// Times of simulated answers are mostly waiting, so that many fit side by side.
const IN_FLIGHT: u32 = 12;
/// More pairs, for narrower intervals.
const REPEAT: u16 = 2;
const WARMUP: u32 = 4;

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Replayed {
    pub(crate) report: Report,
    /// The file with the whole report.
    pub(crate) page: PathBuf,
    /// Requests that reached a provider, and exchanges that are stored under the run. Filled when all has ended.
    pub(crate) arrived: usize,
    pub(crate) stored: usize,
}

impl Replayed {
    /// A metric of the n-th target as the plan names them: 1 is the same model again, 2 the slower one.
    pub(crate) fn comparison(&self, number: u16, metric: &str) -> Option<&Comparison> {
        let target = self.report.targets.iter().find(|target| target.number == Some(number))?;
        target.comparisons.iter().find(|comparison| comparison.metric == metric)
    }

    /// The middle of a metric of a target, in microseconds.
    pub(crate) fn p50_us(&self, number: u16, metric: &str) -> Option<u64> {
        let target = self.report.targets.iter().find(|target| target.number == Some(number))?;
        let seconds = target.metrics.get(metric)?.p50;
        let time = Duration::try_from_secs_f64(seconds).ok()?;
        u64::try_from(time.as_micros()).ok()
    }

    /// A sentence where what was sent is not what is stored.
    pub(crate) fn difference(&self) -> Option<String> {
        let Self { arrived, stored, .. } = self;
        (arrived != stored).then(|| {
            format!("{arrived} replayed requests reached a provider, {stored} are stored as such")
        })
    }
}

/// The exchanges of the run in the store, once nothing writes to it any more.
pub(crate) fn stored(data_dir: &Path, run_id: &str) -> Result<usize, String> {
    let now_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
    let asked =
        Query::parse(&format!("run:{run_id}"), now_us).map_err(|error| error.to_string())?;
    let reader = Reader::open(data_dir).map_err(|error| error.to_string())?;
    let seqs = reader.seqs(&asked, Order::Oldest).map_err(|error| error.to_string())?;
    let mut count = 0;
    for seq in seqs {
        seq.map_err(|error| error.to_string())?;
        count += 1;
    }
    Ok(count)
}

/// Sends again what both models were asked since `since_us`; `None`: there is too little time, or nothing to send.
pub(crate) async fn perform(
    shared: &Arc<Shared>,
    data_dir: &Path,
    calls: &[Call],
    since_us: i64,
    until: Instant,
    draw: impl Fn(&Progress),
) -> io::Result<Option<Replayed>> {
    let wanted = calls.iter().filter(|call| is_of_slice(call)).count();
    if wanted == 0 || until.saturating_duration_since(clock::now()) < LEAST {
        return Ok(None);
    }
    let plan = plan(since_us)?;
    let source = captured(data_dir, &plan.from, wanted, until).await?;
    if source.lines().is_empty() {
        return Ok(None);
    }
    let ready = Arc::new(run::ready(shared, plan, source).map_err(io::Error::other)?);
    let place = Place::of(data_dir, &ready.id.to_string())
        .ok_or_else(|| io::Error::other("the run has no place"))?;
    send(shared, &ready, &place, until, draw).await?;
    let (report, journaled) = account::settle(&ready, &place, &[]).map_err(io::Error::other)?;
    let page = data_dir.join(PAGE_FILE);
    deliver::write(&page.to_string_lossy(), (&report, &journaled, &[]), data_dir)?;
    Ok(Some(Replayed { report, page, arrived: 0, stored: 0 }))
}

fn is_of_slice(call: &Call) -> bool {
    call.pair.is_some() && call.model == FAST && call.status == Some(200) && call.end == End::Whole
}

fn plan(since_us: i64) -> io::Result<Plan> {
    let since = jiff::Timestamp::from_microsecond(since_us).map_err(io::Error::other)?;
    let session = SESSIONS.get(COMPARING).map_or("", |session| session.name);
    let pace = format!("closed {IN_FLIGHT}").parse().map_err(io::Error::other)?;
    Ok(Plan {
        from: format!("key:{session} model:{FAST} status:200 since:{since}"),
        to: [FAST, FAST, SLOW].map(str::to_owned).to_vec(),
        pace,
        repeat: REPEAT,
        warmup: WARMUP,
        margin: MARGIN,
        ..Plan::default()
    })
}

/// What the store has of it, as soon as it has it all, or when there is just time left to send some.
async fn captured(
    data_dir: &Path,
    from: &str,
    wanted: usize,
    until: Instant,
) -> io::Result<Source> {
    let now_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
    let asked = Query::parse(from, now_us).map_err(io::Error::other)?;
    loop {
        let reader = Reader::open(data_dir).map_err(io::Error::other)?;
        let source = Source::of_store(reader, &asked, usize::MAX).map_err(io::Error::other)?;
        if source.lines().len() >= wanted || clock::now() + LEAST >= until {
            return Ok(source);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// On threads of its own, while this one draws.
async fn send(
    shared: &Arc<Shared>,
    ready: &Arc<Ready>,
    place: &Place,
    until: Instant,
    draw: impl Fn(&Progress),
) -> io::Result<Finish> {
    let (stop, stopped) = watch::channel(false);
    let (tell, progress) = watch::channel(Progress::default());
    let (shared, ready, place) = (Arc::clone(shared), Arc::clone(ready), place.clone());
    let mut running =
        tokio::task::spawn_blocking(move || drive::go(&shared, &ready, &place, stopped, &tell));
    let mut every = tokio::time::interval(super::PROGRESS);
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            _ = every.tick() => {
                draw(&progress.borrow());
                if clock::now() >= until {
                    // Nobody listening means that it has ended.
                    let _told = stop.send(true);
                }
            }
        }
    };
    ended.map_err(io::Error::other)?.map_err(io::Error::other)
}
