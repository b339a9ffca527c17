//! One pass over one JSON text: members and elements go to closures, and what a closure does not take is skipped. For
//! answers, which are read in great number, seldom need more than a few members, and may be cut or wrong: nothing is
//! checked beyond what the reading needs, nothing is allocated, and where it cannot go on it stops.

use std::borrow::Cow;

use super::scan::{find_quote, find_quote_or_backslash};
use super::{Kind, text};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A place in a JSON text, before a value. A copy remembers the place.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    input: &'a [u8],
    at: usize,
    /// The text ended too soon or made no sense; stays so.
    broken: bool,
}

impl<'a> Walk<'a> {
    /// Stands before the root value.
    pub fn new(input: &'a [u8]) -> Self {
        let at = if input.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let mut walk = Self { input, at, broken: false };
        walk.skip_space();
        walk
    }

    /// Whether the text could not be read to its end.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// What has not been walked over, without the white space before it.
    pub fn rest(&mut self) -> &'a [u8] {
        self.skip_space();
        self.input.get(self.at..).unwrap_or_default()
    }

    /// What the value at the place is, told by its first byte.
    #[inline]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self.peek()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            _ => Kind::Number,
        })
    }

    /// Calls `visit` for each member of the object at the place, standing before its value; duplicates come twice. False,
    /// and nothing is moved over, when there is no object.
    #[inline]
    pub fn members(&mut self, mut visit: impl FnMut(&mut Self, &[u8])) -> bool {
        if self.peek() != Some(b'{') {
            return false;
        }
        self.at += 1;
        while self.next_item(b'}') {
            let Some((key, escaped)) = self.key() else {
                self.fail();
                break;
            };
            self.skip_space();
            if self.peek() != Some(b':') {
                self.fail();
                break;
            }
            self.at += 1;
            self.skip_space();
            let start = self.at;
            if escaped {
                visit(self, key.read().as_bytes());
            } else {
                visit(self, key.inner());
            }
            if self.at == start {
                self.skip();
            }
        }
        true
    }

    /// Calls `visit` for each element of the array at the place, standing before it. False, and nothing is moved over,
    /// when there is no array.
    #[inline]
    pub fn elements(&mut self, mut visit: impl FnMut(&mut Self)) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.at += 1;
        while self.next_item(b']') {
            let start = self.at;
            visit(self);
            if self.at == start {
                self.skip();
            }
        }
        true
    }

    /// Takes the string at the place; nothing is moved over when there is none. Long texts are full of escapes and have few
    /// quotes, so quotes are looked for, and what stands before them.
    #[inline]
    pub fn text(&mut self) -> Option<Text<'a>> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at;
        let mut at = start + 1;
        while let Some(offset) = self.input.get(at..).and_then(find_quote) {
            let before = self.input.get(at..at + offset)?;
            at += offset + 1;
            // After an odd number of backslashes the quote belongs to the text.
            let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 0 {
                self.at = at;
                return Some(Text { quoted: self.input.get(start..at)? });
            }
        }
        self.fail();
        None
    }

    /// Takes the string at the place, which is short as a rule, and says whether there is an escape in it.
    #[inline]
    fn key(&mut self) -> Option<(Text<'a>, bool)> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at;
        let mut at = start + 1;
        let mut escaped = false;
        while let Some(offset) = self.input.get(at..).and_then(find_quote_or_backslash) {
            at += offset;
            if self.input.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Some((Text { quoted: self.input.get(start..self.at)? }, escaped));
            }
            escaped = true;
            at += 2;
        }
        self.fail();
        None
    }

    /// Takes the number or literal at the place, as it stands there, right or wrong.
    pub fn scalar(&mut self) -> Option<&'a [u8]> {
        let rest = self.input.get(self.at..)?;
        let ends = |byte: &u8| {
            matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'{' | b'[')
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|scalar| !scalar.is_empty())
    }

    /// Leaves the whole text: what was looked for is found.
    pub fn leave(&mut self) {
        self.at = self.input.len();
    }

    /// Takes `true` or `false`; nothing is moved over when there is neither.
    pub fn boolean(&mut self) -> Option<bool> {
        match self.kind() {
            Some(Kind::True) => self.scalar().map(|_| true),
            Some(Kind::False) => self.scalar().map(|_| false),
            _ => None,
        }
    }

    /// Takes the number at the place; nothing is moved over when there is none.
    pub fn number(&mut self) -> Option<f64> {
        if self.kind() != Some(Kind::Number) {
            return None;
        }
        let scalar = self.scalar()?;
        std::str::from_utf8(scalar).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Takes a number that counts something; nothing for any other.
    pub fn count(&mut self) -> Option<u64> {
        if self.kind() != Some(Kind::Number) {
            return None;
        }
        std::str::from_utf8(self.scalar()?).ok()?.parse().ok()
    }

    /// Moves over the value at the place and gives it as it stands there.
    pub fn raw(&mut self) -> &'a [u8] {
        let start = self.at;
        self.skip();
        self.input.get(start..self.at).unwrap_or_default()
    }

    /// Moves over the value at the place, however deep. Inside it only strings and brackets are told apart.
    #[inline]
    pub fn skip(&mut self) {
        match self.peek() {
            Some(b'"') => {
                self.text();
            }
            Some(b'{' | b'[') => self.skip_container(),
            _ => {
                if self.scalar().is_none() {
                    self.fail();
                }
            }
        }
    }

    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.text();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
        self.fail();
    }

    /// Moves to the next item of a container, or over the bracket that ends it.
    #[inline]
    fn next_item(&mut self, closer: u8) -> bool {
        loop {
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == closer => {
                    self.at += 1;
                    return false;
                }
                Some(_) => return true,
                None => {
                    self.fail();
                    return false;
                }
            }
        }
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// From here on there is nothing to read, so that every loop ends.
    #[cold]
    fn fail(&mut self) {
        self.broken = true;
        self.at = self.input.len();
    }
}

/// A string as it stands in the input.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    quoted: &'a [u8],
}

impl<'a> Text<'a> {
    pub fn is_empty(&self) -> bool {
        self.quoted.len() <= 2
    }

    /// The bytes between the quotes, escapes unread.
    pub fn inner(&self) -> &'a [u8] {
        self.quoted.get(1..self.quoted.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The text, unescaped; allocates only when there is an escape, or invalid UTF-8.
    pub fn read(&self) -> Cow<'a, str> {
        text::unquote(self.quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::{arbitrary, check};
    use proptest::prelude::*;

    /// Rebuilds the text by walking all of it.
    fn rebuilt(walk: &mut Walk<'_>) -> serde_json::Value {
        let mut members = serde_json::Map::new();
        if walk.clone().members(|_, _| ()) {
            walk.members(|walk, key| {
                let key = String::from_utf8(key.to_vec()).unwrap();
                members.insert(key, rebuilt(walk));
            });
            return members.into();
        }
        let mut elements = Vec::new();
        if walk.elements(|walk| elements.push(rebuilt(walk))) {
            return elements.into();
        }
        if let Some(text) = walk.text() {
            return text.read().into_owned().into();
        }
        serde_json::from_slice(walk.scalar().unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn a_walk_sees_what_a_parser_sees(value in arbitrary::value(), layout in arbitrary::layout()) {
            let text = arbitrary::write(&value, &layout);
            let mut walk = Walk::new(text.as_bytes());
            let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(rebuilt(&mut walk), theirs);
            prop_assert!(!walk.is_broken() && walk.rest().is_empty());

            let mut skipping = Walk::new(text.as_bytes());
            prop_assert_eq!(skipping.raw(), text.trim_ascii().as_bytes());
            prop_assert!(!skipping.is_broken());
        }

        #[test]
        fn a_cut_text_is_broken_and_never_walked_past(value in arbitrary::object(), cut in any::<prop::sample::Index>()) {
            let text = value.to_string();
            let cut = &text.as_bytes()[..cut.index(text.len())];
            let mut walk = Walk::new(cut);
            walk.skip();
            prop_assert!(walk.is_broken() && check(cut).is_err());
        }

        #[test]
        fn a_text_ends_at_its_first_quote_that_is_not_escaped(inner in r#"[\\"a{]{0,40}"#, padding in 0_usize..80) {
            let input = format!("\"{}{inner}\" , 1", "x".repeat(padding));
            let (mut texts, mut keys) = (Walk::new(input.as_bytes()), Walk::new(input.as_bytes()));
            let (text, key) = (texts.text(), keys.key());
            prop_assert_eq!(text.map(|text| text.inner()), key.map(|(key, _)| key.inner()));
            prop_assert_eq!((texts.at, texts.broken), (keys.at, keys.broken));
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[],:\"\\1n ".to_vec())], 0..64)) {
            let mut walk = Walk::new(&bytes);
            walk.members(|walk, _| {
                walk.elements(|walk| {
                    walk.members(|_, _| ());
                });
            });
            walk.skip();
        }
    }

    #[test]
    fn values_are_taken_only_when_they_are_of_the_kind() {
        let mut seen = Vec::new();
        Walk::new(
            br#"{"a\u0062":"x","n":12.0,"m":7,"t":true,"z":null,"bad":NaN,"o":{"d":[1,"]"]}}"#,
        )
        .members(|walk, key| {
            let key = String::from_utf8_lossy(key).into_owned();
            let text = walk.text().map(|text| text.read().into_owned());
            seen.push(format!("{key} {text:?} {:?} {:?}", walk.boolean(), walk.clone().count()));
        });
        assert_eq!(
            seen,
            [
                "ab Some(\"x\") None None",
                "n None None None",
                "m None None Some(7)",
                "t None Some(true) None",
                "z None None None",
                "bad None None None",
                "o None None None"
            ]
        );
    }
}
