//! Files of requests that nobody has answered: the input of OpenAI's batch API, and AIPerf's raw payloads. They say what is
//! to be asked, not when and by whom: no time, no session, no answer.

use std::io::BufRead;

use pinhole_replay::library::place::Place as Spot;
use pinhole_replay::recording::{Body, Leg, Recording};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::report::formats::import::lines::{Line, each, too_long};
use crate::report::formats::import::{Found, Place, ReadError};

/// A request of a batch.
#[derive(Deserialize)]
struct Batched<'a> {
    custom_id: String,
    #[serde(default = "post")]
    method: String,
    url: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn post() -> String {
    "POST".to_owned()
}

pub(super) fn batch(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    numbered(from, found, &mut |_, line| {
        let line: Batched<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if !line.method.eq_ignore_ascii_case("POST") {
            return Err(format!("its method is {}, and requests of a batch are POST", line.method));
        }
        let Some((_, known)) = operation(&line.url) else {
            return Err(format!("its url, `{}`, is no endpoint that can be replayed", line.url));
        };
        request(line.custom_id, &known, line.body.get())
    })
}

pub(super) fn payloads(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    numbered(from, found, &mut |number, line| {
        let text = std::str::from_utf8(line).map_err(|_| "it is no JSON object".to_owned())?;
        let body: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let path = path_of(&body).ok_or("it has no messages, input, prompt or contents")?;
        request(format!("line-{number}"), path, text)
    })
}

/// Makes a recording of the line of that number.
type Make<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<Recording, String>;

fn numbered(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
    make: Make<'_>,
) -> Result<(), ReadError> {
    each(from, &mut |number, line| {
        let place = Place::Line(number);
        let text = match line {
            Line::TooLong => return found(too_long(place)),
            Line::Text(text) => text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
        };
        found(match make(number, text) {
            Ok(recording) => Found::Recording(Box::new(recording)),
            Err(reason) => Found::Damaged { place, reason },
        })
    })
}

/// A request to an endpoint, of which nothing came.
pub(super) fn request(id: String, path: &str, body: &str) -> Result<Recording, String> {
    /// What is looked for in a body.
    #[derive(Deserialize)]
    struct Facts {
        model: Option<String>,
        #[serde(default)]
        stream: Option<bool>,
    }
    if !body.starts_with('{') {
        return Err("its body is no JSON object".to_owned());
    }
    let facts: Facts = serde_json::from_str(body).map_err(|error| format!("its body: {error}"))?;
    let (operation, _) = operation(path).ok_or("its path is no endpoint that can be replayed")?;
    Ok(Recording {
        id,
        dialect: Spot::of(path).dialect.to_owned(),
        operation: operation.to_owned(),
        method: post(),
        path: path.to_owned(),
        model_requested: facts.model,
        stream: facts.stream == Some(true),
        request_bytes: i64::try_from(body.len()).unwrap_or(i64::MAX),
        replayable: true,
        request: Leg {
            line: Some(format!("POST {path}")),
            headers: Some(vec![("content-type".to_owned(), "application/json".to_owned())]),
            body: Body::of(body.as_bytes().to_vec()),
        },
        ..Recording::default()
    })
}

/// The operation of a path, and the path under which the gateway has it; `None`: it is no call of a model that can be sent
/// again, or one of a cloud's own, which only that cloud understands.
pub fn operation(path: &str) -> Option<(&'static str, String)> {
    const KNOWN: [(&str, &str, &str); 6] = [
        ("/chat/completions", "chat", "/v1/chat/completions"),
        ("/completions", "text_completion", "/v1/completions"),
        ("/responses", "chat", "/v1/responses"),
        ("/embeddings", "embeddings", "/v1/embeddings"),
        ("/messages", "chat", "/v1/messages"),
        ("/messages/count_tokens", "count_tokens", "/v1/messages/count_tokens"),
    ];
    let spot = Spot::of(path.split('?').next().unwrap_or(path));
    if let Some((_, operation, usual)) = KNOWN.iter().find(|(end, ..)| *end == spot.path) {
        return Some((operation, (*usual).to_owned()));
    }
    let verb = spot.operation.as_str();
    let operation = match (spot.dialect, verb) {
        ("gemini", "generateContent" | "streamGenerateContent") => "chat",
        ("gemini", "countTokens") => "count_tokens",
        ("gemini", "embedContent" | "batchEmbedContents") => "embeddings",
        _ => return None,
    };
    Some((operation, format!("/v1beta/models/{}:{verb}", spot.model.unwrap_or_default())))
}

/// The endpoint that a body is for, by what stands in it: a payload does not say.
fn path_of(body: &Value) -> Option<&'static str> {
    let has = |name: &str| body.get(name).is_some();
    let any = |names: &[&str]| names.iter().any(|name| has(name));
    if has("messages") {
        let schema = body.pointer("/tools/0/input_schema").is_some();
        let own = ["system", "anthropic_version", "stop_sequences", "thinking"];
        let is_anthropic = schema || any(&own);
        return Some(if is_anthropic { "/v1/messages" } else { "/v1/chat/completions" });
    }
    if let Some(input) = body.get("input") {
        let own = ["encoding_format", "dimensions", "input_type", "truncate"];
        let texts = input.as_array().is_some_and(|list| list.iter().all(|one| !one.is_object()));
        let is_embedded = texts || any(&own);
        return Some(if is_embedded { "/v1/embeddings" } else { "/v1/responses" });
    }
    if has("contents") {
        // The model that stands here is the target's when it is sent.
        return Some("/v1beta/models/any:generateContent");
    }
    has("prompt").then_some("/v1/completions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::formats::import::{Source, read};

    fn found(text: &str) -> Vec<Result<Recording, String>> {
        let mut all = Vec::new();
        read(&mut text.as_bytes(), None, &mut |one| {
            all.push(match one {
                Found::Recording(recording) => Ok(*recording),
                Found::Damaged { place, reason } => Err(format!("{place}: {reason}")),
                other => panic!("{other:?}"),
            });
            true
        })
        .unwrap();
        all
    }

    #[test]
    fn a_batch_is_its_requests_byte_for_byte_without_time_and_answer() {
        let text = "\u{feff}{\"custom_id\":\"a-1\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"gpt-5\", \
                    \"seed\":1.0,\"messages\":[]}}\n\n{\"custom_id\":\"b\",\"url\":\"/v1/embeddings\",\"body\":{\"input\":\"x\"}}\n";
        assert_eq!(Source::guess(text.as_bytes()), Some(Source::OpenAiBatch));
        let all = found(text);
        let [Ok(chat), Ok(embeddings)] = &all[..] else { panic!("{all:?}") };
        let body = &chat.client_request().unwrap().bytes;
        assert_eq!(body, br#"{"model":"gpt-5", "seed":1.0,"messages":[]}"#);
        let said = (chat.id.as_str(), chat.dialect.as_str(), chat.operation.as_str());
        assert_eq!(said, ("a-1", "openai_chat", "chat"));
        assert_eq!((chat.started_at_us, chat.attempts.len(), &chat.session), (0, 0, &None));
        assert_eq!(chat.model_requested.as_deref(), Some("gpt-5"));
        assert_eq!(embeddings.operation, "embeddings");
    }

    #[test]
    fn what_is_no_request_is_named_with_its_line() {
        let good = r#"{"custom_id":"a","url":"/v1/responses","body":{}}"#;
        let text = [
            good,
            "{",
            r#"{"custom_id":"b","url":"/v1/files","body":{}}"#,
            r#"{"custom_id":"c","method":"GET","url":"/v1/responses","body":{}}"#,
            r#"{"custom_id":"d","url":"/v1/responses","body":[]}"#,
            r#"{"url":"/v1/responses","body":{}}"#,
        ];
        let all = found(&text.join("\n"));
        assert!(all[0].is_ok());
        for (n, words) in [(1, "line 2"), (2, "/v1/files"), (3, "GET"), (5, "custom_id")] {
            assert!(all[n].as_ref().unwrap_err().contains(words), "{all:?}");
        }
        assert!(all[4].as_ref().unwrap_err().starts_with("line 5: its body"), "{all:?}");
    }

    #[test]
    fn a_payloads_endpoint_is_told_by_what_stands_in_it() {
        let bodies = [
            (r#"{"messages":[],"max_tokens":5}"#, "openai_chat", "chat"),
            (r#"{"messages":[],"max_tokens":5,"system":"s"}"#, "anthropic", "chat"),
            (r#"{"messages":[],"tools":[{"name":"f","input_schema":{}}]}"#, "anthropic", "chat"),
            (r#"{"input":"say it"}"#, "openai_responses", "chat"),
            (r#"{"input":[{"role":"user","content":"x"}]}"#, "openai_responses", "chat"),
            (r#"{"input":["a","b"]}"#, "openai_embeddings", "embeddings"),
            (r#"{"input":"a","encoding_format":"float"}"#, "openai_embeddings", "embeddings"),
            (r#"{"prompt":"a"}"#, "openai_chat", "text_completion"),
            (r#"{"contents":[]}"#, "gemini", "chat"),
        ];
        let text: Vec<&str> = bodies.iter().map(|(body, ..)| *body).collect();
        let all = found(&(text.join("\n") + "\n{\"model\":\"m\"}\n[1]"));
        for (one, (body, dialect, operation)) in all.iter().zip(bodies) {
            let one = one.as_ref().unwrap();
            let said = (one.dialect.as_str(), one.operation.as_str());
            assert_eq!(said, (dialect, operation), "{body}");
            assert_eq!(one.client_request().unwrap().bytes, body.as_bytes());
        }
        assert_eq!(all[2].as_ref().unwrap().id, "line-3");
        assert!(all[9].as_ref().unwrap_err().contains("line 10: it has no messages"));
        assert!(all[10].is_err());
    }
}
