//! A run's pairs, each with the same exchange sent to the baseline: the biggest regressions first, so that whoever doubts a verdict
//! can open what it is made of.

use std::cmp::Ordering;
use std::collections::HashMap;

use pinhole_replay::answers;
use pinhole_replay::faces::words;
use pinhole_replay::measure::{self, Metric};
use pinhole_replay::report::{Comparison, Report, Verdict};
use pinhole_replay::row::{CAPTURED, Row};
use serde::Serialize;

/// What [`sorted`] orders by when answers are asked for, and not a metric.
pub const DIFFERENCE: &str = "difference";
/// What is looked at when no comparison says more.
const USUAL: &str = "e2e";

/// One exchange sent to one target, beside the same at the baseline.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pair<'a> {
    pub pair: u32,
    pub repeat: u16,
    /// The captured exchange.
    pub of: &'a str,
    pub session: Option<&'a str>,
    pub target: &'a str,
    /// The target's place in the plan.
    pub number: u16,
    pub baseline_id: Option<&'a str>,
    pub target_id: Option<&'a str>,
    pub status: Option<u16>,
    /// Kinds of what went wrong.
    pub error: Option<&'a str>,
    pub baseline_error: Option<&'a str>,
    /// The metric that was asked for.
    pub baseline: Option<f64>,
    pub value: Option<f64>,
    /// The target's over the baseline's.
    pub ratio: Option<f64>,
    /// How the answers differ: from 0, alike, to 1.
    pub difference: Option<f64>,
    pub why: String,
    /// How bad it is, by what it is sorted by.
    #[serde(skip)]
    gravity: f64,
}

/// The metric with the biggest regression of the report: what its pairs are looked at by first.
pub fn gravest(report: &Report) -> &str {
    let all = report.targets.iter().flat_map(|target| &target.comparisons);
    let slower = all.filter(|one| one.verdict == Verdict::Slower);
    let worst = slower.max_by(|one, other| worse(one).total_cmp(&worse(other)));
    worst.map_or(USUAL, |one| &one.metric)
}

/// Above 0 is worse.
fn worse(one: &Comparison) -> f64 {
    gravity(&one.metric, Some(one.ratio)).unwrap_or(0.0)
}

fn gravity(metric: &str, ratio: Option<f64>) -> Option<f64> {
    let log = ratio.map(f64::ln).filter(|log| log.is_finite())?;
    Some(if words::more_is_better(metric) { -log } else { log })
}

/// Whether pairs can be sorted by this.
pub fn is_known(sort: &str) -> bool {
    sort == DIFFERENCE || measure::metric(sort).is_some()
}

/// All pairs of all targets but the baseline, or of one of them; the gravest first. Answers that got lost stand before all others.
pub fn sorted<'a>(
    report: &'a Report,
    rows: &'a [Row],
    sort: &str,
    target: Option<u16>,
) -> Vec<Pair<'a>> {
    let metric = measure::metric(if sort == DIFFERENCE { USUAL } else { sort });
    let sent = report.sent();
    let is_captured = report.baseline == CAPTURED;
    let counted = || rows.iter().filter(|row| !row.warmup);
    // The captured ones are there once, whatever the repeat.
    let place = |row: &Row| (row.pair, if is_captured { 0 } else { row.repeat });
    let baseline = if is_captured { None } else { Some(0) };
    let bases: HashMap<(u32, u16), &Row> =
        counted().filter(|row| row.target == baseline).map(|row| (place(row), row)).collect();
    let mut pairs: Vec<Pair<'a>> = counted()
        .filter(|row| row.target != baseline)
        .filter(|row| target.is_none() || row.target == target)
        .filter_map(|row| {
            let number = row.target?;
            let name = sent.get(usize::from(number)).map_or("", |target| target.target.as_str());
            let base = bases.get(&place(row)).copied();
            Some(pair((number, name), row, base, metric, sort == DIFFERENCE))
        })
        .collect();
    pairs.sort_by(|one, other| {
        let by = other.gravity.partial_cmp(&one.gravity).unwrap_or(Ordering::Equal);
        by.then_with(|| (one.pair, one.repeat).cmp(&(other.pair, other.repeat)))
    });
    pairs
}

fn pair<'a>(
    (number, target): (u16, &'a str),
    row: &'a Row,
    base: Option<&'a Row>,
    metric: Option<&Metric>,
    by_answers: bool,
) -> Pair<'a> {
    let value_of = |row: &Row| metric.and_then(|metric| (metric.value)(&row.metrics));
    let (value, baseline) = (value_of(row), base.and_then(value_of));
    let ratio = value.zip(baseline).map(|(value, baseline)| value / baseline);
    let ratio = ratio.filter(|ratio| ratio.is_finite());
    let (error, baseline_error) = (fault(row), base.and_then(fault));
    let told = row.likeness.as_ref().map(answers::difference);
    let difference = match error {
        Some(_) => Some(1.0),
        None => told.as_ref().map(|(difference, _)| *difference),
    };
    let lost = error.is_some() && baseline_error.is_none();
    let gravity = match (lost, by_answers) {
        (true, _) => f64::INFINITY,
        (false, true) => difference.unwrap_or(f64::NEG_INFINITY),
        (false, false) => {
            metric.and_then(|metric| gravity(metric.name, ratio)).unwrap_or(f64::NEG_INFINITY)
        }
    };
    Pair {
        pair: row.pair,
        repeat: row.repeat,
        of: &row.of,
        session: row.session.as_deref(),
        target,
        number,
        baseline_id: base.map(|base| base.id.as_deref().unwrap_or(&base.of)),
        target_id: row.id.as_deref(),
        status: row.status,
        error,
        baseline_error,
        baseline,
        value,
        ratio,
        difference,
        why: match error {
            Some(kind) => format!("error: {kind}"),
            None => told.map(|(_, why)| why).unwrap_or_default(),
        },
        gravity,
    }
}

fn fault(row: &Row) -> Option<&str> {
    match &row.error {
        _ if row.is_good() => None,
        Some(fault) => Some(&fault.kind),
        None => Some("no good answer"),
    }
}

#[cfg(test)]
mod tests {
    use pinhole_replay::recording::Fault;
    use pinhole_replay::report::Target;
    use pinhole_replay::row::{Likeness, Metrics};

    use super::*;

    fn row(pair: u32, target: Option<u16>, e2e: f64) -> Row {
        Row {
            pair,
            target,
            of: format!("of-{pair}"),
            id: target.map(|target| format!("id-{pair}-{target}")),
            status: Some(200),
            metrics: Metrics { e2e: Some(e2e), speed: Some(10.0 / e2e), ..Metrics::default() },
            ..Row::default()
        }
    }

    fn report(baseline: &str, targets: &[&str]) -> Report {
        let target = |(number, name): (u16, &&str)| Target {
            target: (*name).to_owned(),
            number: Some(number),
            ..Target::default()
        };
        Report {
            baseline: baseline.to_owned(),
            targets: (0..).zip(targets).map(target).collect(),
            ..Report::default()
        }
    }

    fn order(pairs: &[Pair<'_>]) -> Vec<u32> {
        pairs.iter().map(|pair| pair.pair).collect()
    }

    #[test]
    fn the_biggest_regressions_come_first_and_lost_answers_before_them() {
        let report = report("a", &["a", "b"]);
        let mut rows: Vec<Row> = (0..4).map(|pair| row(pair, Some(0), 1.0)).collect();
        rows.extend([(0, 1.1), (1, 3.0), (2, 0.5)].map(|(pair, e2e)| row(pair, Some(1), e2e)));
        rows.push(Row {
            status: Some(500),
            error: Some(Fault { kind: "overloaded".into(), ..Fault::default() }),
            ..row(3, Some(1), 9.0)
        });
        rows.push(Row { warmup: true, ..row(0, Some(1), 100.0) });
        for sort in ["e2e", "speed"] {
            let found = sorted(&report, &rows, sort, None);
            assert_eq!(order(&found), [3, 1, 0, 2], "{sort}");
        }
        let found = sorted(&report, &rows, "e2e", None);
        assert_eq!(
            (found[0].error, found[0].why.as_str()),
            (Some("overloaded"), "error: overloaded")
        );
        let slow = &found[1];
        assert_eq!((slow.baseline_id, slow.target_id), (Some("id-1-0"), Some("id-1-1")));
        assert_eq!((slow.target, slow.ratio, slow.value), ("b", Some(3.0), Some(3.0)));
        assert!(sorted(&report, &rows, "e2e", Some(0)).is_empty(), "the baseline is no pair");
    }

    #[test]
    fn what_was_captured_stands_beside_every_repeat() {
        let report = report(CAPTURED, &["a"]);
        let rows =
            [row(0, None, 1.0), row(0, Some(0), 2.0), Row { repeat: 1, ..row(0, Some(0), 4.0) }];
        let found = sorted(&report, &rows, "e2e", None);
        let told: Vec<_> = found.iter().map(|pair| (pair.repeat, pair.ratio)).collect();
        assert_eq!(told, [(1, Some(4.0)), (0, Some(2.0))]);
        assert_eq!(found[0].baseline_id, Some("of-0"));
    }

    #[test]
    fn answers_are_sorted_by_how_they_differ() {
        let report = report("a", &["a", "b"]);
        let mut rows: Vec<Row> = (0..2).map(|pair| row(pair, Some(0), 1.0)).collect();
        let like = |normalised| Likeness {
            exact: normalised,
            normalised,
            same_finish: normalised,
            ..Likeness::default()
        };
        rows.push(Row { likeness: Some(like(true)), ..row(0, Some(1), 9.0) });
        rows.push(Row { likeness: Some(like(false)), ..row(1, Some(1), 1.0) });
        let found = sorted(&report, &rows, DIFFERENCE, None);
        assert_eq!(order(&found), [1, 0]);
        assert!(!found[0].why.is_empty() && found[0].difference > Some(0.0));
        assert!(is_known(DIFFERENCE) && is_known("ttft") && !is_known("tfft"));
    }

    #[test]
    fn the_metric_that_got_worst_is_looked_at_first() {
        let mut report = report("a", &["a", "b"]);
        assert_eq!(gravest(&report), "e2e");
        let one = |metric: &str, ratio, verdict| Comparison {
            metric: metric.to_owned(),
            ratio,
            verdict,
            ..Comparison::default()
        };
        report.targets[1].comparisons = vec![
            one("cost", 9.0, Verdict::Undecided),
            one("ttft", 1.4, Verdict::Slower),
            one("speed", 0.5, Verdict::Slower),
        ];
        assert_eq!(gravest(&report), "speed");
    }
}
