//! Where one signal goes: its own variables, then those of all signals, then the file.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::variables::{flag, number, pairs, text, word};
use crate::base::secret::Secret;
use crate::config::file_telemetry as file;
use crate::config::resolve::Context;
use crate::telemetry::settings::{Export, Protocol};

const TIMEOUT: Duration = Duration::from_secs(10);
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;
const ENDPOINT_HELP: &str = "write a URL such as http://127.0.0.1:4318";

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(super) fn exporter_variable(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }

    fn own(self, what: &str) -> String {
        match self {
            Self::Traces => format!("OTEL_EXPORTER_OTLP_TRACES_{what}"),
            Self::Metrics => format!("OTEL_EXPORTER_OTLP_METRICS_{what}"),
        }
    }

    /// The variable that is set: the signal's own, else that of all signals.
    fn variable(self, what: &str, context: &Context<'_, '_>) -> Option<String> {
        let general = format!("OTEL_EXPORTER_OTLP_{what}");
        [self.own(what), general].into_iter().find(|name| context.environment().get(name).is_some())
    }

    fn text(self, what: &str, context: &Context<'_, '_>) -> Option<String> {
        text(&self.variable(what, context)?, context)
    }
}

/// The destination of a signal; `None` when it is faulty, which a finding says.
pub(super) fn export(
    signal: Signal,
    written: &file::Otlp,
    context: &mut Context<'_, '_>,
) -> Option<Export> {
    let (base, is_whole) = match text(&signal.own("ENDPOINT"), context) {
        Some(own) => (Some(own), true),
        None => (text("OTEL_EXPORTER_OTLP_ENDPOINT", context).or(written.endpoint.clone()), false),
    };
    let protocol = protocol(signal, written.protocol, base.as_deref(), context);
    let endpoint = endpoint(signal, base, is_whole, protocol, context)?;
    let timeout = signal.variable("TIMEOUT", context);
    let timeout = timeout.and_then(|name| number(&name, 1, context));
    let timeout = timeout.map(|count| Duration::from_millis(count as u64));
    Some(Export {
        protocol,
        endpoint,
        headers: headers(signal, written, context),
        timeout: match (timeout, written.timeout) {
            (Some(timeout), _) => timeout,
            (None, Some(timeout)) => {
                let path = ["telemetry", "otlp", "timeout"];
                crate::config::resolve::server::positive(timeout.0, &path, context)
            }
            (None, None) => TIMEOUT,
        },
        gzip: gzip(signal, written.compression, context),
        ca_file: pem(signal, "CERTIFICATE", "certificate", written.certificate.as_ref(), context),
        client: client(signal, written, context),
    })
}

/// What is said, else what the port suggests: 4317 is gRPC's.
fn protocol(
    signal: Signal,
    written: Option<file::Protocol>,
    endpoint: Option<&str>,
    context: &mut Context<'_, '_>,
) -> Protocol {
    let choices = Protocol::ALL.map(|protocol| (protocol.label(), protocol));
    let variable = signal.variable("PROTOCOL", context);
    if let Some(chosen) = variable.and_then(|name| word(&name, &choices, context)) {
        return chosen;
    }
    let port = endpoint.and_then(|endpoint| endpoint.parse::<Uri>().ok()?.port_u16());
    match written {
        Some(file::Protocol::Grpc) => Protocol::Grpc,
        Some(file::Protocol::HttpJson) => Protocol::HttpJson,
        None if port == Some(GRPC_PORT) => Protocol::Grpc,
        Some(file::Protocol::HttpProtobuf) | None => Protocol::HttpProtobuf,
    }
}

fn endpoint(
    signal: Signal,
    base: Option<String>,
    is_whole: bool,
    protocol: Protocol,
    context: &mut Context<'_, '_>,
) -> Option<String> {
    let grpc = protocol == Protocol::Grpc;
    let from_variable = signal.variable("ENDPOINT", context);
    let mut base = base.unwrap_or_else(|| {
        format!("http://localhost:{}", if grpc { GRPC_PORT } else { HTTP_PORT })
    });
    if grpc && !base.contains("://") {
        let insecure = signal.variable("INSECURE", context);
        let insecure = insecure.and_then(|name| flag(&name, context)).unwrap_or(false);
        base = format!("{}://{base}", if insecure { "http" } else { "https" });
    }
    let is_url = base.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    });
    if !is_url {
        match from_variable {
            Some(name) => {
                context.variable_warning(&name, "not a URL; nothing is exported", ENDPOINT_HELP);
            }
            None => context.error(&["telemetry", "otlp", "endpoint"], "not a URL", ENDPOINT_HELP),
        }
        return None;
    }
    if grpc || is_whole {
        return Some(base);
    }
    Some(format!("{}/{}", base.trim_end_matches('/'), signal.path()))
}

fn headers(
    signal: Signal,
    written: &file::Otlp,
    context: &mut Context<'_, '_>,
) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, value) in written.headers.iter().flatten() {
        let value = value.secret();
        if let Some(value) = value.filter(|value| is_header(name, value)) {
            headers.push((name.to_ascii_lowercase(), value));
        } else {
            let path = ["telemetry", "otlp", "headers", name];
            context.error(&path, "not fit for a header", "use letters, digits and `-` in its name");
        }
    }
    let Some(variable) = signal.variable("HEADERS", context) else { return headers };
    let listed = text(&variable, context).unwrap_or_default();
    for (name, value) in pairs(&listed) {
        let (name, value) = (name.to_ascii_lowercase(), Secret::new(&value));
        if !is_header(&name, &value) {
            let message = "has an entry that is not fit for a header";
            context.variable_warning(&variable, message, "write name=value,name=value");
            continue;
        }
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
    headers
}

fn is_header(name: &str, value: &Secret) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && http::HeaderValue::from_str(value.reveal()).is_ok()
}

fn gzip(signal: Signal, written: Option<file::Compression>, context: &mut Context<'_, '_>) -> bool {
    let variable = signal.variable("COMPRESSION", context);
    let choices = [("gzip", true), ("none", false)];
    variable
        .and_then(|name| word(&name, &choices, context))
        .unwrap_or(matches!(written, Some(file::Compression::Gzip)))
}

/// A PEM file that a variable or a key names.
fn pem(
    signal: Signal,
    what: &str,
    key: &str,
    written: Option<&String>,
    context: &mut Context<'_, '_>,
) -> Option<PathBuf> {
    let variable = signal.variable(what, context);
    let path = match signal.text(what, context) {
        Some(path) => context.environment().flag_path(std::path::Path::new(&path)),
        None => context.path(written?),
    };
    if path.is_file() {
        return Some(path);
    }
    let message = format!("there is no file {}", path.display());
    match variable {
        Some(name) => context.variable_warning(&name, &message, "name a PEM file"),
        None => context.error(&["telemetry", "otlp", key], &message, "name a PEM file"),
    }
    None
}

fn client(
    signal: Signal,
    written: &file::Otlp,
    context: &mut Context<'_, '_>,
) -> Option<(PathBuf, PathBuf)> {
    let shown = written.client_certificate.as_ref();
    let certificate = pem(signal, "CLIENT_CERTIFICATE", "client_certificate", shown, context);
    let key = pem(signal, "CLIENT_KEY", "client_key", written.client_key.as_ref(), context);
    if certificate.is_some() != key.is_some() {
        let message = "a client's certificate and its key go together";
        context.warning(&["telemetry", "otlp"], message, "give both, or neither");
    }
    certificate.zip(key)
}
