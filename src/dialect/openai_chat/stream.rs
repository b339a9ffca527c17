//! How a chat stream ends.

use crate::dialect::tail;

/// `data: [DONE]` on a line of its own, and no data after it.
pub(crate) fn is_terminal(tail: &[u8]) -> bool {
    tail::read(tail)
        .events
        .last()
        .is_some_and(|event| event.data == b"[DONE]" || event.data.ends_with(b"\n[DONE]"))
}
