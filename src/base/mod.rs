//! Ground: knows nothing of LLMs or HTTP servers.

pub mod clock;
pub mod id;
pub mod secret;
pub mod task;
