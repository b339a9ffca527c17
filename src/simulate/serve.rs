//! The accept loop and the connections, on hyper directly: axum's `serve` gives no hand on the socket.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
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

use super::Options;
use super::provider::Provider;
use super::respond::{self, Content, Prepared};
use super::wire::{Answer, Line, Wire};
use crate::base::task;

/// Pause after a failed accept, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves until `stopped` turns true; then the runtime goes, and every connection with it.
pub(crate) fn run(
    runtime: &Runtime,
    listener: TcpListener,
    provider: &Arc<Provider>,
    options: Options,
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
            accept(&listener, provider, options).await;
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

async fn accept(listener: &tokio::net::TcpListener, provider: &Arc<Provider>, options: Options) {
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
    let line = Arc::new(Line::new(provider.log.connect()));
    let wire = TokioIo::new(Wire::new(socket, Arc::clone(&line)));
    let provider = Arc::clone(provider);
    task::spawn("simulated connection", async move {
        let service = service_fn(|request| {
            answer(Arc::clone(&provider), Arc::clone(&line), request, options.body_max)
        });
        let mut builder = Builder::new(TokioExecutor::new());
        // No date: the same seed is to give the same bytes.
        builder.http1().auto_date_header(false).timer(TokioTimer::new());
        builder.http2().auto_date_header(false).timer(TokioTimer::new());
        if let Err(error) = builder.serve_connection(wire, service).await {
            tracing::debug!(%error, connection = line.number, "connection ended abnormally");
        }
    });
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
