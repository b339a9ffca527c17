//! The listeners, their bounds, and whether they may stand where they are to stand.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Context;
use crate::config::file;
use crate::config::settings::{Server, Tls};
use crate::policy::identity::GatewayKey;
use crate::upstream::provider::Timeouts;

const ADDRESS_HELP: &str = "write an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) fn server(
    written: file::Server,
    request_body_timeout: Duration,
    context: &mut Context<'_, '_>,
) -> Server {
    let overrides = context.inputs.overrides;
    let listen = address("listen", "--listen", overrides.listen.as_ref(), &written.listen, context);
    let ops_flag = overrides.ops_listen.as_ref();
    let ops_listen = address("ops_listen", "--ops-listen", ops_flag, &written.ops_listen, context);
    if listen == ops_listen && listen.port() != 0 {
        let message = "traffic and operations have the same address";
        context.error(&["server", "ops_listen"], message, "give one of them another port");
    }
    if written.workers == Some(0) {
        let remedy = "write 1 or more, or leave the key out for one a core";
        context.error(&["server", "workers"], "no worker at all", remedy);
    }
    Server {
        listen,
        ops_listen,
        data_dir: data_dir(written.data_dir.as_deref(), context),
        instance: instance(written.instance, context),
        aperture_headers: written.aperture_headers,
        cost_header: written.cost_header,
        tls: written.tls.map(|tls| tls_files(&tls, context)),
        cors_origins: cors_origins(written.cors_origins, context),
        workers: written.workers,
        drain: written.drain.0,
        header_timeout: positive(written.header_timeout.0, &["server", "header_timeout"], context),
        request_body_timeout,
    }
}

/// Beyond loopback somebody else may call: traffic then needs a gateway key, operations an admin key.
pub(super) fn exposure(
    server: &Server,
    keys: &[GatewayKey],
    has_admin_key: bool,
    context: &mut Context<'_, '_>,
) {
    if !server.listen.ip().is_loopback() && keys.is_empty() {
        let message = "traffic would be open to the network: no gateway key is configured";
        let remedy = "set PINHOLE_API_KEY or add a [[keys]] block, or listen on 127.0.0.1";
        context.error(&["server", "listen"], message, remedy);
    }
    if !server.ops_listen.ip().is_loopback() && !has_admin_key {
        let message = "operations would be open to the network: no admin key is configured";
        let remedy = "set PINHOLE_ADMIN_KEY, or listen on 127.0.0.1";
        context.error(&["server", "ops_listen"], message, remedy);
    }
}

pub(super) fn timeouts(written: &file::Timeouts, context: &mut Context<'_, '_>) -> Timeouts {
    positive(written.request_body.0, &["timeouts", "request_body"], context);
    Timeouts {
        connect: positive(written.connect.0, &["timeouts", "connect"], context),
        first_byte: positive(written.first_byte.0, &["timeouts", "first_byte"], context),
        idle: positive(written.idle.0, &["timeouts", "idle"], context),
        total: written.total.0.map(|total| positive(total, &["timeouts", "total"], context)),
    }
}

/// A wait of no time at all would fail every call.
pub(super) fn positive(span: Duration, path: &[&str], context: &mut Context<'_, '_>) -> Duration {
    if span.is_zero() {
        context.error(path, "a wait of no time fails every request", "write 1ms or more");
    }
    span
}

fn address(
    key: &str,
    flag: &str,
    overriding: Option<&String>,
    written: &str,
    context: &mut Context<'_, '_>,
) -> SocketAddr {
    let text = overriding.map_or(written, String::as_str);
    if let Some(address) = parse_address(text) {
        return address;
    }
    if overriding.is_some() {
        context.flag_error(flag, "not an address", ADDRESS_HELP);
    } else {
        context.error(&["server", key], "not an address", ADDRESS_HELP);
    }
    LOOPBACK
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(LOOPBACK.ip(), port.parse().ok()?)),
        None => text.parse().ok(),
    }
}

fn data_dir(written: Option<&str>, context: &Context<'_, '_>) -> PathBuf {
    if let Some(path) = &context.inputs.overrides.data_dir {
        return context.environment().flag_path(path);
    }
    if let Some(written) = written {
        return context.path(written);
    }
    context.environment().default_data_dir()
}

/// It is sent as a header, so it must be fit for one.
fn instance(written: Option<String>, context: &mut Context<'_, '_>) -> Option<String> {
    let name = written?;
    if http::HeaderValue::from_str(&name).is_err() || !name.is_ascii() {
        let remedy = "use letters, digits and punctuation of ASCII";
        context.error(&["server", "instance"], "not fit for a header", remedy);
        return None;
    }
    Some(name)
}

fn tls_files(written: &file::Tls, context: &mut Context<'_, '_>) -> Tls {
    let tls = Tls { cert: context.path(&written.cert), key: context.path(&written.key) };
    for (key, path) in [("cert", &tls.cert), ("key", &tls.key)] {
        if !path.is_file() {
            let message = format!("there is no file {}", path.display());
            context.error(&["server", "tls", key], &message, "name a PEM file");
        }
    }
    tls
}

fn cors_origins(written: Vec<String>, context: &mut Context<'_, '_>) -> Vec<String> {
    for (index, origin) in written.iter().enumerate() {
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_origin = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
        if origin != "*" && !is_origin {
            let path = ["server", "cors_origins", &index.to_string()];
            let remedy =
                "write scheme and host without a path, such as https://app.example.org, or *";
            context.error(&path, "not an origin", remedy);
        }
    }
    written
}
