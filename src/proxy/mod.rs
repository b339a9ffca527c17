//! The data path, in the order a request takes it.

pub mod server;
pub mod socket;
pub mod endpoint;
pub mod pipeline;
pub mod intake;
pub mod attempt;
pub mod relay;
pub mod headers;
pub mod reply;
pub mod catalogue;
pub mod info;
pub mod state;
pub mod discovery;
