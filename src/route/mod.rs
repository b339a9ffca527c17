//! Which provider serves a call, decided purely from configuration and facts. No I/O, no clock.

pub mod rules;
pub mod selector;
pub mod table;
