//! A value that never prints: no `Display`, no `Serialize`, a masked `Debug`.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A credential. [`Secret::reveal`] is the only way to its text, so that uses can be found by name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps `text`; surrounding white space is not part of a credential.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text.trim()))
    }

    /// A new one, of 256 bits from the system.
    pub fn random() -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut bytes = [0u8; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self::new(&blake3::hash(&bytes).to_hex()))
    }

    /// The text itself, for the wire.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in time that depends on nothing but the length of a fixed digest.
    pub fn matches(&self, candidate: &str) -> bool {
        let own = blake3::hash(self.0.as_bytes());
        let other = blake3::hash(candidate.as_bytes());
        own.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        let secret = Secret::new(" sk-live-1234 ");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(secret.matches("sk-live-1234"));
        assert!(!secret.matches("sk-live-12345"));
    }
}
