//! The language every dialect is read into. No wire shapes, no I/O.

pub mod call;
pub mod facts;
pub mod failure;
pub mod kind;
pub mod message;
pub mod reading;
pub mod usage;
