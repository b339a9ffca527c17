//! The report as one HTML file: pictures, tables, and the answers that differ most, readable offline, on paper, in light and dark,
//! and without scripts. It loads nothing: its policy forbids it to, and runs no script and no style but its own.
//!
//! ```text
//!  Report ─► tables, words, forest
//!  rows ───► curves (how long), clouds (when, for how much), cadence (one pair)     thinned, so that the file stays small
//!  texts ──► pairs (side by side, differences marked)                               cut, and bounded in all
//! ```
//!
//! All foreign text goes through [`words::escaped`]; pictures are drawn by `plot`.

mod cadence;
mod clouds;
mod curves;
mod data;
mod diff;
mod forest;
mod pairs;
mod plot;
mod sections;
mod sweep;
mod table;

pub use pairs::Texts;

use data::Data;
use table::Table;

use crate::faces::gate::Finding;
use crate::faces::put;
use crate::faces::view::{self, Columns, Part};
use crate::faces::words::{self, escaped};
use crate::report::{Report, Target};
use crate::row::Row;

/// What a page is made of.
pub struct Page<'a> {
    pub report: &'a Report,
    /// The journal's rows: what the pictures of single requests are made of.
    pub rows: &'a [Row],
    /// The answers of the pairs that differ most.
    pub texts: &'a dyn Texts,
    /// What the gates said, where there were any.
    pub findings: &'a [Finding],
}

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");
/// SHA-256 of the two, for the page's policy: no other style or script runs. A browser checks them in tests/replay.
const STYLE_HASH: &str = "XbGPdbFeBOwfxEX24E02oZVk84UHBI8TV35BkCPXvq0=";
const SCRIPT_HASH: &str = "VPFAeeVGQXshe14qpWEEehtRBWUzytgY3cuvp4MeO8k=";

/// Draws the page.
pub fn draw(page: &Page<'_>) -> String {
    let report = view::presented(page.report);
    let data = Data::of(&report, page.rows);
    let mut out = String::with_capacity(256 * 1024);
    head(&mut out, &report);
    top(&mut out, &report, page.findings);
    metrics(&mut out, &report);
    sweep::draw(&mut out, &report);
    pictures(&mut out, &report, &data);
    out.push_str("<section id=\"answers\"><h2>Answers</h2>");
    sections::answers(&mut out, &report);
    pairs::draw(&mut out, &report, page.texts);
    out.push_str("</section>");
    sections::totals(&mut out, &report);
    sections::notes(&mut out, &report);
    sections::formulas(&mut out, &report);
    sections::environment(&mut out, &report);
    put!(out, "</main><script>{SCRIPT}</script></body></html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    put!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; script-src 'sha256-{SCRIPT_HASH}'; img-src data:; base-uri 'none'; form-action 'none'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\">\
         <link rel=\"icon\" href=\"data:,\">\
         <title>Replay {}</title><style>{STYLE}</style></head><body><main>",
        escaped(&words::line(&report.run_id))
    );
}

fn top(out: &mut String, report: &Report, findings: &[Finding]) {
    let columns = Columns::of(report);
    put!(out, "<h1>Replay <bdi>{}</bdi></h1>", escaped(&words::line(&report.run_id)));
    put!(
        out,
        "<p><bdi>{}</bdi>. Began {}, took {}.</p>",
        escaped(&view::setting(report)),
        words::instant(report.started_at_us),
        words::micros(report.duration_us)
    );
    if let Some(baseline) = columns.baseline {
        let how = if report.interleaved {
            "interleaved with it in random order"
        } else {
            "not interleaved with it"
        };
        put!(out, "<p>Compared with <b><bdi>{}</bdi></b>, {how}.</p>", escaped(&baseline.target));
    }
    out.push_str("<nav aria-label=\"Parts\">");
    if !report.steps.is_empty() {
        out.push_str("<a href=\"#rates\">Rates</a>");
    }
    out.push_str("<a href=\"#metrics\">Metrics</a><a href=\"#pictures\">Pictures</a><a href=\"#answers\">Answers</a><a href=\"#totals\">Requests, errors, cost</a><a href=\"#notes\">Notes and limits</a><a href=\"#formulas\">Formulas</a><a href=\"#environment\">Environment</a></nav>");
    out.push_str("<ul class=\"verdicts\">");
    for target in columns.others.iter().filter(|target| view::is_compared(target)) {
        put!(
            out,
            "<li class=\"{}\"><b><bdi>{}</bdi></b>: {}</li>",
            mood(target),
            escaped(&target.target),
            escaped(&view::headline(target))
        );
    }
    for finding in findings {
        let class = if finding.outcome.is_open() { "pass" } else { "fail" };
        put!(out, "<li class=\"{class}\">Gate <bdi>{}</bdi></li>", escaped(&finding.line()));
    }
    out.push_str("</ul>");
}

/// The class of a target's headline: its worst verdict.
fn mood(target: &Target) -> &'static str {
    view::by_regression(target, Part::Main)
        .first()
        .map_or("", |worst| words::verdict(worst.verdict))
}

fn metrics(out: &mut String, report: &Report) {
    out.push_str("<section id=\"metrics\"><h2>Metrics</h2>");
    let all = sections::metrics(report, Part::Main);
    if all.is_empty() {
        out.push_str("<p>No metric was measured.</p>");
    } else {
        out.push_str("<p class=\"dim\">The biggest regressions come first. For costs and lengths, “faster” means less. A ratio is the geometric mean over pairs of this target’s value to the baseline’s.</p>");
        all.draw(out, "Metrics of all targets");
    }
    let details = sections::metrics(report, Part::Details);
    if !details.is_empty() {
        out.push_str("<details class=\"numbers\"><summary>More metrics: from the actual send, by characters, single gaps</summary>");
        details.draw(out, "More metrics of all targets");
        out.push_str("</details>");
    }
    let elsewhere = sections::elsewhere(report);
    if !elsewhere.is_empty() {
        out.push_str("<details class=\"numbers\"><summary>The same answers by the names and formulas of other tools</summary>");
        elsewhere.draw(out, "By other tools’ names");
        out.push_str("</details>");
    }
    out.push_str("</section>");
}

/// A picture with its words and its numbers.
struct Figure<'a> {
    title: &'a str,
    about: &'a str,
    svg: Option<String>,
    /// What is written where there is nothing to draw.
    nothing: &'a str,
    table: Option<Table>,
    full: bool,
    thinned: bool,
}

fn figure(out: &mut String, names: &[&str], figure: Figure<'_>) {
    let class = if figure.full { " class=\"full\"" } else { "" };
    put!(out, "<figure{class}><figcaption><h3>{}</h3>", escaped(figure.title));
    match figure.svg {
        None => put!(out, "</figcaption><p>{}</p>", escaped(figure.nothing)),
        Some(svg) => {
            put!(out, "<p>{}</p></figcaption>", escaped(figure.about));
            put!(out, "<div class=\"plot\">{svg}</div>{}", plot::legend(names));
            if figure.thinned {
                out.push_str("<p class=\"dim\">Marks that lie on each other are drawn once.</p>");
            }
            if let Some(table) = figure.table {
                out.push_str(
                    "<details class=\"numbers\"><summary>The numbers of this picture</summary>",
                );
                table.draw(out, figure.title);
                out.push_str("</details>");
            }
        }
    }
    out.push_str("</figure>");
}

fn pictures(out: &mut String, report: &Report, data: &Data<'_>) {
    out.push_str("<section id=\"pictures\"><h2>Pictures</h2><div class=\"figures\">");
    ratios(out, report, data);
    for metric in ["ttft", "e2e"] {
        figure(
            out,
            &data.names,
            Figure {
                title: &format!("How long {metric} took"),
                about: "Share of requests that were done by this time; a curve further to the left is faster. Marks at 10, 50 and 90%.",
                svg: curves::cumulative(data, metric),
                nothing: &format!("No request has a value of {metric}."),
                table: Some(curves::table(data, metric)),
                full: false,
                thinned: false,
            },
        );
    }
    for metric in ["ttft", "tpot"] {
        figure(
            out,
            &data.names,
            Figure {
                title: &format!("Distribution of {metric}"),
                about: "How many requests took how long, each target by itself. Full stroke: median; dashed: 95th percentile.",
                svg: curves::shape(data, metric),
                nothing: &format!("No request has a value of {metric}."),
                table: Some(curves::table(data, metric)),
                full: false,
                thinned: false,
            },
        );
    }
    clouds_of(out, data);
    cadence_of(out, data);
    out.push_str("</div></section>");
}

fn ratios(out: &mut String, report: &Report, data: &Data<'_>) {
    let forest = forest::draw(report);
    let left_out = forest.as_ref().map_or(0, |forest| forest.left_out);
    let margin = report.plan.margin * 100.0;
    let mut about = format!(
        "Each target’s values over the baseline’s, with the 95% interval. Within the band ({margin:.0}% either way) they count as the same."
    );
    if left_out > 0 {
        put!(about, " {left_out} more comparisons are in the table of metrics.");
    }
    figure(
        out,
        &data.names,
        Figure {
            title: "Paired ratios",
            about: &about,
            svg: forest.map(|forest| forest.svg),
            nothing: "Nothing could be compared: no pair has both a baseline and another answer.",
            table: None,
            full: true,
            thinned: false,
        },
    );
}

fn clouds_of(out: &mut String, data: &Data<'_>) {
    let timeline = clouds::timeline(data);
    let thinned = timeline.as_ref().is_some_and(|cloud| cloud.thinned);
    figure(
        out,
        &data.names,
        Figure {
            title: "The run over time",
            about: "Each request at the time it was sent and with the time it took (e2e); errors as crosses in the lanes below.",
            svg: timeline.map(|cloud| cloud.svg),
            nothing: "No request was sent.",
            table: Some(clouds::timeline_table(data)),
            full: true,
            thinned,
        },
    );
    let scatter = clouds::scatter(data);
    let thinned = scatter.as_ref().is_some_and(|cloud| cloud.thinned);
    figure(
        out,
        &data.names,
        Figure {
            title: "Cost against latency",
            about: "Each request by the time it took and what it cost; better is lower and further to the left.",
            svg: scatter.map(|cloud| cloud.svg),
            nothing: "No request has both a price and an end.",
            table: Some(clouds::scatter_table(data)),
            full: false,
            thinned,
        },
    );
}

fn cadence_of(out: &mut String, data: &Data<'_>) {
    let pair = cadence::Pair::choose(data);
    let about = pair.as_ref().map_or(String::new(), |pair| {
        format!("Share of the answer to {} that had come by then; below, each arrival: reasoning short, text longer, calls longest.", words::line(pair.of()))
    });
    figure(
        out,
        &data.names,
        Figure {
            title: "Token timelines of one pair",
            about: &about,
            svg: pair.as_ref().map(|pair| pair.draw(data)),
            nothing: "No answer came in more than one piece.",
            table: pair.as_ref().map(|pair| pair.table(data)),
            full: false,
            thinned: false,
        },
    );
}
