//! `GET /api/exchanges` and what lies below it: pages of a query, one exchange whole, its bodies as bytes, and its labels;
//! `GET /api/sessions`. The same queries and the same shapes as on the command line.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::admin::read::{self, Refusal, with_folder, with_reader};
use crate::base::id::ExchangeId;
use crate::proxy::state::Shared;
use crate::report::exchange::list;
use crate::report::exchange_json;
use crate::store::labels::{self, LabelError, New, On};
use crate::store::pins;
use crate::store::query::Query;
use crate::store::query::page::{By, Page};
use crate::store::stored::{Body, Leg, Stored, Whole};

/// Rows of an answer when `limit` says nothing.
const ROWS_DEFAULT: i64 = 50;
/// Limit: rows of one answer.
const ROWS_MAX: i64 = 1_000;
/// Limit: matches that are counted for one answer.
const COUNTED_MAX: usize = 50_000;
/// Limit: matches that are looked at to sort them; the newest.
const SORTED_MAX: usize = 20_000;

/// A page of exchanges, newest first; `next` is what `before` has to be for the page after it. With `after`, what came
/// after that seq, oldest first: for whoever follows, and to read on towards the newest. With `sort`, those that are greatest
/// in that among the newest matches; `among` says how many those were.
pub async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    with_reader(&shared, move |reader| {
        let Asked { query, page, sort } = asked(&uri)?;
        if let Some(by) = sort {
            if page.before.is_some() || page.after.is_some() {
                return Err(Refusal::bad("sort: goes without before and after; it has one page"));
            }
            let (rows, among) = reader.greatest(&query, by, SORTED_MAX, page.limit)?;
            let rows: Vec<_> = rows.iter().map(list::json).collect();
            return Ok(
                Json(json!({ "exchanges": rows, "next": null, "among": among })).into_response()
            );
        }
        let rows = reader.list(&query, &page)?;
        let next = next(rows.len(), &page, rows.last().map(|row| row.seq));
        let rows: Vec<_> = rows.iter().map(list::json).collect();
        Ok(Json(json!({ "exchanges": rows, "next": next })).into_response())
    })
    .await
}

/// How many exchanges a query finds, some thousands at a time; `next` is what `before` has to be to go on counting.
pub async fn count(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    with_reader(&shared, move |reader| {
        let Asked { query, page, .. } = asked(&uri)?;
        let (count, next) = reader.count_below(&query, page.before, COUNTED_MAX)?;
        Ok(Json(json!({ "count": count, "next": next })).into_response())
    })
    .await
}

/// A page of sessions, the one with the newest match first.
pub async fn sessions(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    with_reader(&shared, move |reader| {
        let Asked { query, page, .. } = asked(&uri)?;
        let rows = reader.sessions(&query, &page)?;
        let next = next(rows.len(), &page, rows.last().map(|row| row.seq));
        Ok(Json(json!({ "sessions": rows, "next": next })).into_response())
    })
    .await
}

/// One exchange, whole.
pub async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    with_reader(&shared, move |reader| {
        let stored = reader.salvage(reader.find(&id)?)?;
        Ok(Json(exchange_json::document(&stored)).into_response())
    })
    .await
}

/// The bytes of a request's body: the client's, or with `leg=upstream` what went to a provider.
pub async fn request(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    raw(&shared, id, uri, Side::Request).await
}

/// The same of a response.
pub async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    raw(&shared, id, uri, Side::Response).await
}

/// Puts a label on an exchange.
pub async fn label(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    with_folder(&shared, move |folder| {
        let new = told(&body)?;
        let on = exchange(&folder, &id)?;
        let label =
            labels::put(&folder, &on, &new, read::now_us()).map_err(|error| of_label(&error))?;
        Ok((StatusCode::CREATED, Json(label)).into_response())
    })
    .await
}

/// Takes a label off an exchange.
pub async fn unlabel(
    State(shared): State<Arc<Shared>>,
    Path((id, name)): Path<(String, String)>,
) -> Response {
    with_folder(&shared, move |folder| {
        let on = exchange(&folder, &id)?;
        if labels::remove(&folder, &on, &name).map_err(|error| of_label(&error))? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such label on this exchange"))
    })
    .await
}

/// Takes a label off a session.
pub async fn unlabel_session(
    State(shared): State<Arc<Shared>>,
    Path((session, name)): Path<(String, String)>,
) -> Response {
    with_folder(&shared, move |folder| {
        let on = On::Session(session);
        if labels::remove(&folder, &on, &name).map_err(|error| of_label(&error))? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such label on this session"))
    })
    .await
}

/// Pins an exchange: retention leaves it alone.
pub async fn pin(shared: State<Arc<Shared>>, id: Path<String>) -> Response {
    pinned(shared, id, true).await
}

/// Lets retention have it again.
pub async fn unpin(shared: State<Arc<Shared>>, id: Path<String>) -> Response {
    pinned(shared, id, false).await
}

async fn pinned(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    pinned: bool,
) -> Response {
    with_folder(&shared, move |folder| {
        let on = exchange(&folder, &id)?;
        pins::set(&folder, &on, pinned).map_err(|error| of_label(&error))?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// Puts a label on a session.
pub async fn label_session(
    State(shared): State<Arc<Shared>>,
    Path(session): Path<String>,
    body: Bytes,
) -> Response {
    with_folder(&shared, move |folder| {
        let new = told(&body)?;
        let on = On::Session(session);
        let label =
            labels::put(&folder, &on, &new, read::now_us()).map_err(|error| of_label(&error))?;
        Ok((StatusCode::CREATED, Json(label)).into_response())
    })
    .await
}

/// What a list is asked for.
struct Asked {
    query: Query,
    page: Page,
    sort: Option<By>,
}

fn asked(uri: &Uri) -> Result<Asked, Refusal> {
    let (mut query, mut sort) = (Query::all(), None);
    let mut page = Page::newest(usize::try_from(ROWS_DEFAULT).unwrap_or_default());
    for (name, value) in read::pairs(uri)? {
        match name.as_str() {
            "where" => {
                query = Query::parse(&value, read::now_us())
                    .map_err(|error| Refusal::bad(format!("where: {error}")))?;
            }
            "limit" => {
                let limit = read::number("limit", &value, 1, ROWS_MAX)?;
                page.limit = usize::try_from(limit).unwrap_or_default();
            }
            "before" => page.before = Some(read::number("before", &value, 0, i64::MAX)?),
            "after" => page.after = Some(read::number("after", &value, 0, i64::MAX)?),
            "sort" => sort = Some(sorted(&value)?),
            other => return Err(read::unknown(other, "where, limit, before, after, sort")),
        }
    }
    Ok(Asked { query, page, sort })
}

fn sorted(value: &str) -> Result<By, Refusal> {
    By::ALL.into_iter().find(|by| by.label() == value).ok_or_else(|| {
        let known = By::ALL.map(By::label).join(", ");
        Refusal::bad(format!("sort: `{}` is nothing to sort by; use {known}", value.escape_debug()))
    })
}

/// Nothing when this page is the last.
fn next(rows: usize, page: &Page, last: Option<i64>) -> Option<i64> {
    last.filter(|_| rows == page.limit)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

async fn raw(shared: &Arc<Shared>, id: String, uri: Uri, side: Side) -> Response {
    with_reader(shared, move |reader| {
        let (upstream, attempt) = leg_asked(&uri)?;
        let stored = reader.salvage(reader.find(&id)?)?;
        let attempt = match (upstream, attempt) {
            (false, None) => None,
            (_, None) => Some(stored.attempts.len().max(1)),
            (_, Some(n)) => Some(n),
        };
        bytes(&stored, side, attempt)
    })
    .await
}

/// Whether a provider's leg is meant, and of which attempt.
fn leg_asked(uri: &Uri) -> Result<(bool, Option<usize>), Refusal> {
    let (mut upstream, mut attempt) = (false, None);
    for (name, value) in read::pairs(uri)? {
        match (name.as_str(), value.as_str()) {
            ("leg", "client") => {}
            ("leg", "upstream") => upstream = true,
            ("leg", _) => {
                return Err(Refusal::bad("leg: there are two, client and upstream"));
            }
            ("attempt", value) => {
                let n = read::number("attempt", value, 1, 1_000)?;
                attempt = usize::try_from(n).ok();
            }
            (other, _) => return Err(read::unknown(other, "leg, attempt")),
        }
    }
    if attempt.is_some() && !upstream {
        return Err(Refusal::bad("attempt: only legs to a provider have one; add leg=upstream"));
    }
    Ok((upstream, attempt))
}

/// The body of a leg; `attempt` from 1, none is the client's.
fn bytes(stored: &Stored, side: Side, attempt: Option<usize>) -> Result<Response, Refusal> {
    let tried = match attempt {
        None => None,
        Some(n) => Some(stored.attempts.get(n - 1).ok_or_else(|| {
            let there = stored.attempts.len();
            Refusal::new(StatusCode::NOT_FOUND, format!("attempt {n}: the exchange has {there}"))
        })?),
    };
    let index = attempt.unwrap_or(1) - 1;
    let (leg, whole) = match (side, tried) {
        (Side::Request, None) => (&stored.request, stored.client_request()),
        (Side::Response, None) => (&stored.response, stored.client_response()),
        (Side::Request, Some(tried)) => (&tried.request, stored.upstream_request(index)),
        (Side::Response, Some(tried)) => (&tried.response, stored.upstream_response(index)),
    };
    match whole {
        Some(whole) => Ok(body(stored, side, leg, whole)),
        None => Err(absent(leg)),
    }
}

/// Not there at all, or there once.
fn absent(leg: &Leg) -> Refusal {
    use crate::store::capture::Absent;
    let why = match &leg.body {
        Body::Absent(why) => *why,
        Body::Same | Body::Whole(_) => Absent::NotKept,
    };
    let status = match why {
        Absent::NotKept | Absent::Nothing => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    let reason = exchange_json::reason(why);
    Refusal::new(status, format!("no body ({reason}): {}", exchange_json::explained(why)))
}

/// The bytes as they are kept, coding and all. Never as a page: what a model wrote is not ours.
fn body(stored: &Stored, side: Side, leg: &Leg, whole: &Whole) -> Response {
    let mut headers = HeaderMap::new();
    let kind = content_type(leg).or_else(|| {
        // A leg that is the same as another's keeps no headers where none were changed.
        content_type(match side {
            Side::Request => &stored.request,
            Side::Response => {
                stored.attempts.last().map_or(&stored.response, |last| &last.response)
            }
        })
    });
    let set = |headers: &mut HeaderMap, name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(&mut headers, header::CONTENT_TYPE, kind.unwrap_or("application/octet-stream"));
    if let Some(coding) = &whole.coding {
        set(&mut headers, header::CONTENT_ENCODING, coding);
    }
    set(&mut headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut headers, header::CONTENT_DISPOSITION, "attachment");
    if whole.redacted {
        set(&mut headers, HeaderName::from_static("x-pinhole-redacted"), "true");
    }
    if whole.cut_bytes > 0 {
        let name = HeaderName::from_static("x-pinhole-cut-bytes");
        set(&mut headers, name, &whole.cut_bytes.to_string());
    }
    (headers, whole.bytes.clone()).into_response()
}

fn content_type(leg: &Leg) -> Option<&str> {
    let headers = leg.headers.as_ref()?;
    let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-type");
    headers.iter().find(named).map(|(_, value)| value.as_str())
}

/// A label as a request's body has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    name: String,
    score: Option<f64>,
    note: Option<String>,
    author: Option<String>,
}

fn told(body: &[u8]) -> Result<New, Refusal> {
    let Told { name, score, note, author } = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(format!(
            "the body is no label: {error}; send {{\"name\": …}}, with score, note and author as you like"
        ))
    })?;
    Ok(New { name, score, note, author })
}

fn exchange(folder: &std::path::Path, id: &str) -> Result<On, Refusal> {
    let row = crate::store::reader::Reader::open(folder)?.find(id)?;
    let parsed = ExchangeId::parse(&row.id).map(On::Exchange);
    parsed.ok_or_else(|| Refusal::bad("the id in the store is no UUID"))
}

fn of_label(error: &LabelError) -> Refusal {
    let status = match error {
        LabelError::Name(_)
        | LabelError::Score(_)
        | LabelError::Note(_)
        | LabelError::Author(_) => StatusCode::BAD_REQUEST,
        LabelError::TooMany => StatusCode::CONFLICT,
        LabelError::NoExchange(_) | LabelError::NoSession(_) => StatusCode::NOT_FOUND,
        LabelError::Open(_) | LabelError::Write(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal::new(status, error.to_string())
}
