//! A run from its first request to its last row: the engine drives, through a listener of this process's own, once or, in a
//! sweep, once for each rate until one is too much.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::context::Context;
use pinhole_replay::engine::{self, Crew, Ended, Finish, Progress, Setup, Sink};
use pinhole_replay::journal::{Header, Journal, JournalError, Journaled, Part};
use pinhole_replay::plan::Sweep;
use pinhole_replay::row::Row;
use tokio::sync::watch;

use crate::base::clock;
use crate::proxy::loopback::Loopback;
use crate::proxy::loopback::asking::Asker;
use crate::proxy::loopback::crew::{Measure, Shelf};
use crate::proxy::loopback::meter::{JUDGE, Meter};
use crate::proxy::loopback::run::Ready;
use crate::proxy::server;
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the run's journal cannot be written: {0}; is the disk full?")]
    Write(io::Error),
    #[error("no listener for the run: {0}")]
    Listen(io::Error),
}

/// Sends everything, on threads of its own; rows go to the journal at `place`. Blocks until the end.
pub fn go(
    shared: &Arc<Shared>,
    ready: &Ready,
    place: &Place,
    stop: watch::Receiver<bool>,
    progress: &watch::Sender<Progress>,
) -> Result<Finish, RunError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(RunError::Listen)?;
    let workers = shared.run_workers();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.len())
        .thread_name("pinhole-replay")
        .enable_all()
        .build()
        .map_err(RunError::Listen)?;
    let server = server::start_plain(&listener, shared).map_err(RunError::Listen)?;
    let run = Run { shared, ready, address: server.address, stop, progress };
    let ran = runtime.block_on(run.whole(place));
    server.stop();
    // What drove these connections is gone.
    let snapshot = shared.snapshot();
    for client in workers.flat_map(|worker| snapshot.clients_of(worker)) {
        client.forget();
    }
    ran
}

/// What a run goes on with, from part to part.
struct Run<'a> {
    shared: &'a Arc<Shared>,
    ready: &'a Ready,
    address: SocketAddr,
    stop: watch::Receiver<bool>,
    progress: &'a watch::Sender<Progress>,
}

impl Run<'_> {
    async fn whole(&self, place: &Place) -> Result<Finish, RunError> {
        place.prepare().map_err(RunError::Write)?;
        let ready = self.ready;
        let header = header(ready);
        let (mut journal, before) = if place.journal().exists() {
            let (journal, before) = Journal::resume(&place.journal(), &header)?;
            (journal, Some(before))
        } else {
            (Journal::create(&place.journal(), &header)?, None)
        };
        let mut setup = ready.setup.clone();
        if let (Some(budget), Some(before)) = (&mut setup.budget, &before) {
            budget.spent_nanousd = before.spent_nanousd;
        }
        if let Some(sweep) = &ready.plan.sweep {
            return self.sweep(sweep, setup, before.as_ref(), &mut journal).await;
        }
        if let Some(before) = before {
            setup.done = before.done(&setup.outline, setup.context == Context::Live);
        }
        let mut sink = Kept { journal: &mut journal, first: 0, rows: None };
        self.part(setup, &mut sink, self.progress).await
    }

    /// The rates one after another. A rate that an earlier part of the run has finished is not sent again, and counts.
    async fn sweep(
        &self,
        sweep: &Sweep,
        mut run: Setup,
        before: Option<&Journaled>,
        journal: &mut Journal,
    ) -> Result<Finish, RunError> {
        let recordings = run.outline.len();
        let each = sweep.requests * run.targets.len() as u64;
        let mut sum = Finish::default();
        for at in 0..sweep.rates.len() {
            let Some(setup) = sweep.part(&run, at, before) else { break };
            let finished = before.filter(|before| sweep.is_finished(&run, at, before));
            // A rate that was broken off is sent again whole, and judged by that alone.
            let mut rows = Vec::new();
            if finished.is_none() {
                let first = sweep.first_repeat(recordings, at);
                let mut sink = Kept { journal, first, rows: Some(Vec::new()) };
                let left = (sweep.rates.len() - at - 1) as u64 * each;
                let finish = self.step(setup, &mut sink, sum.progress, left).await?;
                rows = sink.rows.unwrap_or_default();
                sum = finish;
                if let Some(budget) = &mut run.budget {
                    budget.spent_nanousd = sum.progress.spent_nanousd;
                }
            }
            let told = finished.map_or(&rows, |before| &before.rows);
            let steps = sweep.steps(&self.ready.plan.to, recordings, at, told);
            if sum.ended != Ended::Whole || steps.iter().any(|step| step.stopped.is_some()) {
                break;
            }
        }
        Ok(sum)
    }

    /// One rate, with the progress of the whole sweep told meanwhile; `left`: requests of the rates to come.
    async fn step(
        &self,
        setup: Setup,
        sink: &mut Kept<'_>,
        before: Progress,
        left: u64,
    ) -> Result<Finish, RunError> {
        let is_budgeted = setup.budget.is_some();
        let so_far = |part: Progress| Progress {
            planned: before.done + part.planned + left,
            sent: before.sent + part.sent,
            done: before.done + part.done,
            errors: before.errors + part.errors,
            // A budget goes on from what was spent.
            spent_nanousd: part.spent_nanousd + if is_budgeted { 0 } else { before.spent_nanousd },
            elapsed: before.elapsed + part.elapsed,
            left: None::<Duration>,
            ..part
        };
        let (tell, mut told) = watch::channel(Progress::default());
        let mut running = std::pin::pin!(self.part(setup, sink, &tell));
        loop {
            tokio::select! {
                finish = &mut running => {
                    let finish = finish?;
                    let progress = so_far(finish.progress);
                    self.progress.send_replace(progress);
                    return Ok(Finish { progress, ..finish });
                }
                Ok(()) = told.changed() => {
                    self.progress.send_replace(so_far(*told.borrow_and_update()));
                }
            }
        }
    }

    async fn part(
        &self,
        setup: Setup,
        sink: &mut Kept<'_>,
        progress: &watch::Sender<Progress>,
    ) -> Result<Finish, RunError> {
        let started_at_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
        sink.journal.begin(Part { started_at_us }).map_err(RunError::Write)?;
        let finish = engine::run(setup, self.crew(), sink, self.stop.clone(), progress)
            .await
            .map_err(RunError::Write)?;
        let elapsed = u64::try_from(finish.progress.elapsed.as_micros()).unwrap_or(u64::MAX);
        sink.journal.end(finish.ended, elapsed).map_err(RunError::Write)?;
        Ok(finish)
    }

    fn crew(&self) -> Crew<Loopback, Shelf, Measure> {
        let (shared, ready) = (self.shared, self.ready);
        let loopback = |models: Vec<String>, names: Vec<String>| {
            let prices = Arc::clone(&shared.snapshot().settings.prices.book);
            let meter = Meter::new(&shared.telemetry, names);
            Loopback::new(self.address, ready.id, models, prices, meter)
        };
        let models = ready.aims.iter().map(|aim| aim.model.clone()).collect();
        let names = ready.aims.iter().map(|aim| aim.target.clone()).collect();
        let asker = ready.judge.as_ref().map(|seat| {
            let transport = loopback(vec![seat.aim.model.clone()], vec![JUDGE.to_owned()]);
            let deadline = ready.setup.limits.deadline;
            Asker::new(seat.clone(), transport, ready.plan.seed, deadline, self.stop.clone())
        });
        Crew {
            transport: loopback(models, names),
            library: Shelf(Arc::clone(&ready.source)),
            judge: Measure {
                captured_is_base: ready.setup.targets.len() == 1,
                rules: ready.rules.clone(),
                asker,
            },
        }
    }
}

/// Writes rows under the numbers of their rate, and keeps a copy without arrivals where a rate is to be judged by them.
struct Kept<'a> {
    journal: &'a mut Journal,
    /// The repeat that the part's rows begin with.
    first: u16,
    rows: Option<Vec<Row>>,
}

impl Sink for Kept<'_> {
    fn row(&mut self, row: &Row) -> io::Result<()> {
        if self.first > 0 && row.target.is_none() {
            // What was captured stands in the first part's rows.
            return Ok(());
        }
        let Some(rows) = &mut self.rows else { return self.journal.row(row) };
        let mut row = Row { repeat: row.repeat.saturating_add(self.first), ..row.clone() };
        self.journal.row(&row)?;
        if !row.warmup {
            row.arrivals = Vec::new();
            rows.push(row);
        }
        Ok(())
    }
}

fn header(ready: &Ready) -> Header {
    let ids = ready.source.lines().iter().map(|line| line.id.as_str());
    Header {
        plan_blake3: ready.plan.digest(),
        repeats: ready.plan.repeat,
        seed: ready.plan.seed,
        targets: ready.plan.to.clone(),
        producer: concat!("pinhole ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Header::of(&ready.id.to_string(), ids)
    }
}
