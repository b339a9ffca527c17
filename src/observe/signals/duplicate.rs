//! The same request once more: a client that tries again.

use crate::base::fold::Fold;
use crate::base::id::ExchangeId;
use crate::base::recent::{Limit, Recent};
use crate::exchange::Exchange;
use crate::exchange::outcome::Outcome;

/// Later than this a request is a new one.
const WINDOW_US: u64 = 600 * 1_000_000;
/// Limit: requests remembered.
const REQUESTS: Limit = Limit { entries_max: 100_000, weight_max: usize::MAX, turn_us: WINDOW_US };

/// Requests of the last minutes, by their bytes.
pub(super) struct Duplicates(Recent<Earlier>);

#[derive(Debug, Clone, Copy)]
struct Earlier {
    /// The first of them: all later ones repeat it.
    first: ExchangeId,
    began_us: u64,
    /// Its client had no reason to try again.
    went_well: bool,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self(Recent::new(REQUESTS))
    }
}

impl Duplicates {
    /// The exchange that this one repeats: the same path, key and bytes, begun within ten minutes before, and not answered
    /// well. The same request after a good answer is somebody who wants another one.
    pub(super) fn earlier(&mut self, exchange: &Exchange) -> Option<ExchangeId> {
        let body = exchange.prompt.as_ref()?;
        let mut fold = Fold::default();
        fold.bytes(exchange.path.as_bytes());
        fold.bytes(exchange.key_label.as_deref().unwrap_or_default().as_bytes());
        fold.bytes(body);
        let key = fold.end();
        let began_us = exchange.wall_us;
        let earlier = self.0.get(key).copied().filter(|earlier| {
            let since_us = began_us.checked_sub(earlier.began_us);
            !earlier.went_well && since_us.is_some_and(|since_us| since_us <= WINDOW_US)
        });
        let first = earlier.map_or(exchange.id, |earlier| earlier.first);
        let now_us = began_us.saturating_add(exchange.ended_us);
        let known = Earlier { first, began_us, went_well: went_well(exchange) };
        self.0.put(key, known, 1, now_us);
        earlier.map(|earlier| earlier.first)
    }
}

/// The client got a whole answer, and the gateway had to ask once only.
fn went_well(exchange: &Exchange) -> bool {
    exchange.outcome == Outcome::Complete
        && exchange.status.is_some_and(|status| status.is_success())
        && exchange.attempts.len() <= 1
}
