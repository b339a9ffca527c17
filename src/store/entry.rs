//! What the writer gets of one exchange: its row, and what was kept of its headers and bodies.

use rusqlite::Connection;

use crate::store::capture::{Absent, BodyIn, Captured, LegIn};
use crate::store::flags;
use crate::store::row::Row;
use crate::store::vault::{Kept, Vault};

/// One exchange on its way to the disk.
#[derive(Debug, Clone)]
pub struct Entry {
    pub row: Row,
    pub captured: Option<Box<Captured>>,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self { row, captured: None }
    }
}

/// Where bodies go, on the writer's thread and in its transactions.
pub trait Bodies: Send {
    /// Stores what was kept of the exchange that becomes record `seq`.
    fn store(
        &mut self,
        connection: &Connection,
        seq: i64,
        session: Option<&str>,
        captured: &Captured,
    ) -> rusqlite::Result<Kept>;

    /// What was stored is there to stay.
    fn committed(&mut self);

    /// What was stored since the last commit is not there.
    fn rolled_back(&mut self);

    /// What the last failed [`Bodies::store`] wrote is not there; what was stored before is.
    fn undone(&mut self) {}

    /// The next transaction is in a file that was opened anew, perhaps another one.
    fn reopened(&mut self) {}

    /// There is nothing to write: time for what can wait.
    fn idle(&mut self, _connection: &Connection) {}
}

impl Bodies for Vault {
    fn store(
        &mut self,
        connection: &Connection,
        seq: i64,
        session: Option<&str>,
        captured: &Captured,
    ) -> rusqlite::Result<Kept> {
        self.store(connection, seq, session, captured)
    }

    fn committed(&mut self) {
        self.committed();
    }

    fn rolled_back(&mut self) {
        self.rolled_back();
    }

    fn undone(&mut self) {
        self.undone();
    }

    fn reopened(&mut self) {
        self.forget();
    }

    fn idle(&mut self, connection: &Connection) {
        if let Err(error) = self.idle(connection) {
            tracing::debug!(%error, "no dictionary is trained for now");
        }
    }
}

impl Entry {
    /// Bytes that it holds beyond its row.
    pub(super) fn weight(&self) -> u64 {
        self.captured.as_deref().map_or(0, weight)
    }

    /// Lets go of the bodies and keeps the rest; true when there were any.
    pub(super) fn shed(&mut self, why: Absent) -> bool {
        let Some(captured) = &mut self.captured else { return false };
        let mut any = false;
        for leg in legs_mut(captured) {
            if let BodyIn::Content(_) = leg.body {
                leg.body = BodyIn::Nothing(why);
                any = true;
            }
        }
        if any {
            for leg in legs_mut(captured) {
                if let BodyIn::Same = leg.body {
                    leg.body = BodyIn::Nothing(why);
                }
            }
            self.row.flags = (self.row.flags | flags::SHED) & !flags::REPLAYABLE;
        }
        any
    }
}

fn legs_mut(captured: &mut Captured) -> impl Iterator<Item = &mut LegIn> {
    let attempts = captured.attempts.iter_mut();
    let attempts = attempts.flat_map(|attempt| [&mut attempt.request, &mut attempt.response]);
    [&mut captured.request, &mut captured.response].into_iter().chain(attempts)
}

fn weight(captured: &Captured) -> u64 {
    /// A frame's offset and length.
    const FRAME: u64 = 16;
    let of_leg = |leg: &LegIn| {
        let headers = leg.headers.iter().flatten();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        let body = match &leg.body {
            BodyIn::Content(content) => content.bytes.len() + content.outline.cuts.len() * 4,
            BodyIn::Nothing(_) | BodyIn::Same => 0,
        };
        (headers + body) as u64
    };
    let attempts = captured.attempts.iter().map(|attempt| {
        of_leg(&attempt.request) + of_leg(&attempt.response) + attempt.frames.len() as u64 * FRAME
    });
    of_leg(&captured.request) + of_leg(&captured.response) + attempts.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use rusqlite::ffi;

    use super::*;
    use crate::store::capture::{AttemptIn, Content};
    use crate::store::inbox::Limits;
    use crate::store::tests::{count, counted, flushed, plain, read};
    use crate::store::writer::Writer;

    /// Keeps the numbers it was given, and fails when told to.
    #[derive(Default)]
    struct Shelf {
        stored: Arc<Mutex<Vec<(i64, bool)>>>,
        full: Arc<AtomicBool>,
        /// Bodies of this many bytes cannot be stored, after a part of them was.
        bad: usize,
        undone: Arc<AtomicU64>,
        rollbacks: Arc<AtomicU64>,
        commits: Arc<AtomicU64>,
    }

    impl Bodies for Shelf {
        fn store(
            &mut self,
            connection: &Connection,
            seq: i64,
            _session: Option<&str>,
            captured: &Captured,
        ) -> rusqlite::Result<Kept> {
            let has_body = matches!(captured.request.body, BodyIn::Content(_));
            if has_body && self.full.load(Ordering::Relaxed) {
                return Err(rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_FULL),
                    None,
                ));
            }
            let sql = "INSERT INTO bodies (seq, raw_bytes) VALUES (?, 10)";
            connection.execute(sql, [seq])?;
            if let BodyIn::Content(content) = &captured.request.body
                && content.bytes.len() == self.bad
            {
                return Err(rusqlite::Error::ToSqlConversionFailure("odd".into()));
            }
            self.stored.lock().unwrap().push((seq, has_body));
            let flags = if has_body { flags::REPLAYABLE } else { 0 };
            Ok(Kept { flags, raw_bytes: 10, stored_bytes: 3, policy: None })
        }

        fn committed(&mut self) {
            self.commits.fetch_add(1, Ordering::Relaxed);
        }

        fn undone(&mut self) {
            self.undone.fetch_add(1, Ordering::Relaxed);
        }

        fn rolled_back(&mut self) {
            self.rollbacks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn entry(n: u64, bytes: usize) -> Entry {
        let content = Content { bytes: vec![b'x'; bytes].into(), ..Content::default() };
        let mut captured = Captured::default();
        captured.request.headers = Some(vec![("a".into(), "b".into())]);
        captured.request.body = BodyIn::Content(content);
        captured.attempts = vec![AttemptIn { frames: vec![(1, 2)], ..AttemptIn::default() }];
        Entry { row: plain(n), captured: Some(Box::new(captured)) }
    }

    #[test]
    fn bodies_go_with_their_records_and_say_what_became_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::default();
        let stored = Arc::clone(&shelf.stored);
        let bodies: Box<dyn Bodies> = Box::new(shelf);
        let mut writer =
            Writer::start_with(folder.path(), Limits::default(), Some(bodies)).unwrap();
        let (first, second) = (entry(1, 100), entry(2, 100));
        let again = first.clone();
        writer.handle().put(vec![Entry::from(plain(0)), first, second]);
        writer.handle().put(vec![again]);
        writer.stop();
        assert_eq!(*stored.lock().unwrap(), [(2, true), (3, true)]);
        let database = read(&folder);
        assert_eq!(count(&database, "exchanges WHERE replayable = 1 AND seq IN (2, 3)"), 2);
        assert_eq!(count(&database, "bodies JOIN exchange_records USING (seq)"), 2);
        assert_eq!(count(&database, "zones WHERE field = 22 AND value = 2 AND block = 0"), 1);
        let counters = writer.handle().counters();
        let told =
            [&counters.stored, &counters.failed, &counters.raw_bytes, &counters.stored_bytes];
        assert_eq!(told.map(counted), [3, 1, 20, 6]);
        assert_eq!(counted(&counters.queued_bytes), 0);
    }

    #[test]
    fn bodies_go_before_records_when_the_queue_or_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::default();
        let (stored, full) = (Arc::clone(&shelf.stored), Arc::clone(&shelf.full));
        let (rollbacks, commits) = (Arc::clone(&shelf.rollbacks), Arc::clone(&shelf.commits));
        let limits = Limits { bytes_max: 1_000, ..Limits::default() };
        let writer = Writer::start_with(folder.path(), limits, Some(Box::new(shelf))).unwrap();
        let handle = writer.handle();
        handle.put(vec![entry(1, 600), entry(2, 600), entry(3, 100)]);
        flushed(handle);
        assert_eq!(*stored.lock().unwrap(), [(1, true), (2, false), (3, true)]);
        full.store(true, Ordering::Relaxed);
        handle.put(vec![entry(4, 10)]);
        flushed(handle);
        full.store(false, Ordering::Relaxed);
        handle.put(vec![entry(5, 10)]);
        flushed(handle);
        let counters = handle.counters();
        let told = [
            &counters.stored,
            &counters.failed,
            &counters.bodies_shed_queue,
            &counters.bodies_shed_disk,
        ];
        assert_eq!(told.map(counted), [5, 0, 1, 2], "for a while no body is tried");
        assert_eq!([&counters.queued_bytes, &*rollbacks, &*commits].map(counted), [0, 1, 3]);
        let shed = format!("exchange_records WHERE flags & {} <> 0", flags::SHED);
        assert_eq!(count(&read(&folder), &shed), 3);
    }

    #[test]
    fn a_body_that_cannot_be_stored_loses_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf { bad: 13, ..Shelf::default() };
        let undone = Arc::clone(&shelf.undone);
        let bodies: Box<dyn Bodies> = Box::new(shelf);
        let mut writer =
            Writer::start_with(folder.path(), Limits::default(), Some(bodies)).unwrap();
        let sizes = [10, 13, 11, 13, 12];
        writer.handle().put((0..).zip(sizes).map(|(n, size)| entry(n, size)).collect());
        writer.stop();
        let counters = writer.handle().counters();
        let told = [&counters.stored, &counters.failed, &counters.bodies_failed, &undone];
        assert_eq!(told.map(counted), [5, 0, 2, 2]);
        assert!(!counters.failing.load(Ordering::Relaxed));
        let database = read(&folder);
        assert_eq!(count(&database, "exchange_records"), 5);
        assert_eq!(count(&database, "bodies WHERE seq IN (1, 3, 5)"), 3);
        assert_eq!(count(&database, "bodies"), 3, "nothing is left of the others");
        let shed = format!("exchange_records WHERE seq IN (2, 4) AND flags = {}", flags::SHED);
        assert_eq!(count(&database, &shed), 2);
    }

    #[test]
    fn a_leg_that_was_another_s_goes_with_it() {
        let mut entry = entry(1, 10);
        assert!(entry.weight() >= 10 + 2 + 16);
        assert!(entry.shed(Absent::ShedQueue));
        let captured = entry.captured.as_deref().unwrap();
        let sent = &captured.attempts[0].request.body;
        assert!(matches!(sent, BodyIn::Nothing(Absent::ShedQueue)), "{sent:?}");
        assert!(captured.request.headers.is_some());
        assert!(!entry.shed(Absent::ShedQueue), "nothing is left to let go of");
    }
}
