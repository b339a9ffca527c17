//! What integration tests share.

pub mod raw;
