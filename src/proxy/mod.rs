//! The data path, in the order a request takes it.

pub mod answer;
pub mod attempt;
mod begin;
mod boundary;
pub mod catalogue;
pub mod cors;
pub mod discovery;
pub mod early;
pub mod endpoint;
pub mod explain;
pub mod gather;
pub mod headers;
pub mod ids;
pub mod info;
pub mod intake;
mod late;
pub mod notice;
pub mod pipeline;
pub mod places;
pub mod refusal;
pub mod relay;
pub mod reply;
pub mod server;
pub mod socket;
pub mod state;
mod tail;
