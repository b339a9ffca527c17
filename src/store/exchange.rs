//! Everything the store has of one exchange, put together: its record, its attempts, its labels, and what was kept of
//! headers, bodies and times.

use crate::base::id::ExchangeId;
use crate::store::labels::{self, On};
use crate::store::listing;
use crate::store::reader::{ReadError, Reader};
use crate::store::stored::{Listed, Stored};

impl Reader {
    /// Everything there is of the exchange of this row.
    pub fn exchange(&self, row: Listed) -> Result<Stored, ReadError> {
        let attempts = listing::attempts(&self.connection, row.seq)?;
        let labels = match ExchangeId::parse(&row.id) {
            Some(id) => labels::of(&self.connection, &On::Exchange(id))?,
            None => Vec::new(),
        };
        Ok(Stored { row, attempts, labels, ..Stored::default() })
    }
}
