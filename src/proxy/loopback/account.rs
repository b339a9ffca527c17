//! From a run's journal to its report: for the command line and for the operations API alike.

use std::collections::BTreeMap;

use pinhole_replay::faces::gate::Gate;
use pinhole_replay::journal::{self, JournalError, Journaled};
use pinhole_replay::plan::Step;
use pinhole_replay::report::{self, Gated, Judge, Report};
use pinhole_replay::stats;
use pinhole_replay::summarise::summarise;
use pinhole_replay::table::Table;

use crate::proxy::loopback::run::Ready;
use crate::report::replay::runs::Place;

/// Why there is no report, or none that lasts.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the report cannot be kept: {0}")]
    Keep(std::io::Error),
}

/// Makes the report of what the journal has and keeps it beside the journal.
pub fn settle(
    ready: &Ready,
    place: &Place,
    gates: &[Gate],
) -> Result<(Report, Journaled), AccountError> {
    let journaled = journal::read(&place.journal())?;
    let mut report = report(ready, &journaled);
    report.gates = gates.iter().map(|gate| gated(gate, &report)).collect();
    place.keep(&report).map_err(AccountError::Keep)?;
    Ok((report, journaled))
}

fn gated(gate: &Gate, report: &Report) -> Gated {
    let finding = gate.judge(report);
    Gated {
        outcome: finding.outcome.word().to_owned(),
        condition: finding.condition,
        sentences: finding.sentences,
    }
}

/// The report of what a journal has.
pub fn report(ready: &Ready, journaled: &Journaled) -> Report {
    let mut table = Table::default();
    for row in &journaled.rows {
        table.push(row);
    }
    let plan = &ready.plan;
    let judge =
        plan.judge.as_ref().map(|target| Judge { target: target.clone(), ..Judge::default() });
    let begun = Report {
        run_id: journaled.header.run_id.clone(),
        started_at_us: journaled.parts.first().map_or(0, |part| part.started_at_us),
        duration_us: duration_us(journaled),
        ended: journaled
            .ended
            .as_ref()
            .map_or_else(|| "unfinished".to_owned(), |end| end.why.clone()),
        plan: report::Plan {
            from: plan.from.clone(),
            pace: match &plan.sweep {
                Some(sweep) => format!("a sweep of {}", sweep.rates.join(", ")),
                None => plan.pace.to_string(),
            },
            context: plan.context.to_string(),
            cache: plan.cache.to_string(),
            repeat: plan.repeat,
            warmup: plan.warmup,
            seed: plan.seed,
            margin: plan.margin,
            polite: plan.polite,
        },
        recordings: ready.source.lines().len() as u64,
        left_out: ready.source.left_out.clone(),
        steps: steps(ready, journaled),
        judge,
        environment: environment(ready),
        ..Report::default()
    };
    let options =
        stats::Options { margin: plan.margin, seed: plan.seed, ..stats::Options::default() };
    summarise(&table, &plan.to, &options, begun)
}

/// From the first part's start to the last part's end.
fn duration_us(journaled: &Journaled) -> u64 {
    let start = |part: Option<&journal::Part>| part.map_or(0, |part| part.started_at_us);
    let (first, last) = (start(journaled.parts.first()), start(journaled.parts.last()));
    let part_us = journaled.ended.as_ref().map_or(0, |end| end.at_us);
    last.saturating_sub(first).unsigned_abs().saturating_add(part_us)
}

/// What came of each rate that was tried.
fn steps(ready: &Ready, journaled: &Journaled) -> Vec<Step> {
    let Some(sweep) = &ready.plan.sweep else { return Vec::new() };
    let recordings = ready.source.lines().len();
    (0..sweep.rates.len())
        .flat_map(|at| sweep.steps(&ready.plan.to, recordings, at, &journaled.rows))
        .collect()
}

fn environment(ready: &Ready) -> BTreeMap<String, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut all = BTreeMap::from([
        ("program".to_owned(), concat!("pinhole ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("system".to_owned(), format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("cores".to_owned(), cores.to_string()),
    ]);
    for aim in ready.aims.iter().chain(ready.judge.as_ref().map(|judge| &judge.aim)) {
        let place = format!("{} at {} ({})", aim.served, aim.provider, aim.because);
        all.insert(format!("target {}", aim.target), place);
    }
    all
}
