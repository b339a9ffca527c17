//! `password = …`, `"api_key": "…"`, `?key=…`, `--token …`: the name stays, the value goes. In JSON, in JSON inside a
//! string of JSON, in code, in addresses and on command lines.
//!
//! A value is replaced only where it can be one: templates, names of variables, calls and plain words stay.

use std::ops::Range;

use super::context::{kind_of, scheme};
use super::mark::{Hit, Kind, OPENING};
use super::words::{has_digit, has_letter, is_digest, is_stand_in, is_wordy};

/// Limit: characters of a value.
const VALUE_MAX: usize = 4_096;
/// Limit: characters of a value without quotes.
const BARE_MAX: usize = 512;
/// Limit: characters of a name.
const NAME_MAX: usize = 48;
/// Limit: backslashes before a quote, as JSON in JSON in JSON has them.
const BACKSLASHES_MAX: usize = 15;

/// How much a name says of the value after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Password,
    /// The value is a credential.
    Key,
    /// It may be one: the value has to look like it.
    Perhaps,
    /// The header's value, with or without a scheme.
    Authorization,
}

/// Ends of names, without separators and in lower case.
const ENDS: &[(&str, Class)] = &[
    ("password", Class::Password),
    ("passwd", Class::Password),
    ("passphrase", Class::Password),
    ("apikey", Class::Key),
    ("secretkey", Class::Key),
    ("accesskey", Class::Key),
    ("accountkey", Class::Key),
    ("privatekey", Class::Key),
    ("subscriptionkey", Class::Key),
    ("clientsecret", Class::Key),
    ("apisecret", Class::Key),
    ("appsecret", Class::Key),
    ("signingsecret", Class::Key),
    ("webhooksecret", Class::Key),
    ("accesstoken", Class::Key),
    ("authtoken", Class::Key),
    ("refreshtoken", Class::Key),
    ("bearertoken", Class::Key),
    ("apitoken", Class::Key),
    ("bottoken", Class::Key),
    ("authorization", Class::Authorization),
    ("secret", Class::Perhaps),
    ("token", Class::Perhaps),
    ("credential", Class::Perhaps),
    ("credentials", Class::Perhaps),
];

/// Tokens that open nothing.
const HARMLESS: &[&str] =
    &["pagetoken", "nexttoken", "cursortoken", "synctoken", "continuationtoken", "resumetoken"];

/// What a name that holds `part` is followed by, if that is a secret.
pub(super) fn named(text: &[u8], part: &Range<usize>) -> Option<Hit> {
    let name = name_around(text, part);
    // What stands in a placeholder's brackets is its kind, and what follows its digest.
    if text.get(..name.start)?.ends_with(OPENING.as_bytes()) {
        return None;
    }
    let class = class_of(text.get(name.clone())?)?;
    let (start, context) = after_name(text, &name)?;
    value(text, start, class, &context)
}

/// `?key=…`, `&sig=…` in an address.
pub(super) fn parameter(text: &[u8], part: &Range<usize>) -> Option<Hit> {
    let before = text.get(part.start.saturating_sub(6)..part.start)?;
    let is_parameter = matches!(before.last(), Some(b'?' | b'&' | b';'))
        || before.ends_with(b"\\u0026")
        || before.ends_with(b"%26");
    if !is_parameter {
        return None;
    }
    let rest = text.get(part.end..)?;
    let length = rest
        .iter()
        .take(VALUE_MAX)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~%+/=:".contains(byte))
        .count();
    let found = rest.get(..length)?;
    let telling = length >= 8 && (has_digit(found) || length >= 16) && !is_stand_in(found);
    telling.then(|| Hit::new(part.end..part.end + length, kind_of(found, Kind::ApiKey)))
}

fn name_around(text: &[u8], part: &Range<usize>) -> Range<usize> {
    let inside = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let before = text.get(..part.start).unwrap_or_default();
    let after = text.get(part.end..).unwrap_or_default();
    let back = before.iter().rev().take(NAME_MAX).take_while(inside).count();
    let on = after.iter().take(NAME_MAX).take_while(inside).count();
    part.start - back..part.end + on
}

fn class_of(name: &[u8]) -> Option<Class> {
    let mut bare = [0; 2 * NAME_MAX + 16];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *bare.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let bare = bare.get(..length)?;
    if HARMLESS.iter().any(|end| bare.ends_with(end.as_bytes())) {
        return None;
    }
    ENDS.iter().find(|(end, _)| bare.ends_with(end.as_bytes())).map(|(_, class)| *class)
}

/// How the value stands: what follows the name decides what may be taken for one.
#[derive(Debug, Clone)]
struct Context {
    /// The quote around the name, where it is a member of JSON.
    member_quote: Option<Range<usize>>,
    /// Spaces around the sign, as in code and prose.
    spaced: bool,
    sign: Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Colon,
    Equals,
    /// `--password VALUE`.
    Flag,
    /// `<password>VALUE<`.
    Element,
}

fn after_name(text: &[u8], name: &Range<usize>) -> Option<(usize, Context)> {
    let mut at = name.end;
    let quote = quote_at(text, at);
    if let Some(quote) = &quote {
        at = quote.end;
    }
    if quote.is_some() && text.get(at) == Some(&b']') {
        at += 1;
    }
    let spaces = spaces(text, at);
    let is_flag = text.get(name.clone()).is_some_and(|name| name.starts_with(b"--"));
    at += spaces;
    let sign = match text.get(at) {
        Some(b':') => Sign::Colon,
        Some(b'=') => Sign::Equals,
        Some(b'>') if text.get(name.start.wrapping_sub(1)) == Some(&b'<') => Sign::Element,
        Some(_) if is_flag && spaces > 0 => Sign::Flag,
        _ => return None,
    };
    if sign != Sign::Flag {
        at += 1;
    }
    // `:=`, `==`, `=>`.
    if matches!(sign, Sign::Colon | Sign::Equals) && matches!(text.get(at), Some(b'=' | b'>')) {
        at += 1;
    }
    let after = self::spaces(text, at);
    at += after;
    let context = Context { member_quote: quote, spaced: spaces + after > 0, sign };
    Some((at, context))
}

fn spaces(text: &[u8], at: usize) -> usize {
    const SPACES_MAX: usize = 8;
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take(SPACES_MAX).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// A quote at the place, with the backslashes before it.
fn quote_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let backslashes =
        rest.iter().take(BACKSLASHES_MAX + 1).take_while(|byte| **byte == b'\\').count();
    let is_quote = matches!(rest.get(backslashes), Some(b'"' | b'\'' | b'`'));
    (is_quote && backslashes <= BACKSLASHES_MAX).then(|| at..at + backslashes + 1)
}

fn value(text: &[u8], at: usize, class: Class, context: &Context) -> Option<Hit> {
    if let Some(quote) = quote_at(text, at) {
        let span = quoted(text, &quote)?;
        return judge_quoted(text, span, class);
    }
    if context.member_quote.is_some()
        && class == Class::Password
        && let Some(hit) = number(text, at, context)
    {
        return Some(hit);
    }
    bare(text, at, class, context)
}

/// What stands between the quote at `open` and the one that ends it, which has as many backslashes or fewer.
fn quoted(text: &[u8], open: &Range<usize>) -> Option<Range<usize>> {
    let sign = *text.get(open.end - 1)?;
    let depth = open.len() - 1;
    let rest = text.get(open.end..text.len().min(open.end + VALUE_MAX))?;
    for at in memchr::memchr_iter(sign, rest) {
        let before = rest.get(..at)?;
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        // A backslash of the value itself is written twice for each level.
        if backslashes <= depth || closes(backslashes, depth) {
            return Some(open.end..open.end + at - backslashes.min(depth));
        }
    }
    None
}

/// The backslashes before a quote are those of the quote and, before them, those of a value that ends in some.
fn closes(backslashes: usize, depth: usize) -> bool {
    (backslashes - depth).is_multiple_of(2 * (depth + 1))
}

fn judge_quoted(text: &[u8], span: Range<usize>, class: Class) -> Option<Hit> {
    let all = text.get(span.clone())?;
    let skipped = if class == Class::Authorization { scheme(all) } else { 0 };
    let (start, found) = (span.start + skipped, all.get(skipped..)?);
    if found.iter().any(|byte| *byte <= b' ') || is_stand_in(found) {
        return None;
    }
    let secret = match class {
        Class::Password => found.len() >= 4,
        Class::Key | Class::Authorization => {
            found.len() >= 8 && (has_digit(found) || !is_wordy(found))
        }
        Class::Perhaps => found.len() >= 16 && is_random(found),
    };
    secret.then(|| Hit::new(start..span.end, kind_for(class, found)))
}

/// Random, and not only because it is a digest of something.
fn is_random(found: &[u8]) -> bool {
    let path = matches!(found.first(), Some(b'/' | b'.' | b'#'));
    has_digit(found) && has_letter(found) && !is_wordy(found) && !is_digest(found) && !path
}

fn kind_for(class: Class, found: &[u8]) -> Kind {
    let otherwise = match class {
        Class::Password => Kind::Password,
        Class::Authorization => Kind::Bearer,
        Class::Key | Class::Perhaps => Kind::ApiKey,
    };
    kind_of(found, otherwise)
}

/// `"password": 123456`: the placeholder needs the quotes that the name has.
fn number(text: &[u8], at: usize, context: &Context) -> Option<Hit> {
    let rest = text.get(at..)?;
    let length = rest.iter().take(64).take_while(|byte| byte.is_ascii_digit()).count();
    let ends = matches!(rest.get(length), None | Some(b',' | b'}' | b' ' | b'\n' | b'\r' | b'\\'));
    (length >= 4 && ends && context.sign == Sign::Colon).then(|| Hit {
        span: at..at + length,
        kind: Kind::Password,
        quote: context.member_quote.clone(),
    })
}

/// A value without quotes: in an address, a file of variables, a header, a command.
fn bare(text: &[u8], at: usize, class: Class, context: &Context) -> Option<Hit> {
    let rest = text.get(at..)?;
    let skipped = if class == Class::Authorization { scheme(rest) } else { 0 };
    let rest = rest.get(skipped..)?;
    let inside = |byte: u8| byte > b' ' && byte < 0x7f && !b"\"'`\\,;&<>(){}[]|=".contains(&byte);
    let length = rest.iter().take(BARE_MAX).take_while(|byte| inside(**byte)).count();
    let padding = rest.iter().skip(length).take(2).take_while(|byte| **byte == b'=').count();
    let length = length + padding;
    let found = rest.get(..length)?;
    let trimmed =
        found.iter().rev().take_while(|byte| matches!(byte, b'.' | b':' | b'?' | b'!')).count();
    let found = found.get(..length - trimmed)?;
    // A call, an index, a member of something: code, no value. JSON's own values stand without quotes too.
    let is_code = matches!(rest.get(length), Some(b'(' | b'[' | b'{')) || (length == 0);
    let is_member =
        context.member_quote.is_some() && matches!(text.get(at), Some(b'-' | b'0'..=b'9'));
    if is_code || is_member || !has_digit(found) || is_stand_in(found) {
        return None;
    }
    let telling = skipped > 0 || !is_wordy(found);
    let secret = match class {
        Class::Password => {
            let ended = !matches!(rest.get(length), Some(b')' | b',' | b';'));
            // No variable of any language is called so.
            let no_name =
                found.iter().any(|byte| !byte.is_ascii_alphanumeric() && !b"_.$".contains(byte));
            let assigned = !context.spaced && ended && context.sign == Sign::Equals;
            found.len() >= 6 && (telling || no_name || assigned)
        }
        Class::Key | Class::Authorization => found.len() >= 8 && telling,
        Class::Perhaps => found.len() >= 16 && is_random(found),
    };
    let start = at + skipped;
    secret.then(|| Hit::new(start..start + found.len(), kind_for(class, found)))
}
