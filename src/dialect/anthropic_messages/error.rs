//! The Anthropic error envelope.

use bytes::Bytes;

use crate::base::json::write_string;
use crate::neutral::failure::{Class, Failure};

/// `{"type":"error","error":{"type","message","code","source"},"request_id"}`.
pub(crate) fn render(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(failure.message.len() + 200);
    write_envelope(&mut out, failure, request_id);
    out
}

/// The event that ends a failed stream.
pub(crate) fn stream_error(failure: &Failure, request_id: &str) -> Bytes {
    let mut out = b"event: error\ndata: ".to_vec();
    write_envelope(&mut out, failure, request_id);
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

fn write_envelope(out: &mut Vec<u8>, failure: &Failure, request_id: &str) {
    out.extend_from_slice(b"{\"type\":\"error\",\"error\":{\"type\":");
    write_string(out, error_type(failure.code.class()));
    out.extend_from_slice(b",\"message\":");
    write_string(out, &failure.message);
    out.extend_from_slice(b",\"code\":");
    write_string(out, failure.code.label());
    out.extend_from_slice(b",\"source\":");
    write_string(out, failure.code.source().label());
    out.extend_from_slice(b"},\"request_id\":");
    write_string(out, request_id);
    out.push(b'}');
}

fn error_type(class: Class) -> &'static str {
    match class {
        Class::InvalidRequest => "invalid_request_error",
        Class::Authentication => "authentication_error",
        Class::Permission => "permission_error",
        Class::NotFound => "not_found_error",
        Class::TooLarge => "request_too_large",
        Class::RateLimit => "rate_limit_error",
        Class::Timeout => "timeout_error",
        Class::Overloaded => "overloaded_error",
        Class::Upstream | Class::Internal => "api_error",
    }
}
