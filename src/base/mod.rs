//! Ground: knows nothing of LLMs or HTTP servers.

pub mod aside;
pub mod clock;
pub mod coding;
pub mod fold;
pub mod glob;
pub mod headers;
pub mod id;
pub mod json;
pub mod money;
pub mod multipart;
pub mod near;
pub mod private;
pub mod recent;
pub mod secret;
pub mod sse;
pub mod task;
pub mod trace;
pub mod varint;
