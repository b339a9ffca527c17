//! Costs worked out by hand, names that lead to prices, lists that are refused, and what holds for every usage.

mod costs;
mod hostile;
mod layers;
mod names;

use crate::neutral::usage::Usage;
use crate::price::lists::Lists;

/// Usage of so many tokens in and out.
fn tokens(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

/// The row that a name leads to on the shipped lists.
fn row(basis: &str, model: &str) -> Option<String> {
    Lists::shipped().find(basis, model).map(|found| found.basis)
}
