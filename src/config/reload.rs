//! Says that the configuration file changed. What then happens (load, compare, swap) is the caller's affair; so is SIGHUP.
//!
//! The file is watched, not its folder: a folder is often where the log is written too, and every line would wake this
//! process. Editors and deployment tools put a new file in place of the old one, or turn a symbolic link, where a watch
//! stays with what is gone; so which file the path leads to is looked at every second, and the watch set anew.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::base::clock;

/// An editor's save is several events; the file is looked at when it has been quiet for this long.
const QUIET: Duration = Duration::from_millis(200);
/// How often it is looked whether the path leads to another file. One `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Limit: a file that is never quiet is read this often.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(2);

/// Watches until dropped.
pub struct Watch {
    stopped: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Full means that the thread is about to look at `stopped` anyway.
        let _ = self.wake.try_send(());
    }
}

impl Watch {
    /// Calls `changed` from a thread of its own whenever the content of `file` has become another since this call. A file
    /// that vanishes is no change: the old configuration stays until there is a new one. Start it before the file is loaded,
    /// so that no change falls between.
    pub fn start(file: &Path, changed: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let file = std::path::absolute(file)?;
        // One waiting signal is as good as many: it only says "look".
        let (wake, woken) = sync_channel(1);
        let signal = wake.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_telling(event.kind)) {
                let _ = signal.try_send(());
            }
        })
        .map_err(io::Error::other)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let mut looker = Looker {
            last: digest(&file),
            file,
            watcher,
            seen: None,
            woken,
            stopped: Arc::clone(&stopped),
            changed,
        };
        looker.follow();
        // What changed before the file was watched is seen by looking once.
        let _ = wake.try_send(());
        std::thread::Builder::new().name("config-watch".to_owned()).spawn(move || looker.run())?;
        Ok(Self { stopped, wake })
    }
}

/// Reading the file is an event too; only those that may change it count, or the watch would wake itself.
fn is_telling(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(_))
        || matches!(kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

struct Looker<F> {
    file: PathBuf,
    watcher: RecommendedWatcher,
    /// The file that is watched; `None`: there was none to watch.
    seen: Option<Identity>,
    /// Digest of the content that was reported last; `None`: there was no file yet.
    last: Option<blake3::Hash>,
    woken: Receiver<()>,
    stopped: Arc<AtomicBool>,
    changed: F,
}

impl<F: FnMut()> Looker<F> {
    fn run(mut self) {
        loop {
            match self.woken.recv_timeout(LOOK_EVERY) {
                Err(RecvTimeoutError::Timeout) if identity(&self.file) == self.seen => continue,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !self.settle() {
                return;
            }
            self.follow();
            let now = digest(&self.file);
            if now.is_some() && now != self.last {
                self.last = now;
                (self.changed)();
            }
        }
    }

    /// Waits until nothing has happened for a while; false when the watch is over.
    fn settle(&self) -> bool {
        let deadline = clock::now() + QUIET_WAIT_MAX;
        loop {
            if self.stopped.load(Ordering::Acquire) {
                return false;
            }
            match self.woken.recv_timeout(QUIET) {
                Ok(()) if clock::now() < deadline => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => {
                    return !self.stopped.load(Ordering::Acquire);
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Watches the file that the path leads to now.
    fn follow(&mut self) {
        let now = identity(&self.file);
        if now.map(Identity::inode) != self.seen.map(Identity::inode) {
            // The watch on a file that is gone may have ended by itself.
            let _ended = self.watcher.unwatch(&self.file);
            if now.is_some()
                && let Err(error) = self.watcher.watch(&self.file, RecursiveMode::NonRecursive)
            {
                tracing::debug!(file = %self.file.display(), %error, "looked at every second only");
            }
        }
        self.seen = now;
    }
}

/// Which file a path leads to, and its state as far as `stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    changed: (i64, i64),
    bytes: u64,
}

impl Identity {
    fn inode(self) -> (u64, u64) {
        self.inode
    }
}

fn identity(file: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Identity {
        inode: (metadata.dev(), metadata.ino()),
        changed: (metadata.mtime(), metadata.mtime_nsec()),
        bytes: metadata.size(),
    })
}

fn digest(file: &Path) -> Option<blake3::Hash> {
    std::fs::read(file).ok().map(|content| blake3::hash(&content))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Watches `file`; each report puts the content it found into the channel.
    fn reports(file: &Path) -> (Watch, Receiver<String>) {
        let (sender, receiver) = sync_channel(16);
        let read = file.to_owned();
        let watch = Watch::start(file, move || {
            let _ = sender.send(fs::read_to_string(&read).unwrap());
        });
        (watch.unwrap(), receiver)
    }

    #[test]
    fn writes_and_replacements_are_reported_and_a_vanished_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pinhole.toml");
        fs::write(&file, "one").unwrap();
        let (_watch, reported) = reports(&file);
        fs::write(&file, "two").unwrap();
        assert_eq!(reported.recv_timeout(SOON).unwrap(), "two");
        fs::remove_file(&file).unwrap();
        let new = folder.path().join("new");
        fs::write(&new, "three").unwrap();
        fs::rename(&new, &file).unwrap();
        assert_eq!(reported.recv_timeout(SOON).unwrap(), "three");
    }

    #[test]
    fn the_same_content_again_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pinhole.toml");
        fs::write(&file, "one").unwrap();
        let (_watch, reported) = reports(&file);
        fs::write(&file, "one").unwrap();
        fs::write(folder.path().join("neighbour"), "x").unwrap();
        fs::write(&file, "two").unwrap();
        assert_eq!(reported.recv_timeout(SOON).unwrap(), "two");
        assert!(reported.try_recv().is_err());
    }

    /// As Kubernetes swaps a mounted configuration: the file is a link into a folder that is itself a link.
    #[cfg(unix)]
    #[test]
    fn swapped_links_are_followed() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, content) in [("v1", "one"), ("v2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("pinhole.toml"), content).unwrap();
        }
        symlink("v1", at("data")).unwrap();
        symlink("data/pinhole.toml", at("pinhole.toml")).unwrap();
        let (_watch, reported) = reports(&at("pinhole.toml"));
        symlink("v2", at("data_new")).unwrap();
        fs::rename(at("data_new"), at("data")).unwrap();
        assert_eq!(reported.recv_timeout(SOON).unwrap(), "two");
        fs::write(at("v2").join("pinhole.toml"), "three").unwrap();
        assert_eq!(reported.recv_timeout(SOON).unwrap(), "three");
    }

    #[test]
    fn a_dropped_watch_ends_its_thread() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pinhole.toml");
        fs::write(&file, "one").unwrap();
        let (watch, reported) = reports(&file);
        drop(watch);
        // The callback, and with it the sender, goes with the thread.
        assert_eq!(reported.recv_timeout(SOON), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_busy_folder_does_not_hold_up_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pinhole.toml");
        fs::write(&file, "one").unwrap();
        let (_watch, reported) = reports(&file);
        let done = Arc::new(AtomicBool::new(false));
        let (over, log) = (Arc::clone(&done), folder.path().join("log"));
        let writer = std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                fs::write(&log, "line\n").unwrap();
                std::thread::yield_now();
            }
        });
        fs::write(&file, "two").unwrap();
        // A watch on the folder would wait for a quiet moment until its limit of two seconds.
        let report = reported.recv_timeout(QUIET_WAIT_MAX.saturating_sub(QUIET));
        done.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        assert_eq!(report.unwrap(), "two");
    }
}
