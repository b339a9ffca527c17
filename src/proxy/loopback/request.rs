//! From a recording to the request that repeats it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use pinhole_replay::Order;
use pinhole_replay::recording::{Fault, Recording};

use crate::base::id::ExchangeId;
use crate::exchange::replay::Replay;
use crate::proxy::endpoint::percent_encode;
use crate::proxy::replays;

/// Of the recorded headers, those that say how the request is meant. Credentials, the client's wishes about connections and
/// codings, and what the gateway was asked for stay behind.
const KEPT: [&str; 12] = [
    "content-type",
    "accept",
    "user-agent",
    "anthropic-version",
    "anthropic-beta",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "x-goog-api-client",
    "x-goog-user-project",
    "x-client-request-id",
    "x-stainless-helper-method",
];
/// Where nothing was recorded: what a client of that dialect would send.
const ANTHROPIC_VERSION: &str = "2023-06-01";

pub(super) fn of(
    order: &Order,
    model: &str,
    run: ExchangeId,
) -> Result<Request<Full<Bytes>>, Fault> {
    let recording = &*order.recording;
    let body = match (&order.body, recording.client_request()) {
        (Some(body), _) => Bytes::from(body.clone()),
        (None, Some(whole)) => Bytes::from(whole.bytes.clone()),
        (None, None) => return Err(unsendable("the recording has no request body")),
    };
    let method = Method::from_bytes(recording.method.as_bytes()).unwrap_or(Method::POST);
    let mut request = Request::builder().method(method).uri(path(recording, model));
    let mut has_version = false;
    for (name, value) in recording.request.headers.iter().flatten() {
        let lower = name.to_ascii_lowercase();
        if KEPT.contains(&lower.as_str()) && !value.contains("[redacted") {
            has_version |= lower == "anthropic-version";
            request = request.header(name.as_str(), value.as_bytes());
        }
    }
    if recording.dialect == "anthropic" && !has_version {
        request = request.header("anthropic-version", ANTHROPIC_VERSION);
    }
    let of = ExchangeId::parse(&recording.id);
    let word = replays::header(Replay { run, of })
        .ok_or_else(|| unsendable("the machine has no random numbers"))?;
    request = request.header(header::HOST, "localhost").header(replays::X_PINHOLE_REPLAY, word);
    if let Some(session) = session(recording, run) {
        request = request.header(HeaderName::from_static("x-session-id"), session);
    }
    request.body(Full::new(body)).map_err(|error| unsendable(&error.to_string()))
}

/// Gemini's model stands in the path.
fn path(recording: &Recording, model: &str) -> String {
    let path = recording.path.as_str();
    let replaced = path.split_once("/models/").and_then(|(before, rest)| {
        let (_, action) = rest.rsplit_once(':')?;
        Some(format!("{before}/models/{}:{action}", percent_encode(model)))
    });
    let path = replaced.unwrap_or_else(|| path.to_owned());
    // Gemini says in the query that it wants events.
    let line = recording.request.line.as_deref().unwrap_or_default();
    match line.split(' ').nth(1).and_then(|target| target.split_once('?')) {
        Some((_, query)) if query.split('&').any(|pair| pair == "alt=sse") => {
            format!("{path}?alt=sse")
        }
        _ => path,
    }
}

/// A run's conversations are its own: those that were recorded stay as they are.
fn session(recording: &Recording, run: ExchangeId) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("replay-{run}-{}", recording.session.as_ref()?)).ok()
}

fn unsendable(why: &str) -> Fault {
    Fault {
        source: "client".to_owned(),
        kind: "not_replayable".to_owned(),
        detail: Some(why.to_owned()),
    }
}
