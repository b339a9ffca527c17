//! The walk itself: bytes in, spans out. Nothing is allocated for what is skipped.

use std::ops::Range;

use super::{DEPTH_MAX, JsonError, Kind, Member, Value, text};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A position in the input, and whether the container being iterated has given an item yet.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    input: &'a [u8],
    at: usize,
    state: Iteration,
}

/// Where an iteration over one container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Iteration {
    Before,
    Between,
    Done,
}

/// What the walk over nested containers expects next.
#[derive(Clone, Copy)]
enum Step {
    Key,
    Value,
    AfterValue,
}

impl<'a> Scanner<'a> {
    /// Stands before the root value of `input`.
    pub(super) fn at_root(input: &'a [u8]) -> Result<Self, JsonError> {
        let at = if input.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let mut scanner = Self { input, at, state: Iteration::Before };
        scanner.skip_space();
        if scanner.peek().is_none() {
            return Err(scanner.error("the body is empty"));
        }
        Ok(scanner)
    }

    /// Stands before a container that has been walked over already; nothing when it is of another kind.
    pub(super) fn inside(input: &'a [u8], span: &Range<usize>, kind: Kind) -> Option<Self> {
        let opener = if kind == Kind::Object { b'{' } else { b'[' };
        Self::before(input, span).filter(|scanner| scanner.peek() == Some(opener))
    }

    /// Stands before a value that has been walked over already.
    pub(super) fn before(input: &'a [u8], span: &Range<usize>) -> Option<Self> {
        Some(Self { input: input.get(..span.end)?, at: span.start, state: Iteration::Before })
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn opens_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    /// The next member of the object the scanner stands before or in.
    pub(super) fn next_member(&mut self) -> Result<Option<Member<'a>>, JsonError> {
        if !self.next_item(b'}')? {
            return Ok(None);
        }
        let key_start = self.at;
        self.string()?;
        let key_span = key_start..self.at;
        self.colon()?;
        let value = self.value()?;
        let key = text::unquote(self.input.get(key_span.clone()).unwrap_or_default());
        Ok(Some(Member { key, key_span, value }))
    }

    /// The next element of the array the scanner stands before or in.
    pub(super) fn next_element(&mut self) -> Result<Option<Value<'a>>, JsonError> {
        if self.next_item(b']')? { self.value().map(Some) } else { Ok(None) }
    }

    /// Moves over the bracket or comma before an item, or over the bracket that ends the container.
    fn next_item(&mut self, closer: u8) -> Result<bool, JsonError> {
        if self.state == Iteration::Done {
            return Ok(false);
        }
        if self.state == Iteration::Before {
            self.at += 1;
        }
        self.skip_space();
        match (self.peek(), self.state) {
            (Some(byte), _) if byte == closer => {
                self.at += 1;
                self.state = Iteration::Done;
                return Ok(false);
            }
            (_, Iteration::Before) => self.state = Iteration::Between,
            (Some(b','), _) => {
                self.at += 1;
                self.skip_space();
            }
            _ => return Err(self.error("expected a comma or the end of the object or array")),
        }
        Ok(true)
    }

    /// Walks over the value at the position, however deep.
    pub(super) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            _ => {
                let kind = self.scalar()?;
                return Ok(self.found(start, kind));
            }
        };
        self.container()?;
        Ok(self.found(start, kind))
    }

    fn found(&self, start: usize, kind: Kind) -> Value<'a> {
        Value { input: self.input, span: start..self.at, kind }
    }

    /// Nothing but white space may follow the root.
    pub(super) fn finish(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("something follows the end of the JSON value")),
        }
    }

    fn container(&mut self) -> Result<(), JsonError> {
        let mut nest = Nest::default();
        let mut step = Step::Value;
        loop {
            match step {
                Step::Value => {
                    step = match self.peek() {
                        Some(b'{') => self.open(&mut nest, b'}')?,
                        Some(b'[') => self.open(&mut nest, b']')?,
                        _ => {
                            self.scalar()?;
                            Step::AfterValue
                        }
                    };
                }
                Step::Key => {
                    self.string()?;
                    self.colon()?;
                    step = Step::Value;
                }
                Step::AfterValue => {
                    if nest.depth == 0 {
                        return Ok(());
                    }
                    self.skip_space();
                    let in_object = nest.in_object();
                    match self.peek() {
                        Some(b',') => {
                            self.at += 1;
                            self.skip_space();
                            step = if in_object { Step::Key } else { Step::Value };
                        }
                        Some(b'}') if in_object => {
                            self.at += 1;
                            nest.depth -= 1;
                        }
                        Some(b']') if !in_object => {
                            self.at += 1;
                            nest.depth -= 1;
                        }
                        None => return Err(self.error("the body ends inside an object or array")),
                        Some(_) => {
                            return Err(
                                self.error("expected a comma or the end of the object or array")
                            );
                        }
                    }
                }
            }
        }
    }

    /// Moves over an opening bracket, and over its closing one when nothing stands between.
    fn open(&mut self, nest: &mut Nest, closer: u8) -> Result<Step, JsonError> {
        if !nest.push(closer == b'}') {
            return Err(self.error("objects and arrays are nested more than 512 deep"));
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(closer) {
            self.at += 1;
            nest.depth -= 1;
            return Ok(Step::AfterValue);
        }
        Ok(if closer == b'}' { Step::Key } else { Step::Value })
    }

    fn scalar(&mut self) -> Result<Kind, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| Kind::String),
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            Some(b'n') => self.literal(b"null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number),
            None => Err(self.error("the body ends where a value should stand")),
            Some(_) => Err(self.error("expected a value")),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Kind, JsonError> {
        if self.rest().starts_with(word) {
            self.at += word.len();
            return Ok(kind);
        }
        Err(self.error("expected true, false or null"))
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.error("a number starts with a needless zero"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error("expected a digit"));
        }
        Ok(())
    }

    /// Walks over a string: from its opening quote to after its closing one.
    fn string(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a key in quotes"));
        }
        let mut at = self.at + 1;
        while let Some(offset) = self.input.get(at..).and_then(find_quote_or_backslash) {
            at += offset;
            if self.input.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Ok(());
            }
            at += 2;
        }
        Err(self.error("the string that begins here has no end"))
    }

    fn colon(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.error("expected a colon after the key"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn error(&self, reason: &'static str) -> JsonError {
        JsonError { at: self.at.min(self.input.len()), reason }
    }
}

/// Which of the open containers are objects: one bit each.
#[derive(Default)]
struct Nest {
    objects: [u64; DEPTH_MAX / 64],
    depth: usize,
}

impl Nest {
    /// Limit: [`DEPTH_MAX`]; past it nothing is pushed and the answer is false.
    fn push(&mut self, object: bool) -> bool {
        let Some(word) = self.objects.get_mut(self.depth / 64) else {
            return false;
        };
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        true
    }

    fn in_object(&self) -> bool {
        let top = self.depth.wrapping_sub(1);
        self.objects.get(top / 64).is_some_and(|word| word & (1 << (top % 64)) != 0)
    }
}

/// Where the string that begins at `start` ends, its closing quote included; nothing in it is checked.
pub(super) fn string_end(input: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += input.get(at..).and_then(find_quote_or_backslash)?;
        if input.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The first quote or backslash. Most strings in a request are keys and short words, for which the call into the
/// vectorised search costs more than the search; so the first bytes are looked at eight at a time in place.
pub(super) fn find_quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const NEAR_WORDS: usize = 4;
    let (words, _) = bytes.as_chunks::<8>();
    let mut near = 0;
    for word in words.iter().take(NEAR_WORDS) {
        let word = u64::from_le_bytes(*word);
        let hits = zero_bytes(word ^ repeat(b'"')) | zero_bytes(word ^ repeat(b'\\'));
        if hits != 0 {
            return Some(near + (hits.trailing_zeros() / 8) as usize);
        }
        near += 8;
    }
    memchr::memchr2(b'"', b'\\', bytes.get(near..)?).map(|offset| near + offset)
}

/// The first quote, in the same way.
pub(super) fn find_quote(bytes: &[u8]) -> Option<usize> {
    const NEAR_WORDS: usize = 4;
    let (words, _) = bytes.as_chunks::<8>();
    let mut near = 0;
    for word in words.iter().take(NEAR_WORDS) {
        let hits = zero_bytes(u64::from_le_bytes(*word) ^ repeat(b'"'));
        if hits != 0 {
            return Some(near + (hits.trailing_zeros() / 8) as usize);
        }
        near += 8;
    }
    memchr::memchr(b'"', bytes.get(near..)?).map(|offset| near + offset)
}

const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Sets the high bit of each zero byte. Bytes above the lowest zero byte may be marked wrongly; the lowest is right.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(repeat(0x01)) & !word & repeat(0x80)
}
