//! What the writer removes by itself: bodies by age and by size, records by age, and the space of both. One short step at a
//! time, so that writing waits for none of them.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use crate::base::id::ExchangeId;
use crate::store::exported::EXPORTED_UPTO;
use crate::store::vault::{self, VaultError};
use crate::store::{erase, flags, retention};

/// Limit: exchanges whose bodies are removed in one step.
const BODIES: usize = 128;
/// Limit: exchanges looked at in one step.
const LOOKED: i64 = 1_024;
/// Rounds, one an hour, after which all exchanges are looked at again.
const ROUNDS: u32 = 24;

/// How long things are kept; `None`: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Bodies and headers of exchanges that began longer ago.
    pub bodies_age: Option<Duration>,
    /// Bytes of the file; past it the oldest bodies go.
    pub bytes_max: Option<u64>,
    /// Bodies go only once they were exported.
    pub require_export: bool,
    /// Records that began longer ago, with their bodies.
    pub records_age: Option<Duration>,
}

impl Bounds {
    /// Whether anything ever goes.
    pub fn are_set(&self) -> bool {
        self.bodies_age.is_some() || self.bytes_max.is_some() || self.records_age.is_some()
    }

    /// Zero retention: no body stays, pinned and not exported ones neither.
    pub fn keep_no_bodies(&self) -> bool {
        self.bodies_age == Some(Duration::ZERO) || self.records_age == Some(Duration::ZERO)
    }

    /// Bodies of exchanges that are older go: with their records at the latest.
    fn age_max(&self) -> Option<Duration> {
        self.bodies_age.into_iter().chain(self.records_age).min()
    }
}

/// Where the search for bodies that may go goes on, so that no step looks at the whole store. All before it has gone or is
/// to stay.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// By age: an exchange's id.
    id: [u8; 16],
    /// By size: an exchange's number.
    seq: i64,
    rounds: u32,
}

impl Cursor {
    /// There is nothing more to do for now.
    fn end_round(&mut self, bounds: &Bounds) {
        self.seq = 0;
        self.rounds += 1;
        // What was to stay may have been unpinned or exported, what is older may have been imported.
        if bounds.require_export || self.rounds.is_multiple_of(ROUNDS) {
            self.id = [0; 16];
        }
    }
}

/// Takes one step, one short transaction; true when there is more to do.
pub(super) fn step(
    connection: &mut Connection,
    bounds: &Bounds,
    cursor: &mut Cursor,
    now_us: u64,
) -> Result<bool, VaultError> {
    let more = erase::securely(connection, |connection| take(connection, bounds, cursor, now_us))?;
    if !more {
        cursor.end_round(bounds);
    }
    Ok(more)
}

fn take(
    connection: &mut Connection,
    bounds: &Bounds,
    cursor: &mut Cursor,
    now_us: u64,
) -> Result<bool, VaultError> {
    let before =
        |age: Duration| now_us.saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
    let exported = exported(connection, bounds)?;
    if bounds.keep_no_bodies() {
        let looked = by_number(connection, cursor, (i64::MAX, 0))?;
        if looked.remove(connection)? || vault::remove_rest(connection)? {
            return Ok(true);
        }
    } else if let Some(age) = bounds.age_max() {
        let looked = by_age(connection, cursor, before(age), exported)?;
        if looked.remove(connection)? {
            return Ok(true);
        }
    }
    if let Some(bytes_max) = bounds.bytes_max
        && used_bytes(connection)? > bytes_max
    {
        let looked = by_number(connection, cursor, (exported, flags::PINNED))?;
        if looked.remove(connection)? {
            return Ok(true);
        }
    }
    if let Some(age) = bounds.records_age
        && retention::delete(connection, before(age), exported, retention::RECORDS)? > 0
    {
        return Ok(true);
    }
    Ok(vault::give_back(connection)?)
}

/// The last exchange whose bodies may go.
fn exported(connection: &Connection, bounds: &Bounds) -> rusqlite::Result<i64> {
    if !bounds.require_export {
        return Ok(i64::MAX);
    }
    let sql = "SELECT value FROM facts WHERE name = ?";
    let upto = connection.prepare_cached(sql)?.query_row([EXPORTED_UPTO], |row| row.get(0));
    Ok(upto.optional()?.unwrap_or(i64::MIN))
}

/// What a look at some exchanges found.
#[derive(Debug, Default)]
struct Looked {
    /// Their bodies go.
    seqs: Vec<i64>,
    /// There are exchanges that were not looked at.
    more: bool,
}

impl Looked {
    /// True when there is more to do.
    fn remove(&self, connection: &mut Connection) -> Result<bool, VaultError> {
        if self.seqs.is_empty() {
            return Ok(self.more);
        }
        vault::prune_first(connection, &self.seqs)?;
        Ok(true)
    }
}

/// Exchanges that have bodies, may lose them and began before an instant, those that began first.
fn by_age(
    connection: &Connection,
    cursor: &mut Cursor,
    before_us: u64,
    upto: i64,
) -> rusqlite::Result<Looked> {
    let sql = "SELECT r.id, r.seq, r.flags & ?3 = 0 AND r.seq <= ?4 AND EXISTS
                   (SELECT 1 FROM bodies b WHERE b.seq = r.seq AND b.rest IS NOT NULL)
               FROM exchange_records r WHERE r.id > ?1 AND r.id < ?2 ORDER BY r.id LIMIT ?5";
    let mut oldest = connection.prepare_cached(sql)?;
    let floor = ExchangeId::floor(before_us);
    let mut rows = oldest.query((cursor.id, floor, flags::PINNED, upto, LOOKED))?;
    let (mut looked, mut count) = (Looked::default(), 0);
    while let Some(row) = rows.next()?
        && looked.seqs.len() < BODIES
    {
        count += 1;
        if row.get(2)? {
            looked.seqs.push(row.get(1)?);
        } else if looked.seqs.is_empty() {
            cursor.id = row.get(0)?;
        }
    }
    looked.more = count == LOOKED;
    Ok(looked)
}

/// Exchanges that have bodies and may lose them, whenever they began, those that ended first.
fn by_number(
    connection: &Connection,
    cursor: &mut Cursor,
    (upto, stays): (i64, i64),
) -> rusqlite::Result<Looked> {
    // Bodies whose record is gone belong to nobody.
    let sql = "SELECT b.seq, b.rest IS NOT NULL AND b.seq <= ?2 AND coalesce(r.flags, 0) & ?3 = 0
               FROM bodies b LEFT JOIN exchange_records r ON r.seq = b.seq
               WHERE b.seq > ?1 ORDER BY b.seq LIMIT ?4";
    let mut oldest = connection.prepare_cached(sql)?;
    let mut rows = oldest.query((cursor.seq, upto, stays, LOOKED))?;
    let (mut looked, mut count) = (Looked::default(), 0);
    while let Some(row) = rows.next()?
        && looked.seqs.len() < BODIES
    {
        count += 1;
        if row.get(1)? {
            looked.seqs.push(row.get(0)?);
        } else if looked.seqs.is_empty() {
            cursor.seq = row.get(0)?;
        }
    }
    looked.more = count == LOOKED;
    Ok(looked)
}

/// Bytes of the file's pages that hold something.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::capture::{BodyIn, Captured, Content};
    use crate::store::db;
    use crate::store::entry::Entry;
    use crate::store::exported;
    use crate::store::inbox::Limits;
    use crate::store::tests::{BASE_US, count, plain};
    use crate::store::vault::{NoClean, Vault};
    use crate::store::writer::Writer;

    /// Ten exchanges, a second apart, with bodies of about 4 KiB that cannot be made smaller; the third is pinned.
    fn stored(folder: &std::path::Path) -> Connection {
        let vault = Vault::new(Box::new(NoClean), None);
        let mut writer =
            Writer::start_with(folder, Limits::default(), Some(Box::new(vault))).unwrap();
        let entries = (0..10_u64).map(|n| {
            let mut noise = blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof();
            let mut bytes = vec![0; 4_096];
            noise.fill(&mut bytes);
            let mut captured = Captured::default();
            let content = Content { bytes: bytes.into(), ..Content::default() };
            captured.request.body = BodyIn::Content(content);
            let mut row = plain(n);
            let at_us = BASE_US + n * 1_000_000;
            row.id = ExchangeId::new(at_us).bytes();
            row.started_at_us = i64::try_from(at_us).unwrap();
            row.flags = if n == 2 { flags::PINNED } else { 0 };
            Entry { row, captured: Some(Box::new(captured)) }
        });
        writer.handle().put(entries.collect());
        writer.stop();
        db::open_writer(folder, db::BUSY).unwrap()
    }

    fn settle(connection: &mut Connection, bounds: &Bounds) {
        let mut steps = 0;
        let mut cursor = Cursor::default();
        while step(connection, bounds, &mut cursor, BASE_US + 10_000_000).unwrap() {
            steps += 1;
            assert!(steps < 1_000, "it comes to an end");
        }
    }

    fn bodies(connection: &Connection) -> Vec<i64> {
        let sql = "SELECT seq FROM bodies WHERE rest IS NOT NULL ORDER BY seq";
        let mut asked = connection.prepare(sql).unwrap();
        let seqs = asked.query_map([], |row| row.get(0)).unwrap();
        seqs.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn old_bodies_go_but_for_the_pinned_and_records_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = stored(folder.path());
        let age = Some(Duration::from_millis(4_500));
        settle(&mut connection, &Bounds { bodies_age: age, ..Bounds::default() });
        assert_eq!(bodies(&connection), [3, 7, 8, 9, 10]);
        assert_eq!(count(&connection, "exchange_records"), 10);
        let removed = format!("exchange_records WHERE flags & {} <> 0", flags::REMOVED);
        assert_eq!(count(&connection, &removed), 5);
        settle(&mut connection, &Bounds { records_age: age, ..Bounds::default() });
        assert_eq!(count(&connection, "exchange_records"), 5, "the pinned one and the young ones");
    }

    #[test]
    fn beyond_a_size_the_oldest_bodies_go_and_the_file_shrinks() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = stored(folder.path());
        let before = used_bytes(&connection).unwrap();
        let bytes_max = Some(before - 15_000);
        settle(&mut connection, &Bounds { bytes_max, ..Bounds::default() });
        let after = used_bytes(&connection).unwrap();
        assert!(after <= before - 15_000, "{before} {after}");
        assert!(bodies(&connection).contains(&3), "pinned");
        let free: i64 =
            connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
        assert_eq!(free, 0, "given back");
    }

    #[test]
    fn a_search_goes_on_where_it_was_and_begins_again_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = stored(folder.path());
        let bounds = Bounds { bodies_age: Some(Duration::from_secs(3)), ..Bounds::default() };
        let mut cursor = Cursor::default();
        let mut round = |connection: &mut Connection| {
            while step(connection, &bounds, &mut cursor, BASE_US + 9_000_000).unwrap() {}
            bodies(connection)
        };
        assert_eq!(round(&mut connection), [3, 7, 8, 9, 10]);
        let unpin = "UPDATE exchange_records SET flags = flags & ~?1";
        connection.execute(unpin, [flags::PINNED]).unwrap();
        assert_eq!(round(&mut connection), [3, 7, 8, 9, 10], "it lies behind");
        for _ in 0..ROUNDS {
            round(&mut connection);
        }
        assert_eq!(round(&mut connection), [7, 8, 9, 10]);
    }

    #[test]
    fn zero_retention_takes_all_bodies_whatever_speaks_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = stored(folder.path());
        connection.execute("INSERT INTO links (needs, seq) VALUES (1, 99)", []).unwrap();
        let age = Some(Duration::ZERO);
        // Also those that seem to have begun later than now.
        let bounds = Bounds { bodies_age: age, require_export: true, ..Bounds::default() };
        let mut cursor = Cursor::default();
        while step(&mut connection, &bounds, &mut cursor, BASE_US).unwrap() {}
        for table in ["bodies", "links", "dictionaries"] {
            assert_eq!(count(&connection, table), 0, "{table}");
        }
        assert_eq!(count(&connection, "exchange_records"), 10);
    }

    #[test]
    fn what_was_not_exported_stays_whatever_its_age() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = stored(folder.path());
        let age = Some(Duration::from_millis(1));
        let bounds = Bounds { bodies_age: age, require_export: true, ..Bounds::default() };
        settle(&mut connection, &bounds);
        assert_eq!(bodies(&connection).len(), 10);
        let records = Bounds { records_age: age, bodies_age: None, ..bounds };
        settle(&mut connection, &records);
        assert_eq!(count(&connection, "exchange_records"), 10, "nor does its record go");
        exported::mark(folder.path(), 4).unwrap();
        settle(&mut connection, &bounds);
        assert_eq!(bodies(&connection), [3, 5, 6, 7, 8, 9, 10]);
    }
}
