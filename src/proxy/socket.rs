//! The client's socket, watched: a head that trickles in is answered 408, an idle connection is closed, and the bare
//! refusals of the HTTP codec (header flood, duplicate `content-length`) get a body that says what is wrong.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::dialect;
use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::Dialect;
use crate::proxy::relay::Broken;

/// Limit: how long a connection may lie idle between requests. Longer than the idle pools of common clients.
const IDLE_MAX: Duration = Duration::from_mins(10);

/// Requests on one connection. The socket sees by it whether what it reads belongs to a head, and whether silence on the
/// reading side is a wait for an answer. Written by the service.
#[derive(Default)]
pub struct Calls {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Calls {
    /// A head was complete; the request runs until the returned value is dropped.
    pub fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }
}

/// One request under way.
pub struct Running(Arc<Calls>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of an answer; its request runs until it is dropped.
pub struct Served<B> {
    pub body: B,
    pub running: Running,
}

impl<B: Body<Data = Bytes, Error = Broken> + Unpin> Body for Served<B> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long a client may keep a connection waiting.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// For its request head.
    pub head: Duration,
    /// For taking a piece of its answer.
    pub take: Duration,
}

/// In clear text, or under TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection.
pub struct ClientSocket {
    stream: Stream,
    calls: Arc<Calls>,
    waits: Waits,
    /// HTTP/2 frames come at any time; its codec has limits of its own.
    http2: bool,
    /// Requests begun when last looked.
    seen: u64,
    /// Bytes of a head have come that no request has begun with.
    in_head: bool,
    /// Runs while a head is incomplete.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs over idle times; looks at `seen` when it fires, so that a request costs no timer.
    idle_timer: Option<(Pin<Box<Sleep>>, u64)>,
    /// Runs while the client takes nothing of what is written.
    take_timer: Option<Pin<Box<Sleep>>>,
    closed: bool,
}

impl ClientSocket {
    pub fn new(stream: Stream, calls: Arc<Calls>, waits: Waits, http2: bool) -> Self {
        Self {
            stream,
            calls,
            waits,
            http2,
            seen: 0,
            in_head: false,
            head_timer: None,
            idle_timer: None,
            take_timer: None,
            closed: false,
        }
    }

    /// Whether a request is under way.
    fn look(&mut self) -> bool {
        let begun = self.calls.begun.load(Ordering::Relaxed);
        if begun != self.seen {
            self.seen = begun;
            self.in_head = false;
            self.head_timer = None;
        }
        self.calls.ended.load(Ordering::Relaxed) != begun
    }

    /// Nothing came. Has a wait run out? While a request is under way the waits are the pipeline's.
    fn waited(&mut self, cx: &mut Context<'_>, running: bool) -> bool {
        if self.http2 || running {
            return false;
        }
        if self.in_head {
            let wait = self.waits.head;
            let timer = self.head_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            if timer.as_mut().poll(cx).is_ready() {
                let failure = Failure::new(
                    Code::BodyTimeout,
                    format!(
                        "the request head did not arrive within {wait:?}; check the connection, or raise server.header_timeout"
                    ),
                );
                let _sent = self.poll_answer(cx, 408, "Request Timeout", &failure);
                return true;
            }
            return false;
        }
        self.idle_too_long(cx)
    }

    fn idle_too_long(&mut self, cx: &mut Context<'_>) -> bool {
        let seen = self.seen;
        loop {
            let (timer, armed_at) = self
                .idle_timer
                .get_or_insert_with(|| (Box::pin(tokio::time::sleep(IDLE_MAX)), seen));
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            // Only a whole span without any request ends it.
            if *armed_at == seen && seen > 0 {
                return true;
            }
            self.idle_timer = None;
            if seen == 0 {
                return true;
            }
        }
    }

    /// Writes a whole small answer, as far as the socket takes it at once.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        status: u16,
        reason: &str,
        failure: &Failure,
    ) -> Poll<io::Result<usize>> {
        let body = dialect::render(Dialect::OpenAiChat, failure, status, "");
        let mut answer = format!(
            "HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        self.poll_stream_write(cx, &answer)
    }

    fn poll_stream_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        };
        self.taken(cx, polled)
    }

    /// A client that takes nothing for too long is gone, whatever its socket says: its answer is let go.
    fn taken<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.take_timer = None;
            return polled;
        }
        let wait = self.waits.take;
        let timer = self.take_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let reason = format!("the client took nothing of its answer for {wait:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }

    /// The codec's own refusal of a head, by its status; `None` for everything else that is written.
    fn bare_refusal(&self, data: &[u8]) -> Option<(u16, &'static str, Failure)> {
        if !self.in_head || self.http2 || !data.starts_with(b"HTTP/1.1 4") {
            return None;
        }
        match data.get(9..12)? {
            b"400" => Some((
                400,
                "Bad Request",
                Failure::new(
                    Code::InvalidRequest,
                    "the request head is malformed (request line, a header, or two content-lengths); send valid HTTP/1.1",
                ),
            )),
            b"414" => Some((
                414,
                "URI Too Long",
                Failure::new(Code::InvalidRequest, "the request URI is too long; shorten it"),
            )),
            b"431" => Some((
                431,
                "Request Header Fields Too Large",
                Failure::new(
                    Code::InvalidRequest,
                    "the request head is over the limit of 128 headers or 64 KiB; send fewer or shorter headers",
                ),
            )),
            _ => None,
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let running = this.look();
        match polled {
            Poll::Ready(Ok(())) => {
                // While a request is under way, this is its body.
                this.in_head |= !running && buffer.filled().len() > before;
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.waited(cx, running) => {
                this.closed = true;
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look();
        if let Some((status, reason, failure)) = this.bare_refusal(data) {
            return this
                .poll_answer(cx, status, reason, &failure)
                .map(|written| written.map(|_| data.len()));
        }
        this.poll_stream_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look();
        // A head is one piece, the first.
        let head = slices.first().map_or(&[][..], |slice| slice);
        if let Some((status, reason, failure)) = this.bare_refusal(head) {
            let whole = slices.iter().map(|slice| slice.len()).sum();
            return this
                .poll_answer(cx, status, reason, &failure)
                .map(|written| written.map(|_| whole));
        }
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        this.taken(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            // A clear socket has nothing to flush.
            Stream::Plain(_) => return Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.taken(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
