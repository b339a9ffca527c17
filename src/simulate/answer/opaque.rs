//! Endpoints without a dialect: forms, sound, and an echo that tells what arrived.

use std::fmt::Write as _;

use bytes::Bytes;
use http::request::Parts;
use memchr::memmem;
use serde_json::{Value, json};

use crate::simulate::pace::Rng;

/// Limit: longer bodies are described by length and digest only.
const ECHOED_MAX: usize = 64 << 10;

/// What arrived, as JSON.
pub(crate) fn echo(head: &Parts, body: &Bytes, model: &str) -> Value {
    let headers: Vec<Value> = head
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.len() <= ECHOED_MAX);
    let mut version = String::new();
    // Writing to a string cannot fail.
    let _ = write!(version, "{:?}", head.version);
    json!({"object": "echo", "method": head.method.as_str(), "path": head.uri.path(),
        "query": head.uri.query(), "version": version, "model": model, "headers": headers,
        "body": {"bytes": body.len(), "blake3": blake3::hash(body).to_hex().as_str(), "text": text}})
}

/// The value of a text field in a multipart form.
pub(crate) fn field<'b>(body: &'b [u8], name: &str) -> Option<&'b str> {
    let marker = format!("name=\"{name}\"");
    let at = memmem::find(body, marker.as_bytes())? + marker.len();
    let start = at + memmem::find(&body[at..], b"\r\n\r\n")? + 4;
    let length = memmem::find(&body[start..], b"\r\n--")?;
    std::str::from_utf8(&body[start..start + length]).ok()
}

/// A transcription: the content type and the body the form's `response_format` asks for.
pub(crate) fn transcription(body: &[u8]) -> (&'static str, Bytes) {
    let words = format!("Simulated transcription of {} bytes.", body.len());
    match field(body, "response_format") {
        Some("text") => ("text/plain; charset=utf-8", format!("{words}\n").into()),
        Some("srt") => {
            let text = format!("1\n00:00:00,000 --> 00:00:02,000\n{words}\n\n");
            ("text/plain; charset=utf-8", text.into())
        }
        Some("verbose_json") => {
            let value = json!({"task": "transcribe", "language": "english", "duration": 2.0,
                "text": words, "segments": []});
            ("application/json", value.to_string().into())
        }
        _ => {
            let usage = json!({"type": "duration", "seconds": 2});
            let value = json!({"text": words, "usage": usage});
            ("application/json", value.to_string().into())
        }
    }
}

/// Made-up sound: bytes of every value, the same for the same request.
pub(crate) fn speech(mut rng: Rng) -> Bytes {
    let words = (0..2_048).flat_map(|_| rng.next().to_le_bytes());
    words.collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_form() {
        let form =
            b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x--\r\n";
        assert_eq!(field(form, "model"), Some("whisper-1"));
        assert_eq!(field(form, "file"), None);
        assert_eq!(field(b"name=\"model\"\r\n\r\nno end", "model"), None);
    }
}
