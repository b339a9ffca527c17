//! The accept loop and the connections, on hyper directly: axum's `serve` gives no hand on the socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::provider::Provider;
use super::respond::{self, Content, Prepared};
use super::wire::{Answer, Line, Wire};
use crate::base::task;

/// Connections the system queues before they are accepted.
const BACKLOG: i32 = 4_096;
/// Pause after a failed accept, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What answers the requests of all connections.
pub(crate) trait Service: Send + Sync + 'static {
    type Body: http_body::Body<Data = Bytes, Error = io::Error> + Send + 'static;

    /// The number of a new connection.
    fn connect(&self) -> u64;

    /// The life of one request. An error ends the connection without an answer.
    fn answer(
        self: Arc<Self>,
        line: Arc<Line>,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Response<Self::Body>>> + Send;
}

/// A listener being served on threads of its own, until it is shut.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    stop: watch::Sender<bool>,
    /// Emptied when shut.
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start<S: Service>(
        listener: TcpListener,
        threads: usize,
        service: &Arc<S>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // The standard library queues 128 connections; a thousand clients at once would wait a second for their second try.
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        let (stop, stopped) = watch::channel(false);
        let mut running = Self { addr: listener.local_addr()?, stop, threads: Vec::new() };
        let more = (1..threads).map(|_| listener.try_clone());
        let listeners = more.collect::<io::Result<Vec<_>>>()?;
        for listener in listeners.into_iter().chain([listener]) {
            let service = Arc::clone(service);
            let stopped = stopped.clone();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let serve = move || run(&runtime, listener, &service, stopped);
            let thread = std::thread::Builder::new().name("simulate".into());
            running.threads.push(thread.spawn(serve)?);
        }
        Ok(running)
    }

    /// Closes the port and every connection, and waits until that is done.
    pub(crate) fn shut(&mut self) {
        // Without receivers all threads have ended already.
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the simulator panicked");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Serves until `stopped` turns true; then the runtime goes, and every connection with it.
fn run<S: Service>(
    runtime: &Runtime,
    listener: TcpListener,
    service: &Arc<S>,
    mut stopped: watch::Receiver<bool>,
) {
    let accepting = async {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the simulator cannot listen");
                return;
            }
        };
        loop {
            accept(&listener, service).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            () = accepting => {}
            // An error means that the handle is gone, which is a stop as well.
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
}

async fn accept<S: Service>(listener: &tokio::net::TcpListener, service: &Arc<S>) {
    let socket = match listener.accept().await {
        Ok((socket, _)) => socket,
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            return;
        }
    };
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "the connection ended before it began");
    }
    let line = Arc::new(Line::new(service.connect()));
    let wire = TokioIo::new(Wire::new(socket, Arc::clone(&line)));
    let service = Arc::clone(service);
    task::spawn("simulated connection", async move {
        let answering =
            service_fn(|request| Arc::clone(&service).answer(Arc::clone(&line), request));
        let mut builder = Builder::new(TokioExecutor::new());
        // No date: the same seed is to give the same bytes.
        builder.http1().auto_date_header(false).timer(TokioTimer::new());
        builder.http2().auto_date_header(false).timer(TokioTimer::new());
        if let Err(error) = builder.serve_connection(wire, answering).await {
            tracing::debug!(%error, connection = line.number, "connection ended abnormally");
        }
    });
}

/// Answers by a script.
pub(crate) struct Scripted {
    pub(crate) provider: Arc<Provider>,
    pub(crate) body_max: usize,
}

impl Service for Scripted {
    type Body = Answer;

    fn connect(&self) -> u64 {
        self.provider.log.connect()
    }

    async fn answer(
        self: Arc<Self>,
        line: Arc<Line>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Answer>> {
        answer(Arc::clone(&self.provider), line, request, self.body_max).await
    }
}

/// The life of one request. An error ends the connection without an answer.
async fn answer(
    provider: Arc<Provider>,
    line: Arc<Line>,
    request: Request<Incoming>,
    body_max: usize,
) -> io::Result<Response<Answer>> {
    let (head, body) = request.into_parts();
    let collected = Limited::new(body, body_max).collect().await;
    let body = match collected {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let ticket = provider.log.arrive(line.number, &head, &Bytes::new());
            let mut response = Response::new(Answer::whole(Bytes::new(), ticket));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(response);
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut ticket = provider.log.arrive(line.number, &head, &body);
    let prepared = respond::prepare(&provider, &head, &body);
    drop(body);
    if !prepared.wait.is_zero() {
        tokio::time::sleep(prepared.wait).await;
    }
    if let Some(kind) = prepared.cut {
        ticket.end(super::record::End::Cut);
        line.cut(kind);
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let Prepared { status, headers, body, early_hints, .. } = prepared;
    if early_hints {
        line.hint();
    }
    let answer = match body {
        Content::Whole(bytes) if head.method == Method::HEAD => {
            let mut response = Response::new(Answer::whole(Bytes::new(), ticket));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            let length = HeaderValue::from(bytes.len());
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
            return Ok(response);
        }
        Content::Whole(bytes) => Answer::whole(bytes, ticket),
        Content::Steps(steps) => Answer::steps(steps, line, ticket),
    };
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
