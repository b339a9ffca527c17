//! What two models answered, as text: words in and out, calls by name and arguments.

use std::fmt::Write as _;

use crate::report::diff::pair::{Answers, Call, Compares};
use crate::report::diff::runs::Run;
use crate::report::look::{Look, Tone};
use crate::report::prose;

/// Characters kept of both ends of a long unchanged text.
const CONTEXT_CHARS: usize = 60;

/// What two answers say and call.
pub fn text(both: &Answers, look: Look) -> String {
    let mut out = String::new();
    write(&mut out, both, look);
    out
}

/// The calls of both answers, without their words.
pub fn calls(both: &Answers, look: Look) -> String {
    let mut out = String::new();
    for call in &both.calls {
        tool_call(&mut out, call, look);
    }
    out
}

/// The part of a report on two exchanges.
pub(super) fn write(out: &mut String, answers: &Answers, look: Look) {
    prose::heading(out, look, "Answers");
    if !answers.known {
        out.push_str("  not kept on both sides\n");
    }
    if !answers.calls.is_empty() {
        for call in &answers.calls {
            tool_call(out, call, look);
        }
    }
    if !answers.reasoning_same {
        out.push_str("  the reasoning differs\n");
    }
    if answers.text_same {
        out.push_str("  the text is the same\n");
        return;
    }
    let mut line = String::new();
    for run in &answers.text {
        match run {
            Run::Same(text) => line.push_str(&shortened(text)),
            Run::Removed(text) => line.push_str(&marked(text, ["[-", "-]"], Tone::Bad, look)),
            Run::Added(text) => line.push_str(&marked(text, ["{+", "+}"], Tone::Good, look)),
        }
    }
    for shown in line.lines() {
        prose::wrapped(out, look, "  ", shown);
    }
}

/// With brackets where there are no colours.
fn marked(text: &str, brackets: [&str; 2], tone: Tone, look: Look) -> String {
    let words = text.trim_end();
    let space = text.get(words.len()..).unwrap_or_default();
    let [open, close] = brackets;
    let words = clean(words);
    let shown =
        if look.colour { look.paint(tone, &words) } else { format!("{open}{words}{close}") };
    format!("{shown}{space}")
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// The ends of a long unchanged text.
fn shortened(text: &str) -> String {
    let text = clean(text);
    let length = text.chars().count();
    if length <= CONTEXT_CHARS * 2 + 20 {
        return text;
    }
    let start: String = text.chars().take(CONTEXT_CHARS).collect();
    let end: String = text.chars().skip(length - CONTEXT_CHARS).collect();
    format!("{start} […{} characters…] {end}", length - CONTEXT_CHARS * 2)
}

fn tool_call(out: &mut String, call: &Call, look: Look) {
    let name = prose::line(&call.name, 80);
    let (mark, tone, words) = match call.compares {
        Compares::Same => ("=", Tone::Dim, "the same call"),
        Compares::Arguments => ("~", Tone::Odd, "other arguments"),
        Compares::OnlyLeft => ("-", Tone::Bad, "only on the left"),
        Compares::OnlyRight => ("+", Tone::Good, "only on the right"),
    };
    let _ = writeln!(out, "  {} {name}: {words}", look.paint(tone, mark));
    match (call.compares, &call.left, &call.right) {
        (Compares::Same, ..) => {}
        (_, left, right) => {
            for (text, sign, tone) in [(left, "-", Tone::Bad), (right, "+", Tone::Good)] {
                if let Some(text) = text {
                    let _ = writeln!(out, "      {} {text}", look.paint(tone, sign));
                }
            }
        }
    }
}
