//! Takes the usage chunk out of a chat stream whose client did not ask for one: the gateway did, by splicing
//! `stream_options.include_usage` into the request. Every other byte passes untouched.
//!
//! ```text
//! frame ──► whole events ──► is it `choices: []` with a `usage` object? ── yes ──► dropped
//!               │ no: passed on as slices of the frame
//!               └ the unfinished event at the end is held until its blank line, or until it is too long to be the chunk
//! ```
//! What is not undone: with the option on, providers add `"usage":null` to the other chunks, which every client ignores.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::base::json::{self, Kind};
use crate::base::sse::Splitter;

/// Limit: bytes of an event that are held. Usage chunks measure some hundred bytes; a longer event is none and passes.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// The state between frames.
#[derive(Debug, Default)]
pub struct UsageFilter {
    /// The beginning of the event under way; emptied when the event is decided.
    held: BytesMut,
    /// The event under way is too long to be the chunk and passes as it comes; cleared at its end.
    passing: bool,
    /// Nothing but the line end so far since a line began: a further line end is a blank line.
    line: Line,
    /// The last event was dropped and ended with a CR, so an LF now goes with it.
    dropped_before_lf: bool,
    removed: usize,
}

/// Where the last byte left the line scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    /// At the start of a line.
    #[default]
    Start,
    /// Somewhere in a line.
    Middle,
    /// After the CR that ended a line with text; an LF would belong to it.
    AfterCr,
}

impl UsageFilter {
    /// Takes a frame and gives what of it, and of the bytes held before, may go on; empty when all of it is held.
    pub fn feed(&mut self, frame: &Bytes) -> Bytes {
        let mut passed = Passed::default();
        let mut at = 0;
        while let Some(rest) = frame.get(at..).filter(|rest| !rest.is_empty()) {
            if std::mem::take(&mut self.dropped_before_lf) && rest.first() == Some(&b'\n') {
                at += 1;
                continue;
            }
            if let Some(end) = self.find_event_end(rest) {
                self.end_event(frame, at..at + end, &mut passed);
                at += end;
            } else {
                self.hold_or_pass(frame, at..frame.len(), &mut passed);
                at = frame.len();
            }
        }
        passed.join(frame)
    }

    /// Ends the stream: gives the bytes still held, unless they are the chunk without its blank line.
    pub fn finish(&mut self) -> Bytes {
        let held = self.held.split().freeze();
        if is_usage_chunk(&held) {
            self.removed += 1;
            return Bytes::new();
        }
        held
    }

    /// Chunks taken out so far.
    pub fn removed(&self) -> usize {
        self.removed
    }

    /// Decides the event whose last bytes stand at `span` of `frame`.
    fn end_event(&mut self, frame: &Bytes, span: Range<usize>, passed: &mut Passed) {
        if std::mem::take(&mut self.passing) {
            passed.push_span(span);
            return;
        }
        let piece = frame.get(span.clone()).unwrap_or_default();
        let is_chunk = if self.held.is_empty() {
            is_usage_chunk(piece)
        } else {
            self.held.extend_from_slice(piece);
            is_usage_chunk(&self.held)
        };
        if is_chunk {
            self.held.clear();
            self.removed += 1;
            self.dropped_before_lf = piece.last() == Some(&b'\r');
        } else if self.held.is_empty() {
            passed.push_span(span);
        } else {
            passed.before = self.held.split().freeze();
        }
    }

    fn hold_or_pass(&mut self, frame: &Bytes, span: Range<usize>, passed: &mut Passed) {
        if !self.passing && self.held.len() + span.len() <= HELD_BYTES_MAX {
            let piece = frame.get(span).unwrap_or_default();
            self.held.extend_from_slice(piece);
            return;
        }
        self.passing = true;
        if !self.held.is_empty() {
            passed.before = self.held.split().freeze();
        }
        passed.push_span(span);
    }

    /// Where the event under way ends in `bytes`: after its blank line. Keeps the place in the line when it does not.
    fn find_event_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match (self.line, *byte) {
                (Line::AfterCr, b'\n') => {
                    self.line = Line::Start;
                    at += 1;
                }
                (Line::Start | Line::AfterCr, b'\n' | b'\r') => {
                    self.line = Line::Start;
                    let with_lf = *byte == b'\r' && bytes.get(at + 1) == Some(&b'\n');
                    return Some(at + 1 + usize::from(with_lf));
                }
                _ => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                        self.line = Line::Middle;
                        return None;
                    };
                    let is_cr = rest.get(end) == Some(&b'\r');
                    self.line = if is_cr { Line::AfterCr } else { Line::Start };
                    at += end + 1;
                }
            }
        }
        None
    }
}

/// What goes on: bytes held from earlier frames, then spans of this one. A frame that passes whole is not copied.
#[derive(Default)]
struct Passed {
    /// Only the first event of a frame can have been held.
    before: Bytes,
    /// In order, neighbours joined.
    spans: Vec<Range<usize>>,
}

impl Passed {
    fn push_span(&mut self, span: Range<usize>) {
        match self.spans.last_mut() {
            Some(last) if last.end == span.start => last.end = span.end,
            _ => self.spans.push(span),
        }
    }

    fn join(self, frame: &Bytes) -> Bytes {
        match self.spans.as_slice() {
            [] => self.before,
            [span] if self.before.is_empty() => frame.slice(span.clone()),
            spans => {
                let mut joined = BytesMut::from(self.before);
                for span in spans {
                    joined.extend_from_slice(frame.get(span.clone()).unwrap_or_default());
                }
                joined.freeze()
            }
        }
    }
}

/// Whether one event is the chunk that holds nothing but the usage: no choices, and a `usage` that is an object.
fn is_usage_chunk(event: &[u8]) -> bool {
    // Most events are turned away by this search alone.
    if event.len() > HELD_BYTES_MAX || memchr::memmem::find(event, b"\"usage\"").is_none() {
        return false;
    }
    let mut data = None;
    let mut splitter = Splitter::new(event.len());
    splitter.feed(event, |event| data = Some(event.data));
    let Some(data) = data.or_else(|| splitter.finish().map(|event| event.data)) else {
        return false;
    };
    let Ok(root) = json::check(&data) else {
        return false;
    };
    let has_usage = root.get("usage").is_some_and(|usage| usage.kind == Kind::Object);
    let no_choices = root
        .get("choices")
        .is_some_and(|choices| choices.kind == Kind::Array && choices.elements().next().is_none());
    has_usage && no_choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHUNK: &str =
        "data: {\"id\":\"c\",\"choices\":[ ],\"usage\":{\"prompt_tokens\":1,\"total_tokens\":2}}";
    const TEXT: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}],\"usage\":null}";

    fn filter(pieces: &[&[u8]]) -> Vec<u8> {
        let mut filter = UsageFilter::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&filter.feed(&Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&filter.finish());
        out
    }

    /// Feeds `stream` whole, byte by byte, and cut at every position.
    fn check(stream: &str, expected: &str) {
        let stream = stream.as_bytes();
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        let shown = |out: Vec<u8>| String::from_utf8(out).unwrap();
        assert_eq!(shown(filter(&[stream])), expected, "whole");
        assert_eq!(shown(filter(&single)), expected, "byte by byte");
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(shown(filter(&[left, right])), expected, "cut at {cut}");
        }
    }

    #[test]
    fn the_chunk_goes_with_its_blank_line_and_nothing_else_does() {
        for end in ["\n", "\r\n", "\r"] {
            let with = format!("{TEXT}{end}{end}{CHUNK}{end}{end}data: [DONE]{end}{end}");
            let without = format!("{TEXT}{end}{end}data: [DONE]{end}{end}");
            check(&with, &without);
            let only = format!("{CHUNK}{end}{end}");
            check(&only, "");
        }
    }

    #[test]
    fn what_only_resembles_the_chunk_stays() {
        for event in [
            "data: {\"choices\":[],\"usage\":null}",
            "data: {\"choices\":[],\"x\":{\"usage\":{}}}",
            "data: {\"choices\":[{\"index\":0}],\"usage\":{\"total_tokens\":2}}",
            "data: {\"usage\":{\"total_tokens\":2}}",
            "data: {\"choices\":[],\"usage\":{",
            ": {\"choices\":[],\"usage\":{}}",
            TEXT,
        ] {
            let stream = format!("{event}\n\ndata: [DONE]\n\n");
            check(&stream, &stream);
        }
    }

    #[test]
    fn an_unfinished_end_is_given_back_unless_it_is_the_chunk() {
        check(&format!("{TEXT}\n\n{CHUNK}"), &format!("{TEXT}\n\n"));
        check(&format!("{TEXT}\n\n{CHUNK}\n"), &format!("{TEXT}\n\n"));
        check(&format!("{TEXT}\n\n{}", &CHUNK[..40]), &format!("{TEXT}\n\n{}", &CHUNK[..40]));
    }

    #[test]
    fn a_long_event_passes_as_it_comes() {
        let mut filter = UsageFilter::default();
        let piece = Bytes::from(vec![b'x'; 1_000]);
        let mut given = 0;
        for fed in 1..=100 {
            given += filter.feed(&piece).len();
            assert!(fed * 1_000 - given <= HELD_BYTES_MAX, "{given} of {fed} pieces");
        }
        assert_eq!(given, 100_000);
        let rest = filter.feed(&Bytes::from(format!("\n\n{CHUNK}\n\n{TEXT}\n\n")));
        assert_eq!(rest, format!("\n\n{TEXT}\n\n"), "the next event is looked at again");
    }

    #[test]
    fn a_frame_that_passes_whole_is_not_copied() {
        let frame = Bytes::from(format!("{TEXT}\n\n{TEXT}\n\n"));
        let passed = UsageFilter::default().feed(&frame);
        assert_eq!((passed.as_ptr(), passed.len()), (frame.as_ptr(), frame.len()));
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            events in prop::collection::vec(0..5_usize, 0..8),
            ends in prop::collection::vec(0..3_usize, 8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let texts = [CHUNK, TEXT, ": keep-alive", "", "data: [DONE]"];
            let stream: String = events
                .iter()
                .zip(&ends)
                .map(|(event, end)| [texts[*event], ["\n\n", "\r\n\r\n", "\r\r"][*end]].concat())
                .collect();
            let stream = stream.as_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(filter(&pieces), filter(&[stream]));
        }
    }
}
