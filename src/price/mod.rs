//! What tokens cost: price lists as data, looked up by provider and model, and the arithmetic over them. Pure: no file is
//! read here, no clock.
//!
//! ```text
//! catalog.json, a user's lists ─▶ Catalog ─┐ layered
//!                                          ▼
//! provider: basis, model_cost_map ──────▶ Book ── lookup(provider, model) ─▶ Priced ── cost(usage, tier) ─▶ Amount
//! ```

pub mod book;
pub mod catalog;
pub mod cost;
pub mod date;
pub mod decimal;
pub mod diff;
pub mod lists;
pub mod name;
pub mod rates;
pub mod read;
pub mod view;

#[cfg(test)]
mod tests;
