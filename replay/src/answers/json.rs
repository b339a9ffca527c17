//! JSON compared by path, whatever the order of its keys; and the paths that may differ.
//!
//! ```text
//!  $.id             the member `id` of the whole
//!  $..created       every `created`, however deep
//!  $.items[*].at    `at` of each item          $.items[0]   the first item
//!  $.trace_*        every member whose name so begins
//! ```

use std::fmt::Write;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Rules;

/// A glob on paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// Anything may lie before it (`..`).
    deep: bool,
    place: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// `*` stands for any letters.
    Name(String),
    Index(usize),
    AnyIndex,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: write `$.name`, `$..name`, `$.list[*].name` or `$.list[0]`")]
pub struct PatternError(String);

/// One step of a real path.
#[derive(Debug, Clone, Copy)]
enum At<'a> {
    Name(&'a str),
    Index(usize),
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let wrong = || PatternError(text.to_owned());
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = Step::read(rest).ok_or_else(wrong)?;
            steps.push(step);
            rest = left;
        }
        if steps.is_empty() { Err(wrong()) } else { Ok(Self(steps)) }
    }
}

impl Step {
    fn read(text: &str) -> Option<(Self, &str)> {
        if let Some(rest) = text.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            let place = match index {
                "*" => Wanted::AnyIndex,
                number => Wanted::Index(number.parse().ok()?),
            };
            return Some((Self { deep: false, place }, rest));
        }
        let rest = text.strip_prefix('.')?;
        let (deep, rest) = rest.strip_prefix('.').map_or((false, rest), |rest| (true, rest));
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let place = Wanted::Name(name.to_owned());
        (!name.is_empty()).then_some((Self { deep, place }, rest))
    }

    fn takes(&self, at: At) -> bool {
        match (&self.place, at) {
            (Wanted::Name(glob), At::Name(name)) => matches(glob, name),
            (Wanted::Index(wanted), At::Index(index)) => *wanted == index,
            (Wanted::AnyIndex, At::Index(_)) => true,
            _ => false,
        }
    }
}

impl Pattern {
    fn takes(&self, path: &[At]) -> bool {
        takes(&self.0, path)
    }
}

fn takes(steps: &[Step], path: &[At]) -> bool {
    match (steps.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((step, later)), Some((at, below))) => {
            step.takes(*at) && takes(later, below) || step.deep && takes(steps, below)
        }
        _ => false,
    }
}

/// Whether a name fits a glob; `*` is the only letter that means something else. Goes back to the last `*` alone, which is
/// enough, and keeps hostile globs from taking long.
fn matches(glob: &str, name: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

/// The JSON of an answer: an object or a list, bare or in a fence of Markdown.
pub(super) fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    let text = text.strip_prefix("```").map_or(text, |fenced| {
        let body = fenced.split_once('\n').map_or(fenced, |(_, body)| body);
        body.trim_end().strip_suffix("```").unwrap_or(body)
    });
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The share of leaves that agree, among all that either has.
pub(super) fn share(base: &Value, new: &Value, rules: &Rules) -> f64 {
    let mut count = Count { rules, path: Vec::new(), agreeing: 0, all: 0 };
    count.both(base, new);
    if count.all == 0 { 1.0 } else { count.agreeing as f64 / count.all as f64 }
}

struct Count<'a> {
    rules: &'a Rules,
    path: Vec<At<'a>>,
    agreeing: u64,
    all: u64,
}

impl<'a> Count<'a> {
    fn both(&mut self, base: &'a Value, new: &'a Value) {
        match (base, new) {
            (Value::Object(base), Value::Object(new)) if !base.is_empty() || !new.is_empty() => {
                for (name, value) in base {
                    self.at(At::Name(name), Some(value), new.get(name));
                }
                for (name, value) in new.iter().filter(|(name, _)| !base.contains_key(*name)) {
                    self.at(At::Name(name), None, Some(value));
                }
            }
            (Value::Array(base), Value::Array(new)) if !base.is_empty() || !new.is_empty() => {
                for index in 0..base.len().max(new.len()) {
                    self.at(At::Index(index), base.get(index), new.get(index));
                }
            }
            _ => {
                // Of unlike kinds: all that the larger one has disagrees.
                self.all += leaves(base).max(leaves(new));
                self.agreeing += u64::from(agree(base, new, self.rules.tolerance));
            }
        }
    }

    fn at(&mut self, at: At<'a>, base: Option<&'a Value>, new: Option<&'a Value>) {
        self.path.push(at);
        if !self.rules.ignore.iter().any(|pattern| pattern.takes(&self.path)) {
            match (base, new) {
                (Some(base), Some(new)) => self.both(base, new),
                (Some(only), None) | (None, Some(only)) => self.all += leaves(only),
                (None, None) => {}
            }
        }
        self.path.pop();
    }
}

fn agree(base: &Value, new: &Value, tolerance: f64) -> bool {
    match (base.as_f64(), new.as_f64()) {
        (Some(a), Some(b)) => base == new || (a - b).abs() <= tolerance * a.abs().max(b.abs()),
        _ => base == new,
    }
}

fn leaves(value: &Value) -> u64 {
    match value {
        Value::Object(members) => members.values().map(leaves).sum::<u64>().max(1),
        Value::Array(items) => items.iter().map(leaves).sum::<u64>().max(1),
        _ => 1,
    }
}

/// JSON in one spelling: keys in order, numbers by value, without what may differ.
pub(super) fn canonical(value: &Value, ignore: &[Pattern]) -> String {
    let mut out = String::new();
    write_value(&mut out, value, ignore, &mut Vec::new());
    out
}

fn write_value<'a>(out: &mut String, value: &'a Value, ignore: &[Pattern], path: &mut Vec<At<'a>>) {
    match value {
        Value::Object(members) => write_object(out, members, ignore, path),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                path.push(At::Index(index));
                if !ignore.iter().any(|pattern| pattern.takes(path)) {
                    write_value(out, item, ignore, path);
                    out.push(',');
                }
                path.pop();
            }
            out.push(']');
        }
        Value::Number(number) => {
            // 1, 1.0 and 1e0 are one number; what no float holds exactly keeps its digits.
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
            let _ = match whole {
                // Minus zero is zero.
                Some(whole) => write!(out, "{:.0}", whole + 0.0),
                None => write!(out, "{number}"),
            };
        }
        Value::String(_) | Value::Bool(_) | Value::Null => {
            let _ = write!(out, "{value}");
        }
    }
}

fn write_object<'a>(
    out: &mut String,
    members: &'a Map<String, Value>,
    ignore: &[Pattern],
    path: &mut Vec<At<'a>>,
) {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (name, value) in sorted {
        path.push(At::Name(name));
        if !ignore.iter().any(|pattern| pattern.takes(path)) {
            let _ = write!(out, "{}:", Value::String(name.clone()));
            write_value(out, value, ignore, path);
            out.push(',');
        }
        path.pop();
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(ignore: &[&str], tolerance: f64) -> Rules {
        Rules { ignore: ignore.iter().map(|path| path.parse().unwrap()).collect(), tolerance }
    }

    fn check(base: &Value, new: &Value, ignore: &[&str], wanted: f64) {
        let got = share(base, new, &rules(ignore, 0.01));
        assert!((got - wanted).abs() < 1e-12, "{base} {new}: {got}");
        let back = share(new, base, &rules(ignore, 0.01));
        assert!((back - wanted).abs() < 1e-12, "the other way round: {back}");
    }

    #[test]
    fn leaves_agree_by_path() {
        check(&json!({"a": 1, "b": {"c": [1, 2]}}), &json!({"b": {"c": [1, 2]}, "a": 1}), &[], 1.0);
        check(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3}), &[], 0.5);
        check(&json!({"a": 1}), &json!({"a": 1, "b": [1, 2, 3]}), &[], 0.25);
        check(&json!([1, 2, 3]), &json!([1, 2]), &[], 2.0 / 3.0);
        check(&json!({"a": {"x": 1, "y": 2}}), &json!({"a": 1}), &[], 0.0);
        check(&json!({"a": {}}), &json!({"a": []}), &[], 0.0);
        check(&json!({}), &json!({}), &[], 1.0);
        check(&json!({"a": null}), &json!({}), &[], 0.0);
        check(&json!({"a": 100, "b": "100"}), &json!({"a": 100.9, "b": 100}), &[], 0.5);
        check(&json!({"a": 1}), &json!({"a": true}), &[], 0.0);
    }

    #[test]
    fn what_is_ignored_counts_for_nothing() {
        let base =
            json!({"id": 1, "v": 7, "in": {"id": 1, "trace_x": 1}, "l": [{"at": 1, "v": 1}]});
        let new = json!({"id": 2, "v": 7, "in": {"id": 2, "trace_y": 1}, "l": [{"at": 2, "v": 1}]});
        check(&base, &new, &[], 2.0 / 7.0);
        check(&base, &new, &["$.id"], 2.0 / 6.0);
        check(&base, &new, &["$..id"], 0.4);
        check(&base, &new, &["$..id", "$.in.trace_*", "$.l[*].at"], 1.0);
        check(&base, &new, &["$..id", "$.in", "$.l[0]"], 1.0);
        check(&base, &new, &["$.l[1]", "$.nothing"], 2.0 / 7.0);
    }

    #[test]
    fn patterns_that_are_none_say_how_to_write_them() {
        for text in ["", "id", "$", "$.", "$..", "$[x]", "$.a["] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        let error = "id".parse::<Pattern>().unwrap_err().to_string();
        assert!(error.contains("`id`") && error.contains("$.name"), "{error}");
    }

    #[test]
    fn globs() {
        for (glob, name, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(glob, name), fits, "{glob} {name}");
        }
    }

    #[test]
    fn answers_in_fences_are_json_and_bare_words_are_not() {
        assert_eq!(read(" {\"a\":1}\n"), Some(json!({"a": 1})));
        assert_eq!(read("```json\n[1]\n```"), Some(json!([1])));
        assert_eq!(read("```\n{}\n```\n"), Some(json!({})));
        for text in ["42", "\"a\"", "true", "{broken", "Here: {}", "```", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn one_spelling() {
        let canonical = |value: &Value| canonical(value, &[]);
        assert_eq!(canonical(&json!({"b": 1.0, "a": [0.5, -0.0]})), "{\"a\":[0.5,0,],\"b\":1,}");
        assert_eq!(canonical(&json!(u64::MAX)), "18446744073709551615");
        assert_ne!(canonical(&json!(u64::MAX)), canonical(&json!(u64::MAX - 1)));
        assert_eq!(canonical(&json!("é\n")), "\"é\\n\"");
    }
}
