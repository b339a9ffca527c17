//! A query that was not understood: what, where, and what would be.

use std::fmt;
use std::ops::Range;

/// Limit: characters of the user's own words that a message repeats.
const SHOWN_MAX: usize = 60;

/// One error, at a place of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Bytes of the text that are at fault; empty at its end.
    pub at: Range<usize>,
    /// The same for people: the first character's number, from 1.
    pub column: usize,
    /// What is wrong and what would be right, without the place.
    pub message: String,
}

impl QueryError {
    pub(super) fn new(text: &str, at: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..at.start).unwrap_or(text);
        Self { column: before.chars().count() + 1, at, message: message.into() }
    }

    /// The text with a line of marks under what is wrong; for terminals.
    pub fn underlined(&self, text: &str) -> String {
        let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let marked = text.get(self.at.clone()).map_or(1, |part| part.chars().count().max(1));
        format!("{shown}\n{}{}", " ".repeat(self.column - 1), "^".repeat(marked))
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query, column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for QueryError {}

/// The user's own words, fit for a message.
pub(super) fn shown(word: &str) -> String {
    let mut rest = word.chars();
    let mut short: String = rest.by_ref().take(SHOWN_MAX).collect();
    if rest.next().is_some() {
        short.push('…');
    }
    short.escape_debug().to_string()
}
