//! A usage report as a table for people, as JSON and as CSV for programs. All three have the same numbers; the table shows
//! fewer of them, rounded.

use serde_json::{Map, Value, json};

use crate::base::money::Nanodollars;
use crate::report::words::{count, three};
use crate::store::rollup::Measure;
use crate::store::usage::{By, Line, Report};

/// A distribution's column, and the share it stands for.
const PERCENTILES: [(&str, f64); 2] = [("p50", 0.50), ("p95", 0.95)];

/// The whole report as one document.
pub fn json(report: &Report) -> Value {
    let lines: Vec<Value> = report.lines.iter().map(|line| object(report, line)).collect();
    let others = (report.others > 0).then(|| others(report));
    json!({
        "since": stamp(report.since_s),
        "until": stamp(report.until_s),
        "by": report.by.iter().map(By::name).collect::<Vec<_>>(),
        "groups": lines,
        "others": others,
        "total": sums(report, &report.total),
    })
}

/// One object a line: groups, what the limit left out, and the total with the window.
pub fn ndjson(report: &Report) -> Vec<String> {
    let mut lines: Vec<Value> =
        report.lines.iter().map(|line| kind("group", object(report, line))).collect();
    if report.others > 0 {
        lines.push(kind("others", others(report)));
    }
    let mut total = sums(report, &report.total);
    total.insert("since".to_owned(), stamp(report.since_s).into());
    total.insert("until".to_owned(), stamp(report.until_s).into());
    lines.push(kind("total", total.into()));
    lines.iter().map(Value::to_string).collect()
}

fn kind(kind: &str, object: Value) -> Value {
    let mut with = Map::new();
    with.insert("kind".to_owned(), kind.into());
    if let Value::Object(fields) = object {
        with.extend(fields);
    }
    with.into()
}

fn others(report: &Report) -> Value {
    let mut rest = Map::new();
    rest.insert("groups".to_owned(), report.others.into());
    rest.extend(sums(report, &report.rest));
    rest.into()
}

fn object(report: &Report, line: &Line) -> Value {
    let mut object = Map::new();
    for (by, value) in report.by.iter().zip(&line.group) {
        let value = if value.is_empty() { Value::Null } else { value.as_str().into() };
        object.insert(by.name().into_owned(), value);
    }
    object.extend(sums(report, line));
    object.into()
}

fn sums(report: &Report, line: &Line) -> Map<String, Value> {
    columns(report).into_iter().map(|column| (column.name(), column.value(line))).collect()
}

/// One column of numbers.
#[derive(Debug, Clone, Copy)]
enum Column {
    Sum(Measure),
    CostUsd,
    MeanDuration,
    Duration(&'static str, f64),
    Ttft(&'static str, f64),
}

impl Column {
    fn name(self) -> String {
        match self {
            Self::Sum(measure) => measure.column().to_owned(),
            Self::CostUsd => "cost_usd".to_owned(),
            Self::MeanDuration => "duration_mean_us".to_owned(),
            Self::Duration(name, _) => format!("duration_{name}_us"),
            Self::Ttft(name, _) => format!("ttft_{name}_us"),
        }
    }

    fn value(self, line: &Line) -> Value {
        match self {
            Self::Sum(measure) => line.sums.get(measure).into(),
            Self::CostUsd => Nanodollars(line.sums.get(Measure::Cost)).usd().into(),
            Self::MeanDuration => mean_us(line).into(),
            Self::Duration(_, share) => line.durations.quantile(share).into(),
            Self::Ttft(_, share) => line.ttfts.quantile(share).into(),
        }
    }
}

fn columns(report: &Report) -> Vec<Column> {
    if report.calls_only {
        return vec![Column::Sum(Measure::Requests), Column::Sum(Measure::ToolCalls)];
    }
    let sums = Measure::ALL.iter().filter(|measure| **measure != Measure::Duration);
    let mut columns: Vec<Column> = sums.map(|measure| Column::Sum(*measure)).collect();
    columns.extend([Column::CostUsd, Column::MeanDuration]);
    if report.sketches {
        columns.extend(PERCENTILES.map(|(name, share)| Column::Duration(name, share)));
        columns.extend(PERCENTILES.map(|(name, share)| Column::Ttft(name, share)));
    }
    columns
}

fn mean_us(line: &Line) -> Option<i64> {
    line.sums.get(Measure::Duration).checked_div(line.sums.get(Measure::Requests))
}

/// RFC 4180, with a head; a line a group, and no total.
pub fn csv(report: &Report) -> String {
    let columns = columns(report);
    let groups = report.by.iter().map(|by| field(&by.name()));
    let head: Vec<String> = groups.chain(columns.iter().map(|column| column.name())).collect();
    let mut text = head.join(",");
    text.push_str("\r\n");
    for line in &report.lines {
        let numbers = columns.iter().map(|column| match column {
            Column::CostUsd => Nanodollars(line.sums.get(Measure::Cost)).to_string(),
            _ => match column.value(line) {
                Value::Null => String::new(),
                value => value.to_string(),
            },
        });
        let groups = line.group.iter().map(|value| field(value));
        text.push_str(&groups.chain(numbers).collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    text
}

/// Quoted where it must be. A value that a spreadsheet would run as a formula gets an apostrophe before it: sessions and
/// tags are the clients' words.
pub(super) fn field(value: &str) -> String {
    let runs = value.starts_with(['=', '+', '-', '@']);
    let value = if runs { format!("'{value}") } else { value.to_owned() };
    if value.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value
    }
}

/// The table, its total last.
pub fn table(report: &Report) -> String {
    let shown = shown(report);
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(report.lines.len() + 3);
    let heads = report.by.iter().map(|by| by.name().into_owned());
    rows.push(heads.chain(shown.iter().map(|(head, _)| (*head).to_owned())).collect());
    let numbers = |line: &Line| shown.iter().map(|(_, cell)| cell(line)).collect::<Vec<_>>();
    for line in &report.lines {
        let groups = line.group.iter().map(|value| match value.as_str() {
            "" => "(none)".to_owned(),
            value => value.to_owned(),
        });
        rows.push(groups.chain(numbers(line)).collect());
    }
    let mut closing = |name: String, line: &Line| {
        let blank = std::iter::repeat_n(String::new(), report.by.len().saturating_sub(1));
        rows.push([name].into_iter().chain(blank).chain(numbers(line)).collect());
    };
    if report.others > 0 {
        closing(format!("({} others)", report.others), &report.rest);
    }
    closing("total".to_owned(), &report.total);
    aligned(&rows, report.by.len())
}

/// What the numbers do not say by themselves: the window, and what is counted apart.
pub fn notes(report: &Report) -> Vec<String> {
    let of = |measure| report.total.sums.get(measure);
    let mut notes = vec![format!("from {} to {}", stamp(report.since_s), stamp(report.until_s))];
    let (input, output) = (of(Measure::EstimatedInput), of(Measure::EstimatedOutput));
    if input > 0 || output > 0 {
        notes.push(format!(
            "~in and ~out are tokens the gateway counted because providers did not tell them: {} and {}, not in the \
             columns before; answers with such tokens make {} of the cost",
            count(input),
            count(output),
            dollars(of(Measure::EstimatedCost))
        ));
    }
    let mut note = |measure, one, many| {
        if of(measure) > 0 {
            notes.push(counted(of(measure), one, many));
        }
    };
    note(
        Measure::Partial,
        "answer ended before its final usage; what was told until then counts",
        "answers ended before their final usage; what was told until then counts",
    );
    note(Measure::Missing, "answer told no usage", "answers told no usage");
    note(
        Measure::Unpriced,
        "answer has tokens and no price; its cost is not in the sum",
        "answers have tokens and no price; their cost is not in the sum",
    );
    notes
}

/// A number and what there are so many of.
pub(super) fn counted(number: i64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

type Cell = fn(&Line) -> String;

fn shown(report: &Report) -> Vec<(&'static str, Cell)> {
    if report.calls_only {
        return vec![
            ("answers", |line| count(line.sums.get(Measure::Requests))),
            ("calls", |line| count(line.sums.get(Measure::ToolCalls))),
        ];
    }
    let mut columns: Vec<(&'static str, Cell)> = vec![
        ("requests", |line| count(line.sums.get(Measure::Requests))),
        ("errors", |line| count(line.sums.get(Measure::Errors))),
        ("in", |line| count(line.sums.get(Measure::Input))),
        ("cached", |line| count(line.sums.get(Measure::CacheRead))),
        ("out", |line| count(line.sums.get(Measure::Output))),
        ("reasoning", |line| count(line.sums.get(Measure::Reasoning))),
    ];
    let of = |measure| report.total.sums.get(measure);
    if of(Measure::EstimatedInput) + of(Measure::EstimatedOutput) > 0 {
        columns.push(("~in", |line| count(line.sums.get(Measure::EstimatedInput))));
        columns.push(("~out", |line| count(line.sums.get(Measure::EstimatedOutput))));
    }
    columns.push(("cost", cost));
    columns.push(("mean", |line| mean_us(line).map_or_else(blank, |us| time(us.unsigned_abs()))));
    if report.sketches {
        columns.push(("p50", |line| line.durations.quantile(0.50).map_or_else(blank, time)));
        columns.push(("p95", |line| line.durations.quantile(0.95).map_or_else(blank, time)));
        columns.push(("ttft p50", |line| line.ttfts.quantile(0.50).map_or_else(blank, time)));
        columns.push(("ttft p95", |line| line.ttfts.quantile(0.95).map_or_else(blank, time)));
    }
    columns
}

/// Without any price there is no cost, which is not a cost of nothing.
fn cost(line: &Line) -> String {
    match (line.sums.get(Measure::Cost), line.sums.get(Measure::Unpriced)) {
        (0, 1..) => blank(),
        (cost, _) => dollars(cost),
    }
}

fn blank() -> String {
    "-".to_owned()
}

/// Words to the left, numbers to the right.
pub(super) fn aligned(rows: &[Vec<String>], words: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let wide = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if at < words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Cents, or the first three figures of less.
pub(super) fn dollars(nano: i64) -> String {
    let usd = Nanodollars(nano).usd();
    if nano == 0 {
        "$0".to_owned()
    } else if usd.abs() >= 1.0 {
        format!("${usd:.2}")
    } else if usd.abs() >= 0.001 {
        format!("${usd:.4}")
    } else {
        format!("${}", Nanodollars(nano))
    }
}

fn time(us: u64) -> String {
    let ms = us as f64 / 1e3;
    if us < 1_000 {
        format!("{us} µs")
    } else if ms < 1_000.0 {
        format!("{} ms", three(ms))
    } else {
        format!("{} s", three(ms / 1e3))
    }
}

pub(super) fn stamp(at_s: i64) -> String {
    let at = jiff::Timestamp::from_second(at_s).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_humane() {
        for (number, text) in [
            (0, "0"),
            (9_999, "9999"),
            (12_345, "12.3k"),
            (999_499, "999k"),
            (999_500, "1.00M"),
            (4_560_000, "4.56M"),
            (7_000_000_000, "7.00G"),
            (-12_345, "-12.3k"),
        ] {
            assert_eq!(count(number), text);
        }
        for (nano, text) in [
            (0, "$0"),
            (1_234, "$0.000001234"),
            (12_345_678, "$0.0123"),
            (1_500_000_000, "$1.50"),
            (-2_000_000_000, "$-2.00"),
        ] {
            assert_eq!(dollars(nano), text);
        }
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_500, "1.50 ms"),
            (999_999, "1000 ms"),
            (61_000_000, "61.0 s"),
        ] {
            assert_eq!(time(us), text);
        }
    }

    #[test]
    fn csv_fields_are_quoted_and_are_no_formulas() {
        for (value, text) in [
            ("gpt-5", "gpt-5"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=HYPERLINK(1,2)", "\"'=HYPERLINK(1,2)\""),
            ("-1", "'-1"),
            ("", ""),
        ] {
            assert_eq!(field(value), text);
        }
    }

    #[test]
    fn a_tags_column_meets_no_other_and_one_is_one() {
        for name in ["kind", "requests", "a,b"] {
            let report = Report {
                by: vec![By::Tag(Some(name.to_owned()))],
                since_s: 0,
                until_s: 3_600,
                lines: vec![Line { group: vec!["x".to_owned()], ..Line::default() }],
                others: 0,
                rest: Line::default(),
                total: Line::default(),
                sketches: false,
                calls_only: false,
            };
            let line: Value = serde_json::from_str(&ndjson(&report)[0]).unwrap();
            let column = format!("tag:{name}");
            assert_eq!(
                (&line["kind"], &line["requests"], &line[&column]),
                (&Value::from("group"), &Value::from(0), &Value::from("x"))
            );
            assert!(csv(&report).starts_with(&format!("{},requests,", field(&column))));
            assert!(table(&report).starts_with(&column));
        }
        let counted = |number| counted(number, "answer has", "answers have");
        assert_eq!(
            (counted(1), counted(2)),
            ("1 answer has".to_owned(), "2 answers have".to_owned())
        );
    }

    #[test]
    fn a_table_has_its_words_left_its_numbers_right_and_says_what_it_lacks() {
        let report = Report {
            by: vec![By::Tool],
            since_s: 0,
            until_s: 3_600,
            lines: vec![Line { group: vec![String::new()], ..Line::default() }],
            others: 3,
            rest: Line::default(),
            total: Line::default(),
            sketches: false,
            calls_only: true,
        };
        let expected = "tool        answers  calls\n(none)            0      0\n(3 others)        0      0\ntotal             0      0";
        assert_eq!(table(&report), expected);
        assert_eq!(notes(&report), ["from 1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z"]);
        assert_eq!(csv(&report), "tool,requests,tool_calls\r\n,0,0\r\n");
        let lines = ndjson(&report);
        assert_eq!(lines[0], r#"{"kind":"group","tool":null,"requests":0,"tool_calls":0}"#);
        assert!(lines[1].starts_with(r#"{"kind":"others","groups":3,"#), "{}", lines[1]);
        assert!(lines[2].starts_with(r#"{"kind":"total","#), "{}", lines[2]);
        assert_eq!(json(&report)["groups"][0]["tool"], Value::Null);
    }
}
