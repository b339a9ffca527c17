//! `/api/runs`: runs of replays and their reports.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::admin::read::{Refusal, with_folder};
use crate::proxy::state::Shared;
use crate::report::replay::runs::{self, Place};

/// The runs, the newest first.
pub async fn list(State(shared): State<Arc<Shared>>) -> Response {
    with_folder(&shared, |folder| {
        let runs = runs::list(&folder).map_err(|error| unreadable(&error))?;
        Ok(Json(json!({ "runs": runs })).into_response())
    })
    .await
}

/// One run's report.
pub async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    with_folder(&shared, move |folder| {
        let place = Place::of(&folder, &id).ok_or_else(|| {
            Refusal::bad(format!("`{id}` is no id of a run; /api/runs lists them"))
        })?;
        match place.read().map_err(|error| unreadable(&error))? {
            Some(report) => Ok(Json(report).into_response()),
            None if place.journal().exists() => Err(Refusal::new(
                StatusCode::CONFLICT,
                "the run has no report yet: it is under way, or was broken off and can be resumed",
            )),
            None => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "there is no such run; /api/runs lists them",
            )),
        }
    })
    .await
}

fn unreadable(error: &std::io::Error) -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the folder `runs` of the data directory cannot be read: {error}"),
    )
}
