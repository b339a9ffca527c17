//! A provider made of bytes: it answers what a test tells it to, when it tells it to, and keeps what it was sent.
//!
//! The simulator speaks the dialects; this one says anything, also what no HTTP server would.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pinhole::base::{clock, task};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::eventually;
use super::raw::find;

/// One thing the provider does after it has read a request.
#[derive(Debug, Clone)]
pub enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Nothing, until [`Upstream::release`] or until the other side closes.
    Hold,
    /// FIN.
    Close,
    /// RST.
    Reset,
}

impl Step {
    pub fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Send(bytes.into())
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Got {
    pub method: String,
    /// Path and query, or what a proxy gets.
    pub target: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Counts connections from 0.
    pub connection: usize,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fitting = self.headers.iter();
        let found = fitting.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Default)]
struct Log {
    got: Vec<Got>,
    connections: usize,
    said: usize,
    heard: bool,
    /// When the other side was seen to have closed, by connection.
    closed: Vec<(usize, Instant)>,
}

/// What the provider does about a request.
type Answer = Box<dyn Fn(&Got) -> Vec<Step> + Send + Sync>;

struct Inner {
    log: Mutex<Log>,
    answer: Answer,
    /// Bodies longer than this are read and let go.
    kept_max: usize,
    released: watch::Sender<bool>,
}

impl Inner {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running provider; ends with the test's runtime.
pub struct Upstream {
    pub addr: SocketAddr,
    inner: Arc<Inner>,
}

impl Upstream {
    /// Answers each request with what `answer` makes of it.
    pub async fn start(answer: impl Fn(&Got) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::listen(None, usize::MAX, answer).await
    }

    /// Keeps no bodies, for tests that send a great many.
    pub async fn forgetful(steps: Vec<Step>) -> Self {
        Self::listen(None, 0, move |_| steps.clone()).await
    }

    /// The same steps for every request.
    pub async fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_| steps.clone()).await
    }

    /// Under TLS.
    pub async fn tls(
        acceptor: TlsAcceptor,
        answer: impl Fn(&Got) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(acceptor), usize::MAX, answer).await
    }

    async fn listen(
        acceptor: Option<TlsAcceptor>,
        kept_max: usize,
        answer: impl Fn(&Got) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket");
        let inner = Arc::new(Inner {
            log: Mutex::default(),
            answer: Box::new(answer),
            kept_max,
            released: watch::channel(false).0,
        });
        task::spawn("scripted provider", accept(listener, acceptor, Arc::clone(&inner)));
        Self { addr, inner }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every request so far.
    pub fn got(&self) -> Vec<Got> {
        self.inner.log().got.clone()
    }

    /// The only request there was.
    pub fn only(&self) -> Got {
        let got = self.got();
        assert_eq!(got.len(), 1, "requests at the provider: {got:?}");
        got.into_iter().next().expect("just counted")
    }

    /// Waits for the request with this number.
    pub async fn request(&self, number: usize) -> Got {
        eventually("a request at the provider", || self.got().into_iter().nth(number)).await
    }

    /// Waits until the other side has closed `connection`, and says when that was.
    pub async fn closed(&self, connection: usize) -> Instant {
        eventually("the provider's connection closed", || {
            let log = self.inner.log();
            let mut closed = log.closed.iter();
            closed.find(|(own, _)| *own == connection).map(|(_, at)| *at)
        })
        .await
    }

    /// Requests whose steps are all done.
    pub fn said(&self) -> usize {
        self.inner.log().said
    }

    /// Waits until a connection has brought something, if only half a head.
    pub async fn heard(&self) {
        eventually("a word at the provider", || self.inner.log().heard.then_some(())).await;
    }

    /// Lets every [`Step::Hold`] go on, now and later.
    pub fn release(&self) {
        self.inner.released.send_replace(true);
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, inner: Arc<Inner>) {
    while let Ok((socket, _)) = listener.accept().await {
        let inner = Arc::clone(&inner);
        let number = inner.log().connections;
        inner.log().connections += 1;
        socket.set_nodelay(true).expect("a fresh socket");
        // A second handle on the socket, to set what makes its last drop a reset.
        let Ok(reset) = socket2::SockRef::from(&socket).try_clone() else {
            continue;
        };
        match acceptor.clone() {
            None => {
                task::spawn("scripted connection", async move {
                    serve(socket, number, inner, reset).await;
                });
            }
            Some(acceptor) => {
                task::spawn("scripted TLS connection", async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, number, inner, reset).await;
                    }
                });
            }
        }
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    inner: Arc<Inner>,
    socket: socket2::Socket,
) {
    let mut buffer = Vec::new();
    while let Some(got) = read_request(&mut stream, &mut buffer, number, &inner).await {
        let steps = (inner.answer)(&got);
        inner.log().got.push(got);
        for step in steps {
            let gone = match step {
                Step::Send(bytes) => {
                    stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err()
                }
                Step::Wait(wait) => {
                    let waited = tokio::time::timeout(wait, gone(&mut stream, &mut buffer)).await;
                    waited.is_ok()
                }
                Step::Hold => {
                    let mut released = inner.released.subscribe();
                    tokio::select! {
                        _ = released.wait_for(|released| *released) => false,
                        () = gone(&mut stream, &mut buffer) => true,
                    }
                }
                Step::Close => {
                    let _ = stream.shutdown().await;
                    return;
                }
                Step::Reset => {
                    let _ = socket.set_linger(Some(Duration::ZERO));
                    return;
                }
            };
            if gone {
                inner.log().closed.push((number, clock::now()));
                return;
            }
        }
        inner.log().said += 1;
    }
    inner.log().closed.push((number, clock::now()));
}

/// Ends when the other side has closed.
async fn gone(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) {
    while matches!(stream.read_buf(buffer).await, Ok(1..)) {}
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    connection: usize,
    inner: &Inner,
) -> Option<Got> {
    let head = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break buffer.drain(..at + 4).collect::<Vec<u8>>();
        }
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return None;
        }
        inner.log().heard = true;
    };
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut got = Got { method, target, headers, body: Vec::new(), connection };
    assert!(
        got.header("transfer-encoding").is_none(),
        "the gateway knows the length of what it sends: {got:?}"
    );
    let length =
        got.header("content-length").map_or(0, |text| text.parse().expect("a content-length"));
    let mut left = length;
    loop {
        let taken = buffer.drain(..left.min(buffer.len()));
        left -= taken.len();
        if length <= inner.kept_max {
            got.body.extend(taken);
        } else {
            drop(taken);
        }
        if left == 0 {
            break;
        }
        buffer.reserve(256 << 10);
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return None;
        }
    }
    Some(got)
}

/// A whole answer with its length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut bytes = head(status, headers);
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A JSON answer.
pub fn json(body: &str) -> Vec<u8> {
    answer(200, &[("content-type", "application/json")], body)
}

/// The head of a chunked answer.
pub fn chunked(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![("transfer-encoding", "chunked")];
    all.extend_from_slice(headers);
    head(status, &all)
}

/// The head of an event stream.
pub fn event_stream() -> Vec<u8> {
    chunked(200, &[("content-type", "text/event-stream")])
}

/// One chunk.
pub fn chunk(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The last chunk.
pub fn last_chunk() -> Vec<u8> {
    b"0\r\n\r\n".to_vec()
}

/// A whole event stream: each piece a chunk of its own.
pub fn stream_of(pieces: &[impl AsRef<[u8]>]) -> Vec<Step> {
    let mut steps = vec![Step::Send(event_stream())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(last_chunk()));
    steps
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("writing to a string");
    }
    head.push_str("\r\n");
    head.into_bytes()
}
