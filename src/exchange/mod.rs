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

pub mod agent;
pub mod attempt;
#[cfg(test)]
pub(crate) mod fixture;
pub mod frames;
pub mod leg;
pub mod level;
pub mod outcome;
pub mod redact;
pub mod room;
pub mod signal;
pub mod summary;
pub mod trace;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::exchange::attempt::Attempt;
use crate::exchange::leg::Leg;
use crate::exchange::outcome::Outcome;
use crate::exchange::room::Share;
use crate::exchange::summary::Summary;
use crate::exchange::trace::Trace;
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
    /// A closed name for the client program.
    pub agent: &'static str,
    /// As sent; kept for the span of a sampled exchange.
    pub user_agent: Option<HeaderValue>,
    /// The session: as the client names it in a header, else in the body; else as the messages tell.
    pub session: Option<Arc<str>>,
    /// The session was found by the messages; no client named it.
    pub session_inferred: bool,
    /// The session that this one works for.
    pub parent_session: Option<Arc<str>>,
    /// Who the client says its user is: a short id or name from the body.
    pub user_label: Option<Arc<str>>,
    /// From `x-pinhole-tag: name=value`.
    pub tags: Vec<(String, String)>,
    pub trace: Trace,
    pub request: Leg,
    pub request_bytes: u64,
    /// The request's body in clear, for what is read of it later: the session and its signals, parameters on a sampled
    /// span, words to count where an answer brings no usage. `None`: it was not wanted, or there was no room.
    pub prompt: Option<Bytes>,
    /// What `prompt` and the attempts' frames may take of the gateway's memory.
    pub share: Share,
    /// Offset at which the request body had been read.
    pub request_read_us: u64,
    /// Time spent waiting for a place in the gateway and at the provider.
    pub queued_us: u64,
    /// From when to when it waited for a place at the provider, where it had to.
    pub waited_at_provider: Option<(u64, u64)>,
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
    /// Offset of the end: the last byte handed on, or the break.
    pub ended_us: u64,
    /// When the client had all it came for, where the provider's tail was read beyond that.
    pub left_us: Option<u64>,
    /// Worked out off the hot path, once, before any sink sees the exchange.
    pub summary: Summary,
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

    /// Keeps the request's body for reading it later, while there is room.
    pub fn keep_prompt(&mut self, body: &Bytes) {
        /// A reference would hold the connection's read buffer, and each request would need a new one.
        const COPIED_MAX: usize = 16 * 1024;
        if self.share.grow_perhaps(body.len()) {
            let copied = body.len() <= COPIED_MAX;
            let kept = if copied { Bytes::copy_from_slice(body) } else { body.clone() };
            self.prompt = Some(kept);
        }
    }

    /// Notes a piece of the running attempt's answer; without room, only the ends of the answer are kept.
    pub fn note_frame(&mut self, at_us: u64, data: &Bytes) {
        let Some(attempt) = self.attempts.last_mut() else { return };
        if attempt.frames.keeps_head() && !self.share.grow(data.len()) {
            self.share.shrink(attempt.frames.shed());
        }
        attempt.frames.push(at_us, data);
    }

    /// The attempt whose answer went to the client, or the last one tried.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}
