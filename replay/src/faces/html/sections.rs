//! The parts of a page that are tables and words.

use std::collections::BTreeSet;

use super::table::{Cell, Table};
use crate::faces::put;
use crate::faces::view::{self, Columns, Part};
use crate::faces::words::{self, NONE, escaped};
use crate::measure;
use crate::report::{Comparison, Report, Target, Verdict};

fn optional(metric: &str, value: Option<f64>) -> Cell {
    value.map_or_else(|| Cell::text(NONE), |value| Cell::number(words::value(metric, value), value))
}

fn times(value: Option<f64>) -> Cell {
    value.map_or_else(|| Cell::text(NONE), |value| Cell::number(words::ratio(value), value))
}

fn number(value: u64) -> Cell {
    Cell::number(words::count(value), value as f64)
}

/// A row for each rate of each target of a sweep.
pub(super) fn steps(report: &Report) -> Table {
    let mut table = Table::new(&[
        "#rate",
        "target",
        "#answers",
        "#errors",
        "#lag p99",
        "#good a second",
        "#ttft p50",
        "#ttft p99",
        "too much because",
    ]);
    for (step, cells) in report.steps.iter().zip(view::steps(report)) {
        let [rate, target, _, errors, lag, per_s, _, _, stopped] = cells;
        table.row(vec![
            Cell::number(rate, step.rate_per_s),
            Cell::text(&target),
            number(step.n),
            Cell::number(errors, step.errors),
            Cell::number(lag, step.lag_p99_us as f64),
            Cell::number(per_s, step.per_s),
            optional("ttft", step.ttft_p50),
            optional("ttft", step.ttft_p99),
            Cell::text(stopped).class("words"),
        ]);
    }
    table
}

/// A row for each metric of each target.
pub(super) fn metrics(report: &Report, part: Part) -> Table {
    let mut table = Table::new(&[
        "metric",
        "target",
        "#n",
        "#p50",
        "#p95",
        "#p99",
        "#ratio",
        "95% interval",
        "verdict",
        "#pairs",
        "#detectable",
        "#shift",
        "#p (Holm)",
    ]);
    let columns = Columns::of(report);
    for metric in view::metrics(report, part) {
        for target in columns.all() {
            let comparison = view::comparison(target, metric);
            let summary = target.metrics.get(metric);
            if comparison.is_none() && summary.is_none() {
                continue;
            }
            let mut cells = vec![
                Cell::text(metric),
                Cell::text(&target.target),
                summary.map_or_else(|| Cell::text(NONE), |all| number(all.n)),
                optional(metric, summary.map(|all| all.p50)),
                optional(metric, summary.and_then(|all| all.p95)),
                optional(metric, summary.and_then(|all| all.p99)),
            ];
            cells.extend(compared(
                metric,
                comparison,
                columns.baseline.is_some_and(|base| std::ptr::eq(base, target)),
            ));
            table.row(cells);
        }
    }
    table
}

fn compared(metric: &str, comparison: Option<&Comparison>, is_baseline: bool) -> Vec<Cell> {
    let Some(comparison) = comparison else {
        let mut cells: Vec<Cell> = (0..7).map(|_| Cell::text("")).collect();
        if let Some(cell) = cells.get_mut(2).filter(|_| is_baseline) {
            *cell = Cell::text("baseline").class("dim");
        }
        return cells;
    };
    let (sign, class) = match comparison.verdict {
        Verdict::Slower => ("✕ ", "slower"),
        Verdict::Faster => ("✓ ", "faster"),
        Verdict::Same => ("= ", "same"),
        Verdict::Undecided => ("? ", "undecided"),
    };
    let shift = comparison.shift.map_or_else(
        || Cell::text(NONE),
        |shift| {
            let sign = if shift > 0.0 { "+" } else { "" };
            Cell::number(format!("{sign}{}", words::value(metric, shift)), shift)
        },
    );
    vec![
        times(Some(comparison.ratio)),
        Cell::text(words::interval(comparison.ci95)),
        Cell::text(format!("{sign}{}", words::verdict(comparison.verdict))).class(class),
        number(comparison.n),
        times(comparison.mde),
        shift,
        comparison.p_holm.map_or_else(
            || Cell::text(NONE),
            |p| Cell::number(if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }, p),
        ),
    ]
}

pub(super) fn elsewhere(report: &Report) -> Table {
    let columns = Columns::of(report);
    let mut table = Table::new(&["name"]);
    let mut names = BTreeSet::new();
    for target in columns.all() {
        table.number_column(&target.target);
        names.extend(target.elsewhere.keys());
    }
    for name in names {
        let mut cells = vec![Cell::text(name)];
        cells.extend(columns.all().map(|target| match target.elsewhere.get(name) {
            Some(value) => Cell::number(format!("{}", (value * 1e4).round() / 1e4), *value),
            None => Cell::text(NONE),
        }));
        table.row(cells);
    }
    table
}

/// How the answers of each target compare, a column a target.
pub(super) fn answers(out: &mut String, report: &Report) {
    let columns = Columns::of(report);
    let with: Vec<(&Target, Vec<(&str, String)>)> = columns
        .others
        .iter()
        .filter_map(|target| Some((*target, view::answers(target.answers.as_ref()?))))
        .collect();
    if with.is_empty() {
        out.push_str("<p>No answers were compared.</p>");
        return;
    }
    out.push_str("<p class=\"dim\">Shares of pairs in which the answer agrees with the baseline’s; calls are compared by name and canonical arguments.</p>");
    let mut table = Table::new(&["share"]);
    let mut names: Vec<&str> = Vec::new();
    let mut pairs = vec![Cell::text("pairs")];
    for (target, known) in &with {
        table.number_column(&target.target);
        pairs.push(number(target.answers.as_ref().map_or(0, |answers| answers.n)));
        for (name, _) in known {
            if !names.contains(name) {
                names.push(name);
            }
        }
    }
    table.row(pairs);
    for name in names {
        let mut cells = vec![Cell::text(name)];
        cells.extend(with.iter().map(|(_, known)| {
            let value = known.iter().find(|(other, _)| *other == name);
            Cell::text(value.map_or(NONE, |(_, value)| value))
        }));
        table.row(cells);
    }
    table.draw(out, "Answers against the baseline’s");
}

pub(super) fn totals(out: &mut String, report: &Report) {
    out.push_str("<section id=\"totals\"><h2>Requests, errors, cost</h2>");
    let mut table = Table::new(&[
        "target",
        "#requests",
        "#errors",
        "#cost",
        "#without a price",
        "#input tokens",
        "#of them cached",
        "#output tokens",
        "#branches stopped",
    ]);
    let mut reasons = Table::new(&["target", "what", "kind", "#requests"]);
    for target in Columns::of(report).all() {
        table.row(vec![
            Cell::text(&target.target),
            number(target.n),
            number(target.errors).class(if target.errors > 0 { "bad" } else { "" }),
            target
                .cost_usd
                .map_or_else(|| Cell::text(NONE), |cost| Cell::number(words::usd(cost), cost)),
            number(target.unpriced),
            number(target.input_tokens),
            number(target.cached_tokens),
            number(target.output_tokens),
            number(target.stopped),
        ]);
        for (what, kinds) in [("error", &target.errors_by_kind), ("not carried", &target.losses)] {
            for (kind, n) in kinds {
                reasons.row(vec![
                    Cell::text(&target.target),
                    Cell::text(what),
                    Cell::text(kind).class("words"),
                    number(*n),
                ]);
            }
        }
    }
    if table.is_empty() {
        out.push_str("<p>The run had no target.</p>");
    } else {
        table.draw(out, "Totals of each target");
    }
    if !reasons.is_empty() {
        reasons.draw(out, "Errors, and what the target’s dialect could not carry");
    }
    out.push_str("</section>");
}

pub(super) fn notes(out: &mut String, report: &Report) {
    out.push_str("<section id=\"notes\"><h2>Notes and limits</h2><ul class=\"notes\">");
    for note in view::notes(report) {
        put!(out, "<li><bdi>{}</bdi></li>", escaped(&note));
    }
    let schedule = &report.schedule;
    put!(
        out,
        "<li>Requests were sent this late: half within {}, 99% within {}, all within {}.</li>",
        words::micros(schedule.lag_p50_us),
        words::micros(schedule.lag_p99_us),
        words::micros(schedule.lag_max_us)
    );
    for limit in [
        "Intervals say how far the numbers of this run can be trusted for traffic like it, at the hour it was sent; they say nothing of other traffic and other hours.",
        "“Undecided” means that the interval holds both a difference that matters and none; more pairs would decide it. “Detectable” is the ratio that so many pairs would have shown in 80% of runs.",
        "Tails are left out where there are too few values for them to mean anything.",
        "Errors are in no latency. The pictures leave out requests that were sent to warm up.",
        "Tools were not run: recorded results were sent again.",
    ] {
        put!(out, "<li>{}</li>", escaped(limit));
    }
    out.push_str("</ul></section>");
}

pub(super) fn formulas(out: &mut String, report: &Report) {
    out.push_str("<section id=\"formulas\"><h2>Formulas</h2>");
    if report.formulas.is_empty() {
        out.push_str("<p>The report names none.</p>");
    }
    // As a reader needs them: the letters, the metrics made of them, what compares those, and what else the report names.
    let known: Vec<&str> = [measure::SYMBOLS, measure::FORMULAS, measure::COMPARED]
        .into_iter()
        .flatten()
        .map(|(name, _)| *name)
        .collect();
    let place = |name: &str| known.iter().position(|other| *other == name).unwrap_or(known.len());
    let mut all: Vec<(&str, String)> =
        report.formulas.iter().map(|(name, formula)| (name.as_str(), formula.clone())).collect();
    all.sort_by_key(|(name, _)| place(name));
    list(out, all.into_iter());
    out.push_str("</section>");
}

pub(super) fn environment(out: &mut String, report: &Report) {
    let plan = &report.plan;
    let planned = [
        ("from", plan.from.clone()),
        ("pace", plan.pace.clone()),
        ("context", plan.context.clone()),
        ("cache", plan.cache.clone()),
        ("repeat", plan.repeat.to_string()),
        ("warm-up", plan.warmup.to_string()),
        ("seed", plan.seed.to_string()),
        ("equivalence margin", words::share(plan.margin)),
        ("polite", plan.polite.to_string()),
    ];
    out.push_str("<section id=\"environment\"><h2>Plan and environment</h2>");
    let around = report.environment.iter().map(|(name, value)| (name.as_str(), value.clone()));
    list(out, planned.into_iter().filter(|(_, value)| !value.is_empty()).chain(around));
    out.push_str("</section>");
}

fn list<'a>(out: &mut String, entries: impl Iterator<Item = (&'a str, String)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    out.push_str("<dl>");
    for (name, value) in entries {
        put!(out, "<dt><bdi>{}</bdi></dt><dd><bdi>{}</bdi></dd>", escaped(name), escaped(&value));
    }
    out.push_str("</dl>");
}
