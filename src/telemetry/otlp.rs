//! Exporting by OTLP: builds the exporters, counts what became of each span, and never lets a collector's trouble out.
//!
//! Everything that waits happens on threads of its own: the batch processor's, the periodic reader's and, for gRPC, a
//! small runtime's. What does not fit the bounded queue is dropped and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{
    Compression, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, data::ResourceMetrics};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData,
};

use crate::base::clock;
use crate::telemetry::counters::Counters;
use crate::telemetry::emit::{Emitter, Place, Placer, size_of};
use crate::telemetry::settings::{Export, Protocol, Telemetry, Temporality};

/// Limit: how long the end of the process waits for the last export.
pub const FLUSH_MAX: Duration = Duration::from_secs(5);
/// A collector in trouble is reported this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Running exporters.
pub struct Otlp {
    traces: Option<(SdkTracerProvider, Emitter)>,
    metrics: Option<SdkMeterProvider>,
    counters: Arc<Counters>,
    /// Drives gRPC connections; `None` where none is spoken.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Otlp {
    /// Builds what `settings` ask for; the error names the setting. No connection is made yet.
    pub fn start(settings: &Telemetry) -> Result<Self, String> {
        let speaks_grpc = [&settings.traces, &settings.metrics]
            .into_iter()
            .flatten()
            .any(|export| export.protocol == Protocol::Grpc);
        let runtime = speaks_grpc.then(grpc_runtime).transpose()?;
        let _entered = runtime.as_ref().map(|runtime| runtime.enter());
        let counters = Arc::new(Counters::new(settings.batch.queue_max));
        let resource = resource(settings);
        let traces = match &settings.traces {
            Some(export) => Some(traces(settings, export, resource.clone(), &counters)?),
            None => None,
        };
        let metrics = match &settings.metrics {
            Some(export) => Some(metrics(settings, export, resource, &counters)?),
            None => None,
        };
        Ok(Self { traces, metrics, counters, runtime })
    }

    /// Where spans go; `None`: nowhere.
    pub fn emitter(&self) -> Option<&Emitter> {
        self.traces.as_ref().map(|(_, emitter)| emitter)
    }

    /// Where metrics by OTLP are recorded; `None`: nowhere.
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.metrics.as_ref()
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Sends what waits, for at most [`FLUSH_MAX`], and stops. Blocks.
    pub fn stop(mut self) {
        let began = clock::now();
        let waiting = self.counters.waiting();
        if waiting > 0 {
            tracing::info!(waiting, limit = ?FLUSH_MAX, "sending the last spans; traffic has ended");
        }
        let is_over = self.stop_within(began + FLUSH_MAX);
        let took = clock::now().saturating_duration_since(began);
        let lost = self.counters.waiting();
        if !is_over || lost > 0 {
            tracing::warn!(
                lost,
                ?took,
                limit = ?FLUSH_MAX,
                "the collector did not take the last spans and metrics in time; they are lost"
            );
        } else if waiting > 0 {
            tracing::info!(?took, "the last spans are dealt with");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// False: an exporter was still at work at `until`.
    fn stop_within(&mut self, until: Instant) -> bool {
        let mut stopping: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        if let Some((provider, _)) = self.traces.take() {
            stopping.push(Box::new(move || {
                let _told = provider.shutdown_with_timeout(FLUSH_MAX);
            }));
        }
        if let Some(provider) = self.metrics.take() {
            stopping.push(Box::new(move || {
                let _told = provider.shutdown();
            }));
        }
        let (done, ended) = std::sync::mpsc::sync_channel::<()>(stopping.len());
        let mut running = 0;
        // On threads of their own: whatever an exporter does, this wait is bounded, and neither waits for the other.
        for stop in stopping {
            let done = done.clone();
            let thread = std::thread::Builder::new().name("pinhole-flush".to_owned());
            let spawned = thread.spawn(move || {
                stop();
                let _told = done.send(());
            });
            running += usize::from(spawned.is_ok());
        }
        (0..running)
            .all(|_| ended.recv_timeout(until.saturating_duration_since(clock::now())).is_ok())
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn grpc_runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("pinhole-otlp")
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime for gRPC: {error}"))
}

fn resource(settings: &Telemetry) -> Resource {
    let further = settings.resource.iter();
    let further = further.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            KeyValue::new("telemetry.sdk.language", "rust"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .with_attributes(further)
        .with_service_name(settings.service_name.clone())
        .build()
}

fn traces(
    settings: &Telemetry,
    export: &Export,
    resource: Resource,
    counters: &Arc<Counters>,
) -> Result<(SdkTracerProvider, Emitter), String> {
    let exporter = match export.protocol {
        Protocol::Grpc => {
            let builder = SpanExporter::builder().with_tonic();
            tonic(builder, export)?.build()
        }
        Protocol::HttpProtobuf | Protocol::HttpJson => {
            let builder = SpanExporter::builder().with_http();
            http(builder, export)?.build()
        }
    };
    let exporter = exporter.map_err(|error| format!("traces: {error}"))?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(settings.batch.queue_max)
        .with_max_export_batch_size(settings.batch.export_max)
        .with_scheduled_delay(settings.batch.delay)
        .build();
    let counted = CountedSpans {
        exporter,
        counters: Arc::clone(counters),
        trouble: Trouble::of("spans", export),
    };
    let place = Place::default();
    let placer = Placer {
        place: place.clone(),
        next: BatchSpanProcessor::builder(counted).with_batch_config(batch).build(),
        counters: Arc::clone(counters),
        limits: settings.limits,
    };
    let provider = SdkTracerProvider::builder()
        // The decision is made when an exchange begins.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource)
        .with_span_processor(placer)
        .build();
    let emitter = Emitter::new(&provider, place);
    Ok((provider, emitter))
}

fn metrics(
    settings: &Telemetry,
    export: &Export,
    resource: Resource,
    counters: &Arc<Counters>,
) -> Result<SdkMeterProvider, String> {
    use opentelemetry_sdk::metrics::Temporality as Sdk;

    let temporality = match settings.temporality {
        Temporality::Cumulative => Sdk::Cumulative,
        Temporality::Delta => Sdk::Delta,
        Temporality::LowMemory => Sdk::LowMemory,
    };
    let builder = MetricExporter::builder().with_temporality(temporality);
    let exporter = match export.protocol {
        Protocol::Grpc => tonic(builder.with_tonic(), export)?.build(),
        Protocol::HttpProtobuf | Protocol::HttpJson => http(builder.with_http(), export)?.build(),
    };
    let counted = CountedMetrics {
        exporter: exporter.map_err(|error| format!("metrics: {error}"))?,
        counters: Arc::clone(counters),
        trouble: Trouble::of("metrics", export),
    };
    let reader = PeriodicReader::builder(counted).with_interval(settings.metrics_every).build();
    Ok(SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build())
}

fn tonic<B: WithExportConfig + WithTonicConfig>(builder: B, export: &Export) -> Result<B, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &export.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let value = http::HeaderValue::from_str(value.reveal());
        // Checked when the configuration was read.
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    let mut builder = builder
        .with_endpoint(export.endpoint.clone())
        .with_timeout(export.timeout)
        .with_metadata(MetadataMap::from_headers(headers));
    if export.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    if !export.endpoint.starts_with("https:") {
        return Ok(builder);
    }
    let mut tls = ClientTlsConfig::new().with_enabled_roots();
    if let Some(path) = &export.ca_file {
        tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
    }
    if let Some((certificate, key)) = &export.client {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(builder.with_tls_config(tls))
}

fn http<B: WithExportConfig + WithHttpConfig>(builder: B, export: &Export) -> Result<B, String> {
    let headers: HashMap<String, String> = export
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
        .collect();
    let mut builder = builder
        .with_endpoint(export.endpoint.clone())
        .with_protocol(match export.protocol {
            Protocol::HttpJson => opentelemetry_otlp::Protocol::HttpJson,
            Protocol::HttpProtobuf | Protocol::Grpc => opentelemetry_otlp::Protocol::HttpBinary,
        })
        .with_timeout(export.timeout)
        .with_headers(headers)
        .with_http_client(http_client(export)?);
    if export.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder)
}

/// A client that blocks the exporter's own thread. It must not be made on a runtime's thread.
fn http_client(export: &Export) -> Result<reqwest::blocking::Client, String> {
    let mut builder = reqwest::blocking::Client::builder()
        .timeout(export.timeout)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = &export.ca_file {
        let bundle = reqwest::Certificate::from_pem_bundle(&read(path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        for certificate in bundle {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some((certificate, key)) = &export.client {
        let mut pem = read(certificate)?;
        pem.extend(read(key)?);
        let identity = reqwest::Identity::from_pem(&pem)
            .map_err(|error| format!("{}: {error}", certificate.display()))?;
        builder = builder.identity(identity);
    }
    let host = export.endpoint.parse::<http::Uri>().ok();
    let host = host.as_ref().and_then(http::Uri::host).unwrap_or_default();
    if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        builder = builder.no_proxy();
    }
    let made = std::thread::spawn(move || builder.build()).join();
    match made {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(format!("no HTTP client: {error}")),
        Err(_) => Err("no HTTP client: making it panicked".to_owned()),
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// An exporter of spans whose results are counted.
#[derive(Debug)]
struct CountedSpans {
    exporter: SpanExporter,
    counters: Arc<Counters>,
    trouble: Trouble,
}

impl opentelemetry_sdk::trace::SpanExporter for CountedSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let bytes = batch.iter().map(size_of).sum();
        let result = self.exporter.export(batch).await;
        let count = spans as u64;
        self.counters.leave(spans, bytes);
        let (exports, spans) = match &result {
            Ok(()) => (&self.counters.trace_exports, &self.counters.spans_exported),
            Err(_) => (&self.counters.trace_exports_failed, &self.counters.spans_dropped_failed),
        };
        exports.fetch_add(1, Ordering::Relaxed);
        spans.fetch_add(count, Ordering::Relaxed);
        self.trouble.note(&result, clock::now());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// An exporter of metrics whose failures are counted.
struct CountedMetrics {
    exporter: MetricExporter,
    counters: Arc<Counters>,
    trouble: Trouble,
}

impl PushMetricExporter for CountedMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        let counter = match &result {
            Ok(()) => &self.counters.metric_exports,
            Err(_) => &self.counters.metric_exports_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.trouble.note(&result, clock::now());
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> opentelemetry_sdk::metrics::Temporality {
        self.exporter.temporality()
    }
}

/// Tells of failed exports, once a minute at most, and of the first that succeeds again.
#[derive(Debug)]
struct Trouble {
    what: &'static str,
    endpoint: String,
    failing: AtomicBool,
    told: Mutex<Option<Instant>>,
}

impl Trouble {
    fn of(what: &'static str, export: &Export) -> Self {
        Self {
            what,
            endpoint: shown(&export.endpoint),
            failing: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    fn note(&self, result: &OTelSdkResult, now: Instant) {
        let Err(error) = result else {
            if self.failing.swap(false, Ordering::Relaxed) {
                tracing::info!(endpoint = self.endpoint, "{} are exported again", self.what);
            }
            return;
        };
        self.failing.store(true, Ordering::Relaxed);
        if matches!(error, OTelSdkError::AlreadyShutdown) || !self.is_time_to_tell(now) {
            return;
        }
        tracing::warn!(
            endpoint = self.endpoint,
            %error,
            "{} could not be exported and are lost; traffic is not affected; said once a minute at most",
            self.what
        );
    }

    fn is_time_to_tell(&self, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if due {
            *told = Some(now);
        }
        due
    }
}

/// An endpoint without the user, password and query that may stand in it.
pub fn shown(endpoint: &str) -> String {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return "(not a URL)".to_owned() };
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", uri.path())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn export() -> Export {
        Export {
            protocol: Protocol::HttpProtobuf,
            endpoint: "http://user:planted@collector:4318/v1/traces?key=planted".to_owned(),
            headers: Vec::new(),
            timeout: Duration::from_secs(1),
            gzip: false,
            ca_file: None,
            client: None,
        }
    }

    /// What is logged goes here.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn trouble_is_told_once_a_minute_and_so_is_its_end() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let failed = || Err(OTelSdkError::InternalFailure("connection refused".to_owned()));
        let trouble = Trouble::of("spans", &export());
        let began = clock::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let lines = || {
            let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
            assert!(!text.contains("planted"), "{text}");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        tracing::subscriber::with_default(subscriber, || {
            trouble.note(&Ok(()), began);
            assert!(lines().is_empty(), "no trouble, no word");
            for second in 0..60 {
                trouble.note(&failed(), at(second));
            }
            let told = lines();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("WARN") && told[0].contains("connection refused"), "{told:?}");
            assert!(told[0].contains("http://collector:4318/v1/traces"), "{told:?}");
            trouble.note(&failed(), at(60));
            assert_eq!(lines().len(), 1, "a minute later");
            trouble.note(&Ok(()), at(61));
            trouble.note(&Ok(()), at(62));
            let told = lines();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("spans are exported again"), "{told:?}");
            trouble.note(&failed(), at(119));
            assert!(lines().is_empty(), "a collector that comes and goes is told of no more often");
            trouble.note(&Err(OTelSdkError::AlreadyShutdown), at(300));
            assert!(lines().is_empty(), "the end is no trouble");
        });
    }
}
