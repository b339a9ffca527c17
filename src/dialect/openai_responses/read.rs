//! Reads responses: whole ones, and streams of typed events whose last one repeats the whole response with its usage.
//!
//! Searches are counted by their items, `web_search_call`, because usage does not name them.

use crate::base::json::{Text, Walk};
use crate::dialect::notes::Notes;
use crate::neutral::reading::{Billing, Content};

/// The members of an event that any type of event needs; `type` may stand after them.
#[derive(Default)]
struct Event<'a> {
    kind: Option<Text<'a>>,
    delta: Option<Text<'a>>,
    code: Option<Text<'a>>,
    output_index: Option<u64>,
    item: Option<Walk<'a>>,
    response: Option<Walk<'a>>,
    error: Option<Walk<'a>>,
    has_image: bool,
}

/// Reads the data of one event.
pub(crate) fn event(notes: &mut Notes, data: &[u8]) -> Content {
    if data == b"[DONE]" {
        return Content::NONE;
    }
    let mut event = Event::default();
    Walk::new(data).members(|walk, key| match key {
        b"type" => event.kind = walk.text(),
        b"delta" => event.delta = walk.text().filter(|delta| !delta.is_empty()),
        b"output_index" => event.output_index = walk.count(),
        b"item" => event.item = Some(walk.clone()),
        b"response" => event.response = Some(walk.clone()),
        b"error" => event.error = Some(walk.clone()),
        b"code" => event.code = walk.text().filter(|code| !code.is_empty()),
        b"partial_image_b64" => event.has_image = true,
        _ => {}
    });
    let kind = event.kind.map(|kind| kind.inner()).unwrap_or_default();
    if let Some(delta) = &event.delta {
        let content = delta_content(kind);
        if !content.is_none()
            && kind != b"response.output_audio.delta"
            && kind != b"response.audio.delta"
        {
            notes.say(delta);
        }
        notes.reading.refused |= kind == b"response.refusal.delta";
        return content;
    }
    match kind {
        b"response.output_item.added" | b"response.output_item.done" => {
            let is_added = kind == b"response.output_item.added";
            let content = event.item.map_or(Content::NONE, |mut walk| {
                // Without an index the two cannot be told to be one item.
                let is_known = event.output_index.is_none() && !is_added;
                if is_known {
                    Content::NONE
                } else {
                    streamed_item(notes, &mut walk, event.output_index)
                }
            });
            if is_added { content } else { Content::NONE }
        }
        b"response.image_generation_call.partial_image" if event.has_image => Content::TEXT,
        b"error" => {
            if let Some(code) = event.code {
                notes.failed(code.read().chars().take(128).collect());
            } else if let Some(mut walk) = event.error {
                notes.error(&mut walk);
            } else {
                notes.failed("error".to_owned());
            }
            Content::NONE
        }
        _ => event.response.map_or(Content::NONE, |mut walk| stage(notes, &mut walk, kind)),
    }
}

fn delta_content(kind: &[u8]) -> Content {
    match kind {
        b"response.output_text.delta"
        | b"response.refusal.delta"
        | b"response.output_audio.delta"
        | b"response.audio.delta"
        | b"response.output_audio_transcript.delta"
        | b"response.audio.transcript.delta" => Content::TEXT,
        b"response.reasoning_summary_text.delta"
        | b"response.reasoning_text.delta"
        | b"response.reasoning_summary.delta"
        | b"response.reasoning.delta" => Content::REASONING,
        b"response.function_call_arguments.delta"
        | b"response.custom_tool_call_input.delta"
        | b"response.mcp_call_arguments.delta"
        | b"response.mcp_call.arguments.delta"
        | b"response.code_interpreter_call_code.delta" => Content::TOOL,
        _ => Content::NONE,
    }
}

/// An event that carries the response itself: `response.created` and so on, and the last one.
fn stage(notes: &mut Notes, walk: &mut Walk<'_>, kind: &[u8]) -> Content {
    let is_last = matches!(
        kind,
        b"response.completed" | b"response.incomplete" | b"response.failed" | b"response.cancelled"
    );
    notes.reading.ended |= is_last;
    response(notes, walk, Telling::Streamed { is_last })
}

/// Reads a whole response.
pub(crate) fn document(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    response(notes, walk, Telling::Whole)
}

/// How much of what a response holds is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// All of it.
    Whole,
    /// Its words came before as deltas; in the last event the items that were missed are counted.
    Streamed { is_last: bool },
}

fn response(notes: &mut Notes, walk: &mut Walk<'_>, telling: Telling) -> Content {
    let mut content = Content::NONE;
    let (mut status, mut reason): (Option<Text<'_>>, Option<Text<'_>>) = (None, None);
    walk.members(|walk, key| match key {
        b"id" => notes.response_id(walk),
        b"model" => notes.model(walk),
        b"service_tier" => notes.service_tier(walk),
        b"status" => status = walk.text(),
        b"background" => notes.background |= walk.boolean() == Some(true),
        b"usage" => {
            notes.tokens.read(walk);
        }
        b"error" => notes.error(walk),
        b"incomplete_details" => {
            walk.members(|walk, key| {
                if key == b"reason" {
                    reason = walk.text();
                }
            });
        }
        b"output" if telling != (Telling::Streamed { is_last: false }) => {
            let mut index = 0;
            walk.elements(|walk| {
                content = content.with(match telling {
                    Telling::Whole => item(notes, walk, true),
                    Telling::Streamed { .. } => streamed_item(notes, walk, Some(index)),
                });
                index += 1;
            });
        }
        _ => {}
    });
    let status = status.filter(|status| !status.is_empty());
    let is_running =
        status.is_some_and(|status| matches!(status.inner(), b"queued" | b"in_progress"));
    if telling == Telling::Whole && is_running {
        notes.reading.billing = Billing::Later;
    } else if telling != (Telling::Streamed { is_last: false })
        && let Some(reason) = reason.or(status)
        && !is_running
    {
        notes.finish_reason(0, &reason);
    }
    if telling == Telling::Whole { content } else { Content::NONE }
}

/// An item that a stream tells of up to three times: when it begins, when it is done, and in the whole response.
fn streamed_item(notes: &mut Notes, walk: &mut Walk<'_>, index: Option<u64>) -> Content {
    if index.is_none_or(|index| notes.is_new_item(index)) {
        item(notes, walk, false)
    } else {
        Content::NONE
    }
}

/// An item of output: counts a tool call or a search, and says what content it is.
fn item(notes: &mut Notes, walk: &mut Walk<'_>, with_words: bool) -> Content {
    let (mut kind, mut name, mut given): (_, Option<Text<'_>>, Option<Text<'_>>) =
        (None, None, None);
    let (mut said, mut thought) = (None, None);
    let mut has_result = false;
    walk.members(|walk, key| match key {
        b"type" => kind = walk.text(),
        b"name" => name = walk.text().filter(|name| !name.is_empty()),
        b"arguments" | b"input" => given = walk.text(),
        b"content" => said = Some(walk.clone()),
        b"summary" => thought = Some(walk.clone()),
        b"result" => has_result = walk.text().is_some_and(|result| !result.is_empty()),
        _ => {}
    });
    match kind.map(|kind| kind.inner()).unwrap_or_default() {
        b"function_call" | b"custom_tool_call" | b"mcp_call" => {
            if let Some(name) = name {
                notes.tool(&name);
            }
            if let Some(given) = given
                && with_words
            {
                notes.say(&given);
            }
            Content::TOOL
        }
        b"web_search_call" => {
            notes.searches += 1;
            Content::NONE
        }
        b"message" if with_words => {
            said.map_or(Content::NONE, |mut walk| parts(notes, &mut walk, Content::TEXT))
        }
        b"reasoning" if with_words => [thought, said]
            .into_iter()
            .flatten()
            .map(|mut walk| parts(notes, &mut walk, Content::REASONING))
            .fold(Content::NONE, Content::with),
        b"image_generation_call" if has_result && with_words => Content::TEXT,
        _ => Content::NONE,
    }
}

/// Parts of a message, of reasoning, or of its summary.
fn parts(notes: &mut Notes, walk: &mut Walk<'_>, kind: Content) -> Content {
    let mut content = Content::NONE;
    walk.elements(|walk| {
        walk.members(|walk, key| {
            if matches!(key, b"text" | b"refusal" | b"transcript")
                && let Some(text) = walk.text()
                && !text.is_empty()
            {
                notes.say(&text);
                notes.reading.refused |= key == b"refusal";
                content = kind;
            }
        });
    });
    content
}
