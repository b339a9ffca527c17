//! What somebody who watches a running exchange sees of its answer. The exchange's own task publishes it, piece by piece, and
//! only while it is watched.

use bytes::Bytes;

use crate::exchange::frames::{Arrivals, Frames};

/// Limit: bytes of an answer that are published; a longer one is seen by its beginning.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Who has not asked for this long watches no more.
pub const ASKED_US: u64 = 30_000_000;

/// An answer so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The attempt whose answer it is, from 1; 0: nothing was published yet.
    pub attempt: usize,
    pub status: Option<u16>,
    pub coding: Option<String>,
    /// It is a stream of events.
    pub events: bool,
    pub arrivals: Arrivals,
    /// From the front, without a hole.
    pub bytes: Vec<u8>,
    /// Bytes that are not there.
    pub cut_bytes: u64,
    /// Bodies of this exchange are not kept, so they are not shown either.
    pub is_withheld: bool,
}

impl Seen {
    /// Brings it up to date; `frames` holds the last piece, `data`, already. Whether that piece is the one that is missing
    /// is seen by their number: if not, all is copied anew.
    pub fn follow(&mut self, attempt: usize, frames: &Frames, data: &Bytes, at_us: u64) {
        let pieces = frames.table.len() as u64 + frames.untabled;
        let own = self.arrivals.table.len() as u64 + self.arrivals.untabled;
        if self.attempt != attempt || own + 1 != pieces {
            self.attempt = attempt;
            self.arrivals = Arrivals { table: frames.table.clone(), untabled: frames.untabled };
            self.bytes = if self.is_withheld { Vec::new() } else { frames.beginning(BYTES_MAX) };
            self.cut_bytes = frames.bytes - self.bytes.len() as u64;
            return;
        }
        self.arrivals.push(at_us, data.len());
        let room = BYTES_MAX.saturating_sub(self.bytes.len());
        let taken = if self.is_withheld || self.cut_bytes > 0 { 0 } else { room.min(data.len()) };
        self.bytes.extend_from_slice(data.get(..taken).unwrap_or_default());
        self.cut_bytes += (data.len() - taken) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::frames::Extent;

    fn push(seen: &mut Seen, frames: &mut Frames, attempt: usize, at_us: u64, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        frames.push(at_us, &data);
        seen.follow(attempt, frames, &data, at_us);
    }

    #[test]
    fn whoever_comes_late_gets_the_beginning_first() {
        let mut frames = Frames::new(Extent::Body);
        frames.push(1, &Bytes::from_static(b"one "));
        frames.push(2, &Bytes::from_static(b"two "));
        let mut seen = Seen::default();
        push(&mut seen, &mut frames, 1, 3, b"three ");
        push(&mut seen, &mut frames, 1, 4, b"four");
        assert_eq!(seen.bytes, b"one two three four");
        assert_eq!(seen.arrivals.table, [(1, 4), (2, 4), (3, 6), (4, 4)]);
        let mut other = Frames::new(Extent::Body);
        push(&mut seen, &mut other, 2, 9, b"again");
        assert_eq!((seen.attempt, seen.bytes.as_slice()), (2, b"again".as_slice()));
    }

    #[test]
    fn it_is_bounded_and_never_has_a_hole() {
        let mut frames = Frames::new(Extent::Body);
        let mut seen = Seen::default();
        let piece = vec![b'x'; BYTES_MAX / 3];
        for at in 0..5 {
            push(&mut seen, &mut frames, 1, at, &piece);
        }
        assert_eq!(seen.bytes.len(), BYTES_MAX);
        assert_eq!(seen.cut_bytes, frames.bytes - BYTES_MAX as u64);
        assert_eq!(seen.arrivals.table.len(), 5);
        let mut hidden = Seen { is_withheld: true, ..Seen::default() };
        push(&mut hidden, &mut frames, 1, 6, b"secret");
        push(&mut hidden, &mut frames, 1, 7, b"secret");
        assert!(hidden.bytes.is_empty());
        assert_eq!((hidden.arrivals.table.len(), hidden.cut_bytes), (7, frames.bytes));
    }
}
