//! What the dialects' `stream.rs` share: reading the last bytes of an event stream, which may begin anywhere.

use crate::base::json;
use crate::base::sse::{Event, Splitter};

/// The events of `tail`, in order, and whether the blank line after the last one has come. The rest of an event cut at
/// the front is no field that anybody knows and drops out.
pub(crate) struct Tail {
    pub(crate) events: Vec<Event>,
    pub(crate) last_is_closed: bool,
}

pub(crate) fn read(tail: &[u8]) -> Tail {
    let mut events = Vec::new();
    let mut splitter = Splitter::new(tail.len());
    splitter.feed(tail, |event| events.push(event));
    let pending = splitter.pending().cloned();
    let last_is_closed = pending.is_none();
    events.extend(pending);
    Tail { events, last_is_closed }
}

/// The string `type` at the top of an event's JSON.
pub(crate) fn event_type(data: &[u8]) -> Option<String> {
    let root = json::check(data).ok()?;
    let value = root.get("type")?;
    value.as_str().map(std::borrow::Cow::into_owned)
}

/// Whether a piece of JSON, cut anywhere, has a member `key` whose value begins with `first`. Words inside a string do
/// not count: the quotes around a key there are escaped.
pub(crate) fn fragment_has_member(fragment: &[u8], key: &str, first: u8) -> bool {
    let quoted = format!("\"{key}\"");
    memchr::memmem::find_iter(fragment, quoted.as_bytes()).any(|at| {
        let (before, found) = fragment.split_at(at);
        let after = found.get(quoted.len()..).unwrap_or_default();
        let value = after.trim_ascii_start().strip_prefix(b":");
        before.last() != Some(&b'\\')
            && value.is_some_and(|value| value.trim_ascii_start().first() == Some(&first))
    })
}
