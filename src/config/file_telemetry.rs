//! The shape of `[telemetry]`. See `file.rs` for the rules these shapes follow. The standard `OTEL_*` variables say the
//! same things and win over the file.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::SecretText;
use crate::config::units::{Size, Span};

/// What the gateway tells of its traffic: metrics, and traces by OpenTelemetry once an endpoint is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Whether answers are read for tokens, cost and times of content. Default: `true`.
    pub metering: Option<bool>,
    /// Time series of all metrics together; past it, labels collapse to `other`, and that is counted. Default: 10000.
    pub series_max: Option<usize>,
    /// `service.name` of the resource. Default: `pinhole`.
    pub service_name: Option<String>,
    /// Further attributes of the resource, such as `deployment.environment.name`.
    pub resource: Option<IndexMap<String, String>>,
    /// Which GenAI names are used: `v1.41`, the last published ones, or `newest`. Default: `v1.41`.
    pub semconv: Option<Semconv>,
    /// Whether words of prompts and answers are put on spans; secrets in them are masked. Default: `off`.
    pub content: Option<Content>,
    /// Largest attribute of content; the rest is cut off and said so. Default: `32KiB`.
    pub content_max: Option<Size>,
    /// Where traces and metrics go.
    pub otlp: Option<Otlp>,
    /// Which traces are recorded, and what becomes of a caller's.
    pub traces: Option<Traces>,
    /// Metrics by OTLP, beside `/metrics`.
    pub metrics: Option<Metrics>,
}

/// Which GenAI names are used.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum Semconv {
    /// The last published ones.
    #[serde(rename = "v1.41")]
    V141,
    /// The main branch of the conventions.
    #[serde(rename = "newest")]
    Newest,
}

/// Whether words are put on spans.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Never.
    Off,
    /// On the span of the model call.
    Span,
}

/// An OTLP receiver.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Its base URL, such as `http://127.0.0.1:4318`; over HTTP `/v1/traces` and `/v1/metrics` are added.
    pub endpoint: Option<String>,
    /// `grpc`, `http/protobuf` or `http/json`. Default: `grpc` on port 4317, else `http/protobuf`.
    pub protocol: Option<Protocol>,
    /// Headers sent with each export; better as `env:NAME` or `file:PATH`.
    pub headers: Option<IndexMap<String, SecretText>>,
    /// How long one export may take, retries included. Default: `10s`.
    pub timeout: Option<Span>,
    /// Default: `none`.
    pub compression: Option<Compression>,
    /// PEM file of further certificate authorities; a relative path starts from the configuration file.
    pub certificate: Option<String>,
    /// PEM file of the certificate to show, with `client_key`.
    pub client_certificate: Option<String>,
    /// PEM file of its key.
    pub client_key: Option<String>,
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum Protocol {
    /// gRPC, usually on port 4317.
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP, usually on port 4318.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// JSON over HTTP.
    #[serde(rename = "http/json")]
    HttpJson,
}

/// Compression of exports.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// gzip.
    Gzip,
}

/// Which traces are recorded.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Which traces are recorded, in OpenTelemetry's words. Default: `parentbased_traceidratio`.
    pub sampler: Option<Sampler>,
    /// The share of traces that is recorded, where the sampler goes by share. Default: 1.
    #[schemars(range(min = 0, max = 1))]
    pub ratio: Option<f64>,
    /// What becomes of a caller's trace: `continue` it, or `restart` with a new one that is linked to it. Default: `continue`.
    pub incoming: Option<Incoming>,
    /// Read `traceparent` and send it to providers. Off, it passes like any other header. Default: `true`.
    pub propagate: Option<bool>,
}

/// Which traces are recorded; `parentbased_*` follow the caller's decision where there is a caller.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share.
    #[serde(rename = "traceidratio")]
    TraceIdRatio,
    /// The caller's choice, else all.
    #[serde(rename = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    /// The caller's choice, else none.
    #[serde(rename = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    /// The caller's choice, else a share.
    #[serde(rename = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}

/// What becomes of a caller's trace.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Incoming {
    /// It goes on.
    Continue,
    /// A new one begins, linked to it.
    Restart,
}

/// Metrics by OTLP.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Send `gen_ai.*` and `http.*` metrics to the OTLP receiver too. Default: `false`.
    pub otlp: Option<bool>,
    /// How often. Default: `60s`.
    pub every: Option<Span>,
    /// Whether numbers count from the start or from the last export. Default: `cumulative`.
    pub temporality: Option<Temporality>,
}

/// What numbers count from.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// The start.
    Cumulative,
    /// The last export.
    Delta,
    /// The one that costs least for each kind of metric.
    LowMemory,
}
