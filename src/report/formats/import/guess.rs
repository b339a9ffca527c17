//! What a file is, by its first bytes: magic numbers, then the names that its first object has.

use pinhole_replay::bundle;

use crate::base::json::Walk;
use crate::report::formats::import::Source;

/// What lines of a trace have, and bodies of requests have not.
const TRACED: [&str; 6] =
    ["timestamp", "delay", "input_length", "output_length", "hash_ids", "text_input"];
/// What is said in a request, in one dialect or the other.
const ASKED: [&str; 4] = ["messages", "input", "prompt", "contents"];

pub(super) fn source(beginning: &[u8]) -> Option<Source> {
    if beginning.starts_with(&bundle::MAGIC) {
        return Some(Source::Bundle);
    }
    let is_map = beginning.first().is_some_and(|byte| byte >> 5 == 5);
    if is_map && memchr::memmem::find(beginning, b"LLMPROXY-CAPTURE").is_some() {
        return Some(Source::Cbor2);
    }
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && text.get(digits) == Some(&b':') {
        return Some(Source::Mitmproxy);
    }
    let keys = keys(text);
    let has = |name: &str| keys.iter().any(|key| key == name.as_bytes());
    if has("log") {
        Some(Source::Har)
    } else if has("direction") && has("payload") {
        Some(Source::BufferedV1)
    } else if has("schema") && has("id") {
        Some(Source::Ndjson)
    } else if has("standard_logging_object") || has("call_type") || has("model_parameters") {
        Some(Source::LiteLlm)
    } else if has("request") && (has("response") || has("logged_at")) {
        Some(Source::ClaudeTrace)
    } else if has("custom_id") && has("body") {
        Some(Source::OpenAiBatch)
    } else if TRACED.iter().any(|name| has(name)) {
        Some(Source::Mooncake)
    } else if ASKED.iter().any(|name| has(name)) {
        Some(Source::RawPayload)
    } else {
        None
    }
}

/// The names of the first object's members, as far as it is there.
fn keys(text: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    Walk::new(text).members(|_, key| keys.push(key.to_vec()));
    keys
}
