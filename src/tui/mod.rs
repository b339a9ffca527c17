//! The terminal: a client of the operations API, whichever gateway serves it.
//!
//! ```text
//!  keys ─┐
//!  time ─┼─► Msg ─► State::update ─► Effect ─► worker threads ─► operations API
//!  size ─┤            │  (pure)                       │
//!        └── Answered ◄───────────────────────────────┘
//!                     │
//!                     └─► State::view (pure) ─► cells ─► the terminal, by difference
//! ```
//!
//! `state.rs` is where messages arrive, `screens/` has one file a screen, `keys.rs` the keys as data, `ask.rs` what can be
//! asked and `client.rs` how. Nothing but `client.rs`, `run.rs` and `terminal.rs` does I/O.

pub mod ask;
pub mod client;
pub mod common;
pub mod keys;
pub mod parts;
pub mod run;
pub mod screen;
pub mod screens;
pub mod state;
pub mod terminal;
pub mod theme;

#[cfg(test)]
mod tests;
