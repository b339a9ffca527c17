//! Who may read the operations API: the admin key, or anyone on loopback while there is none. Pages may not.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::admin::problem::problem;
use crate::proxy::state::Shared;

pub async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let settings = Arc::clone(&shared.snapshot().settings);
    // A page behind a rebound name has no admin key; where there is one, any name may lead here.
    let rebound = settings.admin_key.is_none() && !host_is_ours(headers);
    if rebound || headers.contains_key(header::ORIGIN) {
        return problem(
            StatusCode::FORBIDDEN,
            "the operations API is not for web pages; call it by address with a command-line client",
        );
    }
    if let Some(key) = &settings.admin_key {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.strip_prefix("Bearer "));
        if !sent.is_some_and(|sent| key.matches(sent.trim())) {
            return problem(
                StatusCode::UNAUTHORIZED,
                "the operations API wants the admin key (PINHOLE_ADMIN_KEY) in authorization: Bearer",
            );
        }
    }
    next.run(request).await
}

/// As [`admit`], but where `ops.metrics_public` is set anyone may scrape.
pub async fn scraper(shared: State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if shared.snapshot().settings.ops.metrics_public {
        return next.run(request).await;
    }
    admit(shared, request, next).await
}

/// A name that a page could have bound to this address (DNS rebinding) is not ours: only addresses and localhost are.
fn host_is_ours(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}
