//! The key under which this store's secrets are digested in placeholders: equal ones look equal here and nowhere else.

use std::path::Path;

use crate::store::db::{self, OpenError};
use crate::store::facts::made_once;

/// The key under which this store's secrets are digested in placeholders.
const DIGEST_KEY: &str = "digest_key";

/// The store's own key of digests, made with the store. Makes the store where there is none.
pub fn digest_key(folder: &Path) -> Result<[u8; 32], OpenError> {
    let connection = db::open_writer(folder, db::BUSY)?;
    let failed = |error| OpenError::Sqlite { path: folder.join(db::FILE), error };
    made_once(&connection, DIGEST_KEY).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::facts::{get, put};

    #[test]
    fn each_store_has_one_key_of_its_own() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = digest_key(one.path()).unwrap();
        assert_eq!(key, digest_key(one.path()).unwrap());
        assert_ne!(key, digest_key(other.path()).unwrap());
        let connection = db::open_writer(one.path(), db::BUSY).unwrap();
        assert_eq!(get(&connection, DIGEST_KEY).unwrap().as_deref(), Some(key.as_slice()));
        assert_eq!(get(&connection, "x").unwrap(), None);
        put(&connection, "x", b"1").unwrap();
        put(&connection, "x", b"2").unwrap();
        assert_eq!(get(&connection, "x").unwrap().as_deref(), Some(b"2".as_slice()));
    }
}
