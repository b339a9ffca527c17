//! Where a request differs from a recorded one: path, recorded value, asked value. Bounded, for people to read.

use serde::Serialize;
use serde_json::Value;

use super::question::{Content, Question, plain_number};
use super::rules::{Rules, Step, Watch};

/// Limit: differences that are named; there may be more.
pub const DIFFERENCES_MAX: usize = 16;
/// Limit: characters of a value that are shown.
const SHOWN_MAX: usize = 96;
/// Characters before the place at which two texts part.
const BEFORE: usize = 24;

/// One place at which two requests differ. `None`: it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub path: String,
    pub recorded: Option<String>,
    pub asked: Option<String>,
}

/// All places, up to the limit.
pub(super) fn between(recorded: &Question, asked: &Question, rules: &Rules) -> Vec<Difference> {
    let mut found = Found { all: Vec::new(), rules };
    found.plain("(method)", &recorded.method, &asked.method);
    found.plain("(path)", &recorded.place.path, &asked.place.path);
    if recorded.query != asked.query {
        found.plain("(query)", &pairs(&recorded.query), &pairs(&asked.query));
    }
    match (&recorded.body, &asked.body) {
        (Content::Json(one), Content::Json(other)) => {
            found.values(one, other, &mut String::new(), &rules.begin());
        }
        (one, other) if one == other => {}
        (one, other) => found.plain("(body)", &kind(one), &kind(other)),
    }
    found.all
}

fn pairs(query: &[(String, String)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn kind(body: &Content) -> String {
    match body {
        Content::Json(_) => "JSON".to_owned(),
        Content::Bytes(bytes) => {
            format!("{} bytes, blake3 {}", bytes.len(), blake3::hash(bytes).to_hex())
        }
    }
}

struct Found<'r> {
    all: Vec<Difference>,
    rules: &'r Rules,
}

impl Found<'_> {
    fn is_full(&self) -> bool {
        self.all.len() >= DIFFERENCES_MAX
    }

    fn plain(&mut self, path: &str, recorded: &str, asked: &str) {
        if recorded != asked && !self.is_full() {
            let (recorded, asked) = apart(recorded, asked);
            self.all.push(Difference {
                path: path.to_owned(),
                recorded: Some(recorded),
                asked: Some(asked),
            });
        }
    }

    fn one_sided(&mut self, path: &str, recorded: Option<&Value>, asked: Option<&Value>) {
        if !self.is_full() {
            let shown = |value: &Value| excerpt(&value.to_string(), 0);
            self.all.push(Difference {
                path: path.to_owned(),
                recorded: recorded.map(shown),
                asked: asked.map(shown),
            });
        }
    }

    /// Limit: the depth is that of JSON's reader.
    fn values(&mut self, recorded: &Value, asked: &Value, path: &mut String, watch: &Watch) {
        if self.is_full() {
            return;
        }
        match (recorded, asked) {
            (Value::Object(one), Value::Object(other)) => {
                for (name, value) in one {
                    let step = Step::Name(name);
                    self.member(Some(value), other.get(name), (path, watch), step);
                }
                for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
                    self.member(None, Some(value), (path, watch), Step::Name(name));
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                for index in 0..one.len().max(other.len()) {
                    let step = Step::Index(index);
                    self.member(one.get(index), other.get(index), (path, watch), step);
                }
            }
            (Value::String(one), Value::String(other)) => {
                if self.rules.text(one) != self.rules.text(other) {
                    self.plain(path, one, other);
                }
            }
            (Value::Number(one), Value::Number(other)) => {
                self.plain(path, &plain_number(one), &plain_number(other));
            }
            (one, other) if one == other => {}
            (one, other) => self.one_sided(path, Some(one), Some(other)),
        }
    }

    fn member(
        &mut self,
        recorded: Option<&Value>,
        asked: Option<&Value>,
        (path, watch): (&mut String, &Watch),
        step: Step<'_>,
    ) {
        let Some(watch) = self.rules.step(watch, step) else { return };
        let before = path.len();
        match step {
            Step::Name(name) if path.is_empty() => path.push_str(name),
            Step::Name(name) => {
                path.push('.');
                path.push_str(name);
            }
            Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
        }
        match (recorded, asked) {
            (Some(one), Some(other)) => self.values(one, other, path, &watch),
            (one, other) => self.one_sided(path, one, other),
        }
        path.truncate(before);
    }
}

/// Both texts from shortly before the place at which they part.
fn apart(recorded: &str, asked: &str) -> (String, String) {
    let same = recorded.chars().zip(asked.chars()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(BEFORE);
    (excerpt(recorded, from), excerpt(asked, from))
}

fn excerpt(text: &str, from: usize) -> String {
    let mut shown = String::new();
    if from > 0 {
        shown.push('…');
    }
    let mut rest = text.chars().skip(from);
    shown.extend(rest.by_ref().take(SHOWN_MAX));
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::question::Asked;
    use super::*;

    fn differences(target: &str, recorded: &str, asked: &str) -> Vec<(String, String)> {
        let rules = Rules::usual();
        let read = |target, body: &str| {
            Question::read(&Asked { method: "POST", target, body: body.as_bytes() }, &rules)
        };
        between(&read("/v1/messages", recorded), &read(target, asked), &rules)
            .into_iter()
            .map(|one| {
                let shown = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
                (one.path, format!("{} | {}", shown(one.recorded), shown(one.asked)))
            })
            .collect()
    }

    #[test]
    fn each_place_is_named() {
        let recorded = r#"{"model":"a","user":"x","temperature":1,"messages":[{"content":"one"},{"content":"two"}]}"#;
        let asked = r#"{"model":"b","user":"y","temperature":1.0,"top_p":0.5,"messages":[{"content":"one!"}]}"#;
        let found = differences("/v1/chat/completions", recorded, asked);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(path, values)| (path.as_str(), values.as_str())).collect();
        assert_eq!(
            found,
            [
                ("(path)", "/messages | /chat/completions"),
                ("model", "a | b"),
                ("messages[0].content", "one | one!"),
                ("messages[1]", r#"{"content":"two"} | -"#),
                ("top_p", "- | 0.5"),
            ]
        );
    }

    #[test]
    fn long_texts_are_shown_where_they_part_and_long_lists_are_cut() {
        let long = "x".repeat(500);
        let body = |tail: &str| serde_json::json!({"system": format!("{long}{tail}")}).to_string();
        let found = differences("/v1/messages", &body("one"), &body("other"));
        let expected = format!("…{0}one | …{0}other", "x".repeat(23));
        assert_eq!(found, [("system".to_owned(), expected)]);
        let many = |value: u32| serde_json::json!({"messages": vec![value; 100]}).to_string();
        assert_eq!(differences("/v1/messages", &many(1), &many(2)).len(), DIFFERENCES_MAX);
    }
}
