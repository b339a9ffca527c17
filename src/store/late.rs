//! Tokens and cost without records: of exchanges whose records were lost, which count all the same. They go into the
//! roll-ups, under the hour in which they became known; whose they were and in which session is lost.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::exchange::summary::Account;
use crate::neutral::usage::UsageSource;
use crate::store::rollup::{Batch, Measure, Place, Sums, add_tokens, hour_of};
use crate::store::row::int;
use crate::store::text::fit_shared;

/// What is on its way to the roll-ups: one account an hour, provider and model, so that waiting takes no more room.
#[derive(Debug, Clone, Default)]
pub struct Late(HashMap<(i64, Arc<str>, Arc<str>), Account>);

impl Late {
    /// Adds what became known at the instant `at_us`.
    pub fn add(&mut self, at_us: i64, account: &Account) {
        let names = (fit_shared(&account.provider), fit_shared(&account.model_label));
        self.merge(hour_of(at_us), names, account);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take_up(&mut self, other: Self) {
        for ((start_s, provider, model), account) in other.0 {
            self.merge(start_s, (provider, model), &account);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn merge(&mut self, start_s: i64, (provider, model): (Arc<str>, Arc<str>), account: &Account) {
        let known = self.0.entry((start_s, provider, model));
        known
            .or_insert_with(|| Account::new(&account.provider, &account.model_label))
            .plus(account);
    }

    /// Adds to the tables, inside the caller's transaction.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut batch = Batch::default();
        for ((start_s, provider, model), account) in &self.0 {
            let place = Place { start_s: *start_s, ..Place::default() };
            batch.correct(&place, provider, model, &sums_of(account));
        }
        batch.write(connection)
    }
}

fn sums_of(account: &Account) -> Sums {
    let mut sums = Sums::default();
    add_tokens(&mut sums, UsageSource::Provider, &account.told);
    add_tokens(&mut sums, UsageSource::Estimated, &account.estimated);
    sums.add(Measure::Attempts, int(account.answers));
    sums.add(Measure::Cost, account.cost.0);
    sums
}
