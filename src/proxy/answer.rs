//! How a request's life ends: the provider's answer handed on, or the gateway's own; either way signed.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::base::clock;
use crate::base::headers::remove_all;
use crate::base::trace::traceparent;
use crate::dialect;
use crate::dialect::openai_chat::usage_filter::UsageFilter;
use crate::exchange::leg::{Body, Keep};
use crate::exchange::{Blame, Exchange};
use crate::neutral::failure::{Failure, Source};
use crate::neutral::kind::Operation;
use crate::observe::digest::Digester;
use crate::proxy::gather::Gathered;
use crate::proxy::ids::Ids;
use crate::proxy::late::Late;
use crate::proxy::pipeline::Job;
use crate::proxy::relay::{Manner, Relay};
use crate::proxy::reply::{self, ReplyBody};
use crate::proxy::{attempt, cors, headers, refusal};
use crate::route::table::Choice;
use crate::upstream::client::AnswerBody;
use crate::upstream::provider::Provider;

impl Job {
    /// Hands the answer on; from here the body owns the exchange.
    pub(super) async fn relay(
        &mut self,
        choice: &Choice,
        provider: &Provider,
        usage_added: bool,
        ids: Arc<Ids>,
        answer: Response<AnswerBody>,
    ) -> Response<ReplyBody> {
        let (parts, body) = answer.into_parts();
        let status = parts.status;
        let mut answered = parts.headers;
        headers::strip_response(&mut answered);
        let events = headers::is_event_stream(&answered);
        let clear = events && !headers::is_compressed(&answered);
        let filter = (usage_added && clear && status == StatusCode::OK).then(UsageFilter::default);
        if filter.is_some() {
            remove_all(&mut answered, |name| *name == header::CONTENT_LENGTH);
        }
        // Into compressed text, or text of a length already told, nothing can be written.
        let writable = clear && !answered.contains_key(header::CONTENT_LENGTH);
        self.sign(&mut answered, Some(provider));
        sign_choice(&mut answered, choice, status);
        let opened = self.recorder.exchange().is_some_and(Exchange::note_opened);
        let (mut started, mut concern) = (None, false);
        if let Some(exchange) = self.recorder.exchange() {
            exchange.status = Some(if opened { StatusCode::OK } else { status });
            started = Some(exchange.started);
            concern = Ids::concern(exchange.dialect, exchange.operation);
            if attempt::is_error(status) {
                let blame = upstream_blame(status);
                if let Some(attempt) = exchange.attempts.last_mut() {
                    attempt.failure = Some(blame.clone());
                }
                exchange.failure = Some(blame);
            }
            if exchange.stream || events {
                exchange.stream = true;
                answered.insert(headers::X_CACHE, HeaderValue::from_static("MISS"));
            }
        }
        let late = opened && !(status == StatusCode::OK && events);
        let manner = Manner {
            opened,
            late: late.then(Late::default),
            dialect: self.dialect,
            writable,
            idle: provider.timeouts.idle,
            deadline: started.zip(provider.timeouts.total).map(|(started, total)| started + total),
            keep_alive: self.snapshot.settings.streams.keep_alive,
            filter,
            ids: concern.then_some(ids),
            coding: answered.get(header::CONTENT_ENCODING).cloned(),
            digester: self.digester_for_cost(status, events),
        };
        let gathers = manner.digester.is_some();
        if !opened {
            self.leave(&mut answered, None);
            if let Some(exchange) = self.recorder.exchange().filter(|it| it.keep == Keep::Bodies) {
                exchange.response.body = Body::Same;
            }
        }
        let recorder = self.recorder.hand_over();
        let places = std::mem::take(&mut self.places);
        let relay = Box::new(Relay::new(body, recorder, manner, places));
        let body =
            if gathers { gathered(relay, &mut answered).await } else { ReplyBody::Relayed(relay) };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = answered;
        response
    }

    /// The running attempt ended with the provider's error.
    pub(super) fn blame_provider(&mut self, status: StatusCode) {
        let Some(exchange) = self.recorder.exchange() else { return };
        let now_us = exchange.offset_us();
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.failure = Some(upstream_blame(status));
            attempt.ended_us = Some(now_us);
        }
    }

    /// What reads a document so that its cost can be told, where it can have one.
    fn digester_for_cost(&mut self, status: StatusCode, events: bool) -> Option<Digester> {
        if !self.snapshot.settings.server.cost_header || status != StatusCode::OK || events {
            return None;
        }
        let exchange = self.recorder.exchange()?;
        let generates = matches!(
            exchange.operation,
            Operation::Chat | Operation::TextCompletion | Operation::Embeddings
        );
        let attempt = exchange.last_attempt().filter(|_| generates && !exchange.stream)?;
        let (provider, model) = (Arc::clone(&attempt.provider), attempt.model.clone()?);
        let digester = self.recorder.digester();
        digester.has_price(&provider, &model).then(|| digester.clone())
    }

    /// The gateway's own headers on an answer.
    pub(super) fn sign(&mut self, answered: &mut HeaderMap, provider: Option<&Provider>) {
        answered.insert(headers::X_PINHOLE_ID, reply::id_value(self.id));
        let exchange = self.recorder.exchange();
        let attempts = exchange.as_ref().map_or(0, |exchange| exchange.attempts.len());
        if let Some(trace) = exchange.as_ref().map(|exchange| exchange.trace)
            && self.snapshot.settings.traces.propagate
            && let Ok(value) =
                HeaderValue::from_bytes(&traceparent(trace.id, trace.server, trace.sampled))
        {
            answered.insert(headers::TRACEPARENT, value);
        }
        if !answered.contains_key(headers::X_REQUEST_ID) {
            let client = exchange.and_then(|exchange| exchange.client_request_id.as_deref());
            let value = client.and_then(|id| HeaderValue::from_str(id).ok());
            answered
                .insert(headers::X_REQUEST_ID, value.unwrap_or_else(|| reply::id_value(self.id)));
        }
        let Some(provider) = provider else { return };
        answered.insert(headers::X_PINHOLE_ATTEMPTS, HeaderValue::from(attempts));
        if let Ok(value) = HeaderValue::from_str(&provider.id) {
            if self.snapshot.settings.server.aperture_headers {
                answered.insert(headers::X_APERTURE_UPSTREAM, value.clone());
                if let Some(instance) = self.snapshot.instance() {
                    answered.insert(headers::X_APERTURE_REGION, instance.clone());
                }
            }
            answered.insert(headers::X_PINHOLE_UPSTREAM, value);
        }
    }

    /// The last headers of an answer, which is then noted as it leaves. `length`: of a body that is known whole.
    pub(super) fn leave(&mut self, answered: &mut HeaderMap, length: Option<usize>) {
        self.last_headers(answered, length);
        if let Some(exchange) = self.recorder.exchange() {
            exchange.response.note_headers(exchange.keep, answered);
        }
    }

    fn last_headers(&mut self, answered: &mut HeaderMap, length: Option<usize>) {
        cors::allow(&self.snapshot.settings, self.origin.as_ref(), answered);
        if let Some(instance) = self.snapshot.instance() {
            answered.insert(headers::X_PINHOLE_INSTANCE, instance.clone());
        }
        if self.recorder.exchange().is_none_or(|exchange| exchange.keep < Keep::Headers) {
            return;
        }
        // The connection would add both; what it adds, no record would have.
        if let Some(length) = length {
            answered.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if !answered.contains_key(header::DATE)
            && let Some(now) = headers::date(clock::wall_us())
        {
            answered.insert(header::DATE, now);
        }
    }

    /// The head of a stream that is opened before its answer comes.
    pub(super) fn early_head(&mut self, provider: &Provider, choice: &Choice) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        head.insert(headers::X_CACHE, HeaderValue::from_static("MISS"));
        self.sign(&mut head, Some(provider));
        sign_choice(&mut head, choice, StatusCode::OK);
        self.last_headers(&mut head, None);
        head
    }

    /// Ends the exchange with the gateway's own answer; as an event, where a stream has been opened.
    pub(super) fn refuse(&mut self, failure: &Failure) -> Response<ReplyBody> {
        let mut response = reply::failure(self.dialect, failure, self.id);
        let outcome = refusal::outcome(failure);
        let mut opened = false;
        if let Some(exchange) = self.recorder.exchange() {
            exchange.failure = Some(Blame::of(failure.code, Some(detail(failure))));
            opened = exchange.note_opened();
            if !opened {
                exchange.status = Some(response.status());
            }
        }
        if let (true, ReplyBody::Made(Some(bytes))) = (opened, response.body_mut()) {
            *bytes = dialect::error_event(self.dialect, bytes);
        }
        let bytes = match response.body() {
            ReplyBody::Made(bytes) => bytes.clone().unwrap_or_default(),
            ReplyBody::Relayed(_) | ReplyBody::Gathered(_) => Bytes::new(),
        };
        if !opened {
            let provider = self.provider.clone();
            self.sign(response.headers_mut(), provider.as_deref());
            self.leave(response.headers_mut(), Some(bytes.len()));
        }
        self.made(&bytes);
        self.recorder.finish(outcome);
        self.places.give_back();
        response
    }

    /// Notes a body of the gateway's own, in one piece.
    pub(super) fn made(&mut self, bytes: &Bytes) {
        let Some(exchange) = self.recorder.exchange() else { return };
        if exchange.method == Method::HEAD {
            return;
        }
        let at_us = exchange.offset_us();
        exchange.note_own_answer(exchange.response_bytes, at_us, bytes);
        exchange.response_bytes += bytes.len() as u64;
    }
}

/// Waits a moment for the end, and says what it cost.
async fn gathered(relay: Box<Relay>, answered: &mut HeaderMap) -> ReplyBody {
    let gathered = Gathered::from(relay).await;
    if let Some(value) = gathered.cost() {
        answered.insert(headers::X_PINHOLE_COST, value);
    }
    ReplyBody::Gathered(Box::new(gathered))
}

/// What was sent under which name, and what came of it.
fn sign_choice(answered: &mut HeaderMap, choice: &Choice, status: StatusCode) {
    if let Some(model) = choice.model.as_deref()
        && let Ok(value) = HeaderValue::from_str(model)
    {
        answered.insert(headers::X_PINHOLE_MODEL, value);
    }
    if attempt::is_error(status) {
        let said = HeaderValue::from(status.as_u16());
        answered.insert(headers::X_PINHOLE_UPSTREAM_STATUS, said);
    }
}

/// What the log line says of a failure. A provider's own words may quote the prompt and stay out of it.
fn detail(failure: &Failure) -> String {
    match failure.upstream_status {
        Some(status) => format!("the provider answered {status}"),
        None => failure.message.to_string(),
    }
}

/// The provider answered with an error: blamed by its status.
fn upstream_blame(status: StatusCode) -> Blame {
    let kind = match status.as_u16() {
        400 | 422 => "upstream_invalid_request",
        401 => "upstream_authentication",
        402 => "upstream_payment",
        403 => "upstream_permission",
        404 => "upstream_not_found",
        408 | 504 => "upstream_timeout",
        413 => "upstream_too_large",
        429 => "upstream_rate_limit",
        503 | 529 => "upstream_overloaded",
        500..=599 => "upstream_server_error",
        _ => "upstream_client_error",
    };
    Blame { source: Source::Upstream, kind, detail: None }
}
