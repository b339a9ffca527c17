//! Finds the members of a JSON body by their spans, so that a field can be read or replaced without a tree and without
//! re-serialising. One walk checks the structure of the whole body and reports the top-level members.
//!
//! What is checked: nesting (to [`DEPTH_MAX`]), commas, colons, literals, numbers, the ends of strings, and that nothing
//! follows the value. A UTF-8 byte order mark and white space around the value are accepted. More lenient than a parser,
//! because the provider judges the body anyway: control characters, invalid escapes, lone surrogates and invalid UTF-8
//! inside strings pass, and so does a number too large for a double. Whatever `serde_json` accepts is accepted.

#[cfg(test)]
pub(crate) mod arbitrary;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use scan::Scanner;
pub use text::{write_f64, write_string};
pub use walk::{Text, Walk};

/// Limit: containers open at once inside one member of the root.
pub const DEPTH_MAX: usize = 512;

/// Why a body is not JSON, and where reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {at}")]
pub struct JsonError {
    /// Offset in the input, counted from zero.
    pub at: usize,
    pub reason: &'static str,
}

/// What a value is, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// A value that has been walked over: where it stands and what it is.
#[derive(Clone)]
pub struct Value<'a> {
    input: &'a [u8],
    /// Offsets in the whole input, quotes and brackets included.
    pub span: Range<usize>,
    pub kind: Kind,
}

/// A member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// Offsets of the key, quotes included.
    pub key_span: Range<usize>,
    pub value: Value<'a>,
}

/// What the walk over a whole body saw besides the members.
#[derive(Debug, Clone)]
pub struct Layout<'a> {
    pub root: Value<'a>,
    /// Members of the root, duplicates counted; zero when the root is not an object.
    pub members: usize,
}

/// Walks the whole of `input` once and calls `visit` for each member of the object at its top, in order, duplicates
/// included. A root that is no object has no members and is no error.
pub fn each_member<'a>(
    input: &'a [u8],
    mut visit: impl FnMut(Member<'a>),
) -> Result<Layout<'a>, JsonError> {
    let mut scanner = Scanner::at_root(input)?;
    let start = scanner.at();
    let mut members = 0;
    let kind = if scanner.opens_object() {
        while let Some(member) = scanner.next_member()? {
            members += 1;
            visit(member);
        }
        Kind::Object
    } else {
        scanner.value()?.kind
    };
    let end = scanner.at();
    scanner.finish()?;
    Ok(Layout { root: Value { input, span: start..end, kind }, members })
}

/// Where the string whose opening quote stands at `start` ends, its closing quote included; nothing in it is checked. For
/// passes over structure alone, which need no keys and no values.
pub fn string_end(input: &[u8], start: usize) -> Option<usize> {
    scan::string_end(input, start)
}

/// Checks the whole of `input` and gives its root, for places where a second walk over parts of it costs nothing.
pub fn check(input: &[u8]) -> Result<Value<'_>, JsonError> {
    each_member(input, |_| ()).map(|layout| layout.root)
}

impl<'a> Value<'a> {
    /// The value that an earlier walk over `input` found at `span`.
    pub fn at(input: &'a [u8], span: &Range<usize>) -> Option<Self> {
        Scanner::before(input, span)?.value().ok()
    }

    /// The bytes of the value as they stand in the input.
    pub fn raw(&self) -> &'a [u8] {
        self.input.get(self.span.clone()).unwrap_or_default()
    }

    /// The text of a string, unescaped; allocates only when there is an escape.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        (self.kind == Kind::String).then(|| text::unquote(self.raw()))
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        self.number()
    }

    /// A number that is a whole one as written: `1.0` and `1e3` are none.
    pub fn as_u64(&self) -> Option<u64> {
        self.number()
    }

    fn number<T: std::str::FromStr>(&self) -> Option<T> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.raw()).ok()?.parse().ok()
    }

    /// The members of an object, in order; none for any other kind.
    pub fn members(&self) -> Members<'a> {
        Members(Scanner::inside(self.input, &self.span, Kind::Object))
    }

    /// The elements of an array, in order; none for any other kind.
    pub fn elements(&self) -> Elements<'a> {
        Elements(Scanner::inside(self.input, &self.span, Kind::Array))
    }

    /// The member `key` of an object. The last of several wins, as in most parsers.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members().filter(|member| member.key == key).last().map(|member| member.value)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole input would bury what is shown.
        write!(f, "{:?} at {:?}", self.kind, self.span)
    }
}

/// Iterator of [`Value::members`].
#[derive(Debug, Clone)]
pub struct Members<'a>(Option<Scanner<'a>>);

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        // The value was checked when it was found, so an error cannot come; if it did, it would read as the end.
        self.0.as_mut()?.next_member().ok().flatten()
    }
}

/// Iterator of [`Value::elements`].
#[derive(Debug, Clone)]
pub struct Elements<'a>(Option<Scanner<'a>>);

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.0.as_mut()?.next_element().ok().flatten()
    }
}
