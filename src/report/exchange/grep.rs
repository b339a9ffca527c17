//! Where a pattern stands in an exchange: which leg, which message, which line.

use std::ops::Range;

use regex::Regex;
use serde_json::{Value, json};

use crate::neutral::message::{Message, Part};
use crate::report::exchange::body::{self, Form};
use crate::report::look::{Look, Tone, clean_line, columns};
use crate::store::stored::{Listed, Stored};

/// Characters of a line before what was found, so that it is seen.
const BEFORE: usize = 40;
/// Limit: characters of a line that is given to a program.
const LINE_MAX: usize = 1_000;

/// One line with the pattern in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `request` or `answer`.
    pub leg: &'static str,
    /// `user 3`, `tool 12`, `system`, `answer`: the message's role, and its number from 1.
    pub message: String,
    /// The same text gives the same number: a message that is sent again in each turn.
    pub text: u64,
    pub line: String,
    /// Bytes of the line.
    pub at: Range<usize>,
}

/// Every line that has the pattern, in the order of the conversation.
pub fn find(stored: &Stored, pattern: &Regex) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(whole) = stored.client_request() {
        let clear = body::clear(whole);
        match body::asked(stored, &clear) {
            Some(conversation) => {
                for part in &conversation.system {
                    lines("request", "system", &words(part), pattern, &mut found);
                }
                messages("request", &conversation.messages, pattern, &mut found);
            }
            None => raw("request", &clear, pattern, &mut found),
        }
    }
    if let Some(whole) = body::best_answer(stored) {
        let clear = body::clear(whole);
        match body::answered(stored, &clear) {
            Some(answers) => messages("answer", &answers, pattern, &mut found),
            None => raw("answer", &clear, pattern, &mut found),
        }
    }
    found
}

fn messages(leg: &'static str, messages: &[Message], pattern: &Regex, found: &mut Vec<Found>) {
    for (at, message) in messages.iter().enumerate() {
        let name = format!("{} {}", clean_line(&message.role), at + 1);
        for part in &message.parts {
            lines(leg, &name, &words(part), pattern, found);
        }
    }
}

fn words(part: &Part) -> String {
    match part {
        Part::Text(text) | Part::Reasoning(text) => text.clone(),
        Part::ToolCall { name, arguments, .. } => format!("{name} {}", strings(arguments)),
        Part::ToolResponse { response, .. } => strings(response),
        Part::Uri { uri, .. } => uri.clone(),
        Part::Media { .. } | Part::Other(_) => String::new(),
    }
}

/// The JSON with the line feeds and quotes in its texts as they are, so that they are found as people see them.
fn strings(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let mut out = String::new();
    add(&value, &mut out);
    out
}

fn add(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            for item in items {
                add(item, out);
                out.push('\n');
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                out.push_str(name);
                out.push_str(": ");
                add(value, out);
                out.push('\n');
            }
        }
        other => out.push_str(&other.to_string()),
    }
}

fn raw(leg: &'static str, clear: &[u8], pattern: &Regex, found: &mut Vec<Found>) {
    if !matches!(body::form(clear), Form::Binary | Form::Empty) {
        lines(leg, "body", &String::from_utf8_lossy(clear), pattern, found);
    }
}

fn lines(leg: &'static str, message: &str, text: &str, pattern: &Regex, found: &mut Vec<Found>) {
    if !pattern.is_match(text) {
        return;
    }
    let hash = hash(text);
    for line in text.lines() {
        if let Some(at) = pattern.find(line) {
            found.push(Found {
                leg,
                message: message.to_owned(),
                text: hash,
                line: line.to_owned(),
                at: at.range(),
            });
        }
    }
}

fn hash(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
}

/// `ID  request user 3: the line`, the match marked, what is far from it left out.
pub fn text(row: &Listed, found: &Found, id_length: usize, look: Look) -> String {
    let id: String = row.id.chars().take(id_length).collect();
    let place = format!("{} {}", found.leg, found.message);
    let begin = columns(&id) + columns(&place) + 4;
    let room = look.width.map_or(LINE_MAX, |width| width.saturating_sub(begin).max(20));
    let (before, hit, after) = around(&found.line, &found.at, room);
    let line = format!(
        "{}{}{}",
        clean_line(&before),
        look.paint(Tone::Bad, &clean_line(&hit)),
        clean_line(&after)
    );
    format!("{id}  {}: {line}", look.paint(Tone::Dim, &place))
}

/// The line around what was found, in at most about `room` columns.
fn around(line: &str, at: &Range<usize>, room: usize) -> (String, String, String) {
    let (before, rest) = line.split_at_checked(at.start).unwrap_or((line, ""));
    let (hit, after) = rest.split_at_checked(at.len()).unwrap_or((rest, ""));
    let hit = crate::report::look::clip(hit, room);
    let left = room.saturating_sub(columns(&hit));
    let before = before.trim_start();
    let before_room =
        if columns(before) + columns(after) <= left { left } else { BEFORE.min(left / 2) };
    let before = if columns(before) > before_room {
        let skip = before.chars().count().saturating_sub(before_room.saturating_sub(1));
        format!("…{}", before.chars().skip(skip).collect::<String>())
    } else {
        before.to_owned()
    };
    let after = crate::report::look::clip(after, left.saturating_sub(columns(&before)));
    (before, hit, after)
}

pub fn ndjson(row: &Listed, found: &Found) -> String {
    let line: String = found.line.chars().take(LINE_MAX).collect();
    let value = json!({
        "id": row.id,
        "started_at_us": row.started_at_us,
        "session_id": row.session_id,
        "model": row.model,
        "leg": found.leg,
        "message": found.message,
        "line": line,
        "match": found.line.get(found.at.clone()),
    });
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::exchange::fixture;

    fn found(pattern: &str) -> Vec<String> {
        let stored = fixture::retried();
        let pattern = Regex::new(pattern).unwrap();
        let look = Look { width: Some(70), ..Look::default() };
        find(&stored, &pattern).iter().map(|one| text(&stored.row, one, 8, look)).collect()
    }

    #[test]
    fn a_line_is_shown_with_its_place_and_its_neighbourhood() {
        assert_eq!(found("careful"), ["01a1f95a  request system 1: You are a careful engineer."]);
        assert_eq!(
            found("case_4[01]"),
            [
                "01a1f95a  request tool 12: test store::tests::case_40 ... ok",
                "01a1f95a  request tool 12: test store::tests::case_41 ... FAILED",
            ]
        );
        // Put together of many events; a tool's arguments by line.
        assert_eq!(
            found("one row"),
            ["01a1f95a  answer assistant 1: …tore.rs` stops one row too early; I me…"]
        );
        assert_eq!(found("0\\.\\.="), ["01a1f95a  answer assistant 1: new: for row in 0..=n {"]);
        let picture = found("picture");
        assert_eq!(picture.len(), 1);
        assert!(columns(&picture[0]) <= 70 && picture[0].contains("picture"), "{picture:?}");
        assert!(found("not in it").is_empty());
    }

    #[test]
    fn one_message_is_one_text() {
        let stored = fixture::retried();
        let all = find(&stored, &Regex::new("case_").unwrap());
        assert_eq!(all.iter().filter(|one| one.text == all[0].text).count(), 41);
        let line: Value = serde_json::from_str(&ndjson(&stored.row, &all[0])).unwrap();
        assert_eq!((&line["leg"], &line["match"]), (&"request".into(), &"case_".into()));
    }
}
