//! A request in its canonical form: what it asks, without how it was written down and without what the rules call
//! volatile. Two requests are the same question when their digests are equal.

use serde_json::Value;

use super::place::{Place, family};
use super::rules::{Rules, Step, Watch};

/// A request as it came, with its body decoded.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub body: &'a [u8],
}

/// The digest of a question.
pub type Digest = [u8; 32];

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub method: String,
    pub place: Place,
    /// Parameters of the query in the order of their names, without the ignored ones.
    pub query: Vec<(String, String)>,
    pub model: String,
    pub stream: bool,
    pub body: Content,
}

/// A body as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Json(Value),
    /// Bytes that are no JSON; the boundary of a form is taken out.
    Bytes(Vec<u8>),
}

impl Asked<'_> {
    /// Of the bytes as they are, for requests that come again unchanged.
    pub fn raw_digest(&self) -> Digest {
        let mut hash = blake3::Hasher::new();
        for part in [self.method.as_bytes(), self.target.as_bytes(), self.body] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        *hash.finalize().as_bytes()
    }
}

impl Question {
    pub fn read(asked: &Asked<'_>, rules: &Rules) -> Self {
        let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
        let place = Place::of(path);
        let mut query: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(|(name, _)| !rules.is_parameter_ignored(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        query.sort();
        let body = match serde_json::from_slice(asked.body) {
            Ok(value) => Content::Json(value),
            Err(_) => Content::Bytes(without_boundary(asked.body)),
        };
        let member = |name: &str| match &body {
            Content::Json(value) => value.get(name),
            Content::Bytes(_) => None,
        };
        let named = member("model").and_then(Value::as_str).map(str::to_owned);
        let model = place.model.clone().or(named).unwrap_or_default();
        let stream = member("stream").and_then(Value::as_bool).unwrap_or(false)
            || place.operation.starts_with("stream");
        Self { method: asked.method.to_ascii_uppercase(), place, query, model, stream, body }
    }

    pub fn digest(&self, rules: &Rules) -> Digest {
        let mut hash = blake3::Hasher::new();
        text(&mut hash, &self.method);
        text(&mut hash, self.place.dialect);
        text(&mut hash, &self.place.path);
        for (name, value) in &self.query {
            text(&mut hash, name);
            text(&mut hash, value);
        }
        match &self.body {
            Content::Json(value) => {
                hash.update(b"J");
                walk(&mut hash, value, rules, &rules.begin());
            }
            Content::Bytes(bytes) => {
                hash.update(b"B");
                hash.update(bytes);
            }
        }
        *hash.finalize().as_bytes()
    }

    /// What a near recording must share: dialect, operation, whether it streams, and the model's family.
    pub(super) fn kin(&self) -> Kin {
        Kin {
            dialect: self.place.dialect,
            operation: self.place.operation.clone(),
            stream: self.stream,
            family: family(&self.model),
        }
    }
}

/// Requests that can stand for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kin {
    pub(super) dialect: &'static str,
    pub(super) operation: String,
    pub(super) stream: bool,
    pub(super) family: String,
}

/// The digest of a part of a body, by the rules that hold there.
pub(super) fn part(value: &Value, rules: &Rules, watch: &Watch) -> u64 {
    let mut hash = blake3::Hasher::new();
    walk(&mut hash, value, rules, watch);
    short(&hash.finalize())
}

/// The beginning of a digest.
pub(super) fn short(hash: &blake3::Hash) -> u64 {
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

fn text(hash: &mut blake3::Hasher, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// Every value begins with a letter for its kind and, where it can be of any length, with the length: no two different
/// values give the same bytes.
fn walk(hash: &mut blake3::Hasher, value: &Value, rules: &Rules, watch: &Watch) {
    match value {
        Value::Null => drop(hash.update(b"n")),
        Value::Bool(true) => drop(hash.update(b"t")),
        Value::Bool(false) => drop(hash.update(b"f")),
        Value::Number(number) => {
            hash.update(b"#");
            text(hash, &plain_number(number));
        }
        Value::String(string) => {
            hash.update(b"s");
            text(hash, &rules.text(string));
        }
        Value::Array(items) => {
            hash.update(b"[");
            for (index, item) in items.iter().enumerate() {
                if let Some(watch) = rules.step(watch, Step::Index(index)) {
                    walk(hash, item, rules, &watch);
                }
            }
            hash.update(b"]");
        }
        Value::Object(members) => {
            hash.update(b"{");
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, member) in members {
                if let Some(watch) = rules.step(watch, Step::Name(name)) {
                    hash.update(b":");
                    text(hash, name);
                    walk(hash, member, rules, &watch);
                }
            }
            hash.update(b"}");
        }
    }
}

/// `1` and `1.0` are one number.
pub(super) fn plain_number(number: &serde_json::Number) -> String {
    /// Up to here every whole number has a float of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < WHOLE_MAX => {
            // Adding zero turns -0 into 0.
            format!("{:.0}", float + 0.0)
        }
        _ => number.to_string(),
    }
}

/// A form without its boundary, which is drawn anew each time: the first line of the body, without the two dashes.
fn without_boundary(body: &[u8]) -> Vec<u8> {
    /// Limit: bytes of a boundary, by the standard.
    const BOUNDARY_MAX: usize = 72;
    let line = body.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let is_form = line.starts_with(b"--") && line.len() > 4 && line.len() <= BOUNDARY_MAX;
    if !is_form {
        return body.to_vec();
    }
    let mut plain = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(line) {
            plain.extend_from_slice(b"--");
            rest = after;
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(target: &str, body: &str) -> Digest {
        let rules = Rules::usual();
        let asked = Asked { method: "POST", target, body: body.as_bytes() };
        Question::read(&asked, &rules).digest(&rules)
    }

    fn check(body: &str, other: &str, same: bool) {
        let of = |body| digest("/v1/chat/completions", body);
        assert_eq!(of(body) == of(other), same, "{body} | {other}");
    }

    #[test]
    fn how_it_is_written_does_not_matter() {
        check(r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true,\nnull ], \"a\": 1.0 }", true);
        check(r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#, true);
        check(r#"{"temperature":0}"#, r#"{"temperature":-0.0}"#, true);
        check(r#"{"temperature":-1}"#, r#"{"temperature":-1.0}"#, true);
    }

    #[test]
    fn what_it_says_does() {
        check(r#"{"a":1}"#, r#"{"a":2}"#, false);
        check(r#"{"a":1}"#, r#"{"a":"1"}"#, false);
        check(r#"{"a":-1}"#, r#"{"a":1.0}"#, false);
        check(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false);
        check(r#"{"a":["b","c"]}"#, r#"{"a":["bc"]}"#, false);
        check(r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#, false);
        check(r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#, false);
        check(r#"{"stream":true}"#, r#"{"stream":false}"#, false);
        check("not json", "not  json", false);
    }

    #[test]
    fn volatile_fields_do_not() {
        let with = r#"{"model":"m","user":"u1","metadata":{"user_id":"x"},"prompt_cache_key":"k",
            "stream_options":{"include_usage":true},"messages":[{"role":"assistant","id":"msg_1",
            "tool_calls":[{"id":"call_1","function":{"name":"f"}}]}]}"#;
        let without = r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"call_2",
            "function":{"name":"f"}}]}]}"#;
        check(with, without, true);
        check(
            r#"{"tools":[{"properties":{"user":1}}]}"#,
            r#"{"tools":[{"properties":{}}]}"#,
            false,
        );
    }

    #[test]
    fn queries_count_but_not_keys() {
        let of = |target| digest(target, "{}");
        let stream = "/v1beta/models/m:streamGenerateContent";
        let key = format!("{stream}?key=AIza&alt=sse");
        let plain = format!("{stream}?alt=sse");
        assert_eq!(of(&key), of(&plain));
        assert_ne!(of(&key), of(stream));
        assert_ne!(of(stream), of("/v1beta/models/other:streamGenerateContent"));
    }

    #[test]
    fn forms_are_compared_without_their_boundary() {
        let form = |boundary: &str, file: &str| {
            digest(
                "/v1/audio/transcriptions",
                &format!(
                    "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n{file}\r\n--{boundary}--\r\n"
                ),
            )
        };
        assert_eq!(form("aaaa1111", "sound"), form("bbbbbb2222", "sound"));
        assert_ne!(form("aaaa1111", "sound"), form("aaaa1111", "noise"));
    }
}
