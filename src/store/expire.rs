//! What the writer removes by itself: bodies by age and by size, records by age, and the space of both. One short step at a
//! time, so that writing waits for none of them.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use crate::base::id::ExchangeId;
use crate::store::exported::EXPORTED_UPTO;
use crate::store::vault::{self, VaultError};
use crate::store::{flags, retention};

/// Limit: exchanges whose bodies are removed in one step.
const BODIES: i64 = 128;

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
}

/// Takes one step; true when there is more to do.
pub(super) fn step(
    connection: &mut Connection,
    bounds: &Bounds,
    now_us: u64,
) -> Result<bool, VaultError> {
    let before =
        |age: Duration| now_us.saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
    let exported = exported(connection, bounds)?;
    if let Some(age) = bounds.bodies_age {
        let seqs = old_bodies(connection, Some(before(age)), exported)?;
        if !seqs.is_empty() {
            vault::prune(connection, &seqs)?;
            return Ok(true);
        }
    }
    if let Some(bytes_max) = bounds.bytes_max
        && used_bytes(connection)? > bytes_max
    {
        let seqs = old_bodies(connection, None, exported)?;
        if !seqs.is_empty() {
            vault::prune(connection, &seqs)?;
            return Ok(true);
        }
    }
    if let Some(age) = bounds.records_age {
        // A record takes its bodies along; what was not exported keeps both.
        let seqs = old_bodies(connection, Some(before(age)), exported)?;
        if !seqs.is_empty() {
            vault::prune(connection, &seqs)?;
            return Ok(true);
        }
        if retention::delete(connection, before(age), exported, retention::RECORDS)? > 0 {
            return Ok(true);
        }
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

/// The oldest exchanges that have bodies and are not pinned; those that began before an instant, or any.
fn old_bodies(
    connection: &Connection,
    before_us: Option<u64>,
    upto: i64,
) -> rusqlite::Result<Vec<i64>> {
    let floor = before_us.map_or([0xFF; 16], ExchangeId::floor);
    // Bodies whose record is gone belong to nobody.
    let sql = "SELECT b.seq FROM bodies b LEFT JOIN exchange_records r ON r.seq = b.seq
               WHERE b.rest IS NOT NULL AND b.seq <= ?1 AND coalesce(r.id < ?2, 1)
               AND coalesce(r.flags, 0) & ?3 = 0
               ORDER BY b.seq LIMIT ?4";
    let mut oldest = connection.prepare_cached(sql)?;
    let seqs = oldest.query_map((upto, floor, flags::PINNED, BODIES), |row| row.get(0))?;
    seqs.collect()
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
        while step(connection, bounds, BASE_US + 10_000_000).unwrap() {
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
