//! A condition in pieces: names, numbers with their units, texts in quotes, signs.

use std::ops::Range;

use super::{Fault, SOURCE_MAX};
use crate::faces::words;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) what: What,
    pub(super) at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Name(String),
    Text(String),
    Number(Number),
    Sign(Sign),
    Open,
    Close,
    Dot,
}

/// A limit as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    /// In the unit's base: seconds, dollars, shares of 1, times.
    pub(super) value: f64,
    pub(super) unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    Seconds,
    Percent,
    Times,
    Usd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Above,
    AtLeast,
    Below,
    AtMost,
    Is,
    IsNot,
}

const SIGNS: &[(&str, Sign)] = &[
    (">=", Sign::AtLeast),
    ("<=", Sign::AtMost),
    ("==", Sign::Is),
    ("!=", Sign::IsNot),
    (">", Sign::Above),
    ("<", Sign::Below),
];

/// Unit, what it is a unit of, and its size.
const UNITS: &[(&str, Unit, f64)] = &[
    ("us", Unit::Seconds, 1e-6),
    ("µs", Unit::Seconds, 1e-6),
    ("ms", Unit::Seconds, 1e-3),
    ("s", Unit::Seconds, 1.0),
    ("min", Unit::Seconds, 60.0),
    ("x", Unit::Times, 1.0),
    ("k", Unit::Plain, 1e3),
    ("M", Unit::Plain, 1e6),
];

/// Spellings of other languages, and what is written here.
const FOREIGN: &[(&str, &str)] = &[("&&", "and"), ("||", "or"), ("!", "not"), ("=", "==")];

pub(super) fn pieces(source: &str) -> Result<Vec<Piece>, Fault> {
    if source.len() > SOURCE_MAX {
        let message = format!(
            "the condition is longer than {SOURCE_MAX} bytes; split it over several --fail-if"
        );
        return Err(Fault::new(0..0, message));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let piece = piece(rest, at)?;
        at = piece.at.end;
        found.push(piece);
    }
    Ok(found)
}

fn piece(rest: &str, at: usize) -> Result<Piece, Fault> {
    let first = rest.chars().next().unwrap_or(' ');
    if let Some((spelling, sign)) = SIGNS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
        return Ok(Piece { what: What::Sign(*sign), at: at..at + spelling.len() });
    }
    let single = match first {
        '(' => Some(What::Open),
        ')' => Some(What::Close),
        '.' => Some(What::Dot),
        _ => None,
    };
    if let Some(what) = single {
        return Ok(Piece { what, at: at..at + 1 });
    }
    match first {
        '"' | '\'' => text(rest, at, first),
        '$' | '0'..='9' | '-' => number(rest, at),
        _ if first == '_' || first.is_alphabetic() => {
            let length = word_length(rest);
            let name = rest.get(..length).unwrap_or_default().to_owned();
            Ok(Piece { what: What::Name(name), at: at..at + length })
        }
        _ => Err(stray(rest, at, first)),
    }
}

fn stray(rest: &str, at: usize, first: char) -> Fault {
    if let Some((foreign, own)) = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)) {
        return Fault::new(at..at + foreign.len(), format!("write `{own}` instead of `{foreign}`"));
    }
    let shown = words::line(&first.to_string());
    Fault::new(at..at + first.len_utf8(), format!("`{shown}` means nothing here"))
}

fn word_length(rest: &str) -> usize {
    rest.find(|character: char| character != '_' && !character.is_alphanumeric())
        .unwrap_or(rest.len())
}

fn text(rest: &str, at: usize, quote: char) -> Result<Piece, Fault> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if character == quote => {
                return Ok(Piece { what: What::Text(text), at: at..at + place + 1 });
            }
            _ => text.push(character),
        }
    }
    Err(Fault::new(at..at + rest.len(), "the quoted text has no end"))
}

fn number(rest: &str, at: usize) -> Result<Piece, Fault> {
    let bare = rest.trim_start_matches(['$', '-']);
    let lead = rest.get(..rest.len() - bare.len()).unwrap_or_default();
    let digits = digits(bare);
    let end = at + lead.len() + digits;
    let written = bare.get(..digits).unwrap_or_default();
    if !matches!(lead, "" | "$" | "-" | "-$" | "$-") || digits == 0 {
        return Err(Fault::new(at..end.max(at + 1), "this is no number"));
    }
    let value: f64 = written
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .ok_or_else(|| Fault::new(at..end, "this is no number that can be counted with"))?;
    let value = if lead.contains('-') { -value } else { value };
    let dollars = lead.contains('$');
    let (unit, size, length) = unit(bare.get(digits..).unwrap_or_default(), end)?;
    if dollars && length > 0 {
        return Err(Fault::new(at..end + length, "dollars have no other unit"));
    }
    let unit = if dollars { Unit::Usd } else { unit };
    let number = Number { value: value * size, unit };
    Ok(Piece { what: What::Number(number), at: at..end + length })
}

/// Bytes of digits, of a point with digits after it, and of an exponent.
fn digits(text: &str) -> usize {
    let run = |from: usize| {
        let tail = text.get(from..).unwrap_or_default();
        tail.bytes().take_while(u8::is_ascii_digit).count()
    };
    let mut end = run(0);
    if end > 0 && text.get(end..).is_some_and(|tail| tail.starts_with('.')) && run(end + 1) > 0 {
        end += 1 + run(end + 1);
    }
    if end > 0 && text.get(end..).is_some_and(|tail| tail.starts_with(['e', 'E'])) {
        let signed = text.get(end + 1..).is_some_and(|tail| tail.starts_with(['-', '+']));
        let from = end + 1 + usize::from(signed);
        if run(from) > 0 {
            end = from + run(from);
        }
    }
    end
}

/// The unit after a number, with or without a space between: what it is of, its size, and the bytes up to its end.
fn unit(rest: &str, at: usize) -> Result<(Unit, f64, usize), Fault> {
    let tail = rest.trim_start_matches(' ');
    let blank = rest.len() - tail.len();
    if tail.starts_with('%') {
        return Ok((Unit::Percent, 0.01, blank + 1));
    }
    let length = word_length(tail);
    let word = tail.get(..length).unwrap_or_default();
    if word.is_empty() || (blank > 0 && matches!(word, "and" | "or" | "not")) {
        return Ok((Unit::Plain, 1.0, 0));
    }
    if let Some((_, unit, size)) = UNITS.iter().find(|(name, _, _)| *name == word) {
        return Ok((*unit, *size, blank + length));
    }
    let at = at + blank;
    let message = format!(
        "unknown unit `{}`; there are us, ms, s, min, %, x (times the baseline), k, M, and $ in front",
        words::line(word)
    );
    Err(Fault::new(at..at + length, message))
}
