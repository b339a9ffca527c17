//! Everything the store has of one exchange, put together: its record, its attempts, its labels, and what was kept of
//! headers, bodies and times.

use crate::base::id::ExchangeId;
use crate::store::capture::Absent;
use crate::store::flags;
use crate::store::labels::{self, On};
use crate::store::listing;
use crate::store::reader::Reader;
use crate::store::stored::{Body, Leg, Listed, Stored};
use crate::store::vault::{Legs, VaultError};

impl Reader {
    /// Everything there is of the exchange of this row.
    pub fn exchange(&self, row: Listed) -> Result<Stored, VaultError> {
        let attempts = listing::attempts(&self.connection, row.seq)?;
        let labels = match ExchangeId::parse(&row.id) {
            Some(id) => labels::of(&self.connection, &On::Exchange(id))?,
            None => Vec::new(),
        };
        let legs = self.shelf.borrow_mut().read(&self.connection, row.seq)?;
        let mut stored = Stored { row, attempts, labels, ..Stored::default() };
        match legs {
            Some(legs) => fill(&mut stored, legs),
            None => self.say_why(&mut stored)?,
        }
        Ok(stored)
    }

    /// Nothing is kept of its bodies: because none were wanted, or because they are gone.
    fn say_why(&self, stored: &mut Stored) -> Result<(), VaultError> {
        let sql = "SELECT flags FROM exchange_records WHERE seq = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found: i64 = statement.query_row([stored.row.seq], |row| row.get(0))?;
        let why = if found & flags::REMOVED != 0 {
            Absent::Removed
        } else if found & flags::SHED != 0 {
            Absent::ShedQueue
        } else {
            return Ok(());
        };
        let absent = || Leg { body: Body::Absent(why), ..Leg::default() };
        stored.request = absent();
        stored.response = absent();
        for attempt in &mut stored.attempts {
            attempt.request = absent();
            attempt.response = absent();
        }
        Ok(())
    }
}

/// Attempts of which only the record or only the bodies are there stay as far as they are known.
fn fill(stored: &mut Stored, legs: Legs) {
    stored.request = legs.request;
    stored.response = legs.response;
    stored.response_frames = legs.response_frames;
    stored.response_untabled = legs.response_untabled;
    stored.attempts.resize_with(stored.attempts.len().max(legs.attempts.len()), Default::default);
    for (attempt, legs) in stored.attempts.iter_mut().zip(legs.attempts) {
        attempt.request = legs.request;
        attempt.response = legs.response;
        attempt.edits = legs.edits;
        attempt.frames = legs.frames;
        attempt.untabled = legs.untabled;
    }
}
