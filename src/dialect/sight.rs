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
    WrongType {
        field: &'static str,
        wanted: &'static str,
        at: usize,
    },
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
        return Err(PeekError::WrongType {
            field: "model",
            wanted: "a string",
            at: span.start,
        });
    };
    let found = Found {
        text: text.into_owned(),
        span,
    };
    if let Some(earlier) = facts.model.replace(found) {
        facts.model_others.push(earlier.span);
    }
    Ok(())
}
