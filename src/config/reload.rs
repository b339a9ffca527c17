//! Says that the configuration file changed. What then happens (load, compare, swap) is the caller's affair; so is SIGHUP.
//!
//! The folder is watched, not the file: editors and deployment tools put a new file in place of the old one, or turn a
//! symbolic link, and a watch on the file would stay with what is gone.

use std::io;
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
/// Limit: in a folder that is never quiet, the file is looked at this often.
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
            folders: Vec::new(),
            woken,
            stopped: Arc::clone(&stopped),
            changed,
        };
        looker.follow().map_err(io::Error::other)?;
        // What changed before the folder was watched is seen by looking once.
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
    /// The file's folder, and that of the file a symbolic link leads to.
    folders: Vec<PathBuf>,
    /// Digest of the content that was reported last; `None`: there was no file yet.
    last: Option<blake3::Hash>,
    woken: Receiver<()>,
    stopped: Arc<AtomicBool>,
    changed: F,
}

impl<F: FnMut()> Looker<F> {
    fn run(mut self) {
        while self.woken.recv().is_ok() && self.settle() {
            // A link may lead elsewhere now. Without the new folder only later changes there go unseen.
            if let Err(error) = self.follow() {
                tracing::warn!(file = %self.file.display(), %error, "configuration file is not fully watched");
            }
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

    /// Watches the folders the file stands in now.
    fn follow(&mut self) -> notify::Result<()> {
        let target = self.file.canonicalize().ok();
        let wanted = [Some(self.file.as_path()), target.as_deref()];
        for folder in wanted.into_iter().flatten().filter_map(Path::parent) {
            if !self.folders.iter().any(|known| known == folder) {
                self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
                self.folders.push(folder.to_owned());
            }
        }
        Ok(())
    }
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
}
