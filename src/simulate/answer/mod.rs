//! Answers as the official SDKs expect them: one file a dialect, each with `plain` and `stream`.

pub(crate) mod anthropic;
pub(crate) mod chat;
pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod gemini;
pub(crate) mod models;
pub(crate) mod opaque;
pub(crate) mod responses;

use serde_json::Value;

/// When an event of a stream is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// With the one before.
    Now,
    /// A token: the first waits for `first_token`, the others for `cadence`.
    Token,
    /// The event that tells usage; `late` delays it.
    Usage,
    /// What clients take for the end (`[DONE]`, `response.completed`, `message_stop`).
    Last,
}

/// One event of a stream as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) text: String,
    pub(crate) beat: Beat,
}

impl Event {
    /// A server-sent event with data only.
    pub(crate) fn data(data: &Value, beat: Beat) -> Self {
        Self { text: format!("data: {data}\n\n"), beat }
    }

    /// A server-sent event with a name.
    pub(crate) fn named(name: &str, data: &Value, beat: Beat) -> Self {
        Self { text: format!("event: {name}\ndata: {data}\n\n"), beat }
    }

    /// Text that is an event by itself.
    pub(crate) fn raw(text: impl Into<String>, beat: Beat) -> Self {
        Self { text: text.into(), beat }
    }
}
