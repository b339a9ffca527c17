//! OpenAI responses.

pub mod error;
pub mod messages;
pub mod peek;
pub mod stream;
