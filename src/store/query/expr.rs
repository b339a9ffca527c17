//! A query as a tree.

use crate::store::query::field::Field;
use crate::store::query::pattern::Pattern;

/// Terms joined.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Each of them; of none, everything.
    All(Vec<Expr>),
    /// At least one of them.
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Is(Term),
}

impl Default for Expr {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    pub field: Field,
    pub test: Test,
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It has no value: `field:""`.
    Absent,
    /// A name.
    Like(Pattern),
    /// A number from `min` to `max`, both included.
    Between { min: Option<i64>, max: Option<i64> },
    /// Yes or no.
    Is(bool),
    /// Bits of which one is set.
    Bits(i64),
    /// The beginning of an id: its bytes, the lowest and the highest.
    Ids { lowest: [u8; 16], highest: [u8; 16] },
    /// Words as they were written.
    Words(String),
}

impl Expr {
    /// Visits each term.
    pub fn each_term(&self, visit: &mut impl FnMut(&Term)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.each_term(visit);
                }
            }
            Self::Not(part) => part.each_term(visit),
            Self::Is(term) => visit(term),
        }
    }
}
