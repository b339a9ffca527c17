//! The operations API over HTTP. Waits; called on worker threads only.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client as Http, RequestBuilder};
use serde_json::Value;

use crate::report::exchange_json::read;
use crate::tui::ask::{Answer, Method, Part, Result, Trouble, Want, escaped};

/// Limit: how long a question may take. A search without an index reads many bodies.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT: Duration = Duration::from_secs(3);

/// A gateway's operations port, with the key that opens it.
#[derive(Clone)]
pub struct Client {
    http: Http,
    base: String,
    key: Option<String>,
}

impl Client {
    /// `base` such as `http://127.0.0.1:9464`.
    pub fn new(base: &str, key: Option<String>) -> std::result::Result<Self, String> {
        let http = Http::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key })
    }

    pub fn ask(&self, want: &Want) -> Result<Answer> {
        let (method, path, body) = request(want);
        let url = format!("{}{path}", self.base);
        let builder = match method {
            None => self.http.get(url),
            Some(Method::Post) => self.http.post(url),
            Some(Method::Put) => self.http.put(url),
            Some(Method::Delete) => self.http.delete(url),
        };
        let builder = match body {
            Some(body) => builder.json(body),
            None => builder,
        };
        let bytes = self.send(builder)?;
        if matches!(want, Want::Text { .. }) {
            return Ok(Answer::Text(String::from_utf8_lossy(&bytes).into_owned()));
        }
        understood(want, self.json(&bytes)?)
    }

    fn send(&self, builder: RequestBuilder) -> Result<Vec<u8>> {
        let builder = match &self.key {
            Some(key) => builder.bearer_auth(key),
            None => builder,
        };
        let response = builder.send().map_err(|error| self.gone(&error))?;
        let status = response.status();
        let bytes = response.bytes().map_err(|error| self.gone(&error))?;
        if !status.is_success() {
            return Err(refused(status, &bytes));
        }
        Ok(bytes.to_vec())
    }

    fn json(&self, bytes: &[u8]) -> Result<Value> {
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(bytes).map_err(|error| {
            Trouble::Odd(format!(
                "{} answers no JSON: {error}; is it a Pinhole's operations port?",
                self.base
            ))
        })
    }

    fn gone(&self, error: &reqwest::Error) -> Trouble {
        let why = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            // The innermost cause says what the system said.
            let mut cause: &dyn std::error::Error = error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            cause.to_string()
        };
        Trouble::Gone(format!("no gateway answers at {}: {why}", self.base))
    }
}

/// A question as a request: method (none: GET), path with query, body.
fn request(want: &Want) -> (Option<Method>, String, Option<&Value>) {
    match want {
        Want::Exchanges { filter, part, limit } => {
            (None, list("exchanges", filter, *part, *limit), None)
        }
        Want::Sessions { filter, part, limit } => {
            (None, list("sessions", filter, *part, *limit), None)
        }
        Want::Exchange { id } => (None, format!("/api/exchanges/{id}"), None),
        Want::Get { path } | Want::Text { path } => (None, format!("/api/{path}"), None),
        Want::Do { method, path, body } => (Some(*method), format!("/api/{path}"), body.as_ref()),
        Want::Health => (None, "/health".to_owned(), None),
    }
}

fn list(what: &str, filter: &str, part: Part, limit: usize) -> String {
    let filter = match filter.trim() {
        "" => String::new(),
        filter => format!("&where={}", escaped(filter)),
    };
    let part = match part {
        Part::Newest => String::new(),
        Part::Before(seq) => format!("&before={seq}"),
        Part::After(seq) => format!("&after={seq}"),
    };
    format!("/api/{what}?limit={limit}{filter}{part}")
}

fn understood(want: &Want, mut value: Value) -> Result<Answer> {
    let odd = |error: String| Trouble::Odd(format!("the gateway's answer cannot be read: {error}"));
    let next = value.get("next").and_then(Value::as_i64);
    let mut taken = |name: &str| value.get_mut(name).map(Value::take).unwrap_or_default();
    match want {
        Want::Exchanges { .. } => {
            Ok(Answer::Exchanges { rows: read::listed(taken("exchanges")).map_err(odd)?, next })
        }
        Want::Sessions { .. } => {
            let rows = serde_json::from_value(taken("sessions"));
            Ok(Answer::Sessions { rows: rows.map_err(|error| odd(error.to_string()))?, next })
        }
        Want::Exchange { .. } => Ok(Answer::Exchange(Box::new(read::stored(value).map_err(odd)?))),
        Want::Do { .. } if value.is_null() => Ok(Answer::Done),
        Want::Get { .. } | Want::Text { .. } | Want::Health | Want::Do { .. } => {
            Ok(Answer::Json(value))
        }
    }
}

/// The problem document's words, or what there is.
fn refused(status: StatusCode, bytes: &[u8]) -> Trouble {
    let document: Option<Value> = serde_json::from_slice(bytes).ok();
    let detail = document.as_ref().and_then(|document| document.get("detail")?.as_str());
    let detail = match detail {
        Some(detail) => detail.to_owned(),
        None => format!("the gateway answers {status}"),
    };
    Trouble::Refused { status: status.as_u16(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_paths() {
        let want = Want::Exchanges {
            filter: "model:gpt-5* text:\"a b\"".to_owned(),
            part: Part::After(7),
            limit: 50,
        };
        let path = "/api/exchanges?limit=50&where=model%3Agpt-5%2A%20text%3A%22a%20b%22&after=7";
        assert_eq!(request(&want).1, path);
        let want = Want::Sessions { filter: " ".to_owned(), part: Part::Newest, limit: 9 };
        assert_eq!(request(&want).1, "/api/sessions?limit=9");
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let told = refused(
            StatusCode::BAD_REQUEST,
            br#"{"title":"Bad","detail":"where: no field `modle`"}"#,
        );
        assert_eq!(
            told,
            Trouble::Refused { status: 400, detail: "where: no field `modle`".to_owned() }
        );
        assert!(refused(StatusCode::BAD_GATEWAY, b"<html>").words().contains("502"));
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let client = Client::new("http://127.0.0.1:9/", None).unwrap();
        let told = client.ask(&Want::Health).unwrap_err();
        assert!(
            matches!(&told, Trouble::Gone(words) if words.contains("127.0.0.1:9:")),
            "{told:?}"
        );
    }
}
