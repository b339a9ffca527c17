//! A fast digest of bytes for tables in memory: 16 bytes a multiplication, keyed anew in each process so that nobody can
//! aim at collisions. Not for anything that outlives the process, and not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Made once a process, of the standard library's random keys.
static KEYS: LazyLock<[u64; 2]> = LazyLock::new(|| {
    let keys = RandomState::new();
    [keys.hash_one(1_u8), keys.hash_one(2_u8)]
});

/// A digest under way. Pieces are told apart by their lengths: `ab` + `c` is not `a` + `bc`.
#[derive(Debug, Clone)]
pub struct Fold {
    state: u64,
    keys: [u64; 2],
}

impl Default for Fold {
    fn default() -> Self {
        let keys = *KEYS;
        Self { state: keys[0], keys }
    }
}

impl Fold {
    /// Takes in a piece.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<16>();
        let mut state = self.state;
        for block in blocks {
            let block = u128::from_le_bytes(*block);
            state = mix((block as u64) ^ state, ((block >> 64) as u64) ^ self.keys[1]);
        }
        let mut last = [0; 16];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        let last = u128::from_le_bytes(last);
        state = mix((last as u64) ^ state, ((last >> 64) as u64) ^ self.keys[0]);
        self.state = mix(state ^ self.keys[0], bytes.len() as u64 ^ self.keys[1]);
    }

    /// Takes in a number, such as another digest.
    #[inline]
    pub fn number(&mut self, number: u64) {
        self.state = mix(self.state ^ number, self.keys[1]);
    }

    pub fn end(&self) -> u64 {
        self.state
    }
}

/// The digest of a list of pieces.
pub fn of(pieces: &[&[u8]]) -> u64 {
    let mut fold = Fold::default();
    for piece in pieces {
        fold.bytes(piece);
    }
    fold.end()
}

/// Both halves of the product, folded together.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hashes keys that are digests already.
#[derive(Debug, Default, Clone, Copy)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = of(&[bytes]);
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn digests_tell_contents_lengths_and_cuts_apart() {
        let mut seen = HashSet::new();
        for length in 0..100_usize {
            let text: Vec<u8> = (0..length).map(|n| n as u8 + 1).collect();
            assert!(seen.insert(of(&[&text])), "{length} bytes");
            assert!(seen.insert(of(&[&vec![0; length + 1]])), "{length} zeroes and one");
            for at in 0..length {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(seen.insert(of(&[&other])), "{length} bytes, changed at {at}");
            }
        }
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
    }
}
