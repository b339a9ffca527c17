//! The data path's HTTP client: one pool per provider and worker, byte-exact, without redirects or retries.
//!
//! A connection to a provider is polled by the task of the request that uses it, not by a task of its own:
//!
//! ```text
//!   client's task:  serve ─► RelayBody ─► AnswerBody ─► (hyper connection ─► socket)
//! ```
//!
//! So a frame takes one wake-up from the provider's socket to the client's, and dropping the answer closes the
//! provider's connection in the same instant. Between requests a connection lies idle in the pool, unpolled.
//! HTTP/2 connections are shared between requests, hence do have a task.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::base::headers::remove_all;
use crate::base::{clock, task};
use crate::exchange::attempt::Link;
use crate::upstream::connect::{ConnectError, Origin, Socket};
use crate::upstream::outgoing::Outgoing;
use crate::upstream::provider::Provider;

/// Limit: idle connections kept per provider and worker.
const IDLE_MAX: usize = 256;
/// Limit: how long one is kept. Shorter than the 60 s after which common load balancers hang up.
const IDLE_AGE_MAX: Duration = Duration::from_secs(20);

type Driver = http1::Connection<TokioIo<Socket>, Outgoing>;

/// One HTTP/1 connection: the end that takes requests, and the end that does the work when polled.
pub struct Connection {
    sender: http1::SendRequest<Outgoing>,
    /// `None` once it ended. Dropping it is what tells `sender` and a waiting answer so.
    driver: Option<Pin<Box<Driver>>>,
    /// How it came about, for the attempts that use it again.
    link: Link,
}

impl Connection {
    /// Lets the codec work: write what is due, read what has come, notice the end.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}

/// The HTTP/2 connection that requests share.
#[derive(Clone)]
struct Shared {
    sender: http2::SendRequest<Outgoing>,
    link: Link,
}

/// A connection as the next request finds it: there already.
fn again(link: &Link) -> Link {
    Link { reused: true, resolve_us: 0, connect_us: 0, tls_us: 0, ..link.clone() }
}

struct Idle {
    connection: Connection,
    until: Instant,
}

/// The client of one provider on one worker.
pub struct Client {
    origin: Result<Origin, String>,
    authority: HeaderValue,
    /// For HTTP/2 and plain proxies, which want the whole URI.
    absolute: (Scheme, Option<Authority>),
    /// Written by `put_back`, emptied by `take` and `sweep`. Never held across an await.
    idle: Mutex<Vec<Idle>>,
    /// The shared HTTP/2 connection, once one was agreed on. Never held across an await.
    http2: Mutex<Option<Shared>>,
}

/// What is sent: head and body as they shall stand on the wire.
pub struct Call {
    pub method: Method,
    pub path: PathAndQuery,
    /// Without `host` and `content-length`; the client adds both.
    pub headers: HeaderMap,
    pub body: Outgoing,
}

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection ended before an answer began.
    #[error("the connection ended before an answer: {0}")]
    Reset(hyper::Error),
    /// Bytes came back that are not an HTTP answer.
    #[error("the answer is not HTTP: {0}")]
    Garbage(hyper::Error),
}

impl From<hyper::Error> for SendError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Garbage(error) } else { Self::Reset(error) }
    }
}

impl Client {
    pub fn new(provider: &Provider) -> Self {
        let authority = provider
            .base_url
            .authority()
            .map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default());
        Self {
            origin: Origin::new(provider).map_err(|error| error.to_string()),
            authority: HeaderValue::from_str(authority)
                .unwrap_or_else(|_| HeaderValue::from_static("")),
            absolute: (
                provider.base_url.scheme().cloned().unwrap_or(Scheme::HTTP),
                Authority::try_from(authority).ok(),
            ),
            idle: Mutex::new(Vec::new()),
            http2: Mutex::new(None),
        }
    }

    /// A connection to send on: the newest idle one, the shared HTTP/2 one, or a new one. `link` says which.
    pub async fn connection(&self, link: &mut Link) -> Result<Line, SendError> {
        if let Some(connection) = self.take() {
            link.clone_from(&connection.link);
            return Ok(Line::Http1(connection));
        }
        if let Some(shared) = self.shared_http2() {
            *link = shared.link;
            return Ok(Line::Http2(shared.sender));
        }
        let origin = self.origin.as_ref().map_err(|reason| ConnectError::Setup(reason.clone()))?;
        let socket = origin.open(link).await?;
        if link.http == "2" {
            return self.start_http2(socket, link).await.map(Line::Http2);
        }
        let (sender, driver) = http1::Builder::new()
            .max_headers(256)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(SendError::Reset)?;
        let link = again(link);
        Ok(Line::Http1(Connection { sender, driver: Some(Box::pin(driver)), link }))
    }

    /// Sends `call` on `line` and returns the head of the answer, with a body that drives the connection.
    pub async fn send(
        self: &Arc<Self>,
        line: Line,
        call: Call,
    ) -> Result<Response<AnswerBody>, Unsent> {
        match line {
            Line::Http1(connection) => self.send_http1(connection, call).await,
            Line::Http2(sender) => self.send_http2(sender, call).await,
        }
    }

    /// Drops idle connections past their time; called now and then by the worker.
    pub fn sweep(&self, now: Instant) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|entry| entry.until > now);
    }

    /// Drops all idle connections: whoever drove them is gone.
    pub fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A live pooled connection, newest first.
    fn take(&self) -> Option<Connection> {
        let now = clock::now();
        loop {
            let entry = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if entry.until > now && entry.connection.sender.is_ready() {
                return Some(entry.connection);
            }
        }
    }

    fn put_back(&self, mut connection: Connection, idle_for: Duration) {
        // One poll lets the codec see the end of the answer and get ready for another request, or notice the close.
        let mut unwatched = Context::from_waker(std::task::Waker::noop());
        connection.drive(&mut unwatched);
        if connection.driver.is_none() || !connection.sender.is_ready() {
            return;
        }
        let until = clock::now() + idle_for;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, until });
        }
    }

    async fn send_http1(
        self: &Arc<Self>,
        mut connection: Connection,
        call: Call,
    ) -> Result<Response<AnswerBody>, Unsent> {
        let request = self.http1_request(call);
        let mut pending = std::pin::pin!(connection.sender.try_send_request(request));
        let answer = std::future::poll_fn(|cx| {
            // Only the codec moves `pending`, and it is driven here: woken by `pending` as well, the task would be polled
            // once more for nothing. The second look has the real waker, for what else may make it wait (tokio's
            // budget for one poll).
            let mut unwatched = Context::from_waker(std::task::Waker::noop());
            if let Poll::Ready(answer) = pending.as_mut().poll(&mut unwatched) {
                return Poll::Ready(answer);
            }
            connection.drive(cx);
            pending.as_mut().poll(cx)
        })
        .await;
        match answer {
            Ok(response) => Ok(self.with_body(response, connection)),
            Err(mut error) => match error.take_message() {
                Some(request) => Err(Unsent::Untouched(Box::new(Call::from_request(request)))),
                None => Err(Unsent::Failed(error.into_error().into())),
            },
        }
    }

    fn with_body(
        self: &Arc<Self>,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Response<AnswerBody> {
        let idle_for = keep_alive_hint(response.headers()).unwrap_or(IDLE_AGE_MAX);
        let reusable = response.version() >= Version::HTTP_11;
        response.map(|incoming| AnswerBody {
            incoming,
            owner: reusable.then(|| (Arc::clone(self), idle_for)),
            connection: Some(connection),
        })
    }

    fn http1_request(&self, call: Call) -> Request<Outgoing> {
        let mut request = Request::new(call.body);
        *request.method_mut() = call.method;
        *request.headers_mut() = call.headers;
        request.headers_mut().insert(header::HOST, self.authority.clone());
        let absolute = self.origin.as_ref().is_ok_and(Origin::absolute_form);
        *request.uri_mut() =
            if absolute { self.absolute_uri(call.path) } else { Uri::from(call.path) };
        if let Some(Ok(value)) = self
            .origin
            .as_ref()
            .ok()
            .and_then(Origin::proxy_authorization)
            .map(HeaderValue::from_str)
        {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        request
    }

    fn absolute_uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.absolute.0.clone());
        parts.authority.clone_from(&self.absolute.1);
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).unwrap_or_default()
    }

    fn shared_http2(&self) -> Option<Shared> {
        let mut slot = self.http2.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|shared| shared.sender.is_closed()) {
            *slot = None;
        }
        slot.clone()
    }

    async fn start_http2(
        &self,
        socket: Socket,
        link: &Link,
    ) -> Result<http2::SendRequest<Outgoing>, SendError> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(Duration::from_secs(30))
            .handshake(TokioIo::new(socket))
            .await
            .map_err(SendError::Reset)?;
        task::spawn("http2 connection to a provider", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "http2 connection to a provider ended");
            }
        });
        let shared = Shared { sender: sender.clone(), link: again(link) };
        *self.http2.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        Ok(sender)
    }

    async fn send_http2(
        &self,
        mut sender: http2::SendRequest<Outgoing>,
        call: Call,
    ) -> Result<Response<AnswerBody>, Unsent> {
        // The connection's task goes first, so that a close which has come already is seen before anything is sent.
        tokio::task::yield_now().await;
        if sender.ready().await.is_err() {
            return Err(Unsent::Untouched(Box::new(call)));
        }
        let mut request = Request::new(call.body);
        *request.method_mut() = call.method;
        *request.headers_mut() = call.headers;
        *request.uri_mut() = self.absolute_uri(call.path);
        *request.version_mut() = Version::HTTP_2;
        match sender.try_send_request(request).await {
            Ok(response) => {
                Ok(response.map(|incoming| AnswerBody { incoming, owner: None, connection: None }))
            }
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Unsent::Untouched(Box::new(Call::from_request(request))),
                None => Unsent::Failed(error.into_error().into()),
            }),
        }
    }
}

/// A connection at hand.
pub enum Line {
    Http1(Connection),
    Http2(http2::SendRequest<Outgoing>),
}

/// Why one connection brought no answer.
pub enum Unsent {
    /// The connection had died in the pool and nothing was written; the request is handed back for another one.
    Untouched(Box<Call>),
    Failed(SendError),
}

impl Call {
    fn from_request(request: Request<Outgoing>) -> Self {
        let (mut parts, body) = request.into_parts();
        remove_all(&mut parts.headers, |name| *name == header::HOST);
        let path =
            parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Self { method: parts.method, path, headers: parts.headers, body }
    }
}

/// `keep-alive: timeout=5`: give up a second before the provider does.
fn keep_alive_hint(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds: u64 = value
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))
        .and_then(|seconds| seconds.trim().parse().ok())?;
    Some(IDLE_AGE_MAX.min(Duration::from_secs(seconds.saturating_sub(1))))
}

/// The body of an answer. Polling it drives the connection; dropping it before its end closes the connection.
pub struct AnswerBody {
    incoming: Incoming,
    /// Where the connection goes when the body was read to its end, and how long it may wait there.
    owner: Option<(Arc<Client>, Duration)>,
    /// `None` on HTTP/2, and once given back.
    connection: Option<Connection>,
}

impl AnswerBody {
    fn finish(&mut self) {
        if let (Some((client, idle_for)), Some(connection)) =
            (self.owner.take(), self.connection.take())
        {
            client.put_back(connection, idle_for);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = match &mut this.connection {
            None => Pin::new(&mut this.incoming).poll_frame(cx),
            Some(connection) => {
                // As with the head: the codec wakes the task, its channel need not.
                let mut unwatched = Context::from_waker(std::task::Waker::noop());
                let mut polled = Pin::new(&mut this.incoming).poll_frame(&mut unwatched);
                if polled.is_pending() {
                    connection.drive(cx);
                    polled = Pin::new(&mut this.incoming).poll_frame(cx);
                }
                polled
            }
        };
        if matches!(polled, Poll::Ready(None)) {
            this.finish();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // A body whose length was known is not polled again after its last byte.
        if self.incoming.is_end_stream() {
            self.finish();
        }
    }
}
