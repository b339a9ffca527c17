//! OpenAI embeddings: one request, one answer, no stream; errors have the shape of chat.

pub mod peek;
pub(crate) mod read;
