//! Reads what a provider says when it says no: the error envelopes of all dialects and of the many that come near them.
//! Which envelope it is, the body tells: a compatible provider, or a front door, need not keep to its dialect.

use serde_json::Value;

use crate::base::sse::Splitter;

/// Limit: bytes of a document that is read as an error.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Limit: bytes of one event that is read.
const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Limit: characters kept of a message.
const MESSAGE_CHARS_MAX: usize = 2_000;
/// Limit: quotas, and findings about single fields, that are kept.
const LIST_MAX: usize = 8;

/// A provider's error in its own words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Complaint {
    /// `error.type`; Google's canonical status.
    pub kind: Option<String>,
    pub code: Option<String>,
    pub message: String,
    /// The field that is at fault, where one is named.
    pub param: Option<String>,
    /// The number that some envelopes carry as `code`.
    pub status: Option<u16>,
    /// Google's quota ids, such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    pub quotas: Vec<String>,
    /// Google's `RetryInfo`.
    pub retry_after_s: Option<f64>,
    /// The provider behind the provider (OpenRouter).
    pub via: Option<String>,
    /// The gateway wrote it: its envelopes name the source.
    pub own: bool,
}

impl Complaint {
    /// Type and code in one line, as far as they are there.
    pub fn name(&self) -> Option<String> {
        match (self.kind.as_deref(), self.code.as_deref()) {
            (Some(kind), Some(code)) if kind != code => Some(format!("{kind}/{code}")),
            (Some(one), _) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        }
    }
}

/// The error in a whole document; `None` when it holds none.
pub fn of_document(body: &[u8]) -> Option<Complaint> {
    let start = body.get(..DOCUMENT_BYTES_MAX).unwrap_or(body);
    of_value(&serde_json::from_slice(start).ok()?)
}

/// The last error among the events of a stream.
pub fn of_events(bytes: &[u8]) -> Option<Complaint> {
    let mut found = None;
    let mut splitter = Splitter::new(EVENT_BYTES_MAX);
    let mut look = |data: &[u8]| {
        if memchr::memmem::find(data, b"rror").is_some()
            && let Ok(value) = serde_json::from_slice(data)
            && let Some(complaint) = of_value(&value)
        {
            found = Some(complaint);
        }
    };
    splitter.feed_borrowed(bytes, |event| look(event.data));
    if let Some(last) = splitter.finish() {
        look(&last.data);
    }
    found
}

fn of_value(value: &Value) -> Option<Complaint> {
    match value {
        Value::Array(list) => list.iter().rev().find_map(of_value),
        Value::Object(_) => of_object(value),
        _ => None,
    }
}

fn of_object(body: &Value) -> Option<Complaint> {
    // Responses: a failed one, in an event or as a document.
    if let Some(error) = body.pointer("/response/error").filter(|error| error.is_object()) {
        return Some(of_error(error));
    }
    if let Some(reason) = body.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
        return Some(Complaint {
            kind: Some("prompt_blocked".to_owned()),
            code: Some(reason.to_owned()),
            message: text(body.pointer("/promptFeedback/blockReasonMessage")).unwrap_or_default(),
            ..Complaint::default()
        });
    }
    match body.get("error") {
        Some(error @ Value::Object(_)) => return Some(of_error(error)),
        Some(Value::String(words)) => {
            let message = text(body.get("message")).or_else(|| text(body.get("error_description")));
            return Some(Complaint {
                kind: message.is_some().then(|| words.clone()),
                message: message.unwrap_or_else(|| bounded(words)),
                ..of_error(body)
            });
        }
        _ => {}
    }
    // The fields stand at the top: the Responses' error event, vLLM, Mistral, Bedrock.
    let is_error = body.get("type").and_then(Value::as_str) == Some("error")
        || body.get("object").and_then(Value::as_str) == Some("error")
        || body.get("__type").is_some()
        || (body.get("message").is_some() && body.get("choices").is_none());
    if is_error {
        return Some(of_error(body));
    }
    body.get("detail")
        .map(|detail| Complaint { message: of_detail(detail), ..Complaint::default() })
}

fn of_error(error: &Value) -> Complaint {
    let number =
        error.get("code").and_then(Value::as_u64).or_else(|| error.get("status")?.as_u64());
    let kind = text(error.get("type")).filter(|kind| kind != "error");
    let mut complaint = Complaint {
        kind: kind.or_else(|| text(error.get("status"))).or_else(|| text(error.get("__type"))),
        code: text(error.get("code")),
        message: match error.get("message") {
            Some(Value::String(words)) => bounded(words),
            Some(other) => of_detail(other.get("detail").unwrap_or(other)),
            None => String::new(),
        },
        param: text(error.get("param")),
        status: number.and_then(|number| u16::try_from(number).ok()),
        own: text(error.get("source")).is_some(),
        ..Complaint::default()
    };
    complaint.take_details(error);
    complaint.take_metadata(error);
    complaint
}

impl Complaint {
    /// Google's `details`.
    fn take_details(&mut self, error: &Value) {
        let Some(details) = error.get("details").and_then(Value::as_array) else { return };
        for detail in details {
            if let Some(delay) = text(detail.get("retryDelay")) {
                self.retry_after_s = delay.trim_end_matches('s').parse().ok();
            }
            if let Some(reason) = text(detail.get("reason")) {
                self.own |= text(detail.get("domain")).as_deref() == Some("pinhole");
                self.code.get_or_insert(reason);
            }
            for violation in list(detail.get("violations")) {
                let id = text(violation.get("quotaId")).or_else(|| text(violation.get("subject")));
                self.quotas.extend(id.filter(|_| self.quotas.len() < LIST_MAX));
            }
            for violation in list(detail.get("fieldViolations")) {
                self.param = self.param.take().or_else(|| text(violation.get("field")));
            }
        }
    }

    /// OpenRouter puts what the provider behind it said into `metadata`.
    fn take_metadata(&mut self, error: &Value) {
        let Some(metadata) = error.get("metadata") else { return };
        self.via = text(metadata.get("provider_name"));
        let raw = match metadata.get("raw") {
            Some(Value::String(raw)) => of_document(raw.as_bytes())
                .or_else(|| Some(Complaint { message: bounded(raw), ..Self::default() })),
            Some(raw) => of_value(raw),
            None => None,
        };
        let Some(inner) = raw.filter(|inner| !inner.message.is_empty()) else { return };
        self.message = format!("{}: {}", self.message, inner.message);
        self.kind = inner.kind.or(self.kind.take());
        self.code = inner.code.or(self.code.take());
    }
}

/// What validators say: a text, or a list of places and messages.
fn of_detail(detail: &Value) -> String {
    let Some(findings) = detail.as_array() else {
        return bounded(&text(Some(detail)).unwrap_or_else(|| detail.to_string()));
    };
    let said = findings.iter().take(LIST_MAX).map(|finding| {
        let place: Vec<String> = list(finding.get("loc"))
            .iter()
            .map(|step| text(Some(step)).unwrap_or_else(|| step.to_string()))
            .collect();
        let words = text(finding.get("msg")).unwrap_or_else(|| finding.to_string());
        if place.is_empty() { words } else { format!("{}: {words}", place.join(".")) }
    });
    bounded(&said.collect::<Vec<_>>().join("; "))
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty()).map(bounded)
}

fn bounded(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kind, code, message, param
    fn check(body: &str, expected: [&str; 4]) {
        let found = of_document(body.as_bytes()).unwrap_or_else(|| panic!("no error in {body}"));
        let shown = [
            found.kind.as_deref().unwrap_or("-"),
            found.code.as_deref().unwrap_or("-"),
            &found.message,
            found.param.as_deref().unwrap_or("-"),
        ];
        assert_eq!(shown, expected, "{body}");
    }

    #[test]
    fn every_envelope_is_read() {
        check(
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            ["invalid_request_error", "unsupported_parameter", "m", "max_tokens"],
        );
        check(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
            ["overloaded_error", "-", "Overloaded", "-"],
        );
        check(
            r#"[{"error":{"code":429,"message":"q","status":"RESOURCE_EXHAUSTED"}}]"#,
            ["RESOURCE_EXHAUSTED", "-", "q", "-"],
        );
        check(
            r#"{"type":"error","code":"rate_limit_exceeded","message":"m","param":null}"#,
            ["-", "rate_limit_exceeded", "m", "-"],
        );
        check(
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#,
            ["-", "server_error", "m", "-"],
        );
        check(r#"{"error":"model not loaded"}"#, ["-", "-", "model not loaded", "-"]);
        check(r#"{"error":"invalid_key","message":"m"}"#, ["invalid_key", "-", "m", "-"]);
        check(
            r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#,
            ["BadRequestError", "-", "m", "-"],
        );
        check(
            r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#,
            ["-", "-", "body.messages: field required", "-"],
        );
        check(r#"{"detail":"Not Found"}"#, ["-", "-", "Not Found", "-"]);
        check(r#"{"message":"Input is too long"}"#, ["-", "-", "Input is too long", "-"]);
        check(
            r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
            ["prompt_blocked", "SAFETY", "", "-"],
        );
        check(
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"slow down\",\"code\":\"x\"}}","provider_name":"Far"}}}"#,
            ["-", "x", "Provider returned error: slow down", "-"],
        );
    }

    #[test]
    fn google_says_more_in_its_details() {
        let found = of_document(
            br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
              {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"RequestsPerDay"}]},
              {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0]"}]},
              {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE","domain":"googleapis.com"},
              {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#,
        )
        .expect("an error");
        assert_eq!(found.quotas, ["RequestsPerDay"]);
        assert_eq!((found.status, found.retry_after_s), (Some(429), Some(34.5)));
        assert_eq!(
            (found.param.as_deref(), found.code.as_deref()),
            (Some("contents[0]"), Some("RATE"))
        );
        assert!(!found.own);
    }

    #[test]
    fn what_is_no_error_is_none() {
        for body in [
            r#"{"choices":[],"message":"x"}"#,
            r#"{"status":"completed","error":null,"output":[]}"#,
            r#"{"type":"message","content":[]}"#,
            "[]",
            "7",
            "not json",
            "",
        ] {
            assert_eq!(of_document(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn the_gateways_own_envelopes_are_known() {
        use crate::dialect::{render, stream_error};
        use crate::neutral::failure::{Code, Failure};
        use crate::neutral::kind::Dialect;
        let failure = Failure::new(Code::UpstreamIdleTimeout, "nothing for 5 s; retry");
        for dialect in Dialect::ALL {
            let document = of_document(&render(dialect, &failure, 504, "id")).expect("an error");
            assert!(document.own, "{dialect:?}");
            let event = of_events(&stream_error(dialect, &failure, "id")).expect("an error");
            assert!(event.own, "{dialect:?}");
            assert_eq!(event.message, failure.message);
        }
    }

    #[test]
    fn the_last_error_of_a_stream_counts() {
        let stream = b"data: {\"choices\":[{\"delta\":{\"content\":\"an error\"}}]}\n\n\
            event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"one\"}}\n\n\
            data: {\"error\":{\"message\":\"two\"}}";
        assert_eq!(of_events(stream).expect("an error").message, "two");
        assert_eq!(of_events(b"data: {\"choices\":[]}\n\n"), None);
    }
}
