//! Bodies that cannot be stored, apart from those that can: what is wrong with one exchange does not lose the others of its
//! batch.

use rusqlite::Connection;

use crate::store::fault::is_of_the_disk;
use crate::store::vault::Kept;

/// Stores the bodies of one exchange. `None`: that cannot be done, and nothing of it is there.
pub(super) fn alone(
    connection: &Connection,
    store: &mut dyn FnMut() -> rusqlite::Result<Kept>,
) -> rusqlite::Result<Option<Kept>> {
    connection.execute_batch("SAVEPOINT bodies")?;
    let stored = store();
    if let Err(error) = &stored
        && !is_of_the_disk(error)
    {
        connection.execute_batch("ROLLBACK TO bodies; RELEASE bodies")?;
        tracing::error!(%error, "the bodies of an exchange cannot be stored; its record is");
        return Ok(None);
    }
    let stored = stored?;
    connection.execute_batch("RELEASE bodies")?;
    Ok(Some(stored))
}
