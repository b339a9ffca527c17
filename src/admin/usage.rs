//! `GET /api/usage` and `/api/usage.csv`: the reports of `pinhole usage`, with the same words.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::admin::problem::problem;
use crate::base::clock;
use crate::proxy::state::Shared;
use crate::report::{ask, usage};
use crate::store::db::OpenError;
use crate::store::reader::Reader;
use crate::store::usage::{Ask, Report, UsageError};

/// Limit: groups of a JSON answer when `limit` says nothing; the rest is added up in `others`. CSV has no place for that, and
/// is whole.
const GROUPS_DEFAULT: usize = 1_000;
/// Limit: groups of one answer.
const GROUPS_MAX: usize = 100_000;

pub async fn json(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    match report(&shared, &uri, Some(GROUPS_DEFAULT)).await {
        Ok(report) => Json(usage::json(&report)).into_response(),
        Err(problem) => *problem,
    }
}

pub async fn csv(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    match report(&shared, &uri, None).await {
        Ok(report) => {
            let kind = HeaderValue::from_static("text/csv; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], usage::csv(&report)).into_response()
        }
        Err(problem) => *problem,
    }
}

async fn report(
    shared: &Arc<Shared>,
    uri: &Uri,
    limit: Option<usize>,
) -> Result<Report, Box<Response>> {
    let refuse = |status, detail: &str| Box::new(problem(status, detail));
    let now_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
    let ask =
        asked(uri, limit, now_us).map_err(|detail| refuse(StatusCode::BAD_REQUEST, &detail))?;
    let folder = shared.snapshot().settings.server.data_dir.clone();
    // The disk may make it wait.
    let read = tokio::task::spawn_blocking(move || read(&folder, &ask)).await;
    match read {
        Ok(Ok(report)) => Ok(report),
        Ok(Err((status, detail))) => Err(refuse(status, &detail)),
        Err(_) => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "reading the store panicked")),
    }
}

fn read(folder: &Path, ask: &Ask) -> Result<Report, (StatusCode, String)> {
    let reader = Reader::open(folder).map_err(|error| {
        let status = match error {
            OpenError::Missing { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, error.to_string())
    })?;
    reader.usage(ask).map_err(|error| match error {
        UsageError::Apart(_) => (StatusCode::BAD_REQUEST, format!("by: {error}")),
        UsageError::Read(_) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })
}

fn asked(uri: &Uri, limit: Option<usize>, now_us: i64) -> Result<Ask, String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| "the query is no list of name=value".to_owned())?;
    let mut words = ask::Words { limit, ..ask::Words::default() };
    for (name, value) in &pairs {
        match name.as_str() {
            "by" => words.by.push(value),
            "since" => words.since = Some(value),
            "until" => words.until = Some(value),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=GROUPS_MAX).contains(limit));
                words.limit = Some(limit.ok_or_else(|| {
                    format!("limit: `{}` is no number from 1 to {GROUPS_MAX}", value.escape_debug())
                })?);
            }
            other => {
                return Err(format!(
                    "`{}` is not known here; use by, since, until, limit",
                    other.escape_debug()
                ));
            }
        }
    }
    ask::read(&words, now_us)
}
