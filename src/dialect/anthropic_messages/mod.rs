//! Anthropic messages, and the counting of their tokens.

pub mod error;
pub mod messages;
pub mod peek;
pub mod stream;
