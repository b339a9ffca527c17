//! What a stored exchange holds, made ready for reading: bodies in clear, the answer's events in their times, headers by
//! name. Every report on single exchanges looks through this, none decodes a body itself.

use std::borrow::Cow;

use crate::base::sse::Splitter;
use crate::dialect::complaint::{self, Complaint};
use crate::dialect::messages;
use crate::dialect::reader::Reader;
use crate::neutral::kind::{Dialect, Operation};
use crate::neutral::message::Message;
use crate::neutral::reading::Reading;
use crate::report::exchange::body::clear;
use crate::store::stored::{Leg, Stored, Whole};

/// Limit: bytes of one event.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Limit: characters of a beginning that is shown.
const BEGINNING_CHARS_MAX: usize = 160;

/// The dialect that a row names.
pub fn dialect(stored: &Stored) -> Dialect {
    let named = Dialect::ALL.into_iter().find(|dialect| dialect.label() == stored.row.dialect);
    named.unwrap_or(Dialect::OpenAiChat)
}

/// The operation that a row names; what nobody knows is opaque.
pub fn operation(stored: &Stored) -> Operation {
    const ALL: [Operation; 5] = [
        Operation::Chat,
        Operation::TextCompletion,
        Operation::Embeddings,
        Operation::CountTokens,
        Operation::Models,
    ];
    let named = ALL.into_iter().find(|operation| operation.label() == stored.row.operation);
    named.unwrap_or(Operation::Opaque)
}

/// The value of a header, the name in any case.
pub fn header<'a>(leg: &'a Leg, name: &str) -> Option<&'a str> {
    let headers = leg.headers.as_ref()?;
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

/// The request as it went to the provider last, else as the client sent it.
pub fn request(stored: &Stored) -> Option<Cow<'_, [u8]>> {
    let last = stored.attempts.len().checked_sub(1);
    let sent = last.and_then(|last| stored.upstream_request(last));
    sent.or_else(|| stored.client_request()).map(clear)
}

/// One event, or the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its name, or the `type` in its data.
    pub name: String,
    /// From 1.
    pub number: usize,
    /// Offset of its end in the body in clear.
    pub end: usize,
    /// Microseconds from the exchange's start; `None` where the frames can't tell.
    pub at_us: Option<u64>,
}

/// The longest pause between two pieces of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    pub us: u64,
    /// When it began.
    pub from_us: u64,
    /// Bytes that had come before it.
    pub after_bytes: u64,
}

/// An answer, read.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// It was kept, at least in part.
    pub kept: bool,
    /// Bytes past the limit were not kept.
    pub cut: bool,
    pub bytes: usize,
    /// A stream of server-sent events.
    pub events: bool,
    pub event_count: usize,
    pub last: Option<Event>,
    /// The stream ends inside an event.
    pub half_event: bool,
    /// The first event whose data is neither JSON nor `[DONE]`.
    pub bad_event: Option<Event>,
    pub messages: Vec<Message>,
    pub reading: Reading,
    pub complaint: Option<Complaint>,
    pub html: bool,
    /// The first characters of what is neither an event stream nor JSON.
    pub beginning: Option<String>,
    pub pause: Option<Pause>,
    pub first_byte_us: Option<u64>,
    pub last_byte_us: Option<u64>,
}

/// Reads the answer of attempt `n`.
pub fn answer(stored: &Stored, n: usize) -> Answer {
    let frames = stored.attempts.get(n).map(|attempt| &*attempt.frames).unwrap_or_default();
    let mut answer = match stored.upstream_response(n) {
        Some(whole) => read(stored, whole, frames),
        None => Answer::default(),
    };
    answer.pause = longest_pause(frames);
    answer.first_byte_us = frames.first().map(|(at, _)| *at);
    answer.last_byte_us = frames.last().map(|(at, _)| *at);
    answer
}

/// Reads what the client got where no provider answered: the gateway's own words.
pub fn own_answer(stored: &Stored) -> Answer {
    stored.client_response().map_or_else(Answer::default, |whole| read(stored, whole, &[]))
}

fn read(stored: &Stored, whole: &Whole, frames: &[(u64, u32)]) -> Answer {
    let body = clear(whole);
    let mut answer = Answer {
        kept: true,
        cut: whole.cut_bytes > 0,
        bytes: body.len(),
        events: is_events(&body),
        ..Answer::default()
    };
    let mut reader = Reader::new(dialect(stored), operation(stored), false);
    if answer.events {
        let timed = if whole.coding.is_none() { frames } else { &[] };
        reader.feed(0, &body, &mut |_, _| ());
        answer.list_events(&body, timed);
        answer.messages = messages::events(dialect(stored), &body);
        answer.complaint = complaint::of_events(&body);
    } else {
        reader.document(&body);
        answer.messages = messages::document(dialect(stored), &body);
        answer.complaint = complaint::of_document(&body);
        answer.html = is_html(&body);
        let json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
        answer.beginning = (!json && !body.is_empty()).then(|| beginning(&body));
    }
    answer.reading = reader.finish();
    answer
}

impl Answer {
    fn list_events(&mut self, body: &[u8], frames: &[(u64, u32)]) {
        let mut splitter = Splitter::new(EVENT_BYTES_MAX);
        let (mut end, mut count) = (0, 0);
        let mut last = None;
        let mut bad = None;
        splitter.feed_borrowed(body, |event| {
            end += event.raw_len;
            count += 1;
            let name = event_name(event.event, event.data);
            let whole = event.data == b"[DONE]" || crate::base::json::check(event.data).is_ok();
            if !whole && !event.truncated && bad.is_none() {
                let at_us = arrival(frames, end);
                bad = Some(Event { name: name.clone(), number: count, end, at_us });
            }
            last = Some((name, end));
        });
        self.bad_event = bad;
        // What follows the last event: the rest of a line end, a comment, or half an event.
        let rest = body.get(end..).unwrap_or_default().trim_ascii();
        self.half_event = !rest.is_empty() && !rest.starts_with(b":");
        self.event_count = count;
        self.last =
            last.map(|(name, end)| Event { name, number: count, end, at_us: arrival(frames, end) });
    }

    /// Text, reasoning and calls in one go: whether the answer says anything at all.
    pub fn is_empty(&self) -> bool {
        use crate::neutral::message::Part;
        self.messages.iter().flat_map(|message| &message.parts).all(|part| match part {
            Part::Text(words) => words.trim().is_empty(),
            Part::Reasoning(_) => true,
            _ => false,
        })
    }

    /// Characters of text and of reasoning.
    pub fn lengths(&self) -> (usize, usize) {
        use crate::neutral::message::Part;
        let mut lengths = (0, 0);
        for part in self.messages.iter().flat_map(|message| &message.parts) {
            match part {
                Part::Text(words) => lengths.0 += words.chars().count(),
                Part::Reasoning(words) => lengths.1 += words.chars().count(),
                _ => {}
            }
        }
        lengths
    }
}

fn is_events(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    [b"data:".as_slice(), b"event:", b"id:", b"retry:", b":"]
        .iter()
        .any(|start| body.starts_with(start))
}

fn is_html(body: &[u8]) -> bool {
    let start: Vec<u8> =
        body.trim_ascii_start().iter().take(64).map(u8::to_ascii_lowercase).collect();
    start.starts_with(b"<!doctype html")
        || start.starts_with(b"<html")
        || start.starts_with(b"<head")
}

/// The first words of a page or a text, tags left out.
fn beginning(body: &[u8]) -> String {
    let some = body.get(..4 * 1024).unwrap_or(body);
    let text = String::from_utf8_lossy(some);
    let mut words = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => {
                inside = true;
                words.push(' ');
            }
            '>' => inside = false,
            _ if inside => {}
            c => words.push(c),
        }
    }
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(BEGINNING_CHARS_MAX).collect()
}

fn event_name(event: Option<&[u8]>, data: &[u8]) -> String {
    if let Some(name) = event {
        return String::from_utf8_lossy(name).chars().take(64).collect();
    }
    if data == b"[DONE]" {
        return "[DONE]".to_owned();
    }
    let value = crate::base::json::check(data).ok();
    let named = value.and_then(|value| {
        let kind = value.get("type").or_else(|| value.get("object"))?;
        Some(kind.as_str()?.chars().take(64).collect())
    });
    named.unwrap_or_else(|| "data".to_owned())
}

/// When the byte before offset `end` came.
fn arrival(frames: &[(u64, u32)], end: usize) -> Option<u64> {
    let mut passed = 0;
    frames.iter().find_map(|(at, length)| {
        passed += u64::from(*length);
        (passed >= end as u64).then_some(*at)
    })
}

fn longest_pause(frames: &[(u64, u32)]) -> Option<Pause> {
    let mut passed = 0;
    let mut longest: Option<Pause> = None;
    for pair in frames.windows(2) {
        let [(from_us, length), (to_us, _)] = pair else { continue };
        passed += u64::from(*length);
        let us = to_us.saturating_sub(*from_us);
        if longest.is_none_or(|known| us > known.us) {
            longest = Some(Pause { us, from_us: *from_us, after_bytes: passed });
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::stored::{Attempt, Body, Listed};

    fn exchange(dialect: &str, body: &[u8], frames: &[(u64, u32)]) -> Stored {
        let whole = Whole { bytes: body.to_vec(), ..Whole::default() };
        let response = Leg { body: Body::Whole(whole), ..Leg::default() };
        Stored {
            row: Listed {
                dialect: dialect.to_owned(),
                operation: "chat".to_owned(),
                ..Listed::default()
            },
            attempts: vec![Attempt { response, frames: frames.to_vec(), ..Attempt::default() }],
            ..Stored::default()
        }
    }

    #[test]
    fn a_cut_stream_tells_its_last_event_and_its_pause() {
        let body = b"data: {\"type\":\"a\"}\n\ndata: {\"type\":\"b\"}\n\ndata: {\"ty";
        let stored = exchange("anthropic", body, &[(100, 20), (5_100, 20), (5_200, 9)]);
        let answer = answer(&stored, 0);
        let last = Event { name: "b".to_owned(), number: 2, end: 40, at_us: Some(5_100) };
        assert_eq!(answer.last, Some(last));
        assert!(answer.half_event && answer.events);
        assert_eq!(answer.pause, Some(Pause { us: 5_000, from_us: 100, after_bytes: 20 }));
        assert_eq!((answer.first_byte_us, answer.last_byte_us), (Some(100), Some(5_200)));
    }

    #[test]
    fn a_page_is_told_from_a_document() {
        let page = b"\r\n<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\n<body>nginx</body>";
        let read = answer(&exchange("openai_chat", page, &[]), 0);
        assert!(read.html && !read.events);
        assert_eq!(read.beginning.as_deref(), Some("502 Bad Gateway nginx"));
        let read = answer(&exchange("openai_chat", b"{\"error\":{\"message\":\"m\"}}", &[]), 0);
        assert!(!read.html && read.beginning.is_none());
        assert_eq!(read.complaint.expect("an error").message, "m");
    }

    #[test]
    fn a_coded_body_is_read_as_far_as_it_goes() {
        use crate::base::coding;
        let text = br#"{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}"#;
        let mut stored = exchange("anthropic", &coding::gzip(text), &[]);
        if let Body::Whole(whole) = &mut stored.attempts[0].response.body {
            whole.coding = Some("gzip".to_owned());
        }
        let answer = answer(&stored, 0);
        assert_eq!(answer.bytes, text.len());
        assert_eq!((answer.lengths(), answer.is_empty()), ((2, 0), false));
        assert_eq!(answer.reading.finish_reasons, ["end_turn"]);
    }

    #[test]
    fn nothing_kept_is_no_answer() {
        let answer = answer(&Stored::default(), 3);
        assert!(!answer.kept && answer.pause.is_none());
        assert!(!own_answer(&Stored::default()).kept);
    }
}
