//! Any two exchanges: parameters, conversation, answers, tool calls, usage, times, cost.

use serde::Serialize;
use serde_json::Value as Json;

use crate::base::json::{self as base_json};
use crate::base::money::Nanodollars;
use crate::neutral::message::{Message, Part};
use crate::report::diff::json::{self, Change};
use crate::report::diff::runs::{self, Run};
use crate::report::diff::turns::{self, Turns};
use crate::report::{material, prose, words};
use crate::store::stored::{Listed, Stored};

/// Limit: calls of one answer.
const CALLS_MAX: usize = 128;
/// Limit: characters of arguments that are shown.
const ARGUMENTS_CHARS_MAX: usize = 300;

/// One number of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Number {
    pub name: &'static str,
    pub left: Option<String>,
    pub right: Option<String>,
}

/// A tool call of one or both answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    pub name: String,
    pub compares: Compares,
    /// Arguments in one canonical form: keys sorted, no white space.
    pub left: Option<String>,
    pub right: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compares {
    Same,
    /// The same tool, other arguments.
    Arguments,
    OnlyLeft,
    OnlyRight,
}

/// Two answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answers {
    pub known: bool,
    pub text_same: bool,
    pub text: Vec<Run>,
    pub reasoning_same: bool,
    pub calls: Vec<Call>,
    /// Names and arguments agree, in order.
    pub calls_same: bool,
}

/// Two exchanges, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchanges {
    pub left: String,
    pub right: String,
    /// What differs in the request besides the prompt.
    pub parameters: Vec<Change>,
    pub prompt: Turns,
    pub answers: Answers,
    pub numbers: Vec<Number>,
}

/// Compares two exchanges.
pub fn compare(left: &Stored, right: &Stored) -> Exchanges {
    Exchanges {
        left: left.row.id.clone(),
        right: right.row.id.clone(),
        parameters: parameters(left, right),
        prompt: turns::compare(left, right),
        answers: answers(left, right),
        numbers: numbers(&left.row, &right.row),
    }
}

fn is_prompt(path: &str) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    matches!(
        first,
        "messages"
            | "input"
            | "contents"
            | "prompt"
            | "system"
            | "instructions"
            | "tools"
            | "functions"
            | "systemInstruction"
            | "system_instruction"
    )
}

fn parameters(left: &Stored, right: &Stored) -> Vec<Change> {
    let (Some(ours), Some(theirs)) = (material::request(left), material::request(right)) else {
        return Vec::new();
    };
    let (Ok(ours), Ok(theirs)) = (base_json::check(&ours), base_json::check(&theirs)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for member in ours.members().filter(|member| !is_prompt(&member.key)) {
        let their = theirs.get(&member.key);
        let (changes, _) = match &their {
            Some(their) => json::changes(&member.value, their),
            None => (vec![gone(Some(&member.value), None)], 0),
        };
        found.extend(changes.into_iter().map(|change| under(&member.key, change)));
        seen.push(member.key.into_owned());
    }
    for member in theirs.members().filter(|member| !is_prompt(&member.key)) {
        if !seen.iter().any(|key| *key == member.key) {
            found.push(under(&member.key, gone(None, Some(&member.value))));
        }
    }
    found
}

fn gone(before: Option<&base_json::Value<'_>>, after: Option<&base_json::Value<'_>>) -> Change {
    let shown =
        |value: &base_json::Value<'_>| prose::line(&String::from_utf8_lossy(value.raw()), 200);
    Change {
        path: "(all)".to_owned(),
        before: before.map(shown),
        after: after.map(shown),
        offset: after.or(before).map_or(0, |value| value.span.start),
    }
}

fn under(key: &str, change: Change) -> Change {
    let path = match change.path.as_str() {
        "(all)" => key.to_owned(),
        deeper if deeper.starts_with('[') => format!("{key}{deeper}"),
        deeper => format!("{key}.{deeper}"),
    };
    Change { path, ..change }
}

fn answers(left: &Stored, right: &Stored) -> Answers {
    let read = |stored: &Stored| {
        let last = stored.attempts.len().checked_sub(1);
        last.map_or_else(|| material::own_answer(stored), |last| material::answer(stored, last))
    };
    let (ours, theirs) = (read(left), read(right));
    let (our_text, their_text) = (text(&ours.messages), text(&theirs.messages));
    let (our_calls, their_calls) = (calls(&ours.messages), calls(&theirs.messages));
    Answers {
        known: ours.kept && theirs.kept,
        text_same: our_text == their_text,
        text: runs::diff(&our_text, &their_text),
        reasoning_same: reasoning(&ours.messages) == reasoning(&theirs.messages),
        calls_same: our_calls == their_calls,
        calls: pair_calls(our_calls, their_calls),
    }
}

fn text(messages: &[Message]) -> String {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match part {
        Part::Text(words) => Some(words.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn reasoning(messages: &[Message]) -> String {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match part {
        Part::Reasoning(words) => Some(words.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn calls(messages: &[Message]) -> Vec<(String, String)> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| match part {
        Part::ToolCall { name, arguments, .. } => Some((name.clone(), canonical(arguments))),
        _ => None,
    });
    calls.take(CALLS_MAX).collect()
}

/// Arguments with sorted keys and no white space; what is no JSON stays as it is.
fn canonical(arguments: &str) -> String {
    fn sorted(value: Json) -> Json {
        match value {
            Json::Object(members) => {
                let mut members: Vec<(String, Json)> =
                    members.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                members.sort_by(|left, right| left.0.cmp(&right.0));
                Json::Object(members.into_iter().collect())
            }
            Json::Array(list) => Json::Array(list.into_iter().map(sorted).collect()),
            other => other,
        }
    }
    if arguments.trim().is_empty() {
        return "{}".to_owned();
    }
    serde_json::from_str(arguments)
        .map_or_else(|_| arguments.to_owned(), |value| sorted(value).to_string())
}

/// Equal calls first, then calls of the same tool, then what is left.
fn pair_calls(left: Vec<(String, String)>, mut right: Vec<(String, String)>) -> Vec<Call> {
    let shown = |arguments: String| Some(prose::line(&arguments, ARGUMENTS_CHARS_MAX));
    let mut found = Vec::new();
    let mut open = Vec::new();
    for (name, arguments) in left {
        if let Some(at) = right.iter().position(|call| call.0 == name && call.1 == arguments) {
            right.remove(at);
            found.push(Call {
                name,
                compares: Compares::Same,
                left: shown(arguments.clone()),
                right: shown(arguments),
            });
        } else {
            open.push((name, arguments));
        }
    }
    for (name, arguments) in open {
        let other = right.iter().position(|call| call.0 == name).map(|at| right.remove(at).1);
        let compares = if other.is_some() { Compares::Arguments } else { Compares::OnlyLeft };
        found.push(Call { name, compares, left: shown(arguments), right: other.and_then(shown) });
    }
    found.extend(right.into_iter().map(|(name, arguments)| Call {
        name,
        compares: Compares::OnlyRight,
        left: None,
        right: shown(arguments),
    }));
    found
}

fn numbers(left: &Listed, right: &Listed) -> Vec<Number> {
    let of = |row: &Listed| -> Vec<(&'static str, Option<String>)> {
        let tokens =
            |tokens: Option<i64>| tokens.map(|tokens| prose::number(tokens.unsigned_abs()));
        let time = |us: Option<i64>| us.map(|us| prose::time(us.unsigned_abs()));
        vec![
            ("provider", row.provider.clone()),
            ("model", row.model.clone()),
            ("status", row.status.map(|status| status.to_string())),
            ("outcome", Some(row.outcome.clone())),
            ("error", row.error_kind.clone()),
            ("finish", row.finish_reason.clone()),
            ("input tokens", tokens(row.input_tokens)),
            ("output tokens", tokens(row.output_tokens)),
            ("cache read", tokens(row.cache_read_tokens)),
            ("cache write", tokens(row.cache_write_tokens)),
            ("reasoning", tokens(row.reasoning_tokens)),
            ("first token", time(row.ttft_us)),
            ("duration", time(Some(row.duration_us))),
            ("request", Some(words::bytes(row.request_bytes.unsigned_abs()))),
            ("answer", Some(words::bytes(row.response_bytes.unsigned_abs()))),
            ("cost", row.cost_nanousd.map(|cost| format!("${}", Nanodollars(cost)))),
        ]
    };
    let pairs = of(left).into_iter().zip(of(right));
    let both = pairs.map(|((name, left), (_, right))| Number { name, left, right });
    both.filter(|number| number.left.is_some() || number.right.is_some()).collect()
}
