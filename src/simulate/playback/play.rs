//! The body of a played answer: each piece at its absolute time from the request's arrival, so that delays do not add up.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::tape::Tape;
use super::timer::{Timer, Wait};
use super::{Faults, Speed};
use crate::simulate::script::CutKind;
use crate::simulate::wire::Line;
use crate::upstream::client::AnswerBody;

/// How long a stall lasts when nothing says so.
const STALL: Duration = Duration::from_mins(10);
/// Time for bytes already handed over to leave before a cut.
const FLUSH: Duration = Duration::from_millis(5);

/// What an answer's body is.
pub(crate) enum Reply {
    Whole(Option<Bytes>),
    Played(Box<Play>),
    Forwarded(Box<AnswerBody>),
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Send(Bytes),
    Cut(CutKind),
    End,
}

/// When things happen, from the request's arrival.
pub(super) type Score = VecDeque<(Duration, Act)>;

/// An answer being played.
pub(crate) struct Play {
    score: Score,
    arrived: Instant,
    timer: Arc<Timer>,
    line: Arc<Line>,
    wait: Option<Pin<Box<Wait>>>,
    /// Bytes that the head promised and that were not given yet.
    promised: Option<u64>,
}

impl Play {
    pub(super) fn new(
        score: Score,
        arrived: Instant,
        timer: Arc<Timer>,
        line: Arc<Line>,
        promised: Option<u64>,
    ) -> Self {
        Self { score, arrived, timer, line, wait: None, promised }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            } else if let Some((at, _)) = self.score.front()
                && !at.is_zero()
            {
                self.wait = Some(Box::pin(self.timer.until(self.arrived + *at)));
                continue;
            }
            match self.score.pop_front() {
                Some((_, Act::Send(bytes))) if bytes.is_empty() => {}
                Some((_, Act::Send(bytes))) => {
                    if let Some(promised) = &mut self.promised {
                        *promised = promised.saturating_sub(bytes.len() as u64);
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some((_, Act::Cut(kind))) => {
                    self.line.cut(kind);
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
                Some((_, Act::End)) | None => return Poll::Ready(None),
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                let body = body.take().filter(|body| !body.is_empty());
                Poll::Ready(body.map(|body| Ok(Frame::data(body))))
            }
            Self::Played(play) => {
                let next = ready!(play.poll_next(cx));
                Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
            }
            Self::Forwarded(body) => {
                let next = ready!(Pin::new(&mut **body).poll_frame(cx));
                Poll::Ready(next.map(|frame| frame.map_err(io::Error::other)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Self::Played(play) => play.score.is_empty(),
            Self::Forwarded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Self::Played(play) => {
                play.promised.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Self::Forwarded(body) => body.size_hint(),
        }
    }
}

/// When the head of `tape` is due, and what happens after it.
pub(super) fn score(tape: &Tape, speed: Speed, faults: &Faults) -> (Duration, Score) {
    let delay = faults.first_token.unwrap_or_default();
    let mut score = Score::with_capacity(tape.pieces.len() + 2);
    let mut shift = Duration::ZERO;
    for (number, piece) in tape.pieces.iter().enumerate() {
        if number == 0 {
            shift += delay;
        }
        if faults.script.stall_after == Some(number) {
            shift += faults.script.stall.map_or(STALL, crate::simulate::pace::Millis::duration);
        }
        let at = speed.scaled(piece.at_us) + shift;
        score.push_back((at, Act::Send(tape.body.slice(piece.from..piece.to))));
    }
    let ended = speed.scaled(tape.ended_us) + shift;
    if let Some(after) = faults.script.cut_after {
        score.truncate(after);
        let at = score.back().map_or(Duration::ZERO, |(at, _)| *at);
        score.push_back((at + FLUSH, Act::Cut(faults.script.cut.unwrap_or_default())));
    } else if let Some(kind) = tape.cut {
        let last = score.back().map_or(Duration::ZERO, |(at, _)| *at);
        score.push_back((ended.max(last + FLUSH), Act::Cut(kind)));
    } else if !ended.is_zero() {
        // The end of a stream that was left open for a while after its last piece.
        score.push_back((ended, Act::End));
    }
    (speed.scaled(tape.head_us), score)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::tape::Piece;
    use super::*;
    use crate::simulate::script;

    fn tape(cut: Option<CutKind>) -> Tape {
        let piece = |at_us, from, to| Piece { at_us, from, to };
        Tape {
            id: "x".into(),
            status: Some(http::StatusCode::OK),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"abcdef"),
            declared: None,
            head_us: 10_000,
            pieces: vec![piece(20_000, 0, 2), piece(40_000, 2, 4), piece(60_000, 4, 6)],
            ended_us: 70_000,
            cut,
            redacted: false,
        }
    }

    fn check(speed: &str, cut: Option<CutKind>, faults: &Faults, expected: &str) {
        let speed = Speed::parse(speed).expect("a speed");
        let (head, score) = score(&tape(cut), speed, faults);
        let mut shown = vec![head.as_millis().to_string()];
        for (at, act) in score {
            let act = match act {
                Act::Send(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Act::Cut(kind) => format!("{kind:?}"),
                Act::End => "end".to_owned(),
            };
            shown.push(format!("{}:{act}", at.as_millis()));
        }
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn pieces_have_absolute_times() {
        let none = Faults::default();
        check("1x", None, &none, "10 20:ab 40:cd 60:ef 70:end");
        check("2x", None, &none, "5 10:ab 20:cd 30:ef 35:end");
        check("0", None, &none, "0 0:ab 0:cd 0:ef");
        check("1x", Some(CutKind::Rst), &none, "10 20:ab 40:cd 60:ef 70:Rst");
        check("0", Some(CutKind::Close), &none, "0 0:ab 0:cd 0:ef 5:Close");
    }

    #[test]
    fn faults_are_added() {
        let with = |script: script::Fault| Faults { script, ..Faults::default() };
        let cut = script::Fault {
            cut_after: Some(1),
            cut: Some(CutKind::Rst),
            ..script::Fault::default()
        };
        check("1x", None, &with(cut), "10 20:ab 25:Rst");
        let stall = script::Fault {
            stall_after: Some(2),
            stall: Some(super::super::milliseconds(Duration::from_millis(100))),
            ..script::Fault::default()
        };
        check("1x", None, &with(stall), "10 20:ab 40:cd 160:ef 170:end");
        let slow = Faults { first_token: Some(Duration::from_millis(500)), ..Faults::default() };
        check("1x", None, &slow, "10 520:ab 540:cd 560:ef 570:end");
    }
}
