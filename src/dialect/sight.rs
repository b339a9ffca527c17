//! What the dialects' `peek.rs` share: the walk over the body, and the fields that most of them have.

use crate::base::json::{self, JsonError, Kind, Member};
use crate::neutral::facts::{Facts, Found};
use crate::neutral::failure::{Code, Failure};

/// Why a body cannot be routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    #[error("the request body is not valid JSON: {0}; send a JSON object")]
    NotJson(#[from] JsonError),
    #[error("the request body is a JSON value but not an object; send a JSON object")]
    NotObject,
    #[error("`{field}` is not {wanted} (byte {at}); send {wanted}")]
    WrongType { field: &'static str, wanted: &'static str, at: usize },
}

impl PeekError {
    /// The refusal to answer with.
    pub fn failure(&self) -> Failure {
        match self {
            Self::NotJson(_) | Self::NotObject => Failure::new(Code::InvalidJson, self.to_string()),
            Self::WrongType { field, .. } => {
                Failure::new(Code::InvalidRequest, self.to_string()).param(field)
            }
        }
    }
}

/// Walks the whole body once, lets `read` pick fields from the top-level members, and fills in the insert position.
pub(crate) fn walk<'a>(
    body: &'a [u8],
    mut read: impl FnMut(&mut Facts, Member<'a>) -> Result<(), PeekError>,
) -> Result<Facts, PeekError> {
    let mut facts = Facts::default();
    let mut refused = None;
    let layout = json::each_member(body, |member| {
        if let Err(error) = read(&mut facts, member) {
            refused.get_or_insert(error);
        }
    })?;
    if layout.root.kind != Kind::Object {
        return Err(PeekError::NotObject);
    }
    if let Some(error) = refused {
        return Err(error);
    }
    facts.insert_at = layout.root.span.start + 1;
    facts.empty_object = layout.members == 0;
    Ok(facts)
}

/// Takes a `model` member. The last string wins; the others are kept as places, so that a replacement replaces all.
pub(crate) fn read_model(facts: &mut Facts, member: &Member<'_>) -> Result<(), PeekError> {
    let span = member.value.span.clone();
    if member.value.kind == Kind::Null {
        facts.model_others.push(span);
        return Ok(());
    }
    let Some(text) = member.value.as_str() else {
        return Err(PeekError::WrongType { field: "model", wanted: "a string", at: span.start });
    };
    let found = Found { text: text.into_owned(), span };
    if let Some(earlier) = facts.model.replace(found) {
        facts.model_others.push(earlier.span);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::dialect;
    use crate::neutral::kind::Dialect;

    fn check(body: &str, code: &str, param: Option<&str>, message: &str) {
        let failure = dialect::peek(Dialect::OpenAiChat, body.as_bytes()).unwrap_err().failure();
        assert_eq!(failure.code.label(), code, "{body}");
        assert_eq!(failure.param, param, "{body}");
        assert_eq!(failure.message, message, "{body}");
    }

    #[test]
    fn refusals_name_what_is_wrong_and_where() {
        check(
            r#"{"model":"a",}"#,
            "invalid_json",
            None,
            "the request body is not valid JSON: expected a key in quotes at byte 13; send a JSON object",
        );
        check(
            r#"["model"]"#,
            "invalid_json",
            None,
            "the request body is a JSON value but not an object; send a JSON object",
        );
        check(
            r#"{"model":5}"#,
            "invalid_request",
            Some("model"),
            "`model` is not a string (byte 9); send a string",
        );
    }

    #[test]
    fn a_broken_body_is_refused_as_such_even_when_the_model_is_wrong_too() {
        check(
            r#"{"model":5"#,
            "invalid_json",
            None,
            "the request body is not valid JSON: expected a comma or the end of the object or array at byte 10; send a JSON object",
        );
    }
}
