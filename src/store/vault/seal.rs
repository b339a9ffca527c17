//! Encryption at rest: AES-256-GCM over each blob of headers, bodies and dictionaries, after compression.
//!
//! A sealed blob is a version byte, a random nonce of 12 bytes, the ciphertext, and a tag of 16 bytes. The number of the
//! exchange and the part go into the tag, so that a blob opens at its own place alone. The key is derived from the
//! configured secret and a salt of the store's own, so that one secret in two stores is two keys.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rusqlite::Connection;

use crate::base::secret::Secret;
use crate::store::db::{self, OpenError};
use crate::store::facts;
use crate::store::vault::{Part, Seal};

/// The salt that the key is derived with.
const SALT: &str = "encryption_salt";
/// A known text, sealed: opens with the right key and with no other.
const PROOF: &str = "encryption_proof";
const PROVED: &[u8] = b"pinhole";
const PROOF_SEQ: i64 = -1;
/// The first byte of every sealed blob.
const VERSION: u8 = 1;
/// Says what the key is for; part of how keys are derived, never changed.
const CONTEXT: &str = "pinhole 2026 encryption of headers and bodies at rest";

/// Why the store's bodies cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(
        "the bodies in {folder} are encrypted and no key is given; set capture.encryption_key to the key they were \
         encrypted with"
    )]
    NoKey { folder: String },
    #[error(
        "capture.encryption_key is not the key that the bodies in {folder} are encrypted with; give that one, or choose \
         another folder with server.data_dir (--data-dir)"
    )]
    WrongKey { folder: String },
    #[error("the key for the bodies in {folder} cannot be made; is the system out of memory?")]
    Unusable { folder: String },
}

impl SealError {
    /// Bodies of this folder are asked for, and there is no key.
    pub fn no_key(folder: &Path) -> Self {
        Self::NoKey { folder: folder.display().to_string() }
    }
}

/// A key for one store.
pub struct AesSeal(LessSafeKey);

impl AesSeal {
    /// `None`: the key cannot be made.
    pub fn new(secret: &Secret, salt: &[u8; 32]) -> Option<Self> {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(salt).update(secret.reveal().as_bytes());
        let key = UnboundKey::new(&AES_256_GCM, hasher.finalize().as_bytes()).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }
}

impl fmt::Debug for AesSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesSeal(…)")
    }
}

impl Seal for AesSeal {
    /// Nothing at all where the system has no random numbers: what cannot be sealed is not stored.
    fn seal(&self, plain: &[u8], seq: i64, part: Part) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        if aws_lc_rs::rand::fill(&mut nonce).is_err() {
            return Vec::new();
        }
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        let head = sealed.len();
        sealed.extend_from_slice(plain);
        let Some(text) = sealed.get_mut(head..) else { return Vec::new() };
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.seal_in_place_separate_tag(nonce, Aad::from(place(seq, part)), text) {
            Ok(tag) => {
                sealed.extend_from_slice(tag.as_ref());
                sealed
            }
            Err(_) => Vec::new(),
        }
    }

    fn open(&self, sealed: &[u8], seq: i64, part: Part) -> Option<Vec<u8>> {
        let (&VERSION, rest) = sealed.split_first()? else { return None };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length =
            self.0.open_in_place(nonce, Aad::from(place(seq, part)), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

/// The place a blob belongs to, as the tag covers it.
fn place(seq: i64, part: Part) -> [u8; 9] {
    let part = match part {
        Part::Content => 0,
        Part::Rest => 1,
        Part::Dictionary => 2,
    };
    let mut place = [part; 9];
    if let Some(number) = place.last_chunk_mut::<8>() {
        *number = seq.to_le_bytes();
    }
    place
}

/// What opens the bodies of this process's store.
static IN_FORCE: LazyLock<ArcSwapOption<AesSeal>> = LazyLock::new(ArcSwapOption::empty);

/// The seal that was made last; `None`: blobs are in clear.
pub fn in_force() -> Option<Arc<dyn Seal>> {
    IN_FORCE.load_full().map(|seal| seal as Arc<dyn Seal>)
}

/// Makes the store's seal and puts it in force. The first key that comes is the store's from then on; a store that has
/// one cannot be written with another, or with none.
pub fn for_writing(
    folder: &Path,
    secret: Option<&Secret>,
) -> Result<Option<Arc<dyn Seal>>, SealError> {
    let connection = db::open_writer(folder, db::BUSY)?;
    made(&connection, folder, secret, true)
}

/// The same for reading, where nothing is made; without a key what is in clear can be read.
pub fn for_reading(
    folder: &Path,
    secret: Option<&Secret>,
) -> Result<Option<Arc<dyn Seal>>, SealError> {
    let connection = db::open_reader(folder)?;
    match made(&connection, folder, secret, false) {
        Err(SealError::NoKey { .. }) => Ok(None),
        made => made,
    }
}

/// Whether a key is needed to read the bodies.
pub fn is_sealed(folder: &Path) -> Result<bool, OpenError> {
    let connection = db::open_reader(folder)?;
    let failed = |error| OpenError::Sqlite { path: folder.join(db::FILE), error };
    needs_key(&connection).map_err(failed)
}

/// The same of a store that is open.
pub(in crate::store) fn needs_key(connection: &Connection) -> rusqlite::Result<bool> {
    facts::get(connection, PROOF).map(|proof| proof.is_some())
}

fn made(
    connection: &Connection,
    folder: &Path,
    secret: Option<&Secret>,
    writes: bool,
) -> Result<Option<Arc<dyn Seal>>, SealError> {
    let failed = |error| SealError::Open(OpenError::Sqlite { path: folder.join(db::FILE), error });
    let name = || folder.display().to_string();
    let proof = facts::get(connection, PROOF).map_err(failed)?;
    let Some(secret) = secret else {
        IN_FORCE.store(None);
        return if proof.is_some() { Err(SealError::no_key(folder)) } else { Ok(None) };
    };
    let salt = match (facts::get(connection, SALT).map_err(failed)?, writes) {
        (Some(salt), _) => salt.try_into().map_err(|_| SealError::WrongKey { folder: name() })?,
        (None, true) => facts::made_once(connection, SALT).map_err(failed)?,
        // Nothing was ever encrypted.
        (None, false) => return Ok(None),
    };
    let seal = AesSeal::new(secret, &salt).ok_or_else(|| SealError::Unusable { folder: name() })?;
    match proof {
        Some(proof) if seal.open(&proof, PROOF_SEQ, Part::Rest).as_deref() != Some(PROVED) => {
            return Err(SealError::WrongKey { folder: name() });
        }
        None if writes => {
            let proof = seal.seal(PROVED, PROOF_SEQ, Part::Rest);
            facts::put(connection, PROOF, &proof).map_err(failed)?;
        }
        Some(_) | None => {}
    }
    let seal = Arc::new(seal);
    IN_FORCE.store(Some(Arc::clone(&seal)));
    Ok(Some(seal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn what_is_sealed_opens_at_its_own_place_alone() {
        let seal = AesSeal::new(&secret("correct horse battery"), &[1; 32]).unwrap();
        let long = vec![7; 100_000];
        for plain in [&b""[..], b"x", &long] {
            let sealed = seal.seal(plain, 5, Part::Content);
            assert_eq!(seal.open(&sealed, 5, Part::Content).as_deref(), Some(plain));
            assert_ne!(sealed, seal.seal(plain, 5, Part::Content), "a nonce of its own");
            assert_eq!(seal.open(&sealed, 6, Part::Content), None);
            assert_eq!(seal.open(&sealed, 5, Part::Rest), None);
            for at in [0, 1, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(seal.open(&changed, 5, Part::Content), None, "{at}");
            }
            for end in 0..sealed.len().min(40) {
                assert_eq!(seal.open(&sealed[..end], 5, Part::Content), None, "cut at {end}");
            }
        }
        for (other, salt) in [("another", 1), ("correct horse battery", 2)] {
            let other = AesSeal::new(&secret(other), &[salt; 32]).unwrap();
            let sealed = seal.seal(b"text", 1, Part::Rest);
            assert_eq!(other.open(&sealed, 1, Part::Rest), None);
        }
        assert_eq!(format!("{seal:?}"), "AesSeal(…)");
    }

    #[test]
    fn a_store_takes_the_first_key_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(for_writing(path, None).unwrap().is_none());
        assert!(
            for_reading(path, Some(&secret("early"))).unwrap().is_none(),
            "nothing is sealed yet"
        );
        let seal = for_writing(path, Some(&secret("the key"))).unwrap().unwrap();
        let sealed = seal.seal(b"text", 1, Part::Rest);
        for again in [
            for_writing(path, Some(&secret("the key"))),
            for_reading(path, Some(&secret("the key"))),
        ] {
            assert_eq!(
                again.unwrap().unwrap().open(&sealed, 1, Part::Rest).as_deref(),
                Some(&b"text"[..])
            );
        }
        assert!(in_force().is_some());
        for wrong in
            [for_writing(path, Some(&secret("wrong"))), for_reading(path, Some(&secret("wrong")))]
        {
            assert!(wrong.unwrap_err().to_string().contains("is not the key"));
        }
        assert!(
            for_writing(path, None).unwrap_err().to_string().contains("set capture.encryption_key")
        );
        assert!(for_reading(path, None).unwrap().is_none(), "records can be read");
    }
}
