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
    [b"\n\n".as_slice(), b"\n\r\n", b"\r\r"].iter().any(|end| tail.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A last event with a long answer in it, as real ones have.
    fn long_event(event_type: &str, usage: &str) -> String {
        let text = r#"a \"usage\":{\"x\":1} "#.repeat(200);
        format!(
            "event: {event_type}\ndata: {{\"type\":\"{event_type}\",\"response\":{{\"output\":[{{\"text\":\"{text}\"}}],\"usage\":{usage},\"metadata\":{{}}}}}}\n\n"
        )
    }

    fn check(stream: &str, tail_len: usize, expected: bool) {
        let tail = &stream[stream.len() - tail_len..];
        assert_eq!(is_terminal(tail.as_bytes()), expected, "{tail}");
    }

    #[test]
    fn the_end_is_seen_when_the_last_event_is_longer_than_the_tail() {
        let usage = r#"{"input_tokens":1,"output_tokens":2}"#;
        check(&long_event("response.completed", usage), 200, true);
        check(&long_event("response.completed", usage), 2_000, true);
        check(&long_event("response.output_text.done", "null"), 200, false);
        check(&long_event("response.output_text.done", "null"), 2_000, false);
    }

    #[test]
    fn the_blank_line_must_have_come() {
        let stream = long_event("response.completed", "{}");
        let without = stream.strip_suffix('\n').unwrap();
        check(without, without.len(), false);
        check(without, 200, false);
    }
}
