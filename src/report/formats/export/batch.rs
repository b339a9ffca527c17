//! The input file of OpenAI's batch API: one request a line. Only what that API takes: chat, legacy completions, responses
//! and embeddings, without streaming.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::report::formats::export::clear;
use crate::store::stored::Stored;

#[derive(Serialize)]
struct Line<'a> {
    custom_id: &'a str,
    method: &'static str,
    url: &'static str,
    body: IndexMap<String, &'a RawValue>,
}

/// The members that a batch refuses.
const STREAMING: [&str; 2] = ["stream", "stream_options"];

pub(super) fn line(stored: &Stored) -> Result<String, &'static str> {
    let row = &stored.row;
    let url = match (row.dialect.as_str(), row.operation.as_str()) {
        ("openai_chat", "chat") => "/v1/chat/completions",
        ("openai_chat", "text_completion") => "/v1/completions",
        ("openai_responses", "chat") => "/v1/responses",
        ("openai_embeddings", "embeddings") => "/v1/embeddings",
        _ => return Err("the batch API does not take its dialect or operation"),
    };
    let body = stored.client_request().ok_or("its request was not kept")?;
    let clear = clear(body).ok_or("its request does not decode, or was cut")?;
    let text = std::str::from_utf8(&clear).map_err(|_| "its request is no JSON object")?;
    // Between its members JSON may have line ends, inside of texts it has none: a line they may not be in a file of lines.
    let text = text.replace(['\n', '\r'], " ");
    let mut body: IndexMap<String, &RawValue> =
        serde_json::from_str(&text).map_err(|_| "its request is no JSON object")?;
    for member in STREAMING {
        body.shift_remove(member);
    }
    serde_json::to_string(&Line { custom_id: &row.id, method: "POST", url, body })
        .map_err(|_| "its request is no JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::formats::fixture::{chat, with_request};

    #[test]
    fn the_request_goes_in_as_it_was_but_for_streaming() {
        let stored = with_request(
            chat(1),
            b"{\n \"model\" : \"gpt-5\",\"seed\":12345678901234567890, \"stream\":true,\r\n\"x\":1.0,\
              \"messages\":[{\"role\":\"user\",\"content\":\"a\\nb\"}],\"stream_options\":{}}",
        );
        let line = line(&stored).unwrap();
        assert_eq!(
            line,
            format!(
                "{{\"custom_id\":\"{}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"gpt-5\",\
                 \"seed\":12345678901234567890,\"x\":1.0,\"messages\":[{{\"role\":\"user\",\"content\":\"a\\nb\"}}]}}}}",
                stored.row.id
            )
        );
    }

    #[test]
    fn what_a_batch_cannot_hold_is_left_out_with_a_reason() {
        let mut anthropic = chat(1);
        anthropic.row.dialect = "anthropic".to_owned();
        assert!(line(&anthropic).unwrap_err().contains("dialect"));
        let mut bare = chat(1);
        bare.request.body = crate::store::stored::Body::default();
        assert!(line(&bare).unwrap_err().contains("not kept"));
        assert!(line(&with_request(chat(1), b"[1]")).unwrap_err().contains("no JSON object"));
    }
}
