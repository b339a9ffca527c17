//! Where finished exchanges go, and in which order.

use crate::exchange::Exchange;
use crate::exchange::leg::Keep;
use crate::exchange::summary::Account;

/// Takes finished exchanges, in batches, on the worker thread.
pub trait Sink: Send {
    /// How much of an exchange's legs it wants kept.
    fn wants(&self) -> Keep {
        Keep::Numbers
    }

    /// `dropped` counts exchanges that found the queue full, since the start.
    fn take(&mut self, batch: &[Box<Exchange>], dropped: u64);
    /// Takes what exchanges cost whose records were lost. They are in no batch.
    fn account(&mut self, _accounts: &[Account]) {}
    /// Called once, after the last batch.
    fn flush(&mut self) {}
}

/// The list. Order: ledger, telemetry, store, live tail, log; this version has the store, the log, and what tests add.
#[derive(Default)]
pub struct Sinks(Vec<Box<dyn Sink>>);

impl Sinks {
    #[must_use]
    pub fn with(mut self, sink: Box<dyn Sink>) -> Self {
        self.0.push(sink);
        self
    }

    /// Adds a sink that sees each batch before all others.
    #[must_use]
    pub fn first(mut self, sink: Box<dyn Sink>) -> Self {
        self.0.insert(0, sink);
        self
    }

    /// The most that any sink wants.
    pub(crate) fn keep(&self) -> Keep {
        self.0.iter().map(|sink| sink.wants()).max().unwrap_or_default()
    }

    pub(crate) fn take(&mut self, batch: &[Box<Exchange>], dropped: u64) {
        for sink in &mut self.0 {
            sink.take(batch, dropped);
        }
    }

    pub(crate) fn account(&mut self, accounts: &[Account]) {
        for sink in &mut self.0 {
            sink.account(accounts);
        }
    }

    pub(crate) fn flush(&mut self) {
        for sink in &mut self.0 {
            sink.flush();
        }
    }
}
