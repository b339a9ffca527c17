//! Bodies as lines: JSON pretty, events one by one, large ones as they are, bytes as hex; and the legs that they are of.

use crate::base::sse::Splitter;
use crate::neutral::kind::Dialect;
use crate::report::exchange::body;
use crate::report::exchange::raw::{self, Leg};
use crate::report::exchange::timeline;
use crate::report::look::{Look, Tone, clean_line, clip};
use crate::report::words;
use crate::store::stored::{self, Stored};
use crate::tui::parts::pager::doc::Doc;
use crate::tui::parts::pager::json;

/// From this many bytes on nothing is laid out: it has to open at once.
const PRETTY_MAX: usize = 1024 * 1024;
/// Limit: events of a stream that are shown one by one.
const EVENTS_MAX: usize = 20_000;

/// Which side of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Whose leg: the client's, or that of an attempt from 0.
pub(super) fn leg(side: Side, attempt: Option<usize>) -> Leg {
    match (side, attempt) {
        (Side::Request, None) => Leg::Request,
        (Side::Response, None) => Leg::Response,
        (Side::Request, one) => Leg::UpstreamRequest(one),
        (Side::Response, one) => Leg::UpstreamResponse(one),
    }
}

/// One body, its coding undone.
pub(super) fn doc(stored: &Stored, side: Side, attempt: Option<usize>, look: Look) -> Doc {
    let mut doc = Doc::default();
    let width = look.width.unwrap_or(100);
    match raw::bytes(stored, leg(side, attempt), true) {
        Ok(found) => {
            notes(&mut doc, &found.notes, look);
            push(&mut doc, &found.bytes, body::dialect(stored), look, width);
        }
        Err(why) => doc.push(&look.paint(Tone::Odd, &clean_line(&why))),
    }
    doc.done()
}

fn notes(doc: &mut Doc, notes: &[String], look: Look) {
    for note in notes {
        doc.push(&look.paint(Tone::Odd, &clean_line(note)));
    }
}

/// The lines of a body that is in clear.
pub(super) fn push(
    doc: &mut Doc,
    clear: &[u8],
    dialect: Option<Dialect>,
    look: Look,
    width: usize,
) {
    if clear.is_empty() {
        doc.push(&look.paint(Tone::Dim, "(empty)"));
        return;
    }
    if body::is_binary(clear) {
        let told = format!("binary, {}", words::bytes(clear.len() as u64));
        doc.push(&look.paint(Tone::Dim, &told));
        doc.push_bytes(clear.to_vec());
        return;
    }
    let text = String::from_utf8_lossy(clear);
    if clear.len() > PRETTY_MAX {
        let told = format!(
            "{}: shown as it is; more than {} is not laid out",
            words::bytes(clear.len() as u64),
            words::bytes(PRETTY_MAX as u64)
        );
        doc.push(&look.paint(Tone::Dim, &told));
        doc.push_raw(text.into_owned(), width);
        return;
    }
    let begin = clear.get(..clear.len().min(64)).unwrap_or_default();
    if matches!(body::form(begin), body::Form::Events) {
        events(doc, clear, dialect, look, width);
    } else if text.trim_start().starts_with(['{', '[']) && json::is_json(&text) {
        json::push(doc, &text, 0, width);
    } else {
        doc.push_raw(text.into_owned(), width);
    }
}

/// Each event by itself: its name and what it brings, its data below.
fn events(doc: &mut Doc, clear: &[u8], dialect: Option<Dialect>, look: Look, width: usize) {
    let mut splitter = Splitter::new(PRETTY_MAX * 2);
    let mut count = 0_usize;
    let mut one = |doc: &mut Doc, name: Option<&[u8]>, data: &[u8]| {
        count += 1;
        if count > EVENTS_MAX {
            return;
        }
        let told = dialect.map(|dialect| timeline::event_words(dialect, name, data));
        let name = name.map(|name| clean_line(&String::from_utf8_lossy(name)));
        let name = name.unwrap_or_default();
        let text = String::from_utf8_lossy(data);
        let told = told.filter(|told| *told != name && told != "event").unwrap_or_else(|| {
            let begin = text.get(..text.floor_char_boundary(width.min(text.len())));
            clean_line(begin.unwrap_or_default())
        });
        let number = format!("{count:>4} ");
        let gap = if name.is_empty() { "" } else { "  " };
        let room = width.saturating_sub(number.len() + name.chars().count() + gap.len());
        doc.push(&format!(
            "{}{}{gap}{}",
            look.paint(Tone::Dim, &number),
            look.paint(Tone::Tool, &name),
            clip(&told, room)
        ));
        let fold = doc.open(true);
        if text.starts_with(['{', '[']) && json::is_json(&text) {
            json::push(doc, &text, 5, width);
        }
        doc.close(fold, String::new());
    };
    splitter.feed_borrowed(clear, |event| one(doc, event.event, event.data));
    if let Some(last) = splitter.finish() {
        one(doc, last.event.as_deref().map(str::as_bytes), &last.data);
    }
    if count > EVENTS_MAX {
        let more = words::things(count - EVENTS_MAX, "more event", "more events");
        doc.push(&look.paint(Tone::Odd, &format!("{more}: see raw")));
    }
}

/// Both sides as they went over the wire: line, headers, and the bytes that were kept.
pub(super) fn raw(stored: &Stored, attempt: Option<usize>, look: Look) -> Doc {
    let mut doc = Doc::default();
    let width = look.width.unwrap_or(100);
    let tried = attempt.and_then(|at| stored.attempts.get(at));
    let legs = match tried {
        Some(tried) => [(Side::Request, &tried.request), (Side::Response, &tried.response)],
        None => [(Side::Request, &stored.request), (Side::Response, &stored.response)],
    };
    for (side, head) in legs {
        wire(&mut doc, head, raw::bytes(stored, leg(side, attempt), false), look, width);
    }
    doc.done()
}

fn wire(
    doc: &mut Doc,
    head: &stored::Leg,
    body: Result<raw::Raw<'_>, String>,
    look: Look,
    width: usize,
) {
    if doc.length() > 0 {
        doc.push("");
        doc.push(&look.paint(Tone::Dim, &"─".repeat(look.text_width())));
    }
    let mut text = String::new();
    if let Some(line) = &head.line {
        text.push_str(line);
        text.push('\n');
    }
    for (name, value) in head.headers.as_deref().unwrap_or_default() {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
    }
    doc.push_raw(text, width);
    doc.push("");
    match body {
        Ok(found) => {
            notes(doc, &found.notes, look);
            if body::is_binary(&found.bytes) {
                doc.push_bytes(found.bytes.into_owned());
            } else {
                doc.push_raw(String::from_utf8_lossy(&found.bytes).into_owned(), width);
            }
        }
        Err(why) => doc.push(&look.paint(Tone::Odd, &clean_line(&why))),
    }
}
