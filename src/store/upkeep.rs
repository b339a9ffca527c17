//! The store as a whole, for people who look after it: what it holds and how large it is, whether all of it can be read
//! back, and the deletion of what is asked for.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use crate::base::clock;
use crate::store::capture::Absent;
use crate::store::db::{self, OpenError};
use crate::store::expire::{self, Bounds, Cursor};
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::{ReadError, Reader};
use crate::store::vault::{self, Progress, Stats, VaultError, Verified};
use crate::store::{erase, flags, listing, retention, search};

/// The full-text index beside the store.
const SEARCH: &str = "search.db";
/// Limit: findings of SQLite's own check.
const FINDINGS_MAX: u32 = 100;
/// Exchanges deleted between two reports of progress.
const STEP: usize = 512;
/// Limit: how long one transaction of a deletion goes on.
const HOLD: std::time::Duration = std::time::Duration::from_millis(8);

/// What the store holds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Census {
    pub exchanges: u64,
    pub oldest_us: Option<i64>,
    pub newest_us: Option<i64>,
    /// Exchanges by what was kept of them.
    pub meta: u64,
    pub headers: u64,
    pub full: u64,
    /// A body was wanted and let go.
    pub shed: u64,
    /// The same by reason: no memory while it ran, no room in the store's queue, none on the disk.
    pub shed_memory: u64,
    pub shed_queue: u64,
    pub shed_disk: u64,
    /// Bodies were kept, and removed later.
    pub removed: u64,
    pub redacted: u64,
    /// A body was longer than what is kept of one.
    pub cut: u64,
    pub modified: u64,
    pub pinned: u64,
    pub replayable: u64,
    pub replays: u64,
    pub sessions: u64,
    pub labels: u64,
    pub bodies: Stats,
    /// Bytes of the files.
    pub database_bytes: u64,
    pub log_bytes: u64,
    /// The text index, which can be deleted and is made anew.
    pub search_bytes: u64,
}

/// What a check of everything found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// What SQLite says of the file; empty: nothing.
    pub findings: Vec<String>,
    pub bodies: Verified,
    /// Exchanges with a damaged body: id, and what is wrong. As many as are named.
    pub damaged: Vec<(String, String)>,
}

impl Checked {
    /// A file that cannot even be looked through is damaged, and nothing else is known of it.
    fn unreadable(error: &rusqlite::Error) -> Self {
        Self { findings: vec![error.to_string()], ..Self::default() }
    }

    pub fn is_well(&self) -> bool {
        self.findings.is_empty() && self.bodies.damaged == 0
    }
}

/// What a deletion took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Records that are gone.
    pub records: u64,
    /// Exchanges whose bodies are gone.
    pub bodies: u64,
    /// Bytes of the blobs.
    pub bytes: u64,
    /// Somebody reads the store and holds on to its log, in which what was deleted may still stand.
    pub log_held: bool,
}

/// Why a deletion stopped.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("search.db cannot be deleted: {0}; remove it by hand, it is made anew")]
    Search(std::io::Error),
    #[error("the deletion stopped: {0}; what is gone is gone, the rest can be deleted again")]
    Sqlite(#[from] rusqlite::Error),
}

impl Reader {
    /// Counts what there is; reads all records once.
    pub fn census(&self, folder: &Path) -> Result<Census, ReadError> {
        let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
        let counted = counted(&self.connection, None)?;
        Ok(Census {
            bodies: vault::stats(&self.connection)?,
            database_bytes: size(db::FILE),
            log_bytes: size(&format!("{}-wal", db::FILE)),
            search_bytes: size(SEARCH) + size(&format!("{SEARCH}-wal")),
            ..self.shed_by_reason(counted, None)?
        })
    }

    /// Counts the exchanges that a query matches and what is kept of them; of the files it says nothing.
    pub fn census_of(&self, query: &Query) -> Result<Census, ReadError> {
        let seqs = self.seqs(query, Order::Oldest)?.collect::<Result<Vec<i64>, ReadError>>()?;
        let list = serde_json::to_string(&seqs).unwrap_or_default();
        let counted = counted(&self.connection, Some(&list))?;
        let bodies = vault::stats_of(&self.connection, &list)?;
        Ok(Census { bodies, ..self.shed_by_reason(counted, Some(&list))? })
    }

    /// Why bodies were let go stands beside them; where nothing at all was kept, it was for want of room in the queue.
    fn shed_by_reason(
        &self,
        mut census: Census,
        list: Option<&str>,
    ) -> Result<Census, rusqlite::Error> {
        if census.shed == 0 {
            return Ok(census);
        }
        let sql = format!(
            "SELECT seq FROM exchange_records WHERE flags & {} <> 0 AND {AMONG}",
            flags::SHED
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([list])?;
        let mut shelf = self.shelf.borrow_mut();
        while let Some(row) = rows.next()? {
            match shelf.why_shed(&self.connection, row.get(0)?) {
                Ok(Some(Absent::ShedMemory)) => census.shed_memory += 1,
                Ok(Some(Absent::ShedDisk)) => census.shed_disk += 1,
                Ok(_) => census.shed_queue += 1,
                // It cannot be read; the sum has it all the same.
                Err(VaultError::Damaged { .. }) => {}
                Err(VaultError::Sqlite(error)) => return Err(error),
            }
        }
        Ok(census)
    }

    /// Checks the file, decodes every body and compares its digest; with a query, only the bodies of what it matches.
    pub fn check(
        &self,
        query: Option<&Query>,
        on: impl FnMut(Progress),
    ) -> Result<Checked, VaultError> {
        match self.checked(query, on) {
            Err(VaultError::Sqlite(error)) if is_damage(&error) => Ok(Checked::unreadable(&error)),
            done => done,
        }
    }

    fn checked(
        &self,
        query: Option<&Query>,
        on: impl FnMut(Progress),
    ) -> Result<Checked, VaultError> {
        let (mut findings, mut only) = (Vec::new(), None);
        match query {
            None => findings = self::findings(&self.connection)?,
            Some(query) => {
                let seqs = self.seqs(query, Order::Oldest).map_err(ReadError::into_inner)?;
                let seqs = seqs.collect::<Result<BTreeSet<i64>, ReadError>>();
                only = Some(seqs.map_err(ReadError::into_inner)?);
            }
        }
        let mut shelf = self.shelf.borrow_mut();
        let bodies = vault::verify_with(&self.connection, &mut shelf, only.as_ref(), on)?;
        let mut damaged = Vec::with_capacity(bodies.named.len());
        for (seq, reason) in &bodies.named {
            let row = listing::by_seq(&self.connection, &[*seq])?.pop();
            let id =
                row.map_or_else(|| format!("number {seq}, whose record is gone"), |row| row.id);
            damaged.push((id, reason.clone()));
        }
        Ok(Checked { findings, bodies, damaged })
    }
}

/// What SQLite says of a file that is not what it should be.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// All, or those of a list as JSON.
const AMONG: &str = "(?1 IS NULL OR seq IN (SELECT value FROM json_each(?1)))";

fn counted(connection: &Connection, list: Option<&str>) -> rusqlite::Result<Census> {
    let of = |flag: i64| format!("coalesce(sum(flags & {flag} <> 0), 0)");
    let sql = format!(
        "SELECT count(*), min(started_at_us), max(started_at_us), coalesce(sum(level <= 1), 0), \
         coalesce(sum(level = 2), 0), coalesce(sum(level = 3), 0), {}, {}, {}, {}, {}, {}, {}, count(replay_of), \
         count(DISTINCT session), (SELECT count(*) FROM labels) FROM exchange_records WHERE {AMONG}",
        of(flags::SHED),
        of(flags::REMOVED),
        of(flags::REDACTED),
        of(flags::CUT),
        of(flags::MODIFIED),
        of(flags::PINNED),
        of(flags::REPLAYABLE),
    );
    connection.query_row(&sql, [list], |row| {
        let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        Ok(Census {
            exchanges: number(0)?,
            oldest_us: row.get(1)?,
            newest_us: row.get(2)?,
            meta: number(3)?,
            headers: number(4)?,
            full: number(5)?,
            shed: number(6)?,
            removed: number(7)?,
            redacted: number(8)?,
            cut: number(9)?,
            modified: number(10)?,
            pinned: number(11)?,
            replayable: number(12)?,
            replays: number(13)?,
            sessions: number(14)?,
            labels: number(15)?,
            ..Census::default()
        })
    })
}

/// What SQLite finds wrong with the file.
fn findings(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let mut findings: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    findings.retain(|finding| finding != "ok");
    Ok(findings)
}

/// Deletes these exchanges, or only their bodies; in short transactions, so that a gateway goes on writing. `on` hears how
/// many are done.
pub fn prune(
    folder: &Path,
    seqs: &[i64],
    bodies_only: bool,
    mut on: impl FnMut(u64),
) -> Result<Pruned, PruneError> {
    let mut connection = db::open_writer(folder, db::BUSY)?;
    let (mut pruned, mut done) = (Pruned::default(), 0_u64);
    for some in seqs.chunks(STEP) {
        let removed = vault::prune(&mut connection, some)?;
        search::forget(&connection, folder, some)?;
        pruned.bodies += removed.exchanges;
        pruned.bytes += removed.bytes;
        if !bodies_only {
            pruned.records += delete(&mut connection, some)?;
        }
        done += some.len() as u64;
        on(done);
    }
    while vault::give_back(&connection)? {}
    // Once for all of them: each time, the whole index is written.
    search::settle(folder)?;
    pruned.log_held = !erase::empty_log_or_tell(&connection)?;
    Ok(pruned)
}

/// Does at once what zero retention asks of a store that is not in use: nothing of any body is left in its files, and
/// nothing in the index of texts.
pub fn wipe(folder: &Path, bounds: &Bounds) -> Result<(), PruneError> {
    let mut connection = db::open_writer(folder, db::BUSY)?;
    let mut cursor = Cursor::default();
    while expire::step(&mut connection, bounds, &mut cursor, clock::wall_us())? {}
    erase::empty_log_or_tell(&connection)?;
    search::discard(folder).map_err(PruneError::Search)
}

fn delete(connection: &mut Connection, seqs: &[i64]) -> rusqlite::Result<u64> {
    let mut there = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let sql = "SELECT 1 FROM exchange_records WHERE seq = ?";
        if connection.prepare_cached(sql)?.exists([seq])? {
            there.push(*seq);
        }
    }
    let (mut left, mut deleted) = (there.as_slice(), 0);
    while !left.is_empty() {
        let began = clock::now();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let gone = retention::delete_records(&transaction, left, Some(clock::now() + HOLD))?;
        transaction.commit()?;
        deleted += gone as u64;
        left = left.get(gone.max(1)..).unwrap_or_default();
        // As long as the file was held, it is left to others.
        std::thread::sleep(clock::now().saturating_duration_since(began));
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::store::capture::{BodyIn, Captured, Content, LegIn, Outline};
    use crate::store::entry::Entry;
    use crate::store::inbox::Limits;
    use crate::store::query::page::Page;
    use crate::store::tests::{count, flushed, plain, read};
    use crate::store::vault::{NoClean, Vault};
    use crate::store::writer::Writer;

    fn body(text: &str) -> BodyIn {
        BodyIn::Content(Content {
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            cut_bytes: 0,
            coding: None,
            outline: Outline::default(),
            redacted: false,
        })
    }

    /// `many` exchanges with bodies that have something in common.
    fn store(many: u64) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(Box::new(NoClean), None);
        let mut writer =
            Writer::start_with(folder.path(), Limits::default(), Some(Box::new(vault))).unwrap();
        let entries = (0..many).map(|n| {
            let shared = "what all of them say ".repeat(40);
            let request = format!("{{\"n\":{n},\"text\":\"{shared}\"}}");
            let captured = Captured {
                request: LegIn { body: body(&request), ..LegIn::default() },
                response: LegIn { body: body(&format!("answer {n}")), ..LegIn::default() },
                ..Captured::default()
            };
            Entry { row: plain(n), captured: Some(Box::new(captured)) }
        });
        writer.handle().put(entries.collect::<Vec<_>>());
        flushed(writer.handle());
        writer.stop();
        folder
    }

    fn seqs(folder: &TempDir) -> Vec<i64> {
        let reader = Reader::open(folder.path()).unwrap();
        let rows = reader.list(&Query::everything(), &Page::newest(1_000)).unwrap();
        rows.iter().map(|row| row.seq).collect()
    }

    #[test]
    fn a_census_counts_what_is_there_and_a_deletion_takes_it_away() {
        let folder = store(20);
        let census = || Reader::open(folder.path()).unwrap().census(folder.path()).unwrap();
        let before = census();
        assert_eq!((before.exchanges, before.bodies.exchanges), (20, 20));
        assert!(before.bodies.raw_bytes > 16_000 && before.database_bytes > 4_096);
        assert!(before.oldest_us < before.newest_us);
        let mut all = seqs(&folder);
        let newest = all.remove(0);
        let mut heard = Vec::new();
        let some = prune(folder.path(), &all[..5], true, |done| heard.push(done)).unwrap();
        assert_eq!((some.records, some.bodies), (0, 5));
        assert_eq!(heard, [5]);
        let after = census();
        assert_eq!((after.exchanges, after.bodies.exchanges, after.removed), (20, 15, 5));
        let rest = prune(folder.path(), &all, false, |_| ()).unwrap();
        assert_eq!((rest.records, rest.bodies), (19, 14));
        assert_eq!(seqs(&folder), [newest]);
        // What the last one is made of is still there.
        let reader = Reader::open(folder.path()).unwrap();
        let row = reader.list(&Query::all(), &Page::newest(1)).unwrap().remove(0);
        let stored = reader.exchange(row).unwrap();
        let request = &stored.client_request().unwrap().bytes;
        assert!(request.starts_with(b"{\"n\":19,"), "{}", String::from_utf8_lossy(request));
        assert!(reader.check(None, |_| ()).unwrap().is_well());
        assert_eq!(prune(folder.path(), &all, false, |_| ()).unwrap(), Pruned::default());
    }

    /// What no compression makes smaller, so that it stands in the file as it is.
    fn noise(n: u64, bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut noise);
        noise
    }

    /// Ten exchanges whose bodies hold noise of their number, of all sizes, and a word each that is indexed.
    fn noisy() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(Box::new(NoClean), None);
        let mut writer =
            Writer::start_with(folder.path(), Limits::default(), Some(Box::new(vault))).unwrap();
        let entries = (0..10_u32).map(|n| {
            let content = Content { bytes: noise(n.into(), 200 << n).into(), ..Content::default() };
            let word = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"zebra{n}\"}}]}}");
            let captured = Captured {
                request: LegIn { body: body(&word), ..LegIn::default() },
                response: LegIn { body: BodyIn::Content(content), ..LegIn::default() },
                ..Captured::default()
            };
            let mut row = plain(n.into());
            row.flags = if n == 4 { flags::PINNED } else { 0 };
            Entry { row, captured: Some(Box::new(captured)) }
        });
        writer.handle().put(entries.collect());
        flushed(writer.handle());
        writer.stop();
        let index = search::Limits { every: Duration::from_millis(5), ..Default::default() };
        let index = search::Indexer::start(folder.path(), index, Box::new(|| false)).unwrap();
        while search::State::of(folder.path()).is_none_or(|state| state.documents < 10) {
            std::thread::yield_now();
        }
        drop(index);
        folder
    }

    /// The numbers whose noise, or whose word, stands in any of the files.
    fn found(folder: &TempDir) -> Vec<u32> {
        let files = std::fs::read_dir(folder.path()).unwrap();
        let files: Vec<Vec<u8>> =
            files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        let stands = |n: u32| {
            let noise = noise(n.into(), 200 << n);
            // In the middle of what was stored, and at its end.
            [&noise[150..180], &noise[noise.len() - 30..], format!("zebra{n}").as_bytes()]
                .iter()
                .any(|part| files.iter().any(|file| memchr::memmem::find(file, part).is_some()))
        };
        (0..10).filter(|n| stands(*n)).collect()
    }

    #[test]
    fn what_is_deleted_stands_in_no_file() {
        let folder = noisy();
        assert_eq!(found(&folder), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        // A reader that came before, and a connection that keeps the log from being deleted.
        let _open = read(&folder);
        let pruned = prune(folder.path(), &[1, 2, 4, 10], true, |_| ()).unwrap();
        assert_eq!((pruned.bodies, pruned.log_held), (4, false));
        assert_eq!(found(&folder), [2, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_full_disk_sheds_bodies_keeps_records_and_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(Box::new(NoClean), None);
        let bodies_again = Duration::from_millis(20);
        let limits = Limits { bodies_again, ..Limits::default() };
        let writer = Writer::start_with(folder.path(), limits, Some(Box::new(vault))).unwrap();
        let handle = writer.handle();
        let pages = |more: i64| {
            handle.run(move |connection| {
                let now: i64 =
                    connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
                let max = now + more;
                connection
                    .pragma_update_and_check(None, "max_page_count", max, |_| Ok(()))
                    .unwrap();
            });
        };
        let put = |n: u64| {
            let content = Content { bytes: noise(n, 200_000).into(), ..Content::default() };
            let request = LegIn { body: BodyIn::Content(content), ..LegIn::default() };
            let captured = Captured { request, ..Captured::default() };
            handle.put(vec![Entry { row: plain(n), captured: Some(Box::new(captured)) }]);
            flushed(handle);
        };
        put(0);
        pages(6);
        put(1);
        let counters = handle.counters();
        let told = |counters: &crate::store::Counters| {
            use std::sync::atomic::Ordering::Relaxed;
            let counts = [&counters.stored, &counters.failed, &counters.bodies_shed_disk];
            (
                counts.map(|count| count.load(Relaxed)),
                counters.without_bodies.load(Relaxed),
                counters.failing.load(Relaxed),
            )
        };
        assert_eq!(told(counters), ([2, 0, 1], true, false), "records go on");
        pages(1_000);
        let until = clock::now() + 2 * bodies_again;
        while clock::now() < until {
            std::thread::yield_now();
        }
        put(2);
        assert_eq!(told(counters), ([3, 0, 1], false, false), "there is room again");
        assert_eq!(
            count(&read(&folder), "bodies WHERE length(content) > 190000 OR length(rest) > 190000"),
            2
        );
    }

    #[test]
    fn what_is_rewritten_is_found_by_its_flag() {
        let folder = store(3);
        let redacted = || {
            let query = Query::parse("redacted:true", 0).unwrap();
            let reader = Reader::open(folder.path()).unwrap();
            reader.list(&query, &Page::newest(10)).unwrap().len()
        };
        assert_eq!(redacted(), 0);
        let mut connection = db::open_writer(folder.path(), db::BUSY).unwrap();
        let hide = |text: &[u8]| {
            let at = memchr::memmem::find(text, b"answer 1")?;
            Some([&text[..at], b"[gone]", &text[at + 8..]].concat())
        };
        let shelf = &mut vault::Shelf::default();
        vault::rewrite(&mut connection, shelf, &[1, 2, 3], &hide).unwrap();
        assert_eq!(redacted(), 1);
    }

    #[test]
    fn a_log_that_somebody_holds_is_told_of() {
        let folder = noisy();
        let reader = read(&folder);
        reader.execute_batch("BEGIN; SELECT count(*) FROM bodies").unwrap();
        let pruned = prune(folder.path(), &[1], true, |_| ()).unwrap();
        assert!(pruned.log_held);
    }

    fn free(database: &Connection) -> i64 {
        database.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap()
    }

    #[test]
    fn zero_retention_leaves_nothing_of_what_was_kept_before() {
        for with_writer in [true, false] {
            let folder = noisy();
            let bounds = Bounds { bodies_age: Some(Duration::ZERO), ..Bounds::default() };
            if with_writer {
                let _open = read(&folder);
                let limits = Limits { bounds, ..Limits::default() };
                let mut writer = Writer::start(folder.path(), limits).unwrap();
                while count(&read(&folder), "bodies") > 0 || free(&read(&folder)) > 0 {
                    std::thread::yield_now();
                }
                writer.stop();
            } else {
                wipe(folder.path(), &bounds).unwrap();
            }
            assert_eq!(found(&folder), [0; 0], "{with_writer}");
            assert!(!folder.path().join(SEARCH).exists());
            let database = read(&folder);
            assert_eq!((count(&database, "exchange_records"), count(&database, "bodies")), (10, 0));
            assert_eq!(free(&database), 0, "{with_writer}");
        }
    }

    #[test]
    fn damage_is_found_and_named() {
        let folder = store(8);
        let check = || Reader::open(folder.path()).unwrap().check(None, |_| ()).unwrap();
        let checked = check();
        assert!(checked.is_well() && checked.bodies.bodies == 16, "{checked:?}");
        let writer = db::open_writer(folder.path(), db::BUSY).unwrap();
        let sql = "UPDATE bodies SET rest = zeroblob(length(rest)) WHERE seq = (SELECT max(seq) FROM bodies)";
        assert_eq!(writer.execute(sql, []).unwrap(), 1);
        let checked = check();
        assert!(!checked.is_well() && checked.findings.is_empty());
        let newest = Reader::open(folder.path()).unwrap();
        let newest = newest.list(&Query::all(), &Page::newest(1)).unwrap().remove(0);
        let (id, reason) = &checked.damaged[0];
        assert_eq!((checked.damaged.len(), id), (1, &newest.id));
        assert!(!reason.is_empty());
        assert_eq!(count(&read(&folder), "bodies"), 8);
    }
}
