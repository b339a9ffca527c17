//! What becomes of an exchange that finds the queue full: its record is lost and counted, its tokens and cost are not.
//!
//! They are read at once, on the thread that would have queued it, and added up by provider and model; the sinks get the
//! sums with the next batch. Limit: the sums are as many as there are labels.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::id::ExchangeId;
use crate::exchange::Exchange;
use crate::exchange::summary::Account;
use crate::observe::digest::Digester;

/// Digests in a hurry and adds up.
pub struct Overflow {
    digester: Digester,
    /// Filled by whoever finds the queue full, emptied by the worker.
    accounts: Mutex<Accounts>,
    /// The same: those whose heads stand on disk, and are to be deleted. Limit: as many as may run at once between two
    /// batches.
    noted: Mutex<Vec<ExchangeId>>,
}

/// By provider and model label.
type Accounts = HashMap<(Arc<str>, Arc<str>), Account>;

impl Overflow {
    pub fn new(digester: Digester) -> Self {
        Self { digester: digester.hurried(), accounts: Mutex::default(), noted: Mutex::default() }
    }

    /// Adds up what `exchange` cost.
    pub fn add(&self, mut exchange: Box<Exchange>) {
        if exchange.seat.as_ref().is_some_and(|seat| seat.entry().is_written()) {
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(exchange.id);
        }
        // A copy each: threads that serve must not wait for each other here.
        let mut digester = self.digester.clone();
        if catch_unwind(AssertUnwindSafe(|| digester.digest(&mut exchange))).is_err() {
            return;
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        for (attempt, tally) in exchange.attempts.iter().zip(&exchange.summary.tallies) {
            let key = (Arc::clone(&attempt.provider), Arc::clone(&attempt.model_label));
            accounts
                .entry(key)
                .or_insert_with(|| Account::new(&attempt.provider, &attempt.model_label))
                .add(tally);
        }
    }

    /// Those that are lost and whose heads were written, since the last time.
    pub fn take_noted(&self) -> Vec<ExchangeId> {
        std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What came together since the last time.
    pub fn take(&self) -> Vec<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.drain().map(|(_, account)| account).collect()
    }
}
