//! Calls of tools in answers and in requests, and what the tools answered: for checking them. Of a stream only the events
//! that can hold a piece of a call are parsed; nothing here can fail.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::json::{Text, Walk};
use crate::base::sse::Splitter;
use crate::dialect::messages::flat;
use crate::dialect::{anthropic_messages, gemini_generate, openai_chat, openai_responses};
use crate::neutral::call::{Call, CallResult, Exchanged};
use crate::neutral::kind::Dialect;

/// Limit: bytes of one event.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Limit: bytes of one call's arguments; a longer call is left out.
const ARGUMENTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Limit: calls of one answer.
const CALLS_MAX: usize = 256;

/// The calls in a whole answer.
pub fn of_document(dialect: Dialect, body: &[u8]) -> Vec<Call> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let mut draft = Draft::default();
    match dialect {
        Dialect::OpenAiChat => openai_chat::calls::document(&body, &mut draft),
        Dialect::OpenAiResponses => openai_responses::calls::document(&body, &mut draft),
        Dialect::OpenAiEmbeddings => {}
        Dialect::Anthropic => anthropic_messages::calls::document(&body, &mut draft),
        Dialect::Gemini => gemini_generate::calls::document(&body, &mut draft),
    }
    draft.calls()
}

/// The calls in a stream of events that came to its end.
pub fn of_events(dialect: Dialect, bytes: &[u8]) -> Vec<Call> {
    let mut draft = Draft::default();
    let mut splitter = Splitter::new(EVENT_BYTES_MAX);
    let (marks, read): (&[&str], fn(&Value, &mut Draft)) = match dialect {
        Dialect::OpenAiChat => (&["tool_calls"], openai_chat::calls::event),
        Dialect::OpenAiResponses => (&["output_item.done"], openai_responses::calls::event),
        Dialect::OpenAiEmbeddings => return Vec::new(),
        Dialect::Anthropic => (&["tool_use", "partial_json"], anthropic_messages::calls::event),
        Dialect::Gemini => (&["functionCall", "function_call"], gemini_generate::calls::event),
    };
    let mut event = |data: &[u8]| {
        if marks.iter().any(|mark| memchr::memmem::find(data, mark.as_bytes()).is_some())
            && let Ok(event) = serde_json::from_slice::<Value>(data)
        {
            read(&event, &mut draft);
        }
    };
    splitter.feed_borrowed(bytes, |one| event(one.data));
    if let Some(last) = splitter.finish() {
        event(&last.data);
    }
    draft.calls()
}

/// The calls and results in one message of a request.
pub fn of_message(dialect: Dialect, message: &[u8]) -> Exchanged {
    let mut exchanged = Exchanged::default();
    let Ok(message) = serde_json::from_slice::<Value>(message) else { return exchanged };
    match dialect {
        Dialect::OpenAiChat => openai_chat::calls::message(&message, &mut exchanged),
        Dialect::OpenAiResponses => openai_responses::calls::message(&message, &mut exchanged),
        Dialect::OpenAiEmbeddings => {}
        Dialect::Anthropic => anthropic_messages::calls::message(&message, &mut exchanged),
        Dialect::Gemini => gemini_generate::calls::message(&message, &mut exchanged),
    }
    exchanged
}

/// The schema that a request gives for the arguments of a tool, in whatever dialect and however deep in namespaces.
pub fn schema(request: &[u8], tool: &str) -> Option<Value> {
    let mut found = None;
    Walk::new(request).members(|walk, key| {
        if matches!(key, b"tools" | b"functions") {
            find_tool(walk, tool.as_bytes(), &mut found, 0);
        }
    });
    serde_json::from_slice(found?).ok()
}

fn find_tool<'a>(walk: &mut Walk<'a>, wanted: &[u8], found: &mut Option<&'a [u8]>, depth: usize) {
    /// Limit: tools in each other.
    const DEPTH_MAX: usize = 8;
    if depth > DEPTH_MAX || walk.elements(|walk| find_tool(walk, wanted, found, depth + 1)) {
        return;
    }
    let (mut name, mut schema): (Option<Text<'_>>, Option<&'a [u8]>) = (None, None);
    let mut inner = Vec::new();
    walk.members(|walk, key| match key {
        b"name" => name = walk.text(),
        b"parameters" | b"input_schema" | b"parametersJsonSchema" => schema = Some(walk.raw()),
        b"function" | b"functionDeclarations" | b"function_declarations" | b"tools" => {
            inner.push(walk.clone());
        }
        _ => {}
    });
    if name.is_some_and(|name| name.read().as_bytes() == wanted) && schema.is_some() {
        *found = schema;
    }
    for mut walk in inner {
        find_tool(&mut walk, wanted, found, depth + 1);
    }
}

/// Calls being put together of pieces, by choice and place.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    calls: BTreeMap<(u64, u64), (Call, bool)>,
}

impl Draft {
    /// A piece of a call: what names it comes with the first one, as a rule.
    pub(crate) fn piece(&mut self, place: (u64, u64), id: &str, name: &str, arguments: &str) {
        if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&place) {
            return;
        }
        let (call, is_cut) = self.calls.entry(place).or_default();
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        if call.id.is_none() && !id.is_empty() {
            call.id = Some(id.to_owned());
        }
        *is_cut |= call.arguments.len() + arguments.len() > ARGUMENTS_BYTES_MAX;
        if !*is_cut {
            call.arguments.push_str(arguments);
        }
    }

    /// A whole call, at the next place.
    pub(crate) fn whole(&mut self, call: Call) {
        let last = self.calls.last_key_value().map_or(0, |((_, place), _)| place.saturating_add(1));
        if self.calls.len() < CALLS_MAX {
            let is_cut = call.arguments.len() > ARGUMENTS_BYTES_MAX;
            self.calls.insert((0, last), (call, is_cut));
        }
    }

    fn calls(self) -> Vec<Call> {
        let whole = self.calls.into_values().filter(|(call, cut)| !cut && !call.name.is_empty());
        whole.map(|(call, _)| call).collect()
    }
}

/// A result, with what its text says of having failed.
pub(crate) fn result(id: Option<&str>, answer: &Value) -> CallResult {
    let text = words(answer);
    CallResult { id: id.map(str::to_owned), name: None, failed: says_failed(&text), text }
}

/// The words of a tool's answer: a text, or blocks of text; anything else as JSON.
fn words(answer: &Value) -> String {
    match answer {
        Value::Array(blocks) => {
            let texts = blocks.iter().map(|block| match block.get("text") {
                Some(Value::String(text)) => text.clone(),
                _ => flat(block),
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        answer => flat(answer),
    }
}

/// Whether a tool's answer says beyond doubt that the tool failed: a member of its JSON, a line with an exit code at its
/// beginning or end, or the words with which the usual libraries report an exception.
pub(crate) fn says_failed(text: &str) -> bool {
    let text = text.trim();
    if text.starts_with('{') {
        return object_says_failed(text);
    }
    let beginning = text.lines().take(8);
    let exits = beginning.chain(text.lines().rev().take(4)).filter_map(exit_code);
    let mut exits = exits.peekable();
    if exits.peek().is_some() {
        return exits.any(|code| code != 0);
    }
    text.starts_with("An error occurred while running the tool.")
        || (text.starts_with("Error: ") && text.ends_with("Please fix your mistakes."))
        || text.starts_with("<tool_use_error>")
}

/// The number in a line such as `Exit code: 1`.
fn exit_code(line: &str) -> Option<i64> {
    let rest = ["Exit code", "Exit Code", "exit code", "Process exited with code"]
        .iter()
        .find_map(|words| line.trim().strip_prefix(words))?;
    rest.trim_start_matches(':').trim().parse().ok()
}

fn object_says_failed(text: &str) -> bool {
    let Ok(answer) = serde_json::from_str::<Value>(text) else { return false };
    let codes = [&answer, &answer["metadata"], &answer["outcome"]];
    let code = codes
        .iter()
        .flat_map(|holder| [&holder["exit_code"], &holder["exitCode"]])
        .find_map(Value::as_i64);
    let is_true = |key: &str| answer[key].as_bool() == Some(true);
    let is_false = |key: &str| answer[key].as_bool() == Some(false);
    code.is_some_and(|code| code != 0)
        || is_true("is_error")
        || is_true("isError")
        || is_false("success")
        || matches!(answer["status"].as_str(), Some("failed" | "error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_is_said_beyond_doubt_or_not_at_all() {
        for (text, failed) in [
            ("Exit code: 1\nWall time: 0.1 seconds\nOutput:\nno such file", true),
            ("Exit code: 0\nOutput:\nExit code: 1 was expected", false),
            ("Chunk ID: 5\nWall time: 0.05 seconds\nProcess exited with code 2\nOutput:\n", true),
            ("Output: \nls: x\nExit Code: 127", true),
            (r#"{"output":"no","metadata":{"exit_code":1,"duration_seconds":0.1}}"#, true),
            (r#"{"output":"yes","metadata":{"exit_code":0}}"#, false),
            (r#"{"is_error":true}"#, true),
            (r#"{"success":false}"#, true),
            (r#"{"status":"failed"}"#, true),
            (r#"{"status":"ok","errors":[]}"#, false),
            ("An error occurred while running the tool. Please try again. Error: boom", true),
            ("Error: KeyError('x')\n Please fix your mistakes.", true),
            ("Error: see the log, line 7", false),
            ("3 matches, exit status 1", false),
            ("{ not json", false),
            ("", false),
        ] {
            assert_eq!(says_failed(text), failed, "{text}");
        }
    }

    #[test]
    fn schemas_are_found_in_every_dialect() {
        let schema_of =
            |request: &str| schema(request.as_bytes(), "f").map(|schema| schema.to_string());
        for request in [
            r#"{"tools":[{"type":"function","function":{"name":"g","parameters":{}}},{"type":"function","function":{"name":"f","parameters":{"a":1}}}]}"#,
            r#"{"functions":[{"parameters":{"a":1},"name":"f"}]}"#,
            r#"{"tools":[{"type":"web_search"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f","parameters":{"a":1}}]}]}"#,
            r#"{"tools":[{"name":"f","input_schema":{"a":1}}]}"#,
            r#"{"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"a":1}}]}]}"#,
        ] {
            assert_eq!(schema_of(request).as_deref(), Some(r#"{"a":1}"#), "{request}");
        }
        assert_eq!(schema_of(r#"{"tools":[{"name":"g","input_schema":{}}]}"#), None);
        assert_eq!(schema_of("[1,"), None);
    }
}
