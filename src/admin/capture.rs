//! How much is kept, read and switched while the gateway runs; and what runs now.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::problem::problem;
use crate::base::{clock, task};
use crate::config::units::parse_span;
use crate::exchange::level::Level;
use crate::exchange::live::Entry;
use crate::observe::rules::Switched;
use crate::proxy::state::Shared;

/// Limit: a switch with an end lasts no longer.
const FOR_MAX: Duration = Duration::from_hours(24 * 7);

pub async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(told(&shared))
}

pub(super) fn told(shared: &Shared) -> Value {
    let rules = shared.queue.rules();
    let switched = rules.switched();
    json!({
        "level": switched.map_or_else(|| rules.load().base.level, |switched| switched.level).label(),
        "most": rules.load().most().label(),
        "configured": shared.snapshot().settings.capture.level.label(),
        "switched": switched.is_some(),
        "until_us": switched.and_then(|switched| switched.until_us),
        "store": shared.store().is_some(),
    })
}

/// The body of `PUT /api/capture`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `null` goes back to the configuration.
    level: Option<String>,
    /// For how long, such as `10m`; absent: until it is taken back or the gateway restarts.
    #[serde(rename = "for")]
    duration: Option<String>,
}

pub async fn switch(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let refuse = |text: &str| problem(StatusCode::BAD_REQUEST, text);
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            let form =
                r#"send {"level": "off" | "meta" | "headers" | "full" | null, "for": "10m"}"#;
            return refuse(&format!("the body is not what is expected: {error}; {form}"));
        }
    };
    let level = match wanted.level.as_deref().map(Level::parse) {
        None => None,
        Some(Some(level)) => Some(level),
        Some(None) => return refuse("no such level; write off, meta, headers or full, or null"),
    };
    let duration = match wanted.duration.as_deref().map(parse_span) {
        None => None,
        Some(Ok(duration)) if !duration.is_zero() && duration <= FOR_MAX => Some(duration),
        Some(Ok(_)) => return refuse("`for` is from 1s to 7d"),
        Some(Err(help)) => return refuse(&format!("`for` is no duration: {help}")),
    };
    if level.is_some_and(|level| level > Level::Off) && shared.store().is_none() {
        return problem(
            StatusCode::CONFLICT,
            "there is no store: the gateway was started with capture.level off and no rule beyond it; restart it with \
             --capture meta, or a [[capture.rules]] entry, and switch then",
        );
    }
    let wall_us = clock::wall_us();
    let until_us = duration.map(|duration| {
        wall_us.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    });
    let rules = Arc::clone(shared.queue.rules());
    let number = rules.switch(level.map(|level| Switched { level, until_us }));
    let label = level.map_or("as configured", Level::label);
    tracing::info!(level = label, lasts = ?duration, "the capture level was switched by the operations API");
    if let (Some(duration), Some(_)) = (duration, level) {
        let ending = async move {
            tokio::time::sleep(duration).await;
            if rules.expire(number) {
                tracing::info!("the capture level is as configured again");
            }
        };
        // Detached on purpose: it ends by itself, and does nothing when another switch came.
        drop(task::spawn("end of a capture switch", ending));
    }
    Json(told(&shared)).into_response()
}

/// The exchanges that run now, oldest first.
pub async fn live(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let running: Vec<Value> =
        shared.queue.live().entries().iter().map(|entry| one(entry)).collect();
    Json(json!({ "exchanges": running }))
}

/// A row of those that run.
pub fn one(entry: &Entry) -> Value {
    let known = entry.known();
    let arrived = entry.arrived();
    let age_us = entry.age_us();
    let came = (arrived.frames > 0).then_some(arrived.last_us);
    json!({
        "id": entry.begun.id.to_string(),
        "started_at_us": entry.begun.wall_us,
        "age_us": age_us,
        "phase": entry.phase().label(),
        "dialect": entry.begun.dialect.label(),
        "operation": entry.begun.operation.label(),
        "method": entry.begun.method.as_str(),
        "path": entry.begun.path,
        "stream": known.stream,
        "model_requested": known.model_requested,
        "provider": known.provider.as_deref(),
        "model": known.model.as_deref(),
        "attempts": known.attempts,
        "sent_us": known.sent_us,
        "agent": entry.begun.agent,
        "session_id": entry.begun.session.as_deref(),
        "key_label": known.key_label.as_deref(),
        "client_addr": entry.begun.client.map(|address| address.to_string()),
        "trace_id": entry.begun.trace.to_string(),
        "run_id": entry.begun.replay.map(|replay| replay.run.to_string()),
        "replay_of": entry.begun.replay.and_then(|replay| replay.of).map(|of| of.to_string()),
        "response_bytes": arrived.bytes,
        "frames": arrived.frames,
        "last_frame_us": came,
        "quiet_us": came.map(|last| age_us.saturating_sub(last)),
    })
}
