//! `GET /api/targets`: the models that a replay can be sent to, as a target is written, each with the price that an estimate takes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::proxy::loopback::aim;
use crate::proxy::state::Shared;

/// Billionths of a dollar a token are thousandths of a dollar a million.
const PER_MILLION: f64 = 1e-3;

/// Every model of every provider that takes requests.
pub async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot();
    let book = &snapshot.settings.prices.book;
    let providers = snapshot.settings.providers.iter().filter(|provider| !provider.disabled);
    let mut rows = Vec::new();
    for provider in providers {
        for model in snapshot.models(provider) {
            // A pattern stands for names that only the user knows.
            let is_pattern = model.id.contains('*');
            let priced = (!is_pattern).then(|| book.lookup(&provider.id, &model.id)).flatten();
            let price = priced.as_deref().and_then(aim::price).map(|price| {
                json!({
                    "input": price.input * PER_MILLION,
                    "cached": price.cached.map(|cached| cached * PER_MILLION),
                    "output": price.output * PER_MILLION,
                })
            });
            rows.push(json!({
                "target": format!("{}/{}", provider.id, model.id),
                "provider": &*provider.id,
                "model": model.id,
                "pattern": is_pattern,
                "usd_per_million": price,
            }));
        }
    }
    Json(json!({ "targets": rows }))
}
