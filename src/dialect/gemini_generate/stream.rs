//! How a Gemini stream ends: as server-sent events, or as one JSON array that is sent in pieces.

use crate::base::json::{self, Kind, Value};
use crate::dialect::tail;

/// A candidate with a `finishReason`, a prompt that was blocked, or the end of the array.
pub(crate) fn is_terminal(tail: &[u8]) -> bool {
    let events = tail::read(tail).events;
    if events.is_empty() {
        return ends_array(tail) || ends_long_event(tail);
    }
    events.iter().rev().find_map(|event| says_finished(&event.data)).unwrap_or(false)
}

/// Whether one event ends the answer; nothing when it holds no part of the answer (usage alone may follow the end).
fn says_finished(data: &[u8]) -> Option<bool> {
    let root = json::check(data).ok()?;
    if let Some(feedback) = root.get("promptFeedback")
        && feedback.get("blockReason").is_some()
    {
        return Some(true);
    }
    let mut candidates = root.get("candidates")?.elements().peekable();
    candidates.peek()?;
    Some(candidates.any(|candidate| has_finish_reason(&candidate)))
}

fn has_finish_reason(candidate: &Value<'_>) -> bool {
    candidate
        .get("finishReason")
        .and_then(|reason| reason.as_str())
        .is_some_and(|reason| !reason.is_empty() && reason != "FINISH_REASON_UNSPECIFIED")
}

/// An event longer than the tail, such as one with an image in it: the rest of its one line must be there.
fn ends_long_event(tail: &[u8]) -> bool {
    let line = tail.trim_ascii_end();
    tail.ends_with(b"\n")
        && line.ends_with(b"}")
        && !line.contains(&b'\n')
        && tail::fragment_has_member(line, "finishReason", b'"')
}

/// Whether `tail` ends with the bracket of the outermost array. Pieces may be cut after any byte, so the bracket may as
/// well be that of `parts`; walking back from it tells them apart: the beginning of an inner array is in the tail and has
/// something before it.
fn ends_array(tail: &[u8]) -> bool {
    let Some(inside) = tail.trim_ascii_end().strip_suffix(b"]") else {
        return false;
    };
    let mut depth = 1_usize;
    let mut in_string = false;
    let mut element_end = inside.len();
    let (mut elements, mut answer_parts) = (0, 0);
    for (at, byte) in inside.iter().enumerate().rev() {
        match byte {
            b'"' if !is_escaped(inside, at) => in_string = !in_string,
            _ if in_string => {}
            b'}' | b']' => {
                if depth == 1 {
                    element_end = at + 1;
                }
                depth += 1;
            }
            b'{' | b'[' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let before = inside.get(..at).unwrap_or_default();
            return answer_parts > 0 && before.trim_ascii().is_empty();
        }
        if depth == 1 && *byte == b'{' && !in_string {
            let element = inside.get(at..element_end).unwrap_or_default();
            elements += 1;
            answer_parts += usize::from(is_answer_part(element));
        }
    }
    // The array began before the tail. When its last element did too, there is only this to go by: Google writes the
    // last bracket, and no other, at the start of a line.
    answer_parts > 0 || (elements == 0 && inside.ends_with(b"\n"))
}

fn is_answer_part(element: &[u8]) -> bool {
    let Ok(element) = json::check(element) else {
        return false;
    };
    let is_kind = |key, kind| element.get(key).is_some_and(|value| value.kind == kind);
    is_kind("candidates", Kind::Array)
        || is_kind("usageMetadata", Kind::Object)
        || is_kind("promptFeedback", Kind::Object)
}

/// Whether the byte at `at` has an odd number of backslashes before it.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    backslashes % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tail: &str, expected: bool) {
        assert_eq!(is_terminal(tail.as_bytes()), expected, "{tail}");
    }

    #[test]
    fn the_end_is_seen_when_the_last_event_is_longer_than_the_tail() {
        check("AAAA\"}}]},\"finishReason\":\"STOP\"}]}\r\n\r\n", true);
        check("AAAA\"}}]},\"finishReason\":\"STOP\"}]}", false);
        check("AAAA\"}}]},\"index\":0}]}\r\n\r\n", false);
        check("say \\\"finishReason\\\":\\\"STOP\\\"\"}]}}]}\n\n", false);
    }

    #[test]
    fn an_inner_bracket_is_not_the_end() {
        check("[{\"candidates\":[]}]", true);
        check("[]", false);
        check("[{\"error\":{\"code\":503}}]", false);
        check("[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]", false);
        check("[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"[1]", false);
        check(
            "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"{\\\"candidates\\\":[]}]",
            false,
        );
        check("AAAA\"\n    }\n]\n", true);
        check("AAAA\"}]", false);
    }

    #[test]
    fn unspecified_is_no_reason() {
        check(
            "data: {\"candidates\":[{\"finishReason\":\"FINISH_REASON_UNSPECIFIED\"}]}\n\n",
            false,
        );
        check("data: {\"candidates\":[{\"finishReason\":\"\"}]}\n\n", false);
        check("data: {\"candidates\":[{},{\"finishReason\":\"MAX_TOKENS\"}]}\n\n", true);
    }
}
