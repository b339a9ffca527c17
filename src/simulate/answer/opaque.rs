//! Endpoints without a dialect: forms, sound, and an echo that tells what arrived.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header;
use http::request::Parts;
use serde_json::{Value, json};

use crate::base::multipart;
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
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= ECHOED_MAX);
    let mut version = String::new();
    // Writing to a string cannot fail.
    let _ = write!(version, "{:?}", head.version);
    json!({"object": "echo", "method": head.method.as_str(), "path": head.uri.path(),
        "query": head.uri.query(), "version": version, "model": model, "headers": headers,
        "body": {"bytes": body.len(), "blake3": blake3::hash(body).to_hex().as_str(), "text": text}})
}

/// The value of a text field in a multipart form.
pub(crate) fn field<'b>(head: &Parts, body: &'b [u8], name: &str) -> Option<&'b str> {
    let kind = head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let span = multipart::find_value(kind, body, name)?;
    std::str::from_utf8(body.get(span)?).ok()
}

/// A transcription: the content type and the body the form's `response_format` asks for.
pub(crate) fn transcription(head: &Parts, body: &[u8]) -> (&'static str, Bytes) {
    let words = format!("Simulated transcription of {} bytes.", body.len());
    match field(head, body, "response_format") {
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
