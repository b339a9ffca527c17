//! The map of Pinhole. Modules in reading order, lowest layer first; imports go down only (`tests/tidy.rs` holds the table).

// 0 ground
pub mod base;
pub mod neutral;
// 1 language
pub mod dialect;
// 4 servers
pub mod simulate;
