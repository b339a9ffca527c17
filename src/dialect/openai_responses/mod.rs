//! OpenAI responses.

pub mod error;
pub mod peek;
pub mod stream;
