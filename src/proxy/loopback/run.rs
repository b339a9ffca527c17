//! A run from its plan to its last row: what is to be sent is looked at before anything is, then the engine drives, through
//! a listener of this process's own.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::answers::Rules;
use pinhole_replay::context::{Context, Target, parse_target};
use pinhole_replay::engine::{self, Budget, Crew, Finish, Limits, Progress, Setup};
use pinhole_replay::estimate::{self, Estimate, Price, Sample};
use pinhole_replay::journal::{Header, Journal, JournalError, Part};
use pinhole_replay::plan::{Plan, PlanError};
use pinhole_replay::schedule::{Beat, Outline};
use tokio::sync::watch;

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::proxy::loopback::Loopback;
use crate::proxy::loopback::aim::{self, Aim};
use crate::proxy::loopback::crew::{Measure, Shelf};
use crate::proxy::server;
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;
use crate::report::replay::source::{Line, Source};

/// A plan with its recordings and targets found, and nothing sent.
pub struct Ready {
    pub id: ExchangeId,
    pub plan: Plan,
    pub source: Arc<Source>,
    pub setup: Setup,
    pub aims: Vec<Aim>,
    pub estimates: Vec<Estimate>,
    rules: Rules,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("nothing to send: {0}")]
    Empty(String),
    #[error("the target `{target}` cannot be sent these recordings: {reason}")]
    Target { target: String, reason: String },
    #[error(
        "--max-cost is given, and `{target}` has no price; add one to the price list (prices.file), or leave --max-cost out"
    )]
    Unpriced { target: String },
    #[error(transparent)]
    Answers(#[from] pinhole_replay::answers::PatternError),
}

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

/// Finds out what a plan comes to.
pub fn ready(shared: &Shared, plan: Plan, source: Source) -> Result<Ready, Unready> {
    plan.check()?;
    if source.lines().is_empty() {
        return Err(Unready::Empty(nothing(&plan, &source)));
    }
    let targets = targets(&plan)?;
    let aims = targets
        .iter()
        .map(|target| {
            aim::of(shared, target, &source)
                .map_err(|reason| Unready::Target { target: target.to_string(), reason })
        })
        .collect::<Result<Vec<Aim>, Unready>>()?;
    let samples: BTreeMap<u32, Sample> = (0..).zip(source.lines().iter().map(sample)).collect();
    let prices: Vec<Option<Price>> = aims.iter().map(|aim| aim.price).collect();
    let mut setup = setup(&plan, &source, targets);
    let estimates = estimate::estimate(&setup, &samples, &prices);
    if let Some(max) = plan.max_cost {
        if let Some(aim) = aims.iter().find(|aim| aim.price.is_none()) {
            return Err(Unready::Unpriced { target: aim.target.clone() });
        }
        let (rules, samples) = (setup.clone(), samples);
        let worst = move |pair: u32, target: u16| {
            let target = usize::from(target);
            let sample = samples.get(&pair).copied().unwrap_or_default();
            let price = prices.get(target).copied().flatten().unwrap_or_default();
            estimate::worst_nanousd(&rules, &sample, target, price)
        };
        setup.budget =
            Some(Budget { max_nanousd: max.nanousd, worst: Arc::new(worst), spent_nanousd: 0 });
    }
    let id = ExchangeId::new(clock::wall_us());
    setup.marker = id.to_string();
    let rules = rules(&plan)?;
    Ok(Ready { id, plan, source: Arc::new(source), setup, aims, estimates, rules })
}

/// What does not count when answers are compared.
fn rules(plan: &Plan) -> Result<Rules, Unready> {
    let ignore = plan.answers.ignore.iter().map(|path| path.parse()).collect::<Result<_, _>>()?;
    let tolerance = plan.answers.tolerance.max(Rules::default().tolerance);
    Ok(Rules { ignore, tolerance })
}

fn targets(plan: &Plan) -> Result<Vec<Target>, PlanError> {
    let named = |written: &String| {
        let target = parse_target(written)?;
        Ok(Target { model: Some(target.selector.clone()), ..target })
    };
    plan.to.iter().map(named).collect()
}

fn nothing(plan: &Plan, source: &Source) -> String {
    let found = if source.left_out.is_empty() {
        format!("`{}` finds no exchange", plan.from)
    } else {
        let reasons: Vec<String> =
            source.left_out.iter().map(|(why, count)| format!("{count} × {why}")).collect();
        format!("`{}` finds none that can be sent again ({})", plan.from, reasons.join("; "))
    };
    format!("{found}; `pinhole captures ls --where …` shows what is there")
}

fn sample(line: &Line) -> Sample {
    let tokens = |value: Option<i64>| value.and_then(|tokens| u64::try_from(tokens).ok());
    Sample {
        input: tokens(line.input_tokens).unwrap_or_default(),
        output: tokens(line.output_tokens).unwrap_or_default(),
        guessed: line.input_tokens.is_none() || line.output_tokens.is_none(),
        ..Sample::default()
    }
}

fn setup(plan: &Plan, source: &Source, targets: Vec<Target>) -> Setup {
    let beats = (0..).zip(source.lines()).map(|(pair, line)| Beat {
        pair,
        session: line.session.as_deref(),
        started_at_us: line.started_at_us,
        ended_at_us: line.ended_at_us,
        depends: line.session.is_some(),
    });
    let names = source.lines().iter().map(|line| (line.id.clone(), line.session.clone()));
    Setup {
        outline: Arc::new(Outline::of(beats)),
        names: names.collect(),
        targets,
        pace: plan.pace,
        repeats: plan.repeat,
        warmup: plan.warmup,
        seed: plan.seed,
        context: plan.context,
        cache: plan.cache,
        length: plan.length,
        polite: plan.polite,
        budget: None,
        done: pinhole_replay::schedule::Groups::default(),
        marker: String::new(),
        limits: Limits {
            deadline: Duration::from_secs(plan.deadline_s),
            // Answers that are fed on are held with their groups.
            groups: if plan.context == Context::Live { 1_024 } else { 4_096 },
            ..Limits::default()
        },
    }
}

/// Sends everything, on threads of its own; rows go to the journal at `place`. Blocks until the end.
pub fn go(
    shared: &Arc<Shared>,
    ready: &Ready,
    place: &Place,
    stop: watch::Receiver<bool>,
    progress: &watch::Sender<Progress>,
) -> Result<Finish, RunError> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(RunError::Listen)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.min(2))
        .thread_name("pinhole-replay")
        .enable_all()
        .build()
        .map_err(RunError::Listen)?;
    let server = server::start_plain(&listener, shared, workers).map_err(RunError::Listen)?;
    let ran = runtime.block_on(drive(shared, ready, place, server.address, (stop, progress)));
    server.stop();
    ran
}

async fn drive(
    shared: &Arc<Shared>,
    ready: &Ready,
    place: &Place,
    address: std::net::SocketAddr,
    (stop, progress): (watch::Receiver<bool>, &watch::Sender<Progress>),
) -> Result<Finish, RunError> {
    place.prepare().map_err(RunError::Write)?;
    let mut setup = ready.setup.clone();
    let header = header(ready);
    let mut journal = if place.journal().exists() {
        let (journal, before) = Journal::resume(&place.journal(), &header)?;
        setup.done = before.done(&setup.outline, setup.context == Context::Live);
        if let Some(budget) = &mut setup.budget {
            budget.spent_nanousd = before.spent_nanousd;
        }
        journal
    } else {
        Journal::create(&place.journal(), &header)?
    };
    let started_at_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
    journal.begin(Part { started_at_us }).map_err(RunError::Write)?;
    let models = ready.aims.iter().map(|aim| aim.model.clone()).collect();
    let prices = Arc::clone(&shared.snapshot().settings.prices.book);
    let crew = Crew {
        transport: Loopback::new(address, ready.id, models, prices),
        library: Shelf(Arc::clone(&ready.source)),
        judge: Measure {
            captured_is_base: ready.setup.targets.len() == 1,
            rules: ready.rules.clone(),
        },
    };
    let finish =
        engine::run(setup, crew, &mut journal, stop, progress).await.map_err(RunError::Write)?;
    let elapsed = u64::try_from(finish.progress.elapsed.as_micros()).unwrap_or(u64::MAX);
    journal.end(finish.ended, elapsed).map_err(RunError::Write)?;
    Ok(finish)
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
