//! Gemini generateContent and its siblings: the model and the verb stand in the path, not in the body.

pub(crate) mod calls;
pub mod error;
pub mod messages;
pub mod peek;
pub(crate) mod read;
pub mod stream;
