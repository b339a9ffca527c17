//! Exchange ids: UUIDv7, made without a system call, ordered within a thread below the millisecond.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// The id of one exchange: the same in the response header, the log line, the span and the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(uuid::Uuid);

impl ExchangeId {
    /// A new id for the wall-clock instant `wall_us` (microseconds since 1970).
    pub fn new(wall_us: u64) -> Self {
        // RFC 9562, method 3: the 12 bits after the millisecond carry its fraction, so ids sort by time.
        let millis = wall_us / 1_000;
        let fraction = ((wall_us % 1_000) * 4096 / 1_000) as u16;
        let random = next_random();
        let mut tail = [0u8; 10];
        tail[..2].copy_from_slice(&fraction.to_be_bytes());
        tail[2..].copy_from_slice(&random.to_be_bytes());
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The 16 bytes the store keeps.
    pub fn bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// What [`ExchangeId::bytes`] gave.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// Reads the 36 characters.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }

    /// The least bytes that an id of the instant `wall_us` or later has: ids are ranges of time.
    pub fn floor(wall_us: u64) -> [u8; 16] {
        let fraction = ((wall_us % 1_000) * 4096 / 1_000) as u16;
        let mut tail = [0u8; 10];
        tail[..2].copy_from_slice(&fraction.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(wall_us / 1_000, &tail).into_uuid().into_bytes()
    }

    /// Writes the 36 characters into `buffer` and returns them.
    pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

thread_local! {
    /// Seeded once a thread from the standard library's per-process random keys.
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(std::thread::current().id()) | 1);
}

/// 64 random bits for ids and jitter; not for secrets.
pub fn next_random() -> u64 {
    STATE.with(|state| {
        // splitmix64: full period, passes the usual statistical batteries, four operations.
        let next = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.set(next);
        let mut mixed = next;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_do_not_repeat() {
        let ids: Vec<ExchangeId> =
            (0..1_000).map(|i| ExchangeId::new(1_700_000_000_000_000 + i)).collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, ids);
        assert_eq!(ids[0].to_string().len(), 36);
        assert_eq!(&ids[0].to_string()[14..15], "7", "the version nibble says UUIDv7");
    }

    #[test]
    fn bytes_are_in_the_order_of_time() {
        let at = 1_700_000_000_000_123;
        let id = ExchangeId::new(at);
        assert_eq!(ExchangeId::from_bytes(id.bytes()), id);
        assert_eq!(ExchangeId::parse(&id.to_string()), Some(id));
        assert_eq!(ExchangeId::parse("no id"), None);
        assert!(ExchangeId::floor(at) <= id.bytes() && id.bytes() < ExchangeId::floor(at + 1));
    }

    #[test]
    fn same_instant_gives_different_ids() {
        assert_ne!(ExchangeId::new(5), ExchangeId::new(5));
    }
}
