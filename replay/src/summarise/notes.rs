//! What a reader has to know to trust a report's numbers, in sentences: every form of the report says these, and no others.

use crate::faces::words;
use crate::report::{Judge, NO_BASELINE, Report};

/// What an interval was resampled by, where that is not sessions, and what this means for it.
const RESAMPLED: &[(&str, &str)] = &[
    (
        "exchange",
        "There are too few sessions to resample by session: intervals are resampled by exchange, \
         and too narrow if turns of a session are alike.",
    ),
    (
        "repeat",
        "There are too few exchanges to resample by: intervals are resampled by repeat, \
         and say nothing of other requests.",
    ),
    ("none", "There is too little to resample: intervals are Student's, and rough."),
];

pub(super) fn of(report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    match report.ended.as_str() {
        "" | "whole" => {}
        "interrupted" => {
            out.push("The run was interrupted: this is what had come back by then.".to_owned());
        }
        "max_cost" => out.push(
            "The run stopped at its limit of cost: this is what had come back by then.".to_owned(),
        ),
        other => out.push(format!("The run ended early: {}.", words::line(other))),
    }
    if report.baseline == NO_BASELINE {
        out.push(
            "No answers were recorded, so there is no baseline and nothing is compared: name a second target."
                .to_owned(),
        );
    } else if !report.interleaved && !report.baseline.is_empty() {
        out.push(format!(
            "The baseline ({}) is not interleaved: its times are of another hour than the targets'.",
            words::line(&report.baseline)
        ));
    }
    if report.schedule.degraded {
        out.push(format!(
            "The schedule was not kept (lag p99 {}): times from the intended instant show the sender, too; \
             read the service_* metrics.",
            words::micros(report.schedule.lag_p99_us)
        ));
    }
    let compared = report.targets.iter().flat_map(|target| &target.comparisons);
    for (unit, note) in RESAMPLED {
        if compared.clone().any(|comparison| comparison.resampled_by == *unit) {
            out.push((*note).to_owned());
        }
    }
    for (reason, n) in &report.left_out {
        out.push(format!(
            "{} recordings were left out: {}.",
            words::count(*n),
            words::line(reason)
        ));
    }
    out.extend(report.judge.as_ref().map(judge));
    for target in report.targets.iter().filter(|target| target.unpriced > 0) {
        out.push(format!(
            "{}: {} requests have no price and are in no cost.",
            words::line(&target.target),
            words::count(target.unpriced)
        ));
    }
    out
}

/// What asking the judge came to, in a sentence.
fn judge(judge: &Judge) -> String {
    let cost = judge.cost_usd.map_or_else(|| "what has no price".to_owned(), words::usd);
    format!(
        "The judge ({}) was asked {} times, two for each pair: {} questions brought no verdict, {} pairs another one in the other \
         order. It cost {cost}, which is in no target's cost.",
        words::line(&judge.target),
        words::count(judge.asked),
        words::count(judge.failed),
        words::count(judge.inconsistent),
    )
}
