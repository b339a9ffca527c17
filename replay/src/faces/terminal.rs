//! The report for a terminal: one table of metrics with a group of columns a target, as many groups side by side as the width
//! holds, then what the targets cost and answered, then what the reader has to know.
//!
//! ```text
//!             │ fake/fast      │ fake/slow
//!  metric     │    p50     p95 │    p50     p95  ratio  95 % interval  verdict
//!  ttft       │ 412 ms  980 ms │ 474 ms  1.12 s  1.15x      1.12–1.18  slower
//! ```

use crate::faces::put;
use crate::faces::view::{self, Columns, Part};
use crate::faces::words::{self, NONE};
use crate::report::{Comparison, Report, Summary, Target, Verdict};

/// How it may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Columns of characters. Limit: [`WIDTH_MIN`] at least.
    pub width: usize,
    /// With ANSI escape sequences.
    pub colour: bool,
}

/// Room for the metric, the baseline and one target.
pub const WIDTH_MIN: usize = 79;

const METRIC: usize = 13;
const NUMBER: usize = 9;
const RATIO: usize = 7;
const INTERVAL: usize = 11;
const VERDICT: usize = 9;
/// p50, p95: the baseline, and what is compared with nothing.
const PLAIN: usize = 2 * NUMBER;
/// p50, p95, ratio, interval, verdict.
const GROUP: usize = 2 * NUMBER + RATIO + INTERVAL + 1 + VERDICT;
/// The target of a sweep's step.
const STEP_TARGET: usize = 15;
/// A column of the table of totals.
const TOTAL: usize = 14;
const TOTAL_NAME: usize = 24;

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// Draws the report; ends with a line end.
pub fn draw(report: &Report, how: How) -> String {
    let report = view::presented(report);
    let mut page = Page { out: String::new(), how };
    page.head(&report);
    page.steps(&report);
    page.metrics(&report);
    page.totals(&report);
    page.reasons(&report);
    page.foot(&report);
    page.out
}

struct Page {
    out: String,
    how: How,
}

impl Page {
    fn width(&self) -> usize {
        self.how.width.max(WIDTH_MIN)
    }

    fn ink(&self, text: &str, ink: Ink) -> String {
        if !self.how.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "31",
            Ink::Green => "32",
            Ink::Yellow => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    fn verdict(&self, verdict: Verdict, width: usize) -> String {
        let text = left(words::verdict(verdict), width);
        match verdict {
            Verdict::Faster => self.ink(&text, Ink::Green),
            Verdict::Slower => self.ink(&text, Ink::Red),
            Verdict::Same => text,
            Verdict::Undecided => self.ink(&text, Ink::Yellow),
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn wrapped(&mut self, text: &str, first: &str, rest: &str) {
        for line in wrap(text, self.width(), first, rest) {
            self.line(&line);
        }
    }

    fn head(&mut self, report: &Report) {
        let columns = Columns::of(report);
        let title = format!("replay {}", words::line(&report.run_id));
        let title = self.ink(&title, Ink::Bold);
        self.line(&format!("{title}  {}", words::instant(report.started_at_us)));
        let took = words::micros(report.duration_us);
        self.wrapped(&format!("{}, took {took}", view::setting(report)), "", "");
        if let Some(baseline) = columns.baseline {
            let name = words::line(&baseline.target);
            self.wrapped(&format!("compared with {name}"), "", "  ");
        }
        for target in columns.others.iter().filter(|target| view::is_compared(target)) {
            let name = format!("{}: ", words::line(&target.target));
            self.wrapped(&view::headline(target), &name, "    ");
        }
        self.line("");
    }

    /// A sweep: a line for each rate of each target, and below it why no higher rate was tried.
    fn steps(&mut self, report: &Report) {
        let steps = view::steps(report);
        if steps.is_empty() {
            return;
        }
        let line = |cells: &[String; 9]| {
            let [rate, target, n, errors, lag, per_s, p50, p99, _] = cells;
            let mut line = right(rate, NUMBER);
            put!(line, " {}", left(target, STEP_TARGET));
            for cell in [n, errors, lag, per_s, p50, p99] {
                line += &right(cell, NUMBER);
            }
            line
        };
        let short = ["rate", "target", "answers", "errors", "lag p99", "good/s"];
        let heads = [short.as_slice(), &["ttft p50", "ttft p99", ""]].concat();
        let mut head = [const { String::new() }; 9];
        head.iter_mut().zip(heads).for_each(|(cell, name)| name.clone_into(cell));
        let head = self.ink(line(&head).trim_end(), Ink::Dim);
        self.line(&head);
        for cells in &steps {
            self.line(&line(cells));
            let [.., stopped] = cells;
            if !stopped.is_empty() {
                for text in wrap(stopped, self.width(), "          too much: ", "          ") {
                    let text = self.ink(&text, Ink::Yellow);
                    self.line(&text);
                }
            }
        }
        self.line("");
    }

    fn metrics(&mut self, report: &Report) {
        let mut metrics = view::metrics(report, Part::Main);
        if report.schedule.degraded {
            // What the note about it tells the reader to look at.
            let details = view::metrics(report, Part::Details);
            metrics.extend(details.into_iter().filter(|metric| metric.starts_with("service_")));
        }
        if metrics.is_empty() {
            self.line("no metric was measured");
            self.line("");
            return;
        }
        let columns = Columns::of(report);
        for block in self.blocks(&columns) {
            self.block(&metrics, columns.baseline, &block);
            self.line("");
        }
    }

    /// The targets beside the baseline, as many to a table as its width holds, those that are only shown first.
    fn blocks<'a>(&self, columns: &Columns<'a>) -> Vec<Vec<&'a Target>> {
        let mut targets = columns.others.clone();
        targets.sort_by_key(|target| view::is_compared(target));
        let begin = METRIC + columns.baseline.map_or(0, |_| PLAIN + 1);
        let mut blocks = vec![Vec::new()];
        let mut taken = begin;
        for target in targets {
            let room = 1 + if view::is_compared(target) { GROUP } else { PLAIN };
            if taken + room > self.width() && taken > begin {
                blocks.push(Vec::new());
                taken = begin;
            }
            taken += room;
            if let Some(block) = blocks.last_mut() {
                block.push(target);
            }
        }
        blocks
    }

    /// One table: the metrics, the baseline, and as many targets as fit.
    fn block(&mut self, metrics: &[&str], baseline: Option<&Target>, targets: &[&Target]) {
        let mut names = " ".repeat(METRIC);
        let mut heads = left("metric", METRIC);
        if let Some(baseline) = baseline {
            put!(names, " {}", left(&baseline.target, PLAIN));
            put!(heads, " {}{}", right("p50", NUMBER), right("p95", NUMBER));
        }
        for target in targets {
            let compared = view::is_compared(target);
            put!(names, " {}", left(&target.target, if compared { GROUP } else { PLAIN }));
            put!(heads, " {}{}", right("p50", NUMBER), right("p95", NUMBER));
            if compared {
                let (ratio, interval) = (right("ratio", RATIO), right("95% int.", INTERVAL));
                put!(heads, "{ratio}{interval} {}", left("verdict", VERDICT));
            }
        }
        let names = self.ink(&names, Ink::Bold);
        let heads = self.ink(heads.trim_end(), Ink::Dim);
        self.line(&names);
        self.line(&heads);
        for metric in metrics {
            let mut line = left(metric, METRIC);
            if let Some(baseline) = baseline {
                put!(line, " {}", middle(metric, baseline.metrics.get(*metric)));
            }
            for target in targets {
                put!(line, " {}", middle(metric, target.metrics.get(*metric)));
                if view::is_compared(target) {
                    line += &self.compared(view::comparison(target, metric));
                }
            }
            self.line(&line);
        }
    }

    fn compared(&self, comparison: Option<&Comparison>) -> String {
        let Some(comparison) = comparison else { return " ".repeat(GROUP - 2 * NUMBER) };
        format!(
            "{}{} {}",
            right(&words::ratio(comparison.ratio), RATIO),
            right(&words::interval(comparison.ci95), INTERVAL),
            self.verdict(comparison.verdict, VERDICT)
        )
    }

    /// Requests, errors, cost, tokens and answers, a column a target.
    fn totals(&mut self, report: &Report) {
        let columns = Columns::of(report);
        let all: Vec<&Target> = columns.all().collect();
        let fit = ((self.width() - TOTAL_NAME) / TOTAL).max(1);
        for block in all.chunks(fit) {
            let mut head = left("", TOTAL_NAME);
            for target in block {
                head += &right(&target.target, TOTAL);
            }
            let head = self.ink(&head, Ink::Bold);
            self.line(&head);
            for (name, cells) in totals(block) {
                let mut line =
                    left(&name, if cells.is_empty() { self.width() } else { TOTAL_NAME });
                for (cell, bad) in cells {
                    let cell = right(&cell, TOTAL);
                    line += &if bad { self.ink(&cell, Ink::Red) } else { cell };
                }
                self.line(&line);
            }
            self.line("");
        }
    }

    /// Why requests failed and what could not be carried, in a line each.
    fn reasons(&mut self, report: &Report) {
        let mut any = false;
        for target in Columns::of(report).all() {
            let name = words::line(&target.target);
            for (what, kinds) in
                [("errors", &target.errors_by_kind), ("not carried", &target.losses)]
            {
                if kinds.is_empty() {
                    continue;
                }
                any = true;
                let listed: Vec<String> =
                    kinds.iter().map(|(kind, n)| format!("{} {n}", words::line(kind))).collect();
                self.wrapped(&listed.join(", "), &format!("{what} of {name}: "), "    ");
            }
        }
        if any {
            self.line("");
        }
    }

    fn foot(&mut self, report: &Report) {
        let schedule = &report.schedule;
        let lag = format!(
            "schedule lag: p50 {}, p99 {}, max {}",
            words::micros(schedule.lag_p50_us),
            words::micros(schedule.lag_p99_us),
            words::micros(schedule.lag_max_us)
        );
        let lag = if schedule.degraded { self.ink(&lag, Ink::Yellow) } else { lag };
        self.line(&lag);
        if let Some(text) = view::about_amounts(report) {
            self.wrapped(text, "", "    ");
        }
        for target in &Columns::of(report).others {
            let smallest: Vec<String> = view::by_regression(target, Part::Main)
                .into_iter()
                .filter(|comparison| comparison.verdict == Verdict::Undecided)
                .filter_map(|comparison| {
                    let mde = comparison.mde?;
                    let metric = words::line(&comparison.metric);
                    Some(format!("{metric} {} (n {})", words::ratio(mde), comparison.n))
                })
                .collect();
            if !smallest.is_empty() {
                let name = words::line(&target.target);
                let first = format!(
                    "{name}, undecided: the smallest difference that this many pairs could have shown: "
                );
                self.wrapped(&smallest.join(", "), &first, "    ");
            }
        }
        for note in view::notes(report) {
            self.wrapped(&words::line(&note), "note: ", "      ");
        }
    }
}

/// The rows of the totals: name, and of each target the text and whether it is bad news.
fn totals(targets: &[&Target]) -> Vec<(String, Vec<(String, bool)>)> {
    let row = |name: &str, cell: &dyn Fn(&Target) -> String| {
        let cells = targets.iter().map(|target| (cell(target), false)).collect();
        (name.to_owned(), cells)
    };
    let mut rows = vec![row("requests", &|target| words::count(target.n))];
    let errors = targets.iter().map(|target| (errors(target), target.errors > 0)).collect();
    rows.push(("errors".to_owned(), errors));
    rows.push(row("cost", &|target| target.cost_usd.map_or(NONE.to_owned(), words::usd)));
    rows.push(row("input tokens", &|target| words::count(target.input_tokens)));
    if targets.iter().any(|target| target.cached_tokens > 0) {
        rows.push(row("  of them cached", &|target| words::count(target.cached_tokens)));
    }
    rows.push(row("output tokens", &|target| words::count(target.output_tokens)));
    if targets.iter().any(|target| target.stopped > 0) {
        rows.push(row("branches stopped", &|target| words::count(target.stopped)));
    }
    let answers: Vec<Vec<(&str, String)>> = targets
        .iter()
        .map(|target| target.answers.as_ref().map(view::answers).unwrap_or_default())
        .collect();
    let names = names_of(&answers);
    if !names.is_empty() {
        rows.push(("answers as the baseline's".to_owned(), Vec::new()));
    }
    for name in names {
        let cells = answers.iter().map(|known| {
            let value = known.iter().find(|(other, _)| *other == name);
            (value.map_or(NONE.to_owned(), |(_, value)| value.clone()), false)
        });
        rows.push((format!("  {name}"), cells.collect()));
    }
    rows
}

/// Names in the order in which the fullest list has them.
fn names_of<'a>(lists: &[Vec<(&'a str, String)>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    let longest = lists.iter().max_by_key(|list| list.len()).into_iter();
    for (name, _) in longest.chain(lists).flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names
}

fn errors(target: &Target) -> String {
    match target.errors {
        0 => "0".to_owned(),
        some => format!(
            "{} ({})",
            words::count(some),
            words::share(some as f64 / target.n.max(1) as f64)
        ),
    }
}

fn middle(metric: &str, summary: Option<&Summary>) -> String {
    let cell = |value: Option<f64>| right(&short(metric, value), NUMBER);
    format!("{}{}", cell(summary.map(|all| all.p50)), cell(summary.and_then(|all| all.p95)))
}

/// A number that fits its column: dollars of so few digits that they would be cut off are written with an exponent.
fn short(metric: &str, value: Option<f64>) -> String {
    let text = words::optional(metric, value);
    match value {
        Some(value) if cells(&text) >= NUMBER && words::unit_of(metric) == words::Unit::Usd => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}${:.1e}", value.abs())
        }
        _ => text,
    }
}

/// Cells that a terminal gives a character.
fn wide(character: char) -> usize {
    match u32::from(character) {
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn cells(text: &str) -> usize {
    text.chars().map(wide).sum()
}

/// Harmless, on one line, and cut to `width` cells.
fn fitted(text: &str, width: usize) -> String {
    let text = words::line(text);
    if cells(&text) <= width {
        return text;
    }
    let mut out = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += wide(character);
        if used > width {
            break;
        }
        out.push(character);
    }
    out.push('…');
    out
}

fn left(text: &str, width: usize) -> String {
    let text = fitted(text, width);
    let room = width.saturating_sub(cells(&text));
    text + &" ".repeat(room)
}

fn right(text: &str, width: usize) -> String {
    // One cell apart from what stands to the left.
    let text = fitted(text, width - 1);
    " ".repeat(width.saturating_sub(cells(&text))) + &text
}

fn wrap(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && cells(&line) + 1 + cells(word) > width {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}
