//! Words from outside, made fit for a column: without secrets, bounded, and without characters that cut or garble a
//! terminal's line.
//!
//! Invariant: every text of a record comes by here, and secrets are taken out before anything is cut, so that no half of
//! one is left.

use std::borrow::Cow;
use std::sync::Arc;

use crate::exchange::redact;

/// Limit: characters of a name: model, provider, key, session, agent, tool, tag.
pub const NAME_MAX: usize = 256;
/// Limit: characters of a path or of the detail of an error.
pub const LINE_MAX: usize = 1_024;

/// At most `max` characters; what is longer ends in `…`. Secrets become placeholders; control characters, NUL among them,
/// become U+FFFD.
pub fn fit(text: &str, max: usize) -> Cow<'_, str> {
    /// A secret that begins in what is kept ends before that many bytes more.
    const BEYOND: usize = 16 * 1024;
    let looked_through = text.floor_char_boundary(max.saturating_mul(4).saturating_add(BEYOND));
    match redact::short_text(text.get(..looked_through).unwrap_or(text)) {
        Cow::Borrowed(_) => bounded(text, max),
        Cow::Owned(clean) => Cow::Owned(bounded(&clean, max).into_owned()),
    }
}

fn bounded(text: &str, max: usize) -> Cow<'_, str> {
    // A text of so few bytes has no more characters.
    if text.len() <= max && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut rest = text.chars();
    let mut fitted: String = rest.by_ref().take(max).map(clean).collect();
    if rest.next().is_some() {
        fitted.pop();
        fitted.push('…');
    }
    Cow::Owned(fitted)
}

/// As [`fit`], of a name that many rows share.
pub fn fit_shared(text: &Arc<str>) -> Arc<str> {
    match fit(text, NAME_MAX) {
        Cow::Borrowed(_) => Arc::clone(text),
        Cow::Owned(fitted) => fitted.into(),
    }
}

/// Bytes that are looked at beyond what is kept, for the end of a secret.
const SECRET_MAX: usize = 1_024;

/// A header's value as text; bytes that are no UTF-8 become U+FFFD.
pub fn fit_bytes(bytes: &[u8], max: usize) -> String {
    // Of more than this, nothing would be kept.
    let some = bytes.get(..max.saturating_mul(4).saturating_add(SECRET_MAX)).unwrap_or(bytes);
    let mut fitted = fit(&String::from_utf8_lossy(some), max).into_owned();
    if some.len() < bytes.len() && !fitted.ends_with('…') {
        fitted.pop();
        fitted.push('…');
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bounded_and_clean() {
        for (given, max, kept) in [
            ("gpt-5", 5, "gpt-5"),
            ("gpt-5x", 5, "gpt-…"),
            ("ééééé", 5, "ééééé"),
            ("éééééé", 5, "éééé…"),
            ("a\0b\u{1b}[2J\n", 20, "a\u{fffd}b\u{fffd}[2J\u{fffd}"),
            ("", 5, ""),
        ] {
            assert_eq!(fit(given, max), kept, "{given:?}");
        }
        let shared: Arc<str> = "gpt-5".into();
        assert!(Arc::ptr_eq(&shared, &fit_shared(&shared)));
        let long: Arc<str> = "m".repeat(1 << 20).into();
        assert_eq!(fit_shared(&long).chars().count(), NAME_MAX);
    }

    #[test]
    fn secrets_are_gone_before_anything_is_cut() {
        let key = "sk-proj-a8F3kQ92mZx71Lp0";
        for room in 0..60 {
            let kept = fit_bytes(format!("key {key} of x").as_bytes(), room);
            assert!(!kept.contains("sk-") && !kept.contains("a8F3"), "{kept}");
        }
        assert!(fit(key, NAME_MAX).starts_with("[redacted:api_key:"));
        let shared: Arc<str> = key.into();
        assert_eq!(*fit_shared(&shared), *fit(key, NAME_MAX), "the same everywhere");
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_far_as_they_are() {
        assert_eq!(fit_bytes(b"caf\xc3\xa9", 9), "café");
        assert_eq!(fit_bytes(b"a\xff\xfeb", 9), "a\u{fffd}\u{fffd}b");
        assert_eq!(fit_bytes(&[b'x'; 100], 4), "xxx…");
        assert_eq!(fit_bytes("é".repeat(100).as_bytes(), 4), "ééé…");
    }
}
