//! What the dialects' `stream.rs` share, and reading answers whose front was not kept: the last bytes of an event stream
//! or of a document, which may begin anywhere.

use crate::base::json::{self, Walk};
use crate::base::sse::{Event, Splitter};

/// Limit: places looked at in search of a member.
const CANDIDATES_MAX: usize = 64;

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

/// The object that is the value of the last member `key` in a piece of JSON whose front is missing, if it lies no deeper
/// than `depth_max` containers: the rest after it must close that many, which no member inside a tool's arguments has.
pub(crate) fn last_object<'a>(fragment: &'a [u8], key: &str, depth_max: usize) -> Option<Walk<'a>> {
    let quoted = format!("\"{key}\"");
    memchr::memmem::rfind_iter(fragment, quoted.as_bytes()).take(CANDIDATES_MAX).find_map(|at| {
        let (before, found) = fragment.split_at(at);
        let value = found.get(quoted.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        let walk = Walk::new(value);
        let mut after = walk.clone();
        if before.last() == Some(&b'\\') || !after.members(|_, _| ()) || after.is_broken() {
            return None;
        }
        (1..=depth_max).contains(&closers(after.rest())?).then_some(walk)
    })
}

/// How many containers that were open before `rest` it closes; nothing when it ends inside a string or a container of its
/// own.
fn closers(rest: &[u8]) -> Option<usize> {
    let (mut opened, mut closed) = (0_usize, 0);
    let mut in_string = false;
    let mut bytes = rest.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            _ if in_string => {}
            b'{' | b'[' => opened += 1,
            b'}' | b']' if opened > 0 => opened -= 1,
            b'}' | b']' => closed += 1,
            _ => {}
        }
    }
    (!in_string && opened == 0).then_some(closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fragment: &str, depth_max: usize, expected: Option<&str>) {
        let found = last_object(fragment.as_bytes(), "usage", depth_max);
        let found = found.map(|mut walk| String::from_utf8_lossy(walk.raw()).into_owned());
        assert_eq!(found.as_deref(), expected, "{fragment}");
    }

    #[test]
    fn usage_is_found_by_its_depth() {
        check(r#"lo"}],"usage":{"a":[1,"}"]}}"#, 1, Some(r#"{"a":[1,"}"]}"#));
        check(r#"lo"}],"usage":{"a":1},"tier":"x{\"","b":[{}]}"#, 1, Some(r#"{"a":1}"#));
        check(r#"lo"}],"usage":{"a":1},"more":[1]},"n":5}"#, 2, Some(r#"{"a":1}"#));
        check(r#"lo"}],"usage":{"a":1},"more":[1]},"n":5}"#, 1, None);
        check(r#""usage":{"a":1},"x":{"usage":{"b":2}}}"#, 1, Some(r#"{"a":1}"#));
        check(r#"say \"usage\":{\"a\":1}"}"#, 1, None);
        check(r#""usage":null}"#, 1, None);
        check(r#""usage":{"a":1},"cut":"of"#, 1, None);
        check(r#""usage":{"a":1"#, 1, None);
        check("", 1, None);
    }
}
