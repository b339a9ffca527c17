//! Where finished exchanges go, and in which order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::exchange::Exchange;
use crate::exchange::leg::Keep;
use crate::exchange::summary::Account;
use crate::observe::awaited::Awaited;

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
pub struct Sinks {
    list: Vec<Box<dyn Sink>>,
    /// What the digest waits for, and the store keeps.
    awaited: Arc<Awaited>,
}

impl Sinks {
    #[must_use]
    pub fn with(mut self, sink: Box<dyn Sink>) -> Self {
        self.list.push(sink);
        self
    }

    /// Adds a sink that sees each batch before all others.
    #[must_use]
    pub fn first(mut self, sink: Box<dyn Sink>) -> Self {
        self.list.insert(0, sink);
        self
    }

    /// The answers whose usage comes later.
    pub fn awaited(&self) -> &Arc<Awaited> {
        &self.awaited
    }

    /// The most that any sink wants.
    pub(crate) fn keep(&self) -> Keep {
        self.list.iter().map(|sink| sink.wants()).max().unwrap_or_default()
    }

    /// Gives the batch to each; a defect of one must not end the others' work. Says how many exchanges went unseen.
    pub(crate) fn take(&mut self, batch: &[Box<Exchange>], dropped: u64) -> u64 {
        let mut unseen = 0;
        for sink in &mut self.list {
            if catch_unwind(AssertUnwindSafe(|| sink.take(batch, dropped))).is_err() {
                tracing::error!(
                    count = batch.len(),
                    "a sink failed; these exchanges are missing from it"
                );
                unseen += batch.len() as u64;
            }
        }
        unseen
    }

    pub(crate) fn account(&mut self, accounts: &[Account]) {
        for sink in &mut self.list {
            sink.account(accounts);
        }
    }

    pub(crate) fn flush(&mut self) {
        for sink in &mut self.list {
            sink.flush();
        }
    }
}
