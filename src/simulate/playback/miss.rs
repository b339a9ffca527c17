//! What a caller is told when no recording answers it: an error in its own dialect with the nearest recording and what
//! differs.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use pinhole_replay::library::{Difference, Miss, Reason};
use serde_json::{Value, json};

use super::PLAYBACK;
use super::play::Reply;
use crate::simulate::answer::error;
use crate::simulate::endpoint::Family;

/// Differences that stand in the message; all that are known stand in the error's `playback`.
const TOLD_MAX: usize = 4;
/// Limit: bytes of the names of differing fields in a header.
const NAMES_MAX: usize = 512;

/// In one sentence, for people.
pub(super) fn words(miss: &Miss, place: &str) -> String {
    let why = match miss.reason {
        Reason::Unrecorded => format!("no recording answers {place}"),
        Reason::Exhausted => format!("every recording of {place} has been played"),
    };
    let Some(nearest) = &miss.nearest else { return format!("{why}; nothing was recorded") };
    let told: Vec<String> = nearest.differences.iter().take(TOLD_MAX).map(difference).collect();
    let more = nearest.differences.len().saturating_sub(TOLD_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    if told.is_empty() {
        return format!("{why}; the last of them is {}", nearest.id);
    }
    format!("{why}; the nearest is {}, which differs in {}{more}", nearest.id, told.join("; "))
}

fn difference(one: &Difference) -> String {
    let shown = |side: &Option<String>| match side {
        Some(value) => format!("`{value}`"),
        None => "nothing".to_owned(),
    };
    format!("{}: recorded {}, asked {}", one.path, shown(&one.recorded), shown(&one.asked))
}

pub(super) fn facts(miss: &Miss) -> Value {
    let nearest = miss.nearest.as_ref();
    json!({
        "reason": match miss.reason {
            Reason::Unrecorded => "unrecorded",
            Reason::Exhausted => "exhausted",
        },
        "nearest": nearest.map(|nearest| &*nearest.id),
        "alike": nearest.map(|nearest| f64::from(nearest.alike) / 1_000.0),
        "differences": nearest.map(|nearest| &nearest.differences),
    })
}

/// The error. Clients do not try again: it would be the same.
pub(super) fn response(family: Family, miss: &Miss, place: &str) -> Response<Reply> {
    let message = words(miss, place);
    let mut value = error::body(family, 404, Some(&message), "");
    if let Some(inner) = value.get_mut("error").and_then(Value::as_object_mut) {
        if family == Family::OpenAi {
            inner.insert("code".to_owned(), json!("playback_miss"));
        }
        inner.insert("playback".to_owned(), facts(miss));
    }
    let of = miss.nearest.as_ref().map(|nearest| &*nearest.id);
    let mut response = told(StatusCode::NOT_FOUND, &value);
    let mark = of.map_or_else(|| "miss".to_owned(), |id| format!("miss; of={id}"));
    mark_as(&mut response, &mark);
    response
}

/// An error without a recording behind it.
pub(super) fn plain(family: Family, status: StatusCode, message: Option<&str>) -> Response<Reply> {
    told(status, &error::body(family, status.as_u16(), message, ""))
}

fn told(status: StatusCode, value: &Value) -> Response<Reply> {
    let mut response = json_of(value);
    *response.status_mut() = status;
    response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
    response
}

pub(super) fn json_of(value: &Value) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(Bytes::from(value.to_string()))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Says in a header what the answer is.
pub(super) fn mark_as(response: &mut Response<Reply>, mark: &str) {
    if let Ok(mark) = HeaderValue::try_from(mark) {
        response.headers_mut().insert(PLAYBACK, mark);
    }
}

/// Names of the differing fields, as they may stand in a header.
pub(super) fn names(differences: &[Difference]) -> String {
    let mut names = String::new();
    for one in differences {
        let name = one.path.chars().map(|c| if c.is_ascii_graphic() && c != ',' { c } else { '?' });
        let name: String = name.collect();
        if names.len() + name.len() > NAMES_MAX {
            names.push_str(",…");
            return names.replace('…', "...");
        }
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(&name);
    }
    names
}
