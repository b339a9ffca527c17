//! One `serve` a data directory. Readers and other writers need no lock; the kernel lets go of it when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::store::db::{OpenError, make_folder};
use crate::store::vault::seal::SealError;

const FILE: &str = "serve.lock";

/// Held until dropped.
#[derive(Debug)]
pub struct ServeLock {
    file: File,
}

/// Why the data directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(
        "another `pinhole serve`{} uses the data directory {}; stop it, or choose another directory with server.data_dir \
         (--data-dir)", holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default(), folder.display()
    )]
    Held { folder: PathBuf, holder: Option<u32> },
}

impl ServeLock {
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        make_folder(folder)?;
        let path = folder.join(FILE);
        let of = |error| OpenError::File { path: path.clone(), error };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(of)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut told = String::new();
                // Who holds it is a courtesy; that it is held is known.
                let _read = file.read_to_string(&mut told);
                let holder = told.lines().next().and_then(|pid| pid.trim().parse().ok());
                return Err(LockError::Held { folder: folder.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(of(error).into()),
        }
        file.set_len(0).map_err(of)?;
        writeln!(file, "{}", std::process::id()).map_err(of)?;
        Ok(Self { file })
    }

    /// Leaves word where the operations API of this gateway is, for programs that browse its store.
    pub fn tell(&mut self, operations: &str) -> std::io::Result<()> {
        writeln!(self.file, "{operations}")
    }
}

/// Where the gateway that serves this directory has its operations API, as it left word: its process and the address. It may
/// be gone since.
pub fn told(folder: &Path) -> Option<(u32, String)> {
    let told = std::fs::read_to_string(folder.join(FILE)).ok()?;
    let mut lines = told.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    Some((pid, lines.next()?.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = ServeLock::take(folder.path()).unwrap();
        let told = ServeLock::take(folder.path()).unwrap_err().to_string();
        let pid = std::process::id().to_string();
        assert!(told.contains(&pid) && told.contains("server.data_dir"), "{told}");
        let mut first = first;
        assert_eq!(super::told(folder.path()), None);
        first.tell("http://127.0.0.1:9464").unwrap();
        let told = ServeLock::take(folder.path()).unwrap_err().to_string();
        assert!(told.contains(&pid), "{told}");
        let found = super::told(folder.path());
        assert_eq!(found, Some((std::process::id(), "http://127.0.0.1:9464".to_owned())));
        drop(first);
        assert!(ServeLock::take(folder.path()).is_ok());
    }
}
