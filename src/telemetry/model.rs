//! What a span is before any SDK sees it: plain data, and what its makers share.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::trace::{Parent, SpanId, TraceId};
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::redact;
use crate::telemetry::semconv as names;
use crate::telemetry::semconv::Profile;
use crate::telemetry::settings::Content;

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

impl SpanModel {
    /// Takes the secrets out of everything that may come from a client or a provider.
    pub(crate) fn clean(&mut self) {
        if let Cow::Owned(name) = &mut self.name {
            clean_text(name);
        }
        for (_, value) in &mut self.attributes {
            match value {
                Value::Text(Cow::Owned(text)) => clean_text(text),
                Value::Shared(text) => {
                    if let Cow::Owned(clean) = redact::short_text(text) {
                        *value = Value::Text(Cow::Owned(clean));
                    }
                }
                Value::Texts(texts) => texts.iter_mut().for_each(clean_text),
                Value::Text(Cow::Borrowed(_))
                | Value::Int(_)
                | Value::Float(_)
                | Value::Bool(_) => {}
            }
        }
    }
}

fn clean_text(text: &mut String) {
    if let Cow::Owned(clean) = redact::short_text(text) {
        *text = clean;
    }
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

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Text(text)
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

/// Seconds as OpenTelemetry counts.
pub(crate) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// The stable code of what failed, else the outcome's word.
pub(crate) fn blamed(exchange: &Exchange) -> &'static str {
    exchange.failure.as_ref().map_or(exchange.outcome.label(), |blame| blame.kind)
}

pub(crate) fn status(code: http::StatusCode) -> Value {
    Value::Int(i64::from(code.as_u16()))
}

/// An exchange under mapping, with what several of its spans say made once.
pub(crate) struct Subject<'e> {
    pub(crate) exchange: &'e Exchange,
    pub(crate) mapping: &'e Mapping,
    pub(crate) id: Arc<str>,
    pub(crate) session: Option<Arc<str>>,
}

impl<'e> Subject<'e> {
    pub(crate) fn of(exchange: &'e Exchange, mapping: &'e Mapping) -> Self {
        // A session that no client named is never told as if one had.
        let session = exchange.session.as_ref().filter(|_| !exchange.session_inferred);
        Self {
            exchange,
            mapping,
            id: exchange.id.encode(&mut [0; 36]).into(),
            session: session.map(Arc::clone),
        }
    }

    /// The usual methods without a copy.
    pub(crate) fn method(&self) -> Cow<'static, str> {
        match self.exchange.method {
            http::Method::POST => Cow::Borrowed("POST"),
            http::Method::GET => Cow::Borrowed("GET"),
            ref other => Cow::Owned(other.as_str().to_owned()),
        }
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
