//! `[telemetry]` and the standard `OTEL_*` variables become [`Telemetry`] and [`Traces`]. A variable wins over the file.
//! As the standard asks, a variable whose value cannot be used is warned about and counts as absent.

mod export;
mod variables;

use std::time::Duration;

use super::Context;
use crate::base::trace::Sampler;
use crate::config::file_telemetry as file;
use crate::config::settings::Traces;
use crate::exchange::trace::Incoming;
use crate::telemetry::semconv::Profile;
use crate::telemetry::settings::{Batch, Content, Limits, Telemetry, Temporality};
use export::Signal;
use variables::{flag, items, number, text, word};

/// Fewer would collapse the first labels.
const SERIES_LEAST: usize = 1_000;

/// What is exported, and what the hot path needs to know of it.
pub(super) fn telemetry(
    written: file::Telemetry,
    context: &mut Context<'_, '_>,
) -> (Telemetry, Traces) {
    variables::refuse(context);
    let disabled = flag("OTEL_SDK_DISABLED", context).unwrap_or(false);
    let otlp = written.otlp.unwrap_or_default();
    let metrics_file = written.metrics.unwrap_or_default();
    let traces_on = wants(Signal::Traces, None, otlp.endpoint.is_some(), context);
    let metrics_on = wants(Signal::Metrics, metrics_file.otlp, false, context);
    let chosen_content = content(written.content, context);
    let telemetry = Telemetry {
        series_max: series_max(written.series_max, context),
        metering: written.metering.unwrap_or(true),
        service_name: service_name(written.service_name, context),
        resource: resource(written.resource.unwrap_or_default(), context),
        traces: export::export(Signal::Traces, &otlp, context).filter(|_| traces_on && !disabled),
        metrics: export::export(Signal::Metrics, &otlp, context)
            .filter(|_| metrics_on && !disabled),
        batch: batch(chosen_content, context),
        metrics_every: interval(metrics_file.every.map(|every| every.0), context),
        temporality: temporality(metrics_file.temporality, context),
        limits: limits(written.content_max.map(|size| size.0), context),
        content: chosen_content,
        semconv: semconv(written.semconv, context),
    };
    let traces_file = written.traces.unwrap_or_default();
    let recording = telemetry.traces.is_some();
    let traces = Traces {
        propagate: propagate(traces_file.propagate, context),
        recording,
        incoming: match traces_file.incoming {
            Some(file::Incoming::Restart) => Incoming::Restart,
            Some(file::Incoming::Continue) | None => Incoming::Continue,
        },
        sampler: match sampler(&traces_file, context) {
            sampler if recording => sampler,
            _ => Sampler::OFF,
        },
    };
    (telemetry, traces)
}

fn series_max(written: Option<usize>, context: &mut Context<'_, '_>) -> usize {
    let series_max = written.unwrap_or(Telemetry::SERIES_MAX);
    if series_max < SERIES_LEAST {
        let message = "too few for any provider to be told apart";
        let remedy = "write 1000 or more, or leave the key out for 10000";
        context.error(&["telemetry", "series_max"], message, remedy);
    }
    series_max
}

/// Whether a signal is exported: what `OTEL_*_EXPORTER` says, else the file, else whether there is where to send it.
fn wants(
    signal: Signal,
    written: Option<bool>,
    endpoint_in_file: bool,
    context: &mut Context<'_, '_>,
) -> bool {
    let name = signal.exporter_variable();
    let environment = context.environment();
    let endpoint = match signal {
        Signal::Traces => {
            endpoint_in_file
                || environment.get("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
                || environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some()
        }
        Signal::Metrics => environment.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").is_some(),
    };
    let Some(chosen) = text(name, context) else { return written.unwrap_or(endpoint) };
    let mut otlp = false;
    for item in items(&chosen) {
        match item {
            "otlp" => otlp = true,
            "none" => {}
            "prometheus" if signal == Signal::Metrics => {}
            _ => {
                let message = "names an exporter that Pinhole does not have";
                context.variable_warning(name, message, "write otlp or none");
            }
        }
    }
    otlp
}

fn service_name(written: Option<String>, context: &Context<'_, '_>) -> String {
    let variable = text("OTEL_SERVICE_NAME", context).or_else(|| {
        let attributes = text("OTEL_RESOURCE_ATTRIBUTES", context)?;
        variables::pairs(&attributes)
            .find(|(name, _)| name == "service.name")
            .map(|(_, value)| value)
    });
    variable.or(written).unwrap_or_else(|| Telemetry::SERVICE_NAME.to_owned())
}

fn resource(
    written: indexmap::IndexMap<String, String>,
    context: &Context<'_, '_>,
) -> Vec<(String, String)> {
    let mut all = written;
    let attributes = text("OTEL_RESOURCE_ATTRIBUTES", context).unwrap_or_default();
    all.extend(variables::pairs(&attributes));
    all.shift_remove("service.name");
    all.into_iter().collect()
}

fn batch(content: Content, context: &mut Context<'_, '_>) -> Batch {
    let queue_max = number("OTEL_BSP_MAX_QUEUE_SIZE", 1, context).unwrap_or(Batch::QUEUE_MAX);
    let usual = match content {
        Content::Off => Batch::EXPORT_MAX,
        Content::Span => Batch::EXPORT_WITH_CONTENT_MAX,
    };
    let export_max = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, context).unwrap_or(usual);
    let delay = number("OTEL_BSP_SCHEDULE_DELAY", 0, context).map(millis);
    Batch { queue_max, export_max: export_max.min(queue_max), delay: delay.unwrap_or(Batch::DELAY) }
}

fn millis(count: usize) -> Duration {
    Duration::from_millis(count as u64)
}

fn interval(written: Option<Duration>, context: &mut Context<'_, '_>) -> Duration {
    if let Some(every) = number("OTEL_METRIC_EXPORT_INTERVAL", 1, context) {
        return millis(every);
    }
    match written {
        Some(every) => super::server::positive(every, &["telemetry", "metrics", "every"], context),
        None => Telemetry::METRICS_EVERY,
    }
}

fn temporality(written: Option<file::Temporality>, context: &mut Context<'_, '_>) -> Temporality {
    let choices = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("lowmemory", Temporality::LowMemory),
    ];
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    word(name, &choices, context).unwrap_or(match written {
        Some(file::Temporality::Delta) => Temporality::Delta,
        Some(file::Temporality::LowMemory) => Temporality::LowMemory,
        Some(file::Temporality::Cumulative) | None => Temporality::Cumulative,
    })
}

fn limits(content_bytes_max: Option<u64>, context: &mut Context<'_, '_>) -> Limits {
    let mut first = |names: [&str; 2], least| {
        let found: Vec<_> = names.iter().map(|name| number(name, least, context)).collect();
        found.into_iter().flatten().next()
    };
    let attributes = first(["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], 1);
    let value_chars_max =
        first(["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"], 0);
    let bytes = content_bytes_max.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    Limits {
        attributes_max: attributes.unwrap_or(Limits::COUNT_MAX),
        events_max: number("OTEL_SPAN_EVENT_COUNT_LIMIT", 0, context).unwrap_or(Limits::COUNT_MAX),
        links_max: number("OTEL_SPAN_LINK_COUNT_LIMIT", 0, context).unwrap_or(Limits::COUNT_MAX),
        value_chars_max,
        content_bytes_max: bytes.unwrap_or(Limits::CONTENT_BYTES_MAX),
    }
}

fn content(written: Option<file::Content>, context: &mut Context<'_, '_>) -> Content {
    let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let from_file = match written {
        Some(file::Content::Span) => Content::Span,
        Some(file::Content::Off) | None => Content::Off,
    };
    let Some(chosen) = text(name, context) else { return from_file };
    match chosen.to_ascii_lowercase().as_str() {
        "no_content" | "false" => Content::Off,
        "span_only" | "true" => Content::Span,
        "event_only" | "span_and_event" => {
            let message = "asks for events, which are not sent";
            context.variable_warning(name, message, "write SPAN_ONLY; content is put on spans");
            Content::Span
        }
        _ => {
            let message = "not a word that is known here";
            context.variable_warning(name, message, "write NO_CONTENT or SPAN_ONLY");
            from_file
        }
    }
}

fn semconv(written: Option<file::Semconv>, context: &Context<'_, '_>) -> Profile {
    let opted = text("OTEL_SEMCONV_STABILITY_OPT_IN", context).unwrap_or_default();
    if items(&opted).any(|item| item == "gen_ai_latest_experimental") {
        return Profile::Newest;
    }
    match written {
        Some(file::Semconv::Newest) => Profile::Newest,
        Some(file::Semconv::V141) | None => Profile::V1_41,
    }
}

fn propagate(written: Option<bool>, context: &mut Context<'_, '_>) -> bool {
    let name = "OTEL_PROPAGATORS";
    let Some(chosen) = text(name, context) else { return written.unwrap_or(true) };
    let mut propagate = false;
    for item in items(&chosen) {
        match item {
            "tracecontext" => propagate = true,
            // Baggage is read by nobody here, and never goes to a provider.
            "baggage" | "none" => {}
            _ => {
                let message = "names a propagator that Pinhole does not have";
                context.variable_warning(name, message, "write tracecontext, baggage or none");
            }
        }
    }
    propagate
}

fn sampler(written: &file::Traces, context: &mut Context<'_, '_>) -> Sampler {
    use file::Sampler as Word;

    let choices = [
        ("always_on", Word::AlwaysOn),
        ("always_off", Word::AlwaysOff),
        ("traceidratio", Word::TraceIdRatio),
        ("parentbased_always_on", Word::ParentBasedAlwaysOn),
        ("parentbased_always_off", Word::ParentBasedAlwaysOff),
        ("parentbased_traceidratio", Word::ParentBasedTraceIdRatio),
    ];
    let variable = word("OTEL_TRACES_SAMPLER", &choices, context);
    let argument = ratio(context);
    let chosen = variable.or(written.sampler).unwrap_or(Word::ParentBasedTraceIdRatio);
    if written.ratio.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        context.error(
            &["telemetry", "traces", "ratio"],
            "not a share",
            "write a number from 0 to 1",
        );
    }
    let share = argument.or(written.ratio).unwrap_or(1.0);
    let (parent, ratio) = match chosen {
        Word::AlwaysOn => (false, 1.0),
        Word::AlwaysOff => (false, 0.0),
        Word::TraceIdRatio => (false, share),
        Word::ParentBasedAlwaysOn => (true, 1.0),
        Word::ParentBasedAlwaysOff => (true, 0.0),
        Word::ParentBasedTraceIdRatio => (true, share),
    };
    Sampler { parent, ratio }
}

fn ratio(context: &mut Context<'_, '_>) -> Option<f64> {
    let name = "OTEL_TRACES_SAMPLER_ARG";
    let share = text(name, context)?.parse::<f64>().ok();
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        context.variable_warning(name, "not a share", "write a number from 0 to 1");
    }
    share
}
