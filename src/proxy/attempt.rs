//! One try at one provider: what is sent (decided by [`prepare`]), and the sending.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::base::headers::remove_all;
use crate::base::trace::SpanId;
use crate::config::settings::{IncludeUsage, Settings};
use crate::dialect::edit::{self, Edit};
use crate::exchange::attempt::{Attempt, Link, RateLimit};
use crate::exchange::frames::Frames;
use crate::exchange::leg::{Body, Keep, Leg};
use crate::exchange::{Blame, Exchange};
use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::{Dialect, Operation};
use crate::observe::recorder::Recorder;
use crate::policy::identity::{Caller, Place, X_PINHOLE_KEY, query_key};
use crate::proxy::endpoint::{Endpoint, ModelPlace, percent_encode};
use crate::proxy::headers::{self, provider_request_id};
use crate::proxy::intake::Understood;
use crate::route::table::{Choice, OTHER};
use crate::upstream::auth::{self, ClientCredential, Outbound, X_GOOG_API_KEY};
use crate::upstream::client::{AnswerBody, Call, Client, SendError, Unsent};
use crate::upstream::connect::ConnectError;
use crate::upstream::outgoing::Outgoing;
use crate::upstream::provider::Provider;
use crate::upstream::url;

/// Limit: pooled connections found dead in a row before giving up on the pool.
const DEAD_LINES_MAX: usize = 32;

/// What the client sent, as far as a request to a provider is made of it.
pub struct Original<'a> {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub query: Option<&'a str>,
    /// Under `/providers/{name}` the path is joined as it stands.
    pub verbatim_path: bool,
}

/// A request ready to be sent, and how it differs from the client's.
pub struct Prepared {
    pub call: Call,
    pub edits: Vec<&'static str>,
    pub key_label: Option<Arc<str>>,
    /// The gateway asked for usage the client did not ask for: its chunk is to be hidden.
    pub usage_added: bool,
    /// What metrics call the model; set by whoever knows the routing table.
    pub model_label: Arc<str>,
    /// The span that the provider is told of.
    pub span: SpanId,
}

/// Decides what goes to `provider`: path, headers, and the body with its edits. Pure.
pub fn prepare(
    provider: &Provider,
    settings: &Settings,
    endpoint: &Endpoint<'_>,
    (original, caller): (Original<'_>, &Caller),
    (understood, choice): (&Understood, &Choice),
) -> Result<Prepared, Failure> {
    let Original { method, headers: mut outgoing, body, query, verbatim_path } = original;
    let renamed = renamed(understood, choice);
    let path = join(provider, endpoint, renamed, query, verbatim_path)?;
    let mut changes = body_edits(endpoint, understood, choice, renamed, &body)?;
    // Under `/providers/{name}` the client speaks to the provider itself.
    let usage_added = !verbatim_path && adds_usage(settings, endpoint, understood);
    if usage_added {
        let readable = understood.decoded.as_ref().unwrap_or(&body);
        changes.extend(edit::set_include_usage(readable, &understood.facts));
    }
    let mut edits: Vec<&'static str> = changes.iter().map(|change| change.field).collect();
    if renamed.is_some() && matches!(endpoint.model, ModelPlace::Path(_)) {
        edits.push("path");
    }
    let opened_early =
        settings.streams.keep_alive.is_some() && understood.facts.stream == Some(true);
    if usage_added || opened_early {
        // A chunk to be hidden has to be readable, and what follows a comment in clear text has to be clear; every SDK
        // offers gzip without being asked.
        outgoing.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        edits.push("accept-encoding");
    }
    let outbound = credentials(provider, settings, caller, &outgoing, query);
    let edited = !changes.is_empty();
    if edited && outgoing.contains_key(header::CONTENT_ENCODING) {
        edits.push("content-encoding");
    }
    headers::strip_request(&mut outgoing, caller, |name| {
        *name == headers::BAGGAGE
            || (edited && *name == header::CONTENT_ENCODING)
            || (outbound != Outbound::Client && auth::CREDENTIALS.contains(name))
    });
    set_headers(&mut outgoing, provider, settings, outbound, query);
    let body = if changes.is_empty() {
        Outgoing::whole(body)
    } else {
        let readable = understood.decoded.as_ref().unwrap_or(&body);
        Outgoing::pieces(edit::apply(readable, changes).segments)
    };
    let key_label = match outbound {
        Outbound::Key(at) => provider.keys.get(at).map(|key| Arc::clone(&key.label)),
        Outbound::Client | Outbound::Nothing => None,
    };
    Ok(Prepared {
        call: Call { method, path, headers: outgoing, body },
        edits,
        key_label,
        usage_added,
        model_label: Arc::clone(&OTHER),
        span: SpanId::random(),
    })
}

/// The name to write in place of the client's, where they differ.
fn renamed<'a>(understood: &Understood, choice: &'a Choice) -> Option<&'a str> {
    let sent = choice.model.as_deref()?;
    let asked = understood.facts.model.as_ref().map(|model| model.text.as_str());
    (asked != Some(sent)).then_some(sent)
}

/// The path and query at the provider. Under `/providers/{name}` (`verbatim`) the path is joined as it stands.
fn join(
    provider: &Provider,
    endpoint: &Endpoint<'_>,
    renamed: Option<&str>,
    query: Option<&str>,
    verbatim: bool,
) -> Result<PathAndQuery, Failure> {
    let query = sent_query(query);
    let rest = match (endpoint.model, renamed) {
        (ModelPlace::Path(model), Some(name)) => {
            Cow::Owned(replace_in_path(endpoint.rest, model, name))
        }
        _ => Cow::Borrowed(endpoint.rest),
    };
    let (base, query) = (&provider.base_url, query.as_deref());
    let path = if verbatim {
        url::join_verbatim(base, &rest, query)
    } else {
        url::join(base, provider.versionless, endpoint.version, &rest, query)
    };
    path.ok_or_else(|| {
        Failure::new(
            Code::InvalidRequest,
            "the path does not join to the provider's baseurl; send a plain path",
        )
    })
}

/// The query without a credential: `?key=` travels in a header or not at all.
fn sent_query(query: Option<&str>) -> Option<Cow<'_, str>> {
    let query = query?;
    if query_key(query).is_none() {
        return Some(Cow::Borrowed(query));
    }
    Some(Cow::Owned(url::without_params(query, &["key"])))
}

/// `model` is a piece of `rest`, so its place is known however often the same letters occur.
fn replace_in_path(rest: &str, model: &str, name: &str) -> String {
    let at = model.as_ptr().addr().wrapping_sub(rest.as_ptr().addr());
    match (rest.get(..at), rest.get(at..)) {
        (Some(before), Some(found)) if found.starts_with(model) => {
            let after = &found[model.len()..];
            format!("{before}{}{after}", percent_encode(name))
        }
        _ => rest.to_owned(),
    }
}

fn body_edits(
    endpoint: &Endpoint<'_>,
    understood: &Understood,
    choice: &Choice,
    renamed: Option<&str>,
    body: &Bytes,
) -> Result<Vec<Edit>, Failure> {
    let facts = &understood.facts;
    let mut changes = Vec::new();
    if let Some(name) = renamed {
        match endpoint.model {
            ModelPlace::Path(_) => {}
            ModelPlace::Perhaps if understood.form => {
                if let Some(model) = &facts.model {
                    changes.push(edit::replace_form_model(model.span.clone(), name));
                }
            }
            ModelPlace::Perhaps if facts.model.is_none() => {}
            ModelPlace::Body | ModelPlace::Perhaps => {
                changes.extend(edit::replace_model(facts, name));
            }
        }
    }
    if let Some(temperature) = choice.params.temperature
        && endpoint.operation == Operation::Chat
    {
        let readable = understood.decoded.as_ref().unwrap_or(body);
        let set = edit::set_numbers(endpoint.dialect, readable, &[("temperature", temperature)]);
        changes.extend(set.map_err(|error| {
            Failure::new(
                Code::InvalidJson,
                format!("the request body is not valid JSON: {error}; send a JSON object"),
            )
        })?);
    }
    Ok(changes)
}

fn adds_usage(settings: &Settings, endpoint: &Endpoint<'_>, understood: &Understood) -> bool {
    settings.streams.include_usage == IncludeUsage::WhenMissing
        && endpoint.dialect == Dialect::OpenAiChat
        && matches!(endpoint.operation, Operation::Chat | Operation::TextCompletion)
        && understood.facts.stream == Some(true)
        && understood.facts.include_usage != Some(true)
}

/// Whose credential goes out.
fn credentials(
    provider: &Provider,
    settings: &Settings,
    caller: &Caller,
    client: &HeaderMap,
    query: Option<&str>,
) -> Outbound {
    let sent = auth::CREDENTIALS.iter().any(|name| client.contains_key(name))
        || query.and_then(query_key).is_some();
    // A gateway key in a header of its own says that `authorization` belongs to the provider.
    let (credential, gateway_has_keys) = match caller {
        Caller::Loopback => (ClientCredential::Own, !settings.gateway_keys.is_empty()),
        Caller::Known { place: Place::Header(name), own_credential: true, .. }
            if *name == X_PINHOLE_KEY =>
        {
            (ClientCredential::Own, false)
        }
        Caller::Known { own_credential: true, .. } => (ClientCredential::Own, true),
        Caller::Known { .. } => (ClientCredential::Withheld, true),
    };
    auth::choose(provider, credential, sent, gateway_has_keys)
}

fn set_headers(
    outgoing: &mut HeaderMap,
    provider: &Provider,
    settings: &Settings,
    outbound: Outbound,
    query: Option<&str>,
) {
    for (name, value) in &provider.add_headers {
        let credential = outbound == Outbound::Client && auth::CREDENTIALS.contains(name);
        if !credential {
            outgoing.insert(name, value.clone());
        }
    }
    auth::apply(outgoing, provider, outbound);
    if outbound != Outbound::Client {
        return;
    }
    // A client's own `?key=` goes where it is not logged.
    if let Some(key) = query.and_then(query_key)
        && !outgoing.contains_key(X_GOOG_API_KEY)
        && let Ok(value) = HeaderValue::from_str(key)
    {
        outgoing.insert(X_GOOG_API_KEY, value);
    }
    // The gateway's own keys stay here, however many headers repeat them.
    for name in &auth::CREDENTIALS {
        let is_ours = outgoing.get_all(name).iter().any(|value| {
            let text = value.to_str().unwrap_or_default();
            let bare = text.split_once(' ').map_or(text, |(_, bare)| bare).trim();
            let mut keys = settings.gateway_keys.iter();
            keys.any(|key| key.secret.matches(bare))
        });
        if is_ours {
            remove_all(outgoing, |other| other == name);
        }
    }
}

/// A new attempt, as it stands when the request is about to be sent.
pub fn begin(recorder: &mut Recorder, provider: &Provider, choice: &Choice, prepared: &Prepared) {
    let extent = recorder.extent();
    let Some(exchange) = recorder.exchange() else {
        return;
    };
    let keep = exchange.keep;
    let request = request_leg(exchange, provider, prepared);
    let sent_us = exchange.offset_us();
    if let Some(seat) = &exchange.seat {
        seat.learn(|known| {
            known.key_label.clone_from(&exchange.key_label);
            known.model_requested.clone_from(&exchange.model_requested);
            known.stream = exchange.stream;
            known.provider = Some(Arc::clone(&provider.id));
            known.model.clone_from(&choice.model);
            known.attempts += 1;
            known.sent_us = Some(sent_us);
        });
    }
    exchange.attempts.push(Attempt {
        provider: Arc::clone(&provider.id),
        model: choice.model.clone(),
        model_label: Arc::clone(&prepared.model_label),
        key_label: prepared.key_label.clone(),
        because: choice.because.label(),
        edits: prepared.edits.clone(),
        usage_added: prepared.usage_added,
        span: prepared.span,
        request,
        sent_us,
        link: Link::default(),
        head_us: None,
        ended_us: None,
        status: None,
        events: false,
        coding: None,
        upstream_request_id: None,
        rate_limit: RateLimit::default(),
        response: answer_leg(keep),
        frames: Frames::new(extent),
        failure: None,
    });
}

/// The leg to the provider; a body without edits is the client's.
fn request_leg(exchange: &mut Exchange, provider: &Provider, prepared: &Prepared) -> Leg {
    let keep = exchange.keep;
    let mut leg = Leg::default();
    leg.note_headers(keep, &prepared.call.headers);
    if keep >= Keep::Headers {
        let base = &provider.base_url;
        let scheme = base.scheme_str().unwrap_or("https");
        let host = base.authority().map_or("", |authority| authority.as_str());
        let (method, path) = (&prepared.call.method, &prepared.call.path);
        leg.line = Some(format!("{method} {scheme}://{host}{path}").into());
    }
    if keep < Keep::Bodies {
        return leg;
    }
    if prepared.call.body.is_whole() {
        leg.body = Body::Same;
    } else {
        exchange.note_edited(&mut leg, prepared.call.body.remaining());
    }
    leg
}

/// The leg from the provider: its bytes are to be in the frames.
fn answer_leg(keep: Keep) -> Leg {
    let body = if keep < Keep::Bodies { Body::Nothing } else { Body::Framed };
    Leg { body, ..Leg::default() }
}

/// Sends the request and waits for the head of the answer. What is learnt on the way goes into the running attempt.
pub async fn send(
    client: &Arc<Client>,
    provider: &Provider,
    call: Call,
    recorder: &mut Recorder,
) -> Result<Response<AnswerBody>, Failure> {
    let mut link = Link::default();
    let started = recorder.exchange().map(|exchange| exchange.started);
    let sending = send_on(client, provider, call, &mut link);
    let result = match provider.timeouts.total.zip(started) {
        None => sending.await,
        // Counted as the relay counts it: from the start of the exchange.
        Some((total, started)) => {
            let answer = tokio::time::timeout_at((started + total).into(), sending).await;
            answer.unwrap_or_else(|_elapsed| Err(out_of_time(provider, total)))
        }
    };
    let Some(exchange) = recorder.exchange() else {
        return result;
    };
    let keep = exchange.keep;
    let now_us = exchange.offset_us();
    let is_batch = exchange.operation == Operation::Opaque && exchange.path.contains("/batches/");
    if let Some(attempt) = exchange.attempts.last_mut() {
        attempt.link = link;
        match &result {
            Ok(response) => {
                attempt.head_us = Some(now_us);
                attempt.status = Some(response.status());
                attempt.events = headers::is_event_stream(response.headers());
                attempt.coding = headers::coding(response.headers());
                attempt.rate_limit = headers::rate_limit(response.headers());
                if attempt.coding.is_some() || is_batch {
                    attempt.frames.keep_whole();
                }
                attempt.response.note_headers(keep, response.headers());
                attempt.upstream_request_id = provider_request_id(response.headers())
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned);
            }
            Err(failure) => {
                attempt.ended_us = Some(now_us);
                attempt.failure = Some(Blame::of(failure.code, Some(failure.message.to_string())));
            }
        }
    }
    result
}

async fn send_on(
    client: &Arc<Client>,
    provider: &Provider,
    mut call: Call,
    link: &mut Link,
) -> Result<Response<AnswerBody>, Failure> {
    for _ in 0..DEAD_LINES_MAX {
        let line = client.connection(link).await.map_err(|error| describe(provider, &error))?;
        let answer = client.send(line, call);
        let Ok(answer) = tokio::time::timeout(provider.timeouts.first_byte, answer).await else {
            return Err(no_first_byte(provider));
        };
        match answer {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Err(switched(provider));
            }
            Ok(response) => return Ok(response),
            Err(Unsent::Failed(error)) => return Err(describe(provider, &error)),
            // The pooled connection was dead and nothing was written: not a retry, the request has not left yet.
            Err(Unsent::Untouched(returned)) => call = *returned,
        }
    }
    Err(Failure::new(
        Code::UpstreamReset,
        format!("provider {} closed {DEAD_LINES_MAX} connections in a row; retry", provider.id),
    ))
}

fn no_first_byte(provider: &Provider) -> Failure {
    let text = format!(
        "provider {} sent no answer within {:?}; ask for less output, stream, or raise the provider's \
         timeouts.first_byte",
        provider.id, provider.timeouts.first_byte
    );
    Failure::new(Code::UpstreamFirstByteTimeout, text)
}

fn out_of_time(provider: &Provider, total: Duration) -> Failure {
    let text = format!(
        "the call to provider {} was not over within {total:?}; raise the provider's timeouts.total",
        provider.id
    );
    Failure::new(Code::UpstreamTotalTimeout, text)
}

/// No request of the gateway's asks for another protocol; an answer that takes one up leads nowhere.
fn switched(provider: &Provider) -> Failure {
    let text = format!(
        "provider {} answered 101 and switched to a protocol nobody asked for; check that baseurl ({}) is an HTTP API",
        provider.id, provider.base_url
    );
    Failure::new(Code::UpstreamInvalid, text)
}

/// A send error in words that end the search.
fn describe(provider: &Provider, error: &SendError) -> Failure {
    let id = &provider.id;
    match error {
        SendError::Connect(error @ ConnectError::TimedOut { .. }) => Failure::new(
            Code::UpstreamConnectTimeout,
            format!(
                "provider {id}: {error}; check the network, or raise the provider's timeouts.connect"
            ),
        ),
        SendError::Connect(error) => Failure::new(
            Code::UpstreamUnreachable,
            format!(
                "provider {id}: {error}; check the provider's baseurl ({}) and the network",
                provider.base_url
            ),
        ),
        SendError::Reset(error) => Failure::new(
            Code::UpstreamReset,
            format!("provider {id} closed the connection before answering ({error}); retry"),
        ),
        SendError::Garbage(error) => Failure::new(
            Code::UpstreamInvalid,
            format!(
                "the answer of provider {id} is not HTTP ({error}); check that baseurl ({}) has the right scheme and port",
                provider.base_url
            ),
        ),
    }
}

/// The status as a number, for `x-pinhole-upstream-status`.
pub fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}
