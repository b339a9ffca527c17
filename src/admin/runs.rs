//! `/api/runs`: runs of replays, those that are over with their reports, and the one that is being sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::admin::problem::problem;
use crate::admin::read::{Refusal, with_folder};
use crate::base::id::ExchangeId;
use crate::proxy::runs::Running;
use crate::proxy::state::Shared;
use crate::report::replay::runs::{self, Place};

/// The runs, the newest first.
pub async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let current = shared.runs.current();
    with_folder(&shared, move |folder| {
        let mut runs = runs::list(&folder).map_err(|error| unreadable(&error))?;
        if let Some(running) = current {
            let id = running.id.to_string();
            // It may not have written its first line yet.
            match runs.iter_mut().find(|run| run["run_id"] == id) {
                Some(run) => *run = state(&running),
                None => runs.insert(0, state(&running)),
            }
        }
        Ok(Json(json!({ "runs": runs })).into_response())
    })
    .await
}

/// One run's report; of one that is being sent, how it is going.
pub async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let current = shared.runs.current();
    if let Some(running) = current.filter(|running| running.id.to_string() == id) {
        return Json(state(&running)).into_response();
    }
    with_folder(&shared, move |folder| {
        let place = Place::of(&folder, &id).ok_or_else(|| no_id(&id))?;
        match place.read().map_err(|error| unreadable(&error))? {
            Some(report) => Ok(Json(report).into_response()),
            None if place.journal().exists() => Err(Refusal::new(
                StatusCode::CONFLICT,
                "the run has no report yet: another process is sending it, or it was broken off and can be resumed",
            )),
            None => Err(unknown()),
        }
    })
    .await
}

/// Ends the run that is being sent; its report is of what has come back.
pub async fn stop(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let refuse = |refusal: Refusal| problem(refusal.status, &refusal.detail);
    let Some(run) = ExchangeId::parse(&id) else { return refuse(no_id(&id)) };
    if shared.runs.stop(run) {
        let told = json!({ "run_id": id, "state": "stopping" });
        return (StatusCode::ACCEPTED, Json(told)).into_response();
    }
    with_folder(&shared, move |folder| {
        let exists = Place::of(&folder, &id).is_some_and(|place| place.journal().exists());
        Err(if exists {
            Refusal::new(StatusCode::CONFLICT, "this gateway is not sending the run; it is over")
        } else {
            unknown()
        })
    })
    .await
}

fn state(running: &Running) -> Value {
    let progress = running.progress();
    #[expect(clippy::cast_precision_loss, reason = "sums of a run are far below 2^52")]
    let spent_usd = progress.spent_nanousd as f64 / 1e9;
    json!({
        "run_id": running.id.to_string(),
        "state": if running.is_stopping() { "stopping" } else { "running" },
        "recordings": running.recordings,
        "targets": running.targets,
        "progress": {
            "planned": progress.planned,
            "sent": progress.sent,
            "done": progress.done,
            "errors": progress.errors,
            "in_flight": progress.in_flight,
            "spent_usd": spent_usd,
            "elapsed_s": progress.elapsed.as_secs_f64(),
            "per_s": progress.per_s,
            "left_s": progress.left.map(|left| left.as_secs_f64()),
        },
    })
}

fn no_id(id: &str) -> Refusal {
    Refusal::bad(format!("`{}` is no id of a run; /api/runs lists them", id.escape_debug()))
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is no such run; /api/runs lists them")
}

fn unreadable(error: &std::io::Error) -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the folder `runs` of the data directory cannot be read: {error}"),
    )
}
