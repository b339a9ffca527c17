//! The only place that knows vendor JSON: one folder a dialect, and here the one `match` for each thing they all do.

pub mod anthropic_messages;
pub mod calls;
pub mod complaint;
pub mod edit;
pub mod gemini_generate;
#[cfg(test)]
mod golden;
pub mod messages;
mod notes;
mod opaque;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod openai_responses;
pub mod outline;
pub mod params;
pub mod pieces;
pub mod prompt;
pub mod reader;
pub mod session;
pub mod sight;
mod tail;
pub mod texts;
mod tokens;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::neutral::facts::Facts;
use crate::neutral::failure::Failure;
use crate::neutral::kind::Dialect;
use sight::PeekError;

/// Checks that `body` is a JSON object and finds the few facts that routing needs. Legacy completions are read as chat.
pub fn peek(dialect: Dialect, body: &[u8]) -> Result<Facts, PeekError> {
    match dialect {
        Dialect::OpenAiChat => openai_chat::peek::peek(body),
        Dialect::OpenAiResponses => openai_responses::peek::peek(body),
        Dialect::OpenAiEmbeddings => openai_embeddings::peek::peek(body),
        Dialect::Anthropic => anthropic_messages::peek::peek(body),
        Dialect::Gemini => gemini_generate::peek::peek(body),
    }
}

/// Whether a stream whose last bytes are `tail` has said all it had to say, so that a client which leaves now has a
/// complete answer. The tail may start anywhere, also in the middle of an event; 64 KiB are enough.
pub fn is_terminal(dialect: Dialect, tail: &[u8]) -> bool {
    match dialect {
        Dialect::OpenAiChat => openai_chat::stream::is_terminal(tail),
        Dialect::OpenAiResponses => openai_responses::stream::is_terminal(tail),
        // Embeddings do not stream.
        Dialect::OpenAiEmbeddings => false,
        Dialect::Anthropic => anthropic_messages::stream::is_terminal(tail),
        Dialect::Gemini => gemini_generate::stream::is_terminal(tail),
    }
}

/// The body of an error answer in the caller's own envelope. `status` is the one it is sent with; `request_id` is the
/// exchange id, which only Anthropic's envelope carries.
pub fn render(dialect: Dialect, failure: &Failure, status: u16, request_id: &str) -> Vec<u8> {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => {
            openai_chat::error::render(failure)
        }
        Dialect::Anthropic => anthropic_messages::error::render(failure, request_id),
        Dialect::Gemini => gemini_generate::error::render(failure, status),
    }
}

/// The event that tells a client its event stream has failed; nothing follows it. It does not belong into Gemini's other
/// kind of stream, the JSON array without `alt=sse`: that one can only be broken off.
pub fn stream_error(dialect: Dialect, failure: &Failure, request_id: &str) -> Bytes {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => {
            openai_chat::error::stream_error(failure)
        }
        Dialect::OpenAiResponses => openai_responses::error::stream_error(failure),
        Dialect::Anthropic => anthropic_messages::error::stream_error(failure, request_id),
        Dialect::Gemini => gemini_generate::error::stream_error(failure),
    }
}

/// An error answer's `body` as the event that ends a stream whose status has been said already.
pub fn error_event(dialect: Dialect, body: &[u8]) -> Bytes {
    let error: Value = serde_json::from_slice(body).unwrap_or_else(|_| {
        let quote: String = String::from_utf8_lossy(body).chars().take(500).collect();
        json!({ "error": { "message": quote, "type": "api_error", "code": Value::Null } })
    });
    let text = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiEmbeddings | Dialect::Gemini => {
            format!("data: {error}\n\n")
        }
        Dialect::Anthropic => format!("event: error\ndata: {error}\n\n"),
        Dialect::OpenAiResponses => {
            let inner = &error["error"];
            let event = json!({
                "type": "error",
                "code": inner["code"],
                "message": inner["message"],
                "param": inner["param"],
                "sequence_number": 0,
            });
            format!("event: error\ndata: {event}\n\n")
        }
    };
    Bytes::from(text)
}

/// Bytes that keep a quiet event stream alive and mean nothing to the client. They may stand only between two events.
pub fn keep_alive(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::OpenAiChat
        | Dialect::OpenAiResponses
        | Dialect::OpenAiEmbeddings
        | Dialect::Gemini => Bytes::from_static(b": keep-alive\n\n"),
        Dialect::Anthropic => Bytes::from_static(anthropic_messages::stream::PING),
    }
}
