//! The standard variables: which act here, and which do not and what to use instead. `config` reads them.

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
