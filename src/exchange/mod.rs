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
pub mod live;
pub mod opened;
pub mod outcome;
pub mod redact;
pub mod replay;
pub mod room;
pub mod signal;
pub mod summary;
pub mod trace;
pub mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::exchange::attempt::Attempt;
use crate::exchange::leg::{Keep, Leg};
use crate::exchange::level::Level;
use crate::exchange::live::Seat;
use crate::exchange::opened::Opened;
use crate::exchange::outcome::Outcome;
use crate::exchange::replay::Replay;
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
    /// Made by a run that repeats what was recorded.
    pub replay: Option<Replay>,
    /// Its place among those that run.
    pub seat: Option<Seat>,
    /// How much of the legs is kept while it runs; what is stored of it is decided when it is over.
    pub keep: Keep,
    /// The level that the client asked for by a header.
    pub asked: Option<Level>,
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
    /// The provider that was chosen and the name that the model has there; known before there is an attempt, which may
    /// never come.
    pub chosen: Option<(Arc<str>, Option<Arc<str>>)>,
    pub attempts: Vec<Attempt>,
    /// What the client was answered; `None` when it left before that.
    pub status: Option<StatusCode>,
    /// The response as the client got it, where it differs from the last attempt's.
    pub response: Leg,
    /// What the client was sent before there was an answer, until that is noted in `response`.
    pub opened: Option<Arc<Opened>>,
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

    /// Keeps the request's body as it came, where bodies are wanted and there is room.
    pub fn note_request(&mut self, body: &Bytes) {
        if self.keep < Keep::Bodies || body.is_empty() {
            return;
        }
        if self.share.grow(body.len()) {
            self.request.note_body(body);
        } else {
            self.request.body = leg::Body::Shed;
        }
    }

    /// Keeps in `leg` the body that a provider gets, where it is not the client's and there is room. Large pieces that are
    /// parts of the client's, as that is kept, take no more memory than it does.
    pub fn note_edited<'a>(
        &mut self,
        leg: &mut Leg,
        pieces: impl Iterator<Item = &'a Bytes> + Clone,
    ) {
        let kept = self.request.one_piece();
        let is_new = |piece: &&Bytes| !kept.is_some_and(|kept| leg::shares(kept, piece));
        let new = pieces.clone().filter(is_new).map(Bytes::len).sum();
        if self.share.grow(new) {
            pieces.for_each(|piece| leg.note_body(piece));
        } else {
            leg.body = leg::Body::Shed;
        }
    }

    /// Keeps the request's body, without its coding where it had one, for reading it later, while there is room.
    pub fn keep_prompt(&mut self, body: &Bytes, decoded: Option<&Bytes>) {
        if decoded.is_none()
            && let Some(kept) = self.request.one_piece()
        {
            self.prompt = Some(kept.clone());
            return;
        }
        let body = decoded.unwrap_or(body);
        if self.share.grow_perhaps(body.len()) {
            self.prompt = Some(leg::owned(body));
        }
    }

    /// Notes a piece of the running attempt's answer; without room, only the ends of the answer are kept.
    pub fn note_frame(&mut self, at_us: u64, data: &Bytes) {
        if let Some(seat) = &self.seat {
            seat.frame(at_us, data.len());
        }
        let Some(attempt) = self.attempts.last_mut() else { return };
        if attempt.frames.grows() && !self.share.grow(data.len()) {
            self.share.shrink(attempt.frames.shed());
            if attempt.response.body == leg::Body::Framed {
                attempt.response.body = leg::Body::Shed;
            }
        }
        attempt.frames.push(at_us, data);
        if self.seat.as_ref().is_some_and(Seat::is_watched) {
            self.show(at_us, data);
        }
    }

    /// Shows the running attempt's answer, which has just grown by `data`, to whoever watches.
    #[cold]
    fn show(&self, at_us: u64, data: &Bytes) {
        let (Some(seat), Some(attempt)) = (&self.seat, self.attempts.last()) else { return };
        seat.publish(at_us, |seen| {
            seen.is_withheld = self.keep < Keep::Bodies;
            (seen.status, seen.events) = (attempt.status.map(|code| code.as_u16()), attempt.events);
            seen.coding.clone_from(&attempt.coding);
            seen.follow(self.attempts.len(), &attempt.frames, data, at_us);
        });
    }

    /// Notes bytes that the client gets at `at_us` and the provider did not send: from here on its answer is one of its own.
    /// `before`: how many bytes it got until now, as the provider sent them.
    pub fn note_own_answer(&mut self, before: u64, at_us: u64, data: &Bytes) {
        if self.keep < Keep::Bodies || self.response.body == leg::Body::Shed {
            return;
        }
        let mut first = None;
        if self.response.body == leg::Body::Same && before > 0 {
            let frames = self.attempts.last().map(|attempt| &attempt.frames);
            let front = frames.and_then(|frames| Some((frames.front(before)?, frames)));
            let Some((front, frames)) = front else {
                // A body with a hole in it is none.
                self.response.shed();
                return;
            };
            self.response.arrivals = frames.arrivals(before);
            first = Some(Bytes::from(front));
        }
        let more = data.len() + first.as_ref().map_or(0, Bytes::len);
        if !self.share.grow(more) {
            self.response.shed();
            return;
        }
        if let Some(first) = first {
            self.response.note_body(&first);
        }
        self.response.arrivals.push(at_us, data.len());
        self.response.note_body(data);
    }

    /// Notes what the client was sent before there was an answer, if anything was; true then. From there on its answer is
    /// one of its own.
    pub fn note_opened(&mut self) -> bool {
        let Some((head, pieces)) = self.opened.as_ref().and_then(|opened| opened.take()) else {
            return false;
        };
        self.status = Some(StatusCode::OK);
        self.response.note_headers(self.keep, &head);
        for (at, piece) in pieces {
            let at_us = clock::us_between(self.started, at);
            self.note_own_answer(self.response_bytes, at_us, &piece);
            self.response_bytes += piece.len() as u64;
        }
        true
    }

    /// The attempt whose answer went to the client, or the last one tried.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::leg::Body;
    use crate::exchange::room::Room;

    #[test]
    fn edited_bodies_take_their_share_and_parts_of_the_clients_take_none() {
        let room = Room::new(256 * 1024);
        let mut exchange = fixture::exchange();
        (exchange.keep, exchange.share) = (Keep::Bodies, Share::new(&room));
        let body = Bytes::from(vec![b'x'; 200 * 1024]);
        exchange.note_request(&body);
        let held = room.held_bytes();
        assert!(held >= body.len());
        let mut leg = Leg::default();
        let pieces = [Bytes::from_static(b"{\"model\":\"m\""), body.slice(10..)];
        exchange.note_edited(&mut leg, pieces.iter());
        assert!(matches!(&leg.body, Body::Pieces(own) if own.bytes as usize == body.len() + 2));
        assert!(room.held_bytes() - held <= 4 * 1024, "a part is a reference");
        let mut other = Leg::default();
        exchange.note_edited(&mut other, [Bytes::from(vec![b'y'; 100 * 1024])].iter());
        assert_eq!(other.body, Body::Shed, "there is no room for it");
        assert_eq!(room.refused(), 1);
    }

    #[test]
    fn what_was_sent_before_the_answer_begins_the_clients_leg() {
        let mut exchange = fixture::exchange();
        (exchange.keep, exchange.response_bytes) = (Keep::Bodies, 0);
        exchange.share = Share::new(&Room::new(1 << 20));
        let opened = Opened::new();
        exchange.opened = Some(Arc::clone(&opened));
        assert!(!exchange.note_opened(), "not opened");
        opened.open(http::HeaderMap::new());
        opened.sent(exchange.started, Bytes::from_static(b": one\n\n"));
        opened.sent(exchange.started, Bytes::from_static(b": two\n\n"));
        assert!(exchange.note_opened() && !exchange.note_opened(), "once");
        exchange.note_own_answer(exchange.response_bytes, 70, &Bytes::from_static(b"data\n\n"));
        let Body::Pieces(own) = &exchange.response.body else { panic!("no bytes") };
        assert_eq!(&own.concat()[..], b": one\n\n: two\n\ndata\n\n");
        assert_eq!(exchange.response.arrivals.table, [(0, 7), (0, 7), (70, 6)]);
        assert_eq!((exchange.status, exchange.response_bytes), (Some(StatusCode::OK), 14));
    }
}
