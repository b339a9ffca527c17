//! Minimal edits of a request body on the verbatim path: only the spans named here change, every other byte stays.

use std::ops::Range;

use bytes::Bytes;

use crate::base::json::{self, JsonError, Kind, Value};
use crate::neutral::facts::Facts;
use crate::neutral::kind::Dialect;

/// One replacement or insertion. The list of an exchange's edits says all that was changed in its request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Range<usize>,
    /// What is written instead, its comma included where other members follow.
    pub with: Bytes,
    /// The field it is about, for the exchange.
    pub field: &'static str,
    /// An insertion into an empty object: a second one at the same place needs a comma between.
    pub into_empty: bool,
}

/// An edited body: slices of the original between the replacements, nothing copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    pub segments: Vec<Bytes>,
    /// Bytes of all segments, for `content-length`.
    pub len: usize,
}

/// Puts `name` in the place of every `model` the body has, or inserts one.
pub fn replace_model(facts: &Facts, name: &str) -> Vec<Edit> {
    let text = Bytes::from(quoted(name));
    let mut edits: Vec<Edit> = facts
        .model_others
        .iter()
        .chain(facts.model.as_ref().map(|found| &found.span))
        .map(|span| replacement(span.clone(), text.clone(), "model"))
        .collect();
    if edits.is_empty() {
        edits.push(insertion(facts.insert_at, facts.empty_object, "model", &text));
    }
    edits
}

/// Puts `name` in the place of a form field's value (`base::multipart`).
pub fn replace_form_model(span: Range<usize>, name: &str) -> Edit {
    replacement(span, Bytes::copy_from_slice(name.as_bytes()), "model")
}

/// Asks a chat stream for its usage: `stream_options.include_usage` becomes true. Nothing when it is true already.
pub fn set_include_usage(body: &[u8], facts: &Facts) -> Vec<Edit> {
    const FIELD: &str = "include_usage";
    if facts.include_usage == Some(true) {
        return Vec::new();
    }
    let Some(span) = &facts.stream_options else {
        return vec![insertion(
            facts.insert_at,
            facts.empty_object,
            "stream_options",
            br#"{"include_usage":true}"#,
        )];
    };
    match Value::at(body, span).filter(|options| options.kind == Kind::Object) {
        Some(options) => set_member(&options, FIELD, b"true"),
        // `null` and anything that is no object says nothing that could be kept.
        None => vec![replacement(
            span.clone(),
            Bytes::from_static(br#"{"include_usage":true}"#),
            "stream_options",
        )],
    }
}

/// Sets numeric parameters of a model selector (`temperature`, `top_p` …), named as the dialect names them, where the
/// dialect keeps them: at the top, or for Gemini in `generationConfig`.
pub fn set_numbers(
    dialect: Dialect,
    body: &[u8],
    numbers: &[(&'static str, f64)],
) -> Result<Vec<Edit>, JsonError> {
    let root = json::check(body)?;
    if numbers.is_empty() || root.kind != Kind::Object {
        return Ok(Vec::new());
    }
    let Some(home) = number_home(dialect) else {
        return Ok(set_in(&root, numbers));
    };
    Ok(match root.get(home) {
        Some(object) if object.kind == Kind::Object => set_in(&object, numbers),
        Some(other) => vec![replacement(other.span, Bytes::from(object_of(numbers)), home)],
        None => set_member(&root, home, &object_of(numbers)),
    })
}

/// The member that holds a dialect's numeric parameters, when it is not the body itself.
fn number_home(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::OpenAiChat
        | Dialect::OpenAiResponses
        | Dialect::OpenAiEmbeddings
        | Dialect::Anthropic => None,
        Dialect::Gemini => Some("generationConfig"),
    }
}

fn set_in(object: &Value<'_>, numbers: &[(&'static str, f64)]) -> Vec<Edit> {
    numbers
        .iter()
        .flat_map(|(field, number)| {
            let mut text = Vec::new();
            json::write_f64(&mut text, *number);
            set_member(object, field, &text)
        })
        .collect()
}

fn object_of(numbers: &[(&'static str, f64)]) -> Vec<u8> {
    let mut text = vec![b'{'];
    for (index, (field, number)) in numbers.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        json::write_string(&mut text, field);
        text.push(b':');
        json::write_f64(&mut text, *number);
    }
    text.push(b'}');
    text
}

/// Replaces the value of every member `field` of `object`, or inserts one.
fn set_member(object: &Value<'_>, field: &'static str, text: &[u8]) -> Vec<Edit> {
    let mut empty = true;
    let mut edits = Vec::new();
    for member in object.members() {
        empty = false;
        if member.key == field {
            let text = Bytes::copy_from_slice(text);
            edits.push(replacement(member.value.span, text, field));
        }
    }
    if edits.is_empty() {
        edits.push(insertion(object.span.start + 1, empty, field, text));
    }
    edits
}

fn replacement(span: Range<usize>, with: Bytes, field: &'static str) -> Edit {
    Edit { span, with, field, into_empty: false }
}

fn insertion(at: usize, into_empty: bool, field: &'static str, value: &[u8]) -> Edit {
    let mut with = quoted(field);
    with.push(b':');
    with.extend_from_slice(value);
    if !into_empty {
        with.push(b',');
    }
    Edit { span: at..at, with: Bytes::from(with), field, into_empty }
}

fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    json::write_string(&mut out, text);
    out
}

/// Applies `edits` in the order of their places. Of two that overlap the later one is left out: it cannot come from the
/// functions above, and half a replacement would break the body.
pub fn apply(body: &Bytes, mut edits: Vec<Edit>) -> Edited {
    edits.sort_by_key(|edit| edit.span.start);
    let mut segments = Vec::with_capacity(edits.len() * 2 + 1);
    let mut copied = 0;
    let mut filled_empty_at = None;
    for edit in edits {
        let fits = edit.span.start >= copied && edit.span.end <= body.len();
        debug_assert!(fits, "edit of {} at {:?}", edit.field, edit.span);
        if !fits {
            continue;
        }
        segments.push(body.slice(copied..edit.span.start));
        if edit.into_empty && filled_empty_at.replace(edit.span.start) == Some(edit.span.start) {
            segments.push(Bytes::from_static(b","));
        }
        segments.push(edit.with);
        copied = edit.span.end;
    }
    segments.push(body.slice(copied..));
    segments.retain(|segment| !segment.is_empty());
    let len = segments.iter().map(Bytes::len).sum();
    Edited { segments, len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::arbitrary;
    use crate::dialect;
    use proptest::prelude::*;
    use serde_json::json;

    const NAME: &str = "other/\"model\"";

    /// Everything the gateway may do to one body.
    fn all_edits(dialect: Dialect, body: &[u8], facts: &Facts) -> Vec<Edit> {
        let mut edits =
            set_numbers(dialect, body, &[("temperature", 0.25), ("top_p", 1.0)]).unwrap();
        edits.extend(replace_model(facts, NAME));
        edits.extend(set_include_usage(body, facts));
        edits
    }

    /// Walks original and result side by side: outside the spans every byte must be the same.
    fn assert_rest_untouched(body: &[u8], edits: &[Edit], result: &[u8]) {
        let mut edits = edits.to_vec();
        edits.sort_by_key(|edit| edit.span.start);
        let (mut from, mut at) = (0, 0);
        for edit in &edits {
            let kept = &body[from..edit.span.start];
            assert!(result[at..].starts_with(kept), "before {}", edit.field);
            at += kept.len();
            // Between two members put into an empty object stands a comma of its own.
            at += usize::from(!result[at..].starts_with(&edit.with));
            assert!(result[at..].starts_with(&edit.with), "{}", edit.field);
            at += edit.with.len();
            from = edit.span.end;
        }
        assert_eq!(&result[at..], &body[from..]);
    }

    fn expected(dialect: Dialect, original: &serde_json::Value) -> serde_json::Value {
        let mut changed = original.clone();
        changed["model"] = json!(NAME);
        let home = if dialect == Dialect::Gemini {
            if !changed["generationConfig"].is_object() {
                changed["generationConfig"] = json!({});
            }
            &mut changed["generationConfig"]
        } else {
            &mut changed
        };
        home["temperature"] = json!(0.25);
        home["top_p"] = json!(1);
        if !changed["stream_options"].is_object() {
            changed["stream_options"] = json!({});
        }
        changed["stream_options"]["include_usage"] = json!(true);
        changed
    }

    proptest! {
        #[test]
        fn only_the_edited_fields_change(
            original in arbitrary::object(),
            layout in arbitrary::layout(),
            gemini in any::<bool>(),
        ) {
            let mut original = original;
            // A model that is no string is refused by peek, so it never comes to an edit.
            if original.get("model").is_some_and(|model| !model.is_null()) {
                original["model"] = json!("gpt-5");
            }
            let dialect = if gemini { Dialect::Gemini } else { Dialect::OpenAiChat };
            let body = Bytes::from(arbitrary::write(&original, &layout));
            let facts = dialect::peek(Dialect::OpenAiChat, &body).unwrap();
            let edits = all_edits(dialect, &body, &facts);
            let edited = apply(&body, edits.clone());
            let result = edited.segments.concat();
            prop_assert_eq!(edited.len, result.len());
            assert_rest_untouched(&body, &edits, &result);
            let parsed: serde_json::Value = serde_json::from_slice(&result).unwrap();
            // Read back from the body: `serde_json` may read a double one unit off what it wrote.
            let original = serde_json::from_slice(body.trim_ascii()).unwrap();
            prop_assert_eq!(parsed, expected(dialect, &original));
        }
    }

    fn check(body: &'static str, edits: impl Fn(&Facts) -> Vec<Edit>, expected: &str) {
        let bytes = Bytes::from_static(body.as_bytes());
        let facts = dialect::peek(Dialect::OpenAiChat, &bytes).unwrap();
        let edited = apply(&bytes, edits(&facts));
        let result = String::from_utf8(edited.segments.concat()).unwrap();
        assert_eq!(result, expected);
    }

    #[test]
    fn members_put_into_an_empty_object_are_joined_by_commas() {
        check(
            " { } ",
            |facts| all_edits(Dialect::OpenAiChat, b" { } ", facts),
            r#" {"temperature":0.25,"top_p":1,"model":"other/\"model\"","stream_options":{"include_usage":true} } "#,
        );
    }

    #[test]
    fn every_model_is_replaced() {
        check(
            r#"{"model":"a","x":{"model":"inner"},"model":null, "model" : "b"}"#,
            |facts| replace_model(facts, "c"),
            r#"{"model":"c","x":{"model":"inner"},"model":"c", "model" : "c"}"#,
        );
    }

    #[test]
    fn usage_that_is_asked_for_already_needs_no_edit() {
        let body = r#"{"stream_options":{"include_usage":true}}"#;
        check(body, |facts| set_include_usage(body.as_bytes(), facts), body);
    }

    #[test]
    fn unchanged_bytes_are_slices_of_the_original() {
        let body = Bytes::from_static(br#"{"model":"a","messages":[]}"#);
        let facts = dialect::peek(Dialect::OpenAiChat, &body).unwrap();
        let edited = apply(&body, replace_model(&facts, "b"));
        let places: Vec<usize> = edited
            .segments
            .iter()
            .filter(|segment| body.as_ptr_range().contains(&segment.as_ptr()))
            .map(Bytes::len)
            .collect();
        assert_eq!(places, [9, 15]);
        let untouched = apply(&body, Vec::new());
        assert_eq!(untouched.segments.len(), 1);
        assert_eq!(untouched.segments[0].as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_form_field_is_replaced_without_quotes() {
        let body = Bytes::from_static(b"...whisper-1...");
        let edited = apply(&body, vec![replace_form_model(3..12, "other")]);
        assert_eq!(edited.segments.concat(), b"...other...");
        assert_eq!(edited.len, 11);
    }
}
