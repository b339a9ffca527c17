//! Tells words from what no person would write: identifiers and prose stay, random characters do not. Pure.

/// Limit: letters of one word.
const WORD_MAX: usize = 28;
/// Digits that an identifier may have in one place: `base64Encode`, `oauth2`, `sha256`.
const DIGITS_MAX: usize = 3;

/// Whether every part between separators reads like a word, a number of few digits, or an identifier in camel case.
pub(super) fn is_wordy(text: &[u8]) -> bool {
    text.split(|byte| !byte.is_ascii_alphanumeric()).all(is_word)
}

fn is_word(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == part.len() {
        return digits <= 4;
    }
    let digit_runs = part
        .chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit())
        .filter(|run| run.first().is_some_and(u8::is_ascii_digit))
        .count();
    let starts_with_digit = part.first().is_some_and(u8::is_ascii_digit);
    if digits > DIGITS_MAX || digit_runs > 1 || part.len() > WORD_MAX || starts_with_digit {
        return false;
    }
    // The case of letters changes at every other one of a random text, and seldom in a name.
    let letters = || part.iter().filter(|byte| byte.is_ascii_alphabetic());
    let changes = letters()
        .zip(letters().skip(1))
        .filter(|(one, next)| one.is_ascii_uppercase() != next.is_ascii_uppercase())
        .count();
    part.len() * 2 >= (changes + 1) * 5 || changes <= 1
}

pub(super) fn has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

pub(super) fn has_letter(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_alphabetic)
}

/// A digest or a UUID: long, but says nothing to anybody.
pub(super) fn is_digest(text: &[u8]) -> bool {
    let hex = text.iter().all(u8::is_ascii_hexdigit);
    let uuid = text.len() == 36
        && text.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    hex || uuid
}

/// Beginnings of what stands for a value and is none: expressions, templates, names of variables.
const STAND_IN_BEGINNINGS: &[&str] = &[
    "$",
    "<",
    "{",
    "%",
    "[",
    "*",
    "\\u003c",
    "process.env",
    "os.environ",
    "os.getenv",
    "import.meta",
    "env:",
    "file:",
    "command:",
    "secrets.",
    "config.",
    "settings.",
    "self.",
    "this.",
];
/// Words that only a stand-in has.
const STAND_IN_PARTS: &[&str] = &[
    "...",
    "…",
    "your-",
    "your_",
    "yourkey",
    "xxxx",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "redacted",
    "${",
    "{{",
    "://",
    "dummy",
    "masked",
    "****",
];
/// Whole values that say of what kind a password is, and not which.
const STAND_IN_WORDS: &[&str] = &[
    "string",
    "str",
    "text",
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "required",
    "optional",
    "password",
    "passwd",
    "pass",
    "secret",
    "token",
    "hidden",
    "bearer",
    "basic",
    "apikey",
    "api_key",
    "api-key",
    "value",
    "field",
    "input",
    "object",
    "number",
    "boolean",
    "integer",
    "any",
    "empty",
    "missing",
    "invalid",
    "unknown",
    "test",
    "user",
    "example",
    "username",
    "email",
    "name",
    "credentials",
    "current",
    "forgot",
    "confirm",
    "new-password",
    "current-password",
    "plain",
    "default",
    "header",
    "query",
    "cookie",
    "disabled",
    "enabled",
];

/// Stands for a value: a template, a variable, a word for the kind of value.
pub(super) fn is_stand_in(value: &[u8]) -> bool {
    let mut lower = [0; 64];
    let length = value.len().min(lower.len());
    let Some(lower) = lower.get_mut(..length) else { return false };
    lower.copy_from_slice(value.get(..length).unwrap_or_default());
    lower.make_ascii_lowercase();
    STAND_IN_BEGINNINGS.iter().any(|start| lower.starts_with(start.as_bytes()))
        || STAND_IN_PARTS.iter().any(|part| memchr::memmem::find(lower, part.as_bytes()).is_some())
        || STAND_IN_WORDS.iter().any(|word| lower == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_keys() {
        for text in [
            "fading-circle",
            "spinner_pulse12",
            "myComponentName",
            "getURLForHTTPRequest",
            "base64Encode",
            "oauth2",
            "authentication",
            "v1",
            "2026",
            "YOUR_KEY",
            "HTMLInputElement",
            "next_page",
            "sha256sum",
        ] {
            assert!(is_wordy(text.as_bytes()), "{text}");
        }
        for text in [
            "0123456789abcdef",
            "abcDEF123456789",
            "hunter2222",
            "aB3dEf9hK2",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
            "x7Kq-9fPz_2LmN",
            "QwErTyUiOpAsDfGhJk",
        ] {
            assert!(!is_wordy(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn stand_ins_are_no_values() {
        for text in [
            "${API_KEY}",
            "<key>",
            "YOUR_API_KEY",
            "sk-...",
            "string",
            "env:OPENAI",
            "xxxxxxxx",
            "{{x}}",
        ] {
            assert!(is_stand_in(text.as_bytes()), "{text}");
        }
        assert!(!is_stand_in(b"hunter22") && !is_stand_in(b"a8f3c2"));
        assert!(is_digest(b"d41d8cd98f00b204e9800998ecf8427e"));
        assert!(is_digest(b"018f2c1e-7b1a-7c3e-9d2f-0a1b2c3d4e5f") && !is_digest(b"hello"));
    }
}
