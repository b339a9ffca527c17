//! The OpenAI error envelope, the same for chat, completions, responses and embeddings.

use bytes::Bytes;

use crate::base::json::write_string;
use crate::neutral::failure::{Class, Failure};

/// `{"error":{"message","type","param","code","source"}}`.
pub(crate) fn render(failure: &Failure) -> Vec<u8> {
    let mut out = Vec::with_capacity(failure.message.len() + 160);
    write_envelope(&mut out, failure);
    out
}

/// The event that ends a failed chat stream. No `[DONE]` follows: the answer is not done.
pub(crate) fn stream_error(failure: &Failure) -> Bytes {
    let mut out = b"data: ".to_vec();
    write_envelope(&mut out, failure);
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

fn write_envelope(out: &mut Vec<u8>, failure: &Failure) {
    out.extend_from_slice(b"{\"error\":{\"message\":");
    write_string(out, &failure.message);
    out.extend_from_slice(b",\"type\":");
    write_string(out, error_type(failure.code.class()));
    out.extend_from_slice(b",\"param\":");
    match failure.param {
        Some(param) => write_string(out, param),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"code\":");
    write_string(out, failure.code.label());
    out.extend_from_slice(b",\"source\":");
    write_string(out, failure.code.source().label());
    out.extend_from_slice(b"}}");
}

/// The types OpenAI itself uses: its SDKs choose their exception by status and print these.
fn error_type(class: Class) -> &'static str {
    match class {
        Class::InvalidRequest | Class::NotFound | Class::TooLarge => "invalid_request_error",
        Class::Authentication => "authentication_error",
        Class::Permission => "permission_error",
        Class::RateLimit => "rate_limit_error",
        Class::Overloaded | Class::Timeout | Class::Upstream | Class::Internal => "server_error",
    }
}
