//! Sentences of reports: numbers in them, lines that fit, texts of others made harmless.

use crate::report::look::{self, Look, columns};
use crate::report::words;

/// Words wrapped behind `first`, the lines after the first indented as far.
pub fn wrapped(out: &mut String, look: Look, first: &str, text: &str) {
    let indent = columns(first);
    let room = look.text_width().saturating_sub(indent).max(20);
    let mut lines = look::wrap(text, room).into_iter();
    out.push_str(first);
    out.push_str(&lines.next().unwrap_or_default());
    for line in lines {
        out.push('\n');
        out.push_str(&" ".repeat(indent));
        out.push_str(&line);
    }
    out.push('\n');
}

/// The sentence that says it all, in its colour. Where no terminal wants it broken it is one line, for `head -1`.
pub fn verdict(out: &mut String, look: Look, tone: look::Tone, text: &str) {
    let width = look.width.map_or(usize::MAX, |_| look.text_width());
    for line in look::wrap(text, width) {
        out.push_str(&look.paint(tone, &line));
        out.push('\n');
    }
}

/// A heading with a blank line before it.
pub fn heading(out: &mut String, look: Look, words: &str) {
    out.push('\n');
    out.push_str(&look.paint(look::Tone::Strong, words));
    out.push('\n');
}

/// A duration, as [`words::time`] has it.
pub fn time(us: u64) -> String {
    words::time(i64::try_from(us).unwrap_or(i64::MAX))
}

/// A number in a sentence: `215,432`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The number and its noun, in the plural where it is not one.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", number(count)) }
}

/// One line of at most `max` characters, harmless for a terminal; line ends are shown as `⏎`.
pub fn line(text: &str, max: usize) -> String {
    // Of more than this, nothing would be kept.
    let some = text.get(..text.floor_char_boundary(max.saturating_mul(4))).unwrap_or(text);
    let clean = look::clean(some);
    let mut shown: String =
        clean.chars().take(max).map(|c| if c == '\n' { '⏎' } else { c }).collect();
    if some.len() < text.len() || clean.chars().count() > max {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// The text with a capital at its beginning.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_nouns() {
        assert_eq!([number(7), number(1_234), number(215_432)], ["7", "1,234", "215,432"]);
        assert_eq!([counted(1, "try"), counted(0, "event")], ["1 try", "0 events"]);
        assert_eq!([time(840), time(u64::MAX)], ["840 µs", "2562047788h00m"]);
    }

    #[test]
    fn lines_are_bounded_and_harmless() {
        assert_eq!(line("a\nb\x1b[2J", 99), "a⏎b␛[2J");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abcd", 4), "abcd");
        assert_eq!(line(&"é".repeat(100), 5), "éééé…");
        assert_eq!(line("", 5), "");
    }

    #[test]
    fn sentences_are_wrapped_under_their_beginning() {
        let mut out = String::new();
        wrapped(&mut out, Look::default(), "  - ", &"word ".repeat(30));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  - word") && lines[0].chars().count() <= 100);
        assert!(lines[1].starts_with("    word"));
    }
}
