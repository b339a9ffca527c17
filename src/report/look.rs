//! How text looks on a terminal: colours where it is one, lines no wider than it is, and nothing in what others have
//! written that could drive it.

use std::borrow::Cow;

/// What the reader's side takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Columns; `None`: no terminal, lines are as long as they are.
    pub width: Option<usize>,
    pub colour: bool,
    /// Nothing is shortened.
    pub full: bool,
}

/// Columns of running text where nobody says how wide the paper is.
const PAPER: usize = 100;
/// Limit: lines wider than this are hard to read, whatever the terminal takes.
const TEXT_MAX: usize = 120;

/// What a piece of text is, which says its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Headings.
    Strong,
    /// What is beside the matter.
    Dim,
    Good,
    Odd,
    Bad,
    User,
    Assistant,
    System,
    Tool,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Odd => "33",
            Self::Bad => "1;31",
            Self::User => "1;36",
            Self::Assistant => "1;32",
            Self::System => "1;35",
            Self::Tool => "1;33",
        }
    }
}

impl Look {
    /// Columns of running text.
    pub fn text_width(self) -> usize {
        self.width.map_or(PAPER, |width| width.clamp(20, TEXT_MAX))
    }

    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
    }

    /// Painted, then filled with blanks to a width.
    pub fn cell(self, tone: Tone, text: &str, width: usize) -> String {
        let blanks = " ".repeat(width.saturating_sub(columns(text)));
        format!("{}{blanks}", self.paint(tone, text))
    }

    /// As [`Look::cell`], the blanks before it.
    pub fn cell_right(self, tone: Tone, text: &str, width: usize) -> String {
        let blanks = " ".repeat(width.saturating_sub(columns(text)));
        format!("{blanks}{}", self.paint(tone, text))
    }

    /// A heading with a rule to the right edge: `── user ───────────── 1.2 KiB`.
    pub fn rule(self, tone: Tone, title: &str, note: &str) -> String {
        let note = if note.is_empty() { String::new() } else { format!(" {note}") };
        let taken = columns(title) + columns(&note) + 4;
        let line = "─".repeat(self.text_width().saturating_sub(taken).max(2));
        let (before, line) = (self.paint(Tone::Dim, "──"), self.paint(Tone::Dim, &line));
        format!("{before} {} {line}{}", self.paint(tone, title), self.paint(Tone::Dim, &note))
    }
}

/// Text that somebody else has written, made harmless for a terminal: control characters become visible signs, marks that
/// turn the direction of writing go, tabs are four blanks. Line feeds stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_tame = |c: char| c == '\n' || !(c.is_control() || is_turn(c));
    if text.chars().all(is_tame) {
        return Cow::Borrowed(text);
    }
    let mut tame = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\t' => tame.push_str("    "),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\u{0}'..='\u{1f}' if c != '\n' => {
                tame.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => tame.push('\u{2421}'),
            c if is_turn(c) => tame.push('\u{fffd}'),
            c if c != '\n' && c.is_control() => tame.push('\u{fffd}'),
            c => tame.push(c),
        }
    }
    Cow::Owned(tame)
}

/// As [`clean`], on one line.
pub fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

fn is_turn(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Columns that text takes on a terminal.
pub fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(column).sum() }
}

/// East Asian signs and pictures take two, marks upon others none.
fn column(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfeff => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The beginning that fits, with `…` where something is missing.
pub fn clip(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let (kept, _) = split_at_column(text, width.saturating_sub(1));
    format!("{kept}…")
}

/// Filled with blanks on the right.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Filled with blanks on the left.
pub fn pad_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

fn split_at_column(text: &str, width: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += column(c);
        if taken > width {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Lines no wider than `width`, broken at blanks where there are any; what begins with blanks stays indented.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    text.lines().flat_map(|line| wrap_line(line, width.max(4))).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let line = line.trim_end();
    if columns(line) <= width {
        return vec![line.to_owned()];
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').take(width / 2).collect();
    let mut lines = Vec::new();
    let mut rest = line.get(indent.len()..).unwrap_or_default();
    let room = width - indent.len();
    while columns(rest) > room {
        let (fits, _) = split_at_column(rest, room);
        // A word that is longer than half the line is broken anywhere. Where even one sign is too wide, it stands alone.
        let at = match fits.rfind(' ') {
            _ if rest[fits.len()..].starts_with(' ') => fits.len(),
            Some(blank) if blank >= fits.len() / 2 => blank,
            _ if fits.is_empty() => rest.chars().next().map_or(rest.len(), char::len_utf8),
            _ => fits.len(),
        };
        let (now, later) = rest.split_at(at);
        lines.push(format!("{indent}{}", now.trim_end()));
        rest = later.trim_start_matches(' ');
    }
    if !rest.is_empty() {
        lines.push(format!("{indent}{rest}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_written_by_others_drives_the_terminal() {
        for (text, tame) in [
            ("plain ünïcode 漢", "plain ünïcode 漢"),
            ("a\u{1b}[31mred", "a␛[31mred"),
            ("a\tb\r\nc\rd", "a    b\nc␍d"),
            ("\u{9b}2J\u{7f}\0", "\u{fffd}2J␡␀"),
            ("abc\u{202e}def", "abc\u{fffd}def"),
        ] {
            assert_eq!(clean(text), tame);
        }
        assert_eq!(clean_line("a\nb"), "a b");
    }

    #[test]
    fn lines_are_broken_at_blanks_and_never_wider() {
        for (text, width, lines) in [
            ("one two three", 7, vec!["one two", "three"]),
            ("one two three", 8, vec!["one two", "three"]),
            ("  one two three", 7, vec!["  one", "  two", "  three"]),
            ("abcdefghij", 4, vec!["abcd", "efgh", "ij"]),
            ("漢字漢字", 5, vec!["漢字", "漢字"]),
            ("a\n\nb", 5, vec!["a", "", "b"]),
            ("", 5, vec![]),
        ] {
            assert_eq!(wrap(text, width), lines, "{text}");
        }
        let text = "äö ".repeat(50) + &"x".repeat(99);
        for width in 4..60 {
            assert!(wrap(&text, width).iter().all(|line| columns(line) <= width), "{width}");
        }
    }

    #[test]
    fn clipping_counts_columns() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 5), "abcd…");
        assert_eq!(clip("漢字漢字", 5), "漢字…");
        assert_eq!((pad("é", 3), pad_left("é", 3)), ("é  ".to_owned(), "  é".to_owned()));
    }
}
