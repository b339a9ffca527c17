//! Reading the store for an answer: off the async thread, with what goes wrong as a problem document.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use crate::admin::problem::problem;
use crate::base::clock;
use crate::proxy::state::Shared;
use crate::store::db::OpenError;
use crate::store::query::page::FindError;
use crate::store::reader::{ReadError, Reader};
use crate::store::vault::VaultError;

/// What is wrong with a question, or with the answering of it.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub detail: String,
}

impl Refusal {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        let status = match error {
            OpenError::Missing { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        let status = match error {
            VaultError::Sqlite(_) => StatusCode::SERVICE_UNAVAILABLE,
            VaultError::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        let status = match error {
            FindError::NoId(_) => StatusCode::BAD_REQUEST,
            FindError::Unknown(_) => StatusCode::NOT_FOUND,
            FindError::Ambiguous { .. } => StatusCode::CONFLICT,
            FindError::Read(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// Does `work` with the data directory on a thread that may wait for the disk.
pub async fn with_folder(
    shared: &Arc<Shared>,
    work: impl FnOnce(PathBuf) -> Result<Response, Refusal> + Send + 'static,
) -> Response {
    let folder = shared.snapshot().settings.server.data_dir.clone();
    match tokio::task::spawn_blocking(move || work(folder)).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => problem(refusal.status, &refusal.detail),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "reading the store panicked"),
    }
}

/// The same with the store opened to read.
pub async fn with_reader(
    shared: &Arc<Shared>,
    work: impl FnOnce(Reader) -> Result<Response, Refusal> + Send + 'static,
) -> Response {
    with_folder(shared, |folder| work(Reader::open(&folder)?)).await
}

/// The members of a URL's query, in order.
pub fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    let Query(pairs) =
        Query::try_from_uri(uri).map_err(|_| Refusal::bad("the query is no list of name=value"))?;
    Ok(pairs)
}

/// A member nobody knows, with what is known.
pub fn unknown(name: &str, known: &str) -> Refusal {
    Refusal::bad(format!("`{}` is not known here; use {known}", name.escape_debug()))
}

/// A whole number within bounds.
pub fn number(name: &str, value: &str, min: i64, max: i64) -> Result<i64, Refusal> {
    let number = value.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| {
        Refusal::bad(format!("{name}: `{}` is no number from {min} to {max}", value.escape_debug()))
    })
}

pub fn now_us() -> i64 {
    i64::try_from(clock::wall_us()).unwrap_or(i64::MAX)
}
