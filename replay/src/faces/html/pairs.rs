//! The pairs whose answers differ most: a drawer each, with what the baseline and the target said side by side.

use super::diff::{Piece, diff};
use crate::faces::put;
use crate::faces::view::Columns;
use crate::faces::words::{self, escaped};
use crate::outcome::{Answer, Call};
use crate::report::{Report, Worst};
use crate::row::CAPTURED;

/// Limit: drawers of one target.
const DRAWERS_MAX: usize = 20;
/// Limit: characters of one text that are shown.
const TEXT_MAX: usize = 12_000;
/// Limit: bytes of all drawers together.
const BYTES_MAX: usize = 1_500_000;
/// Limit: calls of one answer that are shown.
const CALLS_MAX: usize = 40;

/// Gives the answer of an exchange by its id, where it was kept.
pub trait Texts {
    fn answer(&self, id: &str) -> Option<Answer>;
}

impl<F: Fn(&str) -> Option<Answer>> Texts for F {
    fn answer(&self, id: &str) -> Option<Answer> {
        self(id)
    }
}

/// All drawers of all targets; nothing where no answers differ.
pub(super) fn draw(out: &mut String, report: &Report, texts: &dyn Texts) {
    let columns = Columns::of(report);
    let began = out.len();
    for target in &columns.others {
        let Some(answers) = target.answers.as_ref().filter(|all| !all.worst.is_empty()) else {
            continue;
        };
        put!(
            out,
            "<h3>Answers of <bdi>{}</bdi> that differ most from the baseline's</h3>",
            escaped(&target.target)
        );
        let mut shown = 0;
        for pair in answers.worst.iter().take(DRAWERS_MAX) {
            if out.len() - began > BYTES_MAX {
                break;
            }
            drawer(out, report, &target.target, pair, texts);
            shown += 1;
        }
        if shown < answers.worst.len() {
            put!(out, "<p class=\"dim\">{shown} of {} are shown.</p>", answers.worst.len());
        }
    }
}

fn drawer(out: &mut String, report: &Report, target: &str, pair: &Worst, texts: &dyn Texts) {
    put!(
        out,
        "<details class=\"pair\"><summary><bdi>{}</bdi> · {} different · <bdi>{}</bdi></summary><div>",
        escaped(&words::line(&pair.of)),
        words::share(pair.difference),
        escaped(&words::line(&pair.why))
    );
    // A captured baseline is the recording itself.
    let captured = (report.baseline == CAPTURED).then_some(pair.of.as_str());
    let answer = |id: Option<&str>| id.and_then(|id| texts.answer(id));
    let baseline_id = pair.baseline_id.as_deref().or(captured);
    match (answer(baseline_id), answer(pair.target_id.as_deref())) {
        (None, None) => out.push_str("<p>Neither answer was kept.</p>"),
        (baseline, other) => {
            heads(out, &report.baseline, baseline_id, target, pair.target_id.as_deref());
            if baseline.is_none() || other.is_none() {
                out.push_str("<p>One of both was not kept, or there was none.</p>");
            }
            sides(out, &baseline.unwrap_or_default(), &other.unwrap_or_default());
        }
    }
    out.push_str("</div></details>");
}

fn heads(
    out: &mut String,
    baseline: &str,
    baseline_id: Option<&str>,
    target: &str,
    target_id: Option<&str>,
) {
    out.push_str("<div class=\"sides\">");
    for (name, id) in [(baseline, baseline_id), (target, target_id)] {
        put!(
            out,
            "<div><h4><bdi>{}</bdi> <small><bdi>{}</bdi></small></h4></div>",
            escaped(name),
            escaped(id.unwrap_or("no exchange"))
        );
    }
    out.push_str("</div>");
}

fn sides(out: &mut String, baseline: &Answer, other: &Answer) {
    part(out, "text", &baseline.text, &other.text);
    let calls = baseline.calls.len().max(other.calls.len());
    for place in 0..calls.min(CALLS_MAX) {
        let name = format!("call {}", place + 1);
        let written = |answer: &Answer| answer.calls.get(place).map(call).unwrap_or_default();
        part(out, &name, &written(baseline), &written(other));
    }
    if calls > CALLS_MAX {
        put!(out, "<p class=\"dim\">{} more calls are not shown.</p>", calls - CALLS_MAX);
    }
    part(out, "reasoning", &baseline.reasoning, &other.reasoning);
    let finish = |answer: &Answer| answer.finish.clone().unwrap_or_default();
    if finish(baseline) != finish(other) {
        part(out, "finish", &finish(baseline), &finish(other));
    }
}

fn call(call: &Call) -> String {
    let value = serde_json::from_str::<serde_json::Value>(&call.arguments);
    let arguments = value.ok().and_then(|value| serde_json::to_string_pretty(&value).ok());
    format!("{}({})", call.name, arguments.as_deref().unwrap_or(&call.arguments))
}

/// One part of both answers, what differs marked.
fn part(out: &mut String, name: &str, one: &str, other: &str) {
    if one.is_empty() && other.is_empty() {
        return;
    }
    let (one, one_cut) = cut(one);
    let (other, other_cut) = cut(other);
    let same = if one == other { ", the same" } else { "" };
    put!(out, "<div class=\"part\">{name}{same}</div><div class=\"sides\">");
    let pieces = diff(one, other);
    for (is_first, cut) in [(true, one_cut), (false, other_cut)] {
        out.push_str("<div><pre>");
        for run in runs(&pieces, is_first) {
            match run {
                (text, false) => out.push_str(&escaped(&text)),
                (text, true) if is_first => put!(out, "<del>{}</del>", escaped(&text)),
                (text, true) => put!(out, "<ins>{}</ins>", escaped(&text)),
            }
        }
        out.push_str("</pre>");
        if cut > 0 {
            put!(out, "<small>{} more characters are not shown</small>", words::count(cut as u64));
        }
        out.push_str("</div>");
    }
    out.push_str("</div>");
}

/// The pieces of one side, neighbours of a kind joined; true where it is only here.
fn runs(pieces: &[Piece<'_>], is_first: bool) -> Vec<(String, bool)> {
    let mut runs: Vec<(String, bool)> = Vec::new();
    for piece in pieces {
        let (text, differs) = match piece {
            Piece::Same(text) => (*text, false),
            Piece::Gone(text) if is_first => (*text, true),
            Piece::New(text) if !is_first => (*text, true),
            Piece::Gone(_) | Piece::New(_) => continue,
        };
        match runs.last_mut() {
            Some((run, kind)) if *kind == differs => run.push_str(text),
            _ => runs.push((text.to_owned(), differs)),
        }
    }
    runs
}

/// The first characters, and how many more there are.
fn cut(text: &str) -> (&str, usize) {
    let end = text.char_indices().nth(TEXT_MAX).map_or(text.len(), |(place, _)| place);
    let (kept, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (kept, rest.chars().count())
}
