//! Reads exchanges that this or another program has written, one after the other. What is damaged is reported with its
//! place, and the rest goes on.

mod asked;
mod assemble;
mod buffered;
mod bundle;
mod cbor;
mod claude_trace;
mod foreign;
mod guess;
mod har;
mod lines;
mod litellm;
mod mitmproxy;
mod ndjson;
mod proxy_cbor;
mod split;
mod tnet;
pub mod trace;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead};

pub use asked::operation;
use pinhole_replay::recording::Recording;

/// Limit: bytes of one line, entry or element.
const ITEM_MAX: usize = 256 * 1024 * 1024;
/// Limit: containers in each other.
const DEPTH_MAX: usize = 100;
/// Limit: bytes of a beginning that the format is guessed from.
const GUESSED_FROM: usize = 64 * 1024;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Bundle,
    Ndjson,
    Har,
    Mitmproxy,
    LiteLlm,
    ClaudeTrace,
    BufferedV1,
    Cbor2,
    /// The input of OpenAI's batch API: requests without answers.
    OpenAiBatch,
    /// AIPerf's raw payloads: bodies of requests, and nothing else.
    RawPayload,
    /// Mooncake's traces: times and lengths; AIPerf's form of them has words too.
    Mooncake,
}

impl Source {
    pub const ALL: [Self; 11] = [
        Self::Ndjson,
        Self::Har,
        Self::Bundle,
        Self::Mitmproxy,
        Self::LiteLlm,
        Self::ClaudeTrace,
        Self::BufferedV1,
        Self::Cbor2,
        Self::OpenAiBatch,
        Self::RawPayload,
        Self::Mooncake,
    ];

    /// The word for `--as`, and the value of the tag `imported`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Ndjson => "ndjson",
            Self::Har => "har",
            Self::Mitmproxy => "mitmproxy",
            Self::LiteLlm => "litellm",
            Self::ClaudeTrace => "claude-trace",
            Self::BufferedV1 => "buffered-v1",
            Self::Cbor2 => "cbor2",
            Self::OpenAiBatch => "openai-batch",
            Self::RawPayload => "raw-payload",
            Self::Mooncake => "mooncake",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.label() == word)
    }

    /// Whether its exchanges have answers. Requests alone can be sent, and are no exchanges: nothing of them is imported or
    /// played.
    pub fn has_answers(self) -> bool {
        !matches!(self, Self::OpenAiBatch | Self::RawPayload | Self::Mooncake)
    }

    /// What a file that begins like this is; `None`: nothing that is known.
    pub fn guess(beginning: &[u8]) -> Option<Self> {
        guess::source(beginning)
    }
}

/// What reading found.
#[derive(Debug, PartialEq)]
pub enum Found {
    Recording(Box<Recording>),
    /// A request of which only lengths are known: its words are made when it is sent.
    Lengths(Box<Recording>, trace::Lengths),
    /// This place holds nothing that can be read; what comes after it may.
    Damaged {
        place: Place,
        reason: String,
    },
    /// Fine, but no exchange with a model's provider: another protocol, a connection without a request.
    Other,
    /// A word about the file as a whole.
    Note(String),
}

/// Where in a file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// From 1.
    Line(u64),
    /// Entries of a document, elements of a sequence, from 1.
    Entry(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Entry(n) => write!(f, "entry {n}"),
        }
    }
}

/// Why a file cannot be read at all, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("its format is not known; docs/formats.md lists those that are read")]
    Unknown,
    #[error(transparent)]
    Bundle(#[from] pinhole_replay::bundle::OpenError),
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Gives everything in `from`, in its order, to `found`; `false` from it stops the reading.
pub fn read(
    from: &mut dyn BufRead,
    source: Option<Source>,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    let mut from = io::BufReader::with_capacity(GUESSED_FROM, from);
    let beginning = from.fill_buf()?;
    if beginning.is_empty() {
        return Ok(());
    }
    let source = source.or_else(|| Source::guess(beginning)).ok_or(ReadError::Unknown)?;
    let from: &mut dyn BufRead = &mut from;
    match source {
        Source::Bundle => bundle::read(from, found),
        Source::Ndjson => lines::read(from, &mut ndjson::recording, found),
        Source::LiteLlm => lines::read(from, &mut litellm::recording, found),
        Source::ClaudeTrace => lines::read(from, &mut claude_trace::recording, found),
        Source::OpenAiBatch => asked::batch(from, found),
        Source::RawPayload => asked::payloads(from, found),
        Source::Mooncake => trace::read(from, found),
        Source::Har => har::read(from, found),
        Source::Mitmproxy => mitmproxy::read(from, found),
        Source::BufferedV1 => buffered::read(from, found),
        Source::Cbor2 => proxy_cbor::read(from, found),
    }
}
