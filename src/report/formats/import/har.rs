//! HAR, ours and others'. Ours gives back the very recording it was made of; others' entries hold answers in clear, and no
//! arrival times.

use std::io::BufRead;

use pinhole_replay::recording::Recording;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::report::formats::export::har::restore;
use crate::report::formats::import::foreign::{Foreign, Heads, base64};
use crate::report::formats::import::split::{self, Element, Ending};
use crate::report::formats::import::{Found, ITEM_MAX, Place, ReadError, Source, lines};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    #[serde(default)]
    time: Option<f64>,
    request: Request,
    response: Response,
    #[serde(default)]
    timings: Map<String, Value>,
    #[serde(rename = "serverIPAddress")]
    server_ip_address: Option<String>,
    #[serde(rename = "_pinhole")]
    pinhole: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    post_data: Option<Text>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    headers: Vec<Header>,
    content: Option<Text>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Text {
    text: Option<String>,
    encoding: Option<String>,
}

pub(super) fn read(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    let mut number = 0;
    let ending = split::elements(from, &mut |element| {
        number += 1;
        let place = Place::Entry(number);
        found(match element {
            Element::TooLong => lines::too_long(place),
            Element::Json(json) => match recording(&json, number) {
                Ok(Some(recording)) => Found::Recording(Box::new(recording)),
                Ok(None) => Found::Other,
                Err(reason) => Found::Damaged { place, reason },
            },
        })
    })?;
    let note = match ending {
        Ending::Whole => return Ok(()),
        Ending::CutOff => "the document was cut off in its list of entries",
        Ending::Nothing => "the document has no list log.entries",
    };
    found(Found::Note(note.to_owned()));
    Ok(())
}

fn recording(json: &[u8], number: u64) -> Result<Option<Recording>, String> {
    debug_assert!(json.len() <= ITEM_MAX, "the splitter holds the limit");
    let entry: Entry = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    match entry.pinhole {
        Some(rest) => ours(rest, entry.request, entry.response).map(Some),
        None => others(entry, number),
    }
}

fn ours(
    rest: Map<String, Value>,
    request: Request,
    response: Response,
) -> Result<Recording, String> {
    let heads = |headers: Vec<Header>| -> Value {
        headers.into_iter().map(|header| json!([header.name, header.value])).collect()
    };
    let text = |text: Option<Text>| text.and_then(|text| text.text).map(Value::String);
    let whole = restore(
        rest,
        [text(request.post_data), text(response.content)],
        [heads(request.headers), heads(response.headers)],
    );
    serde_json::from_value(whole).map_err(|error| format!("_pinhole: {error}"))
}

fn others(entry: Entry, number: u64) -> Result<Option<Recording>, String> {
    let at: jiff::Timestamp =
        entry.started_date_time.parse().map_err(|_| "startedDateTime is no time".to_owned())?;
    if !entry.request.url.starts_with("http") {
        // Web sockets, blobs, data.
        return Ok(None);
    }
    let started_us = at.as_microsecond();
    let took = |millis: f64| (0.0..1e12).contains(&millis).then(|| (millis * 1e3).round() as i64);
    let phase = |name: &str| {
        let millis = entry.timings.get(name).and_then(Value::as_f64).unwrap_or(-1.0);
        took(millis).unwrap_or(0)
    };
    let [dns, connect, tls] = ["dns", "connect", "ssl"].map(phase);
    let before: i64 = ["blocked", "dns", "connect", "send", "wait"].into_iter().map(phase).sum();
    let total = entry.time.and_then(took).unwrap_or(before + phase("receive"));
    let heads = |headers: Vec<Header>| -> Heads {
        headers.into_iter().map(|header| (header.name, header.value)).collect()
    };
    let status = u16::try_from(entry.response.status).ok().filter(|status| *status >= 100);
    let foreign = Foreign {
        id: format!("{number} {} {}", entry.request.method, entry.request.url),
        started_us,
        head_us: status.map(|_| started_us + before.min(total)),
        ended_us: Some(started_us + total),
        method: entry.request.method,
        url: entry.request.url,
        request_headers: Some(heads(entry.request.headers)),
        request_body: entry.request.post_data.and_then(bytes),
        status,
        response_headers: status.map(|_| heads(entry.response.headers)),
        response_body: status.and(entry.response.content).and_then(bytes),
        link_us: (connect > 0).then(|| [dns, (connect - tls).max(0), tls]),
        peer: entry.server_ip_address.filter(|address| !address.is_empty()),
        ..Foreign::default()
    };
    Ok(Some(foreign.recording(Source::Har)))
}

fn bytes(text: Text) -> Option<Vec<u8>> {
    let said = text.text?;
    match text.encoding.as_deref() {
        Some("base64") => base64(&said),
        _ => Some(said.into_bytes()),
    }
}
