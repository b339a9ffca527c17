//! From an exchange to its spans, as plain data: nothing here knows an SDK, a clock or a queue.
//!
//! ```text
//!  SERVER  POST /v1/chat/completions    the exchange            http.*, pinhole.*
//!  └ CLIENT  chat gpt-5                 all attempts            gen_ai.*        only for model operations
//!    ├ CLIENT  POST                     one attempt             http.*, server.address; the provider was told this id
//!    └ CLIENT  POST                     the next one            http.request.resend_count = 1
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::trace::{Parent, SpanId, TraceId};
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::outcome::Outcome;
use crate::neutral::kind::{Dialect, Operation};
use crate::telemetry::call;
use crate::telemetry::semconv as names;
use crate::telemetry::semconv::Profile;
use crate::telemetry::settings::Content;

/// Limit: tags on one span; their names are the client's.
const TAGS_MAX: usize = 16;

/// One span, ready to be exported.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanModel {
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    /// The parent is a caller's span.
    pub remote_parent: bool,
    pub link: Option<Parent>,
    /// Microseconds since 1970.
    pub start_us: u64,
    pub end_us: u64,
    /// The most wanted first: what is over a limit is cut from the end.
    pub attributes: Vec<(&'static str, Value)>,
    pub events: Vec<(&'static str, u64)>,
    /// It failed.
    pub error: bool,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Server,
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(Cow<'static, str>),
    Shared(Arc<str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Texts(Vec<String>),
}

impl Value {
    pub fn kind(&self) -> names::Kind {
        match self {
            Self::Text(_) | Self::Shared(_) => names::Kind::Text,
            Self::Int(_) => names::Kind::Int,
            Self::Float(_) => names::Kind::Float,
            Self::Bool(_) => names::Kind::Bool,
            Self::Texts(_) => names::Kind::Texts,
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Shared(Arc::clone(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// The attributes of one span under making.
#[derive(Debug, Default)]
pub(crate) struct Attributes(pub(crate) Vec<(&'static str, Value)>);

impl Attributes {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }

    /// Absent stays absent.
    pub(crate) fn set_some(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

/// What is known of a provider beside what its attempts say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `gen_ai.provider.name`.
    pub telemetry_name: Arc<str>,
    pub host: Arc<str>,
    pub port: u16,
}

/// How exchanges are mapped.
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    pub profile: Profile,
    pub content: Content,
    /// Limit: bytes of one attribute of content.
    pub content_bytes_max: usize,
    /// The traffic listener speaks TLS.
    pub https: bool,
}

/// The spans of an exchange, parents first.
pub fn spans<'o>(
    exchange: &Exchange,
    mapping: &Mapping,
    origin: impl Fn(&str) -> Option<&'o Origin>,
) -> Vec<SpanModel> {
    let mut spans = Vec::with_capacity(exchange.attempts.len() + 2);
    spans.push(server(exchange, mapping));
    let last_origin = exchange.last_attempt().and_then(|attempt| origin(&attempt.provider));
    let call = call::span(exchange, mapping, last_origin);
    let parent = call.as_ref().map_or(exchange.trace.server, |call| call.id);
    spans.extend(call);
    for (index, attempt) in exchange.attempts.iter().enumerate() {
        spans.push(attempt_span(exchange, index, attempt, parent, origin(&attempt.provider)));
    }
    spans
}

/// Seconds as OpenTelemetry counts.
pub(crate) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn server(exchange: &Exchange, mapping: &Mapping) -> SpanModel {
    let mut attributes = Attributes::with_capacity(24);
    let route = route(exchange);
    attributes.set(names::HTTP_REQUEST_METHOD, exchange.method.as_str().to_owned());
    attributes.set_some(names::HTTP_ROUTE, route);
    attributes.set(names::URL_PATH, exchange.path.clone());
    attributes.set(names::URL_SCHEME, if mapping.https { "https" } else { "http" });
    attributes.set_some(names::HTTP_STATUS, exchange.status.map(status));
    let error = server_error(exchange);
    let failed = error.is_some();
    attributes.set_some(names::ERROR_TYPE, error);
    attributes.set(names::EXCHANGE_ID, exchange.id.to_string());
    attributes.set(names::OUTCOME, exchange.outcome.label());
    attributes
        .set_some(names::ERROR_SOURCE, exchange.failure.as_ref().map(|blame| blame.source.label()));
    attributes.set_some(names::KEY_LABEL, exchange.key_label.as_ref());
    attributes.set_some(names::SESSION_ID, session(exchange));
    attributes.set(names::ATTEMPTS, exchange.attempts.len() as u64);
    attributes.set(names::OVERHEAD, seconds(exchange.summary.times.overhead_us));
    if exchange.queued_us > 0 {
        attributes.set(names::QUEUED, seconds(exchange.queued_us));
    }
    attributes.set(names::REQUEST_BYTES, exchange.request_bytes);
    attributes.set(names::RESPONSE_BYTES, exchange.response_bytes);
    if !exchange.summary.agent.is_empty() {
        attributes.set(names::AGENT, exchange.summary.agent);
    }
    if let Some(client) = exchange.client {
        attributes.set(names::CLIENT_ADDRESS, client.ip().to_string());
        attributes.set(names::CLIENT_PORT, u64::from(client.port()));
    }
    let agent = exchange.user_agent.as_ref().and_then(|agent| agent.to_str().ok());
    attributes.set_some(names::USER_AGENT, agent.map(str::to_owned));
    if !exchange.tags.is_empty() {
        let tags = exchange.tags.iter().take(TAGS_MAX);
        let tags = tags.map(|(name, value)| format!("{name}={value}")).collect();
        attributes.set(names::TAGS, Value::Texts(tags));
    }
    let trace = &exchange.trace;
    SpanModel {
        name: route.map_or_else(
            || Cow::Owned(exchange.method.as_str().to_owned()),
            |route| Cow::Owned(format!("{} {route}", exchange.method)),
        ),
        kind: SpanKind::Server,
        trace: trace.id,
        id: trace.server,
        parent: trace.parent,
        remote_parent: trace.parent.is_some(),
        link: trace.linked,
        start_us: exchange.wall_us,
        end_us: exchange.wall_us + exchange.ended_us,
        attributes: attributes.0,
        events: Vec::new(),
        error: failed,
    }
}

/// An answer of 400 to 499 is the client's affair, and a client that left is no failure of ours: neither is an error of
/// the server span. An answer that began well and broke is one.
fn server_error(exchange: &Exchange) -> Option<Value> {
    if let Some(code) = exchange.status.filter(|code| code.is_server_error()) {
        return Some(code.as_u16().to_string().into());
    }
    let broke = matches!(
        exchange.outcome,
        Outcome::UpstreamReset | Outcome::Timeout | Outcome::GatewayError
    );
    broke.then(|| blamed(exchange).into())
}

/// The stable code of what failed, else the outcome's word.
pub(crate) fn blamed(exchange: &Exchange) -> &'static str {
    exchange.failure.as_ref().map_or(exchange.outcome.label(), |blame| blame.kind)
}

pub(crate) fn status(code: http::StatusCode) -> Value {
    Value::Int(i64::from(code.as_u16()))
}

pub(crate) fn session(exchange: &Exchange) -> Option<String> {
    exchange.session.as_ref().and_then(|session| session.to_str().ok()).map(str::to_owned)
}

/// The endpoint in its canonical spelling: few of them, whatever paths clients try.
fn route(exchange: &Exchange) -> Option<&'static str> {
    Some(match (exchange.dialect, exchange.operation) {
        (Dialect::Gemini, Operation::Models) => "/v1beta/models",
        (_, Operation::Models) if exchange.path.ends_with("/models") => "/v1/models",
        (_, Operation::Models) => "/v1/models/{id}",
        (_, Operation::Opaque) => return opaque_route(exchange),
        (Dialect::OpenAiChat, Operation::TextCompletion) => "/v1/completions",
        (Dialect::OpenAiChat, _) => "/v1/chat/completions",
        (Dialect::OpenAiResponses, _) => "/v1/responses",
        (Dialect::OpenAiEmbeddings, _) => "/v1/embeddings",
        (Dialect::Anthropic, Operation::CountTokens) => "/v1/messages/count_tokens",
        (Dialect::Anthropic, _) => "/v1/messages",
        (Dialect::Gemini, _) => match exchange.path.rsplit_once(':').map(|(_, verb)| verb) {
            Some("streamGenerateContent") => "/v1beta/models/{model}:streamGenerateContent",
            Some("countTokens") => "/v1beta/models/{model}:countTokens",
            Some("embedContent") => "/v1beta/models/{model}:embedContent",
            Some("batchEmbedContents") => "/v1beta/models/{model}:batchEmbedContents",
            _ => "/v1beta/models/{model}:generateContent",
        },
    })
}

/// A path that was forwarded unread; one that was refused names no endpoint.
fn opaque_route(exchange: &Exchange) -> Option<&'static str> {
    if exchange.path.starts_with("/providers/") {
        return Some("/providers/{provider}/*");
    }
    (!exchange.attempts.is_empty()).then_some("/v1/*")
}

fn attempt_span(
    exchange: &Exchange,
    index: usize,
    attempt: &Attempt,
    parent: SpanId,
    origin: Option<&Origin>,
) -> SpanModel {
    let mut attributes = Attributes::with_capacity(20);
    attributes.set(names::HTTP_REQUEST_METHOD, exchange.method.as_str().to_owned());
    origin_attributes(&mut attributes, origin);
    attributes.set_some(names::HTTP_STATUS, attempt.status.map(status));
    let error = attempt_error(attempt);
    let failed = error.is_some();
    attributes.set_some(names::ERROR_TYPE, error);
    if index > 0 {
        attributes.set(names::RESEND_COUNT, index as u64);
    }
    attributes.set(names::EXCHANGE_ID, exchange.id.to_string());
    attributes.set(names::PROVIDER, &attempt.provider);
    attributes.set(names::BECAUSE, attempt.because);
    attributes.set_some(names::UPSTREAM_REQUEST_ID, attempt.upstream_request_id.clone());
    link(&mut attributes, attempt);
    let times = &exchange.summary.times;
    let is_last = index + 1 == exchange.attempts.len();
    let last = |at: Option<u64>| at.filter(|_| is_last);
    let events = [
        (names::EVENT_HEAD, attempt.head_us),
        (names::EVENT_FIRST_CONTENT, last(times.first_content_us)),
        (names::EVENT_LAST_CONTENT, last(times.last_content_us)),
    ];
    let at = |(name, at): (&'static str, Option<u64>)| Some((name, exchange.wall_us + at?));
    SpanModel {
        name: Cow::Owned(exchange.method.as_str().to_owned()),
        kind: SpanKind::Client,
        trace: exchange.trace.id,
        id: attempt.span,
        parent: Some(parent),
        remote_parent: false,
        link: None,
        start_us: exchange.wall_us + attempt.sent_us,
        end_us: exchange.wall_us + attempt.ended_us.unwrap_or(exchange.ended_us),
        attributes: attributes.0,
        events: events.into_iter().filter_map(at).collect(),
        error: failed,
    }
}

pub(crate) fn origin_attributes(attributes: &mut Attributes, origin: Option<&Origin>) {
    if let Some(origin) = origin {
        attributes.set(names::SERVER_ADDRESS, &origin.host);
        attributes.set(names::SERVER_PORT, u64::from(origin.port));
    }
}

/// What an attempt failed of: the gateway's code when the connection or a wait did, else the provider's status.
pub(crate) fn attempt_error(attempt: &Attempt) -> Option<Value> {
    let refused = attempt.status.filter(|code| code.is_client_error() || code.is_server_error());
    match (refused, &attempt.failure) {
        (Some(code), _) => Some(code.as_u16().to_string().into()),
        (None, Some(blame)) => Some(blame.kind.into()),
        (None, None) => None,
    }
}

fn link(attributes: &mut Attributes, attempt: &Attempt) {
    let link = &attempt.link;
    if let Some(peer) = link.peer {
        attributes.set(names::PEER_ADDRESS, peer.ip().to_string());
        attributes.set(names::PEER_PORT, u64::from(peer.port()));
    }
    if !link.http.is_empty() {
        attributes.set(names::PROTOCOL_NAME, "http");
        attributes.set(names::PROTOCOL_VERSION, link.http);
    }
    attributes.set_some(names::TLS_PROTOCOL_VERSION, link.tls);
    attributes.set(names::LINK_REUSED, link.reused);
    if !link.reused {
        attributes.set(names::LINK_RESOLVE, seconds(link.resolve_us));
        attributes.set(names::LINK_CONNECT, seconds(link.connect_us));
        if link.tls.is_some() {
            attributes.set(names::LINK_TLS, seconds(link.tls_us));
        }
    }
}
