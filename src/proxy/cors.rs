//! Browsers: who may call from a page, and the answers they need first.
//!
//! A gateway without keys on loopback is within reach of every page its user opens. So a request that a page at a web
//! origin other than loopback makes is refused unless `server.cors_origins` names it, or the gateway has keys.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::config::settings::Settings;
use crate::neutral::failure::{Code, Failure};
use crate::proxy::reply::{self, ReplyBody};

/// What a page may ask with; an endpoint that takes less says so itself. `/providers/` and the verbatim paths take all.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The answer to an `OPTIONS` request; under `/providers/` only a browser's question is for the gateway.
pub fn preflight(settings: &Settings, parts: &Parts, path: &str) -> Option<Response<ReplyBody>> {
    let origin = parts.headers.get(header::ORIGIN);
    if parts.method != Method::OPTIONS || (origin.is_none() && path.starts_with("/providers/")) {
        return None;
    }
    let mut response = reply::with_type(StatusCode::NO_CONTENT, "text/plain", bytes::Bytes::new());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    let Some(origin) = origin.filter(|origin| allowed(settings, origin)) else {
        return Some(response);
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    let wanted = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or_else(|| HeaderValue::from_static("authorization, content-type")),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if parts.headers.contains_key("access-control-request-private-network") {
        headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
    allow(settings, Some(origin), headers);
    Some(response)
}

/// Refuses a page's request that may not come from where it does.
pub fn check(settings: &Settings, headers: &HeaderMap) -> Result<(), Failure> {
    if !settings.gateway_keys.is_empty() {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return check_host(settings, headers);
    };
    if allowed(settings, origin) {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(120).collect();
    Err(Failure::new(
        Code::OriginNotAllowed,
        format!(
            "a page at {shown} may not call a gateway without keys; add it to server.cors_origins, or configure gateway keys"
        ),
    ))
}

/// A page can bind a name of its own to this address (DNS rebinding); its reading requests then name no origin, but
/// they name that host, and they come from a browser. Programs may use any name.
fn check_host(settings: &Settings, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (Some(host), Some(agent)) = (text(header::HOST), text(header::USER_AGENT)) else {
        return Ok(());
    };
    let name = host_of(host);
    let named = settings
        .server
        .cors_origins
        .iter()
        .filter_map(|origin| origin.split_once("://"))
        .any(|(_, rest)| host_of(rest) == name);
    let ours = is_local(name) || name.parse::<std::net::IpAddr>().is_ok() || named;
    if ours || !agent.starts_with("Mozilla/") {
        return Ok(());
    }
    let shown: String = name.chars().take(120).collect();
    Err(Failure::new(
        Code::OriginNotAllowed,
        format!(
            "a browser may not call a gateway without keys by the name {shown}; use its address, add http://{shown} to \
             server.cors_origins, or configure gateway keys"
        ),
    ))
}

/// Lets the page read the answer.
pub fn allow(settings: &Settings, origin: Option<&HeaderValue>, answered: &mut HeaderMap) {
    let Some(origin) = origin.filter(|origin| allowed(settings, origin)) else {
        return;
    };
    answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answered.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    answered.append(header::VARY, HeaderValue::from_static("origin"));
}

fn allowed(settings: &Settings, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if settings.server.cors_origins.iter().any(|allowed| allowed == "*" || allowed == origin) {
        return true;
    }
    // Desktop shells (`vscode-webview://`, `app://`) are no web pages; `null` may be anybody.
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    if !matches!(scheme, "http" | "https") {
        return true;
    }
    is_local(host_of(rest))
}

/// The name or address of `host:port`.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
