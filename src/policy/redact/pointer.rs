//! Places in JSON that the configuration points at: `/metadata/user_id`, `/messages/*/name`. The syntax is RFC 6901's, and
//! `*` is any element or member. What stands there is replaced whole, whatever it is.

use std::ops::Range;

use crate::base::json::{self, Kind, Value};

/// One pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    written: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Any,
    Key(String),
}

/// Limit: steps of a pointer.
const STEPS_MAX: usize = 32;

impl Pointer {
    /// Reads a pointer; the error says what is wrong with it.
    pub fn parse(written: &str) -> Result<Self, String> {
        let Some(rest) = written.strip_prefix('/') else {
            return Err("a pointer begins with `/`, as in /metadata/user_id".to_owned());
        };
        let steps: Vec<Step> = rest.split('/').map(step).collect::<Result<_, _>>()?;
        if steps.len() > STEPS_MAX {
            return Err(format!("it has more than {STEPS_MAX} steps"));
        }
        if steps.iter().all(|step| *step == Step::Any) {
            return Err("it points at everything; name a member".to_owned());
        }
        Ok(Self { written: written.to_owned(), steps })
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }
}

fn step(written: &str) -> Result<Step, String> {
    if written == "*" {
        return Ok(Step::Any);
    }
    let mut key = String::with_capacity(written.len());
    let mut letters = written.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("`~` is followed by 0 (for `~`) or 1 (for `/`)".to_owned()),
            },
            other => other,
        };
        key.push(plain);
    }
    Ok(Step::Key(key))
}

/// Where the values stand that the pointers point at, ascending and apart: the outer of two wins. Nothing in what is not
/// JSON.
pub(super) fn spans(pointers: &[Pointer], document: &[u8]) -> Vec<Range<usize>> {
    // A document that names none of the members is not walked through.
    let named = |pointer: &Pointer| {
        pointer.steps.iter().all(|step| match step {
            Step::Key(key)
                if key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') =>
            {
                memchr::memmem::find(document, key.as_bytes()).is_some()
            }
            _ => true,
        })
    };
    // A key may be written with escapes; then nothing can be told by looking for it.
    let escaped = memchr::memmem::find(document, b"\\u").is_some();
    let pointers: Vec<&[Step]> = pointers
        .iter()
        .filter(|pointer| escaped || named(pointer))
        .map(|pointer| pointer.steps.as_slice())
        .collect();
    if pointers.is_empty() {
        return Vec::new();
    }
    let Ok(root) = json::check(document) else { return Vec::new() };
    let mut found = Vec::new();
    visit(&root, &pointers, &mut found);
    found
}

/// The depth is that of the longest pointer, which is bounded.
fn visit(value: &Value<'_>, pointers: &[&[Step]], found: &mut Vec<Range<usize>>) {
    if pointers.iter().any(|steps| steps.is_empty()) {
        found.push(value.span.clone());
        return;
    }
    let rest = |takes: &dyn Fn(&Step) -> bool| -> Vec<&[Step]> {
        pointers
            .iter()
            .filter_map(|steps| steps.split_first())
            .filter(|(first, _)| takes(first))
            .map(|(_, rest)| rest)
            .collect()
    };
    match value.kind {
        Kind::Object => {
            for member in value.members() {
                let rest = rest(&|step| match step {
                    Step::Any => true,
                    Step::Key(key) => *key == member.key,
                });
                if !rest.is_empty() {
                    visit(&member.value, &rest, found);
                }
            }
        }
        Kind::Array => {
            for (index, element) in value.elements().enumerate() {
                let rest = rest(&|step| match step {
                    Step::Any => true,
                    Step::Key(key) => key.parse() == Ok(index),
                });
                if !rest.is_empty() {
                    visit(&element, &rest, found);
                }
            }
        }
        Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointed(pointers: &[&str], document: &str) -> Vec<String> {
        let pointers: Vec<Pointer> =
            pointers.iter().map(|written| Pointer::parse(written).unwrap()).collect();
        let spans = spans(&pointers, document.as_bytes());
        spans.into_iter().map(|span| document[span].to_owned()).collect()
    }

    #[test]
    fn values_are_found_whatever_they_are() {
        let document = r#"{"metadata":{"user_id":"u1","a/b":{"x":[1]}},"messages":[{"name":"n"},{"name":7},5]}"#;
        assert_eq!(pointed(&["/metadata/user_id"], document), [r#""u1""#]);
        assert_eq!(pointed(&["/metadata/a~1b"], document), [r#"{"x":[1]}"#]);
        assert_eq!(pointed(&["/messages/*/name"], document), [r#""n""#, "7"]);
        assert_eq!(
            pointed(&["/messages/1", "/messages/*/name"], document),
            [r#""n""#, r#"{"name":7}"#]
        );
        assert_eq!(pointed(&["/nothing", "/messages/name"], document), [""; 0]);
        assert_eq!(pointed(&["/metadata"], r#"{"metadata":1"#), [""; 0], "not JSON");
        assert_eq!(pointed(&["/user"], r#"{"\u0075ser":"x","user":"y"}"#), [r#""x""#, r#""y""#]);
    }

    #[test]
    fn bad_pointers_say_why() {
        for (written, why) in [
            ("metadata", "begins with `/`"),
            ("", "begins with `/`"),
            ("/a~2", "followed by 0"),
            ("/*/*", "everything"),
        ] {
            let error = Pointer::parse(written).unwrap_err();
            assert!(error.contains(why), "{written}: {error}");
        }
        assert!(Pointer::parse(&"/a".repeat(40)).is_err());
    }
}
