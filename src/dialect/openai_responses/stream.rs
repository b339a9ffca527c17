//! How a responses stream ends.

use crate::dialect::tail;

/// `response.completed`, `response.incomplete` or `response.failed` with the blank line after it: without that line
/// Codex takes the stream for a broken one.
pub(crate) fn is_terminal(tail: &[u8]) -> bool {
    let read = tail::read(tail);
    if !read.last_is_closed {
        return false;
    }
    match read.events.last() {
        Some(event) => matches!(
            tail::event_type(&event.data).as_deref(),
            Some("response.completed" | "response.incomplete" | "response.failed")
        ),
        // The last event repeats the whole answer and may be longer than the tail. Of all long events only this one
        // has a usage that is not null.
        None => ends_with_blank_line(tail) && tail::fragment_has_member(tail, "usage", b'{'),
    }
}

fn ends_with_blank_line(tail: &[u8]) -> bool {
    [b"\n\n".as_slice(), b"\n\r\n", b"\r\r"]
        .iter()
        .any(|end| tail.ends_with(end))
}
