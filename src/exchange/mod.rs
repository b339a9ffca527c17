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

pub mod outcome;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::base::clock;
use crate::base::id::ExchangeId;
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
        Self {
            source: code.source(),
            kind: code.label(),
            detail,
        }
    }
}

/// One side of one connection: headers as they were, and the body's bytes as far as they are kept.
#[derive(Debug, Default, Clone)]
pub struct Leg {
    /// `None`: not kept, or equal to the neighbouring leg's but for the edits listed in the attempt.
    pub headers: Option<HeaderMap>,
    pub body: BodyKept,
}

/// How much of a body is at hand.
#[derive(Debug, Default, Clone)]
pub enum BodyKept {
    /// Not kept.
    #[default]
    Nothing,
    /// The same bytes as the leg before it: on the request side the client's, on the response side the provider's.
    Same,
    Whole(Bytes),
    /// Pieces in order, the client's bytes with the spliced fields between them.
    Pieces(Vec<Bytes>),
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
/// Limit: [`Frames::TABLE_MAX`] rows and `bytes_max` bytes; past either, the middle is only counted, so that the
/// first event and the last (which holds the usage) survive.
#[derive(Debug, Default)]
pub struct Frames {
    /// (offset from the exchange's start in µs, length).
    pub table: Vec<(u64, u32)>,
    /// Rows that the table could not take.
    pub uncounted: u64,
    pub bytes: u64,
    /// The first pieces, up to half of `bytes_max`.
    pub head: Vec<Bytes>,
    head_bytes: usize,
    /// The last pieces, up to the other half.
    pub tail: std::collections::VecDeque<Bytes>,
    tail_bytes: usize,
    /// Bytes between head and tail that were let go.
    pub middle_bytes: u64,
    pub bytes_max: usize,
}

impl Frames {
    /// Limit: rows of the frame table kept per attempt.
    pub const TABLE_MAX: usize = 65_536;

    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    /// Notes one piece of the answer. Keeps a reference, copies nothing.
    pub fn push(&mut self, at_us: u64, data: &Bytes) {
        let length = data.len();
        self.bytes += length as u64;
        if self.table.len() < Self::TABLE_MAX {
            self.table
                .push((at_us, u32::try_from(length).unwrap_or(u32::MAX)));
        } else {
            self.uncounted += 1;
        }
        if self.tail.is_empty() && self.head_bytes + length <= self.bytes_max / 2 {
            self.head_bytes += length;
            self.head.push(data.clone());
            return;
        }
        self.tail_bytes += length;
        self.tail.push_back(data.clone());
        // The newest piece always stays: it is the one that may hold the end of the stream.
        while self.tail_bytes > self.bytes_max / 2 && self.tail.len() > 1 {
            if let Some(dropped) = self.tail.pop_front() {
                self.tail_bytes -= dropped.len();
                self.middle_bytes += dropped.len() as u64;
            }
        }
    }

    /// The last bytes of the answer, at most `max` of them where that is at hand, in one piece.
    pub fn ending(&self, max: usize) -> Vec<u8> {
        let mut pieces = Vec::new();
        let mut total = 0;
        let contiguous_head = self.middle_bytes == 0;
        let head = self.head.iter().rev().take_while(|_| contiguous_head);
        for piece in self.tail.iter().rev().chain(head) {
            pieces.push(piece);
            total += piece.len();
            if total >= max {
                break;
            }
        }
        let joined: Vec<u8> = pieces
            .into_iter()
            .rev()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        joined[joined.len().saturating_sub(max)..].to_vec()
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

    /// The attempt whose answer went to the client, or the last one tried.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The gateway's own time before the provider was asked: `sent − request_read`, or `end − request_read` when
    /// nothing was sent. Handing on a frame adds to a stream what `docs/performance.md` measures.
    pub fn overhead_us(&self) -> u64 {
        let asked = self
            .attempts
            .first()
            .map_or(self.ended_us, |attempt| attempt.sent_us);
        asked.saturating_sub(self.request_read_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_both_ends_and_count_the_middle() {
        let mut frames = Frames::new(20);
        for at in 0..10u64 {
            frames.push(at, &Bytes::from(format!("piece{at}")));
        }
        assert_eq!(frames.bytes, 60);
        assert_eq!(frames.table.len(), 10);
        assert_eq!(frames.head, [Bytes::from("piece0")]);
        assert_eq!(frames.tail.back(), Some(&Bytes::from("piece9")));
        assert_eq!(frames.middle_bytes, 60 - 6 - 6);
        assert_eq!(frames.ending(4), b"ece9");
        assert_eq!(
            frames.ending(100),
            b"piece9",
            "bytes on both sides of a gap are not joined"
        );
    }

    #[test]
    fn a_piece_over_the_bound_is_kept_when_it_is_the_last() {
        let mut frames = Frames::new(8);
        frames.push(0, &Bytes::from_static(b"a very long line"));
        assert_eq!(frames.ending(4), b"line");
        assert_eq!(frames.middle_bytes, 0);
    }

    #[test]
    fn a_short_answer_is_whole() {
        let mut frames = Frames::new(64);
        frames.push(0, &Bytes::from_static(b"data: a\n\n"));
        frames.push(1, &Bytes::from_static(b"data: b\n\n"));
        assert_eq!(frames.ending(100), b"data: a\n\ndata: b\n\n");
        assert_eq!(frames.ending(11), b"\n\ndata: b\n\n");
    }
}
