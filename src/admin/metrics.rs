//! `GET /metrics`: the instruments as text, in the form and coding that the scraper prefers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::base::coding;
use crate::proxy::state::Shared;
use crate::telemetry::{negotiate, openmetrics};

pub async fn scrape(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let sent = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let form = negotiate::form(sent(header::ACCEPT));
    let gzip = negotiate::gzip(sent(header::ACCEPT_ENCODING));
    // Some milliseconds of one core; traffic runs on threads of its own.
    let text = openmetrics::render(form, &shared.telemetry.gather());
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    let vary = (header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        let coded = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return ([kind, vary, coded], coding::gzip(text.as_bytes())).into_response();
    }
    ([kind, vary], text).into_response()
}
