//! Holds a report against a condition: the language of `--fail-if`. `docs/replay-gate.md` teaches it.
//!
//! ```text
//!  "ttft.p95 > 1.2x and errors > 1%" ─► lex ─► parse ─► Gate ─┬─► judge(report) ─► Finding
//!                                          (names, units,      │      pass, fail or cannot tell,
//!                                           places of errors)  │      with the numbers in a sentence
//! ```
//!
//! A condition says what is *bad*: the gate fails where it holds. It is asked of each target in turn, and of a comparison that
//! the report has no number for the answer is that nobody can tell, never that all is well.
//!
//! Limits: [`SOURCE_MAX`] bytes of a condition, [`DEPTH_MAX`] levels of nesting.

mod judge;
mod lex;
mod parse;
mod quantity;

use std::fmt;
use std::ops::Range;

use crate::faces::words;
use crate::plan::Plan;
use crate::report::Report;
use crate::row::CAPTURED;

/// Limit: bytes of a condition.
pub const SOURCE_MAX: usize = 4096;
/// Limit: parentheses and `not` within each other.
pub const DEPTH_MAX: usize = 64;

/// A condition that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    source: String,
    condition: parse::Expr,
}

/// What came of holding a report against a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The condition as it was written.
    pub condition: String,
    pub outcome: Outcome,
    /// The numbers it was decided by: a sentence each, without its full stop.
    pub sentences: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The condition does not hold for any target.
    Pass,
    /// It holds for one at least.
    Fail,
    /// A number that decides it is missing. To be treated as a failure: a gate that cannot see must not be open.
    CannotTell,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::CannotTell => "cannot tell",
        }
    }

    pub fn is_open(self) -> bool {
        self == Self::Pass
    }
}

/// Why a condition cannot be read; displays with the place underlined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    source: String,
    /// Bytes of the source.
    pub at: Range<usize>,
    pub message: String,
}

impl Gate {
    pub fn parse(source: &str) -> Result<Self, Error> {
        let condition = parse::parse(source).map_err(|fault| Error {
            source: source.to_owned(),
            at: fault.at,
            message: fault.message,
        })?;
        Ok(Self { source: source.to_owned(), condition })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// All conditions of a plan: one that cannot be read, or that names a target that the plan has not, is told before
    /// anything is sent and paid for.
    pub fn of_plan(plan: &Plan) -> Result<Vec<Self>, Error> {
        let known = || plan.to.iter().map(String::as_str).chain([CAPTURED]);
        let read = |source: &String| {
            let gate = Self::parse(source)?;
            let strange = gate.targets().into_iter().find(|name| !known().any(|own| own == *name));
            let Some(name) = strange else { return Ok(gate) };
            let hint = match words::nearest(name, known()) {
                Some(near) => format!("did you mean {}?", words::line(near)),
                None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
            };
            let begin = source.find(name).unwrap_or_default();
            Err(Error {
                source: source.clone(),
                at: begin..source.len().min(begin + name.len()),
                message: format!("the plan has no target `{}`; {hint}", words::line(name)),
            })
        };
        plan.fail_if.iter().map(read).collect()
    }

    fn targets(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.condition.targets(&mut names);
        names
    }

    pub fn judge(&self, report: &Report) -> Finding {
        let (outcome, sentences) = judge::judge(&self.condition, report);
        Finding { condition: self.source.clone(), outcome, sentences }
    }
}

impl Finding {
    /// For a terminal: `fail: ttft.p95 > 1.2x (fake/slow: ttft.p95 is 612 ms, …)`.
    pub fn line(&self) -> String {
        let numbers = self.sentences.join("; ");
        format!(
            "{}: {} ({})",
            self.outcome.word(),
            words::line(&self.condition),
            words::line(&numbers)
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = |range: Range<usize>| {
            self.source.get(range).map_or(0, |part| words::line(part).chars().count())
        };
        let before = cells(0..self.at.start);
        let marked = cells(self.at.clone()).max(1);
        writeln!(out, "{} (column {})", self.message, before + 1)?;
        writeln!(out, "  {}", words::line(&self.source))?;
        write!(out, "  {}{}", " ".repeat(before), "^".repeat(marked))
    }
}

impl std::error::Error for Error {}

/// A message and its place, on the way to an [`Error`].
#[derive(Debug)]
struct Fault {
    at: Range<usize>,
    message: String,
}

impl Fault {
    fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

#[cfg(test)]
mod tests;
