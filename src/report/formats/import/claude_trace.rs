//! claude-trace's log: a line a call, `{"request": {…}, "response": {…} | null, "logged_at"}`. Request bodies were parsed
//! and written anew, so they say what was sent, not in which bytes; streams are as they came (`body_raw`).

use pinhole_replay::recording::Recording;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::report::formats::import::Source;
use crate::report::formats::import::foreign::{Foreign, Heads, seconds};

#[derive(Deserialize)]
struct Line {
    request: Request,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Request {
    timestamp: f64,
    #[serde(default)]
    method: String,
    url: String,
    #[serde(default)]
    headers: indexmap::IndexMap<String, String>,
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Response {
    timestamp: Option<f64>,
    status_code: Option<u16>,
    #[serde(default)]
    headers: indexmap::IndexMap<String, String>,
    body: Option<Box<RawValue>>,
    body_raw: Option<String>,
}

pub(super) fn recording(line: &[u8]) -> Result<Option<Recording>, String> {
    let Line { request, response } = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let started_us = seconds(request.timestamp).ok_or("its request has no time")?;
    let heads =
        |headers: indexmap::IndexMap<String, String>| headers.into_iter().collect::<Heads>();
    let mut foreign = Foreign {
        // It has no id: the call is known by its time and its words.
        id: blake3::hash(request.body.as_ref().map_or("", |body| body.get()).as_bytes())
            .to_hex()
            .to_string(),
        started_us,
        method: request.method,
        url: request.url,
        request_headers: Some(heads(request.headers)),
        request_body: request.body.as_deref().and_then(text),
        rebuilt: true,
        ..Foreign::default()
    };
    if let Some(response) = response {
        foreign.ended_us = response.timestamp.and_then(seconds);
        foreign.status = response.status_code;
        foreign.response_headers = Some(heads(response.headers));
        let raw = response.body_raw.map(String::into_bytes);
        foreign.response_body = raw.or_else(|| response.body.as_deref().and_then(text));
    }
    Ok(Some(foreign.recording(Source::ClaudeTrace)))
}

/// A string is what it says, anything else is its JSON.
fn text(body: &RawValue) -> Option<Vec<u8>> {
    match body.get() {
        "null" => None,
        text if text.starts_with('"') => {
            serde_json::from_str::<String>(text).ok().map(String::into_bytes)
        }
        json => Some(json.as_bytes().to_vec()),
    }
}
