//! The map of Pinhole. Modules in reading order, lowest layer first; imports go down only (`tests/tidy.rs` holds the table).

// 0 ground
pub mod base;
pub mod neutral;
// 1 language
pub mod dialect;
pub mod exchange;
pub mod price;
// 2 parts
pub mod policy;
pub mod route;
pub mod store;
pub mod telemetry;
pub mod upstream;
// 3 assembly
pub mod config;
pub mod observe;
pub mod report;
// 4 servers
pub mod proxy;
pub mod simulate;
// 5 surfaces
pub mod admin;
pub mod tui;
// 6 shell
pub mod cli;
