//! Reports: what was asked, and the answer as a table, JSON or CSV. Shared by the command line and the operations API.

pub mod ask;
pub mod exchange;
pub mod look;
pub mod diagnose;
pub mod diff;
#[cfg(test)]
pub(crate) mod fixture;
pub mod ink;
pub mod material;
pub mod formats;
pub mod reprice;
pub mod usage;
pub mod words;
