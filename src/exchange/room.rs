//! Memory for what is kept of running exchanges, gateway-wide: prompts and answers, until they have been read.
//!
//! Past the bound nothing waits: new prompts are not kept, and of answers only the ends are, which hold the usage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Reservations are made in steps, so that a small frame costs no shared counter.
const STEP: usize = 4 * 1024;

/// The room that all exchanges share.
#[derive(Debug)]
pub struct Room {
    /// Limit: bytes held at once.
    bytes_max: usize,
    held: AtomicUsize,
    /// Exchanges that asked for more than there was.
    refused: AtomicU64,
}

impl Room {
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: AtomicUsize::new(0), refused: AtomicU64::new(0) })
    }

    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How often something was not kept for want of room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// One exchange's share of the room; given back when the exchange is let go.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    reserved: usize,
    used: usize,
}

impl Share {
    pub fn new(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), reserved: 0, used: 0 }
    }

    /// Makes room for `bytes` more of what is wanted only perhaps: such things may take half of the room.
    pub fn grow_perhaps(&mut self, bytes: usize) -> bool {
        self.room.held_bytes() + bytes <= self.room.bytes_max / 2 && self.grow(bytes)
    }

    /// Gives back what was reserved for `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        let kept = self.used.next_multiple_of(STEP);
        if kept < self.reserved {
            self.room.held.fetch_sub(self.reserved - kept, Ordering::Relaxed);
            self.reserved = kept;
        }
    }

    /// Makes room for `bytes` more; false, and nothing changed, when there is none.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let wanted = self.used + bytes;
        if wanted <= self.reserved {
            self.used = wanted;
            return true;
        }
        let more = (wanted - self.reserved).next_multiple_of(STEP);
        let before = self.room.held.fetch_add(more, Ordering::Relaxed);
        if before + more > self.room.bytes_max {
            self.room.held.fetch_sub(more, Ordering::Relaxed);
            self.room.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.reserved += more;
        self.used = wanted;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.reserved > 0 {
            self.room.held.fetch_sub(self.reserved, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_room_and_are_given_back() {
        let room = Room::new(3 * STEP);
        let (mut one, mut two) = (Share::new(&room), Share::new(&room));
        assert!(one.grow(STEP) && one.grow(1), "a second step");
        assert!(one.grow(STEP - 1), "within what is reserved");
        assert!(two.grow(10));
        assert!(!two.grow(STEP), "no fourth step");
        assert_eq!((room.held_bytes(), room.refused()), (3 * STEP, 1));
        one.shrink(STEP);
        assert!(two.grow(STEP), "there is room again");
        assert!(!Share::new(&room).grow_perhaps(1), "the rest is not for what is wanted perhaps");
        drop(one);
        drop(two);
        assert_eq!(room.held_bytes(), 0);
    }
}
