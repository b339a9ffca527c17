//! Differences for a terminal: what went in red, what came in green, the sentence that sums up first.

use std::fmt::Write as _;

use crate::report::diff::answers;
use crate::report::diff::json::{Bodies, Change};
use crate::report::diff::legs::{Header, Legs, Pair, Sides};
use crate::report::diff::pair::Exchanges;
use crate::report::diff::prefix::{Agreement, Prefix};
use crate::report::diff::turns::{Altered, Became, Turns};
use crate::report::look::{Look, Tone};
use crate::report::{prose, words};

/// Limit: pieces of a conversation that are shown.
const ALTERED_MAX: usize = 30;

/// On which side bodies were changed.
fn changed(legs: &Legs) -> String {
    let is_changed = |side: &&Sides| !matches!(side.body, Bodies::Same { .. });
    let names: Vec<&str> =
        legs.sides.iter().filter(is_changed).map(|side| side.name.as_str()).collect();
    format!("Modified on the way: {}.", names.join("; "))
}

/// The legs of one exchange.
pub fn legs(legs: &Legs, look: Look) -> String {
    let mut out = String::new();
    let changed = changed(legs);
    let (tone, verdict) = match (legs.unmodified, legs.sides.is_empty()) {
        (_, true) => (Tone::Plain, "No provider was called: there are no legs to compare."),
        (true, _) => {
            (Tone::Good, "Unmodified: both bodies passed byte for byte, proven by equal hashes.")
        }
        (false, _) if legs.sides.iter().any(|side| matches!(side.body, Bodies::Unknown { .. })) => {
            (Tone::Odd, "Not all bodies were kept, so not all can be compared.")
        }
        (false, _) => (Tone::Odd, changed.as_str()),
    };
    let _ = writeln!(out, "{}", look.paint(tone, verdict));
    for side in &legs.sides {
        sides(&mut out, side, look);
    }
    out
}

fn sides(out: &mut String, side: &Sides, look: Look) {
    prose::heading(out, look, &side.name);
    if let Some((before, after)) = &side.line {
        let _ = writeln!(out, "  line    {}", arrow(Some(before), Some(after), look));
    }
    match (side.headers_unknown, side.headers.is_empty()) {
        (true, _) => out.push_str("  headers were not kept on both sides\n"),
        (false, true) => out.push_str("  headers the same\n"),
        (false, false) => {
            for header in &side.headers {
                named(out, header, look);
            }
        }
    }
    body(out, &side.body, look);
    if !side.edits.is_empty() {
        let _ = writeln!(out, "  edited by the gateway: {}", side.edits.join(", "));
    }
    if side.redacted {
        out.push_str("  secrets were replaced before storing; equal means equal apart from them\n");
    }
}

fn named(out: &mut String, header: &Header, look: Look) {
    let (before, after) = (header.before.as_deref(), header.after.as_deref());
    let (mark, tone) = mark(before.is_some(), after.is_some());
    let values = arrow(before, after, look);
    let _ = writeln!(out, "  {} {}: {values}", look.paint(tone, mark), header.name);
}

fn mark(before: bool, after: bool) -> (&'static str, Tone) {
    match (before, after) {
        (false, _) => ("+", Tone::Good),
        (true, false) => ("-", Tone::Bad),
        (true, true) => ("~", Tone::Odd),
    }
}

/// `before → after`, or the side that there is.
fn arrow(before: Option<&str>, after: Option<&str>, look: Look) -> String {
    let side = |tone, text: &str| look.paint(tone, &prose::line(text, 160));
    match (before, after) {
        (Some(before), Some(after)) => {
            format!("{} → {}", side(Tone::Bad, before), side(Tone::Good, after))
        }
        (Some(before), None) => side(Tone::Bad, before),
        (None, Some(after)) => side(Tone::Good, after),
        (None, None) => String::new(),
    }
}

fn body(out: &mut String, body: &Bodies, look: Look) {
    let size = |bytes: &usize| words::bytes(*bytes as u64);
    match body {
        Bodies::Same { hash, bytes } => {
            let short = hash.get(..16).unwrap_or(hash);
            let _ =
                writeln!(out, "  body the same: {}, blake3 {short}… on both sides", size(bytes));
        }
        Bodies::Rewritten { bytes_before, bytes_after, first_difference } => {
            let _ = writeln!(
                out,
                "  body says the same, written otherwise from byte {first_difference} on ({} → {})",
                size(bytes_before),
                size(bytes_after)
            );
        }
        Bodies::Changed { changes, more, bytes_before, bytes_after } => {
            let _ =
                writeln!(out, "  body changed ({} → {}):", size(bytes_before), size(bytes_after));
            listed(out, changes, look);
            if *more > 0 {
                let _ = writeln!(out, "    and {more} more");
            }
        }
        Bodies::Bytes { first_difference, before, after, bytes_before, bytes_after } => {
            let _ = writeln!(
                out,
                "  body differs from byte {first_difference} on ({} → {}):",
                size(bytes_before),
                size(bytes_after)
            );
            let _ = writeln!(out, "    {} {}", look.paint(Tone::Bad, "-"), before);
            let _ = writeln!(out, "    {} {}", look.paint(Tone::Good, "+"), after);
        }
        Bodies::Unknown { why } => {
            let _ = writeln!(out, "  body unknown: {why}");
        }
    }
}

fn listed(out: &mut String, changes: &[Change], look: Look) {
    for change in changes {
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let (mark, tone) = mark(before.is_some(), after.is_some());
        let path = prose::line(&change.path, 120);
        let _ =
            writeln!(out, "    {} {path}: {}", look.paint(tone, mark), arrow(before, after, look));
    }
}

/// The attempts of one exchange, each against the next.
pub fn attempts(pairs: &[Pair], look: Look) -> String {
    if pairs.is_empty() {
        return "There was one attempt at most: nothing to compare.\n".to_owned();
    }
    let mut out = String::new();
    for pair in pairs {
        let _ = writeln!(out, "{}", look.paint(Tone::Strong, &pair.name));
        for fact in &pair.facts {
            named(&mut out, fact, look);
        }
        sides(&mut out, &pair.request, look);
        sides(&mut out, &pair.response, look);
        out.push('\n');
    }
    out
}

/// One turn against the next.
pub fn turns(turns: &Turns, look: Look) -> String {
    let mut out = String::new();
    let (tone, verdict) = turns_verdict(turns);
    prose::verdict(&mut out, look, tone, &verdict);
    let _ = writeln!(out, "\n  {} → {}", turns.before, turns.after);
    let _ = writeln!(out, "  {}", counts(turns));
    if let Some(prefix) = &turns.prefix {
        cache(&mut out, prefix, look);
    }
    pieces(&mut out, turns, look);
    out
}

/// The heading of the lines that [`turns_line`] makes.
pub fn turns_head(look: Look) -> String {
    let head = format!(
        "{:>9}  {:>5} {:>5} {:>7} {:>7}  {:>9} {:>9}  {}",
        "turn",
        "kept",
        "added",
        "changed",
        "removed",
        "stayed",
        "read",
        "the beginning of the prompt"
    );
    look.paint(Tone::Strong, &head)
}

/// One turn against the next, on one line.
pub fn turns_line(number: usize, turns: &Turns, look: Look) -> String {
    let tokens = |tokens: Option<u64>| tokens.map_or_else(|| "-".to_owned(), prose::number);
    let prefix = turns.prefix.as_ref();
    let (tone, verdict) = match (&turns.missing, prefix) {
        (Some(missing), _) => (Tone::Odd, missing.clone()),
        (None, None) => (Tone::Odd, "no prompt".to_owned()),
        (None, Some(prefix)) => match &prefix.first_change {
            Some(change) => {
                (Tone::Bad, format!("changed at byte {}: {}", change.offset_after, change.path))
            }
            None if prefix.valid_bytes == 0 => (Tone::Bad, prefix.key_changes.join("; ")),
            None => (Tone::Good, "holds".to_owned()),
        },
    };
    let stayed = tokens(prefix.and_then(|prefix| prefix.valid_tokens));
    let read = tokens(prefix.and_then(|prefix| prefix.told.cache_read_tokens));
    let pair = format!("{number} → {}", number + 1);
    let counts = format!(
        "{pair:>9}  {:>5} {:>5} {:>7} {:>7}  {stayed:>9} {read:>9}",
        turns.kept,
        turns.added,
        turns.changed,
        turns.removed + turns.moved
    );
    format!("{counts}  {}", look.paint(tone, &prose::line(&verdict, 120)))
}

fn turns_verdict(turns: &Turns) -> (Tone, String) {
    if let Some(missing) = &turns.missing {
        return (Tone::Odd, format!("The turns can't be compared: {missing}."));
    }
    let Some(prefix) = &turns.prefix else {
        return (Tone::Odd, "One of the requests holds no prompt.".to_owned());
    };
    match &prefix.first_change {
        Some(change) => (
            Tone::Bad,
            format!(
                "The prompt's beginning changed at byte {} ({}): {} of {} stay valid for the provider's cache.",
                change.offset_after,
                change.path,
                share(prefix),
                words::bytes(prefix.prompt_bytes as u64)
            ),
        ),
        None if !prefix.key_changes.is_empty() && prefix.valid_bytes == 0 => (
            Tone::Bad,
            format!(
                "The prompt's beginning holds, but for another cache: {}.",
                prefix.key_changes.join("; ")
            ),
        ),
        None => (
            Tone::Good,
            format!(
                "The prompt's beginning holds: {} of {} can come from the provider's cache.",
                share(prefix),
                words::bytes(prefix.prompt_bytes as u64)
            ),
        ),
    }
}

fn share(prefix: &Prefix) -> String {
    let bytes = words::bytes(prefix.valid_bytes as u64);
    match prefix.valid_tokens {
        Some(tokens) => format!("{bytes} (about {} tokens)", prose::number(tokens)),
        None => bytes,
    }
}

fn counts(turns: &Turns) -> String {
    let parts = [
        (turns.kept, "kept"),
        (turns.added, "added"),
        (turns.changed, "changed"),
        (turns.removed, "removed"),
        (turns.moved, "moved"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    format!("tools, instructions and messages: {}", parts.join(", "))
}

fn cache(out: &mut String, prefix: &Prefix, look: Look) {
    if let Some(change) = &prefix.first_change {
        prose::heading(out, look, "First change");
        let _ = writeln!(
            out,
            "  {} at byte {} (was {})",
            change.path, change.offset_after, change.offset_before
        );
        let _ = writeln!(out, "  {} {}", look.paint(Tone::Bad, "-"), change.before);
        let _ = writeln!(out, "  {} {}", look.paint(Tone::Good, "+"), change.after);
    }
    prose::heading(out, look, "Cache");
    let count = |tokens: Option<u64>| tokens.map_or_else(|| "-".to_owned(), prose::number);
    let told = prefix.told;
    let _ = writeln!(
        out,
        "  told by the provider: input {}, read {}, written {}",
        count(told.input_tokens),
        count(told.cache_read_tokens),
        count(told.cache_write_tokens)
    );
    let agrees = match prefix.agreement {
        Agreement::Agrees => look.paint(Tone::Good, "agrees"),
        Agreement::ReadLess => look.paint(Tone::Bad, "read less"),
        Agreement::ReadMore => look.paint(Tone::Odd, "read more"),
        Agreement::Unknown => "unknown".to_owned(),
    };
    prose::wrapped(out, look, "  ", &format!("{agrees}: {}", prefix.says));
    let marks =
        |paths: &[String]| if paths.is_empty() { "none".to_owned() } else { paths.join(", ") };
    if !(prefix.marks_before.is_empty() && prefix.marks_after.is_empty()) {
        prose::wrapped(
            out,
            look,
            "  ",
            &format!("marks: {} → {}", marks(&prefix.marks_before), marks(&prefix.marks_after)),
        );
    }
    if prefix.pause_us > 0 {
        let _ =
            writeln!(out, "  {} between the turns", prose::time(prefix.pause_us.unsigned_abs()));
    }
    for change in &prefix.key_changes {
        let _ = writeln!(out, "  also part of the cache's key: {}", prose::line(change, 200));
    }
}

fn pieces(out: &mut String, turns: &Turns, look: Look) {
    if turns.altered.is_empty() {
        return;
    }
    prose::heading(out, look, "Conversation");
    for altered in turns.altered.iter().take(ALTERED_MAX) {
        piece(out, altered, look);
    }
    let more = turns.more + turns.altered.len().saturating_sub(ALTERED_MAX);
    if more > 0 {
        let _ = writeln!(out, "  and {more} more");
    }
}

fn piece(out: &mut String, altered: &Altered, look: Look) {
    let (mark, tone) = match altered.became {
        Became::Added => ("+", Tone::Good),
        Became::Removed => ("-", Tone::Bad),
        Became::Changed => ("~", Tone::Odd),
        Became::Moved => ("=", Tone::Dim),
    };
    let name = altered
        .name
        .as_deref()
        .map(|name| format!(" {}", prose::line(name, 40)))
        .unwrap_or_default();
    let size = words::bytes(altered.bytes as u64);
    let _ = writeln!(out, "  {} {}{name} ({size})", look.paint(tone, mark), altered.path);
    if let Some(was) = &altered.was {
        let _ = writeln!(out, "      {} {was}", look.paint(Tone::Bad, "-"));
        let _ = writeln!(out, "      {} {}", look.paint(Tone::Good, "+"), altered.shown);
    } else if altered.became != Became::Moved {
        let _ = writeln!(out, "      {}", look.paint(Tone::Dim, &altered.shown));
    }
}

/// Two exchanges.
pub fn exchanges(both: &Exchanges, look: Look) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", look.paint(Tone::Strong, &exchanges_verdict(both)));
    let _ = writeln!(out, "\n  left   {}\n  right  {}", both.left, both.right);
    prose::heading(&mut out, look, "Numbers");
    for number in &both.numbers {
        let (left, right) =
            (number.left.as_deref().unwrap_or("-"), number.right.as_deref().unwrap_or("-"));
        let tone = if left == right { Tone::Plain } else { Tone::Odd };
        let right = look.paint(tone, &prose::line(right, 60));
        let _ = writeln!(out, "  {:<14}{:<28}{right}", number.name, prose::line(left, 26));
    }
    prose::heading(&mut out, look, "Parameters");
    if both.parameters.is_empty() {
        out.push_str("  the same\n");
    }
    listed(&mut out, &both.parameters, look);
    if let Some(missing) = &both.prompt.missing {
        let _ = writeln!(out, "\n  the prompts can't be compared: {missing}");
    } else {
        pieces(&mut out, &both.prompt, look);
    }
    answers::write(&mut out, &both.answers, look);
    out
}

fn exchanges_verdict(both: &Exchanges) -> String {
    let altered = both.prompt.added + both.prompt.removed + both.prompt.changed + both.prompt.moved;
    let prompt = match (&both.prompt.missing, altered) {
        (Some(_), _) => "the prompts can't be compared",
        (None, 0) => "the same prompt",
        (None, _) => "different prompts",
    };
    let parameters =
        if both.parameters.is_empty() { "the same parameters" } else { "other parameters" };
    let answers = match (both.answers.known, both.answers.text_same, both.answers.calls_same) {
        (false, ..) => "answers not kept",
        (true, true, true) => "the same answer",
        (true, true, false) => "the same words, other tool calls",
        (true, false, true) if !both.answers.calls.is_empty() => "other words, the same tool calls",
        _ => "different answers",
    };
    prose::line(
        &format!("{}: {parameters}, {answers}.", crate::report::prose::capital(prompt)),
        200,
    )
}
