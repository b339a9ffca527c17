//! Everything the store has of one exchange, put together: its record, its attempts, its labels, and what was kept of
//! headers, bodies and times.

use crate::base::id::ExchangeId;
use crate::store::capture::Absent;
use crate::store::flags;
use crate::store::labels::{self, On};
use crate::store::listing;
use crate::store::reader::Reader;
use crate::store::stored::{Body, Label, Leg, Listed, Stored};
use crate::store::vault::{self, Legs, VaultError};

impl Reader {
    /// Everything there is of the exchange of this row.
    pub fn exchange(&self, row: Listed) -> Result<Stored, VaultError> {
        let attempts = listing::attempts(&self.connection, row.seq)?;
        let labels = self.labels_of(&row)?;
        let legs = self.shelf.borrow_mut().read(&self.connection, row.seq)?;
        self.put_together(Stored { row, attempts, labels, ..Stored::default() }, legs)
    }

    /// As [`Reader::exchange`], as much of it as can be read: what is damaged is named in `damage`.
    pub fn salvage(&self, row: Listed) -> Result<Stored, VaultError> {
        let attempts = listing::attempts(&self.connection, row.seq)?;
        let labels = self.labels_of(&row)?;
        let mut damage = Vec::new();
        let mut shelf = self.shelf.borrow_mut();
        let mut locked = false;
        let found = |part, reason: vault::Bad| {
            locked |= reason == vault::NO_KEY;
            damage.push((part, reason.to_string()));
        };
        let legs = match shelf.salvage(&self.connection, row.seq, found) {
            Err(VaultError::Damaged { reason, .. }) if reason != vault::NO_KEY => {
                damage.push(("everything kept of it".to_owned(), reason.to_string()));
                None
            }
            legs => legs?,
        };
        drop(shelf);
        if locked {
            // Nothing is broken: with the key all of it is there.
            return Err(VaultError::Damaged { seq: row.seq, reason: vault::NO_KEY });
        }
        let all = legs.is_none() && !damage.is_empty();
        let mut stored = Stored { row, attempts, labels, damage, ..Stored::default() };
        if all {
            nothing(&mut stored, Absent::Damaged);
            return Ok(stored);
        }
        self.put_together(stored, legs)
    }

    fn labels_of(&self, row: &Listed) -> Result<Vec<Label>, VaultError> {
        let Some(id) = ExchangeId::parse(&row.id) else { return Ok(Vec::new()) };
        let mut all = labels::of(&self.connection, &On::Exchange(id))?;
        if let Some(session) = &row.session_id {
            all.extend(labels::of(&self.connection, &On::Session(session.clone()))?);
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    fn put_together(&self, mut stored: Stored, legs: Option<Legs>) -> Result<Stored, VaultError> {
        match legs {
            Some(legs) => fill(&mut stored, legs),
            None => self.say_why(&mut stored)?,
        }
        if stored.row.capture_level == "full" {
            never_there(&mut stored);
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
        nothing(stored, why);
        Ok(())
    }
}

/// None of its bodies is there, for one reason.
fn nothing(stored: &mut Stored, why: Absent) {
    let absent = || Leg { body: Body::Absent(why), ..Leg::default() };
    stored.request = absent();
    stored.response = absent();
    for attempt in &mut stored.attempts {
        attempt.request = absent();
        attempt.response = absent();
    }
}

/// Where bodies were wanted, one that nobody let go was never there: refused before it was read, or never answered.
fn never_there(stored: &mut Stored) {
    let tried = stored.attempts.iter_mut().flat_map(|one| [&mut one.request, &mut one.response]);
    for leg in [&mut stored.request, &mut stored.response].into_iter().chain(tried) {
        if matches!(leg.body, Body::Absent(Absent::NotKept)) {
            leg.body = Body::Absent(Absent::Nothing);
        }
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
