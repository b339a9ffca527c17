//! Anthropic messages, and the counting of their tokens.

pub mod error;
pub mod peek;
pub(crate) mod read;
pub mod stream;
