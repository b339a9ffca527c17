//! What an error of SQLite says of the disk, of other processes and of the connection.

use rusqlite::ErrorCode as Code;

/// Whether the disk or another process is at fault, and what is written does not matter.
pub(super) fn is_of_the_disk(error: &rusqlite::Error) -> bool {
    let of_the_disk = [
        Code::DatabaseBusy,
        Code::DatabaseLocked,
        Code::DiskFull,
        Code::SystemIoFailure,
        Code::CannotOpen,
        Code::ReadOnly,
        Code::PermissionDenied,
        Code::NotADatabase,
        Code::OutOfMemory,
    ];
    error.sqlite_error_code().is_some_and(|code| of_the_disk.contains(&code))
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(Code::DatabaseBusy | Code::DatabaseLocked))
}

pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(Code::DiskFull)
}

/// Busy and full pass by themselves; what is left may come from a file that was moved or broken.
pub(super) fn needs_new_connection(error: &rusqlite::Error) -> bool {
    !is_busy(error) && !is_full(error)
}
