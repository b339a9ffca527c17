//! Headers, bodies and arrivals for the vault: as they were recorded, in their order. Values of headers are redacted here,
//! bodies by the store's writer, as for live traffic.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pinhole_replay::recording::{Attempt, Body, Leg, Recording};

use super::word;
use crate::exchange::Exchange;
use crate::exchange::leg::Keep;
use crate::store::capture::{Absent, AttemptIn, BodyIn, Captured, Content, Kind, LegIn, Outline};

pub(super) fn of(recording: Recording, exchange: &Exchange) -> Captured {
    let mut redacted = recording.redacted;
    let dialect = exchange.dialect.label();
    let events = exchange.attempts.iter().map(|attempt| attempt.events);
    let attempts = recording
        .attempts
        .into_iter()
        .zip(events)
        .map(|(tried, events)| attempt(tried, Kind { dialect, events }, &mut redacted));
    let attempts: Vec<AttemptIn> = attempts.collect();
    let request = leg(recording.request, &mut redacted);
    let response = leg(recording.response, &mut redacted);
    let response_frames = recording.frames;
    Captured {
        request,
        attempts,
        response,
        response_frames,
        headers_redacted: redacted,
        ..Captured::default()
    }
}

fn attempt(tried: Attempt, kind: Kind, redacted: &mut bool) -> AttemptIn {
    AttemptIn {
        request: leg(tried.request, redacted),
        response: leg(tried.response, redacted),
        edits: tried.edits.iter().map(|edit| word::kept(edit, "other")).collect(),
        frames: tried.frames,
        untabled: tried.untabled,
        kind,
    }
}

fn leg(leg: Leg, redacted: &mut bool) -> LegIn {
    let headers = leg.headers.map(|headers| {
        let masked = headers.into_iter().map(|(name, value)| masked(name, value, redacted));
        masked.collect()
    });
    LegIn { line: leg.line, headers, body: body(leg.body) }
}

fn masked(name: String, value: String, redacted: &mut bool) -> (Bytes, Bytes) {
    let clean = clean(&name, &value);
    *redacted |= clean.is_some();
    (Bytes::from(name), clean.unwrap_or_else(|| Bytes::from(value)))
}

/// What is kept instead of a value, by the rules that legs of live traffic are made by; `None`: the value itself.
fn clean(name: &str, value: &str) -> Option<Bytes> {
    let known = HeaderName::from_bytes(name.as_bytes()).ok();
    let sent = HeaderValue::from_bytes(value.as_bytes()).ok();
    let (Some(known), Some(sent)) = (known, sent) else {
        // It could not have been sent, and no rule knows it.
        return Some(Bytes::from_static(b"(masked)"));
    };
    let mut leg = crate::exchange::leg::Leg::default();
    leg.note_headers(Keep::Headers, &HeaderMap::from_iter([(known, sent)]));
    let kept = leg.headers.as_ref().and_then(|headers| headers.values().next());
    let kept = kept.map_or(b"(masked)".as_slice(), HeaderValue::as_bytes);
    (kept != value.as_bytes()).then(|| Bytes::copy_from_slice(kept))
}

fn body(body: Body) -> BodyIn {
    match body {
        Body::Same => BodyIn::Same,
        Body::Absent(why) => BodyIn::Nothing(match why.as_str() {
            "shed_memory" => Absent::ShedMemory,
            "shed_queue" => Absent::ShedQueue,
            "shed_disk" => Absent::ShedDisk,
            "removed" => Absent::Removed,
            "none" => Absent::Nothing,
            _ => Absent::NotKept,
        }),
        Body::Whole(whole) => BodyIn::Content(Content {
            bytes: whole.bytes.into(),
            cut_bytes: whole.cut_bytes,
            coding: whole.coding,
            redacted: whole.redacted,
            outline: Outline::default(),
        }),
    }
}
