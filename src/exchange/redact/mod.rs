//! Takes secrets out of what is kept or shown: keys, tokens, passwords, private keys, and values of headers nobody asked
//! for. Pure, but for the rules of the running gateway, which are set once at the start and at each reload.
//!
//! There is one list of what is looked for, here; the store, spans, log lines and error texts all go by it. Each secret
//! becomes a placeholder, `[redacted:KIND:8hex]`, whose digits are a digest under the store's own key: equal secrets
//! look equal within one store, and nowhere else does the digest mean anything.
//!
//! ```text
//!  text ─► one pass for all words (scan) ─► what stands there? (context, pairs, shapes) ─► placeholder (mark)
//! ```

mod context;
pub mod headers;
pub mod mark;
mod pairs;
mod scan;
mod shapes;
mod words;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arc_swap::{ArcSwap, Guard};
use regex::bytes::Regex;

use headers::Allowed;
use mark::{Hit, Kind, Marker};

/// Limit: characters of base64 that may stand in a text that is shown; a longer run is replaced by its size.
const BASE64_MAX: usize = 512;

/// A pattern of the configuration.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub name: Arc<str>,
    /// The group `secret` is replaced where it has one, else all that it finds.
    pub regex: Regex,
}

/// What is looked for and what it is replaced by.
#[derive(Debug, Clone)]
pub struct Rules {
    marker: Marker,
    patterns: Vec<Pattern>,
    headers: Allowed,
    version: u32,
}

/// The rules of the running gateway. Until they are set: what is known to everybody, under a key of this process's own.
static CURRENT: LazyLock<ArcSwap<Rules>> =
    LazyLock::new(|| ArcSwap::from_pointee(Rules::new(process_key(), Vec::new(), &[])));

/// Sets the rules that spans, log lines and headers go by from now on.
pub fn install(rules: Arc<Rules>) {
    CURRENT.store(rules);
}

/// The rules in force.
pub fn current() -> Guard<Arc<Rules>> {
    CURRENT.load()
}

/// A key that no other process has.
pub fn process_key() -> [u8; 32] {
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
        // Each id brings 74 random bits.
        let mut hasher =
            blake3::Hasher::new_derive_key("pinhole 2026 digests of secrets, one process");
        for _ in 0..8 {
            hasher.update(uuid::Uuid::now_v7().as_bytes());
        }
        *hasher.finalize().as_bytes()
    });
    *KEY
}

impl Rules {
    /// `headers_allow` names headers whose values are kept besides the known ones; `*` at the end takes a beginning.
    pub fn new(key: [u8; 32], patterns: Vec<Pattern>, headers_allow: &[String]) -> Self {
        Self {
            marker: Marker::new(key),
            patterns,
            headers: Allowed::new(headers_allow),
            version: 0,
        }
    }

    /// What stands for the whole policy that these are part of.
    #[must_use]
    pub fn of_version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The same for the same policy in every run; 0: part of none.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    pub fn has_own_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The text without secrets; `None` when there were none.
    pub fn clean(&self, text: &[u8]) -> Option<Vec<u8>> {
        let hits = self.hits(text);
        (!hits.is_empty()).then(|| self.marker.replace(text, &hits))
    }

    /// The same for a text of characters.
    pub fn clean_text(&self, text: &str) -> Option<String> {
        let clean = self.clean(text.as_bytes())?;
        Some(
            String::from_utf8(clean)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// Where the secrets stand, ascending and apart from each other.
    pub fn hits(&self, text: &[u8]) -> Vec<Hit> {
        let known = scan::scan(text);
        if self.patterns.is_empty() {
            return known;
        }
        let placeholders = mark::placeholders(text);
        let mut hits = known;
        for pattern in &self.patterns {
            for found in pattern.regex.captures_iter(text) {
                let Some(found) = found.name("secret").or_else(|| found.get(0)) else { continue };
                let span = found.range();
                let marked =
                    placeholders.iter().any(|own| own.start < span.end && span.start < own.end);
                if !span.is_empty() && !marked {
                    hits.push(Hit::new(span, Kind::Pattern(Arc::clone(&pattern.name))));
                }
            }
        }
        apart(hits)
    }

    /// Goes into the policy's version: what is found by these rules.
    pub fn describe(&self, out: &mut blake3::Hasher) {
        out.update(&scan::REVISION.to_le_bytes());
        out.update(format!("{:?}", shapes::SHAPES).as_bytes());
        for pattern in &self.patterns {
            out.update(pattern.name.as_bytes()).update(&[0]);
            out.update(pattern.regex.as_str().as_bytes()).update(&[0]);
        }
        self.headers.describe(out);
    }
}

/// In order; those that overlap become one, of the kind of the first.
fn apart(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.span.start, hit.span.end));
    let mut joined: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match joined.last_mut() {
            Some(last) if hit.span.start < last.span.end => {
                last.span.end = last.span.end.max(hit.span.end);
            }
            _ => joined.push(hit),
        }
    }
    joined
}

static BASE64: LazyLock<Option<regex::Regex>> =
    LazyLock::new(|| regex::Regex::new(&format!("[A-Za-z0-9+/_-]{{{BASE64_MAX},}}={{0,2}}")).ok());

/// A short text without secrets, by the rules in force.
pub fn short_text(text: &str) -> Cow<'_, str> {
    /// No secret is shorter, with the words that tell it; a pattern of one's own may be.
    const LENGTH_MIN: usize = 8;
    let rules = current();
    if text.len() < LENGTH_MIN && !rules.has_own_patterns() {
        return Cow::Borrowed(text);
    }
    rules.clean_text(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A text to be shown, by the rules in force: without secrets, and without long runs of base64, which are no words.
pub fn secrets(text: &str) -> Cow<'_, str> {
    let mut clean = current().clean_text(text).map_or(Cow::Borrowed(text), Cow::Owned);
    if clean.len() >= BASE64_MAX
        && let Some(base64) = BASE64.as_ref()
    {
        let size = |found: &regex::Captures<'_>| {
            let bytes = found.get(0).map_or(0, |run| run.len() / 4 * 3);
            format!("[base64, {bytes} bytes]")
        };
        if let Cow::Owned(replaced) = base64.replace_all(&clean, size) {
            clean = Cow::Owned(replaced);
        }
    }
    clean
}

#[cfg(test)]
mod tests;
