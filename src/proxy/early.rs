//! Keeps a client's connection alive while a provider has not begun to answer: after a quiet while a stream is opened
//! early, and comments or pings go out until the answer comes. Off unless `streams.keep_alive` is set, because the
//! status has then been said: a provider's error comes as an event in the stream.
//!
//! ```text
//!   running ──answer in time──────────────► the answer as it is
//!      └─quiet for keep_alive─► 200, comment … comment ─► answer's stream: handed on
//!                                                      └► error: the dialect's error event, then the end
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::base::clock;
use crate::dialect;
use crate::exchange::opened::Opened as Sent;
use crate::neutral::kind::Dialect;
use crate::proxy::notice::{Notice, Underway};
use crate::proxy::pipeline::{self, Peer, Worker};
use crate::proxy::relay::Broken;
use crate::proxy::reply::ReplyBody;

/// The pipeline, owning all it needs.
type Running = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

/// Serves one request, opening its stream early where the configuration wants it.
pub async fn serve(
    worker: Arc<Worker>,
    peer: Peer,
    request: Request<Incoming>,
) -> Response<Opened> {
    let Some(every) = worker.shared.snapshot().settings.streams.keep_alive else {
        return pipeline::serve(&worker, peer, request, None).await.map(Opened::InTime);
    };
    let notice = Arc::new(Notice::new());
    let told = Arc::clone(&notice);
    let mut running: Running =
        Box::pin(async move { pipeline::serve(&worker, peer, request, Some(told)).await });
    loop {
        match tokio::time::timeout(every, &mut running).await {
            Ok(response) => return response.map(Opened::InTime),
            Err(_quiet) => {
                if let Some(underway) = notice.get() {
                    return open(underway, running, every);
                }
            }
        }
    }
}

fn open(underway: &Underway, running: Running, every: Duration) -> Response<Opened> {
    underway.opened.open(underway.head.clone());
    let waiting = Waiting {
        running,
        opened: Arc::clone(&underway.opened),
        dialect: underway.dialect,
        every,
        // The quiet while is over: the first comment is due.
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
    };
    let mut response = Response::new(Opened::Early(Box::new(waiting)));
    response.headers_mut().clone_from(&underway.head);
    response
}

/// The body of every response as it leaves.
pub enum Opened {
    InTime(ReplyBody),
    /// Opened before its answer came.
    Early(Box<Waiting>),
}

impl Body for Opened {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        loop {
            let waiting = match this {
                Self::InTime(body) => return Pin::new(body).poll_frame(cx),
                Self::Early(waiting) => waiting,
            };
            match waiting.poll_turn(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Turn::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Poll::Ready(Turn::Become(body)) => *this = Self::InTime(body),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::InTime(body) => body.is_end_stream(),
            Self::Early(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::InTime(body) => body.size_hint(),
            Self::Early(_) => SizeHint::default(),
        }
    }
}

/// The body of a stream opened before its answer.
pub struct Waiting {
    running: Running,
    /// Told of what is sent meanwhile.
    opened: Arc<Sent>,
    dialect: Dialect,
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

/// What a poll of [`Waiting`] leads to.
enum Turn {
    Data(Bytes),
    /// The answer takes over. Whoever made it knows that its stream has been opened: it is one of events.
    Become(ReplyBody),
}

impl Waiting {
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Poll::Ready(response) = self.running.as_mut().poll(cx) {
            return Poll::Ready(Turn::Become(response.into_body()));
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer = Box::pin(tokio::time::sleep(self.every));
        // Registers the new timer with this task.
        let _not_yet = self.timer.as_mut().poll(cx);
        let comment = dialect::keep_alive(self.dialect);
        self.opened.sent(clock::now(), comment.clone());
        Poll::Ready(Turn::Data(comment))
    }
}
