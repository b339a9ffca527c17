//! What an exchange brought that no earlier one had: what full-text search has to read, and no more.

use rusqlite::{Connection, OptionalExtension};

use crate::store::vault::VaultError;
use crate::store::vault::content::Form;
use crate::store::vault::rest::At;
use crate::store::vault::shelf::Shelf;

/// New content of one exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Parts of its requests, as they stand in the bodies; base64 data is not among them.
    pub parts: Vec<Vec<u8>>,
    /// Whole bodies, each with the coding that it is in.
    pub wholes: Vec<(Vec<u8>, Option<String>)>,
}

impl Shelf {
    /// What the exchange `seq` brought; `None`: nothing is kept of it. When its own bodies are gone, that is the content
    /// which others are put together of.
    pub fn fresh(
        &mut self,
        connection: &Connection,
        seq: i64,
    ) -> Result<Option<Fresh>, VaultError> {
        let sql = "SELECT content IS NOT NULL FROM bodies WHERE seq = ?1";
        let has_content: Option<bool> =
            connection.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
        let has_content = has_content.unwrap_or_default();
        let mut rest = self.rest(connection, seq)?;
        if rest.is_none() && !has_content {
            return Ok(None);
        }
        let mut fresh = Fresh::default();
        for leg in rest.iter_mut().flat_map(|(rest, _)| rest.legs_mut()) {
            if let At::Whole(told, bytes) = &leg.body {
                fresh.wholes.push((bytes.to_vec(), told.coding.clone()));
            }
        }
        if has_content {
            let content = self.content(connection, seq)?;
            let texts = content.segments().filter(|(_, form)| *form == Form::Text);
            fresh.parts.extend(texts.map(|(bytes, _)| bytes.to_vec()));
        }
        Ok(Some(fresh))
    }
}
