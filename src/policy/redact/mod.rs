//! What is taken out of bodies, records and whatever else is kept: the known shapes of secrets (`exchange::redact`), the
//! patterns of the configuration, and the places in JSON that it points at. Pure.
//!
//! Redaction of credentials cannot be switched off; the configuration adds to it.
//!
//! ```text
//!  body ─► whole: coding undone where a secret hides in it · pointers · secrets split over events ─► Cleaned
//!  new part of a body ─► clean: everything that can be told from the text alone
//! ```

mod body;
mod edits;
mod events;
pub mod pointer;

use std::sync::Arc;

use regex::bytes::Regex;

use crate::exchange::redact::{self, Pattern, Rules};

pub use body::{Cleaned, Shape};
use pointer::Pointer;

/// What the configuration says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Headers whose values are kept besides the known ones.
    pub headers_allow: Vec<String>,
    pub patterns: Vec<Pattern>,
    pub pointers: Vec<Pointer>,
}

/// The policy of one configuration, ready to be applied.
#[derive(Debug, Clone)]
pub struct Redactor {
    rules: Arc<Rules>,
    pointers: Vec<Pointer>,
    version: u32,
}

impl Redactor {
    /// `key` is the store's, so that a digest means something within it and nowhere else.
    pub fn new(settings: &Settings, key: [u8; 32]) -> Self {
        let rules = Rules::new(key, settings.patterns.clone(), &settings.headers_allow);
        let mut hasher = blake3::Hasher::new();
        rules.describe(&mut hasher);
        for pointer in &settings.pointers {
            hasher.update(pointer.as_str().as_bytes()).update(&[0]);
        }
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        // None is 0, which stands for no policy.
        let version = u32::from_le_bytes([a, b, c, d]).max(1);
        Self {
            rules: Arc::new(rules.of_version(version)),
            pointers: settings.pointers.clone(),
            version,
        }
    }

    /// Makes this policy the one that headers, spans and log lines go by from now on.
    pub fn install(&self) {
        redact::install(Arc::clone(&self.rules));
    }

    /// What stands for the policy on each row: the same for the same rules, in every run.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The text without secrets; `None` when there were none.
    pub fn clean(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.rules.clean(text)
    }

    /// What is found in a text, as it stands there.
    pub fn values(&self, text: &[u8]) -> Vec<Vec<u8>> {
        let hits = self.rules.hits(text);
        hits.into_iter().filter_map(|hit| text.get(hit.span).map(<[u8]>::to_vec)).collect()
    }

    /// Whether pointers of the configuration have to be followed in every body.
    pub fn has_pointers(&self) -> bool {
        !self.pointers.is_empty()
    }

    /// The rules that this policy goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

/// A pattern of the configuration, or why it cannot be one.
pub fn pattern(name: &str, regex: &str) -> Result<Pattern, String> {
    /// Limit: characters of a pattern's name, which stands in every placeholder.
    const NAME_MAX: usize = 32;
    let is_name = !name.is_empty()
        && name.len() <= NAME_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !is_name {
        return Err(format!(
            "the name of a pattern is 1 to {NAME_MAX} letters, digits, `_` and `-`, because it stands in the placeholder"
        ));
    }
    let regex = Regex::new(regex).map_err(|error| {
        // The last line says what is wrong; those before it draw the pattern.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        format!("not a regular expression: {reason}")
    })?;
    if regex.is_match(b"") {
        return Err("it matches the empty text, so it would match everywhere".to_owned());
    }
    Ok(Pattern { name: name.into(), regex })
}

#[cfg(test)]
mod tests;
