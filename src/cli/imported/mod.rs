//! From a recording to what the store's writer takes, by the same reading as live traffic: tokens, times, finish reasons
//! and outcomes are those that the gateway would have found. What cannot be read of the bytes is what the recorder said.
//!
//! ```text
//!  Recording ─► Exchange ─► Digester ─► Row ◄── what the recorder alone knows
//!           └─► Captured (headers as ordered pairs, redacted; bodies; arrivals)
//! ```

mod exchange;
mod kept;
mod place;
mod row;
#[cfg(test)]
mod tests;
mod word;

use std::sync::Arc;

use pinhole_replay::recording::Recording;

use crate::exchange::Exchange;
use crate::exchange::room::Room;
use crate::observe::awaited::Awaited;
use crate::observe::digest::Digester;
use crate::observe::prices::PricesInForce;
use crate::observe::signals::Finder;
use crate::price::book::Book;
use crate::store::capture::Captured;
use crate::store::row::Row;

/// Limit: bytes of one exchange that are held for reading it.
const ROOM_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Turns recordings into records, one after the other.
pub struct Importer {
    digester: Digester,
    finder: Finder,
    room: Arc<Room>,
}

/// What goes into the store of one recording.
pub struct Imported {
    /// As it would have stood before the sinks; its summary is filled.
    pub exchange: Box<Exchange>,
    pub row: Row,
    pub captured: Captured,
}

impl Importer {
    /// `book` prices what the recorder did not.
    pub fn new(book: Arc<Book>) -> Self {
        Self {
            digester: Digester::new(Arc::new(Awaited::default()), PricesInForce::new(book)),
            finder: Finder::default(),
            room: Room::new(ROOM_BYTES_MAX),
        }
    }

    /// `Err`: the recording has no id that the store could keep.
    pub fn take(&mut self, mut recording: Recording, source: &str) -> Result<Imported, String> {
        mark(&mut recording, source);
        let place = place::of(&recording);
        let mut exchange = Box::new(exchange::of(&recording, &place, &self.room)?);
        self.digester.digest(&mut exchange);
        exchange::settle(&recording, &mut exchange);
        if recording.outcome.is_empty() {
            // Another program's: nobody has looked for a session or for what is odd.
            self.finder.find(&mut exchange);
        }
        let row = row::of(&recording, &exchange);
        let captured = kept::of(recording, &exchange);
        Ok(Imported { exchange, row, captured })
    }
}

/// The tag that says where it came from; that of the first import stays.
fn mark(recording: &mut Recording, source: &str) {
    if recording.tags.iter().all(|(name, _)| name != "imported") {
        recording.tags.push(("imported".to_owned(), source.to_owned()));
    }
}
