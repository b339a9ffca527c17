//! The exchange as it would have stood when it was over, for the digest to read.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use pinhole_replay::recording::{Attempt as Tried, Fault, Recording, Whole};

use super::place::{self, Place};
use super::word;
use crate::base::clock;
use crate::base::coding;
use crate::base::id::ExchangeId;
use crate::base::trace::{SpanId, TraceId};
use crate::dialect;
use crate::exchange::attempt::{Attempt, Link};
use crate::exchange::frames::{Extent, Frames};
use crate::exchange::leg::{Body, Keep, Leg};
use crate::exchange::level::Level;
use crate::exchange::outcome::Outcome;
use crate::exchange::room::{Room, Share};
use crate::exchange::summary::Summary;
use crate::exchange::trace::Trace;
use crate::exchange::{Blame, Exchange, agent};
use crate::neutral::failure::Source;
use crate::proxy::headers;

/// Limit: bytes of an answer's beginning that tell what it is.
const TOLD_BY: usize = 256;
/// Limit: bytes of an answer's end that tell whether it is over.
const ENDING: usize = 64 * 1024;

pub(super) fn of(
    recording: &Recording,
    place: &Place,
    room: &std::sync::Arc<Room>,
) -> Result<Exchange, String> {
    let id = uuid::Uuid::try_parse(&recording.id)
        .map_err(|_| format!("its id `{}` is no UUID", fitted(&recording.id)))?;
    let sent = &place.headers;
    let agent = agent::name(sent.get(http::header::USER_AGENT).map(HeaderValue::as_bytes));
    let own_agent = word::kept(&recording.agent, "other");
    let (session, parent) = match &recording.session {
        Some(session) => {
            (Some(session.as_str().into()), recording.parent_session.as_deref().map(Into::into))
        }
        None => headers::session(sent),
    };
    let mut exchange = Exchange {
        id: ExchangeId::from_bytes(*id.as_bytes()),
        started: clock::now(),
        wall_us: count(recording.started_at_us),
        client: recording.client_addr.as_deref().and_then(address),
        key_label: recording.key_label.as_deref().map(Into::into),
        method: place.method.clone(),
        path: recording.path.clone(),
        dialect: place.dialect,
        operation: place.operation,
        model_requested: place.model.clone(),
        stream: place.stream,
        client_request_id: recording.client_request_id.clone(),
        agent: if recording.agent.is_empty() { agent } else { own_agent },
        user_agent: None,
        session_inferred: recording.session_inferred && session.is_some(),
        session,
        parent_session: parent,
        user_label: recording.user_label.as_deref().map(Into::into),
        tags: recording.tags.clone(),
        trace: trace(recording, id.as_bytes()),
        seat: None,
        keep: Keep::Bodies,
        replay: None,
        asked: None,
        request: Leg { headers: Some(sent.clone()), ..Leg::default() },
        request_bytes: count(recording.request_bytes),
        prompt: place.clear.clone(),
        share: Share::new(room),
        request_read_us: 0,
        queued_us: count(recording.times.queued_us),
        waited_at_provider: None,
        chosen: None,
        attempts: recording.attempts.iter().map(|tried| attempt(tried, place)).collect(),
        status: recording.status.and_then(|status| StatusCode::from_u16(status).ok()),
        response: Leg::default(),
        opened: None,
        response_bytes: count(recording.response_bytes),
        outcome: Outcome::Complete,
        failure: None,
        ended_us: count(recording.duration_us),
        left_us: None,
        summary: Summary::default(),
    };
    if let Some(body) = recording.client_request() {
        exchange.request.note_body(&Bytes::copy_from_slice(&body.bytes));
    }
    exchange.failure = recording.error.as_ref().map(blame).or_else(|| refused(&exchange));
    exchange.outcome = outcome(recording, &exchange);
    Ok(exchange)
}

fn attempt(tried: &Tried, place: &Place) -> Attempt {
    let answer = tried.response.body.whole();
    let heads = place::headers(tried.response.headers.as_deref().unwrap_or_default());
    let status = tried.status.and_then(|status| StatusCode::from_u16(status).ok());
    let [resolve_us, connect_us, tls_us] = tried.link_us.unwrap_or_default().map(count);
    let model: Option<std::sync::Arc<str>> =
        tried.model.as_deref().or(place.model.as_deref()).map(Into::into);
    Attempt {
        provider: tried.provider.as_str().into(),
        model_label: model.clone().unwrap_or_else(|| "other".into()),
        model,
        key_label: tried.key_label.as_deref().map(Into::into),
        because: word::kept(&tried.because, "imported"),
        edits: tried.edits.iter().map(|edit| word::kept(edit, "other")).collect(),
        usage_added: false,
        span: SpanId([0; 8]),
        request: Leg::default(),
        sent_us: count(tried.sent_us),
        link: Link {
            reused: tried.link_us.is_none(),
            resolve_us,
            connect_us,
            tls_us,
            peer: tried.peer.as_deref().and_then(address),
            local: None,
            http: tried.http.as_deref().map_or("", |http| word::kept(http, "")),
            tls: tried.tls.as_deref().map(|tls| word::kept(tls, "other")),
        },
        head_us: tried.head_us.map(count),
        ended_us: tried.ended_us.map(count),
        status,
        events: is_events(&heads, answer),
        coding: answer.and_then(|body| body.coding.clone()),
        upstream_request_id: tried
            .upstream_request_id
            .clone()
            .or_else(|| Some(headers::provider_request_id(&heads)?.to_str().ok()?.to_owned())),
        rate_limit: headers::rate_limit(&heads),
        response: Leg { headers: Some(heads), body: Body::Framed, ..Leg::default() },
        frames: frames(tried, answer),
        failure: tried.error.as_ref().map(blame),
    }
}

/// The answer in the pieces it came in; in one, at its end, where nobody noted them.
fn frames(tried: &Tried, answer: Option<&Whole>) -> Frames {
    let mut frames = Frames::new(Extent::Body);
    let Some(answer) = answer else { return frames };
    let whole = Bytes::copy_from_slice(&answer.bytes);
    let mut at = 0;
    for (at_us, length) in &tried.frames {
        let end = whole.len().min(at + *length as usize);
        if end > at {
            frames.push(*at_us, &whole.slice(at..end));
        }
        at = end;
    }
    if at < whole.len() {
        let ended = tried.ended_us.or(tried.head_us).unwrap_or_default();
        let last = frames.last_us().unwrap_or_default().max(count(ended));
        frames.push(last, &whole.slice(at..));
    }
    frames
}

fn is_events(heads: &HeaderMap, answer: Option<&Whole>) -> bool {
    if heads.contains_key(http::header::CONTENT_TYPE) {
        return headers::is_event_stream(heads);
    }
    let Some(answer) = answer else { return false };
    let beginning = match &answer.coding {
        Some(coding) => coding::beginning(coding, &answer.bytes, TOLD_BY),
        None => answer.bytes.iter().take(TOLD_BY).copied().collect(),
    };
    ["data:", "event:", "id:", ": "].iter().any(|mark| beginning.starts_with(mark.as_bytes()))
}

/// After the digest: what cannot be told of bytes without times is taken back.
pub(super) fn settle(recording: &Recording, exchange: &mut Exchange) {
    let last = recording.attempts.last();
    let untimed = last.is_none_or(|tried| tried.frames.is_empty());
    let streamed = exchange.attempts.last().is_some_and(|attempt| attempt.events);
    if untimed && streamed {
        let overhead_us = exchange.summary.times.overhead_us;
        exchange.summary.times = crate::exchange::summary::Times::default();
        exchange.summary.times.overhead_us = overhead_us;
    }
    exchange.summary.times.overhead_us = count(recording.times.overhead_us);
}

fn outcome(recording: &Recording, exchange: &Exchange) -> Outcome {
    let told = Outcome::ALL.into_iter().find(|outcome| outcome.label() == recording.outcome);
    if let Some(told) = told {
        return told;
    }
    match exchange.status {
        Some(status) if status.is_client_error() || status.is_server_error() => {
            Outcome::UpstreamError
        }
        Some(_) if is_cut(exchange) => match exchange.failure {
            Some(_) => Outcome::UpstreamReset,
            None => Outcome::ClientCancelled,
        },
        Some(_) => Outcome::Complete,
        None if exchange.failure.is_some() => Outcome::UpstreamReset,
        None => Outcome::ClientCancelled,
    }
}

/// Whether the answer is a stream that did not say its last word.
fn is_cut(exchange: &Exchange) -> bool {
    let Some(attempt) = exchange.attempts.last().filter(|attempt| attempt.events) else {
        return false;
    };
    let Some(whole) = attempt.frames.whole() else { return false };
    let text = match &attempt.coding {
        Some(coding) => coding::beginning(coding, &whole, 64 * 1024 * 1024),
        None => whole,
    };
    let tail = text.get(text.len().saturating_sub(ENDING)..).unwrap_or_default();
    !dialect::is_terminal(exchange.dialect, tail)
}

fn refused(exchange: &Exchange) -> Option<Blame> {
    let status =
        exchange.status.filter(|status| status.is_client_error() || status.is_server_error())?;
    let kind = match status.as_u16() {
        429 => "upstream_rate_limit",
        401 | 403 => "upstream_authentication",
        408 | 504 => "upstream_timeout",
        503 | 529 => "upstream_overloaded",
        400..=499 => "upstream_invalid_request",
        _ => "upstream_error",
    };
    Some(Blame { source: Source::Upstream, kind, detail: None })
}

fn blame(fault: &Fault) -> Blame {
    let source = match fault.source.as_str() {
        "client" => Source::Client,
        "gateway" => Source::Gateway,
        _ => Source::Upstream,
    };
    Blame { source, kind: word::kept(&fault.kind, "upstream_error"), detail: fault.detail.clone() }
}

fn trace(recording: &Recording, id: &[u8; 16]) -> Trace {
    let told = recording.trace_id.as_deref().and_then(hex);
    Trace {
        // A trace of its own, the same at each import.
        id: TraceId(told.unwrap_or(*id)),
        parent: None,
        linked: None,
        server: SpanId([0; 8]),
        call: SpanId([0; 8]),
        sampled: false,
    }
}

fn hex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn address(text: &str) -> Option<SocketAddr> {
    let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(bare)
}

pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn fitted(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The level that a recording was kept at.
pub(super) fn level(recording: &Recording) -> Level {
    let told = Level::parse(&recording.level);
    told.unwrap_or(if recording.client_request().is_some() { Level::Full } else { Level::Headers })
}
