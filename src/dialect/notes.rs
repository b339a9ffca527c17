//! What the dialects' `read.rs` share: the reading under way, and how each fact is put into it within its limit.

use crate::base::json::{Kind, Text, Walk};
use crate::dialect::tokens::{Cache, Tokens};
use crate::neutral::reading::{Billing, Reading, ToolCalls};
use crate::neutral::usage::Usage;

/// Limit: bytes of an id, a model, a reason, the name of a tool.
const NAME_BYTES_MAX: usize = 256;
/// Limit: choices of one answer whose finish is kept.
const CHOICES_MAX: usize = 128;
/// Limit: tool calls, or items of output, told apart within one answer; what is over is not counted.
const CALLS_MAX: usize = 1_024;

/// One answer's reading under way.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) reading: Reading,
    pub(crate) tokens: Tokens,
    /// Why each choice ended; a later reason replaces an earlier one.
    finish: Vec<(u64, String)>,
    /// Tool calls begun, so that their later pieces are not counted again.
    calls: Vec<Call>,
    /// Items of a Responses output that have been counted already.
    items: Vec<u64>,
    /// Searches that were seen to be made, where the provider's usage does not count them.
    pub(crate) searches: u64,
    /// The answer is made in the background: it goes on when the stream does not.
    pub(crate) background: bool,
    /// Usage of several answers in one document.
    summed: Option<Usage>,
    collect_words: bool,
}

#[derive(Debug)]
struct Call {
    choice: u64,
    index: u64,
    id: String,
    is_counted: bool,
}

impl Notes {
    pub(crate) fn new(collect_words: bool) -> Self {
        Self {
            reading: Reading::default(),
            tokens: Tokens::default(),
            finish: Vec::new(),
            calls: Vec::new(),
            items: Vec::new(),
            searches: 0,
            background: false,
            summed: None,
            collect_words,
        }
    }

    /// Takes the answer's id; the first one stands.
    pub(crate) fn response_id(&mut self, walk: &mut Walk<'_>) {
        take_name(&mut self.reading.response_id, walk);
    }

    /// Takes the model; the first one stands, and an empty name is none.
    pub(crate) fn model(&mut self, walk: &mut Walk<'_>) {
        take_name(&mut self.reading.model, walk);
    }

    pub(crate) fn service_tier(&mut self, walk: &mut Walk<'_>) {
        // Streams repeat it in each event; the last word is what was billed.
        if self.reading.service_tier.is_none() || walk.kind() == Some(Kind::String) {
            let tier = walk.text().filter(|tier| !tier.is_empty());
            if let Some(tier) = tier
                && self.reading.service_tier.as_deref().map(str::as_bytes) != Some(tier.inner())
            {
                self.reading.service_tier = Some(name(&tier));
            }
        }
    }

    /// Takes an `error` of any shape: OpenAI's and Anthropic's `type`, else a `code`, else Google's `status`.
    pub(crate) fn error(&mut self, walk: &mut Walk<'_>) {
        let (mut kind, mut code, mut status) = (None, None, None);
        let is_object = walk.members(|walk, key| match key {
            b"type" => kind = walk.text(),
            b"status" => status = walk.text(),
            b"code" => code = word(walk),
            _ => {}
        });
        if !is_object && matches!(walk.kind(), Some(Kind::Null | Kind::False) | None) {
            return;
        }
        let said = |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(|t| name(&t));
        let found = said(kind).or_else(|| said(status)).or(code);
        self.failed(found.unwrap_or_else(|| "error".to_owned()));
    }

    /// Notes that the provider reports an error; the first one stands.
    pub(crate) fn failed(&mut self, kind: String) {
        self.reading.error.get_or_insert(kind);
    }

    pub(crate) fn finish_reason(&mut self, choice: u64, reason: &Text<'_>) {
        if reason.is_empty() {
            return;
        }
        if let Some((_, earlier)) = self.finish.iter_mut().find(|(of, _)| *of == choice) {
            *earlier = name(reason);
        } else if self.finish.len() < CHOICES_MAX {
            self.finish.push((choice, name(reason)));
        }
    }

    pub(crate) fn has_finish_reason(&self) -> bool {
        !self.finish.is_empty()
    }

    /// Takes a piece of a tool call. A call begins with an index that is new in its choice, or with a new id; it is
    /// counted when its name is known.
    pub(crate) fn tool_call(
        &mut self,
        (choice, index): (u64, u64),
        id: Option<Text<'_>>,
        tool: Option<Text<'_>>,
    ) {
        let id = id.filter(|id| !id.is_empty()).map(|id| name(&id)).unwrap_or_default();
        let at = self.calls.iter().rposition(|call| (call.choice, call.index) == (choice, index));
        let at = at.filter(|at| {
            let known = self.calls.get(*at).map_or("", |call| &call.id);
            id.is_empty() || known.is_empty() || known == id
        });
        let at = at.unwrap_or_else(|| {
            if self.calls.len() < CALLS_MAX {
                self.calls.push(Call { choice, index, id: id.clone(), is_counted: false });
            }
            self.calls.len() - 1
        });
        let Some(call) = self.calls.get_mut(at) else { return };
        if call.id.is_empty() {
            call.id = id;
        }
        let tool = tool.filter(|tool| !tool.is_empty());
        if let Some(tool) = tool
            && !std::mem::replace(&mut call.is_counted, true)
        {
            self.tool(&tool);
        }
    }

    /// Counts one call of a tool.
    pub(crate) fn tool(&mut self, tool: &Text<'_>) {
        let name = name(tool);
        let tools = &mut self.reading.tools;
        if let Some(known) = tools.iter_mut().find(|known| known.name == name) {
            known.calls = known.calls.saturating_add(1);
        } else if tools.len() < Reading::TOOLS_MAX {
            tools.push(ToolCalls { name, calls: 1 });
        }
    }

    /// Whether the item of output at `index` has not been counted yet; from now on it has.
    pub(crate) fn is_new_item(&mut self, index: u64) -> bool {
        let is_new = self.items.len() < CALLS_MAX && !self.items.contains(&index);
        if is_new {
            self.items.push(index);
        }
        is_new
    }

    /// Collects words of the answer, when asked for.
    pub(crate) fn say(&mut self, text: &Text<'_>) {
        if self.collect_words {
            self.say_words(&text.read());
        }
    }

    /// Collects an object that stands for words, such as a tool call's arguments.
    pub(crate) fn say_json(&mut self, raw: &[u8]) {
        if self.collect_words && raw != b"{}" {
            self.say_words(&String::from_utf8_lossy(raw));
        }
    }

    fn say_words(&mut self, text: &str) {
        let words = &mut self.reading.words;
        let room = Reading::WORDS_MAX.saturating_sub(words.len());
        let (kept, cut) = text.split_at(text.floor_char_boundary(room));
        words.push_str(kept);
        self.reading.words_cut += cut.len() as u64;
    }

    /// Counts the usage read so far as one answer of several.
    pub(crate) fn end_one_of_many(&mut self, cache: Cache) {
        let usage = self.tokens.usage(cache, 0);
        self.tokens.clear();
        if let Some(usage) = usage {
            self.summed = Some(self.summed.unwrap_or_default().plus(&usage));
        }
    }

    /// The reading, with all that is only known at the end.
    pub(crate) fn finish(mut self, cache: Cache) -> Reading {
        let mut reading = self.reading;
        self.tokens.omits_zeroes &= reading.ended;
        let usage = self.tokens.usage(cache, self.searches);
        reading.usage = match (self.summed, usage) {
            (Some(summed), Some(usage)) => Some(summed.plus(&usage)),
            (summed, usage) => summed.or(usage),
        };
        reading.oddities = self.tokens.oddities;
        reading.service_tier = reading.service_tier.or(self.tokens.service_tier);
        if self.background && reading.usage.is_none() && !reading.ended {
            reading.billing = Billing::Later;
        }
        self.finish.sort_by_key(|(choice, _)| *choice);
        reading.finish_reasons = self.finish.into_iter().map(|(_, reason)| reason).collect();
        reading
    }
}

fn take_name(slot: &mut Option<String>, walk: &mut Walk<'_>) {
    if slot.is_none()
        && let Some(text) = walk.text()
        && !text.is_empty()
    {
        *slot = Some(name(&text));
    }
}

/// A name within its limit.
fn name(text: &Text<'_>) -> String {
    let text = text.read();
    text.split_at(text.floor_char_boundary(NAME_BYTES_MAX)).0.to_owned()
}

/// A code, which some send as a string and some as a number.
fn word(walk: &mut Walk<'_>) -> Option<String> {
    if let Some(text) = walk.text() {
        return Some(name(&text)).filter(|name| !name.is_empty());
    }
    let number = walk.number()?;
    Some(number.to_string())
}
