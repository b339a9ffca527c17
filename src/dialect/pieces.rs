//! The pieces of a prompt in the order in which providers hash it for their caches: tools, then instructions, then
//! messages. Each with its place in the body, so that a difference can be shown where it stands.
//!
//! Two pieces are the same when they say the same: white space between tokens, the spelling of escapes, `cache_control`
//! marks, and a text standing alone or in a list of one block make no difference. The order of members does: it reaches
//! the model.

use std::fmt::Write as _;
use std::ops::Range;

use crate::base::json::{self, Kind, Value};
use crate::neutral::kind::Dialect;

/// Where a piece belongs. The order is that of hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    Tools,
    System,
    Messages,
}

/// A tool, an instruction or a message.
#[derive(Debug, Clone)]
pub struct Piece {
    pub section: Section,
    /// In its section, from 0.
    pub index: usize,
    /// Where it stands: `messages[3]`.
    pub path: String,
    pub span: Range<usize>,
    /// The role of a message, or the name of a tool.
    pub name: Option<String>,
    /// What it says, marks apart.
    pub hash: blake3::Hash,
    /// It carries a mark.
    pub marked: bool,
}

/// The first place at which two values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub path: String,
    /// Offsets in the bodies.
    pub left: usize,
    pub right: usize,
}

/// Limit: values in each other that are gone into.
const DEPTH_MAX: usize = 64;

/// The pieces of a request's body, in the order of hashing; none of a body that is no JSON.
pub fn of_request(dialect: Dialect, body: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let walked = json::each_member(body, |member| {
        let section = match (dialect, &*member.key) {
            (_, "tools" | "functions") => Section::Tools,
            (Dialect::Gemini, "systemInstruction" | "system_instruction")
            | (_, "system" | "instructions") => Section::System,
            (Dialect::Gemini, "contents") | (_, "messages" | "input" | "prompt") => {
                Section::Messages
            }
            _ => return,
        };
        take(&mut pieces, section, &member.key, &member.value);
    });
    if walked.is_err() {
        return Vec::new();
    }
    // Stable: what is of one section stays in the order of the body.
    pieces.sort_by_key(|piece| piece.section);
    pieces
}

fn take(pieces: &mut Vec<Piece>, section: Section, key: &str, value: &Value<'_>) {
    if value.kind == Kind::Null {
        return;
    }
    if value.kind != Kind::Array {
        pieces.push(piece(section, 0, key.to_owned(), value));
        return;
    }
    let elements = value.elements().enumerate();
    pieces.extend(elements.map(|(at, one)| piece(section, at, format!("{key}[{at}]"), &one)));
}

fn piece(section: Section, index: usize, path: String, value: &Value<'_>) -> Piece {
    let mut hasher = Hashing { hasher: blake3::Hasher::new(), marked: false };
    hasher.value(value, 0);
    Piece {
        section,
        index,
        path,
        span: value.span.clone(),
        name: name(value),
        hash: hasher.hasher.finalize(),
        marked: hasher.marked,
    }
}

fn name(value: &Value<'_>) -> Option<String> {
    let named = value.get("role").or_else(|| value.get("name"));
    let named = named.or_else(|| value.get("function")?.get("name"));
    let named = named.or_else(|| value.get("type"))?;
    named.as_str().map(|name| name.chars().take(64).collect())
}

/// Marks where a provider may cut its cache; they say nothing to the model.
fn is_mark(key: &str) -> bool {
    matches!(key, "cache_control" | "cachePoint")
}

struct Hashing {
    hasher: blake3::Hasher,
    marked: bool,
}

impl Hashing {
    fn value(&mut self, value: &Value<'_>, depth: usize) {
        let alone = lone_text(value);
        match value.kind {
            _ if alone.is_some() => self.text(alone.as_ref()),
            Kind::String => self.text(Some(value)),
            Kind::Object if depth < DEPTH_MAX => {
                self.hasher.update(b"{");
                for member in value.members() {
                    if is_mark(&member.key) {
                        self.marked = true;
                        continue;
                    }
                    self.hasher.update(member.key.as_bytes());
                    self.hasher.update(b"\0:");
                    self.value(&member.value, depth + 1);
                }
                self.hasher.update(b"}");
            }
            Kind::Array if depth < DEPTH_MAX => {
                self.hasher.update(b"[");
                for element in value.elements() {
                    self.value(&element, depth + 1);
                    self.hasher.update(b",");
                }
                self.hasher.update(b"]");
            }
            _ => {
                self.hasher.update(value.raw());
            }
        }
        if value.kind == Kind::Array && alone.is_some() {
            let block = value.elements().next();
            self.marked |= block.is_some_and(|block| block.members().any(|m| is_mark(&m.key)));
        }
    }

    fn text(&mut self, value: Option<&Value<'_>>) {
        let text = value.and_then(Value::as_str).unwrap_or_default();
        self.hasher.update(b"\"");
        self.hasher.update(&(text.len() as u64).to_le_bytes());
        self.hasher.update(text.as_bytes());
    }
}

/// The text of a list that holds one block of text and nothing else: clients write it with and without the list,
/// depending on whether there is a mark to hang on it.
fn lone_text<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    if value.kind != Kind::Array {
        return None;
    }
    let mut elements = value.elements();
    let (block, None) = (elements.next()?, elements.next()) else { return None };
    let mut text = None;
    for member in block.members() {
        match &*member.key {
            "type" if matches!(member.value.as_str().as_deref(), Some("text")) => {}
            "text" if member.value.kind == Kind::String => text = Some(member.value),
            key if is_mark(key) => {}
            _ => return None,
        }
    }
    text
}

/// The first place at which two values differ in what they say; `path` is where they stand.
pub fn first_difference(left: &Value<'_>, right: &Value<'_>, path: &str) -> Option<Spot> {
    let mut steps = path.to_owned();
    differ(left, right, &mut steps, 0).map(|(left, right)| Spot { path: steps, left, right })
}

/// Leaves the path of the difference in `path`.
fn differ(
    left: &Value<'_>,
    right: &Value<'_>,
    path: &mut String,
    depth: usize,
) -> Option<(usize, usize)> {
    if left.raw() == right.raw() {
        return None;
    }
    let (lone_left, lone_right) = (lone_text(left), lone_text(right));
    let (left, right) = (lone_left.as_ref().unwrap_or(left), lone_right.as_ref().unwrap_or(right));
    match (left.kind, right.kind) {
        (Kind::String, Kind::String) => texts(left, right),
        (Kind::Object, Kind::Object) if depth < DEPTH_MAX => members(left, right, path, depth),
        (Kind::Array, Kind::Array) if depth < DEPTH_MAX => elements(left, right, path, depth),
        _ if left.raw() == right.raw() => None,
        _ => Some((left.span.start, right.span.start)),
    }
}

fn texts(left: &Value<'_>, right: &Value<'_>) -> Option<(usize, usize)> {
    if left.as_str() == right.as_str() {
        return None;
    }
    let same = left.raw().iter().zip(right.raw()).take_while(|(a, b)| a == b).count();
    // Not in the middle of a character.
    let start = |value: &Value<'_>| {
        let raw = value.raw();
        (0..=same.min(raw.len().saturating_sub(1)))
            .rev()
            .find(|at| raw.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80))
            .unwrap_or(0)
    };
    Some((left.span.start + start(left), right.span.start + start(right)))
}

fn members(
    left: &Value<'_>,
    right: &Value<'_>,
    path: &mut String,
    depth: usize,
) -> Option<(usize, usize)> {
    let mut ours = left.members().filter(|member| !is_mark(&member.key));
    let mut theirs = right.members().filter(|member| !is_mark(&member.key));
    let length = path.len();
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return None,
            (Some(our), Some(their)) if our.key == their.key => {
                path.push('.');
                path.push_str(&our.key);
                if let Some(found) = differ(&our.value, &their.value, path, depth + 1) {
                    return Some(found);
                }
                path.truncate(length);
            }
            (our, their) => {
                let ends = |value: &Value<'_>| value.span.end.saturating_sub(1);
                if let Some(key) = their.as_ref().or(our.as_ref()).map(|member| &member.key) {
                    path.push('.');
                    path.push_str(key);
                }
                return Some((
                    our.map_or_else(|| ends(left), |member| member.key_span.start),
                    their.map_or_else(|| ends(right), |member| member.key_span.start),
                ));
            }
        }
    }
}

fn elements(
    left: &Value<'_>,
    right: &Value<'_>,
    path: &mut String,
    depth: usize,
) -> Option<(usize, usize)> {
    let (mut ours, mut theirs) = (left.elements(), right.elements());
    let length = path.len();
    for at in 0_usize.. {
        let pair = (ours.next(), theirs.next());
        if pair.0.is_none() && pair.1.is_none() {
            return None;
        }
        // Writing to a string does not fail.
        let _ = write!(path, "[{at}]");
        match pair {
            (Some(our), Some(their)) => {
                if let Some(found) = differ(&our, &their, path, depth + 1) {
                    return Some(found);
                }
            }
            (our, their) => {
                let ends = |value: &Value<'_>| value.span.end.saturating_sub(1);
                return Some((
                    our.map_or_else(|| ends(left), |one| one.span.start),
                    their.map_or_else(|| ends(right), |one| one.span.start),
                ));
            }
        }
        path.truncate(length);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(dialect: Dialect, body: &str) -> Vec<String> {
        let pieces = of_request(dialect, body.as_bytes());
        let show = |piece: &Piece| {
            let mark = if piece.marked { "*" } else { "" };
            format!("{}{mark}:{}", piece.path, piece.name.as_deref().unwrap_or("-"))
        };
        pieces.iter().map(show).collect()
    }

    #[test]
    fn pieces_come_in_the_order_of_hashing() {
        let body = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],
            "system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],
            "tools":[{"name":"f","input_schema":{}}],"max_tokens":5}"#;
        let expected =
            ["tools[0]:f", "system[0]*:text", "messages[0]:user", "messages[1]:assistant"];
        assert_eq!(shown(Dialect::Anthropic, body), expected);
        let body = r#"{"contents":[{"role":"user","parts":[]}],"systemInstruction":{"parts":[]}}"#;
        assert_eq!(shown(Dialect::Gemini, body), ["systemInstruction:-", "contents[0]:user"]);
        let body = r#"{"input":"a","instructions":"b","tools":[{"type":"function","name":"f"}]}"#;
        assert_eq!(
            shown(Dialect::OpenAiResponses, body),
            ["tools[0]:f", "instructions:-", "input:-"]
        );
        let body = r#"{"messages":[{"role":"user"}],"tools":[{"function":{"name":"g"}}]}"#;
        assert_eq!(shown(Dialect::OpenAiChat, body), ["tools[0]:g", "messages[0]:user"]);
        assert!(shown(Dialect::OpenAiChat, "{\"messages\":[").is_empty());
    }

    fn hash(message: &str) -> blake3::Hash {
        let body = format!("{{\"messages\":[{message}]}}");
        of_request(Dialect::Anthropic, body.as_bytes()).pop().expect("a message").hash
    }

    fn spot(left: &str, right: &str) -> Option<(String, String)> {
        let (ours, theirs) =
            (json::check(left.as_bytes()).ok()?, json::check(right.as_bytes()).ok()?);
        let found = first_difference(&ours, &theirs, "m")?;
        let after = right.get(found.right..).unwrap_or_default().chars().take(4).collect();
        Some((found.path, after))
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        let plain = r#"{"role":"user","content":"é"}"#;
        for same in [
            r#"{ "role" : "user", "content" : "é" }"#,
            r#"{"role":"user","content":"\u00e9"}"#,
            r#"{"role":"user","content":[{"type":"text","text":"é"}]}"#,
            r#"{"role":"user","content":[{"type":"text","text":"é","cache_control":{"type":"ephemeral"}}]}"#,
            r#"{"cache_control":{},"role":"user","content":"é"}"#,
        ] {
            assert_eq!(hash(plain), hash(same), "{same}");
            assert_eq!(spot(plain, same), None, "{same}");
        }
        for other in [
            r#"{"content":"é","role":"user"}"#,
            r#"{"role":"user","content":"e"}"#,
            r#"{"role":"user","content":[{"type":"text","text":"é"},{"type":"text","text":""}]}"#,
            r#"{"role":"user","content":[{"type":"text","text":"é","citations":true}]}"#,
        ] {
            assert_ne!(hash(plain), hash(other), "{other}");
            assert!(spot(plain, other).is_some(), "{other}");
        }
    }

    #[test]
    fn differences_are_found_where_they_stand() {
        let check = |left, right, path: &str, after: &str| {
            assert_eq!(
                spot(left, right),
                Some((path.to_owned(), after.to_owned())),
                "{left} {right}"
            );
        };
        check(r#"{"a":[{"b":"xyz"}]}"#, r#"{"a":[{"b":"xyq!"}]}"#, "m.a[0].b", "q!\"}");
        check(r#"{"a":1}"#, r#"{"a":1,"z":2}"#, "m.z", "\"z\":");
        check(r#"{"a":1,"z":2}"#, r#"{"a":1}"#, "m.z", "}");
        check("[1]", "[1, 25]", "m[1]", "25]");
        check(r#"{"a":"é"}"#, r#"{"a":"ê"}"#, "m.a", "ê\"}");
        check(r#"{"a":{}}"#, r#"{"a":[]}"#, "m.a", "[]}");
    }
}
