//! Tokens to a tree. `OR` binds weaker than what stands side by side; `-` and `NOT` bind to what follows them.

use std::iter::Peekable;
use std::ops::Range;
use std::vec::IntoIter;

use crate::store::query::error::QueryError;
use crate::store::query::expr::{Expr, Term};
use crate::store::query::lex::{Kind, Token, lex};
use crate::store::query::{DEPTH_MAX, TERMS_MAX, TEXT_BYTES_MAX, value};

/// Reads a query; of an empty one, everything.
pub(super) fn parse(text: &str, now_us: i64) -> Result<Expr, QueryError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!(
            "the query has {} bytes, {TEXT_BYTES_MAX} are the limit; ask for less at a time",
            text.len()
        );
        return Err(QueryError::new("", 0..0, message));
    }
    let tokens = lex(text)?;
    if tokens.is_empty() {
        return Ok(Expr::default());
    }
    let mut parser = Parser { text, now_us, tokens: tokens.into_iter().peekable(), terms: 0 };
    let expr = parser.any(0)?;
    match parser.tokens.next() {
        None => Ok(expr),
        Some(token) => {
            Err(parser.error(token.at, "a closing parenthesis without an opening one; remove it"))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    now_us: i64,
    tokens: Peekable<IntoIter<Token>>,
    terms: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.tokens.next_if(|token| token.kind == Kind::Or).is_some() {
            parts.push(self.all(depth)?);
        }
        Ok(joined(parts, Expr::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut parts = vec![self.one(depth)?];
        loop {
            match self.tokens.peek().map(|token| &token.kind) {
                None | Some(Kind::Or | Kind::Close) => return Ok(joined(parts, Expr::All)),
                Some(Kind::And) => {
                    self.tokens.next();
                    parts.push(self.one(depth)?);
                }
                Some(_) => parts.push(self.one(depth)?),
            }
        }
    }

    fn one(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut negated = false;
        while self.tokens.next_if(|token| token.kind == Kind::Not).is_some() {
            negated = !negated;
        }
        let Some(token) = self.tokens.next() else {
            let end = self.text.len();
            return Err(self.error(end..end, "a term is missing at the end; write field:value"));
        };
        let expr = match token.kind {
            Kind::Open => self.group(&token.at, depth)?,
            Kind::Term { field, value } => {
                self.terms += 1;
                if self.terms > TERMS_MAX {
                    let message = format!("more than {TERMS_MAX} terms; use wildcards or ranges");
                    return Err(self.error(token.at, message));
                }
                let (field, test) = value::read(self.text, field.as_ref(), &value, self.now_us)?;
                Expr::Is(Term { field, test })
            }
            Kind::Close | Kind::And | Kind::Or | Kind::Not => {
                let message = "a term is missing before this; write field:value";
                return Err(self.error(token.at, message));
            }
        };
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn group(&mut self, open: &Range<usize>, depth: usize) -> Result<Expr, QueryError> {
        if depth >= DEPTH_MAX {
            let message = format!("parentheses go {DEPTH_MAX} deep at most; write it flatter");
            return Err(self.error(open.clone(), message));
        }
        let expr = self.any(depth + 1)?;
        if self.tokens.next_if(|token| token.kind == Kind::Close).is_none() {
            return Err(self.error(open.clone(), "the parenthesis is not closed; add `)`"));
        }
        Ok(expr)
    }

    fn error(&self, at: Range<usize>, message: impl Into<String>) -> QueryError {
        QueryError::new(self.text, at, message)
    }
}

fn joined(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}
