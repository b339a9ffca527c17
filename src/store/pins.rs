//! Pins: exchanges that retention leaves alone, bodies and record.

use std::path::Path;

use rusqlite::{Transaction, TransactionBehavior};

use crate::store::flags;
use crate::store::labels::{self, LabelError, On};
use crate::store::zones::{self, Field};

/// Pins an exchange, or the exchanges that a session has now, or takes the pins off; how many were changed by that.
pub fn set(folder: &Path, on: &On, pinned: bool) -> Result<usize, LabelError> {
    let mut connection = labels::open(folder)?;
    let moment = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    labels::must_be_there(&moment, on)?;
    let wanted = if pinned { flags::PINNED } else { 0 };
    let seqs = changed(&moment, on, wanted)?;
    {
        let sql = "UPDATE exchange_records SET flags = (flags & ~?2) | ?3 WHERE seq = ?1";
        let mut update = moment.prepare_cached(sql)?;
        for seq in &seqs {
            update.execute((seq, flags::PINNED, wanted))?;
            // A zone that says too much does no harm: taking a pin off leaves it.
            if pinned {
                zones::add(&moment, *seq, Field::Flag, &flags::PINNED)?;
            }
        }
    }
    moment.commit()?;
    Ok(seqs.len())
}

fn changed(moment: &Transaction<'_>, on: &On, wanted: i64) -> rusqlite::Result<Vec<i64>> {
    let (which, id, name) = match on {
        On::Exchange(id) => ("id = ?1", Some(id.bytes()), None),
        On::Session(name) => {
            ("session = (SELECT id FROM sessions WHERE name = ?2)", None, Some(name))
        }
    };
    let sql = format!(
        "SELECT seq FROM exchange_records WHERE (?1 IS NOT NULL OR ?2 IS NOT NULL) AND {which} \
         AND flags & ?3 <> ?4 ORDER BY seq"
    );
    let mut statement = moment.prepare(&sql)?;
    let seqs = statement.query_map((id, name, flags::PINNED, wanted), |row| row.get(0))?;
    seqs.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::id::ExchangeId;
    use crate::store::db;
    use crate::store::entry::Entry;
    use crate::store::inbox::Limits;
    use crate::store::query::Query;
    use crate::store::query::page::Page;
    use crate::store::reader::Reader;
    use crate::store::tests::{flushed, plain};
    use crate::store::writer::Writer;

    fn found(folder: &Path, text: &str) -> Vec<i64> {
        let query = Query::parse(text, 0).unwrap();
        let rows = Reader::open(folder).unwrap().list(&query, &Page::newest(100)).unwrap();
        rows.iter().map(|row| row.seq).collect()
    }

    #[test]
    fn pins_are_put_and_taken_off_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::start(folder.path(), Limits::default()).unwrap();
        let entries = (0..6).map(|n| {
            let mut row = plain(n);
            row.session = (n % 2 == 0).then(|| "work".to_owned());
            Entry { row, captured: None }
        });
        writer.handle().put(entries.collect::<Vec<_>>());
        flushed(writer.handle());
        assert!(found(folder.path(), "pinned:true").is_empty());
        let row = Reader::open(folder.path()).unwrap().list(&Query::all(), &Page::newest(1));
        let id = ExchangeId::parse(&row.unwrap()[0].id).unwrap();
        // The writer goes on beside it.
        assert_eq!(set(folder.path(), &On::Exchange(id), true).unwrap(), 1);
        assert_eq!(set(folder.path(), &On::Exchange(id), true).unwrap(), 0, "it is already");
        assert_eq!(found(folder.path(), "pinned:true"), [6]);
        assert_eq!(found(folder.path(), "-pinned:true"), [5, 4, 3, 2, 1]);
        let session = On::Session("work".to_owned());
        assert_eq!(set(folder.path(), &session, true).unwrap(), 3);
        assert_eq!(found(folder.path(), "pinned:true"), [6, 5, 3, 1]);
        assert_eq!(set(folder.path(), &On::Exchange(id), false).unwrap(), 1);
        assert_eq!(found(folder.path(), "pinned:true"), [5, 3, 1]);
        let nobody = On::Session("nobody".to_owned());
        assert!(matches!(set(folder.path(), &nobody, true), Err(LabelError::NoSession(_))));
        writer.stop();
        // Everything is far older than any bound; the pinned stay.
        let connection = &mut db::open_writer(folder.path(), db::BUSY).unwrap();
        while crate::store::retention::delete(connection, u64::MAX >> 13, i64::MAX, 100).unwrap()
            > 0
        {}
        assert_eq!(found(folder.path(), ""), [5, 3, 1]);
    }
}
