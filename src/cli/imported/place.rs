//! What a recorded request asked for: dialect, operation, model, stream. As its recorder says, else by its path, as the
//! gateway reads paths, else by the path's end: other recorders stand before providers with paths of their own.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pinhole_replay::recording::Recording;

use super::word;
use crate::base::coding;
use crate::dialect;
use crate::neutral::kind::{Dialect, Operation};
use crate::proxy::endpoint::{self, Endpoint, ModelPlace, Route};

/// Limit: bytes of a request once it is decoded.
const CLEAR_MAX: usize = 256 * 1024 * 1024;

/// What was asked for.
pub(super) struct Place {
    pub dialect: Dialect,
    pub operation: Operation,
    pub model: Option<String>,
    pub stream: bool,
    pub method: Method,
    /// The client's.
    pub headers: HeaderMap,
    /// The client's request without its coding.
    pub clear: Option<Bytes>,
}

/// The ends of paths that say what they are.
const ENDS: [(&str, &str); 5] = [
    ("/chat/completions", "/v1/chat/completions"),
    ("/responses", "/v1/responses"),
    ("/messages", "/v1/messages"),
    ("/embeddings", "/v1/embeddings"),
    ("/completions", "/v1/completions"),
];

pub(super) fn of(recording: &Recording) -> Place {
    let method = Method::from_bytes(recording.method.as_bytes()).unwrap_or(Method::POST);
    let headers = headers(recording.request.headers.as_deref().unwrap_or_default());
    let found = found(&method, &recording.path, &headers);
    let told = word::dialect(&recording.dialect).zip(word::operation(&recording.operation));
    let (dialect, operation) = told.unwrap_or((found.dialect, found.operation));
    let clear = clear(recording);
    let reads = !matches!(operation, Operation::Models | Operation::Opaque);
    let facts = clear.as_deref().filter(|_| reads);
    let facts = facts.and_then(|body| dialect::peek(dialect, body).ok()).unwrap_or_default();
    let model = recording.model_requested.clone();
    Place {
        model: model.or_else(|| facts.model.map(|model| model.text)).or(found.model),
        stream: recording.stream || facts.stream == Some(true) || found.stream,
        dialect,
        operation,
        method,
        headers,
        clear,
    }
}

struct Found {
    dialect: Dialect,
    operation: Operation,
    model: Option<String>,
    stream: bool,
}

fn found(method: &Method, path: &str, headers: &HeaderMap) -> Found {
    let at_its_end = || {
        let end = ENDS.iter().find(|(end, _)| path.ends_with(end));
        end.map(|(_, usual)| *usual).or_else(|| path.find("/v1beta/").and_then(|at| path.get(at..)))
    };
    let read = |path: &str| match endpoint::read(method, path, headers) {
        Route::Forward(endpoint) => Some(of_endpoint(&endpoint)),
        _ => None,
    };
    let known = read(path).filter(|found| found.operation != Operation::Opaque);
    let known = known.or_else(|| at_its_end().and_then(read));
    known.or_else(|| read(path)).unwrap_or(Found {
        dialect: Dialect::OpenAiChat,
        operation: Operation::Opaque,
        model: None,
        stream: false,
    })
}

fn of_endpoint(endpoint: &Endpoint<'_>) -> Found {
    let model = match endpoint.model {
        ModelPlace::Path(model) if model != "unknown" => Some(endpoint::percent_decode(model)),
        _ => None,
    };
    Found {
        dialect: endpoint.dialect,
        operation: endpoint.operation,
        model,
        stream: endpoint.stream == Some(true),
    }
}

fn clear(recording: &Recording) -> Option<Bytes> {
    let body = recording.client_request().filter(|body| body.cut_bytes == 0)?;
    let bytes = Bytes::copy_from_slice(&body.bytes);
    match &body.coding {
        Some(coding) => coding::decode(coding, &bytes, CLEAR_MAX).ok(),
        None => Some(bytes),
    }
}

/// Pairs as a map, for looking things up; what is no header is left out. A recorder's wish for another protocol is no
/// wish of the importer's.
pub(super) fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(pairs.len().min(1_024));
    for (name, value) in pairs.iter().take(1_024) {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(latin(value).as_bytes());
        if let (Ok(name), Ok(value)) = (name, value)
            && name != http::header::UPGRADE
        {
            headers.append(name, value);
        }
    }
    headers
}

fn latin(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text.trim_matches(|c: char| c == ' ' || c == '\t'))
}
