//! Looking at one exchange: `GET /api/live/{id}`, one that runs, as it grows; `GET /api/exchanges/{id}/diagnosis`, what is
//! wrong with one that has ended.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::admin::capture;
use crate::admin::problem::problem;
use crate::admin::read::{self, Refusal, with_reader};
use crate::exchange::watch::Seen;
use crate::observe::clean;
use crate::policy::redact::Shape;
use crate::proxy::state::Shared;
use crate::report::around;
use crate::report::diagnose::{diagnose, text};
use crate::report::look::Look;

/// Limit: columns that a text is made for.
const WIDTH_MAX: i64 = 1_000;

/// What a watcher has already.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    attempt: usize,
    pieces: usize,
}

/// One that runs: its row of `/api/live`, and what has come of the answer since the first time that this was asked for. With
/// `attempt` and `after`, the answer leaves out that many pieces.
pub async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>, uri: Uri) -> Response {
    let known = match known(&uri) {
        Ok(known) => known,
        Err(refusal) => return problem(refusal.status, &refusal.detail),
    };
    let Some(entry) = shared.queue.live().find(&id) else {
        let told =
            "no exchange that runs has this id; if it has ended, the store has it: /api/exchanges";
        return problem(StatusCode::NOT_FOUND, told);
    };
    // Copied while the exchange may wait for the lock, worked on afterwards.
    let made = tokio::task::spawn_blocking(move || {
        let seen = entry.watch(Clone::clone);
        let mut told = capture::one(&entry);
        told["response"] = response(&seen, known);
        told
    });
    match made.await {
        Ok(told) => Json(told).into_response(),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "looking at the exchange panicked"),
    }
}

fn known(uri: &Uri) -> Result<Known, Refusal> {
    let mut known = Known::default();
    for (name, value) in read::pairs(uri)? {
        let number = |max| read::number(&name, &value, 0, max);
        let of = |number: i64| usize::try_from(number).unwrap_or(0);
        match name.as_str() {
            "attempt" => known.attempt = of(number(1_000)?),
            "after" => known.pieces = of(number(i64::from(u32::MAX))?),
            other => return Err(read::unknown(other, "attempt, after")),
        }
    }
    Ok(known)
}

/// The answer so far; nothing before the first piece that came while it was watched.
fn response(seen: &Seen, known: Known) -> Value {
    if seen.attempt == 0 {
        return Value::Null;
    }
    let table = &seen.arrivals.table;
    let cleaned = cleaned(seen);
    // What was redacted has other lengths than the pieces: it is told whole, every time.
    let goes_on = known.attempt == seen.attempt && known.pieces <= table.len() && cleaned.is_none();
    let from = if goes_on { known.pieces } else { 0 };
    let (earlier, new) = table.split_at(from.min(table.len()));
    let start: u64 = earlier.iter().map(|(_, length)| u64::from(*length)).sum();
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let bytes = match &cleaned {
        Some(bytes) => bytes.as_slice(),
        None => seen.bytes.get(start.min(seen.bytes.len())..).unwrap_or_default(),
    };
    let text = std::str::from_utf8(bytes).ok();
    let coding = seen.coding.as_deref().filter(|_| cleaned.is_none());
    json!({
        "attempt": seen.attempt,
        "status": seen.status,
        "coding": coding,
        "from": from,
        "frames": new,
        "frames_untabled": seen.arrivals.untabled,
        "text": text,
        "base64": text.is_none().then(|| BASE64_STANDARD.encode(bytes)),
        "cut_bytes": seen.cut_bytes,
        "redacted": cleaned.is_some(),
        "withheld": seen.is_withheld.then_some(
            "what it says is not shown, because its body is not going to be kept: capture.level = \"full\" keeps bodies"
        ),
    })
}

/// By the rules by which it is going to be stored, where these find anything: watching shows no more than storing does.
fn cleaned(seen: &Seen) -> Option<Vec<u8>> {
    let redactor = clean::in_force().current();
    let shape = Shape { coding: seen.coding.as_deref(), events: seen.events };
    let whole = redactor.whole(&seen.bytes, shape).map(|cleaned| cleaned.bytes);
    let bytes = whole.as_deref().unwrap_or(&seen.bytes);
    redactor.clean(bytes).or(whole)
}

/// What failed in one exchange, where, and what to do, as data and as text: `width` columns wide, with `colour=true` in the
/// colours of a terminal.
pub async fn diagnosis(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    with_reader(&shared, move |reader| {
        let look = look(&uri)?;
        let row = reader.find(&id)?;
        let context = around::context(&reader, &row)?;
        let stored = reader.salvage(row)?;
        let found = diagnose(&stored, &context);
        let mut told = serde_json::to_value(&found)
            .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        told["text"] = text::one(&found, &stored.row, look).trim_end().into();
        Ok(Json(told).into_response())
    })
    .await
}

fn look(uri: &Uri) -> Result<Look, Refusal> {
    let mut look = Look::default();
    for (name, value) in read::pairs(uri)? {
        match (name.as_str(), value.as_str()) {
            ("width", value) => {
                let width = read::number("width", value, 20, WIDTH_MAX)?;
                look.width = usize::try_from(width).ok();
            }
            ("colour", "true") => look.colour = true,
            ("colour", "false") => look.colour = false,
            ("colour", _) => return Err(Refusal::bad("colour: it is true or false")),
            (other, _) => return Err(read::unknown(other, "width, colour")),
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::frames::Arrivals;

    fn seen(bytes: &[u8]) -> Seen {
        let length = u32::try_from(bytes.len()).unwrap();
        let table = vec![(100, 4), (200, length - 4)];
        Seen {
            attempt: 1,
            status: Some(200),
            arrivals: Arrivals { table, untabled: 0 },
            bytes: bytes.to_vec(),
            ..Seen::default()
        }
    }

    #[test]
    fn who_has_the_beginning_gets_the_rest() {
        assert_eq!(response(&Seen::default(), Known::default()), Value::Null);
        let seen = seen(b"one two");
        let all = response(&seen, Known::default());
        assert_eq!((&all["text"], &all["from"]), (&json!("one two"), &json!(0)));
        let rest = response(&seen, Known { attempt: 1, pieces: 1 });
        assert_eq!((&rest["text"], &rest["frames"]), (&json!("two"), &json!([[200, 3]])));
        let other = response(&seen, Known { attempt: 2, pieces: 1 });
        assert_eq!(other["text"], "one two", "another attempt's pieces are no beginning of this");
        let none = response(&seen, Known { attempt: 1, pieces: 2 });
        assert_eq!((&none["text"], &none["frames"]), (&json!(""), &json!([])));
    }

    #[test]
    fn bytes_that_are_no_text_and_bytes_that_nobody_keeps() {
        let told = response(&seen(b"ab\xff\xfe\xfd"), Known::default());
        assert_eq!((&told["text"], &told["base64"]), (&Value::Null, &json!("YWL//v0=")));
        let hidden = Seen { is_withheld: true, bytes: Vec::new(), ..seen(b"abcdefg") };
        let told = response(&hidden, Known::default());
        assert_eq!(told["text"], "");
        assert!(told["withheld"].as_str().unwrap().contains("capture.level"));
    }

    #[test]
    fn secrets_are_told_as_they_are_stored() {
        let text =
            format!("data: {{\"delta\":\"the key is sk-ant-api03-{}\"}}\n\n", "a".repeat(90));
        let told = response(&seen(text.as_bytes()), Known { attempt: 1, pieces: 1 });
        assert_eq!((&told["redacted"], &told["from"]), (&json!(true), &json!(0)));
        assert!(told["text"].as_str().unwrap().contains("[redacted:"), "{told}");
    }
}
