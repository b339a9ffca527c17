//! The answers of the operations API.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::admin::problem::problem;
use crate::neutral::kind::Flag;
use crate::proxy::explain::explain;
use crate::proxy::info::readiness;
use crate::proxy::state::{Learned, Shared};

pub async fn health(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "in_flight": shared.in_flight(),
        "exchanges_not_logged": shared.queue.dropped(),
    }))
}

pub async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match readiness(&shared, &shared.snapshot()) {
        Ok(()) => Json(json!({ "status": "ready", "warnings": warnings(&shared) })).into_response(),
        Err(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "not ready", "reason": reason })),
        )
            .into_response(),
    }
}

/// What is wrong and does not stop traffic.
pub(super) fn warnings(shared: &Shared) -> Vec<&'static str> {
    const FAILING: &str = "the store cannot be written: records and bodies are lost until it can; look at the log and at the disk";
    const NO_BODIES: &str = "the disk is full: records are kept and bodies are not, until there is room; it is tried again every few seconds";
    let Some(store) = shared.store() else { return Vec::new() };
    let told = |flag: &AtomicBool, text| flag.load(Ordering::Relaxed).then_some(text);
    [told(&store.failing, FAILING), told(&store.without_bodies, NO_BODIES)]
        .into_iter()
        .flatten()
        .collect()
}

pub async fn providers(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot();
    let rows: Vec<Value> = snapshot
        .settings
        .providers
        .iter()
        .map(|provider| {
            let discovery = match snapshot.learned.get(&provider.id) {
                Some(Learned::Models(_)) => json!("ok"),
                Some(Learned::Failed(reason)) => json!({ "failed": reason }),
                None => Value::Null,
            };
            json!({
                "id": &*provider.id,
                "name": provider.name,
                "description": provider.description,
                "baseurl": provider.base_url.to_string(),
                "disabled": provider.disabled,
                "preference": provider.preference,
                "compatibility": provider.flags.iter().map(Flag::key).collect::<Vec<_>>(),
                "keys": provider.keys.iter().map(|key| &*key.label).collect::<Vec<_>>(),
                "models": snapshot.models(provider).iter().map(|model| &model.id).collect::<Vec<_>>(),
                "discovery": discovery,
            })
        })
        .collect();
    Json(json!({ "providers": rows }))
}

/// The query of `GET /api/route`.
#[derive(serde::Deserialize)]
pub struct RouteQuery {
    model: Option<String>,
}

pub async fn route(State(shared): State<Arc<Shared>>, Query(asked): Query<RouteQuery>) -> Response {
    let Some(model) = &asked.model else {
        return problem(StatusCode::BAD_REQUEST, "name a model: /api/route?model=NAME");
    };
    let snapshot = shared.snapshot();
    let providers = &snapshot.settings.providers;
    let answers: Vec<Value> = Flag::ALL
        .into_iter()
        .filter(|flag| providers.iter().any(|provider| provider.flags.has(*flag)))
        .map(|flag| explain(&snapshot.table, providers, model, Some(flag)))
        .collect();
    Json(json!({ "model": model, "endpoints": answers })).into_response()
}
