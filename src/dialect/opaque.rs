//! Reads answers whose endpoint is not known: each document or event tells by its members which dialect's shape it has,
//! and is read by that dialect; what has none is searched for the usual members.
//!
//! Also tells apart what must not be counted twice: things made earlier and fetched by their id (`Billing::Fetched`), and
//! work that goes on behind an id (`Billing::Later`).

use crate::base::json::{Kind, Text, Walk};
use crate::dialect::notes::Notes;
use crate::dialect::tokens::Cache;
use crate::dialect::{anthropic_messages, gemini_generate, openai_chat, openai_responses};
use crate::neutral::reading::{Billing, Content};

/// Whose shape a document or event has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Chat,
    Response,
    Message,
    Generated,
    /// OpenAI's batch, and its thread's run: objects that are polled until they are done.
    Polled,
    MessageBatch,
    Other,
}

/// What a first walk over the members saw.
#[derive(Default)]
struct Look<'a> {
    kind: Option<Text<'a>>,
    object: Option<Text<'a>>,
    has_choices: bool,
    has_candidates: bool,
    /// Only a completion that was stored and is fetched again has it.
    has_request_id: bool,
}

impl<'a> Look<'a> {
    /// Moves over the whole root.
    fn at(walk: &mut Walk<'a>) -> Self {
        let mut look = Self::default();
        walk.members(|walk, key| {
            look.note(walk, key);
        });
        look
    }

    /// Goes no further than it must: a member that only one dialect's events have is enough.
    fn at_event(data: &'a [u8]) -> Self {
        let mut look = Self::default();
        Walk::new(data).members(|walk, key| {
            if look.note(walk, key) && look.shape() != Shape::Other {
                walk.leave();
            }
        });
        look
    }

    /// Takes a member; true when it tells something.
    fn note(&mut self, walk: &mut Walk<'a>, key: &[u8]) -> bool {
        match key {
            b"type" => self.kind = walk.text(),
            b"object" => self.object = walk.text(),
            b"choices" => self.has_choices = walk.kind() == Some(Kind::Array),
            b"candidates" | b"usageMetadata" | b"promptFeedback" => self.has_candidates = true,
            b"request_id" => self.has_request_id = true,
            _ => return false,
        }
        true
    }

    fn shape(&self) -> Shape {
        let kind = self.kind.map(|text| text.inner()).unwrap_or_default();
        let object = self.object.map(|text| text.inner()).unwrap_or_default();
        match (object, kind) {
            (b"response", _) => Shape::Response,
            (b"batch" | b"thread.run" | b"thread.run.step", _) => Shape::Polled,
            (_, b"message_batch") => Shape::MessageBatch,
            (
                _,
                b"message"
                | b"message_start"
                | b"message_delta"
                | b"message_stop"
                | b"content_block_start"
                | b"content_block_delta"
                | b"content_block_stop",
            ) => Shape::Message,
            (_, kind) if kind.starts_with(b"response.") => Shape::Response,
            _ if self.has_choices => Shape::Chat,
            _ if self.has_candidates => Shape::Generated,
            _ => Shape::Other,
        }
    }
}

/// Reads the data of one event.
pub(crate) fn event(notes: &mut Notes, data: &[u8]) -> Content {
    if data == b"[DONE]" {
        notes.reading.ended = true;
        return Content::NONE;
    }
    let look = Look::at_event(data);
    match look.shape() {
        Shape::Chat => openai_chat::read::event(notes, data),
        Shape::Response => {
            // Not the known endpoint: a stream that is taken up again by its id.
            notes.reading.billing = Billing::Fetched;
            openai_responses::read::event(notes, data)
        }
        Shape::Message => anthropic_messages::read::event(notes, data),
        Shape::Generated => gemini_generate::read::event(notes, data),
        Shape::Polled | Shape::MessageBatch | Shape::Other => {
            let kind = look.kind.map(|kind| kind.inner()).unwrap_or_default();
            if kind.ends_with(b".completed") || kind.ends_with(b".done") {
                notes.reading.ended = true;
                return last(notes, &mut Walk::new(data));
            }
            other(notes, &mut Walk::new(data))
        }
    }
}

/// Reads a whole answer.
pub(crate) fn document(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    if walk.kind() == Some(Kind::Array) {
        return gemini_generate::read::document(notes, walk);
    }
    let mut ahead = walk.clone();
    let look = Look::at(&mut ahead);
    if ahead.rest().first() == Some(&b'{') {
        lines(notes, walk);
        return Content::NONE;
    }
    match look.shape() {
        Shape::Chat => {
            if look.has_request_id {
                notes.reading.billing = Billing::Fetched;
            }
            openai_chat::read::document(notes, walk)
        }
        Shape::Response => {
            notes.reading.billing = Billing::Fetched;
            openai_responses::read::document(notes, walk)
        }
        Shape::Message => anthropic_messages::read::document(notes, walk),
        Shape::Generated => gemini_generate::read::document(notes, walk),
        Shape::Polled => polled(notes, walk),
        Shape::MessageBatch => message_batch(notes, walk),
        Shape::Other => {
            let content = other(notes, walk);
            // Reranking and the like name one number, of what they were given.
            notes.tokens.take_total_as_input();
            content
        }
    }
}

/// Reads whole lines, each of them JSON: the results of an Anthropic batch, whose usages are summed. The files of OpenAI's
/// batches have another shape on purpose not read: their batch object tells the sum.
pub(crate) fn lines(notes: &mut Notes, walk: &mut Walk<'_>) {
    while walk.kind() == Some(Kind::Object) {
        let mut has_usage = false;
        walk.members(|walk, key| {
            if key != b"result" {
                return;
            }
            walk.members(|walk, key| {
                if key == b"message" {
                    walk.members(|walk, key| match key {
                        b"usage" => has_usage |= notes.tokens.read(walk),
                        b"model" => notes.model(walk),
                        _ => {}
                    });
                }
            });
        });
        if has_usage && !walk.is_broken() {
            notes.end_one_of_many(Cache::Apart);
            notes.reading.billing = Billing::Fetched;
        }
        walk.rest();
    }
}

/// An object that says how far the work behind it is.
fn polled(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut status: Option<Text<'_>> = None;
    let mut has_usage = false;
    walk.members(|walk, key| match key {
        b"id" => notes.response_id(walk),
        b"model" => notes.model(walk),
        b"status" => status = walk.text(),
        b"usage" => has_usage |= notes.tokens.read(walk),
        _ => {}
    });
    let is_over = status.is_some_and(|status| {
        matches!(
            status.inner(),
            b"completed" | b"failed" | b"expired" | b"cancelled" | b"incomplete"
        )
    });
    if is_over && has_usage {
        notes.reading.billing = Billing::Fetched;
    } else {
        // A running batch shows the numbers so far.
        notes.tokens.clear();
        notes.reading.billing = Billing::Later;
    }
    Content::NONE
}

/// Anthropic's batch tells no usage of its own: its results do, when they are fetched.
fn message_batch(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut is_over = false;
    walk.members(|walk, key| match key {
        b"id" => notes.response_id(walk),
        b"processing_status" => {
            is_over = walk.text().is_some_and(|status| status.inner() == b"ended");
        }
        _ => {}
    });
    notes.reading.billing = if is_over { Billing::Now } else { Billing::Later };
    Content::NONE
}

/// Pictures, speech, transcripts, rankings, Bedrock's converse, and whatever else has a usage at its top.
fn other(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| {
        let found = match key {
            b"delta" | b"text" => spoken(notes, walk),
            b"b64_json" | b"audio" | b"data" => present(walk),
            b"output" => converse(notes, walk),
            _ => {
                fact(notes, walk, key);
                Content::NONE
            }
        };
        content = content.with(found);
    });
    content
}

/// The event that ends a stream: the last picture is new, a text was told before, piece by piece.
fn last(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| match key {
        b"b64_json" => content = present(walk),
        _ => fact(notes, walk, key),
    });
    content
}

fn fact(notes: &mut Notes, walk: &mut Walk<'_>, key: &[u8]) {
    match key {
        b"usage" => {
            notes.tokens.read(walk);
        }
        b"usageMetadata" => gemini_generate::read::usage(notes, walk),
        b"meta" => {
            walk.members(|walk, key| {
                if key == b"billed_units" {
                    notes.tokens.read(walk);
                }
            });
        }
        b"prompt_token_count" => notes.tokens.number(walk, |tokens| &mut tokens.input),
        b"generation_token_count" => notes.tokens.number(walk, |tokens| &mut tokens.output),
        b"stopReason" | b"stop_reason" => {
            if let Some(reason) = walk.text() {
                notes.finish_reason(0, &reason);
            }
        }
        b"id" => notes.response_id(walk),
        b"model" => notes.model(walk),
        b"service_tier" => notes.service_tier(walk),
        b"error" => notes.error(walk),
        _ => {}
    }
}

fn spoken(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    match walk.text() {
        Some(text) if !text.is_empty() => {
            notes.say(&text);
            Content::TEXT
        }
        _ => Content::NONE,
    }
}

/// Something other than words: a string or an array that is not empty.
fn present(walk: &mut Walk<'_>) -> Content {
    let mut is_there = false;
    if !walk.elements(|_| is_there = true) {
        is_there = walk.text().is_some_and(|text| !text.is_empty());
    }
    if is_there { Content::TEXT } else { Content::NONE }
}

/// Bedrock's `output.message.content[]`.
fn converse(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| {
        if key != b"message" {
            return;
        }
        walk.members(|walk, key| {
            if key == b"content" {
                walk.elements(|walk| content = content.with(converse_block(notes, walk)));
            }
        });
    });
    content
}

fn converse_block(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| match key {
        b"text" => content = content.with(spoken(notes, walk)),
        b"reasoningContent" => content = content.with(Content::REASONING),
        b"toolUse" => {
            content = content.with(Content::TOOL);
            walk.members(|walk, key| match key {
                b"name" => {
                    if let Some(name) = walk.text() {
                        notes.tool(&name);
                    }
                }
                b"input" => notes.say_json(walk.raw()),
                _ => {}
            });
        }
        _ => {}
    });
    content
}
