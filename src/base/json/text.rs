//! The text of JSON strings: reading escapes, and writing them.

use std::borrow::Cow;
use std::io::Write as _;

/// The text of a string given with its quotes. Invalid escapes, lone surrogates and invalid UTF-8 read as U+FFFD.
pub(super) fn unquote(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    Cow::Owned(unescape(inner))
}

fn unescape(inner: &[u8]) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(backslash);
        text.push_str(&String::from_utf8_lossy(plain));
        let (character, length) = read_escape(escape);
        text.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

/// The character of the escape at the start of `escape`, and how many bytes it takes.
fn read_escape(escape: &[u8]) -> (char, usize) {
    let character = match escape.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return read_unicode(escape),
        // Only the backslash is taken, so that a character of several bytes after it stays whole.
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (character, 2)
}

fn read_unicode(escape: &[u8]) -> (char, usize) {
    let Some(unit) = hex_unit(escape) else {
        return (char::REPLACEMENT_CHARACTER, 2);
    };
    if let Some(character) = char::from_u32(unit) {
        return (character, 6);
    }
    // A surrogate: with its partner it makes one character, alone it makes none.
    let low = escape.get(6..).and_then(hex_unit);
    match (unit, low) {
        (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
            let scalar = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            let character = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
            (character, 12)
        }
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The value of `\uXXXX` at the start of `escape`.
fn hex_unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// Appends `text` as a JSON string with its quotes. U+2028 and U+2029 are escaped, because some clients split lines there.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..'\u{20}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a vector does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends `number` in its shortest form that reads back the same; what is no finite number is written as `null`.
pub fn write_f64(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        // Rust's `Display` of a float never uses an exponent, which every JSON reader understands.
        let _ = write!(out, "{number}");
    } else {
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quoted: &str, expected: &str) {
        assert_eq!(unquote(quoted.as_bytes()), expected, "{quoted}");
    }

    #[test]
    fn escapes_are_read() {
        check(r#""plain""#, "plain");
        check(r#""a\"b\\c\/d\n\t\r\b\f""#, "a\"b\\c/d\n\t\r\u{8}\u{c}");
        check(r#""gpt\u002d5""#, "gpt-5");
        check(r#""\ud83d\ude00!""#, "😀!");
        check(r#""é\u00e9""#, "éé");
    }

    #[test]
    fn broken_escapes_read_as_the_replacement_character() {
        check(r#""\ud83d""#, "\u{fffd}");
        check(r#""\ud83dx""#, "\u{fffd}x");
        check(r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}");
        check(r#""\u12""#, "\u{fffd}12");
        check(r#""\q""#, "\u{fffd}q");
        check(r#""\é""#, "\u{fffd}é");
    }

    #[test]
    fn written_strings_read_back_and_hide_line_separators() {
        let text = "quote \" slash \\ line \n sep \u{2028}\u{2029}\u{85} bell \u{7} 😀 é";
        let mut out = Vec::new();
        write_string(&mut out, text);
        assert_eq!(unquote(&out), text);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        let written = String::from_utf8(out).unwrap();
        assert!(!written.contains(['\u{2028}', '\u{2029}', '\u{85}']), "{written}");
        assert!(written.contains("\\u2028\\u2029\\u0085"), "{written}");
    }

    #[test]
    fn numbers_are_written_plainly() {
        for (number, expected) in [(0.2, "0.2"), (1.0, "1"), (-0.5, "-0.5"), (f64::NAN, "null")] {
            let mut out = Vec::new();
            write_f64(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
