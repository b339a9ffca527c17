//! The sink that turns finished exchanges into spans, and into metrics by OTLP where those are asked for.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::exchange::Exchange;
use crate::observe::sink::Sink;
use crate::telemetry::counters::Counters;
use crate::telemetry::model::{Mapping, Origin};
use crate::telemetry::otlp::Otlp;
use crate::telemetry::otlp_metrics::Instruments;
use crate::telemetry::settings::Telemetry;
use crate::telemetry::spans;
use crate::upstream::catalog;
use crate::upstream::provider::Provider;

/// What spans say of providers, by id. Replaced on reload.
#[derive(Clone, Default)]
pub struct Origins(Arc<ArcSwap<HashMap<Arc<str>, Origin>>>);

impl Origins {
    pub fn of(providers: &[Arc<Provider>]) -> Self {
        let origins = Self::default();
        origins.replace(providers);
        origins
    }

    pub fn replace(&self, providers: &[Arc<Provider>]) {
        let known = providers.iter().map(|one| (Arc::clone(&one.id), origin(one))).collect();
        self.0.store(Arc::new(known));
    }
}

/// A provider without a preset is known to OpenTelemetry by its id.
fn origin(provider: &Provider) -> Origin {
    let preset = provider.preset.as_deref().and_then(catalog::preset);
    let url = &provider.base_url;
    let usual = if url.scheme_str() == Some("https") { 443 } else { 80 };
    Origin {
        telemetry_name: preset.map_or_else(
            || Arc::clone(&provider.id),
            |preset| Arc::from(preset.telemetry_name.as_str()),
        ),
        host: Arc::from(url.host().unwrap_or_default()),
        port: url.port_u16().unwrap_or(usual),
    }
}

/// Makes spans of the exchanges that were chosen for recording.
pub struct SpanSink {
    /// `None` once stopped.
    otlp: Option<Otlp>,
    mapping: Mapping,
    origins: Origins,
    /// `None`: no metrics go out by OTLP.
    instruments: Option<Instruments>,
}

impl SpanSink {
    /// `None`: nothing is to be exported, or an exporter cannot be built, which is reported: the gateway goes on without.
    /// `https`: the traffic listener speaks TLS.
    pub fn start(
        settings: &Telemetry,
        https: bool,
        origins: Origins,
    ) -> Option<(Self, Arc<Counters>)> {
        if settings.traces.is_none() && settings.metrics.is_none() {
            return None;
        }
        let otlp = match Otlp::start(settings) {
            Ok(otlp) => otlp,
            Err(error) => {
                tracing::error!(error, "nothing is exported by OTLP; mend [telemetry] and restart");
                return None;
            }
        };
        let mapping = Mapping {
            profile: settings.semconv,
            content: settings.content,
            content_bytes_max: settings.limits.content_bytes_max,
            https,
        };
        let counters = Arc::clone(otlp.counters());
        let meters = otlp.meter_provider();
        let instruments = meters.map(|meters| Instruments::new(meters, settings.semconv));
        Some((Self { otlp: Some(otlp), mapping, origins, instruments }, counters))
    }
}

impl Sink for SpanSink {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        let origins = self.origins.0.load();
        if let Some(instruments) = &self.instruments {
            for exchange in batch {
                instruments.record(exchange, |provider| origins.get(provider));
            }
        }
        let Some(emitter) = self.otlp.as_ref().and_then(Otlp::emitter) else { return };
        let sampled = batch.iter().filter(|exchange| exchange.trace.sampled);
        emitter.emit(sampled.flat_map(|exchange| {
            spans::spans(exchange, &self.mapping, |provider| origins.get(provider))
        }));
    }

    fn flush(&mut self) {
        if let Some(otlp) = self.otlp.take() {
            otlp.stop();
        }
    }
}
