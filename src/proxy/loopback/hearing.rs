//! Listening to an answer: when each content came, and at the end what was said, billed and complained of.

use bytes::BytesMut;
use http::StatusCode;
use pinhole_replay::outcome::{Answer, Arrival, Call, Outcome, What};
use pinhole_replay::recording::{Fault, Recording, Usage};

use crate::base::sse::Splitter;
use crate::dialect::messages;
use crate::dialect::reader::Reader;
use crate::neutral::failure::Code;
use crate::neutral::kind::{Dialect, Operation};
use crate::neutral::message::{Message, Part};
use crate::neutral::reading::{Content, Reading};
use crate::observe::estimate;
use crate::price::book::Priced;
use crate::proxy::loopback::sealed;

/// Limit: bytes of an event that is only looked for, not read.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Limit: bytes of an answer that are kept to be compared; the rest is timed and counted.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// What there is to say of an answer beside its outcome.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What it tells of that went wrong.
    pub(super) fault: Option<Fault>,
    /// It came to its end and says nothing: no text, no call, nothing else, and no reason that was paid for.
    pub(super) is_empty: bool,
}

impl Heard {
    fn broken(fault: Fault) -> Self {
        Self { fault: Some(fault), is_empty: false }
    }
}

pub(super) struct Hearing {
    dialect: Dialect,
    operation: Operation,
    events: bool,
    reader: Reader,
    contents: Vec<Arrival>,
    /// Looks for the first event until it has come.
    opening: Option<Splitter>,
    first_event_us: Option<u64>,
    body: BytesMut,
}

impl Hearing {
    /// `events`: the answer is a stream of them.
    pub(super) fn new(recording: &Recording, events: bool) -> Self {
        let dialect = dialect(&recording.dialect);
        let operation = operation(&recording.operation);
        Self {
            dialect,
            operation,
            events,
            reader: Reader::new(dialect, operation, false),
            contents: Vec::new(),
            opening: events.then(|| Splitter::new(EVENT_BYTES_MAX)),
            first_event_us: None,
            body: BytesMut::new(),
        }
    }

    pub(super) fn piece(&mut self, at_us: u64, piece: &[u8]) {
        if let Some(opening) = &mut self.opening {
            let first = &mut self.first_event_us;
            opening.feed_borrowed(piece, |event| {
                if !event.data.is_empty() {
                    first.get_or_insert(at_us);
                }
            });
            if first.is_some() {
                self.opening = None;
            }
        }
        if self.events {
            let contents = &mut self.contents;
            self.reader.feed(at_us, piece, &mut |at_us, content| {
                contents.push(Arrival { at_us, what: what(content) });
            });
        }
        let room = KEPT_BYTES_MAX.saturating_sub(self.body.len());
        self.body.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
    }

    /// Fills the outcome.
    pub(super) fn end(
        mut self,
        status: StatusCode,
        from_provider: bool,
        price: Option<&Priced>,
        outcome: &mut Outcome,
    ) -> Heard {
        if !self.events {
            self.reader.document(&self.body);
        }
        let reading = self.reader.finish();
        outcome.streamed = self.events;
        outcome.first_event_us = self.first_event_us;
        outcome.contents = self.contents;
        if !status.is_success() {
            return Heard::broken(refused((status, from_provider), &reading, &self.body));
        }
        let message = message(self.dialect, self.events, &self.body);
        let says_nothing = says_nothing(&message);
        outcome.answer = answer(message, &reading);
        outcome.answer.sealed = sealed::of(self.dialect, self.events, &self.body);
        let said = &outcome.answer;
        let calls: String = said.calls.iter().map(|call| call.arguments.as_str()).collect();
        let words = [&said.text, &said.reasoning, &calls].map(|text| estimate::words(text));
        outcome.reference_tokens = Some(words.iter().sum());
        if let Some(usage) = &reading.usage {
            let cost = price.and_then(|price| price.cost(usage, reading.service_tier.as_deref()));
            outcome.cost_nanousd = cost.map(|cost| cost.nanodollars.0);
            outcome.usage = Some(told(usage));
        }
        if let Some(error) = &reading.error {
            return Heard::broken(upstream(error.clone(), None));
        }
        // A stream that broke off is no answer, whatever had come of it; nor is a page where a document was due.
        let kind = if self.events { "truncated" } else { "invalid_answer" };
        if !reading.ended {
            return Heard::broken(upstream(kind.to_owned(), None));
        }
        let speaks = matches!(self.operation, Operation::Chat | Operation::TextCompletion);
        let paid = reading.usage.as_ref().and_then(|usage| usage.output) > Some(0);
        let has_reason = outcome.answer.finish.is_some() && paid || outcome.answer.refused;
        Heard { fault: None, is_empty: speaks && says_nothing && !has_reason }
    }
}

fn refused((status, from_provider): (StatusCode, bool), reading: &Reading, body: &[u8]) -> Fault {
    let status = status.as_u16();
    let beginning = String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default());
    let detail = Some(beginning.into_owned());
    if from_provider {
        return upstream(format!("http_{status}"), detail);
    }
    // The gateway's own word is one in all dialects; what they make of it differs.
    let words = detail.as_deref().unwrap_or_default();
    let own = Code::ALL.iter().find(|code| words.contains(&format!("\"{}\"", code.label())));
    if let Some(code) = own {
        let (source, kind) = (code.source().label().to_owned(), code.label().to_owned());
        return Fault { source, kind, detail };
    }
    let kind = reading.error.clone().unwrap_or_else(|| format!("http_{status}"));
    Fault { source: "gateway".to_owned(), kind, detail }
}

fn upstream(kind: String, detail: Option<String>) -> Fault {
    Fault { source: "upstream".to_owned(), kind, detail }
}

/// An answer that came to its end without saying anything, where the recorded one did.
pub(super) fn no_answer() -> Fault {
    let detail = "a good status, and neither text nor a call in the answer";
    upstream("no_answer".to_owned(), Some(detail.to_owned()))
}

/// The answer's first choice.
fn message(dialect: Dialect, events: bool, body: &[u8]) -> Message {
    let read = if events { messages::events } else { messages::document };
    read(dialect, body).into_iter().next().unwrap_or_default()
}

fn says_nothing(message: &Message) -> bool {
    message.parts.iter().all(|part| match part {
        Part::Text(text) | Part::Reasoning(text) => text.is_empty(),
        _ => false,
    })
}

fn answer(message: Message, reading: &Reading) -> Answer {
    let finish = message.finish.clone().or_else(|| reading.finish_reasons.first().cloned());
    let mut answer =
        Answer { finish: finish.map(plain), refused: reading.refused, ..Answer::default() };
    said(message, &mut answer);
    answer
}

fn said(message: Message, answer: &mut Answer) {
    for part in message.parts {
        match part {
            Part::Text(text) => answer.text.push_str(&text),
            Part::Reasoning(text) => answer.reasoning.push_str(&text),
            Part::ToolCall { name, arguments, .. } => answer.calls.push(Call { name, arguments }),
            Part::ToolResponse { .. } | Part::Media { .. } | Part::Uri { .. } | Part::Other(_) => {}
        }
    }
}

/// One spelling for all dialects, where they mean the same.
fn plain(reason: String) -> String {
    let same = match reason.to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "stop_sequence" | "completed" => "stop",
        "length" | "max_tokens" | "max_output_tokens" | "incomplete" => "length",
        "tool_calls" | "tool_use" | "function_call" => "tool_calls",
        "content_filter" | "safety" | "refusal" | "recitation" | "blocklist" => "content_filter",
        _ => return reason,
    };
    same.to_owned()
}

fn what(content: Content) -> What {
    if content.has(Content::TEXT) {
        What::Text
    } else if content.has(Content::TOOL) {
        What::Call
    } else {
        What::Reasoning
    }
}

fn told(usage: &crate::neutral::usage::Usage) -> Usage {
    let number = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    Usage {
        input: number(usage.input),
        output: number(usage.output),
        cache_read: number(usage.cache_read),
        cache_write: number(usage.cache_write),
        reasoning: number(usage.reasoning),
        source: Some("provider".to_owned()),
    }
}

/// The dialect of a label; what is not known is read as OpenAI's chat, which finds nothing in it.
pub(super) fn dialect(label: &str) -> Dialect {
    Dialect::ALL.into_iter().find(|one| one.label() == label).unwrap_or(Dialect::OpenAiChat)
}

pub(super) fn operation(label: &str) -> Operation {
    let all =
        [Operation::Chat, Operation::TextCompletion, Operation::Embeddings, Operation::CountTokens];
    all.into_iter().find(|one| one.label() == label).unwrap_or(Operation::Chat)
}
