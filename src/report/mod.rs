//! Reports: what was asked, and the answer as a table, JSON or CSV. Shared by the command line and the operations API.

pub mod around;
pub mod ask;
pub mod diagnose;
pub mod diff;
pub mod exchange;
pub mod exchange_json;
#[cfg(test)]
pub(crate) mod fixture;
pub mod formats;
pub mod look;
pub mod material;
pub mod overview;
pub mod prose;
pub mod replay;
pub mod reprice;
pub mod usage;
pub mod words;
