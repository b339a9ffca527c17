//! What stands in the place of a secret: its kind, and a keyed digest that shows equality and nothing else.

use std::ops::Range;
use std::sync::Arc;

/// What a secret is, as far as the place it was found in tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    ApiKey,
    Bearer,
    Jwt,
    PrivateKey,
    Password,
    /// The value of a header that is not on the list of those that are kept.
    Header,
    /// What a JSON pointer of the configuration points at.
    Pointer,
    /// A pattern of the configuration, by its name.
    Pattern(Arc<str>),
}

/// What every placeholder begins with.
pub const OPENING: &str = "[redacted:";
/// Characters of the digest.
const DIGITS: usize = 8;

impl Kind {
    pub fn label(&self) -> &str {
        match self {
            Self::ApiKey => "api_key",
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
            Self::Password => "password",
            Self::Header => "header",
            Self::Pointer => "pointer",
            Self::Pattern(_) => "pattern",
        }
    }
}

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub span: Range<usize>,
    pub kind: Kind,
    /// Where the quote stands that the placeholder needs on both sides: the value is a bare number in JSON.
    pub quote: Option<Range<usize>>,
}

impl Hit {
    pub(super) fn new(span: Range<usize>, kind: Kind) -> Self {
        Self { span, kind, quote: None }
    }
}

/// Makes placeholders. Equal values have equal ones under one key, and nobody without the key can tell of what.
#[derive(Clone)]
pub struct Marker {
    key: [u8; 32],
}

impl Marker {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// `[redacted:KIND:8hex]`.
    pub fn placeholder(&self, kind: &Kind, value: &[u8]) -> String {
        let mut text = String::with_capacity(40);
        text.push_str(OPENING);
        text.push_str(kind.label());
        if let Kind::Pattern(name) = kind {
            text.push(':');
            text.push_str(name);
        }
        text.push(':');
        let digest = blake3::keyed_hash(&self.key, value);
        text.push_str(digest.to_hex().get(..DIGITS).unwrap_or_default());
        text.push(']');
        text
    }

    /// The text with a placeholder in the place of each hit; `hits` ascend and do not overlap.
    pub fn replace(&self, text: &[u8], hits: &[Hit]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(text.len());
        let mut at = 0;
        for hit in hits {
            let value = text.get(hit.span.clone()).unwrap_or_default();
            let quote = hit.quote.clone().and_then(|quote| text.get(quote)).unwrap_or_default();
            clean.extend_from_slice(text.get(at..hit.span.start).unwrap_or_default());
            clean.extend_from_slice(quote);
            clean.extend_from_slice(self.placeholder(&hit.kind, value).as_bytes());
            clean.extend_from_slice(quote);
            at = hit.span.end;
        }
        clean.extend_from_slice(text.get(at..).unwrap_or_default());
        clean
    }
}

impl std::fmt::Debug for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Marker(…)")
    }
}

/// Where placeholders stand already, ascending: nothing is looked for in them.
pub(super) fn placeholders(text: &[u8]) -> Vec<Range<usize>> {
    /// Limit: characters of a placeholder.
    const LENGTH_MAX: usize = 120;
    memchr::memmem::find_iter(text, OPENING)
        .filter_map(|start| {
            let rest = text.get(start..text.len().min(start + LENGTH_MAX))?;
            Some(start..start + memchr::memchr(b']', rest)? + 1)
        })
        .collect()
}
