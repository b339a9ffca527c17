//! The map of Pinhole. Modules in reading order, lowest layer first; imports go down only (`tests/tidy.rs` holds the table).

pub mod base;
pub mod neutral;
pub mod simulate;
