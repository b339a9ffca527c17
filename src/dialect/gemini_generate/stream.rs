//! How a Gemini stream ends: as server-sent events, or as one JSON array that is sent in pieces.

use crate::base::json::{self, Value};
use crate::dialect::tail;

/// A candidate with a `finishReason`, a prompt that was blocked, or the end of the array.
pub(crate) fn is_terminal(tail: &[u8]) -> bool {
    let events = tail::read(tail).events;
    if events.is_empty() {
        return ends_array(tail) || ends_long_event(tail);
    }
    events
        .iter()
        .rev()
        .find_map(|event| says_finished(&event.data))
        .unwrap_or(false)
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

/// An event longer than the tail, such as one with an image in it: its line must be whole.
fn ends_long_event(tail: &[u8]) -> bool {
    tail.ends_with(b"\n") && tail::fragment_has_member(tail, "finishReason", b'"')
}

/// Whether `tail` ends with the bracket of the outermost array. Pieces may be cut after any byte, so the bracket may as
/// well be that of `parts`; walking back from it tells them apart.
fn ends_array(tail: &[u8]) -> bool {
    let Some(inside) = tail.trim_ascii_end().strip_suffix(b"]") else {
        return false;
    };
    let mut depth = 1_usize;
    let mut in_string = false;
    let mut element_end = inside.len();
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
        let before = inside.get(..at).unwrap_or_default();
        if depth == 0 {
            // The array began in this tail: it is the outermost one when nothing stands before it.
            return before.trim_ascii().is_empty();
        }
        let is_element = *byte == b'{' && depth == 1 && !in_string;
        if is_element && is_answer_part(inside.get(at..element_end).unwrap_or_default()) {
            return true;
        }
    }
    // Not even one whole element: Google writes the last bracket, and no other, at the start of a line.
    inside.ends_with(b"\n")
}

fn is_answer_part(element: &[u8]) -> bool {
    json::check(element).is_ok_and(|element| {
        ["candidates", "usageMetadata", "promptFeedback"]
            .iter()
            .any(|key| element.get(key).is_some())
    })
}

/// Whether the byte at `at` has an odd number of backslashes before it.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let backslashes = before
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count();
    backslashes % 2 == 1
}
