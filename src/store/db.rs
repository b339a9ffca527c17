//! Opening the database file: its folder, its settings, its schema. Nothing here knows what the rows mean.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::store::{erase, facts, rezone, upgrade};

/// The file inside the data directory.
pub const FILE: &str = "pinhole.db";
/// Says that a SQLite file is ours: `PNHL`.
const APPLICATION_ID: i32 = 0x504E_484C;
/// Forward only, one file each, never edited once released; the version of a file is how many it has seen.
const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("schema/0001_init.sql"), then: None },
    Migration { sql: include_str!("schema/0002_bodies.sql"), then: None },
    Migration { sql: include_str!("schema/0003_records.sql"), then: Some(upgrade::records) },
    Migration { sql: include_str!("schema/0004_filters.sql"), then: Some(rezone::all) },
];
/// The fact that names the program which last changed the schema.
const MADE_BY: &str = "schema_made_by";
/// `PRAGMA auto_vacuum = INCREMENTAL`: free pages can be given back to the disk.
const INCREMENTAL: i64 = 2;
/// How long a writer waits for another process to finish its transaction.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Limit: what the write-ahead log may keep on disk between checkpoints.
const WAL_BYTES_KEPT: i64 = 32 * 1024 * 1024;
/// Pages of the write-ahead log after which a commit also checkpoints.
const WAL_PAGES: u32 = 1_000;
/// Bytes of a page of a new file. Bodies take some KiB each: in smaller pages a fifth of the file is gaps.
const PAGE_BYTES: u32 = 16 * 1024;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the data directory {} cannot be made: {error}; choose another with server.data_dir (--data-dir), or \
         set capture.level = \"off\"", path.display()
    )]
    Folder { path: PathBuf, error: io::Error },
    #[error(
        "the store {} cannot be written: {error}; make it writable, choose another place with server.data_dir (--data-dir), \
         or set capture.level = \"off\"", path.display()
    )]
    File { path: PathBuf, error: io::Error },
    #[error(
        "there is no store at {}; `pinhole serve` makes it when capture.level is not \"off\", or name its folder with \
         --data-dir", path.display()
    )]
    Missing { path: PathBuf },
    #[error("{} is not a store of pinhole; move it away or choose another folder with --data-dir", path.display())]
    NotOurs { path: PathBuf },
    #[error(
        "the store {} has schema {found}{}, this program ({}) knows up to {known}; update pinhole, or choose another folder \
         with --data-dir", path.display(),
        made_by.as_ref().map(|version| format!(", made by pinhole {version}")).unwrap_or_default(),
        env!("CARGO_PKG_VERSION")
    )]
    Newer { path: PathBuf, found: usize, known: usize, made_by: Option<String> },
    #[error(
        "the store {} has the older schema {found}; start `pinhole serve` on it once, which brings it to {known}",
        path.display()
    )]
    Older { path: PathBuf, found: usize, known: usize },
    #[error(
        "the store {} cannot be opened: {error}; check the disk and the rights on the folder, or choose another with \
         --data-dir", path.display()
    )]
    Sqlite { path: PathBuf, error: rusqlite::Error },
}

/// One step of the schema.
struct Migration {
    sql: &'static str,
    /// What SQL alone cannot do.
    then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

/// Which file a path leads to, by device and inode: another one under the same name is not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of the store's file in `folder`; `None`: there is none.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(folder.join(FILE)).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// A connection that writes. Makes folder and file where they are missing, and brings the schema up to date.
pub(super) fn open_writer(folder: &Path, busy: Duration) -> Result<Connection, OpenError> {
    make_folder(folder)?;
    let path = folder.join(FILE);
    // SQLite gives the files beside it the mode of this one.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| OpenError::File { path: path.clone(), error })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(&path, flags).map_err(|error| of_sqlite(&path, error))?;
    prepare(&connection, busy).map_err(|error| of_sqlite(&path, error))?;
    migrate(&mut connection, &path)?;
    shrink_later(&connection);
    Ok(connection)
}

/// Lets a file of schema 1 give free pages back, which takes writing it anew, once.
fn shrink_later(connection: &Connection) {
    let rewrite = || {
        let now: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
        if now == INCREMENTAL {
            return Ok(());
        }
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        erase::write_anew(connection)
    };
    if let Err(error) = rewrite() {
        // Nothing is lost by it: the next start tries again.
        tracing::info!(%error, "the store's file was not written anew and keeps its free pages for now");
    }
}

/// A connection that only reads, of a store that is there.
pub(super) fn open_reader(folder: &Path) -> Result<Connection, OpenError> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Err(OpenError::Missing { path });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(&path, flags).map_err(|error| of_sqlite(&path, error))?;
    let read = || {
        connection.busy_timeout(BUSY)?;
        Version::of(&connection)
    };
    let known = MIGRATIONS.len();
    match read().map_err(|error| of_sqlite(&path, error))? {
        Version::Ours(found) if found == known => Ok(connection),
        Version::Ours(found) if found > known => {
            Err(OpenError::Newer { path, found, known, made_by: made_by(&connection) })
        }
        Version::Ours(found) => Err(OpenError::Older { path, found, known }),
        // A writer that has made the file and not yet its schema.
        Version::Empty => Err(OpenError::Missing { path }),
        Version::Foreign => Err(OpenError::NotOurs { path }),
    }
}

/// A store's file at any place, read only; also one of an older schema.
pub(super) fn open_file(path: &Path) -> Result<Connection, OpenError> {
    let of = |error| of_sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(of)?;
    let known = MIGRATIONS.len();
    match Version::of(&connection).map_err(of)? {
        Version::Ours(found) if found > known => {
            let made_by = made_by(&connection);
            Err(OpenError::Newer { path: path.to_owned(), found, known, made_by })
        }
        Version::Ours(_) => Ok(connection),
        Version::Empty | Version::Foreign => Err(OpenError::NotOurs { path: path.to_owned() }),
    }
}

pub(super) fn make_folder(folder: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| OpenError::Folder { path: folder.to_owned(), error })
}

fn prepare(connection: &Connection, busy: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy)?;
    // Before anything is written: a file that is not ours must stay as it is.
    match Version::of(connection)? {
        Version::Foreign => return Ok(()),
        // They count before the first page is written, and not after.
        Version::Empty => {
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        }
        Version::Ours(found) if found > MIGRATIONS.len() => return Ok(()),
        Version::Ours(_) => {}
    }
    // Without a sync at each commit, a power cut may lose the last moments, and never the file.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Always: a table that grows leaves a copy of its first rows in its root, where no deletion finds them.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "temp_store", "memory")
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let of = |error| of_sqlite(path, error);
    let known = MIGRATIONS.len();
    // The lock first: two processes may find the file empty at once.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    let found = match Version::of(&transaction).map_err(of)? {
        Version::Ours(found) if found > known => {
            let made_by = made_by(&transaction);
            return Err(OpenError::Newer { path: path.to_owned(), found, known, made_by });
        }
        Version::Ours(found) => found,
        Version::Empty => 0,
        Version::Foreign => return Err(OpenError::NotOurs { path: path.to_owned() }),
    };
    if found == known {
        return Ok(());
    }
    for migration in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(migration.sql).map_err(of)?;
        if let Some(then) = migration.then {
            then(&transaction).map_err(of)?;
        }
    }
    facts::put(&transaction, MADE_BY, env!("CARGO_PKG_VERSION").as_bytes()).map_err(of)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(of)?;
    transaction
        .pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))
        .map_err(of)?;
    transaction.commit().map_err(of)
}

/// The version of the program that last changed the schema, where the file tells it.
fn made_by(connection: &Connection) -> Option<String> {
    let bytes = facts::get(connection, MADE_BY).ok().flatten()?;
    String::from_utf8(bytes).ok()
}

/// Whose file it is.
enum Version {
    Empty,
    /// With the number of migrations it has seen.
    Ours(usize),
    Foreign,
}

impl Version {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) = (pragma("application_id")?, pragma("user_version")?);
        if application == i64::from(APPLICATION_ID) {
            return Ok(Self::Ours(usize::try_from(version).unwrap_or_default()));
        }
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        Ok(if (application, version, tables) == (0, 0, 0) { Self::Empty } else { Self::Foreign })
    }
}

fn of_sqlite(path: &Path, error: rusqlite::Error) -> OpenError {
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return OpenError::NotOurs { path: path.to_owned() };
    }
    OpenError::Sqlite { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_store_is_private_and_in_wal_mode_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a/b");
        let writer = open_writer(&place, BUSY).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join(FILE))), (0o700, 0o600));
        let text = |name| writer.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        assert_eq!(text("journal_mode").unwrap(), "wal");
        let number = |name| writer.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(number("synchronous").unwrap(), 1);
        assert_eq!(number("foreign_keys").unwrap(), 1);
        assert_eq!(number("auto_vacuum").unwrap(), INCREMENTAL);
        assert_eq!(mode(&place.join("pinhole.db-wal")), 0o600);
        let again = open_writer(&place, BUSY);
        assert!(again.is_ok(), "{again:?}");
        assert!(open_reader(&place).is_ok());
    }

    #[test]
    fn what_is_not_ours_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let refused = |words: &str| {
            let before = std::fs::read(&path).unwrap();
            let told = open_writer(folder.path(), BUSY).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
            assert!(!told.ends_with('.') && told.contains("--data-dir"), "{told}");
            assert_eq!(std::fs::read(&path).unwrap(), before);
            let read = open_reader(folder.path()).unwrap_err().to_string();
            assert!(read.contains(words), "{read}");
        };
        std::fs::write(&path, "not a database at all, but long enough to be looked at".repeat(40))
            .unwrap();
        refused("is not a store of pinhole");
        std::fs::remove_file(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE theirs (a)").unwrap();
        drop(other);
        refused("is not a store of pinhole");
        std::fs::remove_file(&path).unwrap();
        open_writer(folder.path(), BUSY).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let made_by = env!("CARGO_PKG_VERSION");
        refused(&format!(
            "has schema 99, made by pinhole {made_by}, this program ({made_by}) knows up to 4"
        ));
    }

    #[test]
    fn a_missing_store_and_a_bad_folder_name_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let told = open_reader(folder.path()).unwrap_err().to_string();
        assert!(told.contains("there is no store at"), "{told}");
        std::fs::write(folder.path().join("file"), "").unwrap();
        let told = open_writer(&folder.path().join("file/in"), BUSY).unwrap_err().to_string();
        assert!(told.contains("cannot be made") && told.contains("server.data_dir"), "{told}");
    }
}
