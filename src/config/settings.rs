//! The resolved configuration: what the rest of the gateway reads. Filled by `resolve`, never changed after, swapped whole.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::secret::Secret;
use crate::base::trace::Sampler;
use crate::config::diagnostic::Findings;
use crate::exchange::level::Level;
use crate::exchange::trace::Incoming;
use crate::policy::capture::Rules as CaptureRules;
use crate::policy::identity::GatewayKey;
use crate::price::book::Book;
use crate::route::rules::Rules;
use crate::telemetry::settings::Telemetry;
use crate::upstream::provider::{Provider, Timeouts};

/// Everything one run (or one reload) of the gateway is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub source: Source,
    pub server: Server,
    pub ops: Ops,
    pub log: Log,
    pub limits: Limits,
    /// Gateway-wide waits; each provider carries its own, already merged.
    pub timeouts: Timeouts,
    pub streams: Streams,
    pub discovery: Discovery,
    pub capture: Capture,
    /// What is taken out of whatever is kept or shown.
    pub redact: crate::policy::redact::Settings,
    /// Encrypts headers and bodies on disk.
    pub encryption_key: Option<Secret>,
    pub retention: Retention,
    pub errors: Errors,
    pub prices: Prices,
    pub traces: Traces,
    /// What metrics may take, what is exported, and where to; a change acts at the next start.
    pub telemetry: Telemetry,
    /// In the order of the file; disabled ones are among them.
    pub providers: Vec<Arc<Provider>>,
    pub rules: Rules,
    /// `PINHOLE_API_KEY` first (label `env`), then `keys` in order. Empty: the gateway asks for no key on loopback.
    pub gateway_keys: Vec<GatewayKey>,
    /// `PINHOLE_ADMIN_KEY`: opens the operations API.
    pub admin_key: Option<Secret>,
    /// What was odd but did not stop the load; log them at start.
    pub warnings: Findings,
}

/// Where the settings came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A configuration file; the path as it was found.
    File(PathBuf),
    /// No file anywhere: environment, flags and defaults.
    Environment,
}

/// The traffic listener and what surrounds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub listen: SocketAddr,
    pub ops_listen: SocketAddr,
    pub data_dir: PathBuf,
    /// Sent as `x-pinhole-instance`.
    pub instance: Option<String>,
    /// Also send seed names `x-aperture-upstream` and `x-aperture-region`.
    pub aperture_headers: bool,
    /// Also send `x-pinhole-cost` before documents.
    pub cost_header: bool,
    pub tls: Option<Tls>,
    /// Origins browsers may call from; `*` is any.
    pub cors_origins: Vec<String>,
    /// Worker threads; `None`: one a core.
    pub workers: Option<usize>,
    /// How long running streams may finish after SIGTERM.
    pub drain: Duration,
    /// How long a client may take to send its request head.
    pub header_timeout: Duration,
    /// How long a client may take to send its whole request body.
    pub request_body_timeout: Duration,
}

/// PEM files of the HTTPS listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// The operations listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ops {
    /// `/metrics` needs no admin key, also beyond loopback.
    pub metrics_public: bool,
}

/// Log lines on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The least severe log line that is written.
//
// In the order of how much is written, so that levels compare.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Bounds on what the gateway holds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes_max: u64,
    /// Requests at once, over all providers.
    pub in_flight_max: usize,
    /// How long a request may wait for a place before it is refused.
    pub wait: Duration,
    /// Bytes of request bodies held at once.
    pub buffered_bytes_max: u64,
}

/// How streams are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streams {
    pub include_usage: IncludeUsage,
    /// Quiet time after which a comment or ping keeps the client's connection alive; `None`: off.
    pub keep_alive: Option<Duration>,
}

/// Whether `stream_options.include_usage` is added to chat streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncludeUsage {
    /// The request is left as it is.
    #[default]
    Never,
    /// Added where the client did not ask; the extra chunk is then hidden from it.
    WhenMissing,
}

/// Learning models from providers whose block lists none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery {
    pub enabled: bool,
    pub every: Duration,
}

/// How much of an exchange is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// Where no rule says otherwise.
    pub level: Level,
    pub rules: Arc<CaptureRules>,
    /// Bytes of running exchanges and of those that wait to be written.
    pub memory_bytes_max: usize,
    /// Texts are indexed.
    pub search: bool,
    /// Bytes of that index.
    pub search_bytes_max: u64,
}

/// When captured data is removed; `None`: never by this bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    pub bodies_age: Option<Duration>,
    pub bodies_bytes_max: Option<u64>,
    /// Nothing is removed that was not exported.
    pub require_export: bool,
    pub records_age: Option<Duration>,
}

/// What tokens cost.
#[derive(Debug, Clone)]
pub struct Prices {
    /// The price lists, and which provider bills by which.
    pub book: Arc<Book>,
    /// The list that the configuration names.
    pub file: Option<PathBuf>,
    /// Age of the newest list from which it is stale; `None`: never.
    pub stale_after: Option<Duration>,
}

/// Trace context in and out, and which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traces {
    /// Whether `traceparent` is read and written at all; off, it passes as any other header.
    pub propagate: bool,
    /// Spans go somewhere. Where they do not, a caller's context passes as it came, so that its trace has no hole.
    pub recording: bool,
    pub incoming: Incoming,
    pub sampler: Sampler,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            propagate: true,
            recording: false,
            incoming: Incoming::Continue,
            sampler: Sampler::OFF,
        }
    }
}

/// The shape of error answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Errors {
    /// Provider errors are answered as 502 in the gateway's envelope, with the provider's body inside.
    pub wrap_502: bool,
}

/// What the command line says; each field wins over environment and file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    pub listen: Option<String>,
    pub ops_listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub capture_level: Option<String>,
    pub default_backend: Option<String>,
    pub force_model: Option<String>,
    pub static_route: Option<String>,
    /// `PATTERN=REPLACEMENT`, tried before those of the file.
    pub model_aliases: Vec<String>,
}
