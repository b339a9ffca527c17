//! The thread that indexes: looks now and then for new bodies, and stands aside while the writer has work.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::base::aside;
use crate::store::db;
use crate::store::search::scan::Read;
use crate::store::search::{Limits, file, index};

/// How long it stands aside each time the writer is found at work.
const ASIDE: Duration = Duration::from_millis(20);
/// Looks without new bodies after which removed ones are looked for.
const TIDY_AFTER: u32 = 20;
/// Errors in a row after which the thread gives up until the next start.
const ERRORS_MAX: u32 = 20;

/// Whether the writer has work.
pub type Busy = Box<dyn Fn() -> bool + Send>;

/// The running indexer; it ends when this is dropped.
pub struct Indexer {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    /// Starts indexing the store in `folder`. Not for a store that is encrypted or keeps no bodies: its words would stand
    /// in the clear in another file.
    pub fn start(folder: &Path, limits: Limits, busy: Busy) -> std::io::Result<Self> {
        Self::start_with(folder, limits, busy, super::scan::reader())
    }

    pub(super) fn start_with(
        folder: &Path,
        limits: Limits,
        busy: Busy,
        read: Read,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let work = Work { folder: folder.to_owned(), limits, busy, read, stopped };
        let thread =
            std::thread::Builder::new().name("pinhole-search".to_owned()).spawn(move || {
                aside::stand_aside();
                work.run();
            })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends after the transaction under way.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that indexes texts panicked; `text:` finds nothing newer");
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    folder: PathBuf,
    limits: Limits,
    busy: Busy,
    read: Read,
    /// Disconnected when it is to end.
    stopped: Receiver<()>,
}

impl Work {
    fn run(mut self) {
        let mut errors = 0;
        while errors < ERRORS_MAX {
            match self.index() {
                Ok(()) => return,
                // Somebody deleted a file, or the store is not there yet.
                Err(error) => tracing::debug!(%error, "indexing of texts begins again"),
            }
            errors += 1;
            if self.waited(self.limits.every) {
                return;
            }
        }
        tracing::warn!(
            "texts are not indexed until the next start; `text:` reads the newest bodies instead"
        );
    }

    /// Until it is to end, or an error.
    fn index(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let store = db::open_reader(&self.folder)?;
        let mut index = file::open_writer(&self.folder)?;
        let made = std::fs::metadata(self.folder.join(file::FILE))?;
        let mut upto = index::begin(&store, &mut index)?;
        let (mut quiet, mut tidied, mut removed) = (0, None, false);
        loop {
            if (self.busy)() {
                if self.waited(ASIDE) {
                    return Ok(());
                }
                continue;
            }
            let seqs = index::waiting(&store, upto)?;
            if let Some(last) = seqs.last() {
                let mut documents = Vec::with_capacity(seqs.len());
                for seq in &seqs {
                    let words = (self.read)(&store, *seq, self.limits.document_max);
                    documents.push((*seq, words.unwrap_or_default()));
                }
                index::add(&store, &mut index, &documents, *last)?;
                index::hold_size(&mut index, &self.limits)?;
                upto = *last;
                quiet = 0;
                if self.waited(Duration::ZERO) {
                    return Ok(());
                }
                continue;
            }
            if !same_file(&made, &self.folder) {
                return Err("the index was deleted".into());
            }
            quiet += 1;
            if quiet % TIDY_AFTER == 0 || tidied.is_some() {
                let any;
                let most = self.limits.document_max;
                let mut words = |store: &Connection, seq| (self.read)(store, seq, most);
                (tidied, any) = index::tidy(&store, &mut index, &mut words, tidied.unwrap_or(0))?;
                removed |= any;
                if tidied.is_none() && std::mem::take(&mut removed) {
                    file::settle_index(&index)?;
                }
            }
            if self.waited(self.limits.every) {
                return Ok(());
            }
        }
    }

    /// Waits; true: it is to end.
    fn waited(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }
}

fn same_file(made: &std::fs::Metadata, folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let now = std::fs::metadata(folder.join(file::FILE));
    now.is_ok_and(|now| (now.dev(), now.ino()) == (made.dev(), made.ino()))
}
