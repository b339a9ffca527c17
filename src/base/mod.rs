//! Ground: knows nothing of LLMs or HTTP servers.

pub mod clock;
pub mod id;
pub mod json;
pub mod secret;
pub mod sse;
pub mod task;
