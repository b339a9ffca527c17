//! What is exported, where to, and how much of it: the values that `config` fills from `[telemetry]` and `OTEL_*`.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::secret::Secret;
use crate::telemetry::semconv::Profile;

/// Everything the exporters are built from. The default exports nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    pub service_name: String,
    /// Further attributes of the resource, in order.
    pub resource: Vec<(String, String)>,
    /// `None`: no spans are exported.
    pub traces: Option<Export>,
    /// `None`: no metrics are exported by OTLP.
    pub metrics: Option<Export>,
    pub batch: Batch,
    pub metrics_every: Duration,
    pub temporality: Temporality,
    pub limits: Limits,
    pub content: Content,
    pub semconv: Profile,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    pub protocol: Protocol,
    /// The whole URL, path included.
    pub endpoint: String,
    pub headers: Vec<(String, Secret)>,
    /// Limit: how long one export may take, retries included.
    pub timeout: Duration,
    pub gzip: bool,
    /// PEM file of further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the client's certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
    HttpJson,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Grpc, Self::HttpProtobuf, Self::HttpJson];

    /// The word in `OTEL_EXPORTER_OTLP_PROTOCOL` and the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }
}

/// Spans on their way to the exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Limit: spans waiting; further ones are dropped and counted.
    pub queue_max: usize,
    /// Limit: spans of one export.
    pub export_max: usize,
    pub delay: Duration,
}

impl Batch {
    pub const QUEUE_MAX: usize = 2_048;
    pub const EXPORT_MAX: usize = 512;
    /// With content on spans, a full export stays under the 4 MiB that collectors take in one message.
    pub const EXPORT_WITH_CONTENT_MAX: usize = 64;
    pub const DELAY: Duration = Duration::from_secs(5);
}

/// Whether counters and histograms count from the start or from the last export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    #[default]
    Cumulative,
    Delta,
    LowMemory,
}

/// Limits on one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub attributes_max: usize,
    pub events_max: usize,
    pub links_max: usize,
    /// Characters of one text attribute; `None`: only content has a limit.
    pub value_chars_max: Option<usize>,
    /// Bytes of one attribute of content.
    pub content_bytes_max: usize,
}

impl Limits {
    pub const COUNT_MAX: usize = 128;
    pub const CONTENT_BYTES_MAX: usize = 32 * 1024;
}

/// Whether words of prompts and answers are put on spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    #[default]
    Off,
    Span,
}

impl Content {
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Span => "span",
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            service_name: Self::SERVICE_NAME.to_owned(),
            resource: Vec::new(),
            traces: None,
            metrics: None,
            batch: Batch {
                queue_max: Batch::QUEUE_MAX,
                export_max: Batch::EXPORT_MAX,
                delay: Batch::DELAY,
            },
            metrics_every: Self::METRICS_EVERY,
            temporality: Temporality::default(),
            limits: Limits {
                attributes_max: Limits::COUNT_MAX,
                events_max: Limits::COUNT_MAX,
                links_max: Limits::COUNT_MAX,
                value_chars_max: None,
                content_bytes_max: Limits::CONTENT_BYTES_MAX,
            },
            content: Content::Off,
            semconv: Profile::default(),
        }
    }
}

impl Telemetry {
    pub const SERVICE_NAME: &'static str = "pinhole";
    pub const METRICS_EVERY: Duration = Duration::from_mins(1);
}
