//! A first look at an embeddings request.

use crate::dialect::sight::{self, PeekError};
use crate::neutral::facts::Facts;

pub(crate) fn peek(body: &[u8]) -> Result<Facts, PeekError> {
    sight::walk(body, |facts, member| match &*member.key {
        "model" => sight::read_model(facts, &member),
        _ => Ok(()),
    })
}
