//! The query language: text to a tree, a tree to SQL, and the pages that come of it. docs/query.md tells users.
//!
//! ```text
//!  text ─► lex ─► parse ─► Expr ─► compile ─► exact predicate (SQL, bound values) ┐
//!                 field, value       │                                            ├─► walk, newest first ─► seqs ─► rows
//!                                    └──────► candidates (blocks or seqs that the ┘
//!                                             skip index and other indexes leave)
//! ```
//!
//! Everything left of `compile` is pure. Candidates only save work: what a query means, the predicate says alone.

mod among;
mod candidates;
mod column;
mod compile;
pub mod error;
pub mod expr;
pub mod field;
mod leaf;
mod lex;
mod members;
mod names;
pub mod page;
mod parse;
mod part;
pub mod pattern;
pub mod sessions;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use crate::store::query::error::QueryError;
use crate::store::query::expr::Expr;
use crate::store::query::field::Field;

/// Limit: bytes of a query's text.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Limit: parentheses within parentheses.
pub const DEPTH_MAX: usize = 32;
/// Limit: terms of one query.
pub const TERMS_MAX: usize = 128;

/// A query that was understood. Times in it are absolute: it means the same whenever it is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub(super) expr: Expr,
    /// Exchanges made by replays are not left out.
    pub(super) replays: bool,
}

impl Query {
    /// All that clients sent.
    pub fn all() -> Self {
        Self::default()
    }

    /// All there is, replays among it.
    pub fn everything() -> Self {
        Self { expr: Expr::default(), replays: true }
    }

    /// Reads a query; `now_us` is what ages such as `since:2h` count from.
    pub fn parse(text: &str, now_us: i64) -> Result<Self, QueryError> {
        let expr = parse::parse(text, now_us)?;
        let mut replays = false;
        expr.each_term(&mut |term| {
            replays |=
                matches!(term.field, Field::Run | Field::Replay | Field::ReplayOf | Field::Id);
        });
        Ok(Self { expr, replays })
    }

    /// What both ask for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let expr = Expr::All(vec![self.expr, other.expr]);
        Self { expr, replays: self.replays || other.replays }
    }

    /// What it looks for in the texts of messages: the phrases of its `text:` terms.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        self.expr.each_term(&mut |term| {
            if let (Field::Text, expr::Test::Words(words)) = (&term.field, &term.test) {
                texts.push(words.clone());
            }
        });
        texts
    }
}
