//! How two answers came: their pieces on one time axis, and the times beside each other.

use std::fmt::Write as _;

use crate::report::look::{Look, Tone};
use crate::report::words;
use crate::store::stored::{Listed, Stored};
use crate::tui::parts::chart;

/// Columns of the names before the lines.
const NAMES: usize = 8;

/// The pieces of the answer that counts: the last attempt's, else the client's.
fn frames(stored: &Stored) -> &[(u64, u32)] {
    match stored.attempts.last() {
        Some(last) if !last.frames.is_empty() => &last.frames,
        _ => &stored.response_frames,
    }
}

pub fn text(left: &Stored, right: &Stored, look: Look, width: usize) -> String {
    let mut out = look.rule(Tone::Strong, "Pieces as they arrived", "one axis");
    out.push('\n');
    let columns = width.saturating_sub(NAMES + 1);
    let sides = [frames(left), frames(right)];
    let whole = |stored: &Stored| stored.row.duration_us.max(0).unsigned_abs();
    let last = sides.iter().filter_map(|frames| frames.last()).map(|(at, _)| *at + 1).max();
    let span = whole(left).max(whole(right)).max(last.unwrap_or(0)).max(1);
    let most = sides.iter().map(|frames| chart::densest(frames, span, columns)).max().unwrap_or(0);
    for ((name, tone), frames) in
        [("left", Tone::User), ("right", Tone::Assistant)].into_iter().zip(sides)
    {
        let line = if frames.is_empty() {
            "(when its pieces came was not kept)".to_owned()
        } else {
            chart::marks(frames, span, most, columns)
        };
        let _ = writeln!(out, "{}{}", look.cell(tone, name, NAMES), look.paint(tone, &line));
    }
    let axis = chart::axis(span, columns, |us| short(i64::try_from(us).unwrap_or(i64::MAX)));
    let _ = writeln!(out, "{}{}", " ".repeat(NAMES), look.paint(Tone::Dim, &axis));
    out.push('\n');
    times(&mut out, left, right, look);
    out
}

fn short(us: i64) -> String {
    words::time(us).replace(' ', "")
}

/// When half of the bytes had come.
fn half(stored: &Stored) -> Option<i64> {
    let frames = frames(stored);
    let whole: u64 = frames.iter().map(|(_, bytes)| u64::from(*bytes)).sum();
    let mut came = 0;
    let at = frames.iter().find(|(_, bytes)| {
        came += u64::from(*bytes);
        came * 2 >= whole
    });
    at.and_then(|(at, _)| i64::try_from(*at).ok())
}

/// Output tokens a second, from the first one on.
fn speed(row: &Listed) -> Option<f64> {
    let us = row.duration_us - row.ttft_us.unwrap_or(0);
    let tokens = row.output_tokens?;
    (us > 0 && tokens > 0).then(|| tokens as f64 * 1e6 / us as f64)
}

fn times(out: &mut String, left: &Stored, right: &Stored, look: Look) {
    let rows: [(&str, fn(&Stored) -> Option<i64>); 9] = [
        ("first piece", |one| frames(one).first().and_then(|(at, _)| i64::try_from(*at).ok())),
        ("first token", |one| one.row.ttft_us),
        ("first that is no reasoning", |one| one.row.ttfo_us),
        ("half of it", half),
        ("the end", |one| Some(one.row.duration_us)),
        ("pause, median", |one| one.row.gap_p50_us),
        ("pause, 99 of 100", |one| one.row.gap_p99_us),
        ("pause, longest", |one| one.row.gap_max_us),
        ("overhead of the gateway", |one| Some(one.row.overhead_us)),
    ];
    let head = format!("{:<28}{:>10}{:>10}   right to left", "", "left", "right");
    let _ = writeln!(out, "{}", look.paint(Tone::Dim, &head));
    for (name, of) in rows {
        let (ours, theirs) = (of(left), of(right));
        if ours.is_none() && theirs.is_none() {
            continue;
        }
        let cell = |us: Option<i64>| us.map_or_else(|| "-".to_owned(), short);
        let ratio = match (ours, theirs) {
            (Some(ours @ 1..), Some(theirs @ 1..)) => {
                ratio(theirs as f64 / ours as f64, false, look)
            }
            _ => String::new(),
        };
        let _ = writeln!(out, "{name:<28}{:>10}{:>10}   {ratio}", cell(ours), cell(theirs));
    }
    let (ours, theirs) = (speed(&left.row), speed(&right.row));
    if ours.is_some() || theirs.is_some() {
        let cell =
            |speed: Option<f64>| speed.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
        let ratio = ours.zip(theirs).map(|(ours, theirs)| ratio(theirs / ours, true, look));
        let (ours, theirs) = (cell(ours), cell(theirs));
        let _ = writeln!(
            out,
            "{:<28}{ours:>10}{theirs:>10}   {}",
            "tokens a second",
            ratio.unwrap_or_default()
        );
    }
}

/// In green what is better, in red what is worse; within five per cent is neither.
fn ratio(ratio: f64, more_is_better: bool, look: Look) -> String {
    let tone = if (1.0 / 1.05..=1.05).contains(&ratio) {
        Tone::Dim
    } else if (ratio > 1.0) == more_is_better {
        Tone::Good
    } else {
        Tone::Bad
    };
    look.paint(tone, &format!("×{ratio:.2}"))
}
