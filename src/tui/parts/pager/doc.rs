//! Lines to be shown, whatever they are made of: text of the reports with its colours, text as others wrote it, bytes.
//! What is large is kept as it is and made into a picture line by line, when it is seen.

use std::borrow::Cow;
use std::fmt::Write as _;

use regex::Regex;
use unicode_width::UnicodeWidthChar;

use crate::report::look::clean_line;
use crate::tui::parts::ansi;

/// Bytes of a line of hex.
const HEX: usize = 16;

/// The lines, and which of them fold.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    parts: Vec<Part>,
    length: usize,
    /// Folds that are not closed yet.
    open: usize,
    /// By their heads, in order; one lies wholly inside another or wholly outside.
    pub folds: Vec<Fold>,
}

/// Lines that can be hidden below the one before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    pub head: usize,
    /// The line after the last one.
    pub end: usize,
    pub folded: bool,
    /// What the head says more while it is folded.
    pub note: String,
    pub depth: usize,
}

#[derive(Debug, Clone)]
struct Part {
    /// Its first line.
    from: usize,
    content: Content,
}

/// Byte ranges of lines.
type Ranges = Vec<(usize, usize)>;

#[derive(Debug, Clone)]
enum Content {
    /// Harmless already, with escape sequences for colours.
    Painted(String, Ranges),
    /// As others wrote it.
    Raw(String, Ranges),
    Bytes(Vec<u8>),
}

impl Doc {
    /// A report's text.
    pub fn report(text: String) -> Self {
        let mut doc = Self::default();
        doc.push_report(text);
        doc
    }

    pub fn push_report(&mut self, text: String) {
        let mut ranges = Vec::new();
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            let length = line.trim_end_matches(['\n', '\r']).len();
            ranges.push((from, from + length));
            from += line.len();
        }
        self.add(ranges.len(), Content::Painted(text, ranges));
    }

    /// Text of others, broken at the width; nothing is done to it before it is seen.
    pub fn push_raw(&mut self, text: String, width: usize) {
        let ranges = broken(&text, width.max(4));
        self.add(ranges.len(), Content::Raw(text, ranges));
    }

    pub fn push_bytes(&mut self, bytes: Vec<u8>) {
        self.add(bytes.len().div_ceil(HEX), Content::Bytes(bytes));
    }

    fn add(&mut self, lines: usize, content: Content) {
        if lines > 0 {
            self.parts.push(Part { from: self.length, content });
            self.length += lines;
        }
    }

    /// One painted line.
    pub fn push(&mut self, line: &str) {
        if !matches!(self.parts.last(), Some(Part { content: Content::Painted(..), .. })) {
            self.parts.push(Part {
                from: self.length,
                content: Content::Painted(String::new(), Vec::new()),
            });
        }
        if let Some(Part { content: Content::Painted(text, ranges), .. }) = self.parts.last_mut() {
            let from = text.len();
            text.push_str(line);
            ranges.push((from, text.len()));
            text.push('\n');
            self.length += 1;
        }
    }

    /// What is pushed from here on until [`Doc::close`] is hidden below the last line when it is folded.
    pub fn open(&mut self, folded: bool) -> usize {
        let depth = self.open;
        self.open += 1;
        let head = self.length.saturating_sub(1);
        self.folds.push(Fold { head, end: usize::MAX, folded, note: String::new(), depth });
        self.folds.len() - 1
    }

    pub fn close(&mut self, fold: usize, note: String) {
        let end = self.length;
        self.open = self.open.saturating_sub(1);
        if let Some(fold) = self.folds.get_mut(fold) {
            (fold.end, fold.note) = (end, note);
        }
    }

    /// How deep in folds that are open what is pushed next stands.
    pub fn depth(&self) -> usize {
        self.open
    }

    /// The same lines without what folds nothing.
    #[must_use]
    pub fn done(mut self) -> Self {
        let length = self.length;
        self.folds.retain_mut(|fold| {
            fold.end = fold.end.min(length);
            fold.end > fold.head + 1
        });
        self.folds.dedup_by_key(|fold| fold.head);
        self
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// The fold whose head this line is.
    pub fn fold_at(&self, line: usize) -> Option<usize> {
        self.folds.binary_search_by_key(&line, |fold| fold.head).ok()
    }

    /// The innermost fold that the line is in, its head not among it.
    pub fn fold_around(&self, line: usize) -> Option<usize> {
        let before = self.folds.partition_point(|fold| fold.head < line);
        let earlier = self.folds.get(..before).unwrap_or_default();
        earlier.iter().rposition(|fold| fold.end > line)
    }

    fn part(&self, line: usize) -> Option<(&Content, usize)> {
        let at = self.parts.partition_point(|part| part.from <= line).checked_sub(1)?;
        self.parts.get(at).map(|part| (&part.content, line - part.from))
    }

    /// A line with escape sequences for its colours and nothing else that drives a terminal.
    pub fn line(&self, line: usize) -> Cow<'_, str> {
        match self.part(line) {
            Some((Content::Painted(text, ranges), at)) => Cow::Borrowed(cut(text, ranges, at)),
            Some((Content::Raw(text, ranges), at)) => Cow::Owned(clean_line(cut(text, ranges, at))),
            Some((Content::Bytes(bytes), at)) => Cow::Owned(hex(bytes, at)),
            None => Cow::Borrowed(""),
        }
    }

    /// The lines that have it, in order.
    pub fn find(&self, wanted: &Regex) -> Vec<usize> {
        let mut hits = Vec::new();
        for part in &self.parts {
            match &part.content {
                Content::Painted(text, ranges) => {
                    let has = |at: &usize| wanted.is_match(&ansi::plain(cut(text, ranges, *at)));
                    hits.extend((0..ranges.len()).filter(has).map(|at| part.from + at));
                }
                Content::Raw(text, ranges) => {
                    for hit in wanted.find_iter(text) {
                        let at = ranges.partition_point(|(from, _)| *from <= hit.start());
                        hits.push(part.from + at.saturating_sub(1));
                    }
                }
                Content::Bytes(bytes) => {
                    let lines = 0..bytes.len().div_ceil(HEX);
                    let has = |at: &usize| wanted.is_match(&hex(bytes, *at));
                    hits.extend(lines.filter(has).map(|at| part.from + at));
                }
            }
        }
        hits.dedup();
        hits
    }

    /// All of it without colours.
    pub fn plain(&self) -> String {
        let lines: Vec<String> =
            (0..self.length).map(|at| ansi::plain(&self.line(at)) + "\n").collect();
        lines.concat()
    }
}

fn cut<'a>(text: &'a str, ranges: &Ranges, at: usize) -> &'a str {
    ranges.get(at).and_then(|(from, to)| text.get(*from..*to)).unwrap_or_default()
}

/// Where the lines begin and end once none is wider than `width`.
fn broken(text: &str, width: usize) -> Ranges {
    let mut ranges = Vec::with_capacity(text.len() / width + 1);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        let line = text.get(start..end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        if start == text.len() && start > 0 {
            break;
        }
        if line.len() <= width && !line.contains('\t') {
            ranges.push((start, start + line.len()));
        } else if line.is_ascii() && !line.contains('\t') {
            let starts = (0..line.len()).step_by(width);
            ranges
                .extend(starts.map(|from| (start + from, start + (from + width).min(line.len()))));
        } else {
            break_wide(line, start, width, &mut ranges);
        }
        start = end + 1;
    }
    ranges
}

/// The same of a line whose signs are not all one column wide.
fn break_wide(line: &str, start: usize, width: usize, ranges: &mut Ranges) {
    let (mut from, mut taken) = (0, 0);
    for (at, c) in line.char_indices() {
        let columns = if c == '\t' { 4 } else { c.width().unwrap_or(1) };
        if taken + columns > width && at > from {
            ranges.push((start + from, start + at));
            (from, taken) = (at, 0);
        }
        taken += columns;
    }
    ranges.push((start + from, start + line.len()));
}

fn hex(bytes: &[u8], at: usize) -> String {
    let row = bytes.chunks(HEX).nth(at).unwrap_or_default();
    let mut out = format!("{:08x} ", at * HEX);
    for at in 0..HEX {
        if at % 8 == 0 {
            out.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = match row.get(at) {
            Some(byte) => write!(out, "{byte:02x} "),
            None => write!(out, "   "),
        };
    }
    out.push(' ');
    out.extend(row.iter().map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_broken_at_the_width_and_tamed_when_seen() {
        let mut doc = Doc::default();
        doc.push_raw("abcdef\r\n日本語日本\na\u{1b}[31mb\n\n\tx".to_owned(), 4);
        let lines: Vec<String> = (0..doc.length()).map(|at| doc.line(at).into_owned()).collect();
        assert_eq!(lines, ["abcd", "ef", "日本", "語日", "本", "a␛[3", "1mb", "", "    ", "x"]);
        let wanted = Regex::new("(?i)DEF").unwrap();
        assert_eq!(doc.find(&wanted), [0], "across the break");
    }

    #[test]
    fn bytes_are_shown_as_hex_and_letters() {
        let mut doc = Doc::default();
        doc.push_bytes(b"\x89PNG\r\n\x1a\n and more of it".to_vec());
        assert_eq!(doc.length(), 2);
        assert_eq!(
            doc.line(0),
            "00000000  89 50 4e 47 0d 0a 1a 0a  20 61 6e 64 20 6d 6f 72  .PNG.... and mor"
        );
        assert!(doc.line(1).ends_with(" e of it"), "{}", doc.line(1));
    }

    #[test]
    fn folds_are_found_by_their_heads_and_from_inside() {
        let mut doc = Doc::default();
        doc.push("a");
        let outer = doc.open(false);
        doc.push("b");
        let inner = doc.open(true);
        doc.push("c");
        doc.close(inner, String::new());
        doc.push("d");
        doc.close(outer, " … 3".to_owned());
        doc.push("e");
        let empty = doc.open(false);
        doc.close(empty, String::new());
        let doc = doc.done();
        assert_eq!(doc.folds.len(), 2);
        assert_eq!((doc.fold_at(0), doc.fold_at(1), doc.fold_at(2)), (Some(0), Some(1), None));
        assert_eq!((doc.fold_around(2), doc.fold_around(3)), (Some(1), Some(0)));
        assert_eq!(doc.fold_around(4), None);
        assert_eq!(doc.folds[1].depth, 1);
    }
}
