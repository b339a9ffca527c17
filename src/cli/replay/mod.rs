//! `pinhole replay`: captured traffic sent again to other targets, compared, reported.
//!
//! ```text
//!  choices (plan) ─► recordings ─► a gateway of our own ─► ready (routes, prices, estimate) ─► go ─► journal ─► deliver
//! ```

pub mod args;
mod choices;
pub(in crate::cli) mod deliver;
mod watch;

use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use pinhole_replay::engine::{Ended, Finish};
use pinhole_replay::estimate::Estimate;
use pinhole_replay::faces::gate::Gate;
use pinhole_replay::faces::words;
use pinhole_replay::plan::Plan;
use serde_json::json;

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::cli::place::{path, refuse};
use crate::cli::playback::is_file;
use crate::cli::serve::{self, Gateway, tell_findings};
use crate::cli::terminal::{say, tell};
use crate::cli::{Exit, logging, observers};
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::settings::{LogLevel, Overrides, Settings};
use crate::observe::span::Origins;
use crate::proxy::loopback::run::{self, Ready};
use crate::report::replay::runs::Place;
use crate::report::replay::source::Source;
use crate::store::query::Query;
use crate::store::reader::Reader;
use crate::store::vault::seal;
use args::ReplayArgs;

pub fn run(args: &ReplayArgs) -> Exit {
    replay(args).unwrap_or_else(|exit| exit)
}

fn replay(args: &ReplayArgs) -> Result<Exit, Exit> {
    let plan = choices::plan(args).map_err(|error| refuse(&error, Exit::Usage))?;
    let gates = gates(&plan)?;
    deliver::check(&plan).map_err(|error| refuse(&error, Exit::Usage))?;
    let settings = settings(args)?;
    let source = source(&plan, &settings)?;
    for note in &source.notes {
        tell(&format!("note: {note}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| refuse(&format!("no runtime: {error}"), Exit::Environment))?;
    let (gateway, held) = gateway(settings)?;
    let shared = Arc::clone(&gateway.shared);
    let sent = run::ready(&shared, plan, source)
        .map_err(|error| refuse(&error.to_string(), Exit::Usage))
        .and_then(|ready| send(args, ready, &gateway, &runtime));
    // What was captured of it is on disk before anything is read.
    runtime.block_on(serve::drain(gateway));
    drop(held);
    let Some((ready, place, finish)) = sent? else { return Ok(Exit::Done) };
    let told = deliver::deliver(args, &ready, &place, &shared, &gates)?;
    match finish.ended {
        Ended::Whole => Ok(told),
        _ => Ok(Exit::Failed),
    }
}

/// All conditions, so that a wrong one is told before anything is sent.
fn gates(plan: &Plan) -> Result<Vec<Gate>, Exit> {
    Gate::of_plan(plan).map_err(|error| refuse(&format!("--fail-if: {error}"), Exit::Usage))
}

/// The configuration of `serve`, with everything kept of what the run sends.
fn settings(args: &ReplayArgs) -> Result<Settings, Exit> {
    let overrides = Overrides {
        data_dir: args.place.data_dir.clone(),
        listen: Some("127.0.0.1:0".to_owned()),
        capture_level: Some("full".to_owned()),
        ..Overrides::default()
    };
    let environment = Environment::of_process();
    let mut settings =
        load(args.place.config.as_deref(), &overrides, &environment).map_err(|findings| {
            tell_findings(&findings);
            Exit::Usage
        })?;
    settings.log.level = LogLevel::Error;
    settings.server.tls = None;
    Ok(settings)
}

fn source(plan: &Plan, settings: &Settings) -> Result<Source, Exit> {
    let limit = plan.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    if let Some(file) = plan.file() {
        return Source::of_file(&path(&file), limit)
            .map_err(|error| refuse(&error.to_string(), Exit::Usage));
    }
    if path(Path::new(&plan.from)).is_dir() {
        let told = format!("--from: `{}` is a folder; name a file in it", plan.from);
        return Err(refuse(&told, Exit::Usage));
    }
    if is_file(&plan.from) {
        return Err(refuse(&format!("--from: there is no file `{}`", plan.from), Exit::Usage));
    }
    let now_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
    let asked = Query::parse(&plan.from, now_us).map_err(|error| {
        tell(&error.underlined(&plan.from));
        refuse(&format!("--from: no such file, and as a query: {error}"), Exit::Usage)
    })?;
    let folder = &settings.server.data_dir;
    seal::for_reading(folder, settings.encryption_key.as_ref())
        .map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    let reader =
        Reader::open(folder).map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    Source::of_store(reader, &asked, limit)
        .map_err(|error| refuse(&error.to_string(), Exit::Environment))
}

/// A gateway for the run alone, which writes beside one that may be running.
fn gateway(settings: Settings) -> Result<(Gateway, observers::Observers), Exit> {
    let refused = |error: &dyn std::fmt::Display| refuse(&error.to_string(), Exit::Environment);
    let log = logging::init(settings.log).map_err(|error| refused(&error))?;
    let origins = Origins::of(&settings.providers);
    let (sinks, held) =
        observers::beside(&settings, &origins, &log).map_err(|error| refused(&error))?;
    let listener = serve::bind(settings.server.listen).map_err(|error| refused(&error))?;
    let gateway = serve::start(settings, &listener, sinks).map_err(|error| refused(&error))?;
    Ok((gateway, held))
}

type Sent = Option<(Ready, Place, Finish)>;

/// Shows what is to come, asks, sends. `None`: nothing was to be sent.
fn send(
    args: &ReplayArgs,
    mut ready: Ready,
    gateway: &Gateway,
    runtime: &tokio::runtime::Runtime,
) -> Result<Sent, Exit> {
    let folder = gateway.shared.snapshot().settings.server.data_dir.clone();
    if let Some(id) = &args.resume {
        ready.id = ExchangeId::parse(id)
            .ok_or_else(|| refuse(&format!("--resume: `{id}` is no id of a run"), Exit::Usage))?;
    }
    let place = Place::of(&folder, &ready.id.to_string())
        .ok_or_else(|| refuse("the run has no place", Exit::Environment))?;
    if args.resume.is_some() && !place.journal().exists() {
        let told = format!("--resume: there is no run {} in {}", ready.id, folder.display());
        return Err(refuse(&told, Exit::Usage));
    }
    if args.dry_run {
        show(args, &ready);
        return Ok(None);
    }
    confirm(args, &ready)?;
    tell(&format!("run {}: {} recordings to {}", ready.id, ready.source.lines().len(), to(&ready)));
    let finish = watch::go(&gateway.shared, &ready, &place, runtime)
        .map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    match finish.ended {
        Ended::Whole => {}
        Ended::MaxCost => {
            tell("the limit of --max-cost ended the run; the report is of what was sent");
        }
        Ended::Interrupted => tell(&format!(
            "interrupted; the report is of what was sent. Go on with: --resume {}",
            ready.id
        )),
    }
    Ok(Some((ready, place, finish)))
}

fn to(ready: &Ready) -> String {
    let names: Vec<&str> = ready.aims.iter().map(|aim| aim.target.as_str()).collect();
    names.join(", ")
}

/// What would be sent, and what it would cost.
fn show(args: &ReplayArgs, ready: &Ready) {
    if args.json {
        let left_out = &ready.source.left_out;
        let whole = json!({
            "dry_run": true, "recordings": ready.source.lines().len(), "left_out": left_out,
            "pace": ready.plan.pace.to_string(), "targets": ready.estimates,
        });
        say(&whole.to_string());
        return;
    }
    let lines = ready.source.lines().len();
    say(&format!("{lines} recordings, {}; nothing was sent", ready.plan.pace));
    for (why, count) in &ready.source.left_out {
        say(&format!("  left out: {count} × {why}"));
    }
    let aims = ready.aims.iter().chain(ready.judge.as_ref().map(|judge| &judge.aim));
    for (estimate, aim) in ready.estimates.iter().zip(aims) {
        say(&line(estimate));
        say(&format!("    {} at {} ({})", aim.served, aim.provider, aim.because));
    }
}

fn line(estimate: &Estimate) -> String {
    let usd = |nano: i64| {
        #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
        let nano = nano as f64;
        words::usd(nano / 1e9)
    };
    let cost = match (estimate.cost_nanousd, estimate.worst_nanousd) {
        (Some(cost), Some(worst)) => format!("about {}, at worst {}", usd(cost), usd(worst)),
        _ => "no price is known".to_owned(),
    };
    format!(
        "  {}: {} requests, {} tokens in, {} out, {cost}",
        estimate.target,
        words::count(estimate.requests),
        words::count(estimate.input_tokens),
        words::count(estimate.output_tokens),
    )
}

/// Dear runs are confirmed: on a terminal by a word, elsewhere by `--yes`.
fn confirm(args: &ReplayArgs, ready: &Ready) -> Result<(), Exit> {
    if args.yes || !ready.is_dear() {
        return Ok(());
    }
    for estimate in &ready.estimates {
        tell(&line(estimate));
    }
    if !std::io::stdin().is_terminal() {
        let told = "the run is estimated at over $1 and nobody can be asked; --yes sends it, --dry-run shows more";
        return Err(refuse(told, Exit::Usage));
    }
    tell("send it? [y/N]");
    let mut answer = String::new();
    // Nothing to read is a no.
    let _read = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Exit::Usage) }
}
