//! Takes a JSON document apart while it is read: the elements of `log.entries`, one at a time, whatever else is in it. What
//! stands between the elements is only looked at, so that one that is damaged inside spoils no other.

use std::io::{self, BufRead};

use crate::report::formats::import::ITEM_MAX;

/// What became of an element.
pub(super) enum Element {
    Json(Vec<u8>),
    TooLong,
}

/// How the document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    CutOff,
    /// There is no list of that name.
    Nothing,
}

/// Where the scanner stands.
#[derive(Default)]
struct Scanner {
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// The text that was read last, while it may be the list's name.
    name: Vec<u8>,
    /// `"entries":` was read, its list has not begun.
    named: bool,
    /// Inside the list, at this depth.
    list: Option<usize>,
    element: Vec<u8>,
    too_long: bool,
    ended: bool,
}

const NAME: &[u8] = b"entries";
/// The list stands in an object in the document's object.
const NAME_DEPTH: usize = 2;

/// Gives each element of the list; `false` stops.
pub(super) fn elements(
    from: &mut dyn BufRead,
    visit: &mut dyn FnMut(Element) -> bool,
) -> io::Result<Ending> {
    let mut scanner = Scanner::default();
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(match (scanner.ended, scanner.list) {
                (true, _) => Ending::Whole,
                (false, Some(_)) => Ending::CutOff,
                (false, None) => Ending::Nothing,
            });
        }
        let length = buffer.len();
        for byte in buffer {
            if let Some(element) = scanner.step(*byte)
                && !visit(element)
            {
                return Ok(Ending::Whole);
            }
            if scanner.ended {
                return Ok(Ending::Whole);
            }
        }
        from.consume(length);
    }
}

impl Scanner {
    fn step(&mut self, byte: u8) -> Option<Element> {
        let inside = self.list.is_some_and(|depth| self.depth > depth);
        if inside {
            self.keep(byte);
        }
        if self.in_text {
            self.text(byte, inside);
            return None;
        }
        match byte {
            b'"' => {
                self.in_text = true;
                self.name.clear();
            }
            b':' => self.named = self.depth == NAME_DEPTH && self.name == NAME,
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => return self.close(),
            b',' => self.named = false,
            _ => {}
        }
        None
    }

    fn text(&mut self, byte: u8, inside: bool) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_text = false;
            return;
        }
        if !inside && self.name.len() <= NAME.len() {
            self.name.push(byte);
        }
    }

    fn open(&mut self, byte: u8) {
        if self.named && byte == b'[' && self.list.is_none() {
            self.list = Some(self.depth + 1);
        } else if self.list == Some(self.depth) {
            self.element.clear();
            self.too_long = false;
            self.keep(byte);
        }
        self.named = false;
        self.depth += 1;
    }

    fn close(&mut self) -> Option<Element> {
        self.depth = self.depth.saturating_sub(1);
        let list = self.list?;
        if self.depth < list {
            self.ended = true;
            return None;
        }
        (self.depth == list).then(|| {
            if std::mem::take(&mut self.too_long) {
                return Element::TooLong;
            }
            Element::Json(std::mem::take(&mut self.element))
        })
    }

    fn keep(&mut self, byte: u8) {
        if self.element.len() >= ITEM_MAX {
            self.too_long = true;
            self.element = Vec::new();
        }
        if !self.too_long {
            self.element.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn split(text: &str, size: usize) -> (Vec<String>, Ending) {
        let mut found = Vec::new();
        let mut from = BufReader::with_capacity(size, text.as_bytes());
        let ending = elements(&mut from, &mut |element| {
            if let Element::Json(json) = element {
                found.push(String::from_utf8(json).unwrap());
            }
            true
        });
        (found, ending.unwrap())
    }

    #[test]
    fn elements_come_out_whole_however_the_file_is_read() {
        let text = r#"{"log":{"x":{"entries":[{"no":1}]},"creator":{"name":"en\"tries"},"entries" : [
            {"a":"]}\"{","b":[1,{"entries":[2]}]} , {"c":"\\"},
            {} ],"pages":[{}]}}"#;
        for size in [1, 2, 7, 1_000] {
            let (found, ending) = split(text, size);
            assert_eq!(
                found,
                [r#"{"a":"]}\"{","b":[1,{"entries":[2]}]}"#, r#"{"c":"\\"}"#, "{}"],
                "{size}"
            );
            assert_eq!(ending, Ending::Whole);
        }
    }

    #[test]
    fn a_document_that_was_cut_gives_what_is_whole() {
        let (found, ending) = split(r#"{"log":{"entries":[{"a":1},{"b":"#, 4);
        assert_eq!((found.len(), ending), (1, Ending::CutOff));
        assert_eq!(split(r#"{"log":{"pages":[]}}"#, 4).1, Ending::Nothing);
        assert_eq!(split(r#"]]]}}}"entries":[{}]"#, 4).1, Ending::Nothing);
    }
}
