//! What happened: the record of one client call that every sink shares.
//!
//! ```text
//!  client ──request──► gateway ──attempt 1: request──► provider
//!                              ◄─attempt 1: response──
//!         ◄─response──
//! ```
//!
//! Four legs: a leg equal to another is not kept twice (see [`Leg`]). Times are microseconds from `started`, on the
//! monotonic clock; `wall_us` anchors them for display.

pub mod leg;
pub mod outcome;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::exchange::leg::Leg;
use crate::exchange::outcome::Outcome;
use crate::neutral::failure::{Code, Source};
use crate::neutral::kind::{Dialect, Operation};

/// One client call, from its head to its outcome. Filled by the pipeline, read by the sinks.
#[derive(Debug)]
pub struct Exchange {
    pub id: ExchangeId,
    /// When the request head had been read. All offsets count from here.
    pub started: Instant,
    /// The same instant on the wall clock.
    pub wall_us: u64,
    pub client: Option<SocketAddr>,
    pub key_label: Option<Arc<str>>,
    pub method: Method,
    /// Path without query: queries may hold keys.
    pub path: String,
    pub dialect: Dialect,
    pub operation: Operation,
    /// The model as the client named it.
    pub model_requested: Option<String>,
    pub stream: bool,
    pub client_request_id: Option<String>,
    pub request: Leg,
    pub request_bytes: u64,
    /// Offset at which the request body had been read.
    pub request_read_us: u64,
    pub attempts: Vec<Attempt>,
    /// What the client was answered; `None` when it left before that.
    pub status: Option<StatusCode>,
    /// The response as the client got it, where it differs from the last attempt's.
    pub response: Leg,
    /// Bytes of body handed to the client's connection.
    pub response_bytes: u64,
    pub outcome: Outcome,
    /// The gateway's own refusal or failure, or the provider's.
    pub failure: Option<Blame>,
    /// Offset of the end.
    pub ended_us: u64,
}

/// Who is to blame, and the stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    pub source: Source,
    pub kind: &'static str,
    pub detail: Option<String>,
}

impl Blame {
    pub fn of(code: Code, detail: Option<String>) -> Self {
        Self { source: code.source(), kind: code.label(), detail }
    }
}

/// One try at one provider.
#[derive(Debug)]
pub struct Attempt {
    pub provider: Arc<str>,
    /// The model name sent, when there is one.
    pub model: Option<Arc<str>>,
    pub key_label: Option<Arc<str>>,
    /// Which rule chose this provider.
    pub because: &'static str,
    /// Fields whose bytes differ from the client's.
    pub edits: Vec<&'static str>,
    pub request: Leg,
    /// Offsets: handed to the client, connection at hand, head of the answer read.
    pub sent_us: u64,
    pub head_us: Option<u64>,
    pub reused: bool,
    pub connect_us: u64,
    pub peer: Option<SocketAddr>,
    pub status: Option<StatusCode>,
    pub upstream_request_id: Option<String>,
    pub response: Leg,
    pub frames: Frames,
    pub failure: Option<Blame>,
}

/// Arrival of the answer's body: when each piece came and how long it was, with the bytes at both ends.
///
/// Bytes are copied: a reference would hold the whole read buffer that a 200-byte event came in.
///
/// Limit: [`Frames::TABLE_MAX`] rows, [`Frames::HEAD_MAX`] and [`Frames::TAIL_MAX`] bytes; past them, pieces are only
/// counted, so that the first events and the last (which tell how it ended) survive.
#[derive(Debug, Default)]
pub struct Frames {
    /// (offset from the exchange's start in µs, length).
    pub table: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    pub untabled: u64,
    pub bytes: u64,
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes; holds up to twice its limit before it is cut.
    tail: Vec<u8>,
}

impl Frames {
    pub const TABLE_MAX: usize = 65_536;
    pub const HEAD_MAX: usize = 2_048;
    pub const TAIL_MAX: usize = 1_024;

    /// Notes one piece of the answer.
    pub fn push(&mut self, at_us: u64, data: &[u8]) {
        self.bytes += data.len() as u64;
        if self.table.len() < Self::TABLE_MAX {
            self.table.push((at_us, u32::try_from(data.len()).unwrap_or(u32::MAX)));
        } else {
            self.untabled += 1;
        }
        let room = Self::HEAD_MAX - self.head.len();
        let (first, rest) = data.split_at(room.min(data.len()));
        self.head.extend_from_slice(first);
        let last = rest.get(rest.len().saturating_sub(Self::TAIL_MAX)..).unwrap_or_default();
        self.tail.extend_from_slice(last);
        if self.tail.len() > 2 * Self::TAIL_MAX {
            self.tail.drain(..self.tail.len() - Self::TAIL_MAX);
        }
    }

    /// The last bytes of the answer, at most [`Self::TAIL_MAX`], in one piece.
    pub fn ending(&self) -> Vec<u8> {
        let wanted = Self::TAIL_MAX.saturating_sub(self.tail.len());
        // Head and tail touch only while nothing between them was let go.
        let touching = (self.head.len() + self.tail.len()) as u64 == self.bytes;
        let from_head = if touching { wanted.min(self.head.len()) } else { 0 };
        let start = self.tail.len().saturating_sub(Self::TAIL_MAX);
        [&self.head[self.head.len() - from_head..], &self.tail[start..]].concat()
    }

    /// Arrival of the first piece.
    pub fn first_us(&self) -> Option<u64> {
        self.table.first().map(|(at, _)| *at)
    }
}

impl Exchange {
    /// Microseconds from the start to now.
    pub fn offset_us(&self) -> u64 {
        clock::us_between(self.started, clock::now())
    }

    /// Says so when the client got what the provider sent, byte for byte: the second copy of the list is then let go.
    pub fn compare_answers(&mut self) {
        if let Some(attempt) = self.attempts.last()
            && self.response.body.is_the_same_as(&attempt.response.body)
        {
            self.response.body = leg::Body::Same;
        }
    }

    /// The attempt whose answer went to the client, or the last one tried.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The gateway's own time before the provider was asked: `sent − request_read`, or `end − request_read` when
    /// nothing was sent. Handing on a frame adds to a stream what `docs/performance.md` measures.
    pub fn overhead_us(&self) -> u64 {
        let asked = self.attempts.first().map_or(self.ended_us, |attempt| attempt.sent_us);
        asked.saturating_sub(self.request_read_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_answer_is_whole_however_it_was_cut() {
        let answer: Vec<u8> = (0..1_000u32).map(|n| n as u8).collect();
        for size in [1, 7, 999, 1_000] {
            let mut frames = Frames::default();
            for (at, piece) in answer.chunks(size).enumerate() {
                frames.push(at as u64, piece);
            }
            assert_eq!(frames.ending(), answer, "pieces of {size}");
            assert_eq!(frames.bytes, 1_000);
            assert_eq!(frames.table.len(), 1_000usize.div_ceil(size));
        }
    }

    #[test]
    fn a_long_answer_keeps_both_ends() {
        let answer: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
        for size in [1, 100, 5_000, 100_000] {
            let mut frames = Frames::default();
            for piece in answer.chunks(size) {
                frames.push(0, piece);
            }
            assert_eq!(frames.head, answer[..Frames::HEAD_MAX], "pieces of {size}");
            assert_eq!(frames.ending(), answer[100_000 - Frames::TAIL_MAX..], "pieces of {size}");
        }
    }

    #[test]
    fn ends_that_do_not_touch_are_not_joined() {
        let mut frames = Frames::default();
        frames.push(0, &[b'a'; 10_000]);
        frames.push(1, b"end");
        assert!(frames.ending().ends_with(b"aend"));
        assert_eq!(frames.ending().len(), Frames::TAIL_MAX);
    }

    #[test]
    fn rows_past_the_table_are_counted() {
        let mut frames = Frames::default();
        for at in 0..Frames::TABLE_MAX as u64 + 5 {
            frames.push(at, b"x");
        }
        assert_eq!(frames.table.len(), Frames::TABLE_MAX);
        assert_eq!(frames.untabled, 5);
    }
}
