//! The traffic listener: one current-thread runtime per core, each accepting from the same socket.
//!
//! A request lives on the thread that accepted its connection, with that thread's connections to the providers: no
//! task ever moves, no wake-up crosses a core.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::base::{clock, task};
use crate::config::settings::Tls;
use crate::proxy::early;
use crate::proxy::pipeline::{Peer, Worker};
use crate::proxy::socket::{Calls, ClientSocket, Served, Stream, Waits};
use crate::proxy::state::Shared;
use crate::upstream::tls;

/// Limits on a request head.
const HEADERS_MAX: usize = 128;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How often idle connections to providers are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// The first bytes of HTTP/2 in clear text.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// The running workers.
pub struct Server {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// What all workers share about the listener.
#[derive(Clone)]
struct Listening {
    waits: Waits,
    tls: Option<TlsAcceptor>,
}

/// Starts `workers` threads that serve `listener`, with TLS where it is configured.
pub fn start(listener: &TcpListener, shared: &Arc<Shared>, workers: usize) -> io::Result<Server> {
    let settings = Arc::clone(&shared.snapshot().settings);
    let tls = settings.server.tls.as_ref().map(acceptor).transpose()?;
    start_with(listener, shared, 0..workers, tls)
}

/// The same in the clear, whatever is configured, by workers of their own: for the gateway's own requests over loopback.
pub fn start_plain(listener: &TcpListener, shared: &Arc<Shared>) -> io::Result<Server> {
    start_with(listener, shared, shared.run_workers(), None)
}

fn start_with(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    workers: Range<usize>,
    tls: Option<TlsAcceptor>,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let settings = Arc::clone(&shared.snapshot().settings);
    let listening = Listening {
        waits: Waits { head: settings.server.header_timeout, take: settings.timeouts.idle },
        tls,
    };
    let (stop, stopped) = watch::channel(false);
    let mut threads = Vec::with_capacity(workers.len());
    for index in workers {
        let listener = listener.try_clone()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Arc::new(Worker { index, shared: Arc::clone(shared) });
        let listening = listening.clone();
        let mut stopped = stopped.clone();
        let thread =
            std::thread::Builder::new().name(format!("pinhole-{index}")).spawn(move || {
                runtime.block_on(async move {
                    task::spawn("sweep", sweep(Arc::clone(&worker)));
                    tokio::select! {
                        () = accept(listener, worker, listening) => {}
                        _ = stopped.wait_for(|stopped| *stopped) => {}
                    }
                });
            })?;
        threads.push(thread);
    }
    Ok(Server { address, stop, threads })
}

impl Server {
    /// Ends every connection, running ones included, and waits for the workers.
    pub fn stop(self) {
        // Nobody listening means that the workers are gone already.
        let _told = self.stop.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

fn acceptor(files: &Tls) -> io::Result<TlsAcceptor> {
    let certificates = CertificateDer::pem_file_iter(&files.cert)
        .map_err(|error| named(&files.cert, &error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| named(&files.cert, &error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| named(&files.key, &error))?;
    let mut config = rustls::ServerConfig::builder_with_provider(tls::crypto())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| named(&files.cert, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn named(path: &std::path::Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("server.tls: {} cannot be used: {error}", path.display()))
}

async fn accept(listener: TcpListener, worker: Arc<Worker>, listening: Listening) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the listener cannot be watched; this worker serves nothing");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let connection =
                    connection(stream, address, Arc::clone(&worker), listening.clone());
                task::spawn("client connection", connection);
            }
            Err(error) => {
                // Out of file descriptors, most likely: waiting lets some come back.
                tracing::warn!(%error, "a connection could not be accepted; raise the limit of open files");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn sweep(worker: Arc<Worker>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let snapshot = worker.shared.snapshot();
        let now = clock::now();
        for client in snapshot.clients_of(worker.index) {
            client.sweep(now);
        }
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    worker: Arc<Worker>,
    listening: Listening,
) {
    worker.shared.connections.fetch_add(1, Ordering::Relaxed);
    let opened = tokio::time::timeout(listening.waits.head, open(stream, &listening)).await;
    match opened {
        Ok(Ok((stream, http2))) => serve(stream, http2, address, &worker, &listening).await,
        Ok(Err(error)) => tracing::debug!(%error, %address, "a connection did not open"),
        Err(_elapsed) => tracing::debug!(%address, "a connection sent nothing"),
    }
    worker.shared.connections.fetch_sub(1, Ordering::Relaxed);
}

/// TLS where configured, and which version of HTTP is spoken.
async fn open(stream: TcpStream, listening: &Listening) -> io::Result<(Stream, bool)> {
    stream.set_nodelay(true)?;
    if let Some(acceptor) = &listening.tls {
        let stream = acceptor.accept(stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        return Ok((Stream::Tls(Box::new(stream)), http2));
    }
    let mut first = [0; 4];
    let seen = stream.peek(&mut first).await?;
    Ok((Stream::Plain(stream), &first[..seen] == HTTP2_PREFACE))
}

async fn serve(
    stream: Stream,
    http2: bool,
    address: SocketAddr,
    worker: &Arc<Worker>,
    listening: &Listening,
) {
    let calls = Arc::new(Calls::default());
    let socket = ClientSocket::new(stream, Arc::clone(&calls), listening.waits, http2);
    let worker = Arc::clone(worker);
    let service = service_fn(move |request| {
        let running = calls.begin();
        let worker = Arc::clone(&worker);
        async move {
            let answer = early::serve(worker, Peer { address }, request).await;
            Ok::<_, Infallible>(answer.map(|body| Served { body, running }))
        }
    });
    let ended = if http2 {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_concurrent_streams(1_000)
            .keep_alive_interval(Duration::from_mins(1))
            .serve_connection(TokioIo::new(socket), service)
            .await
    } else {
        http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(socket), service)
            .await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %address, "a connection ended early");
    }
}
