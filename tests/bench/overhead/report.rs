//! What the reader gets: Markdown tables, the goals judged, the figures as JSON, and the results in the docs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::contender::{Contender, find_program};
use crate::goals::{FOREIGN_PCT_MAX, GOALS, Limit, Verdict};
use crate::load::Tally;
use crate::options::Options;
use crate::sheet::Form::{Added, OverFloor, Plain, TimesFloor};
use crate::sheet::{Column, Sheet, Spread, column};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");
const BEGIN: &str = "<!-- results:begin -->";
const END: &str = "<!-- results:end -->";

#[rustfmt::skip]
const REQUESTS: [Column; 10] = [
    column("p50, one at a time", "one", "p50", Plain, 0),
    column("added p50", "one", "p50", Added, 0),
    column("added p99", "one", "p99", Added, 0),
    column("added p50 @1,000/s", "open1000", "p50", Added, 0),
    column("added p99 @1,000/s", "open1000", "p99", Added, 0),
    column("added p50, 256 KiB", "large", "p50", Added, 0),
    column("requests/s, 64 connections", "closed64", "per_s", Plain, 0),
    column("p99 there", "closed64", "p99", Plain, 0),
    column("CPU µs/request", "closed64", "cpu_us", Plain, 1),
    column("core busy %", "closed64", "core_pct", Plain, 0),
];

#[rustfmt::skip]
const STREAMS: [Column; 7] = [
    column("added TTFT p50", "paced20", "first_p50", Added, 0),
    column("delay p50", "paced20", "delay_p50", Plain, 0),
    column("delay p99", "paced20", "delay_p99", Plain, 0),
    column("delay p99.9", "paced20", "delay_p999", Plain, 0),
    column("CPU ms/1,000 frames, paced", "paced20", "cpu_us_frame", Plain, 1),
    column("frames/s, unpaced", "unpaced64", "frames_per_s", Plain, 0),
    column("CPU ms/1,000 frames, unpaced", "unpaced64", "cpu_us_frame", Plain, 2),
];

#[rustfmt::skip]
const RATIOS: [Column; 8] = [
    column("CPU/request ×", "closed64", "cpu_us", TimesFloor, 2),
    column("requests/s ×", "closed64", "per_s", TimesFloor, 2),
    column("p50 @1,000/s, + µs", "open1000", "p50", OverFloor, 0),
    column("p99 @1,000/s ×", "open1000", "p99", TimesFloor, 2),
    column("p50 256 KiB, + µs", "large", "p50", OverFloor, 0),
    column("CPU/frame, paced ×", "paced20", "cpu_us_frame", TimesFloor, 2),
    column("CPU/frame, unpaced ×", "unpaced64", "cpu_us_frame", TimesFloor, 2),
    column("frame delay p99 ×", "paced20", "delay_p99", TimesFloor, 2),
];

#[rustfmt::skip]
const PROCESS: [Column; 6] = [
    column("start-up ms", "process", "start_ms", Plain, 1),
    column("idle MiB", "process", "idle_mib", Plain, 1),
    column("peak MiB, all loads", "process", "peak_mib", Plain, 1),
    column("idle streams open", "idle-streams", "open", Plain, 0),
    column("MiB with them", "idle-streams", "mib", Plain, 0),
    column("peak MiB, prompts of 1 MiB at once", "bodies", "peak_mib", Plain, 0),
];

/// Everything a run found.
pub(crate) struct Findings {
    pub(crate) sheet: Sheet,
    ours: Vec<String>,
    facts: Vec<(&'static str, String)>,
    notes: Vec<String>,
    has_failures: bool,
    /// Past this much noise a goal is not judged.
    foreign_pct_max: f64,
}

impl Findings {
    pub(crate) fn new(options: &Options, contenders: &[Contender]) -> Self {
        let names = |wanted: fn(&Contender) -> bool| {
            let chosen = contenders.iter().filter(|one| wanted(one));
            chosen.map(|one| one.name.clone()).collect()
        };
        Self {
            sheet: Sheet::new(names(|_| true)),
            ours: names(Contender::is_ours),
            facts: facts(options),
            notes: Vec::new(),
            has_failures: false,
            // Ahead of other programs, we leave them only what we do not use.
            foreign_pct_max: if options.first { 100.0 } else { FOREIGN_PCT_MAX },
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(crate) fn has_failures(&self) -> bool {
        self.has_failures
    }

    pub(crate) fn failed(&mut self, contender: &str, error: &anyhow::Error) {
        eprintln!("  {contender}: {error:#}");
        self.has_failures = true;
        self.note(format!("{contender} failed: {error:#}"));
    }

    pub(crate) fn fault(&mut self, contender: &str, load: &str, tally: &Tally) {
        if let Some(fault) = &tally.fault {
            self.note(format!("{contender}, {load}: {fault}"));
        }
    }
}

fn facts(options: &Options) -> Vec<(&'static str, String)> {
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cores
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim())
        .collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut facts = vec![
        ("machine", format!("{} × {}", models.len(), models.first().unwrap_or(&"?"))),
        ("kernel", kernel.trim().to_owned()),
        ("pinhole", says(&options.pinhole, "--version")),
        ("rounds", options.round_count().to_string()),
        ("placement", options.pin.clone()),
    ];
    if let Some(nginx) = find_program("nginx") {
        facts.push(("nginx", says(&nginx, "-v")));
    }
    if options.quick {
        facts.push(("run", "short: expect wider spreads".to_owned()));
    }
    facts
}

/// The first line a program prints when asked.
fn says(program: &Path, question: &str) -> String {
    let Ok(output) = Command::new(program).arg(question).output() else {
        return "not to be asked".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("says nothing").to_owned()
}

pub(crate) fn markdown(findings: &Findings) -> String {
    let sheet = &findings.sheet;
    let mut text = String::new();
    let facts: Vec<String> =
        findings.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let _ = writeln!(text, "{}\n", facts.join("; "));
    goals(&mut text, findings);
    let sections: [(&str, &[Column]); 4] = [
        ("Against the floor of the same round", &RATIOS),
        ("Not streaming (µs; 2 KiB prompts where nothing else is said)", &REQUESTS),
        (
            "Streaming (µs; paced: 20 streams of 50 frames 20 ms apart; unpaced: 64 streams of 100 frames)",
            &STREAMS,
        ),
        ("Processes", &PROCESS),
    ];
    for (title, columns) in sections {
        table(&mut text, title, columns, sheet);
    }
    wire(&mut text, sheet);
    let worst = |figure| Spread::of(sheet.everywhere(figure));
    if let (Some(foreign), Some(stolen)) = (worst("foreign_pct"), worst("stolen_pct")) {
        let _ = writeln!(
            text,
            "Noise: other programs took {:.1} % of the machine in the median load, {:.1} % in the worst; \
             stolen time {:.2} % at worst.\n",
            foreign.median, foreign.most, stolen.most
        );
    }
    for note in &findings.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn goals(text: &mut String, findings: &Findings) {
    for contender in &findings.ours {
        let mut rows = String::new();
        for goal in GOALS.iter().filter(|goal| goal.is_of(contender)) {
            let (sign, limit) = match goal.limit {
                Limit::AtMost(limit) => ("≤", limit),
                Limit::AtLeast(limit) => ("≥", limit),
            };
            let judged = goal.judge(&findings.sheet, contender, findings.foreign_pct_max);
            let verdict = match &judged {
                Some((_, Verdict::Met)) => "met".to_owned(),
                Some((_, Verdict::Missed)) => "**missed**".to_owned(),
                Some((_, Verdict::Undecided(pct))) => {
                    format!("undecided: other programs took {pct:.0} %")
                }
                None => "not measured".to_owned(),
            };
            let _ = writeln!(
                rows,
                "| {} | {sign} {limit} {} | {} | {verdict} |",
                goal.column.title,
                goal.unit,
                cell(judged.map(|(spread, _)| spread), goal.column.decimals)
            );
        }
        let _ = writeln!(
            text,
            "**Goals, {contender}**\n\n| what | goal | measured | |\n| --- | ---: | ---: | --- |\n{rows}"
        );
    }
}

fn table(text: &mut String, title: &str, columns: &[Column], sheet: &Sheet) {
    let mut rows = String::new();
    for contender in &sheet.contenders {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| cell(sheet.spread(contender, column), column.decimals))
            .collect();
        if cells.iter().any(|cell| cell != "–") {
            let _ = writeln!(rows, "| {contender} | {} |", cells.join(" | "));
        }
    }
    if rows.is_empty() {
        return;
    }
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let rule = " ---: |".repeat(columns.len());
    let _ = writeln!(
        text,
        "**{title}**\n\n| contender | {} |\n| --- |{rule}\n{rows}",
        titles.join(" | ")
    );
}

fn wire(text: &mut String, sheet: &Sheet) {
    let _ = writeln!(
        text,
        "**Byte for byte** (answers and whole streams, all loads)\n\n\
         | contender | answered | failed | altered |\n| --- | ---: | ---: | ---: |"
    );
    for contender in &sheet.contenders {
        let total = |figure| grouped(sheet.total(contender, figure), 0);
        let _ = writeln!(
            text,
            "| {contender} | {} | {} | {} |",
            total("requests"),
            total("failed"),
            total("altered")
        );
    }
    text.push('\n');
}

fn cell(spread: Option<Spread>, decimals: usize) -> String {
    let Some(spread) = spread else {
        return "–".to_owned();
    };
    let median = grouped(spread.median, decimals);
    if spread.least.total_cmp(&spread.most).is_eq() {
        return median;
    }
    let (least, most) = (grouped(spread.least, decimals), grouped(spread.most, decimals));
    format!("{median} ({least}–{most})")
}

/// A number with commas between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    let zero = plain.chars().all(|digit| matches!(digit, '0' | '.'));
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    format!("{sign}{text}{rest}")
}

pub(crate) fn json(findings: &Findings) -> serde_json::Value {
    let goals: Vec<serde_json::Value> = findings
        .ours
        .iter()
        .flat_map(|contender| {
            GOALS.iter().filter(|goal| goal.is_of(contender)).map(move |goal| {
                let judged = goal.judge(&findings.sheet, contender, findings.foreign_pct_max);
                json!({
                    "contender": contender,
                    "goal": goal.column.title,
                    "limit": format!("{:?} {}", goal.limit, goal.unit),
                    "measured": judged.as_ref().map(|(spread, _)| spread.median),
                    "met": judged.and_then(|(_, verdict)| met(&verdict)),
                })
            })
        })
        .collect();
    let facts: serde_json::Map<String, serde_json::Value> =
        findings.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "schema": 1,
        "facts": facts,
        "goals": goals,
        "figures": findings.sheet.to_json(),
        "notes": findings.notes,
    })
}

/// `null` where the run cannot tell.
fn met(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Met => Some(true),
        Verdict::Missed => Some(false),
        Verdict::Undecided(_) => None,
    }
}

/// Replaces what stands between the markers of `docs/performance.md`.
pub(crate) fn write_docs(results: &str) -> Result<()> {
    let page = std::fs::read_to_string(DOCS).with_context(|| format!("cannot read {DOCS}"))?;
    let (before, rest) =
        page.split_once(BEGIN).with_context(|| format!("{DOCS} has no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{DOCS} has no {END}"))?;
    let page = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", results.trim());
    std::fs::write(DOCS, page).with_context(|| format!("cannot write {DOCS}"))
}
