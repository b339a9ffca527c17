//! What is wrong with a configuration, where, and how to mend it. Findings are collected and shown together.
//!
//! Invariant: no finding carries a configured value, which may be a secret: only names of keys, types, allowed words,
//! paths, programs, and the provider's name in a route that leads nowhere.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Limit: findings of one load; a file with more faults is not read for the rest of them.
const FINDINGS_MAX: usize = 500;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Logged at start; `pinhole check` treats it as an error.
    Warning,
    /// The configuration is refused.
    Error,
}

impl Severity {
    pub fn label(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where in a file, both counted from one; `column` counts characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<PathBuf>,
    pub line: usize,
    pub column: usize,
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Absent for what comes from the environment or the command line.
    pub place: Option<Place>,
    /// Dotted key (`providers.openai.baseurl`), flag (`--default-backend`) or variable; empty for the file as a whole.
    pub key: String,
    pub message: String,
    /// What to do about it; empty when the message already says it.
    pub remedy: String,
}

impl Finding {
    /// The finding without its severity, for a log line that has a level of its own.
    pub fn told(&self) -> String {
        self.text("")
    }

    fn text(&self, severity: &str) -> String {
        let mut text = String::new();
        if let Some(place) = &self.place {
            let file = place.file.display();
            text = format!("{file}:{}:{}: ", place.line, place.column);
        }
        text.push_str(severity);
        if !self.key.is_empty() {
            text.push_str(&self.key);
            text.push_str(": ");
        }
        text.push_str(&self.message);
        if !self.remedy.is_empty() {
            text.push_str("; ");
            text.push_str(&self.remedy);
        }
        text
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&format!("{}: ", self.severity.label())))
    }
}

/// All findings of one load, in the order of the file. As an error: at least one of them is of severity error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    pub fn push(&mut self, finding: Finding) {
        // Past the limit only the first error still counts: without it the load would pass.
        let is_full = self.0.len() >= FINDINGS_MAX;
        if is_full && (finding.severity == Severity::Warning || self.has_errors()) {
            return;
        }
        // The same fault may be seen by two stages (a missing variable used twice is two places, and stays two).
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// Puts them in the order of the file; those without a place come last, in the order they were found.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|finding| match &finding.place {
            Some(place) => (place.line, place.column),
            None => (usize::MAX, 0),
        });
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|f| f.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(finding, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
