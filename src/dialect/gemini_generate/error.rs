//! The Google error envelope: a canonical status, and the gateway's code in an `ErrorInfo`.

use std::io::Write as _;

use bytes::Bytes;

use crate::base::json::write_string;
use crate::neutral::failure::{Class, Code, Failure};

/// `{"error":{"code","message","status","details":[…]}}`.
pub(crate) fn render(failure: &Failure, status: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(failure.message.len() + 300);
    write_envelope(&mut out, failure, status);
    out
}

/// The event that ends a failed SSE stream.
pub(crate) fn stream_error(failure: &Failure) -> Bytes {
    let mut out = b"data: ".to_vec();
    write_envelope(&mut out, failure, failure.code.status());
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

fn write_envelope(out: &mut Vec<u8>, failure: &Failure, status: u16) {
    let code = failure.code;
    // Writing to a vector does not fail.
    let _ = write!(out, "{{\"error\":{{\"code\":{status},\"message\":");
    write_string(out, &failure.message);
    out.extend_from_slice(b",\"status\":");
    write_string(out, canonical_status(code));
    out.extend_from_slice(
        b",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":",
    );
    // Google's rule for a reason is upper snake case; the code as everywhere else stands in the metadata.
    write_string(out, &code.label().to_ascii_uppercase());
    out.extend_from_slice(b",\"domain\":\"pinhole\",\"metadata\":{\"code\":");
    write_string(out, code.label());
    out.extend_from_slice(b",\"source\":");
    write_string(out, code.source().label());
    out.extend_from_slice(b"}}");
    if let Some(wait) = failure.retry_after {
        let seconds = wait.as_secs_f64();
        let _ = write!(
            out,
            ",{{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"{seconds}s\"}}"
        );
    }
    out.extend_from_slice(b"]}}");
}

fn canonical_status(code: Code) -> &'static str {
    if code == Code::NoProvider {
        return "FAILED_PRECONDITION";
    }
    match code.class() {
        Class::InvalidRequest | Class::TooLarge => "INVALID_ARGUMENT",
        Class::Authentication => "UNAUTHENTICATED",
        Class::Permission => "PERMISSION_DENIED",
        Class::NotFound => "NOT_FOUND",
        Class::RateLimit => "RESOURCE_EXHAUSTED",
        Class::Overloaded | Class::Upstream => "UNAVAILABLE",
        Class::Timeout => "DEADLINE_EXCEEDED",
        Class::Internal => "INTERNAL",
    }
}
