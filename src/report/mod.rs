//! Reports: what was asked, and the answer as a table, JSON or CSV. Shared by the command line and the operations API.

pub mod ask;
pub mod formats;
pub mod reprice;
pub mod usage;
