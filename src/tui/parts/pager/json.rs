//! JSON as lines that fold, straight from its text: the order of the members and the spelling of numbers stay as they are.

use serde::de::IgnoredAny;

use crate::report::look::{clean, clip};
use crate::report::words;
use crate::tui::parts::pager::doc::Doc;

/// Columns of a step to the right.
const STEP: usize = 2;
/// Columns of an object or list that stands on one line.
const SHORT: usize = 60;
/// Lines of a string that are shown before it is folded.
const STRING_LINES: usize = 12;
/// From this many lines on only the first two levels are unfolded.
const LINES: usize = 150;

/// Whether it is one JSON value.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Adds the lines of a JSON text, which [`is_json`] has said it is, `margin` columns to the right.
pub fn push(doc: &mut Doc, text: &str, margin: usize, width: usize) {
    let first = doc.folds.len();
    let base = doc.depth();
    let before = doc.length();
    let mut printer = Printer { rest: text.trim_start(), doc, margin, width: width.max(20) };
    printer.value("", 0, false);
    if doc.length() - before > LINES {
        for fold in doc.folds.iter_mut().skip(first).filter(|fold| fold.depth >= base + 2) {
            fold.folded = true;
        }
    }
}

struct Printer<'a, 'd> {
    rest: &'a str,
    doc: &'d mut Doc,
    margin: usize,
    width: usize,
}

impl<'a> Printer<'a, '_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn comma(&mut self) -> &'static str {
        self.blank();
        if self.rest.starts_with(',') {
            self.take(1);
            return ",";
        }
        ""
    }

    /// One value; `name`: its member's name, painted, with the colon. The text is JSON, so the depth is bounded.
    fn value(&mut self, name: &str, depth: usize, name_is_long: bool) {
        self.blank();
        let indent = " ".repeat((self.margin + depth * STEP).min(self.width / 2));
        match self.rest.bytes().next() {
            Some(b'{' | b'[') => self.container(name, &indent, depth),
            Some(b'"') => {
                let text = self.take(string_end(self.rest));
                let comma = self.comma();
                self.string(name, &indent, text, comma, name_is_long);
            }
            _ => {
                let end = self.rest.find([',', '}', ']', ' ', '\n', '\r', '\t']);
                let word = self.take(end.unwrap_or(self.rest.len()));
                let comma = self.comma();
                self.doc.push(&format!("{indent}{name}\u{1b}[33m{}\u{1b}[0m{comma}", clean(word)));
            }
        }
    }

    fn container(&mut self, name: &str, indent: &str, depth: usize) {
        if let Some(end) = short_end(self.rest) {
            let text = self.take(end);
            let comma = self.comma();
            self.doc.push(&format!("{indent}{name}{}{comma}", clean(text)));
            return;
        }
        let is_object = self.rest.starts_with('{');
        let (begin, end) = if is_object { ("{", "}") } else { ("[", "]") };
        let whole = self.rest;
        self.take(1);
        self.doc.push(&format!("{indent}{name}{begin}"));
        let fold = self.doc.open(false);
        let mut items = 0_usize;
        loop {
            self.blank();
            if self.rest.is_empty() || self.rest.starts_with(['}', ']']) {
                break;
            }
            items += 1;
            let left = self.rest.len();
            if is_object {
                let key = self.take(string_end(self.rest));
                self.blank();
                self.take(1);
                let painted = format!("\u{1b}[36m{}\u{1b}[0m: ", clean(key));
                self.value(&painted, depth + 1, key.len() > self.width / 2);
            } else {
                self.value("", depth + 1, false);
            }
            if self.rest.len() == left {
                // No JSON after all: what is left is not looked at for ever.
                break;
            }
        }
        self.take(1);
        let bytes = whole.len() - self.rest.len();
        let size = words::bytes(bytes as u64);
        let comma = self.comma();
        self.doc.push(&format!("{indent}{end}{comma}"));
        let told = if is_object {
            let taken = indent.len() + plain_columns(name) + size.len() + 8;
            beginning(whole.get(1..bytes).unwrap_or_default(), self.width.saturating_sub(taken))
        } else {
            format!(" … {}", words::things(items, "item", "items"))
        };
        self.doc.close(fold, format!("{told} · {size} {end}{comma}"));
    }

    /// A string, broken at the width; many lines of it fold.
    fn string(&mut self, name: &str, indent: &str, text: &str, comma: &str, name_is_long: bool) {
        let clean = clean(text);
        let name_columns = if name_is_long { self.width / 2 } else { plain_columns(name) };
        let first = self.width.saturating_sub(indent.len() + name_columns + 1).max(10);
        let others = self.width.saturating_sub(indent.len() + STEP + 1).max(10);
        let paint = |piece: &str| format!("\u{1b}[32m{piece}\u{1b}[0m");
        let (head, mut rest) = split_columns(&clean, first);
        if rest.is_empty() {
            self.doc.push(&format!("{indent}{name}{}{comma}", paint(head)));
            return;
        }
        self.doc.push(&format!("{indent}{name}{}", paint(head)));
        let fold = self.doc.open(false);
        let before = self.doc.length();
        while !rest.is_empty() {
            let (piece, more) = split_columns(rest, others);
            let comma = if more.is_empty() { comma } else { "" };
            self.doc.push(&format!("{indent}  {}{comma}", paint(piece)));
            rest = more;
        }
        let lines = self.doc.length() - before;
        let note = format!(" … {}{comma}", words::bytes(text.len() as u64));
        self.doc.close(fold, note);
        if let Some(fold) = self.doc.folds.get_mut(fold) {
            fold.folded = lines >= STRING_LINES;
        }
    }
}

/// How an object goes on after its brace, on one line.
fn beginning(text: &str, width: usize) -> String {
    let end = text.floor_char_boundary((width * 2).min(text.len()));
    let begin = text.get(..end).unwrap_or_default();
    let begin = begin.split_whitespace().collect::<Vec<_>>().join(" ");
    clip(&clean(&begin), width)
}

/// Columns of a painted name.
fn plain_columns(name: &str) -> usize {
    crate::report::look::columns(&crate::tui::parts::ansi::plain(name))
}

/// As much as fits, at least one sign.
fn split_columns(text: &str, width: usize) -> (&str, &str) {
    use unicode_width::UnicodeWidthChar;
    let ascii = text.as_bytes().get(..width);
    if ascii.is_none_or(<[u8]>::is_ascii)
        && let Some(halves) = text.split_at_checked(width)
    {
        return halves;
    }
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(1);
        if taken > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// The bytes of the string that the text begins with, its quotes among them.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The bytes of the object or list that the text begins with, if it fits on one line and has no line feed in it.
fn short_end(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at < SHORT {
        match bytes.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at += string_end(text.get(at..)?) - 1,
            b'\n' => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, width: usize) -> (Doc, String) {
        assert!(is_json(text));
        let mut doc = Doc::default();
        push(&mut doc, text, 0, width);
        let doc = doc.done();
        let plain = doc.plain();
        (doc, plain)
    }

    #[test]
    fn members_keep_their_order_and_numbers_their_spelling() {
        let text = r#"{"z":1.50,"a":[1,2],"b":{"text":"a \"quoted\" [word] that is quite long, so that it needs a line"},"e":{}, "n":null}"#;
        let (doc, plain) = lines(text, 60);
        let expected = r#"{
  "z": 1.50,
  "a": [1,2],
  "b": {
    "text": "a \"quoted\" [word] that is quite long, so tha
      t it needs a line"
  },
  "e": {},
  "n": null
}
"#;
        assert_eq!(plain, expected);
        let notes: Vec<&str> = doc.folds.iter().map(|fold| fold.note.as_str()).collect();
        assert_eq!(
            notes,
            [
                "\"z\":1.50,\"a\":[1,2],\"b\":{\"text\":\"a \\\"quoted\\\" [… · 116 B }",
                "\"text\":\"a \\\"quoted\\\" [word] that is quit… · 74 B },",
                " … 65 B"
            ]
        );
    }

    #[test]
    fn much_of_it_is_folded_below_the_second_level_and_long_strings_always() {
        let item = format!(r#"{{"role":"user","content":"{}"}}"#, "x".repeat(3_000));
        let items = vec![item; 40].join(",");
        let (doc, _) = lines(&format!(r#"{{"messages":[{items}]}}"#), 80);
        let folded = |depth| {
            let mut of = doc.folds.iter().filter(|fold| fold.depth == depth);
            (of.clone().count(), of.all(|fold| fold.folded))
        };
        assert_eq!((folded(0), folded(1)), ((1, false), (1, false)));
        assert_eq!((folded(2), folded(3)), ((40, true), (40, true)));
    }

    #[test]
    fn nothing_in_it_drives_the_terminal() {
        let (_, plain) = lines("[\"\u{9b}2J\u{202e}\", \"\\u001b[31m\"]", 40);
        assert!(!plain.contains(['\u{9b}', '\u{202e}', '\u{1b}']), "{plain}");
    }
}
