//! One configured provider, as the rest of the gateway sees it. `config` fills these; nothing here reads files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::base::secret::Secret;
use crate::neutral::kind::Flags;

/// A provider block, resolved.
#[derive(Clone)]
pub struct Provider {
    /// The block's key: the provider's id in headers, metrics, the store and selectors.
    pub id: Arc<str>,
    /// The preset it follows (`type`, or the key when that names one).
    pub preset: Option<Arc<str>>,
    /// Display name and description, for `/v1/models`.
    pub name: Option<String>,
    pub description: Option<String>,
    /// Root of the provider's API, as configured: scheme, authority and path prefix.
    pub base_url: Uri,
    /// Keys in order; more than one is a pool. Empty: the client's own credentials pass through while the gateway has no keys.
    pub keys: Vec<ProviderKey>,
    pub auth: AuthScheme,
    pub auth_mode: AuthMode,
    pub flags: Flags,
    /// Configured models, in order. Empty with `discover`: learnt from the provider.
    pub models: Vec<Model>,
    /// The block has no `models`: ask the provider for its list.
    pub discover: bool,
    /// Headers set on every request to it, never in place of the injected credential.
    pub add_headers: Vec<(HeaderName, HeaderValue)>,
    /// Among providers with the same model, the higher preference is tried first; ties go by order in the file.
    pub preference: i64,
    /// Kept in listings for operators, never routed to.
    pub disabled: bool,
    /// Price list to use, and per-model overrides; carried for the metering part.
    pub cost_basis: Option<String>,
    pub model_costs: Vec<ModelCost>,
    /// Free text naming the system behind an intermediary (`bedrock-mantle`), shown in `/v1/models`.
    pub upstream: Option<String>,
    pub timeouts: Timeouts,
    /// At most this many requests at once to this provider; `None`: only the gateway's own limit.
    pub in_flight_max: Option<usize>,
    pub tls: TlsOptions,
    pub http: HttpVersion,
    /// Proxy to reach it through, from `HTTPS_PROXY`/`HTTP_PROXY`/`NO_PROXY`.
    pub proxy: Option<Uri>,
    /// It may know the caller's trace: `traceparent` goes with each request.
    pub trace_context: bool,
    /// Path versions are joined by rule (`/v1` once, `/v4` roots); set: the client's version segment is dropped.
    pub versionless: bool,
}

impl fmt::Debug for Provider {
    /// Leaves out what may hold a credential: a proxy's user part, the values of added headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&HeaderName> = self.add_headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Provider")
            .field("id", &self.id)
            .field("preset", &self.preset)
            .field("base_url", &self.base_url)
            .field("keys", &self.keys)
            .field("auth", &self.auth)
            .field("auth_mode", &self.auth_mode)
            .field("flags", &self.flags)
            .field("models", &self.models)
            .field("discover", &self.discover)
            .field("add_headers", &headers)
            .field("preference", &self.preference)
            .field("disabled", &self.disabled)
            .field("timeouts", &self.timeouts)
            .field("in_flight_max", &self.in_flight_max)
            .field("tls", &self.tls)
            .field("http", &self.http)
            .field("versionless", &self.versionless)
            .finish_non_exhaustive()
    }
}

/// One key of a provider, with the label that stands for it in logs and metrics.
#[derive(Debug, Clone)]
pub struct ProviderKey {
    pub label: Arc<str>,
    pub secret: Secret,
}

/// Where the credential goes on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthScheme {
    Bearer,
    XApiKey,
    XGoogApiKey,
    /// A header of the provider's own, such as Azure's `api-key`.
    Header(HeaderName),
    /// `Authorization: Splunk KEY`, as HTTP event collectors want it.
    Hec,
    /// `cf-aig-authorization: Bearer KEY`, Cloudflare's AI gateway; `Authorization` stays free for the provider behind it.
    CfAigAuthorization,
    None,
}

impl AuthScheme {
    /// The words that `authorization` takes, `header: NAME` aside.
    pub const WORDS: [&str; 6] =
        ["bearer", "x-api-key", "x-goog-api-key", "hec", "cf-aig-authorization", "none"];

    /// Reads the configuration's word.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "bearer" => Some(Self::Bearer),
            "x-api-key" => Some(Self::XApiKey),
            "x-goog-api-key" => Some(Self::XGoogApiKey),
            "hec" => Some(Self::Hec),
            "cf-aig-authorization" => Some(Self::CfAigAuthorization),
            "none" => Some(Self::None),
            other => {
                let name = other.strip_prefix("header:")?.trim();
                name.parse().ok().map(Self::Header)
            }
        }
    }

    /// The header that carries the key; `None`: no key is sent.
    pub fn header_name(&self) -> Option<HeaderName> {
        match self {
            Self::Bearer | Self::Hec => Some(http::header::AUTHORIZATION),
            Self::XApiKey => Some(HeaderName::from_static("x-api-key")),
            Self::XGoogApiKey => Some(HeaderName::from_static("x-goog-api-key")),
            Self::CfAigAuthorization => Some(HeaderName::from_static("cf-aig-authorization")),
            Self::Header(name) => Some(name.clone()),
            Self::None => None,
        }
    }

    /// The configuration's word for it.
    pub fn label(&self) -> String {
        match self {
            Self::Bearer => "bearer".to_owned(),
            Self::XApiKey => "x-api-key".to_owned(),
            Self::XGoogApiKey => "x-goog-api-key".to_owned(),
            Self::Header(name) => format!("header: {name}"),
            Self::Hec => "hec".to_owned(),
            Self::CfAigAuthorization => "cf-aig-authorization".to_owned(),
            Self::None => "none".to_owned(),
        }
    }
}

/// Whose credential goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// The configured key replaces the client's.
    Override,
    /// The client's own `Authorization` or `x-api-key` goes through; the configured key if it sent neither.
    Passthrough,
    /// No credential at all.
    None,
}

/// One model entry: a name, or a glob such as `ft:*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    pub id: String,
    /// Other names clients may ask for; the id is what goes upstream.
    pub aliases: Vec<String>,
    pub context_length: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub modalities: Vec<String>,
}

/// One `model_cost_map` row: models matching `pattern` are priced as `priced_as`, times `adjustment`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCost {
    pub pattern: String,
    pub priced_as: String,
    pub adjustment: f64,
}

/// The waits of one provider. `None` waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    /// Between two frames of an answer.
    pub idle: Duration,
    /// The whole call; streams have none by default.
    pub total: Option<Duration>,
}

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_mins(2);
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            first_byte: FIRST_BYTE_TIMEOUT,
            idle: IDLE_TIMEOUT,
            total: None,
        }
    }
}

/// How its certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsOptions {
    /// PEM file of further authorities trusted for this provider alone.
    pub ca_file: Option<PathBuf>,
}

/// Which HTTP version is spoken to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 when TLS negotiates it, else HTTP/1.1.
    #[default]
    Auto,
    Http1,
    /// HTTP/2 also in clear text (prior knowledge).
    Http2,
}
