//! Reads generated content: one object, a stream of such objects, or a JSON array of them. Each may hold the usage so
//! far; the last number counts.
//!
//! Searches: Google bills grounding by the prompt, however many queries the model made, so an answer with queries counts
//! as one search.

use crate::base::json::{Text, Walk};
use crate::dialect::notes::Notes;
use crate::dialect::tokens::Tokens;
use crate::neutral::reading::Content;

/// Reads the data of one event.
pub(crate) fn event(notes: &mut Notes, data: &[u8]) -> Content {
    part_of_answer(notes, &mut Walk::new(data))
}

/// Reads a whole answer, or the array that a stream without `alt=sse` is.
pub(crate) fn document(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    let is_array = walk.elements(|walk| content = content.with(part_of_answer(notes, walk)));
    if is_array { content } else { part_of_answer(notes, walk) }
}

fn part_of_answer(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    walk.members(|walk, key| match key {
        b"candidates" => {
            let (mut position, mut is_finished) = (0, false);
            walk.elements(|walk| {
                let (found, has_reason) = candidate(notes, walk, position);
                content = content.with(found);
                is_finished |= has_reason;
                position += 1;
            });
            // Usage alone may follow the end; a further candidate undoes it.
            if position > 0 {
                notes.tokens.omits_zeroes = true;
                notes.reading.ended = is_finished;
            }
        }
        b"usageMetadata" => usage(notes, walk),
        b"modelVersion" => notes.model(walk),
        b"responseId" => notes.response_id(walk),
        b"promptFeedback" => {
            walk.members(|walk, key| {
                if key == b"blockReason"
                    && let Some(reason) = walk.text()
                {
                    notes.finish_reason(0, &reason);
                    notes.tokens.omits_zeroes = true;
                    notes.reading.ended = true;
                }
            });
        }
        b"error" => notes.error(walk),
        // The envelope of Google's own tools.
        b"response" => content = content.with(part_of_envelope(notes, walk)),
        _ => {}
    });
    content
}

fn part_of_envelope(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    let mut walk_inner = walk.clone();
    let mut is_nested = false;
    walk.members(|_, key| is_nested |= key == b"response");
    if !is_nested {
        content = part_of_answer(notes, &mut walk_inner);
    }
    content
}

/// A candidate: its content, and whether it says why it ended.
fn candidate(notes: &mut Notes, walk: &mut Walk<'_>, position: u64) -> (Content, bool) {
    let mut content = Content::NONE;
    let mut index = position;
    let mut reason: Option<Text<'_>> = None;
    walk.members(|walk, key| match key {
        b"content" => {
            walk.members(|walk, key| {
                if key == b"parts" {
                    walk.elements(|walk| content = content.with(part(notes, walk)));
                }
            });
        }
        b"index" => index = walk.count().unwrap_or(position),
        b"finishReason" => reason = walk.text(),
        b"groundingMetadata" => {
            walk.members(|walk, key| {
                if key == b"webSearchQueries" {
                    walk.elements(|_| notes.searches = 1);
                }
            });
        }
        _ => {}
    });
    let reason = reason
        .filter(|reason| !reason.is_empty() && reason.inner() != b"FINISH_REASON_UNSPECIFIED");
    if let Some(reason) = reason {
        notes.finish_reason(index, &reason);
    }
    (content, reason.is_some())
}

fn part(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    let mut content = Content::NONE;
    let mut text = None;
    let mut is_thought = false;
    walk.members(|walk, key| match key {
        b"text" => text = walk.text().filter(|text| !text.is_empty()),
        b"thought" => is_thought = walk.boolean().unwrap_or(false),
        b"functionCall" => {
            content = content.with(Content::TOOL);
            walk.members(|walk, key| match key {
                b"name" => {
                    if let Some(name) = walk.text().filter(|name| !name.is_empty()) {
                        notes.tool(&name);
                    }
                }
                b"args" => notes.say_json(walk.raw()),
                _ => {}
            });
        }
        // Pictures, sound, and code that Google ran.
        b"inlineData" | b"fileData" | b"executableCode" | b"codeExecutionResult" => {
            content = content.with(Content::TEXT);
        }
        _ => {}
    });
    let Some(text) = text else { return content };
    notes.say(&text);
    content.with(if is_thought { Content::REASONING } else { Content::TEXT })
}

/// Protocol buffers leave zeroes out, so a kind that is absent beside its other half is zero.
pub(crate) fn usage(notes: &mut Notes, walk: &mut Walk<'_>) {
    let tier = &mut notes.reading.service_tier;
    notes.tokens.object(walk, |tokens, walk, key| match key {
        b"promptTokenCount" => tokens.number(walk, |tokens| &mut tokens.input),
        b"toolUsePromptTokenCount" => tokens.number(walk, |tokens| &mut tokens.input_besides),
        b"candidatesTokenCount" => tokens.number(walk, |tokens| &mut tokens.output),
        b"thoughtsTokenCount" => {
            tokens.number(walk, |tokens| &mut tokens.output_besides);
            tokens.reasoning = tokens.output_besides;
        }
        b"cachedContentTokenCount" => tokens.number(walk, |tokens| &mut tokens.cache_read),
        b"totalTokenCount" => tokens.number(walk, |tokens| &mut tokens.total),
        b"promptTokensDetails" => modalities(tokens, walk, |modality| match modality {
            b"IMAGE" => Some(|tokens| &mut tokens.image_input),
            b"AUDIO" => Some(|tokens| &mut tokens.audio_input),
            _ => None,
        }),
        b"candidatesTokensDetails" => modalities(tokens, walk, |modality| match modality {
            b"IMAGE" => Some(|tokens| &mut tokens.image_output),
            b"AUDIO" => Some(|tokens| &mut tokens.audio_output),
            _ => None,
        }),
        b"serviceTier" => {
            if let Some(text) = walk.text().filter(|text| (1..=64).contains(&text.inner().len())) {
                *tier = Some(text.read().into_owned());
            }
        }
        _ => {}
    });
}

type Slot = fn(&mut Tokens) -> &mut Option<u64>;

fn modalities(tokens: &mut Tokens, walk: &mut Walk<'_>, slot: fn(&[u8]) -> Option<Slot>) {
    walk.elements(|walk| {
        let (mut modality, mut count) = (None, None);
        walk.members(|walk, key| match key {
            b"modality" => modality = walk.text(),
            b"tokenCount" => count = Some(walk.clone()),
            _ => {}
        });
        if let (Some(modality), Some(mut walk)) = (modality, count)
            && let Some(slot) = slot(modality.inner())
        {
            tokens.number(&mut walk, slot);
        }
    });
}
