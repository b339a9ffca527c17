//! `POST /api/replays`: a run of replays on this gateway, from a plan as JSON.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::admin::read::{Refusal, now_us, with_folder};
use crate::proxy::loopback::hosted::{HostError, Wanted};
use crate::proxy::loopback::run::{Ready, Unready};
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;
use crate::report::replay::source::Source;
use crate::store::query::Query;
use crate::store::reader::Reader;

/// What stands in the body beside the plan.
#[derive(Debug, Default, Clone, Copy)]
struct Wishes {
    yes: bool,
    dry_run: bool,
}

/// Begins a run.
pub async fn begin(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let host = Arc::clone(&shared);
    with_folder(&shared, move |folder| {
        let (wanted, wishes) = wanted(&body)?;
        if let Some(running) = host.runs.current().filter(|_| !wishes.dry_run) {
            return Err(HostError::Busy(running.id).into());
        }
        let source = source(&wanted, &folder)?;
        let hosted = wanted.ready(&host, source).map_err(refused)?;
        let told = told(&hosted.ready);
        if wishes.dry_run {
            return Ok(Json(told).into_response());
        }
        confirm(&hosted.ready, wishes)?;
        let place = Place::of(&folder, &hosted.ready.id.to_string()).ok_or_else(|| {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the run has no place")
        })?;
        hosted.begin(&host, place)?;
        Ok((StatusCode::ACCEPTED, Json(told)).into_response())
    })
    .await
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        let status = match error {
            HostError::Busy(_) => StatusCode::CONFLICT,
            HostError::Draining | HostError::Thread(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// The plan, and what stands beside it.
fn wanted(body: &[u8]) -> Result<(Wanted, Wishes), Refusal> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(format!(
            "the body is no JSON object: {error}; send a plan, such as {{\"from\": \"since:1d\", \"to\": [\"provider/model\"]}}"
        ))
    })?;
    let mut wish = |name: &str| match members.remove(name) {
        None => Ok(false),
        Some(Value::Bool(wish)) => Ok(wish),
        Some(_) => Err(Refusal::bad(format!("`{name}` is true or false"))),
    };
    let wishes = Wishes { yes: wish("yes")?, dry_run: wish("dry_run")? };
    let wanted = Wanted::read(members).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok((wanted, wishes))
}

/// Exchanges of the gateway's own store. What is asked for is never taken for a file: whoever asks sits elsewhere.
fn source(wanted: &Wanted, folder: &Path) -> Result<Source, Refusal> {
    let asked = Query::parse(wanted.from(), now_us()).map_err(|error| {
        Refusal::bad(format!(
            "`from` is a query over this gateway's store and never a file; as a query: {error}. Files are sent with `pinhole replay`"
        ))
    })?;
    let read = |error: &dyn std::fmt::Display| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    };
    Source::of_store(Reader::open(folder)?, &asked, wanted.limit()).map_err(|error| read(&error))
}

fn refused(error: Unready) -> Refusal {
    match error {
        Unready::Empty(_) => Refusal::bad(format!(
            "{error}. Over the operations API `from` is a query, never a file, and only what was captured at the level full can be sent again"
        )),
        error => Refusal::bad(error.to_string().replace("--max-cost", "max_cost")),
    }
}

/// What is to be sent, and what it will cost.
fn told(ready: &Ready) -> Value {
    let targets = ready.aims.iter().map(|aim| {
        json!({
            "target": aim.target, "provider": aim.provider, "model": aim.served, "because": aim.because,
        })
    });
    json!({
        "run_id": ready.id.to_string(),
        "recordings": ready.source.lines().len(),
        "left_out": ready.source.left_out,
        "pace": ready.plan.pace.to_string(),
        "targets": targets.collect::<Vec<_>>(),
        "estimate": ready.estimates,
    })
}

/// Dear runs are asked for twice: the second time with `"yes": true`.
fn confirm(ready: &Ready, wishes: Wishes) -> Result<(), Refusal> {
    if wishes.yes || !ready.is_dear() {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::CONFLICT,
        format!(
            "the run is estimated at about {}, over $1; send it with \"yes\": true, and perhaps a max_cost, or look at it first with \"dry_run\": true",
            ready.about()
        ),
    ))
}
