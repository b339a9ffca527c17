//! From span models to the SDK, through `tracing-opentelemetry`: each model becomes a span of `tracing` under a dispatcher
//! of its own, so that no span of another library gets in, and a processor puts its true ids and times in place.
//!
//! ```text
//!  SpanModel ─► tracing span ─► OpenTelemetryLayer ─► SDK span ─► Placer (ids, times, links) ─► batch ─► exporter
//!                                                                   └ over the bounds: dropped and counted
//! ```
//!
//! Spans are made after the fact: their ids were chosen when the exchange began, because the provider was told them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, StringValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use tracing::Dispatch;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::base::trace;
use crate::telemetry::counters::Counters;
use crate::telemetry::model::{SpanKind, SpanModel, Value};
use crate::telemetry::settings::Limits;

/// The target of our spans under `tracing`; nothing else passes the private dispatcher.
const TARGET: &str = "pinhole::otel";
const SCOPE: &str = "pinhole";

/// Makes spans of models. Used by one thread at a time.
pub struct Emitter {
    dispatch: Dispatch,
    place: Arc<Mutex<Option<SpanModel>>>,
    limits: Limits,
}

impl Emitter {
    /// `provider` must have the [`Placer`] that shares `place`.
    pub(crate) fn new(provider: &SdkTracerProvider, place: &Place, limits: Limits) -> Self {
        let scope =
            InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer_with_scope(scope))
            .with_tracked_inactivity(false)
            .with_threads(false)
            .with_location(false)
            .with_level(false)
            .with_target(false);
        // A filter by target answers when a callsite is registered, so that other libraries' callsites stay as cheap as
        // they are without this dispatcher.
        let ours = tracing_subscriber::filter::Targets::new()
            .with_target(TARGET, tracing_subscriber::filter::LevelFilter::INFO);
        let registry = tracing_subscriber::registry().with(layer).with(ours);
        Self { dispatch: Dispatch::new(registry), place: Arc::clone(&place.0), limits }
    }

    /// Hands spans on to the batch.
    pub fn emit(&self, spans: impl IntoIterator<Item = SpanModel>) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            for span in spans {
                self.one(span);
            }
        });
    }

    fn one(&self, mut model: SpanModel) {
        let kind = match model.kind {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
        };
        let attributes = std::mem::take(&mut model.attributes);
        let error = model.error;
        let span = tracing::info_span!(
            target: TARGET,
            parent: None,
            "exchange",
            otel.name = &*model.name,
            otel.kind = kind,
        );
        for (name, value) in attributes {
            span.set_attribute(name, self.value(value));
        }
        if error {
            span.set_status(Status::error(""));
        }
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
        // The span ends here; the processor below takes the model on this very thread.
        drop(span);
    }

    fn value(&self, value: Value) -> opentelemetry::Value {
        let cut = |text: String| match self.limits.value_chars_max {
            Some(max) if text.len() > max => text.chars().take(max).collect(),
            _ => text,
        };
        match value {
            Value::Text(text) => match self.limits.value_chars_max {
                Some(_) => cut(text.into_owned()).into(),
                None => StringValue::from(text).into(),
            },
            Value::Shared(text) => StringValue::from(text).into(),
            Value::Int(number) => number.into(),
            Value::Float(number) => number.into(),
            Value::Bool(flag) => flag.into(),
            Value::Texts(texts) => opentelemetry::Value::Array(Array::String(
                texts.into_iter().map(|text| StringValue::from(cut(text))).collect(),
            )),
        }
    }
}

/// Where the emitter leaves the model of the span that is about to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(Arc<Mutex<Option<SpanModel>>>);

/// Gives ended spans their true ids and times, and keeps the batch within its bounds.
#[derive(Debug)]
pub(crate) struct Placer {
    pub(crate) place: Place,
    pub(crate) next: BatchSpanProcessor,
    pub(crate) counters: Arc<Counters>,
}

impl SpanProcessor for Placer {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        let model = self.place.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(model) = model else {
            debug_assert!(false, "a span that is not ours");
            return;
        };
        put_in_place(&mut span, &model);
        if self.counters.admit(size_of(&span)) {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.next.set_resource(resource);
    }
}

fn put_in_place(span: &mut SpanData, model: &SpanModel) {
    span.span_context = context(model.trace, model.id, true, false);
    span.parent_span_id =
        model.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.0));
    span.parent_span_is_remote = model.remote_parent;
    span.start_time = at(model.start_us);
    span.end_time = at(model.end_us.max(model.start_us));
    if let Some(parent) = model.link {
        let mut links = SpanLinks::default();
        let context = context(parent.trace, parent.span, parent.sampled, true);
        links.links.push(Link::new(context, Vec::new(), 0));
        span.links = links;
    }
    let mut events = SpanEvents::default();
    events
        .events
        .extend(model.events.iter().map(|(name, us)| Event::new(*name, at(*us), Vec::new(), 0)));
    span.events = events;
}

fn context(trace: trace::TraceId, span: trace::SpanId, sampled: bool, remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.0),
        SpanId::from_bytes(span.0),
        if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
        remote,
        TraceState::NONE,
    )
}

fn at(us: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(us)
}

/// About how many bytes of memory a span takes while it waits.
pub(crate) fn size_of(span: &SpanData) -> usize {
    const BASE: usize = 512;
    let texts = |attribute: &KeyValue| match &attribute.value {
        opentelemetry::Value::String(text) => text.as_str().len(),
        _ => 0,
    };
    BASE + span.attributes.iter().map(|attribute| 64 + texts(attribute)).sum::<usize>()
}
