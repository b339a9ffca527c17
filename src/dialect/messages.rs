//! Reads the words of requests and answers into messages, for spans that are asked to carry them and for people who look at
//! what was captured. Off the hot path, and only then: nothing else needs a tree of a body. What cannot be understood is left out; nothing here can fail.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::sse::Splitter;
use crate::dialect::{anthropic_messages, gemini_generate, openai_chat, openai_responses};
use crate::neutral::kind::Dialect;
use crate::neutral::message::{Conversation, Message, Part};

/// Limit: bytes of one event that is read.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Limit: bytes of one part that is put together of many events; what comes after is dropped.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Limit: choices, messages or parts of a request or an answer.
const ITEMS_MAX: usize = 16 * 1024;

/// What a request says.
pub fn request(dialect: Dialect, body: &[u8]) -> Conversation {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Conversation::default() };
    match dialect {
        Dialect::OpenAiChat => openai_chat::messages::request(&body),
        Dialect::OpenAiResponses => openai_responses::messages::request(&body),
        Dialect::OpenAiEmbeddings => Conversation::default(),
        Dialect::Anthropic => anthropic_messages::messages::request(&body),
        Dialect::Gemini => gemini_generate::messages::request(&body),
    }
}

/// What a whole answer says, one message a choice.
pub fn document(dialect: Dialect, body: &[u8]) -> Vec<Message> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    match dialect {
        Dialect::OpenAiChat => openai_chat::messages::document(&body),
        Dialect::OpenAiResponses => openai_responses::messages::document(&body),
        Dialect::OpenAiEmbeddings => Vec::new(),
        Dialect::Anthropic => anthropic_messages::messages::document(&body),
        Dialect::Gemini => gemini_generate::messages::document(&body),
    }
}

/// What a stream of events says, perhaps only its beginning.
pub fn events(dialect: Dialect, bytes: &[u8]) -> Vec<Message> {
    let mut draft = Draft::default();
    let mut splitter = Splitter::new(EVENT_BYTES_MAX);
    splitter.feed_borrowed(bytes, |one| add_event(dialect, one.data, &mut draft));
    if let Some(last) = splitter.finish() {
        add_event(dialect, &last.data, &mut draft);
    }
    draft.messages()
}

/// What one event brings, by its data.
pub fn event(dialect: Dialect, data: &[u8]) -> Vec<Message> {
    let mut draft = Draft::default();
    add_event(dialect, data, &mut draft);
    draft.messages()
}

fn add_event(dialect: Dialect, data: &[u8], draft: &mut Draft) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    match dialect {
        Dialect::OpenAiChat => openai_chat::messages::event(&event, draft),
        Dialect::OpenAiResponses => openai_responses::messages::event(&event, draft),
        Dialect::OpenAiEmbeddings => {}
        Dialect::Anthropic => anthropic_messages::messages::event(&event, draft),
        Dialect::Gemini => gemini_generate::messages::event(&event, draft),
    }
}

/// An answer being put together: parts by choice and place, in the order of both.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    parts: BTreeMap<(u64, u64), Part>,
    finish: BTreeMap<u64, String>,
}

impl Draft {
    /// Adds to the text, reasoning or arguments at a place; `begin` makes the part where there is none.
    pub(crate) fn append(
        &mut self,
        choice: u64,
        place: u64,
        begin: impl FnOnce() -> Part,
        more: &str,
    ) {
        if !self.parts.contains_key(&(choice, place)) && self.parts.len() >= ITEMS_MAX {
            return;
        }
        let part = self.parts.entry((choice, place)).or_insert_with(begin);
        let text = match part {
            Part::Text(text)
            | Part::Reasoning(text)
            | Part::ToolCall { arguments: text, .. }
            | Part::ToolResponse { response: text, .. } => text,
            Part::Media { .. } | Part::Uri { .. } | Part::Other(_) => return,
        };
        if text.len() + more.len() <= PART_BYTES_MAX {
            text.push_str(more);
        }
    }

    /// Puts a whole part at a place.
    pub(crate) fn put(&mut self, choice: u64, place: u64, part: Part) {
        if self.parts.len() < ITEMS_MAX {
            self.parts.insert((choice, place), part);
        }
    }

    pub(crate) fn finish(&mut self, choice: u64, reason: &str) {
        if self.finish.len() < ITEMS_MAX {
            self.finish.insert(choice, reason.to_owned());
        }
    }

    /// The next free place of a choice.
    pub(crate) fn next_place(&self, choice: u64) -> u64 {
        let last = self.parts.range((choice, 0)..=(choice, u64::MAX)).next_back();
        last.map_or(0, |((_, place), _)| place + 1)
    }

    pub(crate) fn messages(mut self) -> Vec<Message> {
        let mut messages: BTreeMap<u64, Message> = BTreeMap::new();
        for ((choice, _), part) in self.parts {
            let message =
                messages.entry(choice).or_insert_with(|| Message::of("assistant", Vec::new()));
            message.parts.push(part);
        }
        while let Some((choice, reason)) = self.finish.pop_first() {
            let message =
                messages.entry(choice).or_insert_with(|| Message::of("assistant", Vec::new()));
            message.finish = Some(reason);
        }
        messages.into_values().collect()
    }
}

/// The text under a key, when there is one that is not empty.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The items of the list under a key, at most [`ITEMS_MAX`] of the end: a conversation's last messages tell the most.
pub(crate) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let all = value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    &all[all.len().saturating_sub(ITEMS_MAX)..]
}

pub(crate) fn index(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// Text as it is, everything else as JSON.
pub(crate) fn flat(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A part whose kind is not read; only the kind is kept.
pub(crate) fn other(part: &Value) -> Part {
    Part::Other(text(part, "type").unwrap_or("unknown").chars().take(64).collect())
}
