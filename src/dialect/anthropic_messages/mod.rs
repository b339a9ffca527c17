//! Anthropic messages, and the counting of their tokens.

pub(crate) mod calls;
pub mod error;
pub mod messages;
pub mod peek;
pub(crate) mod read;
pub mod stream;
