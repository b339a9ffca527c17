//! Reports: what was asked, and the answer as a table, JSON or CSV. Shared by the command line and the operations API.

pub mod ask;
pub mod diagnose;
pub mod diff;
pub mod exchange;
pub mod exchange_json;
pub mod formats;
pub mod ink;
pub mod look;
pub mod material;
pub mod reprice;
pub mod usage;
pub mod words;
