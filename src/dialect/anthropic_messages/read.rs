//! Reads messages: whole ones, and streams whose first event holds the message without its content and whose later
//! events add to it. Usage comes in `message_start` and again, cumulative, in `message_delta`.

use crate::base::json::{Text, Walk};
use crate::dialect::notes::Notes;
use crate::neutral::reading::Content;

/// Reads the data of one event. The members tell what they are by themselves, so the order of `type` does not matter.
pub(crate) fn event(notes: &mut Notes, data: &[u8]) -> Content {
    let mut content = Content::NONE;
    Walk::new(data).members(|walk, key| {
        let found = match key {
            b"type" => {
                let is_stop = walk.text().is_some_and(|kind| kind.inner() == b"message_stop");
                notes.reading.ended |= is_stop;
                Content::NONE
            }
            b"delta" => delta(notes, walk),
            b"content_block" => block(notes, walk),
            b"message" => document(notes, walk),
            b"usage" => {
                notes.tokens.read(walk);
                Content::NONE
            }
            b"error" => {
                notes.error(walk);
                Content::NONE
            }
            _ => Content::NONE,
        };
        content = content.with(found);
    });
    content
}

/// Reads a whole message.
pub(crate) fn document(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| match key {
        b"id" => notes.response_id(walk),
        b"model" => notes.model(walk),
        b"content" => {
            walk.elements(|walk| content = content.with(block(notes, walk)));
        }
        b"stop_reason" => {
            if let Some(reason) = walk.text() {
                notes.finish_reason(0, &reason);
            }
        }
        b"usage" => {
            notes.tokens.read(walk);
        }
        b"error" => notes.error(walk),
        _ => {}
    });
    content
}

/// A block of content: whole, or as `content_block_start` has it, mostly empty.
fn block(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let (mut kind, mut name, mut said, mut thought): (_, _, _, Option<Text<'_>>) =
        (None, None, None, None);
    let mut input: &[u8] = b"{}";
    walk.members(|walk, key| match key {
        b"type" => kind = walk.text(),
        b"name" => name = walk.text(),
        b"text" => said = walk.text().filter(|text| !text.is_empty()),
        b"thinking" | b"data" => thought = walk.text().filter(|text| !text.is_empty()),
        b"input" => input = walk.raw(),
        _ => {}
    });
    match kind.map(|kind| kind.inner()).unwrap_or_default() {
        b"text" => spoken(notes, said, Content::TEXT),
        b"thinking" => spoken(notes, thought, Content::REASONING),
        // What is thought is hidden, that something is thought is not.
        b"redacted_thinking" if thought.is_some() => Content::REASONING,
        kind @ (b"tool_use" | b"mcp_tool_use" | b"server_tool_use") => {
            if let Some(name) = name
                && kind != b"server_tool_use"
            {
                notes.tool(&name);
            }
            notes.say_json(input);
            Content::TOOL
        }
        _ => Content::NONE,
    }
}

/// What `content_block_delta` and `message_delta` add.
fn delta(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| {
        let found = match key {
            b"text" => spoken(notes, walk.text(), Content::TEXT),
            b"thinking" => spoken(notes, walk.text(), Content::REASONING),
            b"partial_json" => spoken(notes, walk.text(), Content::TOOL),
            b"stop_reason" => {
                if let Some(reason) = walk.text() {
                    notes.finish_reason(0, &reason);
                }
                Content::NONE
            }
            _ => Content::NONE,
        };
        content = content.with(found);
    });
    content
}

fn spoken(notes: &mut Notes, text: Option<Text<'_>>, kind: Content) -> Content {
    match text {
        Some(text) if !text.is_empty() => {
            notes.say(&text);
            kind
        }
        _ => Content::NONE,
    }
}
