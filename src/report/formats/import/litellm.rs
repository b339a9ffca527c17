//! LiteLLM's log: a line a call, its `StandardLoggingPayload` (or an object with one in `standard_logging_object`). It holds
//! messages, parameters and the answer as LiteLLM understood them: bodies are put together of these, in OpenAI's dialect.

use pinhole_replay::recording::{Fault, Recording, Usage};
use serde_json::{Map, Value, json};

use crate::report::formats::import::Source;
use crate::report::formats::import::foreign::{Foreign, seconds};

pub(super) fn recording(line: &[u8]) -> Result<Option<Recording>, String> {
    let mut line: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if line.get("standard_logging_object").is_some_and(Value::is_object) {
        line = line["standard_logging_object"].take();
    }
    let call = line.get("call_type").and_then(Value::as_str).unwrap_or("completion").to_owned();
    let started_us = time(&line, "startTime").ok_or("it has no startTime")?;
    let Some((path, key)) = endpoint(&call) else { return Ok(None) };
    let usage = usage(&line);
    let has_failed = text(&line, "status").is_some_and(|status| status == "failure");
    let status = if has_failed { failed_status(&line) } else { Some(200) };
    let stream = line.get("stream").and_then(Value::as_bool) == Some(true);
    let metadata = line.get("metadata").cloned().unwrap_or_default();
    let mut foreign = Foreign {
        id: text(&line, "id").ok_or("it has no id")?,
        started_us,
        ended_us: time(&line, "endTime"),
        first_content_us: time(&line, "completionStartTime").filter(|_| stream && !has_failed),
        method: "POST".to_owned(),
        url: path.to_owned(),
        provider: text(&line, "custom_llm_provider"),
        model: text(&line, "model"),
        session: session(&line, &metadata),
        request_body: request_body(&mut line, key, stream),
        status,
        response_body: response_body(&mut line, has_failed),
        client: text(&line, "requester_ip_address"),
        key_label: text(&metadata, "user_api_key_alias"),
        user_label: text(&line, "end_user"),
        usage: usage.filter(|_| !has_failed),
        cost_nanousd: line.get("response_cost").and_then(Value::as_f64).and_then(nanodollars),
        error: has_failed.then(|| fault(&line)),
        rebuilt: true,
        ..Foreign::default()
    };
    foreign.tags = tags(&line);
    Ok(Some(foreign.recording(Source::LiteLlm)))
}

/// The path of a kind of call, and the member that its words stand in.
fn endpoint(call: &str) -> Option<(&'static str, &'static str)> {
    // Asynchronous calls have an `a` before their name.
    Some(match call {
        "completion" | "acompletion" => ("/v1/chat/completions", "messages"),
        "text_completion" | "atext_completion" => ("/v1/completions", "prompt"),
        "responses" | "aresponses" => ("/v1/responses", "input"),
        "embedding" | "aembedding" => ("/v1/embeddings", "input"),
        "anthropic_messages" => ("/v1/messages", "messages"),
        _ => return None,
    })
}

fn request_body(line: &mut Value, key: &str, stream: bool) -> Option<Vec<u8>> {
    let messages = line.get_mut("messages").map(Value::take).filter(|said| !said.is_null())?;
    let mut body = Map::new();
    body.insert("model".to_owned(), model_asked(line).into());
    let said = match messages {
        // Embeddings are logged as `{"input": …}` by some versions.
        Value::Object(mut object) if object.contains_key(key) => object.remove(key)?,
        said => said,
    };
    body.insert(key.to_owned(), said);
    if let Some(Value::Object(parameters)) = line.get_mut("model_parameters").map(Value::take) {
        for (name, value) in parameters {
            body.entry(name).or_insert(value);
        }
    }
    if stream {
        body.insert("stream".to_owned(), true.into());
    }
    serde_json::to_vec(&body).ok()
}

/// The name that the client asked for is that of the group.
fn model_asked(line: &Value) -> String {
    text(line, "model_group").or_else(|| text(line, "model")).unwrap_or_default()
}

/// The answer is a document even where it was streamed: LiteLLM logs it put together.
fn response_body(line: &mut Value, has_failed: bool) -> Option<Vec<u8>> {
    if has_failed {
        let message = text(line, "error_str")?;
        return serde_json::to_vec(&json!({ "error": { "message": message } })).ok();
    }
    match line.get_mut("response").map(Value::take)? {
        Value::Null => None,
        Value::String(text) => Some(text.into_bytes()),
        answer => serde_json::to_vec(&answer).ok(),
    }
}

fn failed_status(line: &Value) -> Option<u16> {
    let code = &line["error_information"]["error_code"];
    code.as_str().and_then(|code| code.parse().ok()).or_else(|| code.as_u64()?.try_into().ok())
}

fn fault(line: &Value) -> Fault {
    let class = text(&line["error_information"], "error_class");
    let kind = match failed_status(line) {
        Some(429) => "upstream_rate_limit",
        Some(401 | 403) => "upstream_authentication",
        Some(400 | 404 | 422) => "upstream_invalid_request",
        Some(408 | 504) => "upstream_timeout",
        _ => "upstream_error",
    };
    Fault {
        source: "upstream".to_owned(),
        kind: kind.to_owned(),
        detail: text(line, "error_str").or(class),
    }
}

fn usage(line: &Value) -> Option<Usage> {
    let count = |name: &str| line.get(name).and_then(Value::as_i64).filter(|tokens| *tokens >= 0);
    let usage = Usage {
        input: count("prompt_tokens"),
        output: count("completion_tokens"),
        ..Usage::default()
    };
    (usage.input.unwrap_or(0) + usage.output.unwrap_or(0) > 0)
        .then(|| Usage { source: Some("provider".to_owned()), ..usage })
}

fn session(line: &Value, metadata: &Value) -> Option<String> {
    text(metadata, "session_id")
        .or_else(|| text(&metadata["spend_logs_metadata"], "session_id"))
        .or_else(|| text(line, "trace_id"))
}

/// Its tags are bare words; ours have names.
fn tags(line: &Value) -> Vec<(String, String)> {
    let tags = line.get("request_tags").and_then(Value::as_array).map(Vec::as_slice);
    let words: Vec<&str> = tags.unwrap_or_default().iter().filter_map(Value::as_str).collect();
    if words.is_empty() {
        return Vec::new();
    }
    vec![("litellm_tags".to_owned(), words.join(","))]
}

fn nanodollars(dollars: f64) -> Option<i64> {
    (0.0..1e9).contains(&dollars).then(|| (dollars * 1e9).round() as i64)
}

fn time(line: &Value, name: &str) -> Option<i64> {
    match line.get(name)? {
        Value::Number(number) => seconds(number.as_f64()?),
        Value::String(text) => {
            let at: Result<jiff::Timestamp, _> = text.parse();
            at.map(jiff::Timestamp::as_microsecond).ok()
        }
        _ => None,
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
