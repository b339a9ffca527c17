//! Where JSON stands in a body, and putting other text in places of it.

use std::ops::Range;

/// Where JSON stands in a body: the whole of it, or the data of each event.
pub(super) fn documents(text: &[u8], is_events: bool) -> Vec<Range<usize>> {
    if !is_events {
        return std::iter::once(0..text.len()).collect();
    }
    let mut found = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text).chain(std::iter::once(text.len())) {
        if let Some(data) = text.get(start..end).and_then(|line| line.strip_prefix(b"data:"))
            && let Some(open) = data.iter().position(|byte| *byte != b' ')
            && matches!(data.get(open), Some(b'{' | b'['))
        {
            found.push(end - data.len() + open..end);
        }
        start = end + 1;
    }
    found
}

/// The text with each range replaced; ranges ascend and do not overlap.
pub(super) fn apply(text: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        out.extend_from_slice(text.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(replacement);
        at = range.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}
