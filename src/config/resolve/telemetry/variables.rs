//! The standard variables: which are honoured, which are not and what to use instead, and how their values are read.

use crate::config::resolve::Context;

/// Variables that act, with what they do; `docs/telemetry.md` is printed from it.
pub const HONOURED: &[(&str, &str)] = &[
    ("OTEL_SDK_DISABLED", "`true`: nothing is exported"),
    ("OTEL_SERVICE_NAME", "`service.name`"),
    ("OTEL_RESOURCE_ATTRIBUTES", "further attributes of the resource, `name=value,…`"),
    ("OTEL_TRACES_EXPORTER", "`otlp` or `none`"),
    ("OTEL_METRICS_EXPORTER", "`otlp` or `none`; `prometheus` is there anyway"),
    ("OTEL_LOGS_EXPORTER", "`none`; log lines go to standard error"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "base URL of the receiver; turns traces on"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "whole URL for traces"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "whole URL for metrics; turns them on"),
    ("OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]PROTOCOL", "`grpc`, `http/protobuf`, `http/json`"),
    ("OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]HEADERS", "`name=value,…`, percent-encoded"),
    ("OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]TIMEOUT", "milliseconds of one export"),
    ("OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]COMPRESSION", "`gzip` or `none`"),
    (
        "OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]INSECURE",
        "`true`: gRPC without TLS, for an endpoint without `http://`",
    ),
    ("OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]CERTIFICATE", "PEM file of certificate authorities"),
    (
        "OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]CLIENT_CERTIFICATE",
        "PEM file of the certificate to show",
    ),
    ("OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]CLIENT_KEY", "PEM file of its key"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "`cumulative`, `delta`, `lowmemory`"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "milliseconds between exports of metrics"),
    ("OTEL_BSP_SCHEDULE_DELAY", "milliseconds between exports of spans"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "spans waiting at most"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "spans of one export at most"),
    (
        "OTEL_TRACES_SAMPLER",
        "`always_on`, `always_off`, `traceidratio`, each also as `parentbased_…`",
    ),
    ("OTEL_TRACES_SAMPLER_ARG", "the share, 0 to 1"),
    (
        "OTEL_PROPAGATORS",
        "`tracecontext`, `baggage` (read by nobody, never sent to a provider), `none`",
    ),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "and `OTEL_ATTRIBUTE_COUNT_LIMIT`: attributes of one span"),
    (
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "and `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`: characters of one text",
    ),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "events of one span"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "links of one span"),
    ("OTEL_SEMCONV_STABILITY_OPT_IN", "with `gen_ai_latest_experimental`: the newest GenAI names"),
    (
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "`NO_CONTENT` or `SPAN_ONLY`; also `true`, `false`",
    ),
];

/// Variables that do nothing here, with what to use instead. A name that ends in `_` stands for all that begin so.
pub const REFUSED: &[(&str, &str)] = &[
    ("OTEL_BSP_EXPORT_TIMEOUT", "set OTEL_EXPORTER_OTLP_TIMEOUT, which bounds each export"),
    ("OTEL_BSP_MAX_CONCURRENT_EXPORTS", "exports go one after another"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "set OTEL_EXPORTER_OTLP_TIMEOUT, which bounds each export"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "exemplars are on /metrics, for sampled traces"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "histograms have the conventions' bounds",
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_",
        "log lines go to standard error (log.format = \"json\"); collect them there",
    ),
    ("OTEL_BLRP_", "log lines go to standard error (log.format = \"json\"); collect them there"),
    (
        "OTEL_LOGRECORD_",
        "log lines go to standard error (log.format = \"json\"); collect them there",
    ),
    ("OTEL_EXPORTER_PROMETHEUS_", "set server.ops_listen, where /metrics is served"),
    ("OTEL_EXPORTER_ZIPKIN_", "send OTLP to a collector, which can speak Zipkin"),
    ("OTEL_EXPORTER_JAEGER_", "send OTLP, which Jaeger takes"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "events of these spans have no attributes"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "links of these spans have no attributes"),
    ("OTEL_LOG_LEVEL", "set log.level in the configuration"),
    ("OTEL_CONFIG_FILE", "write [telemetry] in Pinhole's own configuration"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "write [telemetry] in Pinhole's own configuration"),
    (
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        "content is put on spans: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY",
    ),
];

/// Warns of each variable that is set and does nothing.
pub(super) fn refuse(context: &mut Context<'_, '_>) {
    let refused = |name: &str| {
        REFUSED.iter().find(|(pattern, _)| {
            if pattern.ends_with('_') { name.starts_with(pattern) } else { name == *pattern }
        })
    };
    let set: Vec<(String, &str)> = context
        .environment()
        .starting_with("OTEL_")
        .filter_map(|name| refused(name).map(|(_, remedy)| (name.to_owned(), *remedy)))
        .collect();
    for (name, remedy) in set {
        context.variable_warning(&name, "does nothing here", remedy);
    }
    if let Some(chosen) = text("OTEL_LOGS_EXPORTER", context)
        && items(&chosen).any(|item| item != "none")
    {
        let remedy = "write none; log lines go to standard error (log.format = \"json\"), collect them there";
        context.variable_warning("OTEL_LOGS_EXPORTER", "logs are not exported", remedy);
    }
}

pub(super) fn text(name: &str, context: &Context<'_, '_>) -> Option<String> {
    context.environment().get(name).map(str::to_owned)
}

/// The items of a list with commas.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// `true` in any case, and nothing else, is true: so the standard has it.
pub(super) fn flag(name: &str, context: &Context<'_, '_>) -> Option<bool> {
    text(name, context).map(|value| value.eq_ignore_ascii_case("true"))
}

/// A whole number of at least `least`.
pub(super) fn number(name: &str, least: usize, context: &mut Context<'_, '_>) -> Option<usize> {
    let parsed = text(name, context)?.parse::<usize>().ok().filter(|number| *number >= least);
    if parsed.is_none() {
        let remedy = format!("write a whole number from {least} on, or unset it");
        context.variable_warning(name, "not such a number; the default is used", &remedy);
    }
    parsed
}

/// One of a set of words.
pub(super) fn word<T: Copy>(
    name: &str,
    choices: &[(&str, T)],
    context: &mut Context<'_, '_>,
) -> Option<T> {
    let written = text(name, context)?;
    let found = choices.iter().find(|(word, _)| written.eq_ignore_ascii_case(word));
    if found.is_none() {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let remedy = format!("write one of {}", words.join(", "));
        context.variable_warning(name, "not a word that is known here", &remedy);
    }
    found.map(|(_, choice)| *choice)
}

/// `name=value,…`, percent-encoded; what is no pair is left out.
pub(super) fn pairs(list: &str) -> impl Iterator<Item = (String, String)> + '_ {
    items(list).filter_map(|item| {
        let (name, value) = item.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then(|| (decoded(name), decoded(value.trim())))
    })
}

/// Percent-decoded; what does not decode to text stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let coded = pair.filter(|_| *byte == b'%').and_then(|p| u8::from_str_radix(p, 16).ok());
        out.push(coded.unwrap_or(*byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_what_is_none_is_left_out() {
        let found: Vec<_> = pairs("a=b, authorization=Bearer%20x%3Dy ,, c, =d, e=%zz%").collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [pair("a", "b"), pair("authorization", "Bearer x=y"), pair("e", "%zz%")]);
    }
}
