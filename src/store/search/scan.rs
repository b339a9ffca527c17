//! The words of stored bodies, read from the bodies themselves: for the index, and in its place where there is none.

use bytes::Bytes;
use rusqlite::Connection;

use crate::base::coding;
use crate::dialect::texts::Texts;
use crate::store::search::SCANNED_MAX;
use crate::store::search::sought::Sought;
use crate::store::vault::Shelf;

/// Limit: bytes of a body after its coding is undone.
const CLEAR_BYTES_MAX: usize = 16 << 20;
/// Limit: bytes of words of one exchange when there is no index.
const WORDS_MAX: usize = 256 * 1024;

/// What an exchange brought, as words. `None`: nothing that can be read.
pub(super) type Read = Box<dyn FnMut(&Connection, i64, usize) -> Option<String> + Send>;

/// What the indexer reads with.
pub(super) fn reader() -> Read {
    let mut shelf = Shelf::default();
    Box::new(move |store, seq, bytes_max| words(&mut shelf, store, seq, bytes_max))
}

/// The newest exchanges after `after` that brought these words; only so many are read.
pub(in crate::store) fn scan(
    store: &Connection,
    shelf: &mut Shelf,
    sought: &Sought,
    after: i64,
) -> rusqlite::Result<Vec<i64>> {
    let sql = format!("SELECT seq FROM bodies WHERE seq > ? ORDER BY seq DESC LIMIT {SCANNED_MAX}");
    let mut statement = store.prepare_cached(&sql)?;
    let mut rows = statement.query([after])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        let words = words(shelf, store, seq, WORDS_MAX);
        if words.is_some_and(|words| sought.is_in(&words)) {
            found.push(seq);
        }
    }
    Ok(found)
}

/// `None`: nothing is kept, or it cannot be read; `captures verify` tells about that.
fn words(shelf: &mut Shelf, store: &Connection, seq: i64, bytes_max: usize) -> Option<String> {
    let fresh = match shelf.fresh(store, seq) {
        Ok(fresh) => fresh?,
        Err(error) => {
            tracing::debug!(%error, "texts of an exchange are not searched");
            return None;
        }
    };
    let mut texts = Texts::new(bytes_max);
    for part in &fresh.parts {
        texts.add_part(part);
    }
    for (bytes, coding) in fresh.wholes {
        match coding {
            None => texts.add_body(&bytes),
            Some(coding) => texts.add_body(&clear(bytes, &coding)),
        }
    }
    Some(texts.into_words())
}

/// The coding undone; of a body that was cut, as much of the beginning as can be read.
fn clear(bytes: Vec<u8>, coding: &str) -> Vec<u8> {
    let bytes = Bytes::from(bytes);
    match coding::decode(coding, &bytes, CLEAR_BYTES_MAX) {
        Ok(clear) => clear.to_vec(),
        Err(coding::CodingError::Unsupported { .. }) => Vec::new(),
        Err(_) => coding::beginning(coding, &bytes, CLEAR_BYTES_MAX),
    }
}
