//! The shapes of the configuration file. Their doc comments are the reference page and the JSON Schema's descriptions.
//!
//! One declaration yields parsing, checks, defaults, schema and docs; what the values mean is `resolve`'s business.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file_capture::{Capture, Retention};
use crate::config::file_provider::Provider;
use crate::config::file_telemetry::Telemetry;
use crate::config::settings::{IncludeUsage, LogFormat, LogLevel};
use crate::config::text::SecretText;
use crate::config::units::{Size, Span, SpanOrOff};
use crate::exchange::level::Level;
use crate::upstream::provider::{CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT, IDLE_TIMEOUT};

pub const LISTEN: &str = "127.0.0.1:8000";
pub const OPS_LISTEN: &str = "127.0.0.1:9464";
const DRAIN: Span = seconds(30);
const HEADER_TIMEOUT: Span = seconds(15);
const REQUEST_BODY_TIMEOUT: Span = seconds(120);
const BODY_MAX: Size = Size(64 << 20);
const BUFFERED_MAX: Size = Size(256 << 20);
const IN_FLIGHT_MAX: usize = 1_024;
const WAIT: Span = seconds(5);
const DISCOVERY_EVERY: Span = seconds(600);
const PRICES_STALE_AFTER: std::time::Duration = std::time::Duration::from_hours(180 * 24);

const fn seconds(count: u64) -> Span {
    Span(std::time::Duration::from_secs(count))
}

/// Configuration of Pinhole, a gateway for LLM traffic.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Pinhole configuration")]
pub struct File {
    /// The traffic listener and what surrounds it.
    pub server: Option<Server>,
    /// The operations listener.
    pub ops: Option<Ops>,
    /// Log lines on standard error.
    pub log: Option<Log>,
    /// Metrics, and traces by OpenTelemetry, which are off until an endpoint is given.
    pub telemetry: Option<Telemetry>,
    /// The providers, in order of trial; the key of a block is the provider's id. `backends` is the same.
    #[schemars(extend("x-alias" = "backends"))]
    pub providers: Option<IndexMap<String, Provider>>,
    /// Where unknown models and requests without a model go: a provider, `provider:model`, or a preset.
    pub default_backend: Option<String>,
    /// Every request is for this model (or `provider:model`), whatever the client asked for.
    pub force_model: Option<String>,
    /// Every request goes to this `provider:model`.
    pub static_route: Option<String>,
    /// Rewrites of model names, first match wins: a list of `{pattern, replacement}`, or a table of pattern to replacement.
    pub model_aliases: Option<ModelAliases>,
    /// Keys that clients of the gateway present. With none, loopback needs no key and other addresses are refused.
    pub keys: Option<Vec<Key>>,
    /// The shape of error answers.
    pub errors: Option<Errors>,
    /// Bounds on what the gateway holds at once.
    pub limits: Option<Limits>,
    /// How long the gateway waits for a provider; a provider's own `timeouts` win.
    pub timeouts: Option<Timeouts>,
    /// How streams are treated.
    pub streams: Option<Streams>,
    /// Learning models from providers whose block lists none.
    pub discovery: Option<Discovery>,
    /// Whether a provider without `cost_basis` is priced by what its preset, address or endpoints tell. Default: true.
    pub auto_cost_basis: Option<bool>,
    /// What tokens cost; see `docs/prices.md`.
    pub prices: Option<Prices>,
    /// How much of each exchange is kept; see `docs/captures.md`.
    pub capture: Option<Capture>,
    /// When what was kept is removed.
    pub retention: Option<Retention>,
}

/// The traffic listener and what surrounds it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port for traffic. Beyond loopback a gateway key is needed.
    pub listen: String,
    /// Address and port for operations: metrics, health, API. Beyond loopback `PINHOLE_ADMIN_KEY` is needed.
    pub ops_listen: String,
    /// Where the store lives. Default: `pinhole` under `$XDG_DATA_HOME` or `~/.local/share`.
    pub data_dir: Option<String>,
    /// Name of this instance, sent as `x-pinhole-instance`.
    pub instance: Option<String>,
    /// Also send `x-aperture-upstream` and `x-aperture-region`.
    pub aperture_headers: bool,
    /// Also send `x-pinhole-cost` before documents of priced models; short ones wait for their end, 100 ms at most.
    pub cost_header: bool,
    /// Serve HTTPS with this certificate and key.
    pub tls: Option<Tls>,
    /// Origins from which browsers may call; `*` is any.
    pub cors_origins: Vec<String>,
    /// Worker threads. Default: one for each core.
    pub workers: Option<usize>,
    /// How long running streams may finish after SIGTERM.
    pub drain: Span,
    /// How long a client may take to send its request head.
    pub header_timeout: Span,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: LISTEN.to_owned(),
            ops_listen: OPS_LISTEN.to_owned(),
            data_dir: None,
            instance: None,
            aperture_headers: false,
            cost_header: true,
            tls: None,
            cors_origins: Vec::new(),
            workers: None,
            drain: DRAIN,
            header_timeout: HEADER_TIMEOUT,
        }
    }
}

/// PEM files of the HTTPS listener; relative paths start from the configuration file.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// The operations listener.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ops {
    /// `/metrics` needs no admin key, also beyond loopback.
    pub metrics_public: bool,
}

/// Log lines on standard error.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The form of the lines.
    pub format: LogFormat,
    /// The least severe line that is written.
    pub level: LogLevel,
}

/// Rewrites of model names, as a list or as a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelAliases {
    /// In order; the first match wins.
    List(Vec<ModelAlias>),
    /// Pattern to replacement, in the order of the file.
    Table(IndexMap<String, String>),
}

/// One rewrite.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelAlias {
    /// Regular expression (syntax of Rust's `regex`) that is looked for in a model name; `^` and `$` anchor it.
    pub pattern: String,
    /// What the matched part of the name becomes; `\1` or `$1` are the pattern's groups. With `provider:model` it also picks the provider.
    pub replacement: String,
}

/// A key that clients of the gateway present.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Stands for the key in logs, metrics and the store.
    pub label: String,
    /// The key itself; better as `env:NAME` or `file:PATH`.
    pub secret: SecretText,
    /// The most that its holders may ask for with `x-pinhole-capture`, beyond what is kept anyway. Default: nothing more.
    pub capture_max: Option<Level>,
}

/// The shape of error answers.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// Answer a provider's error as 502, with the provider's body inside. Off: its status and body pass as they came.
    pub wrap_502: bool,
}

/// Bounds on what the gateway holds at once.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body; a larger one is answered 413.
    pub body: Size,
    /// Requests at once, over all providers.
    pub in_flight: usize,
    /// How long a request waits for a free place before it is answered 503.
    pub wait: Span,
    /// Bytes of request bodies held in memory at once.
    pub buffered: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: BODY_MAX, in_flight: IN_FLIGHT_MAX, wait: WAIT, buffered: BUFFERED_MAX }
    }
}

/// How long the gateway waits.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection to the provider, TLS included.
    pub connect: Span,
    /// From the sent request to the first byte of the answer.
    pub first_byte: Span,
    /// Between two pieces of an answer; a client may take none of one for as long.
    pub idle: Span,
    /// For the whole call.
    pub total: SpanOrOff,
    /// For a client's request body to arrive in full.
    pub request_body: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span(CONNECT_TIMEOUT),
            first_byte: Span(FIRST_BYTE_TIMEOUT),
            idle: Span(IDLE_TIMEOUT),
            total: SpanOrOff(None),
            request_body: REQUEST_BODY_TIMEOUT,
        }
    }
}

/// How streams are treated.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Streams {
    /// Whether `stream_options.include_usage` is added to chat streams; the extra chunk is hidden from a client that did not ask.
    pub include_usage: IncludeUsage,
    /// Quiet time after which a comment or ping keeps the client's connection alive.
    pub keep_alive: SpanOrOff,
}

/// Learning models from providers whose block lists none.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// Ask such providers for their models. A failure is reported and never blocks a request.
    pub enabled: bool,
    /// How often they are asked again.
    pub every: Span,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { enabled: true, every: DISCOVERY_EVERY }
    }
}

/// What tokens cost.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// A price list of your own (JSON), laid over the installed and the shipped one; a relative path starts from the configuration file.
    pub file: Option<String>,
    /// Age of the newest list from which a warning is given, at start and by `pinhole check`.
    pub stale_after: SpanOrOff,
}

impl Default for Prices {
    fn default() -> Self {
        Self { file: None, stale_after: SpanOrOff(Some(PRICES_STALE_AFTER)) }
    }
}
