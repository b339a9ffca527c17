//! The map of Pinhole. Modules in reading order, lowest layer first; imports go down only (`tests/tidy.rs` holds the table).

// 0 ground
pub mod base;
pub mod neutral;
// 2 parts
pub mod route;
pub mod upstream;
// 3 assembly
pub mod config;
