//! A first look at a chat or legacy completion request.

use crate::dialect::sight::{self, PeekError};
use crate::neutral::facts::Facts;

pub(crate) fn peek(body: &[u8]) -> Result<Facts, PeekError> {
    sight::walk(body, |facts, member| {
        match &*member.key {
            "model" => sight::read_model(facts, &member)?,
            "stream" => facts.stream = member.value.as_bool(),
            "stream_options" => {
                let include_usage = member.value.get("include_usage");
                facts.include_usage = include_usage.and_then(|value| value.as_bool());
                facts.stream_options = Some(member.value.span);
            }
            "temperature" => facts.temperature = Some(member.value.span),
            _ => {}
        }
        Ok(())
    })
}
