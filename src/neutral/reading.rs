//! What reading an answer found out: usage, how it ended, what it called, and which kind of content each event carried.

use crate::neutral::usage::{Oddity, Usage};

/// The kinds of content that one event, or one whole answer, carried. Empty strings are no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content(u8);

impl Content {
    pub const NONE: Self = Self(0);
    /// Words of the answer itself, refusals included; or another modality of it.
    pub const TEXT: Self = Self(1);
    pub const REASONING: Self = Self(2);
    /// A tool call begun, or arguments of one.
    pub const TOOL: Self = Self(4);

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What the answer says of when its usage will be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Billing {
    /// With the answer.
    #[default]
    Now,
    /// Work goes on behind an id (a background response, a batch); a later GET of that id brings the usage.
    Later,
    /// This answer was fetched again by its id; its usage counts only if it was awaited.
    Fetched,
}

/// One tool the model called, and how often in this answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCalls {
    pub name: String,
    pub calls: u32,
}

/// All that reading one answer found out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// What the provider said, partial while `ended` is false. `None`: it said nothing.
    pub usage: Option<Usage>,
    /// The last event, or the whole document, has been seen.
    pub ended: bool,
    pub billing: Billing,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The model the provider says it used.
    pub model: Option<String>,
    /// As the provider spells them, one a choice, in the order of choices.
    pub finish_reasons: Vec<String>,
    /// Tools called, each once, in order of the first call. Limit: [`Reading::TOOLS_MAX`] names.
    pub tools: Vec<ToolCalls>,
    /// The `type` or `code` of an error the provider put into the stream or document.
    pub error: Option<String>,
    /// The kinds of content that the whole answer had.
    pub content: Content,
    /// A part of the answer says that the model refuses.
    pub refused: bool,
    /// The tier the provider says it served (`service_tier`).
    pub service_tier: Option<String>,
    /// The answer's words (text, reasoning, tool arguments), for counting where usage is missing.
    /// Filled only when asked for; limit: [`Reading::WORDS_MAX`] bytes, the rest counted in `words_cut`.
    pub words: String,
    pub words_cut: u64,
    /// Bad numbers met, each kind once.
    pub oddities: Vec<Oddity>,
}

impl Reading {
    pub const TOOLS_MAX: usize = 64;
    pub const WORDS_MAX: usize = 4 * 1024 * 1024;

    pub fn tool_calls(&self) -> u64 {
        self.tools.iter().map(|tool| u64::from(tool.calls)).sum()
    }
}
