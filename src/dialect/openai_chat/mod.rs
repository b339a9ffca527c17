//! OpenAI chat completions, and the legacy completions that share their envelope.

pub(crate) mod calls;
pub mod error;
pub mod messages;
pub mod peek;
pub(crate) mod read;
pub mod stream;
pub mod usage_filter;
