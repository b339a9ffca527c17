//! How reports look: colours where they are wanted, numbers as people read them, lines that fit a terminal.

use std::fmt::Write as _;

/// Columns that prose is wrapped to.
pub const WIDTH: usize = 100;

/// What a text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
    Warn,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ink {
    pub colours: bool,
}

impl Ink {
    /// The text in its colour.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line of a heading.
    pub fn heading(self, out: &mut String, words: &str) {
        out.push('\n');
        out.push_str(&self.paint(Tone::Strong, words));
        out.push('\n');
    }
}

/// Words wrapped behind `first`, the lines after the first indented as far.
pub fn wrapped(out: &mut String, first: &str, words: &str) {
    let indent = first.chars().count();
    let mut column = indent;
    out.push_str(first);
    let mut fresh = true;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if !fresh && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        fresh = false;
    }
    out.push('\n');
}

/// A duration: `840 µs`, `12.3 ms`, `4.21 s`, `2 min 5 s`.
pub fn duration(us: u64) -> String {
    let seconds = us as f64 / 1e6;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..10_000_000 => format!("{seconds:.2} s"),
        10_000_000..120_000_000 => format!("{seconds:.1} s"),
        120_000_000..7_200_000_000 => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
        7_200_000_000..172_800_000_000 => {
            format!("{} h {} min", us / 3_600_000_000, us / 60_000_000 % 60)
        }
        _ => format!("{} d", us / 86_400_000_000),
    }
}

/// Bytes: `512 B`, `4.2 KiB`, `57.8 MiB`.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// A number in groups of three: `215,432`.
pub fn count(number: u64) -> String {
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
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(number)) }
}

/// One line of at most `max` characters: line ends and other controls are shown, what is over is left out.
pub fn line(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let mut room = max;
    for c in text.chars() {
        if room == 0 {
            shown.pop();
            shown.push('…');
            break;
        }
        match c {
            '\n' => shown.push('⏎'),
            '\t' => shown.push(' '),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
        room -= 1;
    }
    shown
}

/// The text with a capital at its beginning.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Microseconds since 1970 as `2026-11-20 14:03:12 UTC`.
pub fn stamp(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us)
        .map_or_else(|_| us.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        for (us, shown) in [
            (840, "840 µs"),
            (12_345, "12.3 ms"),
            (456_789, "456 ms"),
            (4_210_000, "4.21 s"),
            (59_990_000, "60.0 s"),
            (125_000_000, "2 min 5 s"),
            (7_260_000_000, "2 h 1 min"),
            (200_000_000_000, "2 d"),
        ] {
            assert_eq!(duration(us), shown);
        }
        assert_eq!([bytes(12), bytes(4_300), bytes(5 << 20)], ["12 B", "4.2 KiB", "5.0 MiB"]);
        assert_eq!([count(7), count(1_234), count(215_432)], ["7", "1,234", "215,432"]);
        assert_eq!([counted(1, "try"), counted(0, "event")], ["1 try", "0 events"]);
        assert_eq!(stamp(1_763_600_000_000_000), "2025-11-20 00:53:20 UTC");
    }

    #[test]
    fn lines_are_bounded_and_clean() {
        assert_eq!(line("a\nb\x1b[2J", 99), "a⏎b\u{fffd}[2J");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abcd", 4), "abcd");
    }

    #[test]
    fn prose_is_wrapped_under_its_beginning() {
        let mut out = String::new();
        wrapped(&mut out, "  - ", &"word ".repeat(30));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  - word") && lines[0].chars().count() <= WIDTH);
        assert!(lines[1].starts_with("    word"));
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let plain = Ink { colours: false };
        assert_eq!(plain.paint(Tone::Bad, "x"), "x");
        assert_eq!(Ink { colours: true }.paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
