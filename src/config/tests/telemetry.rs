//! `[telemetry]` and the standard `OTEL_*` variables: which wins, what is warned about, and where each signal goes.

use std::time::Duration;

use super::{assert_says, lines, load};
use crate::base::trace::Sampler;
use crate::config::diagnostic::Severity;
use crate::config::settings::Settings;
use crate::exchange::trace::Incoming;
use crate::telemetry::semconv::Profile;
use crate::telemetry::settings::{Content, Export, Protocol, Telemetry, Temporality};
use crate::telemetry::variables::REFUSED;

const PROVIDER: &str = "[providers.p]\nbaseurl = \"https://p.example\"\nauthorization = \"none\"\n";

/// Settings of `lines` of `[telemetry]` and below, with these variables.
fn with(content: &str, variables: &[(&str, &str)]) -> Settings {
    let content = format!("{PROVIDER}{content}");
    load("pinhole.toml", &content, variables).unwrap_or_else(|findings| panic!("{findings}"))
}

/// The same, free of warnings.
#[track_caller]
fn clean(content: &str, variables: &[(&str, &str)]) -> Settings {
    let settings = with(content, variables);
    assert!(settings.warnings.is_empty(), "{}", settings.warnings);
    settings
}

fn telemetry(variables: &[(&str, &str)]) -> Telemetry {
    clean("", variables).telemetry
}

fn traces(variables: &[(&str, &str)]) -> Export {
    telemetry(variables).traces.expect("traces are exported")
}

fn headers(export: &Export) -> Vec<(&str, &str)> {
    export.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect()
}

/// The one warning of these variables.
#[track_caller]
fn warning(variables: &[(&str, &str)]) -> String {
    let settings = with("", variables);
    let all = lines(&settings.warnings, Severity::Warning);
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

const FILE: &str = r#"
[telemetry]
service_name = "of the file"
resource = { "deployment.environment.name" = "file", "team" = "search" }
semconv = "newest"
content = "span"
[telemetry.otlp]
endpoint = "http://file:4317"
headers = { "X-Team" = "file", "x-kept" = "yes" }
timeout = "3s"
compression = "gzip"
[telemetry.traces]
sampler = "traceidratio"
ratio = 0.25
incoming = "restart"
propagate = false
[telemetry.metrics]
otlp = true
every = "7s"
temporality = "delta"
"#;

#[test]
fn nothing_is_exported_unless_there_is_where_to() {
    let settings = clean("", &[]);
    assert_eq!(settings.telemetry, Telemetry::default());
    assert!(!settings.traces.recording && settings.traces.propagate);
    assert_eq!(settings.traces.sampler, Sampler::OFF);
    assert_eq!(settings.traces.incoming, Incoming::Continue);
}

#[test]
fn the_file_alone_says_all() {
    let settings = clean(FILE, &[]);
    let told = &settings.telemetry;
    let export = told.traces.as_ref().expect("traces");
    assert_eq!((export.protocol, &*export.endpoint), (Protocol::Grpc, "http://file:4317"));
    assert_eq!(headers(export), [("x-team", "file"), ("x-kept", "yes")]);
    assert_eq!((export.timeout, export.gzip), (Duration::from_secs(3), true));
    assert_eq!(told.metrics.as_ref().map(|metrics| &*metrics.endpoint), Some("http://file:4317"));
    assert_eq!(told.service_name, "of the file");
    assert_eq!(told.resource.len(), 2);
    assert_eq!(told.metrics_every, Duration::from_secs(7));
    assert_eq!(told.temporality, Temporality::Delta);
    assert_eq!((told.content, told.semconv), (Content::Span, Profile::Newest));
    // With words on spans an export holds fewer of them.
    assert_eq!(told.batch.export_max, 64);
    assert_eq!(settings.traces.sampler, Sampler { parent: false, ratio: 0.25 });
    assert_eq!(settings.traces.incoming, Incoming::Restart);
    assert!(settings.traces.recording && !settings.traces.propagate);
}

#[test]
fn a_variable_wins_over_the_file() {
    let settings = clean(
        FILE,
        &[
            ("OTEL_SERVICE_NAME", "of the variable"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=variable,service.name=neither"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://variable:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "X-Team=variable"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_PROPAGATORS", "tracecontext,baggage"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "900"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
        ],
    );
    let told = &settings.telemetry;
    let export = told.traces.as_ref().expect("traces");
    assert_eq!(export.endpoint, "http://variable:4318/v1/traces");
    assert_eq!(export.protocol, Protocol::HttpProtobuf);
    assert_eq!(headers(export), [("x-kept", "yes"), ("x-team", "variable")]);
    assert_eq!((export.timeout, export.gzip), (Duration::from_millis(250), false));
    assert_eq!(told.service_name, "of the variable");
    let team = told.resource.iter().find(|(name, _)| name == "team").map(|(_, value)| &**value);
    assert_eq!(team, Some("variable"));
    assert!(told.resource.iter().all(|(name, _)| name != "service.name"));
    assert_eq!(told.metrics_every, Duration::from_millis(900));
    assert_eq!(told.temporality, Temporality::LowMemory);
    assert_eq!(told.content, Content::Off);
    assert_eq!(told.batch.export_max, 100);
    assert_eq!(settings.traces.sampler, Sampler { parent: false, ratio: 0.5 });
    assert!(settings.traces.propagate);
}

#[test]
fn each_signal_has_its_own_variables_before_those_of_all() {
    let told = telemetry(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/own/path"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=all"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=metrics"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
    ]);
    let (traces, metrics) = (told.traces.expect("traces"), told.metrics.expect("metrics"));
    // A signal's own endpoint is the whole URL.
    assert_eq!(traces.endpoint, "http://traces:4318/own/path");
    assert_eq!((traces.protocol, metrics.protocol), (Protocol::HttpJson, Protocol::Grpc));
    assert_eq!(metrics.endpoint, "http://metrics:4317");
    assert_eq!((headers(&traces), headers(&metrics)), (vec![("a", "all")], vec![("a", "metrics")]));
    assert_eq!(traces.timeout, Duration::from_secs(2));
    assert_eq!(metrics.timeout, Duration::from_secs(1));
    assert_eq!((traces.gzip, metrics.gzip), (false, true));
}

#[test]
fn which_signals_are_exported() {
    let own = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    for (variables, traces, metrics) in [
        (&[ENDPOINT][..], true, false),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/")], true, false),
        (&[(own, "http://m:1/")], false, true),
        (&[("OTEL_TRACES_EXPORTER", "otlp")], true, false),
        (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], false, false),
        (&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "otlp")], true, true),
        (&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus, otlp")], true, true),
        (&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus")], true, false),
        (
            &[ENDPOINT, ("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "TRUE")],
            false,
            false,
        ),
        // Nothing but `true` is true.
        (&[ENDPOINT, ("OTEL_SDK_DISABLED", "1")], true, false),
        // An empty variable counts as absent.
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "  ")], false, false),
    ] {
        let settings = clean("", variables);
        let told = &settings.telemetry;
        assert_eq!(
            (told.traces.is_some(), told.metrics.is_some()),
            (traces, metrics),
            "{variables:?}"
        );
        assert_eq!(settings.traces.recording, traces, "{variables:?}");
        assert_eq!(settings.traces.sampler.ratio > 0.0, traces, "{variables:?}");
    }
}

#[test]
fn the_protocol_is_guessed_of_the_port_and_the_endpoint_of_the_protocol() {
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    let on = ("OTEL_TRACES_EXPORTER", "otlp");
    let protocol = |word| ("OTEL_EXPORTER_OTLP_PROTOCOL", word);
    let at = |url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    for (variables, expected, endpoint) in [
        (&[on][..], Protocol::HttpProtobuf, "http://localhost:4318/v1/traces"),
        (&[on, protocol("grpc")], Protocol::Grpc, "http://localhost:4317"),
        (&[on, protocol("HTTP/JSON")], Protocol::HttpJson, "http://localhost:4318/v1/traces"),
        (&[at("http://c:4317")], Protocol::Grpc, "http://c:4317"),
        (
            &[at("http://c:4317"), protocol("http/protobuf")],
            Protocol::HttpProtobuf,
            "http://c:4317/v1/traces",
        ),
        (&[at("https://c/otlp/")], Protocol::HttpProtobuf, "https://c/otlp/v1/traces"),
        (&[at("c:4317")], Protocol::Grpc, "https://c:4317"),
        (&[at("c:4317"), insecure], Protocol::Grpc, "http://c:4317"),
    ] {
        let export = traces(variables);
        assert_eq!((export.protocol, &*export.endpoint), (expected, endpoint), "{variables:?}");
    }
}

#[test]
fn the_samplers_words_and_shares() {
    let half = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
    for (word, parent, ratio) in [
        ("always_on", false, 1.0),
        ("always_off", false, 0.0),
        ("traceidratio", false, 0.5),
        ("parentbased_always_on", true, 1.0),
        ("parentbased_always_off", true, 0.0),
        ("parentbased_traceidratio", true, 0.5),
    ] {
        let settings = clean("", &[ENDPOINT, half, ("OTEL_TRACES_SAMPLER", word)]);
        assert_eq!(settings.traces.sampler, Sampler { parent, ratio }, "{word}");
        let content = format!(
            "[telemetry.otlp]\nendpoint = \"http://c:4318\"\n[telemetry.traces]\nsampler = \"{word}\"\nratio = 0.5\n"
        );
        assert_eq!(clean(&content, &[]).traces.sampler, Sampler { parent, ratio }, "{word}");
    }
    // The share of a variable goes with the sampler of the file.
    assert_eq!(clean("", &[ENDPOINT, half]).traces.sampler, Sampler { parent: true, ratio: 0.5 });
}

#[test]
fn headers_are_decoded_and_the_last_of_a_name_holds() {
    let list = "Authorization=Bearer%20x%3Dy , x-one=1,x-one=2,,nonsense,=empty";
    let export = traces(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", list)]);
    assert_eq!(headers(&export), [("authorization", "Bearer x=y"), ("x-one", "2")]);
}

#[test]
fn propagators() {
    for (list, propagate) in [
        ("tracecontext", true),
        ("baggage", false),
        ("none", false),
        ("baggage,tracecontext", true),
    ] {
        let settings = clean("", &[("OTEL_PROPAGATORS", list)]);
        assert_eq!(settings.traces.propagate, propagate, "{list}");
    }
}

#[test]
fn limits_and_the_batch() {
    let told = telemetry(&[
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "8"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "70"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "0"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ]);
    let limits = told.limits;
    assert_eq!((limits.attributes_max, limits.value_chars_max), (8, Some(70)));
    assert_eq!((limits.events_max, limits.links_max), (0, 1));
    // An export is never larger than the queue.
    assert_eq!((told.batch.queue_max, told.batch.export_max), (100, 100));
    assert_eq!(told.batch.delay, Duration::ZERO);
}

#[test]
fn each_variable_that_does_nothing_is_warned_about_by_name() {
    for (pattern, remedy) in REFUSED {
        let name =
            if pattern.ends_with('_') { format!("{pattern}ANY") } else { (*pattern).to_owned() };
        let told = warning(&[(&name, "1")]);
        assert_eq!(told, format!("warning: {name}: does nothing here; {remedy}"));
    }
}

#[test]
fn a_value_that_cannot_be_used_is_warned_about_and_counts_as_absent() {
    for (name, value, remedy) in [
        ("OTEL_TRACES_EXPORTER", "zipkin", "write otlp or none"),
        ("OTEL_METRICS_EXPORTER", "statsd", "write otlp or none"),
        ("OTEL_LOGS_EXPORTER", "otlp", "write none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c", "write a URL such as http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "no url", "write a URL such as"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift", "write one of grpc, http/protobuf, http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "spaced name=x", "write name=value,name=value"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "write a whole number from 1 on"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "write a whole number from 1 on"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "write one of gzip, none"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem", "name a PEM file"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "write one of always_on, always_off"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "write a number from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "write a number from 0 to 1"),
        ("OTEL_PROPAGATORS", "b3,tracecontext", "write tracecontext, baggage or none"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "write a whole number from 1 on"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "write a whole number from 1 on"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "write a whole number from 1 on"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both", "write one of cumulative"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "some",
            "write NO_CONTENT or SPAN_ONLY",
        ),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY", "write SPAN_ONLY"),
    ] {
        let told = warning(&[(name, value)]);
        assert!(told.starts_with(&format!("warning: {name}: ")), "{told}");
        assert!(told.contains(remedy), "{remedy:?} in {told}");
        assert!(!told.contains(value) || name.ends_with("CERTIFICATE"), "the value in {told}");
    }
}

#[test]
fn what_a_faulty_variable_leaves_is_the_file_or_the_default() {
    let faulty = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "7"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "x"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "x"),
    ];
    let (told, plain) = (with(FILE, &faulty), clean(FILE, &[]));
    assert_eq!(told.telemetry, plain.telemetry);
    assert_eq!(told.traces.sampler, plain.traces.sampler);
    assert_eq!(lines(&told.warnings, Severity::Warning).len(), faulty.len());
}

#[test]
fn a_client_certificate_needs_its_key() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let settings = with("", &[ENDPOINT, ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file)]);
    assert_says(&settings.warnings, &["telemetry.otlp", "give both, or neither"]);
    assert_eq!(settings.telemetry.traces.expect("traces").client, None);
    let both = [
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", file),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file),
    ];
    let export = traces(&both);
    assert_eq!(export.client, Some((file.into(), file.into())));
    assert_eq!(export.ca_file, Some(file.into()));
}

#[test]
fn faults_of_the_file_are_errors_with_their_place() {
    for (content, parts) in [
        (
            "[telemetry.otlp]\nendpoint = \"nowhere\"\n",
            &["telemetry.otlp.endpoint", "not a URL"][..],
        ),
        (
            "[telemetry.otlp]\nendpoint = \"http://c:4318\"\nheaders = { \"a b\" = \"x\" }\n",
            &["telemetry.otlp.headers", "not fit"],
        ),
        (
            "[telemetry.otlp]\nendpoint = \"http://c:4318\"\ntimeout = \"0s\"\n",
            &["telemetry.otlp.timeout"],
        ),
        (
            "[telemetry.otlp]\nendpoint = \"http://c:4318\"\ncertificate = \"no.pem\"\n",
            &["telemetry.otlp.certificate", "no.pem"],
        ),
        ("[telemetry]\nseries_max = 10\n", &["telemetry.series_max", "too few"]),
        ("[telemetry.traces]\nratio = 2.0\n", &["telemetry.traces.ratio"]),
        ("[telemetry.traces]\nsampler = \"often\"\n", &["telemetry.traces.sampler"]),
    ] {
        let content = format!("{PROVIDER}{content}");
        let findings = load("pinhole.toml", &content, &[]).err();
        let findings = findings.unwrap_or_else(|| panic!("no error in:\n{content}"));
        assert_says(&findings, parts);
        assert_says(&findings, &["pinhole.toml:", "error: "]);
    }
}
