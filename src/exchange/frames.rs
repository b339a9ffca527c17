//! Arrival of an answer's body: when each piece came, how long it was, and its bytes for reading them later.
//!
//! Small pieces are copied, because a reference would hold the whole read buffer that a 200-byte event came in. Large
//! ones are kept as references: copying a quarter of a megabyte costs more than all the rest of the gateway's work.

use bytes::Bytes;

/// Limit: rows of the table; later pieces are only counted.
pub const TABLE_MAX: usize = 65_536;
/// Limit: bytes kept from the front. The piece that goes over it is still kept whole.
pub const HEAD_MAX: usize = 1024 * 1024;
/// Limit: bytes kept from the end, once the front is full.
pub const TAIL_MAX: usize = 64 * 1024;
/// Limit: bytes kept from the front where what matters stands at the end and nothing before it can be left out: inside a
/// content coding, and in the results of a batch.
pub const HEAD_WIDE_MAX: u64 = 32 * 1024 * 1024;
/// Limit: bytes kept from the end once there was no room for more.
const TAIL_SHED_MAX: usize = 16 * 1024;
/// Pieces from this length on are kept as references.
const LARGE: usize = 4_096;
/// How much of the end tells whether an answer is over.
const ENDING: usize = 1_024;

/// Limit: bytes of a body that are kept, where bodies are.
pub const BODY_MAX: usize = 64 * 1024 * 1024;

/// How much of an answer is kept for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Extent {
    /// As much as tells an id at its beginning and whether it ended: nobody is going to read the rest.
    Ends,
    /// As much as its numbers may stand in.
    #[default]
    Whole,
    /// Every byte: it is going to be stored.
    Body,
}

impl Extent {
    fn head_max(self) -> u64 {
        match self {
            Self::Body => BODY_MAX as u64,
            Self::Whole => HEAD_MAX as u64,
            Self::Ends => 2 * 1024,
        }
    }

    fn tail_max(self) -> usize {
        match self {
            Self::Body | Self::Whole => TAIL_MAX,
            Self::Ends => ENDING,
        }
    }
}

/// When pieces came or went, and how long they were.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// (offset from the exchange's start in µs, length). Limit: [`TABLE_MAX`] rows.
    pub table: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    pub untabled: u64,
}

impl Arrivals {
    pub fn push(&mut self, at_us: u64, length: usize) {
        if self.table.len() < TABLE_MAX {
            self.table.push((at_us, u32::try_from(length).unwrap_or(u32::MAX)));
        } else {
            self.untabled += 1;
        }
    }
}

/// The pieces of one answer.
#[derive(Debug, Default)]
pub struct Frames {
    extent: Extent,
    /// (offset from the exchange's start in µs, length).
    pub table: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    pub untabled: u64,
    pub bytes: u64,
    /// The first `head_pieces` pieces, in order: small ones end to end here …
    small: Vec<u8>,
    /// … and large ones here. A piece's length says which.
    large: Vec<Bytes>,
    head_pieces: usize,
    head_bytes: u64,
    /// Of a body that is to be stored: what came behind the head once the table was full, in one piece without times.
    untimed: Vec<u8>,
    /// Only the end is kept: set by `shed`.
    ends_only: bool,
    /// Up to [`HEAD_WIDE_MAX`] are kept from the front.
    wide: bool,
    /// What came after the head was full: the last bytes; holds up to twice its limit before it is cut.
    tail: Vec<u8>,
}

impl Frames {
    pub fn new(extent: Extent) -> Self {
        Self { extent, ..Self::default() }
    }

    /// Keeps more of the front, where the whole is needed to read any of it.
    pub fn keep_whole(&mut self) {
        self.wide = self.extent == Extent::Whole;
    }

    /// Notes one piece of the answer.
    pub fn push(&mut self, at_us: u64, data: &Bytes) {
        self.bytes += data.len() as u64;
        if self.ends_only && self.table.len() >= 2 {
            // Nobody can place these in time any more, but for the last.
            self.table.pop();
            self.untabled += 1;
        }
        let tabled = self.table.len() < TABLE_MAX;
        if tabled {
            self.table.push((at_us, u32::try_from(data.len()).unwrap_or(u32::MAX)));
        } else {
            self.untabled += 1;
        }
        // Once a piece is not kept, none after it is: the head has no holes.
        let unbroken = self.head_bytes + data.len() as u64 == self.bytes;
        if tabled && unbroken && self.keeps_head() {
            self.head_bytes += data.len() as u64;
            self.head_pieces += 1;
            if data.len() < LARGE {
                self.small.extend_from_slice(data);
            } else {
                self.large.push(data.clone());
            }
            return;
        }
        if !tabled && self.extent == Extent::Body && self.keeps_head() {
            let before = self.bytes - data.len() as u64;
            if self.front_bytes() == before {
                self.untimed.extend_from_slice(data);
                return;
            }
        }
        let tail_max = self.tail_max();
        let last = data.get(data.len().saturating_sub(tail_max)..).unwrap_or_default();
        self.tail.extend_from_slice(last);
        if self.tail.len() > 2 * tail_max {
            self.tail.drain(..self.tail.len() - tail_max);
        }
    }

    /// Whether the next piece takes memory that was not taken before.
    pub fn grows(&self) -> bool {
        self.keeps_head() && (self.table.len() < TABLE_MAX || self.extent == Extent::Body)
    }

    /// Whether the next piece may still be kept as part of the front.
    fn keeps_head(&self) -> bool {
        let head_max = if self.wide { HEAD_WIDE_MAX } else { self.extent.head_max() };
        !self.ends_only && self.front_bytes() < head_max
    }

    /// Bytes kept from the front, with times and without.
    fn front_bytes(&self) -> u64 {
        self.head_bytes + self.untimed.len() as u64
    }

    /// The pieces from the front that were kept, each with its arrival.
    pub fn head(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut small = self.small.as_slice();
        let mut large = self.large.iter();
        self.table.iter().take(self.head_pieces).map(move |(at, length)| {
            let length = *length as usize;
            if length >= LARGE {
                return (*at, large.next().map(Bytes::as_ref).unwrap_or_default());
            }
            let (piece, rest) = small.split_at(length.min(small.len()));
            small = rest;
            (*at, piece)
        })
    }

    /// Bytes between the head and the tail that were not kept.
    pub fn missing_bytes(&self) -> u64 {
        self.bytes - self.front_bytes() - self.tail().len() as u64
    }

    /// The last bytes, when the head does not hold the whole answer.
    pub fn tail(&self) -> &[u8] {
        let start = self.tail.len().saturating_sub(self.tail_max());
        self.tail.get(start..).unwrap_or_default()
    }

    /// What follows the head without a hole and has no times.
    pub fn untimed(&self) -> &[u8] {
        &self.untimed
    }

    /// The tail in the pieces that it came in, each with its arrival; in one, with the last arrival, where the table does
    /// not reach that far.
    pub fn tail_pieces(&self) -> Vec<(u64, &[u8])> {
        let tail = self.tail();
        if self.untabled > 0 {
            return vec![(self.last_us().unwrap_or_default(), tail)];
        }
        let mut pieces = Vec::new();
        let mut rest = tail;
        for (at, length) in self.table.iter().rev() {
            if rest.is_empty() {
                break;
            }
            let (before, piece) = rest.split_at(rest.len().saturating_sub(*length as usize));
            pieces.push((*at, piece));
            rest = before;
        }
        pieces.reverse();
        pieces
    }

    fn tail_max(&self) -> usize {
        if self.ends_only {
            TAIL_SHED_MAX.min(self.extent.tail_max())
        } else {
            self.extent.tail_max()
        }
    }

    /// Lets go of the front and keeps the end: what an overloaded gateway can still count usage from. Gives the bytes that
    /// were let go.
    pub fn shed(&mut self) -> usize {
        let freed = usize::try_from(self.front_bytes()).unwrap_or(usize::MAX);
        self.ends_only = true;
        if freed == 0 {
            return 0;
        }
        let mut end = self.last(self.tail_max());
        std::mem::swap(&mut self.tail, &mut end);
        (self.small, self.large, self.untimed) = (Vec::new(), Vec::new(), Vec::new());
        (self.head_pieces, self.head_bytes) = (0, 0);
        freed
    }

    /// Bytes of memory that the kept pieces take.
    pub fn kept_bytes(&self) -> usize {
        let large: usize = self.large.iter().map(Bytes::len).sum();
        self.small.len() + large + self.untimed.len() + self.tail.len()
    }

    /// The whole answer in one piece, when all of it was kept.
    pub fn whole(&self) -> Option<Vec<u8>> {
        (self.missing_bytes() == 0).then(|| {
            let mut all = self.kept_front(self.bytes as usize);
            all.extend_from_slice(self.tail());
            all
        })
    }

    /// All that is kept of the front, with room for `capacity` bytes.
    fn kept_front(&self, capacity: usize) -> Vec<u8> {
        let mut front = Vec::with_capacity(capacity);
        self.head().for_each(|(_, piece)| front.extend_from_slice(piece));
        front.extend_from_slice(&self.untimed);
        front
    }

    /// Every byte of the front, and how many bytes that is short of the whole; `None` when there was no room for it.
    pub fn body(&self) -> Option<(Vec<u8>, u64)> {
        if let Some(whole) = self.whole() {
            return Some((whole, 0));
        }
        if self.ends_only || self.extent != Extent::Body {
            return None;
        }
        let front = self.kept_front(self.front_bytes() as usize);
        let missing = self.bytes - front.len() as u64;
        Some((front, missing))
    }

    /// What it is kept for.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The first `length` bytes, where all of them were kept.
    pub fn front(&self, length: u64) -> Option<Vec<u8>> {
        let wanted = usize::try_from(length).ok()?;
        if length <= self.head_bytes {
            return Some(self.beginning(wanted));
        }
        let mut front =
            if length <= self.front_bytes() { self.kept_front(0) } else { self.whole()? };
        front.truncate(wanted);
        (front.len() == wanted).then_some(front)
    }

    /// When the pieces came that make the first `length` bytes.
    pub fn arrivals(&self, length: u64) -> Arrivals {
        let mut arrivals = Arrivals::default();
        let mut end = 0;
        for (at, piece) in &self.table {
            if end >= length {
                return arrivals;
            }
            end += u64::from(*piece);
            arrivals.push(*at, *piece as usize);
        }
        arrivals.untabled = self.untabled;
        arrivals
    }

    /// The first bytes, at most `max`.
    pub fn beginning(&self, max: usize) -> Vec<u8> {
        let mut first = Vec::new();
        for (_, piece) in self.head() {
            let room = max - first.len();
            first.extend_from_slice(&piece[..room.min(piece.len())]);
            if first.len() == max {
                break;
            }
        }
        first
    }

    /// The last bytes of the answer, at most 1 KiB, in one piece.
    pub fn ending(&self) -> Vec<u8> {
        self.last(ENDING)
    }

    fn last(&self, max: usize) -> Vec<u8> {
        if self.tail.len() >= max || self.missing_bytes() > 0 {
            return self.tail[self.tail.len().saturating_sub(max)..].to_vec();
        }
        // From the back: the tail, what has no times, then the pieces of the head.
        let mut pieces = vec![self.tail.as_slice(), self.untimed.as_slice()];
        let mut length = self.tail.len() + self.untimed.len();
        let (mut small, mut large) = (self.small.as_slice(), self.large.iter());
        for (_, piece) in self.table[..self.head_pieces].iter().rev() {
            if length >= max {
                break;
            }
            let piece = if *piece as usize >= LARGE {
                large.next_back().map(Bytes::as_ref).unwrap_or_default()
            } else {
                let (rest, piece) = small.split_at(small.len().saturating_sub(*piece as usize));
                small = rest;
                piece
            };
            length += piece.len();
            pieces.push(piece);
        }
        pieces.reverse();
        let all = pieces.concat();
        all[all.len().saturating_sub(max)..].to_vec()
    }

    /// Arrival of the first piece.
    pub fn first_us(&self) -> Option<u64> {
        self.table.first().map(|(at, _)| *at)
    }

    /// Arrival of the last piece that the table has.
    pub fn last_us(&self) -> Option<u64> {
        self.table.last().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(answer: &[u8], size: usize) -> Frames {
        let mut frames = Frames::default();
        for (at, piece) in answer.chunks(size).enumerate() {
            frames.push(at as u64, &Bytes::copy_from_slice(piece));
        }
        frames
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n / 7) as u8).collect()
    }

    #[test]
    fn an_answer_up_to_the_limit_is_whole_however_it_was_cut() {
        for (length, sizes) in
            [(1_000, &[1, 7, 999, 1_000][..]), (100_000, &[100, 5_000, 4_096, 100_000])]
        {
            let answer = bytes(length);
            for size in sizes {
                let frames = noted(&answer, *size);
                assert_eq!(frames.whole().unwrap(), answer, "pieces of {size}");
                assert_eq!(frames.ending(), answer[length.saturating_sub(ENDING)..], "of {size}");
                assert_eq!(frames.beginning(500), answer[..500], "pieces of {size}");
                let times: Vec<u64> = frames.head().map(|(at, _)| at).collect();
                assert_eq!(times.len(), length.div_ceil(*size));
                assert!(times.is_sorted());
            }
        }
    }

    #[test]
    fn small_and_large_pieces_stay_in_order() {
        let mut frames = Frames::default();
        let mut all = Vec::new();
        for (at, length) in [10, 5_000, 20, 9_000, 4_095, 4_096, 1].into_iter().enumerate() {
            let piece = Bytes::from(vec![at as u8; length]);
            all.extend_from_slice(&piece);
            frames.push(at as u64, &piece);
        }
        assert_eq!(frames.whole().unwrap(), all);
        assert_eq!(frames.ending(), all[all.len() - ENDING..]);
        assert_eq!(frames.large.len(), 3);
    }

    #[test]
    fn a_long_answer_keeps_both_ends() {
        let answer = bytes(3 * HEAD_MAX);
        for size in [100, 5_000, 700_000] {
            let frames = noted(&answer, size);
            let head: Vec<u8> = frames.head().flat_map(|(_, piece)| piece.to_vec()).collect();
            assert!(head.len() >= HEAD_MAX && head.len() < HEAD_MAX + size, "{}", head.len());
            assert_eq!(head, answer[..head.len()]);
            assert_eq!(frames.tail(), &answer[answer.len() - TAIL_MAX..], "pieces of {size}");
            assert_eq!(frames.missing_bytes() as usize, answer.len() - head.len() - TAIL_MAX);
            assert_eq!(frames.ending(), answer[answer.len() - ENDING..]);
            assert_eq!(frames.whole(), None);
        }
    }

    #[test]
    fn what_was_shed_still_has_its_end() {
        let answer = bytes(200_000);
        let mut frames = noted(&answer, 3_000);
        assert_eq!(frames.shed(), 200_000);
        assert_eq!(frames.head().count(), 0);
        assert_eq!(frames.tail(), &answer[answer.len() - TAIL_SHED_MAX..]);
        assert_eq!(frames.ending(), answer[answer.len() - ENDING..]);
        frames.push(9, &Bytes::from_static(b"more"));
        assert!(frames.ending().ends_with(b"more"));
        assert_eq!(frames.bytes, 200_004);
        let rows = frames.table.len();
        (0..10).for_each(|at| frames.push(at, &Bytes::from_static(b"x")));
        assert!(frames.table.len() <= rows, "the table does not grow on");
    }

    #[test]
    fn the_tail_has_its_arrivals() {
        let answer = bytes(HEAD_MAX + 30_000);
        let frames = noted(&answer, 1_000);
        let pieces = frames.tail_pieces();
        let joined: Vec<u8> = pieces.iter().flat_map(|(_, piece)| piece.to_vec()).collect();
        assert_eq!(joined, frames.tail());
        let last = frames.table.len() as u64 - 1;
        assert_eq!(pieces.last().map(|(at, _)| *at), Some(last));
        assert!(pieces.len() > 20 && pieces.iter().is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn a_wide_head_holds_what_must_be_read_as_a_whole() {
        let answer = bytes(3 * HEAD_MAX);
        let mut frames = Frames::default();
        frames.keep_whole();
        answer.chunks(5_000).for_each(|piece| frames.push(0, &Bytes::copy_from_slice(piece)));
        assert_eq!(frames.whole(), Some(answer));
    }

    #[test]
    fn where_nobody_reads_only_the_ends_are_kept() {
        let answer = bytes(100_000);
        let mut frames = Frames::new(Extent::Ends);
        answer.chunks(100).for_each(|piece| frames.push(0, &Bytes::copy_from_slice(piece)));
        assert_eq!(frames.beginning(2_000), answer[..2_000]);
        assert_eq!(frames.ending(), answer[answer.len() - ENDING..]);
        assert!(frames.kept_bytes() < 6_000, "{}", frames.kept_bytes());
        assert_eq!(frames.table.len(), 1_000);
    }

    #[test]
    fn rows_past_the_table_are_counted() {
        let mut frames = Frames::default();
        for at in 0..TABLE_MAX as u64 + 5 {
            frames.push(at, &Bytes::from_static(b"x"));
        }
        assert_eq!(frames.table.len(), TABLE_MAX);
        assert_eq!(frames.untabled, 5);
        assert_eq!(frames.head().count(), TABLE_MAX);
        assert_eq!(frames.tail(), b"xxxxx");
    }

    #[test]
    fn a_front_is_given_only_where_nothing_of_it_is_missing() {
        let mut frames = Frames::new(Extent::Body);
        for n in 0..3 * TABLE_MAX / 2 {
            frames.push(n as u64, &Bytes::from_static(b"ab"));
        }
        let bytes = frames.bytes;
        assert_eq!(frames.front(10).unwrap(), b"ababababab");
        let past_the_table = frames.front(bytes - 1).unwrap();
        assert_eq!(past_the_table.len() as u64, bytes - 1);
        assert_eq!(frames.body().unwrap(), (b"ab".repeat(3 * TABLE_MAX / 2), 0));
        frames.shed();
        assert!(frames.front(10).is_none() && frames.body().is_none());
    }

    #[test]
    fn ten_million_pieces_keep_their_front_within_the_bound() {
        let mut frames = Frames::new(Extent::Body);
        let piece = Bytes::from_static(b"0123456789");
        let mut refused = 0_u64;
        for at in 0..10_000_000 {
            refused += u64::from(!frames.grows());
            frames.push(at, &piece);
        }
        let (front, missing) = frames.body().unwrap();
        assert!(front.len() >= BODY_MAX && front.len() < BODY_MAX + piece.len());
        assert_eq!(front.len() as u64 + missing, 100_000_000, "what is lost is counted");
        assert!(front.chunks(10).all(|chunk| chunk == &piece[..]), "and there is no hole before");
        assert_eq!(frames.front(front.len() as u64).unwrap(), front);
        assert_eq!((frames.table.len(), frames.untabled), (TABLE_MAX, 10_000_000 - 65_536));
        assert!(frames.kept_bytes() <= BODY_MAX + piece.len() + 2 * TAIL_MAX);
        assert!(frames.ending().ends_with(&piece));
        assert!(refused > 3_000_000, "what comes past the bound takes no more memory");
    }
}
