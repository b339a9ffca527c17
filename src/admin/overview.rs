//! `GET /api/overview`: what went through lately, added up, and how the gateway stands. Made to be asked every second:
//! who names the `seq` of the last answer is told only whether anything was stored since, and how the gateway stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::admin::capture;
use crate::admin::read::{self, Refusal, with_folder};
use crate::admin::views::warnings;
use crate::config::units::parse_span;
use crate::proxy::state::Shared;
use crate::report::overview::{Failure, Overview, failed, overview};
use crate::store::db::OpenError;
use crate::store::reader::{ReadError, Reader};
use crate::store::recent::Ask;
use crate::store::stored::Listed;
use crate::telemetry::metrics::Metric;

/// The window when nothing is said of it, and the longest.
const WINDOW: Duration = Duration::from_hours(1);
const WINDOW_MAX: Duration = Duration::from_hours(24 * 31);
const STEPS: i64 = 60;
/// Limit: stretches of time.
const STEPS_MAX: i64 = 500;

/// What is asked.
pub struct Asked {
    pub window: Duration,
    pub steps: usize,
    /// The newest that the caller knows.
    pub seq: Option<i64>,
}

impl Asked {
    pub fn of(uri: &Uri) -> Result<Self, Refusal> {
        let mut asked = Self { window: WINDOW, steps: index(STEPS), seq: None };
        for (name, value) in read::pairs(uri)? {
            match name.as_str() {
                "window" => {
                    let window = parse_span(&value)
                        .map_err(|help| Refusal::bad(format!("window is no duration: {help}")))?;
                    if window.is_zero() || window > WINDOW_MAX {
                        return Err(Refusal::bad("window is from 1s to 31d"));
                    }
                    asked.window = window;
                }
                "steps" => asked.steps = index(read::number("steps", &value, 1, STEPS_MAX)?),
                "seq" => asked.seq = Some(read::number("seq", &value, 0, i64::MAX)?),
                other => return Err(read::unknown(other, "window, steps, seq")),
            }
        }
        Ok(asked)
    }

    /// The window that ends now.
    pub fn ask(&self, calls: bool) -> Ask {
        let now_us = read::now_us();
        let window_us = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        Ask { since_us: now_us.saturating_sub(window_us), now_us, calls }
    }
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

pub async fn one(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let gateway = standing(&shared);
    with_folder(&shared, move |folder| {
        let asked = Asked::of(&uri)?;
        let mut document = Map::new();
        document.insert("gateway".to_owned(), gateway);
        let reader = match Reader::open(&folder) {
            Ok(reader) => reader,
            // Nothing is kept, or nothing yet; how the gateway stands is told all the same.
            Err(OpenError::Missing { .. }) => {
                document.insert("seq".to_owned(), 0.into());
                return Ok(Json(document).into_response());
            }
            Err(error) => return Err(error.into()),
        };
        let seq = reader.newest_seq()?;
        document.insert("seq".to_owned(), seq.into());
        if asked.seq == Some(seq) {
            document.insert("unchanged".to_owned(), true.into());
        } else if let Ok(Value::Object(told)) = serde_json::to_value(added_up(&reader, &asked)?) {
            document.extend(told);
        }
        Ok(Json(document).into_response())
    })
    .await
}

fn added_up(reader: &Reader, asked: &Asked) -> Result<Overview, ReadError> {
    let recents = reader.recents(&asked.ask(false))?;
    let mut told = overview(&recents, asked.steps);
    told.failures = reader.listed(&failed(&recents))?.into_iter().map(failure).collect();
    Ok(told)
}

fn failure(row: Listed) -> Failure {
    Failure {
        id: row.id,
        started_at_us: row.started_at_us,
        model: row.model.or(row.model_requested),
        provider: row.provider,
        outcome: row.outcome,
        status: row.status,
        error_kind: row.error_kind,
        error_detail: row.error_detail,
        session_id: row.session_id,
    }
}

/// How the gateway stands now.
fn standing(shared: &Shared) -> Value {
    let counts = |counters: &crate::store::Counters| {
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "stored": of(&counters.stored),
            "dropped": of(&counters.dropped),
            "failed": of(&counters.failed),
            "queued": of(&counters.queued),
            "queued_bytes": of(&counters.queued_bytes),
            "bodies_shed": of(&counters.bodies_shed_queue).saturating_add(of(&counters.bodies_shed_disk)),
            "bodies_failed": of(&counters.bodies_failed),
            "bodies_cut": of(&counters.bodies_cut),
            "failing": counters.failing.load(Ordering::Relaxed),
            "disk_full": counters.without_bodies.load(Ordering::Relaxed),
        })
    };
    json!({
        "in_flight": shared.in_flight(),
        "not_logged": shared.queue.dropped(),
        "held_bytes": shared.queue.held_bytes(),
        "capture": capture::told(shared),
        "store": shared.store().map(|counters| counts(counters)),
        "warnings": warnings(shared),
        "providers": providers(shared),
    })
}

/// What traffic has shown of each provider since the start; nothing where nothing is metered.
pub fn providers(shared: &Shared) -> Vec<Value> {
    let snapshot = shared.snapshot();
    if !snapshot.settings.telemetry.metering {
        return Vec::new();
    }
    let telemetry = &shared.telemetry;
    let mut rows: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut note = |metric: Metric, name: &str| {
        for (labels, value) in telemetry.standing(metric) {
            let mut labels = labels.into_iter();
            let Some(provider) = labels.next().filter(|provider| !provider.is_empty()) else {
                continue;
            };
            let name =
                labels.next().map_or_else(|| name.to_owned(), |kind| format!("{name}_{kind}"));
            rows.entry(provider).or_default().insert(name, value.into());
        }
    };
    note(Metric::ProviderUp, "up");
    note(Metric::InFlight, "in_flight");
    note(Metric::RateLimit, "limit");
    note(Metric::RateLimitRemaining, "remaining");
    let mut down: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (labels, value) in telemetry.standing(Metric::KeyUp) {
        if let ([provider, key], true) = (labels.as_slice(), value < 1.0) {
            down.entry(provider.clone()).or_default().push(key.clone());
        }
    }
    rows.into_iter()
        .map(|(id, mut row)| {
            let up = row.get("up").and_then(Value::as_f64).map(|up| up > 0.0);
            row.insert("keys_down".to_owned(), down.remove(&id).unwrap_or_default().into());
            row.insert("id".to_owned(), id.into());
            row.insert("up".to_owned(), up.into());
            row.into()
        })
        .collect()
}
