//! A small HTTP/1.1 client over a bare socket: tests see the bytes themselves, how they came, and how the connection ended.
//!
//! ```ignore
//! let answer = raw::send(addr, &Request::post("/v1/chat/completions").json(&body)).await;
//! assert_eq!((answer.status, answer.end), (200, End::Clean));
//! ```

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No wait in a test is longer: past it the test fails instead of hanging.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A request as its bytes will stand on the wire: header names keep their case and order.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body with its content type.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Head and body. `host` and `content-length` are added unless the test set them (or `transfer-encoding`).
    pub fn bytes(&self) -> Vec<u8> {
        let has = |wanted: &str| {
            let mut names = self.headers.iter().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(wanted))
        };
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !has("host") {
            head.push_str("host: test.invalid\r\n");
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("writing to a string");
        }
        let bodiless = self.body.is_empty() && matches!(&*self.method, "GET" | "HEAD" | "OPTIONS");
        if !bodiless && !has("content-length") && !has("transfer-encoding") {
            write!(head, "content-length: {}\r\n", self.body.len()).expect("writing to a string");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The first part of an answer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub status: u16,
    /// In order of arrival, names as sent.
    pub headers: Vec<(String, String)>,
    /// Statuses of the 1xx answers before this one.
    pub interim: Vec<u16>,
}

impl Head {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).into_iter().next()
    }

    pub fn header_all(&self, name: &str) -> Vec<&str> {
        let fitting = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        fitting.map(|(_, value)| value.as_str()).collect()
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By its length or its last chunk; or by the close of a body that has neither.
    Clean,
    /// The connection was closed in the middle.
    Cut,
    /// The connection was reset.
    Reset,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    /// Without the chunked framing.
    pub body: Vec<u8>,
    pub end: End,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; fails the test with the text when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The server-sent events: name (empty without one) and data.
    pub fn events(&self) -> Vec<(String, String)> {
        events(&self.text())
    }
}

/// Server-sent events in `text`: name and data. Comments are passed over.
pub fn events(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\r\n", "\n");
    let read = |block: &str| {
        let field = |name: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>()
        };
        let data = field("data:");
        (!data.is_empty()).then(|| (field("event:").concat(), data.join("\n")))
    };
    text.split("\n\n").filter_map(read).collect()
}

/// How the rest of a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    /// `Some`: bytes left of the chunk being read.
    Chunked(Option<usize>),
    UntilClose,
    Done(End),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    /// Received and not yet handed out.
    buffer: Vec<u8>,
    framing: Framing,
    /// The answer under way is to a HEAD request.
    headless: bool,
}

/// Connects.
pub async fn connect(addr: SocketAddr) -> Connection {
    let socket = TcpStream::connect(addr).await.expect("a listening server");
    socket.set_nodelay(true).expect("a fresh socket");
    Connection { socket, buffer: Vec::new(), framing: Framing::Done(End::Clean), headless: false }
}

/// One request on a connection of its own, and the whole answer.
pub async fn send(addr: SocketAddr, request: &Request) -> Response {
    let mut connection = connect(addr).await;
    connection.send(request).await;
    connection.read_response().await
}

impl Connection {
    /// Sends a request.
    pub async fn send(&mut self, request: &Request) {
        self.headless = request.method == "HEAD";
        self.write(&request.bytes()).await;
    }

    /// Sends bytes as they are. A server that has closed already is not an error here: reading will tell.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes).await;
    }

    /// Reads so many bytes as they come, framing and all.
    pub async fn read_exact(&mut self, bytes: &mut [u8]) {
        while self.buffer.len() < bytes.len() {
            let read = self.fill().await.expect("an open connection");
            assert!(read > 0, "the server closed after {:?}", self.buffer);
        }
        let (taken, _) = self.buffer.split_at(bytes.len());
        bytes.copy_from_slice(taken);
        self.buffer.drain(..bytes.len());
    }

    /// Reads the head of the next answer; `None` when the connection ends before.
    pub async fn read_head(&mut self) -> Option<Head> {
        let mut interim = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                    break at + 4;
                }
                match self.fill().await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            };
            let text: Vec<u8> = self.buffer.drain(..end).collect();
            let mut head = parse_head(&String::from_utf8_lossy(&text));
            if (100..200).contains(&head.status) && head.status != 101 {
                interim.push(head.status);
                continue;
            }
            self.framing = framing(&head, self.headless);
            head.interim = interim;
            return Some(head);
        }
    }

    /// The next bytes of the body, without framing, as soon as there are any; `None` at its end, whichever kind.
    pub async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.framing == Framing::Chunked(None) && self.next_chunk() {
                continue;
            }
            match self.framing {
                Framing::Done(_) => return None,
                Framing::Length(0) => self.framing = Framing::Done(End::Clean),
                Framing::Length(left) | Framing::Chunked(Some(left)) if !self.buffer.is_empty() => {
                    let taken: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
                    self.framing = match self.framing {
                        Framing::Length(_) => Framing::Length(left - taken.len()),
                        // The line end behind a chunk is read with the size of the next.
                        _ if left == taken.len() => Framing::Chunked(None),
                        _ => Framing::Chunked(Some(left - taken.len())),
                    };
                    return Some(taken);
                }
                Framing::UntilClose if !self.buffer.is_empty() => {
                    return Some(std::mem::take(&mut self.buffer));
                }
                _ => self.fill_body().await,
            }
        }
    }

    /// How the body ended; `None` while it has not.
    pub fn end(&self) -> Option<End> {
        match self.framing {
            Framing::Done(end) => Some(end),
            _ => None,
        }
    }

    /// Reads body bytes until `text` has come (`true`) or the body has ended (`false`); returns them all.
    pub async fn read_until(&mut self, text: &str) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        while find(&body, text.as_bytes()).is_none() {
            match self.read_chunk().await {
                Some(bytes) => body.extend(bytes),
                None => return (body, false),
            }
        }
        (body, true)
    }

    /// Reads the rest of the body.
    pub async fn read_body(&mut self) -> (Vec<u8>, End) {
        let mut body = Vec::new();
        while let Some(bytes) = self.read_chunk().await {
            body.extend(bytes);
        }
        (body, self.end().unwrap_or(End::Cut))
    }

    /// Reads a whole answer. A connection that ends before the head gives status 0.
    pub async fn read_response(&mut self) -> Response {
        let Some(head) = self.read_head().await else {
            return Response { status: 0, head: Head::default(), body: Vec::new(), end: End::Cut };
        };
        let (body, end) = self.read_body().await;
        Response { status: head.status, head, body, end }
    }

    /// Whether the server closes the connection, read to its end.
    pub async fn closed(&mut self) -> bool {
        loop {
            match self.fill().await {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        timeout(DEADLINE, self.socket.read_buf(&mut self.buffer))
            .await
            .expect("the server sends something, or closes, within the deadline")
    }

    async fn fill_body(&mut self) {
        let end = match self.fill().await {
            Ok(0) if self.framing == Framing::UntilClose => End::Clean,
            Ok(0) => End::Cut,
            Ok(_) => return,
            Err(_) => End::Reset,
        };
        self.framing = Framing::Done(end);
    }

    /// Reads the size of the next chunk, if it has come whole.
    fn next_chunk(&mut self) -> bool {
        let skipped = usize::from(self.buffer.starts_with(b"\r\n")) * 2;
        let Some(at) = find(&self.buffer[skipped..], b"\r\n") else {
            return false;
        };
        let line = String::from_utf8_lossy(&self.buffer[skipped..skipped + at]).into_owned();
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)
            .unwrap_or_else(|_| panic!("{line:?} is not the size of a chunk"));
        if size > 0 {
            self.buffer.drain(..skipped + at + 2);
            self.framing = Framing::Chunked(Some(size));
            return true;
        }
        // The last chunk: trailers, if any, end with an empty line.
        let Some(end) = find(&self.buffer[skipped + at..], b"\r\n\r\n") else {
            return false;
        };
        self.buffer.drain(..skipped + at + end + 4);
        self.framing = Framing::Done(End::Clean);
        true
    }
}

fn parse_head(text: &str) -> Head {
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let pairs = lines.filter_map(|line| line.split_once(':'));
    Head {
        status: status.unwrap_or_else(|| panic!("{text:?} is not the head of an answer")),
        headers: pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
        interim: Vec::new(),
    }
}

fn framing(head: &Head, headless: bool) -> Framing {
    let chunked = head.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let length = head.header("content-length").and_then(|value| value.parse().ok());
    match (head.status, chunked, length) {
        _ if headless => Framing::Done(End::Clean),
        (101 | 204 | 304, _, _) => Framing::Done(End::Clean),
        (_, true, _) => Framing::Chunked(None),
        (_, _, Some(length)) => Framing::Length(length),
        _ => Framing::UntilClose,
    }
}

/// Where `needle` first stands in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
