//! What the gateway says about itself on the traffic port: health, readiness, base URLs, the caller. No secrets.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Uri, header};
use serde_json::json;

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::neutral::kind::{Dialect, Flag};
use crate::policy::identity::{self, Caller};
use crate::proxy::endpoint::Info;
use crate::proxy::headers::X_PINHOLE_ID;
use crate::proxy::refusal;
use crate::proxy::reply::{self, ReplyBody};
use crate::proxy::state::{Shared, Snapshot};

pub fn answer(
    asked: Info,
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    parts: &Parts,
    uri: &Uri,
) -> Response<ReplyBody> {
    let id = ExchangeId::new(clock::wall_us());
    let mut response = match asked {
        Info::Root => reply::with_type(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            Bytes::from_static(b"pinhole: an LLM gateway; base URLs at /targets\n"),
        ),
        Info::Health => reply::json(StatusCode::OK, br#"{"status":"ok"}"#.to_vec()),
        Info::Ready => ready(shared, snapshot),
        Info::Targets => targets(snapshot, parts),
        Info::AuthMe => auth_me(snapshot, parts, uri, id),
    };
    response.headers_mut().insert(X_PINHOLE_ID, reply::id_value(id));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether requests are taken, and if not, why.
pub fn readiness(shared: &Shared, snapshot: &Snapshot) -> Result<(), &'static str> {
    if shared.is_draining() {
        return Err("draining before a restart");
    }
    if snapshot.table.entries().iter().all(|entry| entry.disabled) {
        return Err("no provider is configured");
    }
    Ok(())
}

fn ready(shared: &Shared, snapshot: &Snapshot) -> Response<ReplyBody> {
    match readiness(shared, snapshot) {
        Ok(()) => reply::json(StatusCode::OK, br#"{"status":"ready"}"#.to_vec()),
        Err(reason) => {
            let body = json!({"status": "not ready", "reason": reason});
            reply::json(StatusCode::SERVICE_UNAVAILABLE, body.to_string().into_bytes())
        }
    }
}

/// The base URLs to paste, by client family.
pub fn base_urls(origin: &str) -> serde_json::Value {
    json!({
        "openai": format!("{origin}/v1"),
        "anthropic": origin,
        "gemini": origin,
        "openai_api_v1": format!("{origin}/api/v1"),
    })
}

fn targets(snapshot: &Snapshot, parts: &Parts) -> Response<ReplyBody> {
    let settings = &snapshot.settings;
    let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = match host {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{}", settings.server.listen),
    };
    let targets: Vec<serde_json::Value> = settings
        .providers
        .iter()
        .filter(|provider| !provider.disabled)
        .map(|provider| {
            json!({
                "id": &*provider.id,
                "name": provider.name,
                "supported_endpoints": provider.flags.iter().map(Flag::endpoint).collect::<Vec<_>>(),
            })
        })
        .collect();
    let body = json!({
        "gateway": "pinhole",
        "version": env!("CARGO_PKG_VERSION"),
        "base_url": format!("{origin}/v1"),
        "base_urls": base_urls(&origin),
        "targets": targets,
    });
    reply::json(StatusCode::OK, body.to_string().into_bytes())
}

fn auth_me(snapshot: &Snapshot, parts: &Parts, uri: &Uri, id: ExchangeId) -> Response<ReplyBody> {
    let keys = &snapshot.settings.gateway_keys;
    let body = match identity::identify(keys, &parts.headers, uri.query()) {
        Ok(Caller::Loopback) => json!({
            "authenticated": true, "principal": "(loopback)", "role": "user", "plan": "unlimited", "limits": [],
        }),
        Ok(Caller::Known { label, .. }) => json!({
            "authenticated": true, "principal": &*label, "role": "user", "plan": "unlimited", "limits": [],
        }),
        Err(unknown) => {
            return reply::failure(Dialect::OpenAiChat, &refusal::of_caller(unknown), id);
        }
    };
    reply::json(StatusCode::OK, body.to_string().into_bytes())
}
