//! That an exchange repeats another: made by a run, on purpose, and kept out of what is told of traffic.

use crate::base::id::ExchangeId;

/// Which run made an exchange, and what it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    pub run: ExchangeId,
    /// `None`: what is repeated was recorded elsewhere and has no exchange of ours.
    pub of: Option<ExchangeId>,
}
