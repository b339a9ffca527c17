//! From a finished exchange to what the store is to keep of it: the level, and the bytes in the store's shapes.
//!
//! Runs on the observer's thread. What is decided here is final: the writer stores what it is given, or sheds it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::base::id::ExchangeId;
use crate::dialect::outline::outline;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::frames::Arrivals;
use crate::exchange::leg::{Body, Leg};
use crate::exchange::level::Level;
use crate::exchange::outcome::Outcome;
use crate::exchange::signal::Signal;
use crate::observe::sessions;
use crate::policy::capture::{Facts, Rules};
use crate::store::capture::{Absent, AttemptIn, BodyIn, Captured, Content, Kind, LegIn, Outline};
use crate::store::text::{NAME_MAX, fit_bytes};

/// What is kept of an exchange that is over.
pub fn level(exchange: &Exchange, rules: &Rules) -> Level {
    let (provider, model) = destination(exchange);
    rules.decide(&Facts {
        key: exchange.key_label.as_deref(),
        provider,
        model,
        path: &exchange.path,
        asked: exchange.asked,
        dice: dice(exchange),
        failed: exchange.failure.is_some()
            || exchange.status.is_some_and(|status| !status.is_success()),
        duration: Duration::from_micros(exchange.ended_us),
        attempts: exchange.attempts.len(),
        cut: !matches!(
            exchange.outcome,
            Outcome::Complete | Outcome::UpstreamError | Outcome::Rejected
        ),
        empty: exchange.summary.signals.has(Signal::EmptyReply),
    })
}

/// The provider and the model there, of the last attempt or of the one that was to be made; before that, the model as
/// the client named it.
fn destination(exchange: &Exchange) -> (Option<&str>, Option<&str>) {
    if let Some(attempt) = exchange.last_attempt() {
        return (Some(&attempt.provider), attempt.model.as_deref());
    }
    match &exchange.chosen {
        Some((provider, model)) => (Some(provider), model.as_deref()),
        None => (None, exchange.model_requested.as_deref()),
    }
}

/// The same number for all exchanges of a session: a sample has sessions whole. A session that was found by its messages is
/// named after its first exchange, which is stored before it has a name.
fn dice(exchange: &Exchange) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let first =
        || ExchangeId::parse(exchange.session.as_deref()?.strip_prefix(sessions::INFERRED)?);
    match &exchange.session {
        Some(_) if exchange.session_inferred => {
            hasher.hash_one(first().unwrap_or(exchange.id).bytes())
        }
        Some(session) => hasher.hash_one(session.as_bytes()),
        None => hasher.hash_one(exchange.id.bytes()),
    }
}

/// Headers, bodies and times at that level; `None` where it keeps none.
pub fn captured(exchange: &Exchange, level: Level) -> Option<Captured> {
    if level < Level::Headers {
        return None;
    }
    let bodies = level == Level::Full;
    let attempts = exchange.attempts.iter().map(|attempt| tried(exchange, attempt, bodies));
    let mut attempts: Vec<AttemptIn> = attempts.collect();
    if bodies && let Some(last) = attempts.last_mut() {
        complete(exchange, last);
    }
    let response_body = if bodies { answer(exchange) } else { NOT_KEPT };
    let sent = match &response_body {
        BodyIn::Content(_) => exchange.response.arrivals.clone(),
        BodyIn::Same | BodyIn::Nothing(_) => Arrivals::default(),
    };
    Some(Captured {
        request: LegIn {
            line: exchange.request.line.as_deref().map(str::to_owned),
            headers: exchange.request.headers.as_ref().map(pairs),
            body: if bodies {
                body(&exchange.request, coding_of(&exchange.request))
            } else {
                NOT_KEPT
            },
        },
        response: LegIn {
            line: exchange.status.map(|status| status.as_u16().to_string()),
            headers: exchange.response.headers.as_ref().map(pairs),
            body: response_body,
        },
        response_frames: sent.table,
        response_untabled: sent.untabled,
        headers_redacted: false,
        attempts,
    })
}

/// Values of the headers that are to be asked for, of the request and of the answer.
pub fn indexed(exchange: &Exchange, names: &[HeaderName]) -> Vec<(String, String)> {
    let answered = exchange.last_attempt().map(|attempt| &attempt.response);
    let legs = [Some(&exchange.request), answered];
    let values = names.iter().filter_map(|name| {
        let mut kept = legs.into_iter().flatten().filter_map(|leg| leg.headers.as_ref());
        let value = kept.find_map(|headers| headers.get(name))?;
        Some((name.as_str().to_owned(), fit_bytes(value.as_bytes(), NAME_MAX)))
    });
    values.collect()
}

const NOT_KEPT: BodyIn = BodyIn::Nothing(Absent::NotKept);

fn tried(exchange: &Exchange, attempt: &Attempt, bodies: bool) -> AttemptIn {
    let response = match attempt.frames.body() {
        _ if !bodies => NOT_KEPT,
        None if attempt.response.body == Body::Shed => BodyIn::Nothing(Absent::ShedMemory),
        None => NOT_KEPT,
        Some((bytes, cut_bytes)) => BodyIn::Content(Content {
            bytes: bytes.into(),
            cut_bytes,
            coding: attempt.coding.clone(),
            outline: Outline::default(),
            redacted: false,
        }),
    };
    AttemptIn {
        request: LegIn {
            line: attempt.request.line.as_deref().map(str::to_owned),
            headers: attempt.request.headers.as_ref().map(pairs),
            body: if bodies {
                body(&attempt.request, coding_of(&attempt.request))
            } else {
                NOT_KEPT
            },
        },
        response: LegIn {
            line: attempt.status.map(|status| status.as_u16().to_string()),
            headers: attempt.response.headers.as_ref().map(pairs),
            body: response,
        },
        edits: attempt.edits.clone(),
        frames: if bodies { attempt.frames.table.clone() } else { Vec::new() },
        untabled: if bodies { attempt.frames.untabled } else { 0 },
        kind: Kind { dialect: exchange.dialect.label(), events: attempt.events },
    }
}

/// A request as it stands in its leg.
fn body(leg: &Leg, coding: Option<String>) -> BodyIn {
    match &leg.body {
        Body::Same => BodyIn::Same,
        Body::Shed => BodyIn::Nothing(Absent::ShedMemory),
        Body::Nothing | Body::Framed => NOT_KEPT,
        Body::Pieces(pieces) => content(pieces.concat(), pieces.cut_bytes, coding),
    }
}

/// What is coded is cut by whoever decodes it.
fn content(bytes: Bytes, cut_bytes: u64, coding: Option<String>) -> BodyIn {
    let outline = if coding.is_none() { outline(&bytes) } else { Outline::default() };
    BodyIn::Content(Content { bytes, cut_bytes, coding, redacted: false, outline })
}

/// What the client got: the provider's answer, the beginning of it, or one of the gateway's own.
fn answer(exchange: &Exchange) -> BodyIn {
    let Some(attempt) = exchange.last_attempt() else { return body(&exchange.response, None) };
    match &exchange.response.body {
        Body::Same if attempt.response.body == Body::Shed => BodyIn::Nothing(Absent::ShedMemory),
        Body::Same if exchange.response_bytes == attempt.frames.bytes => BodyIn::Same,
        Body::Same => match attempt.frames.front(exchange.response_bytes) {
            Some(front) => content(front.into(), 0, attempt.coding.clone()),
            None => BodyIn::Nothing(Absent::ShedMemory),
        },
        Body::Pieces(own) => {
            let whole = own.concat();
            let same = attempt.frames.whole().is_some_and(|whole_frames| whole_frames == whole);
            if same { BodyIn::Same } else { content(whole, own.cut_bytes, None) }
        }
        _ => body(&exchange.response, None),
    }
}

/// An attempt that got no answer has no bytes of one, and that is all there is to keep.
fn complete(exchange: &Exchange, last: &mut AttemptIn) {
    if exchange.last_attempt().is_some_and(|attempt| attempt.status.is_none()) {
        last.response.body = NOT_KEPT;
    }
}

fn coding_of(leg: &Leg) -> Option<String> {
    let value = leg.headers.as_ref()?.get(http::header::CONTENT_ENCODING)?.to_str().ok()?;
    (!value.eq_ignore_ascii_case("identity")).then(|| value.to_owned())
}

fn pairs(headers: &HeaderMap) -> Vec<(Bytes, Bytes)> {
    let own = |text: &[u8]| Bytes::copy_from_slice(text);
    headers
        .iter()
        .map(|(name, value)| (own(name.as_str().as_bytes()), own(value.as_bytes())))
        .collect()
}
