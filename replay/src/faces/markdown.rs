//! The report as GitHub Markdown: what a run says in a pull request's comment.

use crate::faces::put;
use crate::faces::view::{self, Columns, Part};
use crate::faces::words::{self, NONE};
use crate::report::{Report, Target};

/// Limit: pairs listed of those whose answers differ most.
const WORST_MAX: usize = 10;

/// Draws the report; ends with a line end.
pub fn draw(report: &Report) -> String {
    let report = view::presented(report);
    let mut out = String::new();
    put!(out, "## Replay {}\n\n", plain(&report.run_id));
    put!(
        out,
        "{}, took {}, began {}.\n\n",
        plain(&view::setting(&report)),
        words::micros(report.duration_us),
        words::instant(report.started_at_us)
    );
    let columns = Columns::of(&report);
    for target in columns.others.iter().filter(|target| view::is_compared(target)) {
        put!(out, "- **{}**: {}\n", plain(&target.target), plain(&view::headline(target)));
    }
    steps(&mut out, &report);
    comparisons(&mut out, &columns, Part::Main);
    if let Some(text) = view::about_amounts(&report) {
        put!(out, "\n{text}\n");
    }
    totals(&mut out, &columns);
    answers(&mut out, &columns);
    reasons(&mut out, &columns);
    worst(&mut out, &columns);
    details(&mut out, &report, &columns);
    let schedule = &report.schedule;
    put!(
        out,
        "\nSchedule lag: p50 {}, p99 {}, max {}{}.\n",
        words::micros(schedule.lag_p50_us),
        words::micros(schedule.lag_p99_us),
        words::micros(schedule.lag_max_us),
        if schedule.degraded { " (degraded)" } else { "" }
    );
    let notes = view::notes(&report);
    if !notes.is_empty() {
        out.push_str("\n### Notes\n\n");
    }
    for note in notes {
        put!(out, "- {}\n", plain(&note));
    }
    out
}

fn steps(out: &mut String, report: &Report) {
    let steps = view::steps(report);
    if steps.is_empty() {
        return;
    }
    put!(out, "\n### Rates\n\n| {} |\n", view::STEP_HEADS.join(" | "));
    out.push_str("|---:|---|---:|---:|---:|---:|---:|---:|---|\n");
    for cells in steps {
        let cells: Vec<String> = cells.iter().map(|cell| plain(cell)).collect();
        put!(out, "| {} |\n", cells.join(" | "));
    }
}

/// What a reviewer unfolds: metrics that stand in no headline, and distributions of all.
fn details(out: &mut String, report: &Report, columns: &Columns<'_>) {
    let mut inside = String::new();
    comparisons(&mut inside, columns, Part::Details);
    metrics(&mut inside, report, columns);
    if !inside.is_empty() {
        put!(
            out,
            "\n<details><summary>More metrics, and distributions</summary>\n{inside}\n</details>\n"
        );
    }
}

fn comparisons(out: &mut String, columns: &Columns<'_>, part: Part) {
    let baseline = columns.baseline.map_or(NONE.to_owned(), |target| plain(&target.target));
    for target in &columns.others {
        let sorted = view::by_regression(target, part);
        if sorted.is_empty() {
            continue;
        }
        put!(out, "\n### {} against {baseline}\n\n", plain(&target.target));
        out.push_str("| metric | baseline p50 | p50 | ratio | 95% interval | verdict | pairs | detectable |\n");
        out.push_str("|---|---:|---:|---:|---:|---|---:|---:|\n");
        for comparison in sorted {
            let metric = &comparison.metric;
            let p50 = |of: Option<&Target>| {
                words::optional(metric, of.and_then(|of| of.metrics.get(metric)).map(|all| all.p50))
            };
            put!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
                plain(metric),
                p50(columns.baseline),
                p50(Some(target)),
                words::ratio(comparison.ratio),
                words::interval(comparison.ci95),
                words::verdict(comparison.verdict),
                words::count(comparison.n),
                comparison.mde.map_or(NONE.to_owned(), words::ratio)
            );
        }
    }
}

fn metrics(out: &mut String, report: &Report, columns: &Columns<'_>) {
    let metrics = [Part::Main, Part::Details].map(|part| view::metrics(report, part)).concat();
    if metrics.is_empty() {
        return;
    }
    out.push_str("\n### Distributions\n\n| metric | target | n | p50 | p90 | p95 | p99 | max |\n|---|---|---:|---:|---:|---:|---:|---:|\n");
    for metric in metrics {
        for target in columns.all() {
            let Some(all) = target.metrics.get(metric) else { continue };
            put!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
                plain(metric),
                plain(&target.target),
                words::count(all.n),
                words::value(metric, all.p50),
                words::optional(metric, all.p90),
                words::optional(metric, all.p95),
                words::optional(metric, all.p99),
                words::value(metric, all.max)
            );
        }
    }
}

fn totals(out: &mut String, columns: &Columns<'_>) {
    out.push_str("\n### Totals\n\n| target | requests | errors | cost | input tokens | cached | output tokens |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for target in columns.all() {
        put!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            plain(&target.target),
            words::count(target.n),
            words::count(target.errors),
            target.cost_usd.map_or(NONE.to_owned(), words::usd),
            words::count(target.input_tokens),
            words::count(target.cached_tokens),
            words::count(target.output_tokens)
        );
    }
}

fn answers(out: &mut String, columns: &Columns<'_>) {
    let with: Vec<_> = columns
        .others
        .iter()
        .filter_map(|target| Some((target, target.answers.as_ref()?)))
        .collect();
    if with.is_empty() {
        return;
    }
    out.push_str("\n### Answers\n\n| target | pairs | what | value |\n|---|---:|---|---:|\n");
    for (target, known) in with {
        for (name, value) in view::answers(known) {
            put!(
                out,
                "| {} | {} | {name} | {value} |\n",
                plain(&target.target),
                words::count(known.n)
            );
        }
    }
}

fn reasons(out: &mut String, columns: &Columns<'_>) {
    for target in columns.all() {
        for (what, kinds) in [("Errors", &target.errors_by_kind), ("Not carried", &target.losses)] {
            if kinds.is_empty() {
                continue;
            }
            let listed: Vec<String> =
                kinds.iter().map(|(kind, n)| format!("{} {n}", plain(kind))).collect();
            put!(out, "\n{what} of {}: {}.\n", plain(&target.target), listed.join(", "));
        }
    }
}

fn worst(out: &mut String, columns: &Columns<'_>) {
    for target in &columns.others {
        let Some(known) = target.answers.as_ref().filter(|known| !known.worst.is_empty()) else {
            continue;
        };
        put!(
            out,
            "\n<details><summary>Answers of {} that differ most</summary>\n\n",
            plain(&target.target)
        );
        out.push_str("| exchange | difference | why |\n|---|---:|---|\n");
        for pair in known.worst.iter().take(WORST_MAX) {
            put!(
                out,
                "| {} | {} | {} |\n",
                plain(&pair.of),
                words::share(pair.difference),
                plain(&pair.why)
            );
        }
        out.push_str("\n</details>\n");
    }
}

/// A foreign text that is to be read as it stands: nothing in it is markup, a mention, a link or the end of a cell.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in words::line(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Within a table a backslash does not keep a bar from ending its cell on every renderer.
            '|' => out.push_str("&#124;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '[' | ']' | '#' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    // GitHub turns addresses into links; an entity keeps them text. Underscores within words are no markup there.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}
