//! What an exchange brought that no earlier one had: what full-text search has to read, and no more.

use rusqlite::{Connection, OptionalExtension};

use crate::store::vault::content::Form;
use crate::store::vault::rest::{At, LegRead, RestRead};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::{Part, VaultError};

/// New content of one exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Parts of its requests, as they stand in the bodies; base64 data is not among them.
    pub parts: Vec<Vec<u8>>,
    /// Whole bodies, each with the coding that it is in.
    pub wholes: Vec<(Vec<u8>, Option<String>)>,
}

impl Shelf {
    /// What the exchange `seq` brought; `None`: nothing is kept of it.
    pub fn fresh(
        &mut self,
        connection: &Connection,
        seq: i64,
    ) -> Result<Option<Fresh>, VaultError> {
        let damaged = |reason| VaultError::Damaged { seq, reason };
        let sql = "SELECT content IS NOT NULL, rest_dictionary, rest FROM bodies WHERE seq = ?1";
        let row = connection
            .prepare_cached(sql)?
            .query_row([seq], |row| {
                let rest = (row.get::<_, Option<i64>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?);
                Ok((row.get::<_, bool>(0)?, rest))
            })
            .optional()?;
        let Some((has_content, rest)) = row else { return Ok(None) };
        // Content without a rest is kept for others: its own exchange is gone.
        let (Some(id), Some(blob)) = rest else { return Ok(None) };
        let mut fresh = Fresh::default();
        if has_content {
            let content = self.content(connection, seq)?;
            let texts = content.segments().filter(|(_, form)| *form == Form::Text);
            fresh.parts.extend(texts.map(|(bytes, _)| bytes.to_vec()));
        }
        let plain = self.open(connection, &blob, id, (seq, Part::Rest)).map_err(damaged)?;
        let rest = RestRead::parse(&plain).map_err(damaged)?;
        let mut whole = |leg: LegRead<'_>| {
            if let At::Whole(told, bytes) = leg.body {
                fresh.wholes.push((bytes.to_vec(), told.coding));
            }
        };
        whole(rest.request);
        for attempt in rest.attempts {
            whole(attempt.request);
            whole(attempt.response);
        }
        whole(rest.response);
        Ok(Some(fresh))
    }
}
