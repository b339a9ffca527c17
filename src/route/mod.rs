//! Which provider serves a call, decided purely from configuration and facts.

pub mod rules;
