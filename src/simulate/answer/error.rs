//! Errors in each family's envelope, with the types and words its SDKs know.

use http::StatusCode;
use serde_json::{Value, json};

use crate::simulate::endpoint::Family;

/// The page some providers' front doors send instead of JSON.
pub(crate) const HTML: &str = "<html>\r\n<head><title>Simulated error</title></head>\r\n<body>\r\n\
<center><h1>Simulated error</h1></center>\r\n<hr><center>simulated-edge</center>\r\n</body>\r\n</html>\r\n";

/// The body of an error.
pub(crate) fn body(family: Family, status: u16, message: Option<&str>, request_id: &str) -> Value {
    let message = message.unwrap_or_else(|| words(status));
    match family {
        Family::OpenAi => {
            let (kind, code) = openai(status);
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Family::Anthropic => json!({"type": "error", "request_id": request_id,
            "error": {"type": anthropic(status), "message": message}}),
        Family::Gemini => json!({"error": {"code": status, "message": message,
            "status": gemini(status)}}),
    }
}

/// The event a stream ends with when the provider fails in the middle.
pub(crate) fn event(family: Family, responses: bool, array: bool) -> String {
    let message = "The simulated provider failed in the middle of the stream.";
    match family {
        Family::OpenAi if responses => {
            let data = json!({"type": "error", "sequence_number": 999, "code": "server_error",
                "message": message, "param": null});
            format!("event: error\ndata: {data}\n\n")
        }
        Family::OpenAi => format!("data: {}\n\n", body(family, 500, Some(message), "")),
        Family::Anthropic => {
            let data = json!({"type": "error",
                "error": {"type": "overloaded_error", "message": "Overloaded"}});
            format!("event: error\ndata: {data}\n\n")
        }
        Family::Gemini if array => format!(",\r\n{}]", body(family, 503, Some(message), "")),
        Family::Gemini => format!("data: {}\r\n\r\n", body(family, 503, Some(message), "")),
    }
}

fn words(status: u16) -> &'static str {
    match status {
        400 => "Simulated error: the request is not valid.",
        401 => "Incorrect API key provided.",
        403 => "Simulated error: permission denied.",
        404 => "Simulated error: the model does not exist or you do not have access to it.",
        413 => "Simulated error: the request is too large.",
        429 => "Rate limit reached for requests. Please try again later.",
        500 => "The server had an error while processing your request.",
        503 | 529 => "Overloaded",
        _ => StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Simulated error"),
    }
}

fn openai(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("permission_error", None),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        _ => ("server_error", None),
    }
}

fn anthropic(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn gemini(status: u16) -> &'static str {
    match status {
        400 | 413 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}
