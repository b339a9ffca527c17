//! What came back for one recording from one target: when, and what it said. Transports fill it; nothing here judges.
//!
//! ```text
//!  intended ──lag──► sent ───────► c1 … cm ──► end          all in µs from the run's zero
//!  (schedule)        (really)      contents
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::recording::{Fault, Usage};

/// One answer, or the lack of one. An error is an outcome, never the end of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The exchange that the sending made, where the sender records.
    pub id: Option<String>,
    /// HTTP status, when an answer came.
    pub status: Option<u16>,
    /// What went wrong, in the recorder's words; `None` for an answer that came to its end and is none of an error.
    pub error: Option<Fault>,
    /// From the run's zero to the instant at which the schedule wanted it sent.
    pub intended_us: u64,
    /// From the run's zero to the instant at which it was sent.
    pub sent_us: u64,
    /// From the run's zero to the end of the answer, or of the attempt to get one.
    pub ended_us: u64,
    /// How long the provider asked to be left alone (`Retry-After`).
    pub retry_after_us: Option<u64>,
    /// The first byte of the answer's head, from the run's zero.
    pub head_us: Option<u64>,
    /// The first event of a streamed answer, even one without content, from the run's zero: what some tools count as the first
    /// token.
    pub first_event_us: Option<u64>,
    /// Arrivals of non-empty content, in order.
    pub contents: Vec<Arrival>,
    /// Whether it came as a stream of events: only then do gaps mean anything.
    pub streamed: bool,
    pub usage: Option<Usage>,
    /// Tokens of the whole output by the one fixed tokenizer that all targets are counted with.
    pub reference_tokens: Option<u64>,
    pub cost_nanousd: Option<i64>,
    /// What could not be carried to the target's dialect.
    pub losses: Vec<String>,
    pub answer: Answer,
}

/// A piece of content and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// From the run's zero.
    pub at_us: u64,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Text,
    Reasoning,
    /// A call of a tool begun, or a piece of its arguments.
    Call,
}

/// What an answer said, without its envelope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<Call>,
    /// In one spelling for all dialects: `stop`, `length`, `tool_calls`, `content_filter`, else the provider's own.
    pub finish: Option<String>,
    pub refused: bool,
    /// What only the provider that wrote it can read, and wants back where the answer is fed on; in no comparison.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<Sealed>,
}

/// A signature, or reasoning that is signed or encrypted, and where it stands in an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    pub place: Seal,
    /// As the dialect has it: an item of its own, or the signature alone.
    pub item: Value,
}

/// Where something sealed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// An item before the call of this number, or after as many calls as there are.
    Before(usize),
    /// A signature of the call of this number.
    Call(usize),
    /// A signature of the text.
    Text,
}

/// One call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub name: String,
    /// As the model wrote them: JSON, where it wrote JSON.
    pub arguments: String,
}

impl Outcome {
    /// Whether there is an answer to compare: a good status, no error, an end.
    pub fn is_good(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// How late it was sent.
    pub fn lag_us(&self) -> u64 {
        self.sent_us.saturating_sub(self.intended_us)
    }
}
