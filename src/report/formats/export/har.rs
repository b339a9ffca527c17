//! HAR 1.2: an entry is an exchange as its client saw it. What HAR has no field for stands in `_pinhole`: the recording,
//! without what the entry's own fields hold already, so that reading it back gives the very same bytes, headers and times.
//!
//! - `time` and `timings` are of the exchange; `blocked` is everything before the last attempt was sent.
//! - `content.text` is the answer in clear; where those are not the bytes of the wire, the bytes are in `_pinhole`.
//! - `_pinhole.attempts[].frames`: arrival of each piece, in microseconds from the beginning, and its length.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinhole_replay::recording::{Body, Leg, Recording, Whole};
use serde_json::{Map, Value, json};

use crate::base::coding;
use crate::report::formats::export::CLEAR_MAX;

/// In `_pinhole`, for a body that stands in `postData.text`.
pub const IN_REQUEST: &str = "postData";
/// In `_pinhole`, for a body that stands in `content.text`.
pub const IN_RESPONSE: &str = "content";

/// Writes one document, entry by entry.
pub struct Writer<W: Write> {
    out: W,
    entries: u64,
}

impl<W: Write> Writer<W> {
    pub fn begin(mut out: W) -> io::Result<Self> {
        let creator = json!({ "name": "Pinhole", "version": env!("CARGO_PKG_VERSION") });
        write!(out, "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[")?;
        Ok(Self { out, entries: 0 })
    }

    pub fn push(&mut self, recording: Recording) -> io::Result<()> {
        self.out.write_all(if self.entries == 0 { b"\n" } else { b",\n" })?;
        self.entries += 1;
        serde_json::to_writer(&mut self.out, &entry(recording))?;
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"\n]}}\n")?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A document with one exchange in it.
pub fn document(recording: Recording) -> Value {
    json!({ "log": {
        "version": "1.2",
        "creator": { "name": "Pinhole", "version": env!("CARGO_PKG_VERSION") },
        "entries": [entry(recording)],
    } })
}

fn entry(recording: Recording) -> Value {
    let timings = timings(&recording);
    let total: f64 = ["blocked", "dns", "connect", "send", "wait", "receive"]
        .iter()
        .filter_map(|phase| timings[*phase].as_f64())
        .filter(|took| *took > 0.0)
        .sum();
    let mut entry = json!({
        "startedDateTime": stamp(recording.started_at_us),
        "time": total,
        "request": request(&recording),
        "response": response(&recording),
        "cache": {},
        "timings": timings,
    });
    if let Some(peer) = recording.attempts.last().and_then(|attempt| attempt.peer.as_deref()) {
        entry["serverIPAddress"] = address(peer).into();
    }
    entry["_pinhole"] = rest(recording);
    entry
}

/// The recording without what the entry's other fields hold.
fn rest(mut recording: Recording) -> Value {
    let in_request = is_plain(recording.request.body.whole());
    let in_response = is_plain(recording.client_response());
    let (has_request, has_response) =
        (recording.request.headers.take().is_some(), recording.response.headers.take().is_some());
    if in_request {
        recording.request.body = Body::Same;
    }
    let mut marked = None;
    if in_response {
        let at_attempt = recording.response.body == Body::Same;
        marked = Some(at_attempt);
        match recording.attempts.last_mut().filter(|_| at_attempt) {
            Some(attempt) => attempt.response.body = Body::Same,
            None => recording.response.body = Body::Same,
        }
    }
    let mut rest = serde_json::to_value(recording).unwrap_or_default();
    if in_request {
        rest["request"]["body"] = IN_REQUEST.into();
    }
    match marked {
        Some(true) => {
            if let Some(attempt) = rest["attempts"].as_array_mut().and_then(|all| all.last_mut()) {
                attempt["response"]["body"] = IN_RESPONSE.into();
            }
        }
        Some(false) => rest["response"]["body"] = IN_RESPONSE.into(),
        None => {}
    }
    // `null`: they were not kept; absent: they stand in the entry.
    for (leg, has) in [("request", has_request), ("response", has_response)] {
        if !has {
            rest[leg]["headers"] = Value::Null;
        }
    }
    rest
}

/// Whether the body is what the entry's own text says, no more and no less.
fn is_plain(body: Option<&Whole>) -> bool {
    body.is_some_and(|body| {
        body.cut_bytes == 0
            && body.coding.is_none()
            && !body.redacted
            && !body.bytes.is_empty()
            && std::str::from_utf8(&body.bytes).is_ok()
    })
}

fn request(recording: &Recording) -> Value {
    let leg = &recording.request;
    let target = target(recording);
    let host = header(leg, "host").unwrap_or("gateway.invalid");
    let mut request = json!({
        "method": recording.method,
        "url": format!("http://{host}{target}"),
        "httpVersion": "unknown",
        "cookies": [],
        "headers": headers(leg),
        "queryString": query(&target),
        "headersSize": -1,
        "bodySize": recording.request_bytes,
    });
    if let Some(body) = leg.body.whole().filter(|body| !body.bytes.is_empty()) {
        let (text, is_text) = text(body);
        let mut post = json!({
            "mimeType": header(leg, "content-type").unwrap_or("application/octet-stream"),
            "text": if is_text { text } else { String::new() },
        });
        if !is_text {
            post["comment"] = "no text; the bytes are in _pinhole.request.body".into();
        }
        request["postData"] = post;
    }
    request
}

fn response(recording: &Recording) -> Value {
    let leg = &recording.response;
    let status = recording.status.unwrap_or(0);
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let version = recording.attempts.last().and_then(|attempt| attempt.http.as_deref());
    let mime = header(leg, "content-type").unwrap_or("application/octet-stream");
    let mut content = json!({ "size": 0, "mimeType": mime });
    if let Some(body) = recording.client_response() {
        let (text, is_text) = text(body);
        content["size"] = size(body).into();
        content["text"] = text.into();
        if !is_text {
            content["encoding"] = "base64".into();
        }
    }
    let location = header(leg, "location").unwrap_or_default();
    json!({
        "status": status,
        "statusText": reason.unwrap_or_default(),
        "httpVersion": version.map_or_else(|| "unknown".to_owned(), |v| format!("HTTP/{v}")),
        "cookies": [],
        "headers": headers(leg),
        "content": content,
        "redirectURL": location,
        "headersSize": -1,
        "bodySize": recording.response_bytes,
    })
}

/// Milliseconds of each phase; -1 where there was none.
fn timings(recording: &Recording) -> Value {
    let millis = |us: i64| us.max(0) as f64 / 1_000.0;
    let Some(attempt) = recording.attempts.last() else {
        return json!({
            "blocked": -1, "dns": -1, "connect": -1, "ssl": -1,
            "send": 0, "wait": millis(recording.duration_us), "receive": 0,
        });
    };
    let sent = attempt.sent_us.clamp(0, recording.duration_us.max(0));
    let link: i64 = attempt.link_us.map_or(0, |phases| phases.iter().sum());
    let head = attempt.head_us.unwrap_or(recording.duration_us).max(sent + link);
    let phase = |n: usize| attempt.link_us.map_or(json!(-1), |phases| json!(millis(phases[n])));
    let connect = attempt.link_us.map_or(json!(-1), |[_, tcp, tls]| json!(millis(tcp + tls)));
    json!({
        "blocked": millis(sent),
        "dns": phase(0),
        "connect": connect,
        "ssl": if attempt.tls.is_some() { phase(2) } else { json!(-1) },
        "send": 0,
        "wait": millis(head - sent - link),
        "receive": millis(recording.duration_us - head),
    })
}

/// The body in clear as text, or in base64 where it is none.
fn text(body: &Whole) -> (String, bool) {
    let clear = in_clear(body);
    let bytes = clear.as_deref().unwrap_or(&body.bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), true),
        Err(_) => (STANDARD.encode(bytes), false),
    }
}

fn size(body: &Whole) -> usize {
    in_clear(body).map_or(body.bytes.len(), |clear| clear.len())
}

/// As much as can be read of it, also where its end is missing.
fn in_clear(body: &Whole) -> Option<Vec<u8>> {
    body.coding.as_deref().map(|coding| coding::beginning(coding, &body.bytes, CLEAR_MAX))
}

fn headers(leg: &Leg) -> Vec<Value> {
    let all = leg.headers.as_deref().unwrap_or_default();
    all.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// The first value of a header.
pub(in crate::report::formats) fn header<'a>(leg: &'a Leg, name: &str) -> Option<&'a str> {
    let all = leg.headers.as_deref()?;
    all.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Path and query, as the request's line has them.
fn target(recording: &Recording) -> String {
    let line = recording.request.line.as_deref().unwrap_or_default();
    let target = line.split(' ').nth(1).filter(|target| target.starts_with('/'));
    target.unwrap_or(&recording.path).to_owned()
}

fn query(target: &str) -> Vec<Value> {
    let Some((_, query)) = target.split_once('?') else { return Vec::new() };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            json!({ "name": name, "value": value })
        })
        .collect()
}

fn address(peer: &str) -> String {
    peer.parse::<std::net::SocketAddr>().map_or_else(|_| peer.to_owned(), |at| at.ip().to_string())
}

pub(in crate::report::formats) fn stamp(us: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    format!("{at:.6}")
}

/// Puts what the entry holds back into the recording's JSON.
pub(in crate::report::formats) fn restore(
    mut rest: Map<String, Value>,
    texts: [Option<Value>; 2],
    heads: [Value; 2],
) -> Value {
    for (name, head) in ["request", "response"].into_iter().zip(heads) {
        if let Some(leg) = rest.get_mut(name).and_then(Value::as_object_mut) {
            match leg.get("headers") {
                Some(Value::Null) => {
                    leg.remove("headers");
                }
                Some(_) => {}
                None => {
                    leg.insert("headers".to_owned(), head);
                }
            }
        }
    }
    let [asked, answered] = texts;
    put_back(rest.get_mut("request"), IN_REQUEST, asked);
    let last = rest.get_mut("attempts").and_then(Value::as_array_mut);
    let last = last.and_then(|all| all.last_mut()).and_then(|attempt| attempt.get_mut("response"));
    put_back(last, IN_RESPONSE, answered.clone());
    put_back(rest.get_mut("response"), IN_RESPONSE, answered);
    rest.into()
}

fn put_back(leg: Option<&mut Value>, mark: &str, body: Option<Value>) {
    if let Some(leg) = leg
        && leg.get("body").is_some_and(|own| own == mark)
    {
        leg["body"] = match body {
            Some(text) => json!({ "text": text }),
            None => json!({ "absent": "not_kept" }),
        };
    }
}
