//! A first look at a messages or count_tokens request.

use crate::dialect::sight::{self, PeekError};
use crate::neutral::facts::Facts;

pub(crate) fn peek(body: &[u8]) -> Result<Facts, PeekError> {
    sight::walk(body, |facts, member| {
        match &*member.key {
            "model" => sight::read_model(facts, &member)?,
            "stream" => facts.stream = member.value.as_bool(),
            "temperature" => facts.temperature = Some(member.value.span),
            _ => {}
        }
        Ok(())
    })
}
