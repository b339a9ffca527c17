//! Tokens counted by the gateway, where an answer came without usage. Never mixed with what providers say: the label is
//! `estimated` wherever the number goes.
//!
//! The tokenizer is o200k, for every model: exact for OpenAI's, a fair measure for the others (`docs/telemetry.md` has
//! what was measured). Its tables take some 25 MB and a tenth of a second, once, on the observer's thread, at the first
//! answer without usage; a gateway whose providers all tell their usage never loads them.

use std::sync::OnceLock;

use tiktoken::CoreBpe;

/// What a byte of a request is worth when its words were not kept: four bytes a token, the usual measure of English.
const BYTES_PER_TOKEN: u64 = 4;
/// What the frame around each message costs in OpenAI's chat format, and around them all.
const PER_MESSAGE: u64 = 4;
const PER_REQUEST: u64 = 3;
/// Limit: bytes that are tokenized; the rest is counted by its length.
const COUNTED_MAX: usize = 1024 * 1024;

static TABLES: OnceLock<CoreBpe> = OnceLock::new();

/// Tokens of an answer's words.
pub fn words(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let cut = text.floor_char_boundary(COUNTED_MAX);
    let (counted, rest) = text.split_at(cut);
    let tables = TABLES.get_or_init(tiktoken::encoding::o200k_base);
    tables.count(counted) as u64 + bytes(rest.len() as u64)
}

/// Tokens of a request with `messages` messages.
pub fn prompt(text: &str, messages: usize) -> u64 {
    words(text) + PER_MESSAGE * messages as u64 + PER_REQUEST
}

/// Tokens of text of which only the length is known.
pub fn bytes(length: u64) -> u64 {
    length.div_ceil(BYTES_PER_TOKEN)
}

/// Loads the tables now, so that nothing that is being timed waits for it.
pub fn load() {
    TABLES.get_or_init(tiktoken::encoding::o200k_base);
}

/// Whether the tables have been loaded.
pub fn is_loaded() -> bool {
    TABLES.get().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_openai_counts_them() {
        // Two other implementations of o200k gave the same numbers.
        for (text, tokens) in [
            ("", 0),
            ("hello world", 2),
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("fn main() { println!(\"{}\", 1 + 1); }", 13),
            ("你好,世界! 今天天气怎么样?", 9),
            ("Ünïcödé 😀\u{2028} x", 8),
            (r#"{"type":"object","properties":{"path":{"type":"string"}}}"#, 14),
        ] {
            assert_eq!(words(text), tokens, "{text}");
        }
        assert!(is_loaded());
    }

    #[test]
    fn what_is_too_long_is_measured_by_its_length() {
        let long = "é".repeat(COUNTED_MAX);
        let counted = words(&long);
        assert!(counted > bytes(COUNTED_MAX as u64), "{counted}");
        assert_eq!((bytes(0), bytes(1), bytes(8)), (0, 1, 2));
    }
}
