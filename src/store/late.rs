//! Tokens and cost without records: of exchanges whose records were lost, which count all the same. They go into the
//! roll-ups under the hour the exchange began in, or that in which they became known; in which session is lost.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::exchange::summary::Account;
use crate::neutral::usage::UsageSource;
use crate::store::rollup::{Batch, Counted, Measure, Place, Sums, add_tokens, hour_of, sums_of};
use crate::store::row::{Row, int};
use crate::store::text::fit_shared;

/// Whose it is: the hour, the provider, the model, the label of the gateway key.
type Owner = (i64, Arc<str>, Arc<str>, Arc<str>);

/// What is on its way to the roll-ups: one sum an owner, so that waiting takes no more room.
#[derive(Debug, Clone, Default)]
pub struct Late(HashMap<Owner, Sums>);

impl Late {
    /// Adds what became known at the instant `at_us`.
    pub fn add(&mut self, at_us: i64, account: &Account) {
        let (provider, model) = (fit_shared(&account.provider), fit_shared(&account.model_label));
        self.merge((hour_of(at_us), provider, model, "".into()), &sums_of_account(account));
    }

    /// Adds what an exchange took whose row is given up. Replays count nowhere.
    pub(super) fn add_row(&mut self, row: &Row) {
        if row.run_id.is_some() {
            return;
        }
        let key_label = row.key_label.clone().unwrap_or_default();
        for attempt in &row.attempts {
            let (provider, model) = (Arc::clone(&attempt.provider), attempt.model_label.clone());
            let owner = (hour_of(row.started_at_us), provider, model, Arc::clone(&key_label));
            self.merge(owner, &sums_of(&Counted::from(attempt)));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take_up(&mut self, other: Self) {
        for (owner, sums) in other.0 {
            self.merge(owner, &sums);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn merge(&mut self, owner: Owner, sums: &Sums) {
        self.0.entry(owner).or_default().plus(sums);
    }

    /// Adds to the tables, inside the caller's transaction.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut batch = Batch::default();
        for ((start_s, provider, model, key_label), sums) in &self.0 {
            let place = Place { start_s: *start_s, key_label, ..Place::default() };
            batch.correct(&place, provider, model, sums);
        }
        batch.write(connection)
    }
}

fn sums_of_account(account: &Account) -> Sums {
    let mut sums = Sums::default();
    add_tokens(&mut sums, UsageSource::Provider, &account.told);
    add_tokens(&mut sums, UsageSource::Estimated, &account.estimated);
    sums.add(Measure::Attempts, int(account.answers));
    sums.add(Measure::Cost, account.cost.0);
    sums
}
