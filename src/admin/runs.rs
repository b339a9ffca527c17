//! `/api/runs`: runs of replays, those that are over with their reports, and the one that is being sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use pinhole_replay::faces::words;
use pinhole_replay::journal::{self, Journaled};
use pinhole_replay::report::Report;
use serde_json::{Value, json};

use crate::admin::problem::problem;
use crate::admin::read::{Refusal, number, pairs as members, unknown as no_member, with_folder};
use crate::base::id::ExchangeId;
use crate::proxy::loopback::forms;
use crate::proxy::runs::Running;
use crate::proxy::state::Shared;
use crate::report::replay::pairs as of_report;
use crate::report::replay::runs::{self, Place};

/// Limit: pairs of one answer.
const PAIRS_MAX: i64 = 1_000;
/// As many as nobody asks for more.
const PAIRS: usize = 100;

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
        Ok(Json(kept(&place)?).into_response())
    })
    .await
}

/// The report of a run that is over.
fn kept(place: &Place) -> Result<Report, Refusal> {
    match place.read().map_err(|error| unreadable(&error))? {
        Some(report) => Ok(report),
        None if place.journal().exists() => Err(Refusal::new(
            StatusCode::CONFLICT,
            "the run has no report yet: it is being sent, or it was broken off and can be resumed",
        )),
        None => Err(unknown()),
    }
}

/// The same with the rows that it is of.
fn whole(folder: &std::path::Path, id: &str) -> Result<(Report, Journaled), Refusal> {
    let place = Place::of(folder, id).ok_or_else(|| no_id(id))?;
    let report = kept(&place)?;
    let journaled = journal::read(&place.journal())
        .map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok((report, journaled))
}

/// The pairs of a run that is over, the biggest regressions first.
pub async fn pairs(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    with_folder(&shared, move |folder| {
        let (mut sort, mut target, mut limit) = (None, None, PAIRS);
        for (name, value) in members(&uri)? {
            match name.as_str() {
                "sort" if of_report::is_known(&value) => sort = Some(value),
                "sort" => return Err(no_sort(&value)),
                "target" => {
                    let asked = number("target", &value, 0, i64::from(u16::MAX))?;
                    target = u16::try_from(asked).ok();
                }
                "limit" => {
                    let asked = number("limit", &value, 1, PAIRS_MAX)?;
                    limit = usize::try_from(asked).unwrap_or(PAIRS);
                }
                _ => return Err(no_member(&name, "sort, target or limit")),
            }
        }
        let (report, journaled) = whole(&folder, &id)?;
        let sort = sort.unwrap_or_else(|| of_report::gravest(&report).to_owned());
        let mut pairs = of_report::sorted(&report, &journaled.rows, &sort, target);
        let count = pairs.len();
        pairs.truncate(limit);
        let told = json!({ "run_id": report.run_id, "sort": sort, "count": count, "pairs": pairs });
        Ok(Json(told).into_response())
    })
    .await
}

fn no_sort(value: &str) -> Refusal {
    let names: Vec<&str> = words::metrics().collect();
    Refusal::bad(format!(
        "sort: `{}` is no metric; there are {} and {}",
        value.escape_debug(),
        names.join(", "),
        of_report::DIFFERENCE
    ))
}

/// The report of a run that is over as a file: `report.html`, `report.md`, `report.csv` …
pub async fn report(
    State(shared): State<Arc<Shared>>,
    Path((id, name)): Path<(String, String)>,
) -> Response {
    with_folder(&shared, move |folder| {
        let form = name.strip_prefix("report.").filter(|form| forms::FORMS.contains(form));
        let Some(form) = form else {
            let told =
                "a run has `pairs` and its report as report.html, .md, .json, .csv, .xml and .txt";
            return Err(Refusal::new(StatusCode::NOT_FOUND, told));
        };
        let (report, journaled) = whole(&folder, &id)?;
        let findings = forms::findings(&report);
        let mut out = Vec::new();
        forms::write(form, (&report, &journaled, &findings), &folder, &mut out)
            .map_err(|error| unreadable(&error))?;
        let kind = HeaderValue::from_static(match form {
            "html" => "text/html; charset=utf-8",
            "md" => "text/markdown; charset=utf-8",
            "json" => "application/json",
            "csv" => "text/csv; charset=utf-8",
            "xml" => "application/xml",
            _ => "text/plain; charset=utf-8",
        });
        Ok(([(header::CONTENT_TYPE, kind)], out).into_response())
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
