//! What is odd about an exchange: found once, when it has been read, and never acted on. `docs/signals.md` defines each.
//!
//! ```text
//!  sessions: place ─► of the request: duplicate, results of tools ─► of the answer: how it ended, calls ─► remember
//! ```

mod answer;
mod arguments;
mod duplicate;
mod history;
#[cfg(test)]
mod tests;

use crate::exchange::Exchange;
use crate::exchange::signal::Signal;
use crate::observe::sessions::Sessions;
use duplicate::Duplicates;

/// Finds sessions and signals. One for all exchanges: both come of what was seen before.
#[derive(Default)]
pub struct Finder {
    sessions: Sessions,
    duplicates: Duplicates,
}

impl Finder {
    /// Fills in the session and the signals. To be called once for each exchange, after its digest, in the order of ends.
    pub fn find(&mut self, exchange: &mut Exchange) {
        let placed = self.sessions.place(exchange);
        let mut signals = answer::signals(exchange);
        if exchange.summary.prefix_changed_at.is_some() {
            signals.add(Signal::PrefixChanged);
        }
        exchange.summary.duplicate_of = self.duplicates.earlier(exchange);
        if exchange.summary.duplicate_of.is_some() {
            signals.add(Signal::DuplicateOf);
        }
        history::read(exchange, &placed, self.sessions.results(&placed), &mut signals);
        let calls = answer::calls(exchange);
        let request = exchange.prompt.as_deref().unwrap_or_default();
        if calls.iter().any(|call| !arguments::fit(call, request)) {
            signals.add(Signal::InvalidToolArguments);
        }
        self.sessions.remember(exchange, &placed, &calls);
        exchange.summary.signals = signals;
    }
}
