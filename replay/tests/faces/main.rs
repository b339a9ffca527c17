//! The faces of a report: a made-up run in golden files (`UPDATE_GOLDEN=1` writes them), the same run with too little, with nothing
//! but errors, with numbers that are none, and with names and answers that mean harm.
#![expect(
    clippy::expect_used,
    reason = "helpers of tests fail the test; the lint knows only functions marked as tests"
)]

mod check;
mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use pinhole_replay::faces::gate::{Finding, Gate};
use pinhole_replay::faces::{csv, html, json, junit, markdown, terminal};
use pinhole_replay::measure;
use pinhole_replay::outcome::{Answer, Call};
use pinhole_replay::recording::Fault;
use pinhole_replay::report::{Comparison, Report};

use pinhole_replay::row::{CAPTURED, Metrics, Row};
use serde_json::Value;

const PAIRS: u32 = 120;
const WIDTH: usize = 80;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares with the golden file of this name, or writes it.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = root().join("tests/golden/replay").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("written");
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    let differs = wanted.lines().zip(text.lines()).find(|(wanted, got)| wanted != got);
    assert!(wanted == text, "{name} is another (UPDATE_GOLDEN=1 writes it): {differs:?}");
}

fn run() -> (Vec<Row>, Report) {
    let rows = fixture::rows(PAIRS);
    let report = fixture::report(&rows);
    (rows, report)
}

fn findings(report: &Report) -> Vec<Finding> {
    [
        "ttft.p95 > 1.1x",
        "errors > 10%",
        "e2e.p99 > 1x and not verdict(tpot) == same",
        "ttfo.p99 > 2s",
    ]
    .map(|condition| Gate::parse(condition).expect("a condition").judge(report))
    .into()
}

fn page(report: &Report, rows: &[Row]) -> String {
    html::draw(&html::Page { report, rows, texts: &fixture::answer, findings: &findings(report) })
}

fn table(report: &Report, rows: &[Row]) -> String {
    let mut out = Vec::new();
    csv::write(report, rows, &mut out).expect("written");
    String::from_utf8(out).expect("text")
}

fn narrow(report: &Report) -> String {
    terminal::draw(report, terminal::How { width: WIDTH, colour: false })
}

/// All faces of a run.
fn faces(report: &Report, rows: &[Row]) -> Vec<(&'static str, String)> {
    vec![
        ("terminal", narrow(report)),
        ("markdown", markdown::draw(report)),
        ("json", json::draw(report).expect("json")),
        ("csv", table(report, rows)),
        ("junit", junit::draw(report, &findings(report))),
        ("html", page(report, rows)),
    ]
}

#[test]
fn the_faces_of_a_run_are_these() {
    let (rows, report) = run();
    golden("report.txt", &narrow(&report));
    golden(
        "report-wide.ansi",
        &terminal::draw(&report, terminal::How { width: 140, colour: true }),
    );
    golden("report.md", &markdown::draw(&report));
    golden("report.xml", &junit::draw(&report, &findings(&report)));
    golden("report.csv", &table(&report, &rows[..24]));
}

#[test]
fn a_price_is_not_called_slow_without_a_word_on_it() {
    let (_, report) = run();
    let said = "Of costs and lengths “slower” means more, “faster” less.";
    for face in [narrow(&report), markdown::draw(&report)] {
        assert!(face.contains("less in cost (0.80x)") && face.contains(said), "{face}");
        assert!(!face.contains("faster in cost"));
    }
}

#[test]
fn small_costs_are_not_cut_off() {
    let (_, mut report) = run();
    for target in &mut report.targets {
        if let Some(cost) = target.metrics.get_mut("cost") {
            (cost.p50, cost.p95) = (0.000_067, Some(0.000_101));
        }
    }
    let text = narrow(&report);
    let cost = text.lines().find(|line| line.starts_with("cost ")).expect("a line of costs");
    assert!(cost.contains("$6.7e-5 $0.00010") && !cost.contains('…'), "{cost}");
}

#[test]
fn targets_of_one_name_are_told_apart_but_in_data() {
    let (rows, mut report) = run();
    let name = report.baseline.clone();
    let sent = report.targets.iter_mut().filter(|target| target.target != CAPTURED);
    for (place, target) in sent.enumerate() {
        let number = if target.target == name { 0 } else { 1 + u16::try_from(place).expect("few") };
        target.number = Some(number);
        target.target.clone_from(&name);
    }
    let again = format!("#2 {name}");
    for face in [narrow(&report), markdown::draw(&report), page(&report, &rows)] {
        assert!(face.contains(&again));
    }
    assert!(!json::draw(&report).expect("json").contains(&again));
}

#[test]
fn headlines_and_first_tables_have_the_published_metrics_only() {
    let (rows, mut report) = run();
    for target in &mut report.targets {
        let ttft = target.comparisons.iter().find(|found| found.metric == "ttft").cloned();
        let service = ttft.map(|found| Comparison { metric: "service_ttft".to_owned(), ..found });
        target.comparisons.extend(service);
    }
    let page = page(&report, &rows);
    let first = page.split("More metrics").next().expect("a page");
    assert!(first.contains("ttft") && !first.contains("service_ttft"));
    assert!(page.contains("service_ttft"));
    let markdown = markdown::draw(&report);
    let (first, folded) = markdown.split_once("<details><summary>More metrics").expect("a fold");
    assert!(!first.contains("service_ttft") && folded.contains("service_ttft"));
    report.schedule.degraded = false;
    assert!(!narrow(&report).contains("service_ttft"));
    report.schedule.degraded = true;
    assert!(narrow(&report).contains("service_ttft"), "the note says to read it");
}

#[test]
fn a_terminal_of_80_columns_is_wide_enough() {
    let (_, report) = run();
    for line in narrow(&report).lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
}

/// The same, but for the last digit of a number, which reading may change.
#[track_caller]
fn alike(one: &Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()));
            one.values().zip(other.values()).for_each(|(one, other)| alike(one, other));
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len());
            one.iter().zip(other).for_each(|(one, other)| alike(one, other));
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().expect("a number"), other.as_f64().expect("a number"));
            assert!((one - other).abs() <= other.abs() * 1e-14, "{one} {other}");
        }
        _ => assert_eq!(one, other),
    }
}

#[test]
fn the_json_is_the_report_and_keeps_to_its_schema() {
    let (rows, report) = run();
    let text = json::draw(&report).expect("json");
    let again: Report = serde_json::from_str(&text).expect("a report");
    alike(
        &serde_json::to_value(again).expect("json"),
        &serde_json::to_value(&report).expect("json"),
    );
    let schema =
        fs::read_to_string(root().join("docs/replay-report.schema.json")).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("json");
    for report in [report, fixture::report(&rows[..4]), Report { schema: 1, ..Report::default() }] {
        let value = serde_json::to_value(&report).expect("json");
        let mut faults = Vec::new();
        check::against(&schema, &schema, &value, "", &mut faults);
        assert_eq!(faults, Vec::<String>::new());
    }
    let mut faults = Vec::new();
    let foreign = serde_json::json!({"schema": 2, "run_id": 1, "new": 1, "targets": [{"n": -1}]});
    check::against(&schema, &schema, &foreign, "", &mut faults);
    assert!(faults.len() >= 7, "the judge is blind: {faults:?}");
}

#[test]
fn the_json_has_the_shape_of_the_contract() {
    let (_, report) = run();
    let value: Value = serde_json::from_str(&json::draw(&report).expect("json")).expect("json");
    assert_eq!((&value["schema"], &value["baseline"]), (&1.into(), &"fake/fast".into()));
    let slow = value["targets"]
        .as_array()
        .expect("targets")
        .iter()
        .find(|one| one["target"] == "fake/slow");
    let slow = slow.expect("fake/slow");
    assert_eq!((&slow["n"], &slow["errors"]), (&120.into(), &4.into()));
    let ttft = &slow["comparisons"][0];
    assert_eq!((&ttft["metric"], &ttft["verdict"]), (&"ttft".into(), &"slower".into()));
    assert!(ttft["ratio"].is_number() && ttft["ci95"][1].is_number() && ttft["mde"].is_number());
    assert!(slow["answers"]["exact"].is_number() && slow["answers"]["tool_calls_f1"].is_number());
}

#[test]
fn a_line_of_the_table_has_a_field_for_each_column() {
    let (rows, report) = run();
    let text = table(&report, &rows);
    assert_eq!(text.lines().count(), rows.len() + 1);
    for line in text.lines() {
        assert_eq!(line.split(',').count(), csv::COLUMNS.len(), "{line}");
    }
    for metric in measure::METRICS {
        assert!(csv::COLUMNS.iter().any(|(name, _)| *name == metric.name), "{}", metric.name);
    }
}

/// What must hold of every page.
#[track_caller]
fn judge_page(text: &str) -> Vec<check::Element> {
    let elements = check::markup(text, true).expect("well formed");
    for (name, attributes) in &elements {
        for (attribute, value) in attributes {
            let loads =
                ["src", "href", "action", "data", "poster", "srcset", "style", "xlink:href"];
            let own = value.starts_with('#') || value == "data:,";
            assert!(!loads.contains(&attribute.as_str()) || own, "<{name} {attribute}={value:?}>");
            assert!(!attribute.starts_with("on"), "<{name} {attribute}={value:?}>");
            let number = ["x", "y", "width", "height", "data-key", "stroke-width"]
                .contains(&attribute.as_str());
            assert!(
                !number || value.parse::<f64>().is_ok_and(f64::is_finite),
                "<{name} {attribute}={value:?}>"
            );
            let path = |c: char| c.is_ascii_digit() || "MmLlHhVvz-. ".contains(c);
            assert!(attribute != "d" || value.chars().all(path), "<{name} {attribute}={value:?}>");
        }
    }
    assert_eq!(elements.iter().filter(|(name, _)| name == "script").count(), 1);
    assert!(!text.contains("@import") && !text.contains("url("));
    elements
}

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    let (rows, report) = run();
    let elements = judge_page(&page(&report, &rows));
    let count = |wanted: &str| elements.iter().filter(|(name, _)| name == wanted).count();
    let charts = elements
        .iter()
        .filter(|(_, attributes)| attributes.iter().any(|(_, value)| value.starts_with("chart")));
    assert_eq!(charts.count(), 10);
    assert_eq!((count("title"), count("desc")), (11, 10));
    assert!(count("del") >= 10 && count("ins") >= 10, "answers are compared");
    assert_eq!(count("caption"), count("table"));
}

#[test]
fn too_little_of_a_run_has_faces_too() {
    let (all, whole) = run();
    let failed: Vec<Row> = all
        .iter()
        .map(|row| Row {
            status: None,
            error: Some(Fault {
                source: "upstream".to_owned(),
                kind: "connect".to_owned(),
                detail: None,
            }),
            metrics: Metrics::default(),
            arrivals: Vec::new(),
            likeness: None,
            ..row.clone()
        })
        .collect();
    let cases: [(&str, Report, &[Row]); 6] = [
        ("nothing", Report::default(), &[]),
        ("no rows", fixture::report(&[]), &[]),
        ("one row", fixture::report(&all[1..2]), &all[1..2]),
        ("one pair", fixture::report(&all[..4]), &all[..4]),
        ("all errors", fixture::report(&failed), &failed),
        ("a report without its rows", whole, &[]),
    ];
    for (case, report, rows) in cases {
        for (face, text) in faces(&report, rows) {
            assert!(!text.is_empty(), "{case}: {face}");
            for bad in ["NaN", "inf ", "-inf", "infx", "Infinity"] {
                assert!(!text.contains(bad), "{case}: {face} has {bad}");
            }
        }
        judge_page(&page(&report, rows));
        check::markup(&junit::draw(&report, &findings(&report)), false).expect("well formed");
    }
}

#[test]
fn what_is_no_number_is_left_out() {
    let (mut rows, mut report) = run();
    for row in rows.iter_mut().step_by(3) {
        row.metrics.ttft = Some(f64::NAN);
        row.metrics.e2e = Some(f64::INFINITY);
        row.metrics.cost = Some(f64::NEG_INFINITY);
    }
    let target = &mut report.targets[2];
    target.cost_usd = Some(f64::NAN);
    target.comparisons[0].ratio = f64::NAN;
    target.comparisons[1].ci95[1] = f64::INFINITY;
    target.comparisons[2].mde = Some(f64::NAN);
    target.metrics.get_mut("e2e").expect("e2e").p95 = Some(f64::NAN);
    target.answers.as_mut().expect("answers").exact = f64::NAN;
    report.plan.margin = f64::NAN;
    for (face, text) in faces(&report, &rows) {
        for bad in ["NaN", "infx", "Infinity", "inf,", "null,\n        null"] {
            assert!(!text.contains(bad), "{face} has {bad}");
        }
    }
    judge_page(&page(&report, &rows));
    let again: Report =
        serde_json::from_str(&json::draw(&report).expect("json")).expect("readable");
    assert_eq!(again.targets[2].comparisons.len(), report.targets[2].comparisons.len() - 2);
}

const HARM: &str = "</title><script>alert(1)</script>]]>\u{1b}[2J\u{0}\u{202e}\"'&<b onload=x> `|` @all [a](http://b) שלום";

#[test]
fn hostile_names_and_answers_stay_text() {
    let (mut rows, mut report) = run();
    for row in &mut rows {
        row.of = format!("=cmd|{HARM}");
        row.finish = Some(HARM.to_owned());
        row.losses = vec![HARM.to_owned()];
    }
    for text in
        [&mut report.run_id, &mut report.ended, &mut report.plan.from, &mut report.plan.pace]
    {
        *text = HARM.to_owned();
    }
    for text in [&mut report.environment, &mut report.formulas] {
        text.insert(HARM.to_owned(), HARM.to_owned());
    }
    report.notes = vec![HARM.to_owned()];
    report.left_out.insert(HARM.to_owned(), 1);
    for target in &mut report.targets {
        target.target = format!("{}{HARM}", target.target);
        target.errors_by_kind.insert(HARM.to_owned(), 1);
        target.losses.insert(HARM.to_owned(), 1);
        target.elsewhere.insert(HARM.to_owned(), 1.0);
        for comparison in &mut target.comparisons {
            comparison.metric.push_str(HARM);
        }
        for worst in target.answers.iter_mut().flat_map(|answers| &mut answers.worst) {
            worst.why = HARM.to_owned();
            worst.of = HARM.to_owned();
        }
    }
    report.baseline = report.targets[1].target.clone();
    let mut findings = findings(&report);
    findings.push(Finding { condition: HARM.to_owned(), ..findings[0].clone() });
    let texts = |id: &str| {
        let calls = vec![Call { name: HARM.to_owned(), arguments: HARM.to_owned() }];
        Some(Answer {
            text: format!("{id}{HARM}"),
            reasoning: HARM.to_owned(),
            calls,
            ..Answer::default()
        })
    };
    let page = html::draw(&html::Page {
        report: &report,
        rows: &rows,
        texts: &texts,
        findings: &findings,
    });
    judge_page(&page);
    let junit = junit::draw(&report, &findings);
    check::markup(&junit, false).expect("well formed");
    let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    for (face, text) in [
        ("html", page),
        ("junit", junit),
        ("markdown", markdown::draw(&report)),
        ("terminal", narrow(&report)),
        ("csv", table(&report, &rows)),
    ] {
        assert!(!text.chars().any(steers), "{face}");
        assert!(face == "terminal" || face == "csv" || !text.contains("<script>alert"), "{face}");
        assert!(!text.contains("\n=cmd") && !text.contains(",=cmd"), "{face}");
    }
    let markdown = markdown::draw(&report);
    assert!(!markdown.contains("<b ") && !markdown.contains("@all") && !markdown.contains("[a]("));
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        assert!([4, 5, 8, 9, 10].contains(&line.matches('|').count()), "{line}");
    }
}

#[test]
fn ten_thousand_rows_make_a_page_of_bounded_size() {
    let rows = fixture::rows(2_500);
    let mut report = fixture::report(&rows);
    let long = "word ".repeat(20_000);
    let texts = |id: &str| Some(Answer { text: format!("{id} {long}"), ..Answer::default() });
    let worst = report.targets[2].answers.as_ref().expect("answers").worst.clone();
    report.targets[3].answers.as_mut().expect("answers").worst = worst;
    let page =
        html::draw(&html::Page { report: &report, rows: &rows, texts: &texts, findings: &[] });
    assert_eq!(rows.len(), 10_000);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    judge_page(&page);
}

/// A page whose style or script was changed without the hashes in its policy is a blank one; the browser of tests/replay says
/// so, and this does before it. To be changed together with the SHA-256 in `html/mod.rs`.
#[test]
fn style_and_script_are_those_that_the_policy_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faces/html");
    let hash = |name: &str| {
        blake3::hash(&fs::read(folder.join(name)).expect("a file")).to_hex().to_string()
    };
    let now = format!("style.css {}\nsort.js {}\n", hash("style.css"), hash("sort.js"));
    golden("policy.txt", &now);
}
