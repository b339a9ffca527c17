//! From span models to the SDK, through `tracing-opentelemetry`: each model becomes a span of `tracing` under a dispatcher
//! of its own, so that no span of another library gets in, and a processor puts all that the model says in place.
//!
//! ```text
//!  SpanModel ─► tracing span ─► OpenTelemetryLayer ─► SDK span ─► Placer (the whole model) ─► batch ─► exporter
//!      └──────────── left in the Place ───────────────────────────┘  └ over the bounds: dropped and counted
//! ```
//!
//! Spans are made after the fact: their ids were chosen when the exchange began, because the provider was told them. So the
//! span of `tracing` is an empty one that begins and ends at once; sending each attribute through it by itself costs more
//! than all the rest (docs/performance.md, "Traces").

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind as SdkKind, Status, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, Key, KeyValue, StringValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use tracing::Dispatch;
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
    place: Place,
}

impl Emitter {
    /// `provider` must have the [`Placer`] that shares `place`.
    pub(crate) fn new(provider: &SdkTracerProvider, place: Place) -> Self {
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
        Self { dispatch: Dispatch::new(registry), place }
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
        model.clean();
        self.place.leave(model);
        // Begins and ends here; the processor below takes the model on this very thread.
        drop(tracing::info_span!(target: TARGET, parent: None, "exchange"));
    }
}

/// Where the emitter leaves the model of the span that is about to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(Arc<Mutex<Option<SpanModel>>>);

impl Place {
    fn leave(&self, model: SpanModel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
    }

    fn take(&self) -> Option<SpanModel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Gives ended spans what their models say, within the limits, and keeps the batch within its bounds.
#[derive(Debug)]
pub(crate) struct Placer {
    pub(crate) place: Place,
    pub(crate) next: BatchSpanProcessor,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
}

impl SpanProcessor for Placer {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        let Some(model) = self.place.take() else {
            debug_assert!(false, "a span that is not ours");
            return;
        };
        put_in_place(&mut span, model, &self.limits);
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

fn put_in_place(span: &mut SpanData, model: SpanModel, limits: &Limits) {
    span.name = model.name;
    span.span_kind = match model.kind {
        SpanKind::Server => SdkKind::Server,
        SpanKind::Client => SdkKind::Client,
    };
    if model.error {
        span.status = Status::error("");
    }
    span.span_context = context(model.trace, model.id, true, false);
    span.parent_span_id =
        model.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.0));
    span.parent_span_is_remote = model.remote_parent;
    span.start_time = at(model.start_us);
    span.end_time = at(model.end_us.max(model.start_us));
    let over = |len: usize, max: usize| u32::try_from(len.saturating_sub(max)).unwrap_or(u32::MAX);
    span.dropped_attributes_count = over(model.attributes.len(), limits.attributes_max);
    let kept = model.attributes.into_iter().take(limits.attributes_max);
    span.attributes = kept
        .map(|(name, own)| KeyValue::new(Key::from_static_str(name), value(own, limits)))
        .collect();
    let linked = model.link.map(|parent| {
        let context = context(parent.trace, parent.span, parent.sampled, true);
        Link::new(context, Vec::new(), 0)
    });
    let mut links = SpanLinks::default();
    links.dropped_count = over(usize::from(linked.is_some()), limits.links_max);
    links.links.extend(linked.into_iter().take(limits.links_max));
    span.links = links;
    let mut events = SpanEvents::default();
    events.dropped_count = over(model.events.len(), limits.events_max);
    let kept = model.events.into_iter().take(limits.events_max);
    events.events.extend(kept.map(|(name, us)| Event::new(name, at(us), Vec::new(), 0)));
    span.events = events;
}

/// Texts no longer than the limit, if one is set.
fn value(value: Value, limits: &Limits) -> opentelemetry::Value {
    let max = limits.value_chars_max;
    match value {
        Value::Text(text) => fitting(text, max).into(),
        Value::Shared(text) if max.is_none_or(|max| text.len() <= max) => text.into(),
        Value::Shared(text) => fitting(text.to_string(), max).into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Bool(flag) => flag.into(),
        Value::Texts(texts) => opentelemetry::Value::Array(Array::String(
            texts.into_iter().map(|text| fitting(text, max)).collect(),
        )),
    }
}

fn fitting(text: impl Into<Cow<'static, str>>, chars_max: Option<usize>) -> StringValue {
    let text = text.into();
    match chars_max {
        Some(max) if text.len() > max => text.chars().take(max).collect::<String>().into(),
        _ => text.into(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::trace::Parent;

    const LIMITS: Limits = Limits {
        attributes_max: 128,
        events_max: 128,
        links_max: 128,
        value_chars_max: None,
        content_bytes_max: 1_000,
    };

    fn model() -> SpanModel {
        let (trace, span) = (trace::TraceId([9; 16]), trace::SpanId([7; 8]));
        SpanModel {
            name: "POST /v1/x".into(),
            kind: SpanKind::Server,
            trace: trace::TraceId([1; 16]),
            id: trace::SpanId([2; 8]),
            parent: Some(trace::SpanId([3; 8])),
            remote_parent: true,
            link: Some(Parent { trace, span, sampled: true }),
            start_us: 2_000,
            end_us: 1_000,
            attributes: vec![
                ("static", "ééé".into()),
                ("shared", (&Arc::<str>::from("ééé")).into()),
                ("texts", Value::Texts(vec!["ééé".to_owned(), "a".to_owned()])),
                ("int", Value::Int(1)),
            ],
            events: vec![("one", 1_100), ("two", 1_200)],
            error: true,
        }
    }

    /// A span as the SDK ends it, with nothing of its own.
    fn placed(limits: &Limits) -> SpanData {
        let mut span = SpanData {
            span_context: SpanContext::NONE,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SdkKind::Internal,
            name: "exchange".into(),
            start_time: UNIX_EPOCH,
            end_time: UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        };
        put_in_place(&mut span, model(), limits);
        span
    }

    #[test]
    fn a_span_is_what_its_model_says() {
        let span = placed(&LIMITS);
        assert_eq!((&*span.name, &span.span_kind), ("POST /v1/x", &SdkKind::Server));
        assert_eq!(span.status, Status::error(""));
        assert_eq!(span.span_context.trace_id(), TraceId::from_bytes([1; 16]));
        assert_eq!(span.span_context.span_id(), SpanId::from_bytes([2; 8]));
        assert!(span.span_context.is_sampled(), "else the batch would leave it out");
        assert_eq!(span.parent_span_id, SpanId::from_bytes([3; 8]));
        assert!(span.parent_span_is_remote);
        // A clock that was set back makes no negative duration.
        assert_eq!((span.start_time, span.end_time), (at(2_000), at(2_000)));
        assert_eq!(span.links.links[0].span_context.trace_id(), TraceId::from_bytes([9; 16]));
        let events: Vec<_> = span.events.iter().map(|one| (&*one.name, one.timestamp)).collect();
        assert_eq!(events, [("one", at(1_100)), ("two", at(1_200))]);
        assert_eq!(span.attributes.len(), 4);
        assert_eq!(span.dropped_attributes_count, 0);
    }

    #[test]
    fn what_is_over_a_limit_is_left_out_and_counted() {
        let span = placed(&Limits { attributes_max: 1, events_max: 1, links_max: 0, ..LIMITS });
        assert_eq!((span.attributes.len(), span.dropped_attributes_count), (1, 3));
        assert_eq!(span.attributes[0].key.as_str(), "static", "the first are the most wanted");
        assert_eq!((span.events.len(), span.events.dropped_count), (1, 1));
        assert_eq!((span.links.len(), span.links.dropped_count), (0, 1));
    }

    #[test]
    fn texts_are_cut_by_characters_whatever_holds_them() {
        let span = placed(&Limits { value_chars_max: Some(2), ..LIMITS });
        let values: Vec<String> = span.attributes.iter().map(|one| one.value.to_string()).collect();
        assert_eq!(values, ["éé", "éé", "[\"éé\",\"a\"]", "1"]);
    }
}
