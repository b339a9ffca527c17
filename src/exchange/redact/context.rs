//! Secrets told by what stands around them: after `Bearer`, between the colon and the `@` of an address, inside a PEM
//! block; and tokens that carry their own form.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::mark::{Hit, Kind};
use super::shapes::{Chars, Shape};
use super::words::{has_digit, is_stand_in, is_wordy};

/// Limit: characters of one token.
pub(super) const TOKEN_MAX: usize = 8 * 1024;
/// Limit: bytes of one PEM block.
const PEM_MAX: usize = 64 * 1024;

/// How many bytes from `at` on are of the set, `max + 1` at most.
pub(super) fn run(text: &[u8], at: usize, chars: Chars, max: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take(max + 1).take_while(|byte| chars.has(**byte)).count()
}

/// Whether a token may begin here: what stands before is no part of a word. An escape of JSON or of an address is none
/// either: the `n` of `\n`, the digits of `\u0022` and `%3D`.
pub(super) fn starts_here(text: &[u8], at: usize) -> bool {
    let before = text.get(at.saturating_sub(6)..at).unwrap_or_default();
    let Some(last) = before.last() else { return true };
    if !(last.is_ascii_alphanumeric() || matches!(last, b'_' | b'-')) {
        return true;
    }
    match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] => true,
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [b'\\', b'u', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

/// A key that begins as `shape` does.
pub(super) fn shape(text: &[u8], at: usize, shape: &Shape) -> Option<Hit> {
    if !starts_here(text, at) {
        return None;
    }
    let start = at + shape.prefix.len();
    // Letters alone come up in base64, so neither side may look like more of it.
    let is_base64 = |byte: Option<&u8>| matches!(byte, Some(b'+' | b'/'));
    let letters = shape.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if letters && is_base64(at.checked_sub(1).and_then(|before| text.get(before))) {
        return None;
    }
    let mut length = run(text, start, shape.chars, shape.max);
    if letters && is_base64(text.get(start + length)) && shape.chars != Chars::Base64 {
        return None;
    }
    let mut rest = text.get(start..start + length)?;
    // The end of a sentence is no part of it.
    while rest.last() == Some(&b'.') {
        length -= 1;
        rest = rest.get(..length)?;
    }
    let fits = (shape.min..=shape.max).contains(&length);
    (fits && !(shape.random && is_wordy(rest))).then(|| Hit::new(at..start + length, Kind::ApiKey))
}

/// Three parts of base64, of which the first is a JSON object.
pub(super) fn jwt(text: &[u8], at: usize) -> Option<Hit> {
    let end = at + jwt_length(text, at)?;
    starts_here(text, at).then(|| Hit::new(at..end, Kind::Jwt))
}

pub(super) fn jwt_length(text: &[u8], at: usize) -> Option<usize> {
    let head = run(text, at, Chars::Url, TOKEN_MAX);
    if head < 12 || text.get(at + head) != Some(&b'.') {
        return None;
    }
    let decoded = URL_SAFE_NO_PAD.decode(text.get(at..at + head - head % 4)?).ok()?;
    if !decoded.starts_with(b"{\"") {
        return None;
    }
    let whole = run(text, at, Chars::Dots, TOKEN_MAX);
    let parts = text.get(at..at + whole)?;
    let dots = memchr::memchr_iter(b'.', parts).count();
    let body = parts.split(|byte| *byte == b'.').nth(1).unwrap_or_default();
    let whole = if parts.ends_with(b".") && dots > 2 { whole - 1 } else { whole };
    (dots >= 2 && body.len() >= 8).then_some(whole)
}

/// After the word `Bearer`: what a server gave out, no word of prose.
pub(super) fn bearer(text: &[u8], word: Range<usize>) -> Option<Hit> {
    let start = skip_space(text, word.end)?;
    let value = token(text, start)?;
    let telling = has_digit(value) || value.len() >= 24;
    (value.len() >= 8 && telling && !is_stand_in(value) && !is_wordy(value))
        .then(|| Hit::new(start..start + value.len(), kind_of(value, Kind::Bearer)))
}

/// After the word `Basic`: base64 of a name, a colon and a password.
pub(super) fn basic(text: &[u8], word: Range<usize>) -> Option<Hit> {
    let start = skip_space(text, word.end)?;
    let value = token(text, start)?;
    let bare: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'=').collect();
    let decoded = STANDARD_NO_PAD.decode(&bare).or_else(|_| URL_SAFE_NO_PAD.decode(&bare)).ok()?;
    let clear = decoded.contains(&b':') && decoded.iter().all(|byte| (b' '..0x7f).contains(byte));
    clear.then(|| Hit::new(start..start + value.len(), Kind::Password))
}

/// `scheme://name:password@host`.
pub(super) fn address(text: &[u8], sign: Range<usize>) -> Option<Hit> {
    /// Limit: characters before the `@`.
    const USER_MAX: usize = 256;
    let rest = text.get(sign.end..text.len().min(sign.end + USER_MAX))?;
    let user = rest.iter().position(|byte| {
        matches!(byte, b'/' | b'@' | b'"' | b'\'' | b'\\' | b'?' | b'#' | b'<' | b'>')
            || *byte <= b' '
    })?;
    let (b'@', user) = (*rest.get(user)?, rest.get(..user)?) else { return None };
    let colon = memchr::memchr(b':', user)?;
    let value = user.get(colon + 1..)?;
    let start = sign.end + colon + 1;
    (!value.is_empty() && !is_stand_in(value))
        .then(|| Hit::new(start..start + value.len(), Kind::Password))
}

/// A private key between its markers, or up to where it was cut off. In a JSON string it ends with the string.
pub(super) fn pem(text: &[u8], marker: Range<usize>) -> Option<Hit> {
    const TITLE: &[u8] = b"PRIVATE KEY";
    let line = text.get(marker.end..text.len().min(marker.end + 64))?;
    let title = memchr::memmem::find(line, b"-----")?;
    let title_text = line.get(..title)?;
    let ends = memchr::memmem::find(title_text, TITLE).map(|at| at + TITLE.len() + 6);
    if ends.is_none_or(|ends| ends < title) {
        return None;
    }
    let start = marker.end + title + 5;
    let rest = text.get(start..text.len().min(start + PEM_MAX))?;
    let body = rest
        .iter()
        .zip(rest.iter().skip(1).chain(&[0]))
        .take_while(|(byte, next)| {
            let inside = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'+' | b'/' | b'=' | b'\\' | b' ' | b'\n' | b'\r' | b'\t' | b':' | b','
                );
            inside || (**byte == b'-' && **next != b'-')
        })
        .count();
    let mut end = start + body;
    // Prose about such blocks has words where a key has a long run.
    let code = text.get(start..end)?;
    if code.split(|byte| !Chars::Base64.has(*byte)).all(|run| run.len() < 16) {
        return None;
    }
    let tail = text.get(end..).unwrap_or_default();
    if tail.starts_with(b"-----END ")
        && let Some(close) =
            tail.get(9..80.min(tail.len())).and_then(|tail| memchr::memmem::find(tail, b"-----"))
    {
        end += 9 + close + 5;
    } else {
        // The backslashes belong to the quote that ends the string.
        while end > start && text.get(end - 1) == Some(&b'\\') {
            end -= 1;
        }
    }
    Some(Hit::new(marker.start..end, Kind::PrivateKey))
}

/// White space, one character of it at least.
fn skip_space(text: &[u8], at: usize) -> Option<usize> {
    const SPACE_MAX: usize = 4;
    let rest = text.get(at..)?;
    let encoded = ["%20", "+"].iter().find(|word| rest.starts_with(word.as_bytes()));
    if let Some(word) = encoded {
        return Some(at + word.len());
    }
    let spaces =
        rest.iter().take(SPACE_MAX).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (spaces > 0).then_some(at + spaces)
}

/// The characters that credentials in headers are made of.
fn token(text: &[u8], at: usize) -> Option<&[u8]> {
    let rest = text.get(at..)?;
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-|:".contains(&byte);
    let length = rest.iter().take(TOKEN_MAX).take_while(|byte| inside(**byte)).count();
    let value = rest.get(..length)?;
    let trimmed = value.iter().rev().take_while(|byte| matches!(byte, b'.' | b':')).count();
    value.get(..length - trimmed).filter(|value| !value.is_empty())
}

/// What a value is by itself, where it tells more than the place it stands in.
pub(super) fn kind_of(value: &[u8], otherwise: Kind) -> Kind {
    if value.starts_with(b"eyJ") && jwt_length(value, 0) == Some(value.len()) {
        return Kind::Jwt;
    }
    let key = super::shapes::SHAPES.iter().any(|shape| value.starts_with(shape.prefix.as_bytes()));
    if key { Kind::ApiKey } else { otherwise }
}

/// `Authorization` and a sign stand before: whatever the scheme, what follows is a credential.
pub(super) fn scheme(value: &[u8]) -> usize {
    const SCHEMES: &[&str] = &["bearer ", "basic ", "token ", "apikey ", "api-key ", "key "];
    let starts = |scheme: &&&str| {
        value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    SCHEMES.iter().find(starts).map_or(0, |scheme| scheme.len())
}
