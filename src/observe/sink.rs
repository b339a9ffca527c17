//! Where finished exchanges go, and in which order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::base::id::ExchangeId;
use crate::exchange::Exchange;
use crate::exchange::leg::Keep;
use crate::exchange::room::Room;
use crate::exchange::summary::Account;
use crate::observe::awaited::Awaited;
use crate::observe::rules::RulesInForce;

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
    /// Told of exchanges whose records were lost, where something of them was written while they ran.
    fn lost(&mut self, _ids: &[ExchangeId]) {}
    /// Called once, after the last batch.
    fn flush(&mut self) {}
}

/// Limit: bytes kept of running exchanges and of those that wait to be written, unless the configuration says otherwise.
const ROOM_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The list. Order: ledger, telemetry, store, live tail, log; this version has the store, the log, and what tests add.
pub struct Sinks {
    list: Vec<Box<dyn Sink>>,
    /// What the digest waits for, and the store keeps.
    awaited: Arc<Awaited>,
    /// Memory for what is kept of exchanges until it is stored.
    room: Arc<Room>,
    /// What of an exchange the store wants.
    rules: Arc<RulesInForce>,
    /// There is somebody who keeps what the rules say.
    stores: bool,
}

impl Default for Sinks {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            awaited: Arc::default(),
            room: Room::new(ROOM_BYTES_MAX),
            rules: Arc::default(),
            stores: false,
        }
    }
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

    /// With another bound on memory.
    #[must_use]
    pub fn within(self, room: Arc<Room>) -> Self {
        Self { room, ..self }
    }

    /// With the rules by which the store keeps. Without them nothing is held for a store, whatever a later configuration
    /// says: there is none before the next start.
    #[must_use]
    pub fn keeping(self, rules: Arc<RulesInForce>) -> Self {
        Self { rules, stores: true, ..self }
    }

    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    pub fn rules(&self) -> &Arc<RulesInForce> {
        &self.rules
    }

    /// Whether there is a store that the rules are for.
    pub(crate) fn stores(&self) -> bool {
        self.stores
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

    pub(crate) fn lost(&mut self, ids: &[ExchangeId]) {
        for sink in &mut self.list {
            sink.lost(ids);
        }
    }

    pub(crate) fn flush(&mut self) {
        for sink in &mut self.list {
            sink.flush();
        }
    }
}
