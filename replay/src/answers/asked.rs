//! What a request asked of its answer: a schema for the text, and schemas for the arguments of each tool. The four dialects
//! put them in few places, which are all looked in.

use serde_json::Value;

use super::json;
use super::schema::{Keeps, keeps};
use crate::outcome::Answer;

/// Where the schema of the text stands, if it is a schema that is asked for.
const TEXT_SCHEMAS: &[&str] = &[
    "/response_format/json_schema/schema",
    "/text/format/schema",
    "/output_config/format/schema",
    "/output_format/schema",
    "/generationConfig/responseJsonSchema",
    "/generationConfig/responseSchema",
    "/generation_config/response_schema",
];
/// Where it is said that the text is to be JSON of any shape.
const ANY_JSON: &[(&str, &str)] = &[
    ("/response_format/type", "json_object"),
    ("/text/format/type", "json_object"),
    ("/generationConfig/responseMimeType", "application/json"),
];
/// Where a tool keeps the schema of its arguments.
const TOOL_SCHEMAS: &[&str] = &["parameters", "input_schema", "parametersJsonSchema"];

/// Whether an answer keeps to what the request asked for. `None`: it asked for nothing that this answer has.
pub(super) fn keeps_to(request: &Value, answer: &Answer) -> Option<bool> {
    let text = keeps_text(request, answer);
    let calls = keeps_calls(request, answer);
    match (text, calls) {
        (Some(text), Some(calls)) => Some(text && calls),
        (text, calls) => text.or(calls),
    }
}

fn keeps_text(request: &Value, answer: &Answer) -> Option<bool> {
    // An answer that calls tools first says its JSON in a later turn.
    if answer.text.trim().is_empty() && !answer.calls.is_empty() {
        return None;
    }
    let schema = TEXT_SCHEMAS.iter().find_map(|place| request.pointer(place));
    let is_any = || {
        let says = |(place, word): &(&str, &str)| {
            request.pointer(place).and_then(Value::as_str) == Some(*word)
        };
        ANY_JSON.iter().any(says)
    };
    match schema {
        // With a schema the whole text is the JSON: a list or an object mostly, but a schema may ask for a word.
        Some(schema) => {
            match serde_json::from_str(&answer.text).ok().or_else(|| json::read(&answer.text)) {
                Some(value) => decided(keeps(schema, &value)),
                None => Some(false),
            }
        }
        None if is_any() => Some(json::read(&answer.text).is_some()),
        None => None,
    }
}

fn keeps_calls(request: &Value, answer: &Answer) -> Option<bool> {
    let tools: Vec<&Value> = request
        .get("tools")?
        .as_array()?
        .iter()
        .flat_map(|tool| {
            ["functionDeclarations", "function_declarations"]
                .iter()
                .find_map(|name| tool.get(name)?.as_array())
                .map_or_else(|| vec![tool], |declared| declared.iter().collect())
        })
        .map(|tool| tool.get("function").filter(|function| function.is_object()).unwrap_or(tool))
        .collect();
    let verdicts = answer.calls.iter().map(|call| {
        let named = |tool: &&&Value| tool.get("name").and_then(Value::as_str) == Some(&call.name);
        let Some(tool) = tools.iter().find(named) else { return Some(false) };
        let Some(schema) = TOOL_SCHEMAS.iter().find_map(|name| tool.get(name)) else {
            return Some(true);
        };
        let written = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        match serde_json::from_str(written) {
            Ok(arguments) => decided(keeps(schema, &arguments)),
            Err(_) => Some(false),
        }
    });
    let verdicts: Vec<bool> = verdicts.flatten().collect();
    (!verdicts.is_empty()).then(|| verdicts.iter().all(|keeps| *keeps))
}

fn decided(keeps: Keeps) -> Option<bool> {
    match keeps {
        Keeps::Yes => Some(true),
        Keeps::No => Some(false),
        Keeps::Unknown => None,
    }
}
