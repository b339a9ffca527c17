//! Finished exchanges become metrics.

use std::sync::Arc;

use crate::exchange::Exchange;
use crate::exchange::summary::Account;
use crate::observe::sink::Sink;
use crate::telemetry::instruments::Telemetry;
use crate::telemetry::record::Meter;

/// Feeds the instruments.
pub struct MeterSink(Meter);

impl MeterSink {
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self(Meter::new(telemetry))
    }
}

impl Sink for MeterSink {
    // What the queue dropped is read from the queue at each scrape.
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        // A run's requests are no traffic: they would be in every rate, tail and bill.
        for exchange in batch.iter().filter(|exchange| exchange.replay.is_none()) {
            self.0.record(exchange);
        }
    }

    fn account(&mut self, accounts: &[Account]) {
        for account in accounts {
            self.0.account(account);
        }
    }
}
