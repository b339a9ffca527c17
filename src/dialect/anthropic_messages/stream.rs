//! How a messages stream ends, and what keeps it alive.

use crate::dialect::tail;

/// The event that Anthropic itself sends into quiet streams.
pub(crate) const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// `message_stop`, and no other event after it.
pub(crate) fn is_terminal(tail: &[u8]) -> bool {
    tail::read(tail)
        .events
        .last()
        .is_some_and(|event| tail::event_type(&event.data).as_deref() == Some("message_stop"))
}
