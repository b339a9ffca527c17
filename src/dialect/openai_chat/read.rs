//! Reads chat completions and legacy completions: `choices[].message`, `.delta` or `.text`, one after the other or in a
//! stream, with usage wherever the many servers of this dialect put it.

use crate::base::json::{Kind, Text, Walk};
use crate::dialect::notes::Notes;
use crate::neutral::reading::Content;

/// Reads the data of one event.
pub(crate) fn event(notes: &mut Notes, data: &[u8]) -> Content {
    if data == b"[DONE]" {
        notes.reading.ended = true;
        return Content::NONE;
    }
    let answer = answer(notes, &mut Walk::new(data));
    // The chunk that holds only the usage is the last word, also where nobody sends `[DONE]`.
    if answer.has_usage && !answer.has_choices && notes.has_finish_reason() {
        notes.reading.ended = true;
    }
    answer.content
}

/// Reads a whole answer.
pub(crate) fn document(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    answer(notes, walk).content
}

#[derive(Default)]
struct Answer {
    content: Content,
    has_choices: bool,
    has_usage: bool,
}

fn answer(notes: &mut Notes, walk: &mut Walk<'_>) -> Answer {
    let mut answer = Answer::default();
    walk.members(|walk, key| match key {
        b"choices" => {
            let mut position = 0;
            walk.elements(|walk| {
                let found = choice(notes, walk, position);
                answer.content = answer.content.with(found);
                position += 1;
            });
            answer.has_choices = position > 0;
        }
        b"id" => notes.response_id(walk),
        b"model" => notes.model(walk),
        b"service_tier" => notes.service_tier(walk),
        b"usage" => answer.has_usage |= notes.tokens.read(walk),
        b"x_groq" => {
            walk.members(|walk, key| {
                if key == b"usage" {
                    answer.has_usage |= notes.tokens.read(walk);
                }
            });
        }
        b"error" => notes.error(walk),
        _ => {}
    });
    answer
}

fn choice(notes: &mut Notes, walk: &mut Walk<'_>, position: u64) -> Content {
    let mut content = Content::NONE;
    let mut index = None;
    let mut reason = None;
    let mut early = None;
    walk.members(|walk, key| match key {
        b"index" => index = walk.count(),
        // Tool calls are told apart by the choice's index, which nearly always stands before them.
        b"delta" | b"message" if index.is_none() => early = Some(walk.clone()),
        b"delta" | b"message" => {
            content = content.with(message(notes, walk, index.unwrap_or(position)));
        }
        b"text" => content = content.with(spoken(notes, walk, Content::TEXT)),
        b"finish_reason" => reason = walk.text(),
        // Moonshot's place.
        b"usage" => {
            notes.tokens.read(walk);
        }
        _ => {}
    });
    let index = index.unwrap_or(position);
    if let Some(mut walk) = early {
        content = content.with(message(notes, &mut walk, index));
    }
    if let Some(reason) = reason {
        notes.finish_reason(index, &reason);
    }
    content
}

/// A message, or a piece of one.
fn message(notes: &mut Notes, walk: &mut Walk<'_>, choice: u64) -> Content {
    let mut content = Content::NONE;
    let mut reasoning: Option<Text<'_>> = None;
    walk.members(|walk, key| {
        let found = match key {
            b"content" if walk.kind() == Some(Kind::Array) => parts(notes, walk),
            b"content" => spoken(notes, walk, Content::TEXT),
            b"refusal" => {
                let said = spoken(notes, walk, Content::TEXT);
                notes.reading.refused |= !said.is_none();
                said
            }
            // Some servers send both names with the same words.
            b"reasoning_content" | b"reasoning" => {
                let text = walk.text().filter(|text| !text.is_empty());
                if text.is_some() && reasoning.is_none() {
                    reasoning = text;
                }
                Content::NONE
            }
            b"tool_calls" => tool_calls(notes, walk, choice),
            b"function_call" => function(notes, walk, (choice, u64::MAX), None),
            b"audio" => audio(notes, walk),
            b"images" => held(walk),
            _ => Content::NONE,
        };
        content = content.with(found);
    });
    if let Some(text) = reasoning {
        notes.say(&text);
        content = content.with(Content::REASONING);
    }
    content
}

fn spoken(notes: &mut Notes, walk: &mut Walk<'_>, kind: Content) -> Content {
    match walk.text() {
        Some(text) if !text.is_empty() => {
            notes.say(&text);
            kind
        }
        _ => Content::NONE,
    }
}

/// Content in parts, as Mistral has it: text, and thinking with parts of its own.
fn parts(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.elements(|walk| {
        walk.members(|walk, key| {
            let found = match key {
                b"text" => spoken(notes, walk, Content::TEXT),
                b"thinking" if walk.kind() == Some(Kind::Array) => {
                    if parts(notes, walk).is_none() {
                        Content::NONE
                    } else {
                        Content::REASONING
                    }
                }
                b"thinking" => spoken(notes, walk, Content::REASONING),
                _ => Content::NONE,
            };
            content = content.with(found);
        });
    });
    content
}

/// Sound counts as words of the answer, as its transcript does.
fn audio(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| {
        let found = match key {
            b"transcript" => spoken(notes, walk, Content::TEXT),
            b"data" if walk.text().is_some_and(|data| !data.is_empty()) => Content::TEXT,
            _ => Content::NONE,
        };
        content = content.with(found);
    });
    content
}

/// Another modality: an array with something in it.
fn held(walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.elements(|_| content = Content::TEXT);
    content
}

fn tool_calls(notes: &mut Notes, walk: &mut Walk<'_>, choice: u64) -> Content {
    let mut content = Content::NONE;
    let mut position = 0;
    walk.elements(|walk| {
        let (mut index, mut id, mut called) = (None, None, None);
        walk.members(|walk, key| match key {
            b"index" => index = walk.count(),
            b"id" => id = walk.text(),
            b"function" | b"custom" => called = Some(walk.clone()),
            _ => {}
        });
        let place = (choice, index.unwrap_or(position));
        let found = match called {
            Some(mut walk) => function(notes, &mut walk, place, id),
            None => Content::NONE,
        };
        content = content.with(found);
        position += 1;
    });
    content
}

/// A call of a function or custom tool, or a piece of one.
fn function(
    notes: &mut Notes,
    walk: &mut Walk<'_>,
    place: (u64, u64),
    id: Option<Text<'_>>,
) -> Content {
    let (mut name, mut arguments) = (None, None);
    walk.members(|walk, key| match key {
        b"name" => name = walk.text().filter(|name| !name.is_empty()),
        b"arguments" | b"input" => arguments = walk.text().filter(|text| !text.is_empty()),
        _ => {}
    });
    if id.is_some_and(|id| !id.is_empty()) || name.is_some() {
        notes.tool_call(place, id, name);
    }
    if let Some(text) = arguments {
        notes.say(&text);
    }
    if name.is_some() || arguments.is_some() { Content::TOOL } else { Content::NONE }
}
