//! The text of a query as tokens. Quotes keep a value together and make its characters ordinary.

use std::ops::Range;

use crate::store::query::error::QueryError;

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    And,
    Or,
    /// `NOT` or `-`.
    Not,
    Term {
        field: Option<Name>,
        value: Value,
    },
}

/// What stands before the colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub text: String,
    pub at: Range<usize>,
}

/// What stands after it, or alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub text: String,
    pub quoted: bool,
    pub at: Range<usize>,
}

pub(super) fn lex(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Option<Token>, QueryError> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let single = match first {
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            '-' => Some(Kind::Not),
            _ => None,
        };
        if let Some(kind) = single {
            self.at += 1;
            return Ok(Some(Token { kind, at: start..self.at }));
        }
        let kind = match self.run(|c| ends_word(c) || c == ':') {
            "OR" if self.at_end_of_word() => Kind::Or,
            "AND" if self.at_end_of_word() => Kind::And,
            "NOT" if self.at_end_of_word() => Kind::Not,
            name => self.term(start, name.to_owned())?,
        };
        Ok(Some(Token { kind, at: start..self.at }))
    }

    fn term(&mut self, start: usize, name: String) -> Result<Kind, QueryError> {
        let name_at = start..self.at;
        if !self.rest().starts_with(':') {
            // A word alone.
            self.at = start;
            let value = self.value()?;
            return Ok(Kind::Term { field: None, value });
        }
        if name.is_empty() {
            let message =
                "there is no field before the colon; write field:value, or quote the word";
            return Err(self.error(start..start + 1, message));
        }
        self.at += 1;
        let value = self.value()?;
        if value.text.is_empty() && !value.quoted {
            let message = format!(
                "`{name}:` has no value; write {name}:VALUE, or {name}:\"\" for exchanges without one"
            );
            return Err(self.error(name_at.start..self.at, message));
        }
        Ok(Kind::Term { field: Some(Name { text: name, at: name_at }), value })
    }

    fn value(&mut self) -> Result<Value, QueryError> {
        let start = self.at;
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let text = self.run(ends_word).to_owned();
        if self.rest().starts_with('"') {
            let message = "a quote in the middle of a word; put the whole value in quotes";
            return Err(self.error(self.at..self.at + 1, message));
        }
        Ok(Value { text, quoted: false, at: start..self.at })
    }

    fn quoted(&mut self) -> Result<Value, QueryError> {
        let start = self.at;
        let mut text = String::new();
        let mut escaped = false;
        let mut end = None;
        for (offset, character) in self.rest().char_indices().skip(1) {
            match character {
                '"' if !escaped => {
                    end = Some(start + offset + 1);
                    break;
                }
                '\\' if !escaped => escaped = true,
                '"' | '\\' => {
                    text.push(character);
                    escaped = false;
                }
                other => {
                    // A backslash before anything else is a backslash.
                    if escaped {
                        text.push('\\');
                    }
                    escaped = false;
                    text.push(other);
                }
            }
        }
        let Some(end) = end else {
            let message = "the quote is not closed; end the value with \"";
            return Err(self.error(start..self.text.len(), message));
        };
        self.at = end;
        if !self.at_end_of_word() {
            let message = "something follows the closing quote; leave a space after it";
            return Err(self.error(end..end, message));
        }
        Ok(Value { text, quoted: true, at: start..end })
    }

    /// Takes what stands before the first character that `ends` it.
    fn run(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (text, at) = (self.text, self.at);
        let rest = text.get(at..).unwrap_or_default();
        let taken = rest.find(ends).unwrap_or(rest.len());
        self.at += taken;
        rest.get(..taken).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn at_end_of_word(&self) -> bool {
        self.rest().chars().next().is_none_or(|c| c.is_whitespace() || c == '(' || c == ')')
    }

    fn error(&self, at: Range<usize>, message: impl Into<String>) -> QueryError {
        QueryError::new(self.text, at, message)
    }
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '(' | ')' | '"')
}
