//! The socket side: a connection that can be cut in the middle, and the body that plays its steps on it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::fault::Step;
use super::record::{End, Ticket};
use super::script::CutKind;
use crate::base::clock;

/// What is sent ahead of an answer that asks for early hints.
const EARLY_HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </simulated>; rel=preload\r\n\r\n";
/// Time for bytes already handed over to leave before a cut.
const FLUSH: Duration = Duration::from_millis(5);

/// One connection's switch, shared by its socket and the answers on it.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counts connections from 0.
    pub(crate) number: u64,
    /// 0: intact; 1: to be closed; 2: to be reset.
    cut: AtomicU8,
    /// Bytes of `EARLY_HINTS` still to be written before anything else.
    hints: AtomicUsize,
}

impl Line {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, cut: AtomicU8::new(0), hints: AtomicUsize::new(0) }
    }

    /// From now on every write fails, and the socket ends as `kind` says when it is dropped.
    pub(crate) fn cut(&self, kind: CutKind) {
        self.cut.store(1 + kind as u8, Ordering::Release);
    }

    /// Sends early hints with the next write.
    pub(crate) fn hint(&self) {
        self.hints.store(EARLY_HINTS.len(), Ordering::Release);
    }
}

/// A socket with a switch.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    line: Arc<Line>,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream, line: Arc<Line>) -> Self {
        Self { socket, line }
    }

    /// What must happen before ordinary bytes: nothing, an error, or hints.
    fn poll_before(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.cut.load(Ordering::Acquire) != 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        loop {
            let left = self.line.hints.load(Ordering::Acquire);
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            let rest = &EARLY_HINTS[EARLY_HINTS.len() - left..];
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?;
            self.line.hints.store(left - written, Ordering::Release);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.line.cut.load(Ordering::Acquire) == 1 + CutKind::Rst as u8 {
            let socket = socket2::SockRef::from(&self.socket);
            if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
                tracing::warn!(%error, "the connection is closed, not reset");
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.cut.load(Ordering::Acquire) != 0 {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The body of an answer: whole, or a sequence of steps.
pub(crate) struct Answer {
    content: Content,
    /// Dropped with the body: an answer that did not end by itself was cancelled.
    ticket: Ticket,
}

enum Content {
    Whole(Option<Bytes>),
    Steps(Play),
}

/// Steps being played.
pub(crate) struct Play {
    steps: VecDeque<Step>,
    line: Arc<Line>,
    /// When the step before was due; waits add up from here, so that delays do not.
    due: Instant,
    /// The wait under way.
    sleep: Option<Pin<Box<Sleep>>>,
    /// The front step's wait is over.
    waited: bool,
    /// The last piece must leave before anything else happens.
    flush: bool,
}

impl Answer {
    pub(crate) fn whole(body: Bytes, ticket: Ticket) -> Self {
        Self { content: Content::Whole(Some(body)), ticket }
    }

    pub(crate) fn steps(steps: VecDeque<Step>, line: Arc<Line>, ticket: Ticket) -> Self {
        Self {
            content: Content::Steps(Play {
                steps,
                line,
                due: clock::now(),
                sleep: None,
                waited: false,
                flush: false,
            }),
            ticket,
        }
    }
}

impl Play {
    /// The next bytes; `None` at the end, an error at a cut.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if std::mem::take(&mut self.flush) {
                // Pending makes hyper write out what it holds; the wake brings it back at once.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
                self.waited = true;
            }
            let wait = match self.steps.front() {
                None => return Poll::Ready(None),
                Some(Step::Send { wait, .. }) => *wait,
                Some(Step::Cut(_)) => FLUSH,
            };
            if !self.waited && !wait.is_zero() {
                self.due += wait;
                self.sleep = Some(Box::pin(sleep_until(self.due.into())));
                continue;
            }
            self.waited = false;
            match self.steps.pop_front() {
                Some(Step::Send { bytes, flush, .. }) if !bytes.is_empty() => {
                    self.flush = flush;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Step::Cut(kind)) => {
                    self.line.cut(kind);
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
                _ => {}
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let next = match &mut this.content {
            Content::Whole(body) => body.take().filter(|body| !body.is_empty()).map(Ok),
            Content::Steps(play) => ready!(play.poll_next(cx)),
        };
        match &next {
            Some(Err(_)) => this.ticket.end(End::Cut),
            // With a declared length hyper does not ask again after the last byte, so the end is told with it.
            _ if this.is_end_stream() => this.ticket.end(End::Complete),
            _ => {}
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Content::Steps(play) => play.steps.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Content::Steps(_) => SizeHint::default(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Bodies of HEAD, 204 and the like are never polled: empty, or not wanted, they are complete.
        if self.is_end_stream() {
            self.ticket.end(End::Complete);
        }
    }
}
