//! `GET /api/pricing` and `/api/pricing/{model}`: the price lists in force, as JSON with units, answered 304 while the
//! reader has them already.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::price::lists::{Found, Lists};
use crate::price::view;
use crate::proxy::state::Shared;

/// Every row that stands on the lists, and which sellers take over the rows of others.
pub async fn all(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let snapshot = shared.snapshot();
    let lists = snapshot.settings.prices.book.lists();
    let mut body = document(lists, &lists.rows().collect::<Vec<_>>());
    body["bases"] = lists.kinship();
    answer(&body, &headers)
}

/// One model, at every seller that has it; a name on no list has none.
pub async fn one(
    State(shared): State<Arc<Shared>>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Response {
    let snapshot = shared.snapshot();
    let lists = snapshot.settings.prices.book.lists();
    answer(&document(lists, &lists.everywhere(&model)), &headers)
}

fn document(lists: &Lists, rows: &[Found]) -> Value {
    json!({
        "version": lists.version(),
        "date": lists.date().map(|date| date.to_string()),
        "currency": "USD",
        "units": view::units(),
        "models": rows.iter().map(view::row).collect::<Vec<_>>(),
    })
}

fn answer(body: &Value, headers: &HeaderMap) -> Response {
    let text = body.to_string();
    let etag = format!("\"{}\"", &blake3::hash(text.as_bytes()).to_hex()[..32]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| has(value, &etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (json, text).into_response()
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Whether a list of tags names this one; weak tags count, as RFC 9110 has it for this header.
fn has(value: &HeaderValue, etag: &str) -> bool {
    let Ok(tags) = value.to_str() else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
