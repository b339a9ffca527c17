//! The operations listener: health, readiness, metrics, providers, routing decisions, prices, usage, capture and
//! what runs now. Errors are problem documents.

pub mod capture;
pub mod exchanges;
pub mod guard;
pub mod lately;
pub mod metrics;
pub mod overview;
pub mod pricing;
pub mod problem;
pub mod read;
pub mod replays;
pub mod runs;
pub mod targets;
pub mod usage;
pub mod views;
pub mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::proxy::state::Shared;

/// Serves the operations API until its task ends.
pub async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    if let Err(error) = axum::serve(listener, app(shared)).await {
        tracing::error!(%error, "the operations listener ended; traffic goes on");
    }
}

fn app(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/api/providers", get(views::providers))
        .route("/api/route", get(views::route))
        .route("/api/pricing", get(pricing::all))
        .route("/api/pricing/{*model}", get(pricing::one))
        .route("/api/capture", get(capture::state).put(capture::switch))
        .route("/api/live", get(capture::live))
        .route("/api/live/{id}", get(watch::one))
        .route("/api/overview", get(overview::one))
        .route("/api/tools", get(overview::tools))
        .route("/api/exchanges", get(exchanges::list))
        .route("/api/exchanges/count", get(exchanges::count))
        .route("/api/exchanges/{id}", get(exchanges::one))
        .route("/api/exchanges/{id}/request", get(exchanges::request))
        .route("/api/exchanges/{id}/response", get(exchanges::response))
        .route("/api/exchanges/{id}/diagnosis", get(watch::diagnosis))
        .route("/api/exchanges/{id}/labels", post(exchanges::label))
        .route("/api/exchanges/{id}/labels/{*name}", delete(exchanges::unlabel))
        .route("/api/sessions", get(exchanges::sessions))
        .route("/api/exchanges/{id}/pin", put(exchanges::pin).delete(exchanges::unpin))
        .route("/api/sessions/{id}/labels", post(exchanges::label_session))
        .route("/api/sessions/{id}/labels/{*name}", delete(exchanges::unlabel_session))
        .route("/api/runs", get(runs::list))
        .route("/api/runs/{id}", get(runs::one).delete(runs::stop))
        .route("/api/runs/{id}/pairs", get(runs::pairs))
        .route("/api/runs/{id}/{report}", get(runs::report))
        .route("/api/targets", get(targets::list))
        .route("/api/replays", post(replays::begin))
        .route("/api/usage", get(usage::json))
        .route("/api/usage.csv", get(usage::csv))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), guard::admit));
    let metrics = Router::new()
        .route("/metrics", get(metrics::scrape))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), guard::scraper));
    Router::new()
        .route("/health", get(views::health))
        .route("/ready", get(views::ready))
        .merge(api)
        .merge(metrics)
        .layer(axum::Extension(Arc::new(lately::Lately::default())))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::not_allowed)
        .with_state(shared)
}
