//! A line a request, for spreadsheets and data frames: what the journal says, flat. [`COLUMNS`] is the documentation of it.
//!
//! Fields are separated by commas and quoted where RFC 4180 asks for it; lines end in LF. An empty field is a value that there is
//! none of. Times are seconds, but for those that say `_us`. A text that a spreadsheet would take for a formula begins with `'`.

use std::io::{Result, Write};

use crate::faces::words;
use crate::report::Report;
use crate::row::{CAPTURED, Row};

/// The columns and what they hold.
pub const COLUMNS: &[(&str, &str)] = &[
    ("pair", "the recording's place in the run, from 0; pairs are formed on it"),
    ("target", "the target's name; `captured`: the recorded original"),
    ("repeat", "which repeat, from 0"),
    ("warmup", "true: sent to warm up, in no comparison"),
    ("of", "id of the captured exchange"),
    ("session", "its session, which intervals are resampled by"),
    ("id", "id of the exchange that the sending made"),
    ("status", "HTTP status"),
    ("error_source", "client, gateway or upstream"),
    ("error_kind", "stable name of the error"),
    ("intended_us", "when the schedule wanted it sent, from the run's zero"),
    ("sent_us", "when it was sent"),
    ("ended_us", "when the answer ended"),
    ("ttft", "first content of any kind, from the intended instant"),
    ("ttfo", "first content that is no reasoning"),
    ("tpot", "time per output token after the first content"),
    ("gap_p50", "median gap between pieces of content"),
    ("gap_p99", "99th percentile of the gaps"),
    ("gap_max", "longest gap"),
    ("e2e", "end of the answer, from the intended instant"),
    ("speed", "output tokens a second over e2e"),
    ("chars_per_s", "characters a second"),
    ("output_tokens", "output tokens by the provider"),
    ("reference_tokens", "tokens of the output by the one tokenizer all targets are counted with"),
    ("cached_tokens", "input tokens read from a cache"),
    ("cost", "US dollars"),
    ("service_ttft", "ttft from the instant it was sent"),
    ("service_ttfo", "ttfo from the instant it was sent"),
    ("service_e2e", "e2e from the instant it was sent"),
    ("service_speed", "speed from the instant it was sent"),
    ("input_tokens", "input tokens by the provider, cached ones in it"),
    ("chars", "characters of the answer, of reasoning and of arguments"),
    ("finish", "why the answer ended: stop, length, tool_calls, …"),
    ("losses", "what could not be carried to the target's dialect, separated by `;`"),
    ("exact", "text and calls are the baseline's, byte for byte"),
    ("normalised", "the same without white space, case and punctuation"),
    ("json", "share of the JSON answer's paths that agree"),
    ("schema_valid", "the answer keeps to the schema that was asked for"),
    ("tool_calls_precision", "share of its calls that the baseline made"),
    ("tool_calls_recall", "share of the baseline's calls that it made"),
    ("tool_calls_f1", "both in one"),
    ("tool_names_f1", "the same by names alone"),
    ("tool_calls_in_order", "the same calls in the same order"),
    ("same_finish", "ended for the same reason"),
    ("length_ratio", "length of its text over the baseline's"),
    ("refused", "it refuses: by the provider's word, or by how it begins"),
    ("refusal_differs", "one of both refuses"),
    ("judged", "1: the judge prefers it; -1: the baseline; 0: neither"),
];

/// Writes the header and a line a row.
pub fn write<'a>(
    report: &Report,
    rows: impl IntoIterator<Item = &'a Row>,
    out: &mut impl Write,
) -> Result<()> {
    let names = Names::of(report);
    let header: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", header.join(","))?;
    for row in rows {
        let mut fields = identity(row, &names.name(row));
        fields.extend(times(row));
        fields.extend(likeness(row));
        writeln!(out, "{}", fields.join(","))?;
    }
    Ok(())
}

/// What a row's target is called.
struct Names(Vec<String>);

impl Names {
    fn of(report: &Report) -> Self {
        Self(report.sent().into_iter().map(|target| target.target.clone()).collect())
    }

    fn name(&self, row: &Row) -> String {
        match row.target {
            None => CAPTURED.to_owned(),
            Some(place) => {
                let known = self.0.get(usize::from(place));
                known.cloned().unwrap_or_else(|| format!("target {place}"))
            }
        }
    }
}

fn identity(row: &Row, target: &str) -> Vec<String> {
    let error = row.error.as_ref();
    vec![
        row.pair.to_string(),
        text(target),
        row.repeat.to_string(),
        row.warmup.to_string(),
        text(&row.of),
        text(row.session.as_deref().unwrap_or_default()),
        text(row.id.as_deref().unwrap_or_default()),
        shown(row.status),
        text(error.map_or("", |error| &error.source)),
        text(error.map_or("", |error| &error.kind)),
        row.intended_us.to_string(),
        row.sent_us.to_string(),
        row.ended_us.to_string(),
    ]
}

fn times(row: &Row) -> Vec<String> {
    let metrics = &row.metrics;
    let mut fields: Vec<String> = [
        metrics.ttft,
        metrics.ttfo,
        metrics.tpot,
        metrics.gap_p50,
        metrics.gap_p99,
        metrics.gap_max,
        metrics.e2e,
        metrics.speed,
        metrics.chars_per_s,
        metrics.output_tokens,
        metrics.reference_tokens,
        metrics.cached_tokens,
        metrics.cost,
        metrics.service_ttft,
        metrics.service_ttfo,
        metrics.service_e2e,
        metrics.service_speed,
    ]
    .into_iter()
    .map(number)
    .collect();
    fields.push(shown(row.usage.as_ref().and_then(|usage| usage.input)));
    fields.push(row.chars.to_string());
    fields.push(text(row.finish.as_deref().unwrap_or_default()));
    fields.push(text(&row.losses.join(";")));
    fields
}

fn likeness(row: &Row) -> Vec<String> {
    let Some(like) = &row.likeness else { return vec![String::new(); 14] };
    vec![
        like.exact.to_string(),
        like.normalised.to_string(),
        number(like.json),
        shown(like.schema_valid),
        number(like.calls_precision),
        number(like.calls_recall),
        number(like.calls_f1),
        number(like.names_f1),
        shown(like.calls_in_order),
        like.same_finish.to_string(),
        number(like.length_ratio),
        like.refused.to_string(),
        like.refusal_differs.to_string(),
        shown(like.judged),
    ]
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn number(value: Option<f64>) -> String {
    // A billionth is finer than any clock.
    shown(value.filter(|value| value.is_finite()).map(|value| (value * 1e9).round() / 1e9))
}

fn text(value: &str) -> String {
    let value = words::harmless(value);
    let formula = value.starts_with(['=', '+', '-', '@', '\t']);
    let value = if formula { format!("'{value}") } else { value.into_owned() };
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value
    }
}
