//! Two bodies compared as JSON: what changed, by path, with the text before and after. Bodies that are no JSON are
//! compared by bytes.

use std::collections::HashMap;

use serde::Serialize;

use crate::base::json::{self, Kind, Value};
use crate::report::diff::align::{Step, align};
use crate::report::prose;

/// Limit: changes that are listed; more are counted.
const CHANGES_MAX: usize = 200;
/// Limit: characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 200;
/// Limit: values in each other that are gone into.
const DEPTH_MAX: usize = 64;

/// One change. Absent `before`: added; absent `after`: removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Offset of the value in the right body; of what was removed, in the left one.
    pub offset: usize,
}

/// How two bodies compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Bodies {
    /// Byte for byte; proven by the hash of both.
    Same {
        hash: String,
        bytes: usize,
    },
    /// The same values, written otherwise: white space, escapes, order of members.
    Rewritten {
        bytes_before: usize,
        bytes_after: usize,
        first_difference: usize,
    },
    Changed {
        changes: Vec<Change>,
        more: usize,
        bytes_before: usize,
        bytes_after: usize,
    },
    /// One of them is no JSON.
    Bytes {
        first_difference: usize,
        before: String,
        after: String,
        bytes_before: usize,
        bytes_after: usize,
    },
    /// One of them was not kept.
    Unknown {
        why: String,
    },
}

/// Compares two bodies.
pub fn bodies(left: &[u8], right: &[u8]) -> Bodies {
    if left == right {
        let hash = blake3::hash(left).to_hex().to_string();
        return Bodies::Same { hash, bytes: left.len() };
    }
    let first_difference = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (bytes_before, bytes_after) = (left.len(), right.len());
    let (Ok(ours), Ok(theirs)) = (json::check(left), json::check(right)) else {
        return Bodies::Bytes {
            first_difference,
            before: around(left, first_difference),
            after: around(right, first_difference),
            bytes_before,
            bytes_after,
        };
    };
    let (changes, more) = changes(&ours, &theirs);
    if changes.is_empty() {
        return Bodies::Rewritten { bytes_before, bytes_after, first_difference };
    }
    Bodies::Changed { changes, more, bytes_before, bytes_after }
}

/// The text from an offset on.
fn around(body: &[u8], at: usize) -> String {
    let start = at.saturating_sub(20);
    let end = (at + SHOWN_CHARS_MAX).min(body.len());
    prose::line(&String::from_utf8_lossy(body.get(start..end).unwrap_or_default()), SHOWN_CHARS_MAX)
}

/// The changes between two values, at most `CHANGES_MAX`, and how many there are beyond.
pub fn changes(left: &Value<'_>, right: &Value<'_>) -> (Vec<Change>, usize) {
    let mut walk = Walk { changes: Vec::new(), more: 0, path: String::new() };
    walk.value(left, right, 0);
    (walk.changes, walk.more)
}

struct Walk {
    changes: Vec<Change>,
    more: usize,
    path: String,
}

impl Walk {
    fn value(&mut self, left: &Value<'_>, right: &Value<'_>, depth: usize) {
        if left.raw() == right.raw() {
            return;
        }
        match (left.kind, right.kind) {
            (Kind::Object, Kind::Object) if depth < DEPTH_MAX => self.members(left, right, depth),
            (Kind::Array, Kind::Array) if depth < DEPTH_MAX => self.elements(left, right, depth),
            (Kind::String, Kind::String) => {
                let (before, after) = (left.as_str(), right.as_str());
                if before != after {
                    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
                    let (before, after) = excerpts(&before, &after);
                    self.note(Some(before), Some(after), right.span.start);
                }
            }
            _ => self.note(Some(shown(left)), Some(shown(right)), right.span.start),
        }
    }

    fn note(&mut self, before: Option<String>, after: Option<String>, offset: usize) {
        if self.changes.len() >= CHANGES_MAX {
            self.more += 1;
            return;
        }
        let path = if self.path.is_empty() { "(all)".to_owned() } else { self.path.clone() };
        self.changes.push(Change { path, before, after, offset });
    }

    fn at(&mut self, step: &str, deeper: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        deeper(self);
        self.path.truncate(length);
    }

    fn members(&mut self, left: &Value<'_>, right: &Value<'_>, depth: usize) {
        let mut theirs: HashMap<String, Value<'_>> =
            right.members().map(|member| (member.key.into_owned(), member.value)).collect();
        for member in left.members() {
            match theirs.remove(&*member.key) {
                Some(their) => {
                    self.at(&member.key, |walk| walk.value(&member.value, &their, depth + 1));
                }
                None => self.at(&member.key, |walk| {
                    walk.note(Some(shown(&member.value)), None, member.value.span.start);
                }),
            }
        }
        // In the order of the body.
        for member in right.members() {
            if let Some(added) = theirs.remove(&*member.key) {
                self.at(&member.key, |walk| walk.note(None, Some(shown(&added)), added.span.start));
            }
        }
    }

    fn elements(&mut self, left: &Value<'_>, right: &Value<'_>, depth: usize) {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (left.elements().collect(), right.elements().collect());
        let raw = |value: &Value<'_>| blake3::hash(value.raw());
        let (our_hashes, their_hashes): (Vec<_>, Vec<_>) =
            (ours.iter().map(raw).collect(), theirs.iter().map(raw).collect());
        let mut removed = std::collections::VecDeque::new();
        let steps = align(&our_hashes, &their_hashes);
        for step in steps.into_iter().map(Some).chain([None]) {
            match step {
                Some(Step::Left(at)) => removed.push_back(at),
                // One went and one came at the same place: the element changed.
                Some(Step::Right(at)) => match removed.pop_front() {
                    Some(was) => {
                        if let (Some(our), Some(their)) = (ours.get(was), theirs.get(at)) {
                            self.at(&format!("[{at}]"), |walk| walk.value(our, their, depth + 1));
                        }
                    }
                    None => {
                        if let Some(their) = theirs.get(at) {
                            self.at(&format!("[{at}]"), |walk| {
                                walk.note(None, Some(shown(their)), their.span.start);
                            });
                        }
                    }
                },
                Some(Step::Same(..)) | None => {
                    for was in removed.drain(..) {
                        if let Some(our) = ours.get(was) {
                            self.at(&format!("[{was}]"), |walk| {
                                walk.note(Some(shown(our)), None, our.span.start);
                            });
                        }
                    }
                }
            }
        }
    }
}

fn shown(value: &Value<'_>) -> String {
    let raw = value.raw();
    let some = raw.get(..SHOWN_CHARS_MAX * 4).unwrap_or(raw);
    prose::line(&String::from_utf8_lossy(some), SHOWN_CHARS_MAX)
}

/// Two texts from where they begin to differ, quoted.
fn excerpts(before: &str, after: &str) -> (String, String) {
    let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let start = before.floor_char_boundary(same.saturating_sub(30));
    let lead = if start > 0 { "…" } else { "" };
    let excerpt = |text: &str| {
        let rest = text.get(text.floor_char_boundary(start)..).unwrap_or_default();
        format!("\"{lead}{}\"", prose::line(rest, SHOWN_CHARS_MAX))
    };
    (excerpt(before), excerpt(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(left: &str, right: &str) -> Vec<String> {
        match bodies(left.as_bytes(), right.as_bytes()) {
            Bodies::Changed { changes, .. } => changes
                .into_iter()
                .map(|change| {
                    let side = |text: Option<String>| text.unwrap_or_else(|| "∅".to_owned());
                    format!("{}: {} → {}", change.path, side(change.before), side(change.after))
                })
                .collect(),
            other => {
                vec![format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned()]
            }
        }
    }

    #[test]
    fn changes_are_told_by_path() {
        assert_eq!(
            listed(r#"{"model":"a","n":1}"#, r#"{"model":"b","n":1}"#),
            ["model: \"a\" → \"b\""]
        );
        assert_eq!(
            listed(r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"b":{"c":[1,3]},"d":true}"#),
            ["a: 1 → ∅", "b.c[1]: 2 → 3", "d: ∅ → true"]
        );
        assert_eq!(listed(r#"{"m":[1,2,3]}"#, r#"{"m":[1,3,4]}"#), ["m[1]: 2 → ∅", "m[2]: ∅ → 4"]);
        assert_eq!(listed(r#"{"a":1}"#, r#"{ "a" : 1 }"#), ["Rewritten"]);
        assert_eq!(listed(r#"{"a":1}"#, r#"{"a":1}"#), ["Same"]);
        assert_eq!(listed("abc", "abd"), ["Bytes"]);
        assert_eq!(listed("[1]", "{}"), ["(all): [1] → {}"]);
    }

    #[test]
    fn many_changes_are_counted() {
        let numbers = |from: usize| {
            let list: Vec<String> =
                (from..from + 500).map(|at| format!("\"k{at}\":{at}")).collect();
            format!("{{{}}}", list.join(","))
        };
        let Bodies::Changed { changes, more, .. } =
            bodies(numbers(0).as_bytes(), numbers(9_000).as_bytes())
        else {
            panic!("they differ")
        };
        assert_eq!((changes.len(), more), (CHANGES_MAX, 1_000 - CHANGES_MAX));
    }

    #[test]
    fn long_texts_are_shown_where_they_differ() {
        let (left, right) = ("é".repeat(500) + "left", "é".repeat(500) + "right");
        let (before, after) = excerpts(&left, &right);
        assert!(before.starts_with("\"…é") && before.ends_with("left\""), "{before}");
        assert!(after.ends_with("right\""));
    }
}
