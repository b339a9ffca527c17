//! How a responses stream tells of a failure; the envelope of a plain answer is that of chat.

use bytes::Bytes;

use crate::base::json::write_string;
use crate::neutral::failure::Failure;

/// The `error` event: its fields stand at the top of the data, beside `type`.
pub(crate) fn stream_error(failure: &Failure) -> Bytes {
    let mut out = b"event: error\ndata: {\"type\":\"error\",\"code\":".to_vec();
    write_string(&mut out, failure.code.label());
    out.extend_from_slice(b",\"message\":");
    write_string(&mut out, &failure.message);
    out.extend_from_slice(b",\"param\":");
    match failure.param {
        Some(param) => write_string(&mut out, param),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"source\":");
    write_string(&mut out, failure.code.source().label());
    out.extend_from_slice(b"}\n\n");
    Bytes::from(out)
}
