//! The record of an exchange as it begins: what its head says, and nothing yet of what comes of it.

use std::net::SocketAddr;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::base::trace::Parent;
use crate::config::settings::Settings;
use crate::exchange::Exchange;
use crate::exchange::agent;
use crate::exchange::leg::Leg;
use crate::exchange::live::Begun;
use crate::exchange::outcome::Outcome;
use crate::exchange::room::Share;
use crate::exchange::summary::Summary;
use crate::exchange::trace::Trace;
use crate::neutral::kind::{Dialect, Operation};
use crate::observe::queue::Queue;
use crate::proxy::{headers, replays};

/// A new exchange, counted among those that run. `worker` is the number of the thread.
pub(super) fn exchange(
    (queue, worker): (&Queue, usize),
    settings: &Settings,
    client: SocketAddr,
    (parts, uri): (&Parts, &Uri),
    (dialect, operation): (Dialect, Operation),
) -> Exchange {
    let ((id, wall_us), own) = (named(), &parts.headers);
    let (trace, asked, replay) = (trace(settings, own), headers::capture(own), replays::read(own));
    let ((session, parent_session), user_agent) = (headers::session(own), own.get(USER_AGENT));
    let begun = Begun {
        id,
        started: clock::now(),
        wall_us,
        client: Some(client),
        method: parts.method.clone(),
        path: uri.path().to_owned(),
        dialect,
        operation,
        agent: agent::remembered(user_agent.map(HeaderValue::as_bytes)),
        session: session.clone(),
        trace: trace.id,
        asked,
        replay,
    };
    Exchange {
        id,
        started: begun.started,
        wall_us,
        client: begun.client,
        key_label: None,
        method: begun.method.clone(),
        path: begun.path.clone(),
        dialect,
        operation,
        model_requested: None,
        stream: false,
        client_request_id: text(own, &headers::X_REQUEST_ID),
        agent: begun.agent,
        user_agent: user_agent.filter(|_| trace.sampled).and_then(headers::owned),
        session,
        session_inferred: false,
        parent_session,
        user_label: None,
        tags: headers::tags(own),
        trace,
        replay,
        seat: Some(queue.live().enter(worker, begun)),
        keep: queue.keep_of(asked),
        asked,
        request: Leg::default(),
        request_bytes: 0,
        prompt: None,
        share: Share::new(queue.room()),
        request_read_us: 0,
        queued_us: 0,
        waited_at_provider: None,
        chosen: None,
        attempts: Vec::with_capacity(1),
        status: None,
        response: Leg::default(),
        opened: None,
        response_bytes: 0,
        outcome: Outcome::GatewayError,
        failure: None,
        ended_us: 0,
        left_us: None,
        summary: Summary::default(),
    }
}

/// An id of this instant, and the instant.
fn named() -> (ExchangeId, u64) {
    let wall_us = clock::wall_us();
    (ExchangeId::new(wall_us), wall_us)
}

/// The caller's trace continued, or a new one.
fn trace(settings: &Settings, headers: &HeaderMap) -> Trace {
    let parent = headers.get(headers::TRACEPARENT).filter(|_| settings.traces.propagate);
    let parent = parent.and_then(|value| Parent::parse(value.as_bytes()));
    Trace::begin(parent, settings.traces.incoming, &settings.traces.sampler)
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
