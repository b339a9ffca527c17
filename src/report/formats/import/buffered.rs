//! `buffered_v1`: lines of JSON, an event each, as llm-interactive-proxy's structured capture writes them. Payloads are
//! objects that were written anew, pieces of streams are text.

use std::io::BufRead;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::report::formats::import::assemble::{Assembler, Event, Facts, Way};
use crate::report::formats::import::foreign::{base64, seconds};
use crate::report::formats::import::lines::{self, Line};
use crate::report::formats::import::{Found, Place, ReadError, Source};

#[derive(Deserialize)]
struct Logged {
    timestamp_unix: f64,
    direction: String,
    session_id: Option<String>,
    backend: Option<String>,
    model: Option<String>,
    key_name: Option<String>,
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    metadata: Value,
}

pub(super) fn read(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    let mut assembler = Assembler::new(Source::BufferedV1, true);
    let mut stopped = false;
    lines::each(from, &mut |number, line| {
        let place = Place::Line(number);
        let goes_on = match line {
            Line::TooLong => found(lines::too_long(place)),
            Line::Text(text) => match event(text) {
                Ok(Some(event)) => assembler
                    .take(event)
                    .is_none_or(|recording| found(Found::Recording(Box::new(recording)))),
                Ok(None) => true,
                Err(reason) => found(Found::Damaged { place, reason }),
            },
        };
        stopped = !goes_on;
        goes_on
    })?;
    while !stopped && let Some(recording) = assembler.next_left() {
        stopped = !found(Found::Recording(Box::new(recording)));
    }
    Ok(())
}

/// `None`: a mark that says nothing an exchange needs.
fn event(line: &[u8]) -> Result<Option<Event>, String> {
    let logged: Logged = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let (way, piece) = match logged.direction.as_str() {
        "inbound_request" => (Way::FromClient, false),
        "outbound_request" => (Way::ToProvider, false),
        "inbound_response" => (Way::FromProvider, false),
        "outbound_response" => (Way::ToClient, false),
        "stream_chunk" => (Way::FromProvider, true),
        "outbound_stream_chunk" => (Way::ToClient, true),
        // The payloads of these are counts.
        "stream_start"
        | "stream_end"
        | "stream_completion"
        | "outbound_stream_start"
        | "outbound_stream_end"
        | "system_init" => return Ok(None),
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(format!("its direction `{other}` is not known"));
        }
    };
    let text = |name: &str| logged.metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let known =
        |word: Option<String>| word.filter(|word| !matches!(word.as_str(), "N/A" | "unknown"));
    let provider = matches!(way, Way::ToProvider | Way::FromProvider);
    let request_id = text("request_id").or_else(|| logged.session_id.clone());
    Ok(Some(Event {
        at_us: seconds(logged.timestamp_unix).ok_or("it has no time")?,
        way,
        bytes: logged.payload.as_deref().map(|payload| bytes(payload, way)).unwrap_or_default(),
        piece,
        facts: Facts {
            request_id: request_id.ok_or("it has neither a request's nor a session's id")?,
            session: logged.session_id,
            provider: known(logged.backend).filter(|_| provider),
            model: known(logged.model).filter(|_| provider),
            key_label: logged.key_name.filter(|_| provider),
            client: text("client_host"),
            user_agent: text("user_agent"),
            ..Facts::default()
        },
    }))
}

/// A payload that is not the bytes themselves.
#[derive(Deserialize)]
struct Wrapped<'a> {
    encoding: Option<&'a str>,
    data: Option<&'a str>,
    #[serde(borrow)]
    parsed: Option<&'a RawValue>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

/// Text is what it says; bytes come as base64 in an object; a client's request as what was understood of it.
fn bytes(payload: &RawValue, way: Way) -> Vec<u8> {
    let raw = payload.get();
    if raw == "null" {
        return Vec::new();
    }
    if raw.starts_with('"') {
        return serde_json::from_str::<String>(raw).map(String::into_bytes).unwrap_or_default();
    }
    if raw.starts_with('{')
        && let Ok(wrapped) = serde_json::from_str::<Wrapped<'_>>(raw)
    {
        if wrapped.encoding == Some("base64")
            && let Some(bytes) = wrapped.data.and_then(base64)
        {
            return bytes;
        }
        if way == Way::FromClient
            && wrapped.raw.is_some()
            && let Some(parsed) = wrapped.parsed
        {
            return parsed.get().as_bytes().to_vec();
        }
    }
    raw.as_bytes().to_vec()
}
