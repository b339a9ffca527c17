//! A first look at a Gemini request: its structure, and where the temperature stands. The model and whether the answer
//! streams are told by the path.

use crate::dialect::sight::{self, PeekError};
use crate::neutral::facts::Facts;

pub(crate) fn peek(body: &[u8]) -> Result<Facts, PeekError> {
    sight::walk(body, |facts, member| {
        if member.key == "generationConfig" {
            facts.temperature = member.value.get("temperature").map(|value| value.span);
        }
        Ok(())
    })
}
