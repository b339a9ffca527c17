//! Errors of the operations API: `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// One problem document.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = (status, body.to_string()).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

pub async fn not_found(uri: Uri) -> Response {
    problem(
        StatusCode::NOT_FOUND,
        &format!(
            "nothing at {}; this version has /health, /ready, /metrics, /api/exchanges, /api/sessions, /api/live, /api/overview, \
             /api/tools, /api/capture, /api/providers, /api/route, /api/pricing, /api/usage, /api/usage.csv, /api/runs, /api/replays",
            uri.path()
        ),
    )
}

pub async fn not_allowed(uri: Uri) -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("{} does not take this method; see the `allow` header", uri.path()),
    )
}
