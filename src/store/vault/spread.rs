//! Which exchanges are put together with certain segments: what full-text search follows from the exchange that first
//! brought a text to those that send it again.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::store::vault::VaultError;
use crate::store::vault::content::Form;
use crate::store::vault::index::Place;
use crate::store::vault::shelf::Shelf;

/// Segments that are looked for.
#[derive(Debug, Default)]
pub struct Segments(HashSet<Place>);

impl Segments {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Shelf {
    /// Adds to `found` the segments of text that the exchange `seq` brought and for which `wanted` says yes. True: there
    /// were any.
    pub fn segments_of(
        &mut self,
        connection: &Connection,
        seq: i64,
        found: &mut Segments,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, VaultError> {
        let sql = "SELECT 1 FROM bodies WHERE seq = ?1 AND content IS NOT NULL";
        if !connection.prepare_cached(sql)?.exists([seq])? {
            return Ok(false);
        }
        let content = self.content(connection, seq)?;
        let before = found.0.len();
        for (index, (bytes, form)) in (0..).zip(content.segments()) {
            if form == Form::Text && wanted(bytes) {
                found.0.insert(Place { seq, index });
            }
        }
        Ok(found.0.len() > before)
    }

    /// Whether a request of the exchange `seq` is put together with one of these segments.
    pub fn has_any_of(
        &mut self,
        connection: &Connection,
        seq: i64,
        wanted: &Segments,
    ) -> Result<bool, VaultError> {
        let content = self.content(connection, seq)?;
        for leg in &content.legs {
            let list = self.list(connection, seq, leg.leg)?;
            if list.places.iter().any(|place| wanted.0.contains(place)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
