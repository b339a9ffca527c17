//! Rows in, a report out.

use std::collections::BTreeMap;

use super::*;
use crate::dice::Dice;
use crate::recording::{Fault, Usage};
use crate::report::Verdict;
use crate::row::{Metrics, Row};

fn row(pair: u32, target: Option<u16>, ttft: f64) -> Row {
    Row {
        pair,
        target,
        of: format!("exchange-{pair:03}"),
        session: Some(format!("session-{}", pair / 4)),
        id: target.map(|target| format!("sent-{target}-{pair}")),
        status: Some(200),
        intended_us: 1_000,
        sent_us: 1_000 + u64::from(pair),
        ended_us: 5_000_000,
        metrics: Metrics {
            ttft: Some(ttft),
            e2e: Some(3.0 * ttft),
            output_tokens: Some(40.0),
            cost: Some(0.002),
            cached_tokens: Some(0.0),
            ..Metrics::default()
        },
        usage: Some(Usage {
            input: Some(100),
            output: Some(40),
            cache_read: Some(60),
            ..Usage::default()
        }),
        cost_nanousd: Some(2_000_000),
        ..Row::default()
    }
}

fn failed(row: Row, kind: &str) -> Row {
    let fault = Fault { kind: kind.to_owned(), ..Fault::default() };
    Row { status: None, error: Some(fault), metrics: Metrics::default(), cost_nanousd: None, ..row }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn summarised(rows: &[Row], targets: &[&str]) -> Report {
    let mut table = Table::default();
    for row in rows {
        table.push(row);
    }
    let options = Options { resamples: 2_000, ..Options::default() };
    let report = Report { run_id: "run".to_owned(), ..Report::default() };
    summarise(&table, &names(targets), &options, report)
}

/// Eighty exchanges: captured, sent to a baseline, to a target 15 % slower and to one that is the same.
fn three_targets() -> Vec<Row> {
    let mut dice = Dice::new(1);
    let mut rows = Vec::new();
    for pair in 0..80 {
        let size = (0.8 * dice.normal()).exp();
        let mut ttft = |ratio: f64| size * ratio * (0.04 * dice.normal()).exp();
        rows.push(row(pair, None, ttft(2.0)));
        rows.push(row(pair, Some(0), ttft(1.0)));
        rows.push(row(pair, Some(1), ttft(1.15)));
        rows.push(row(pair, Some(2), ttft(1.0)));
    }
    dice.shuffle(&mut rows);
    rows
}

fn verdicts(target: &Target) -> BTreeMap<&str, Verdict> {
    target.comparisons.iter().map(|found| (found.metric.as_str(), found.verdict)).collect()
}

#[test]
fn a_planted_difference_is_found_and_an_identical_target_is_the_same() {
    let report = summarised(&three_targets(), &["fast", "slow", "twin"]);
    let order: Vec<&str> = report.targets.iter().map(|target| target.target.as_str()).collect();
    assert_eq!(order, ["slow", "twin", "fast", "captured"]);
    assert_eq!((report.schema, report.baseline.as_str(), report.interleaved), (1, "fast", true));
    assert_eq!((report.run_id.as_str(), report.sessions), ("run", 20));
    let [slow, twin, fast, captured] = report.targets.as_slice() else { panic!("four targets") };
    assert_eq!(verdicts(slow)["ttft"], Verdict::Slower);
    assert_eq!(verdicts(slow)["output_tokens"], Verdict::Same);
    assert_eq!(verdicts(twin)["ttft"], Verdict::Same);
    assert_eq!(verdicts(twin)["e2e"], Verdict::Same);
    assert!(!verdicts(slow).contains_key("cached_tokens") && !verdicts(slow).contains_key("tpot"));
    for beside in [fast, captured] {
        assert!(beside.comparisons.is_empty() && beside.answers.is_none());
        assert_eq!((beside.n, beside.metrics["ttft"].n), (80, 80));
    }
    let ttft = slow.comparisons.iter().find(|found| found.metric == "ttft").unwrap();
    assert!((ttft.ratio - 1.15).abs() < 0.02, "{}", ttft.ratio);
    assert_eq!((ttft.n, ttft.sessions, ttft.resampled_by.as_str()), (80, 20, "session"));
    // ttft and e2e differ of both targets: four tests; constant metrics have none.
    assert!((ttft.p_holm.unwrap() - 4.0 * ttft.p.unwrap()).abs() < 1e-12);
    assert_eq!(slow.cost_usd, Some(0.16));
    assert_eq!((slow.input_tokens, slow.cached_tokens, slow.output_tokens), (8_000, 4_800, 3_200));
    assert_eq!(report.formulas["ttft"], "c1 − t0");
    for told in ["t0", "c1 … cm", "N", "ratio", "ci95", "mde", "p_holm", "shift", "verdict"] {
        assert!(report.formulas.contains_key(told), "{told} is not explained");
    }
    assert!(report.notes.is_empty(), "{:?}", report.notes);
}

#[test]
fn with_one_target_the_captured_answers_are_the_baseline_of_every_repeat() {
    let mut rows = Vec::new();
    for pair in 0..12 {
        rows.push(row(pair, None, 1.0 + f64::from(pair % 3) / 100.0));
        for repeat in 0..3 {
            rows.push(Row { repeat, ..row(pair, Some(0), 2.0 + f64::from(repeat) / 100.0) });
        }
    }
    let report = summarised(&rows, &["new"]);
    assert_eq!((report.baseline.as_str(), report.interleaved), ("captured", false));
    assert_eq!(report.targets[0].target, "new");
    let ttft = &report.targets[0].comparisons[0];
    assert_eq!((ttft.n, ttft.sessions, ttft.resampled_by.as_str()), (36, 3, "exchange"));
    assert_eq!(ttft.verdict, Verdict::Slower);
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    assert!(report.notes[0].contains("not interleaved") && report.notes[1].contains("by exchange"));
}

#[test]
fn rows_written_twice_count_once_and_warm_up_counts_for_nothing() {
    let mut rows = three_targets();
    let again: Vec<Row> = rows[..40].to_vec();
    rows.extend(again);
    rows.extend((100..110).map(|pair| Row { warmup: true, ..row(pair, Some(1), 90.0) }));
    let names = ["fast", "slow", "twin"];
    assert_eq!(summarised(&rows, &names), summarised(&three_targets(), &names));
}

#[test]
fn errors_are_counted_by_kind_and_stopped_turns_apart() {
    let mut rows: Vec<Row> = (0..20).map(|pair| row(pair, Some(0), 1.0)).collect();
    rows.extend((0..20).map(|pair| {
        let row = row(pair, Some(1), 1.0);
        match pair {
            0 => failed(row, "upstream_reset"),
            1 => Row { status: Some(429), metrics: Metrics::default(), cost_nanousd: None, ..row },
            2 => failed(row, STOPPED),
            4 => failed(row, "not_recorded"),
            3 => Row { cost_nanousd: None, losses: vec!["top_k".to_owned()], ..row },
            _ => row,
        }
    }));
    rows.extend((0..1).map(|_| Row { sent_us: 90_000, ..row(0, Some(0), 1.0) }));
    let report = summarised(&rows, &["a", "b"]);
    let b = &report.targets[0];
    assert_eq!((b.n, b.errors, b.stopped, b.unpriced), (18, 2, 1, 1));
    assert_eq!(
        b.errors_by_kind,
        BTreeMap::from([("upstream_reset".into(), 1), ("http_429".into(), 1)])
    );
    assert_eq!(b.losses, BTreeMap::from([("top_k".into(), 1)]));
    assert_eq!(report.left_out, BTreeMap::from([("not_recorded".into(), 1)]));
    assert_eq!(b.comparisons[0].n, 16, "times of errors are in no pair");
    let answers = b.answers.as_ref().unwrap();
    assert_eq!((answers.only_baseline_good, answers.only_target_good), (2, 0));
    assert!((answers.mcnemar_p.unwrap() - 0.5).abs() < 1e-12);
    let worst: Vec<&str> = answers.worst.iter().map(|worst| worst.why.as_str()).collect();
    assert_eq!(worst, ["error: upstream_reset", "error: http_429"]);
    assert_eq!((report.schedule.lag_max_us, report.schedule.degraded), (89_000, true));
    assert!(report.notes.iter().any(|note| note.contains("b: 1 requests have no price")));
    assert!(report.notes.iter().any(|note| note.contains("service_*")));
}

#[test]
fn answers_are_added_up_and_the_worst_named() {
    let alike =
        Likeness { exact: true, normalised: true, same_finish: true, ..Likeness::default() };
    let mut rows: Vec<Row> = (0..30).map(|pair| row(pair, Some(0), 1.0)).collect();
    rows.extend((0..30).map(|pair| {
        let wrong = Likeness {
            calls_f1: Some(0.0),
            names_f1: Some(1.0),
            calls_in_order: Some(false),
            ..alike
        };
        let refused = Likeness { refused: true, refusal_differs: true, normalised: false, ..alike };
        let right = Likeness { calls_f1: Some(1.0), judged: Some(1), ..alike };
        let likeness = match pair {
            7 => Likeness { exact: false, normalised: false, ..wrong },
            9 => Likeness { exact: false, judged: Some(-1), ..refused },
            _ => right,
        };
        Row { likeness: Some(likeness), ..row(pair, Some(1), 1.0) }
    }));
    let report = summarised(&rows, &["a", "b"]);
    let answers = report.targets[0].answers.as_ref().unwrap();
    assert_eq!((answers.n, answers.refusals), (30, 1));
    assert!((answers.exact - 28.0 / 30.0).abs() < 1e-12);
    assert!((answers.tool_calls_f1.unwrap() - 28.0 / 29.0).abs() < 1e-12);
    assert_eq!((answers.tool_calls_in_order, answers.json), (Some(0.0), None));
    assert_eq!(answers.judged, Some([28, 1, 0]));
    assert_eq!(answers.mcnemar_p, None);
    let worst: Vec<(&str, &str)> =
        answers.worst.iter().map(|worst| (worst.of.as_str(), worst.why.as_str())).collect();
    assert_eq!(
        worst,
        [
            ("exchange-009", "refuses, judged worse, other words"),
            ("exchange-007", "calls with other arguments")
        ]
    );
    let first = &answers.worst[0];
    assert_eq!(first.baseline_id.as_deref(), Some("sent-0-9"));
    assert_eq!(first.target_id.as_deref(), Some("sent-1-9"));
}

#[test]
fn runs_with_little_or_nothing_have_a_report() {
    let nothing = summarised(&[], &["a", "b"]);
    assert_eq!(nothing.targets.len(), 2);
    assert!(nothing.targets.iter().all(|target| target.n == 0 && target.comparisons.is_empty()));
    let one = summarised(&[row(0, None, 1.0), row(0, Some(0), 2.0)], &["a"]);
    assert!(one.targets[0].comparisons.is_empty(), "one pair has no interval");
    assert_eq!(one.targets[0].metrics["ttft"].p90, None);
    assert!(serde_json::to_string(&one).unwrap().contains("\"captured\""));
    assert_eq!(summarised(&[row(0, Some(0), 2.0)], &["a"]).targets.len(), 1);
}

#[test]
fn exchanges_of_no_session_are_sessions_of_their_own() {
    let alone = |row: Row| Row { session: None, ..row };
    let mut rows = Vec::new();
    for pair in 0..10 {
        rows.push(alone(row(pair, Some(0), 1.0)));
        rows.push(alone(row(pair, Some(1), 1.0 + f64::from(pair % 2) / 50.0)));
    }
    let report = summarised(&rows, &["a", "b"]);
    assert_eq!(report.sessions, 10);
    assert_eq!(report.targets[0].comparisons[0].resampled_by, "session");
}
