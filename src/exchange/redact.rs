//! Takes secrets out of text that leaves the gateway for somebody to look at: keys, tokens, private keys, and long runs
//! of base64, which are no words. Pure. Each is replaced by what it was, so that a reader sees that something stood there.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Limit: characters of base64 that may stand in a text; a longer run is replaced by its size.
const BASE64_MAX: usize = 512;

/// What is looked for, with the word it is replaced by.
const SECRETS: [(&str, &str); 8] = [
    // PEM blocks, whole or cut off at the end.
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        "[private key]",
    ),
    // `sk-…` of many providers, and others' prefixes.
    (r"\b(?:sk|pk|rk|ak|gsk|xai|pplx|hf|r8|nvapi|sess|tgp)[-_][A-Za-z0-9_-]{12,}", "[api key]"),
    (r"\bAIza[0-9A-Za-z_-]{20,}", "[api key]"),
    (
        r"\b(?:ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abprs]|shpat|npm)[-_][A-Za-z0-9_-]{12,}",
        "[token]",
    ),
    (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "[access key id]"),
    (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "[token]"),
    (r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}", "[bearer token]"),
    // `password = …`, `"api_key": "…"`: the name stays, the value goes.
    (
        r#"(?i)\b(?P<name>password|passwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret)(?P<sign>["']?\s*[:=]\s*["']?)[^\s"',;&]{6,}"#,
        "${name}${sign}[secret]",
    ),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compiled = SECRETS.iter().map(|(pattern, word)| Some((Regex::new(pattern).ok()?, *word)));
    compiled.collect::<Option<Vec<_>>>().unwrap_or_default()
});

static BASE64: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("[A-Za-z0-9+/_-]{{{BASE64_MAX},}}={{0,2}}")).ok());

/// The text without secrets and without long runs of base64.
pub fn secrets(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for (pattern, word) in PATTERNS.iter() {
        if let Cow::Owned(replaced) = pattern.replace_all(&clean, *word) {
            clean = Cow::Owned(replaced);
        }
    }
    if let Some(base64) = BASE64.as_ref() {
        let size = |found: &Captures<'_>| format!("[base64, {} bytes]", found[0].len() / 4 * 3);
        if let Cow::Owned(replaced) = base64.replace_all(&clean, size) {
            clean = Cow::Owned(replaced);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), SECRETS.len());
        assert!(BASE64.is_some());
    }

    #[test]
    fn secrets_are_named_and_words_stay() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl";
        for (text, clean) in [
            ("use sk-proj-abcDEF123456789 now", "use [api key] now"),
            ("gsk_0123456789abcdef", "[api key]"),
            ("key AIzaSyA0123456789abcdefghijk.", "key [api key]."),
            ("ghp_0123456789abcdefghij", "[token]"),
            ("AKIAIOSFODNN7EXAMPLE", "[access key id]"),
            ("Authorization: Bearer abcdefghijkl", "Authorization: [bearer token]"),
            ("password = hunter2222", "password = [secret]"),
            (r#"{"api_key": "abcdefgh"}"#, r#"{"api_key": "[secret]"}"#),
            (
                "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
                "a [private key] b",
            ),
            ("a risk-free task, ask-me", "a risk-free task, ask-me"),
            ("the bearer of news", "the bearer of news"),
        ] {
            assert_eq!(secrets(text), clean);
        }
        assert_eq!(secrets(jwt), "[token]");
        let run = "QUJD".repeat(400);
        assert_eq!(secrets(&format!("see {run}!")), "see [base64, 1200 bytes]!");
    }
}
