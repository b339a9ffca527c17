//! A consistent copy of the store while it is written to, and the way back.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::{clock, private};
use crate::store::db::{self, FILE, OpenError};
use crate::store::lock::{LockError, ServeLock};
use crate::store::reader::Reader;
use crate::store::search;

/// Why there is no backup, or no way back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{} is there already; choose another name, or move it away", path.display())]
    Exists { path: PathBuf },
    #[error("{} cannot be written: {error}; choose a folder that is there and has room", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("{} cannot be read: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("the copy to {} failed: {error}; check the disk", path.display())]
    Copy { path: PathBuf, error: rusqlite::Error },
    #[error("{} is damaged: {found}; use another backup", path.display())]
    Damaged { path: PathBuf, found: String },
}

/// What a restored store came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the store that was there lies now; `None`: there was none.
    pub aside: Option<PathBuf>,
    pub bytes: u64,
    /// The folder's mode, where others than its owner may look into it.
    pub open_folder: Option<u32>,
}

/// Writes the store of `folder` to `to`, as it is at one moment; gives the bytes written. Writers go on meanwhile.
pub fn backup(folder: &Path, to: &Path) -> Result<u64, BackupError> {
    let reader = Reader::open(folder)?;
    if to.exists() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    let unfinished = beside(to, ".partial");
    let written = || -> Result<u64, BackupError> {
        let of = |error| BackupError::Write { path: to.to_owned(), error };
        // Made here, so that nobody else can read it at any moment.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(&unfinished).map_err(of)?;
        let text = unfinished.to_string_lossy();
        reader
            .connection
            .execute("VACUUM INTO ?", [text.as_ref()])
            .map_err(|error| BackupError::Copy { path: to.to_owned(), error })?;
        File::open(&unfinished).and_then(|file| file.sync_all()).map_err(of)?;
        let bytes = fs::metadata(&unfinished).map_err(of)?.len();
        fs::rename(&unfinished, to).map_err(of)?;
        Ok(bytes)
    };
    let done = written();
    if done.is_err() {
        // What is left of a failure is of no use, and may be what filled the disk.
        let _removed = fs::remove_file(&unfinished);
    }
    done
}

/// Puts the backup `from` in the place of the store of `folder`. No `serve` may run on it.
pub fn restore(folder: &Path, from: &Path) -> Result<Restored, BackupError> {
    check(from)?;
    let _lock = ServeLock::take(folder)?;
    let (place, incoming) = (folder.join(FILE), folder.join("restore.partial"));
    let of = |error| BackupError::Write { path: place.clone(), error };
    let copied = copy(from, &incoming);
    let bytes = match copied {
        Ok(bytes) => bytes,
        Err(error) => {
            let _removed = fs::remove_file(&incoming);
            return Err(error);
        }
    };
    let aside = set_aside(folder).map_err(of)?;
    // The text index belongs to the store that was there.
    search::discard(folder).map_err(of)?;
    fs::rename(&incoming, &place).map_err(of)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(of)?;
    let mode = fs::metadata(folder).map_err(of)?.permissions().mode() & 0o777;
    Ok(Restored { aside, bytes, open_folder: (mode & 0o077 != 0).then_some(mode) })
}

/// A store's file, whole, of a schema that this program knows.
fn check(path: &Path) -> Result<(), BackupError> {
    if !path.exists() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        return Err(BackupError::Read { path: path.to_owned(), error });
    }
    let connection = db::open_file(path)?;
    let found: Result<String, _> =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(BackupError::Damaged { path: path.to_owned(), found }),
        Err(error) => Err(BackupError::Damaged { path: path.to_owned(), found: error.to_string() }),
    }
}

fn copy(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let mut source =
        File::open(from).map_err(|error| BackupError::Read { path: from.to_owned(), error })?;
    let of = |error| BackupError::Write { path: to.to_owned(), error };
    let mut target = private::create(to).map_err(of)?;
    let bytes = io::copy(&mut source, &mut target).map_err(of)?;
    target.sync_all().map_err(of)?;
    Ok(bytes)
}

/// Moves the store's file away, with the log beside it: together they are the store.
fn set_aside(folder: &Path) -> io::Result<Option<PathBuf>> {
    let place = folder.join(FILE);
    if !place.exists() {
        return Ok(None);
    }
    let stamp = clock::wall_us() / 1_000;
    let aside = folder.join(format!("{FILE}.before-restore-{stamp}"));
    // The log first: a store without its log would be opened as if it had none.
    for suffix in ["-wal", "-shm", ""] {
        let part = beside(&place, suffix);
        if part.exists() {
            fs::rename(&part, beside(&aside, suffix))?;
        }
    }
    Ok(Some(aside))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn noted(folder: &Path) -> Vec<i64> {
        let connection = Connection::open(folder.join(FILE)).unwrap();
        let mut statement =
            connection.prepare("SELECT noted_at_us FROM awaited ORDER BY 1").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn note(connection: &Connection, at: i64) {
        let sql = "INSERT INTO awaited (response_id, provider, model_label, batch, noted_at_us) \
                   VALUES (?1, 'p', 'm', 0, ?1)";
        connection.execute(sql, [at]).unwrap();
    }

    #[test]
    fn a_backup_of_a_store_in_use_comes_back_and_the_old_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("data");
        let writer = db::open_writer(&store, db::BUSY).unwrap();
        note(&writer, 1);
        let file = folder.path().join("copy.db");
        let bytes = backup(&store, &file).unwrap();
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (bytes, 0o600));
        note(&writer, 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
        fs::write(store.join("search.db"), "of the other").unwrap();
        let restored = restore(&store, &file).unwrap();
        drop(writer);
        assert_eq!(noted(&store), [1]);
        assert!(!store.join("search.db").exists());
        // The log went with the file, so nothing of it is lost.
        let aside = restored.aside.unwrap();
        let old = folder.path().join("old");
        fs::create_dir(&old).unwrap();
        for suffix in ["", "-wal"] {
            fs::rename(beside(&aside, suffix), beside(&old.join(FILE), suffix)).unwrap();
        }
        assert_eq!(noted(&old), [1, 2]);
        let opened = db::open_writer(&store, db::BUSY).unwrap();
        note(&opened, 3);
        assert_eq!(noted(&store), [1, 3]);
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_bad_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("data");
        drop(db::open_writer(&store, db::BUSY).unwrap());
        let file = folder.path().join("copy.db");
        fs::write(&file, "precious").unwrap();
        let told = backup(&store, &file).unwrap_err().to_string();
        assert!(told.contains("is there already"), "{told}");
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        let told = backup(&store, &folder.path().join("no/such")).unwrap_err().to_string();
        assert!(told.contains("cannot be written"), "{told}");
        let before = fs::read(store.join(FILE)).unwrap();
        for (content, words) in
            [(&b"no database"[..], "is not a store"), (&[0; 8_192][..], "is not")]
        {
            fs::write(&file, content).unwrap();
            let told = restore(&store, &file).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
        let told = restore(&store, &folder.path().join("none")).unwrap_err().to_string();
        assert!(told.contains("cannot be read"), "{told}");
        assert_eq!(fs::read(store.join(FILE)).unwrap(), before);
        assert!(!store.join("restore.partial").exists());
    }

    #[test]
    fn a_damaged_backup_and_a_running_gateway_stop_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("data");
        let writer = db::open_writer(&store, db::BUSY).unwrap();
        for at in 0..2_000 {
            note(&writer, at);
        }
        let file = folder.path().join("copy.db");
        backup(&store, &file).unwrap();
        let lock = ServeLock::take(&store).unwrap();
        let told = restore(&store, &file).unwrap_err().to_string();
        assert!(told.contains("another `pinhole serve`"), "{told}");
        drop(lock);
        let mut bytes = fs::read(&file).unwrap();
        let length = bytes.len();
        bytes[length / 2..length - 100].fill(0xA5);
        fs::write(&file, bytes).unwrap();
        let told = restore(&store, &file).unwrap_err().to_string();
        assert!(told.contains("is damaged"), "{told}");
        assert_eq!(noted(&store).len(), 2_000);
    }
}
