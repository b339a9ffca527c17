//! As much of HTTP/1.1 as mock and client need, by hand: a codec that costs little leaves the machine to the gateway.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::clock::now_ns;

const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What matters of a request's or a response's head.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// Of a response; zero in a request.
    pub(crate) status: u16,
    /// A request that carries no prompt: probes and discovery.
    pub(crate) is_get: bool,
    /// A request that brings telemetry: the mock is a collector, too.
    pub(crate) is_export: bool,
    pub(crate) close: bool,
    pub(crate) expects_continue: bool,
    chunked: bool,
    length: Option<usize>,
}

impl Head {
    /// The head at the start of `bytes` and its length, or nothing while it is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            ensure!(bytes.len() < HEAD_BYTES_MAX, "a head without an end");
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[..end]).context("a head that is not text")?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let is_export = first.starts_with("POST /v1/traces ");
        let mut head = Self { is_get: first.starts_with("GET "), is_export, ..Self::default() };
        if let Some(rest) = first.strip_prefix("HTTP/1.") {
            head.status = rest.get(2..5).unwrap_or_default().parse()?;
        }
        for line in lines {
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            head.read_header(name, value.trim())?;
        }
        Ok(Some((head, end + 4)))
    }

    fn read_header(&mut self, name: &str, value: &str) -> Result<()> {
        if name.eq_ignore_ascii_case("content-length") {
            self.length = Some(value.parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            self.close = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("expect") {
            self.expects_continue = true;
        }
        Ok(())
    }

    pub(crate) fn body(&self) -> Body {
        match (self.chunked, self.length) {
            (true, _) => Body::Size,
            (false, Some(length)) => Body::Sized(length),
            (false, None) if self.status == 0 => Body::Sized(0),
            (false, None) => Body::UntilClose,
        }
    }
}

/// Where in a body the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Sized(usize),
    UntilClose,
    /// Chunked: before a size line.
    Size,
    /// Chunked: this much of the chunk is still to come.
    Chunk(usize),
    /// Chunked: before the line end that closes a chunk.
    ChunkEnd,
    /// Chunked: in the trailers.
    Trailers,
    Done,
}

impl Body {
    /// Reads on from `bytes`, hands the content to `take`, and returns how many bytes are used up.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<usize> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match *self {
                Self::Sized(0) | Self::Done => {
                    *self = Self::Done;
                    return Ok(used);
                }
                _ if rest.is_empty() => return Ok(used),
                Self::Sized(left) => {
                    let count = left.min(rest.len());
                    take(&rest[..count]);
                    used += count;
                    *self = Self::Sized(left - count);
                }
                Self::UntilClose => {
                    take(rest);
                    used += rest.len();
                }
                Self::Chunk(left) => {
                    let count = left.min(rest.len());
                    take(&rest[..count]);
                    used += count;
                    *self = if count == left { Self::ChunkEnd } else { Self::Chunk(left - count) };
                }
                Self::Size | Self::ChunkEnd | Self::Trailers => {
                    let Some(end) = memmem::find(rest, b"\r\n") else {
                        return Ok(used);
                    };
                    *self = self.after_line(&rest[..end])?;
                    used += end + 2;
                }
            }
        }
    }

    fn after_line(self, line: &[u8]) -> Result<Self> {
        match self {
            Self::Size => {
                let text = std::str::from_utf8(line)?;
                let digits = text.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16).context("a chunk without a size")?;
                Ok(if size == 0 { Self::Trailers } else { Self::Chunk(size) })
            }
            Self::ChunkEnd if line.is_empty() => Ok(Self::Size),
            Self::Trailers if line.is_empty() => Ok(Self::Done),
            Self::Trailers => Ok(Self::Trailers),
            _ => bail!("a chunk longer than its size"),
        }
    }
}

/// One answer, and when each part of it came.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// After each read: the length of the body so far, and when the read returned.
    pub(crate) reads: Vec<(usize, u64)>,
    pub(crate) sent_ns: u64,
    pub(crate) done_ns: u64,
    reusable: bool,
}

/// A client's connection, kept alive from one request to the next.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read and not yet understood.
    pending: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, pending: Vec::with_capacity(8 * 1024) })
    }

    pub(crate) async fn send(&mut self, request: &[u8], reply: &mut Reply) -> Result<()> {
        reply.sent_ns = now_ns();
        self.stream.write_all(request).await?;
        self.receive(reply).await
    }

    /// Sends and reads at once: a gateway that refuses a large body answers before it has read all of it.
    pub(crate) async fn send_and_listen(
        &mut self,
        request: &[u8],
        reply: &mut Reply,
    ) -> Result<()> {
        reply.sent_ns = now_ns();
        let (mut reading, mut writing) = self.stream.split();
        let pending = &mut self.pending;
        let mut receive = std::pin::pin!(receive(&mut reading, pending, reply, Extent::Whole));
        tokio::select! {
            received = &mut receive => received,
            // A write that fails leaves the answer to tell why.
            _ = writing.write_all(request) => receive.await,
        }
    }

    /// Sends and comes back as soon as some of the body has come; the rest stays unread.
    pub(crate) async fn send_until_first(
        &mut self,
        request: &[u8],
        reply: &mut Reply,
    ) -> Result<()> {
        reply.sent_ns = now_ns();
        self.stream.write_all(request).await?;
        receive(&mut self.stream, &mut self.pending, reply, Extent::First).await
    }

    async fn receive(&mut self, reply: &mut Reply) -> Result<()> {
        receive(&mut self.stream, &mut self.pending, reply, Extent::Whole).await
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    First,
    Whole,
}

async fn receive(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    pending: &mut Vec<u8>,
    reply: &mut Reply,
    extent: Extent,
) -> Result<()> {
    reply.body.clear();
    reply.reads.clear();
    reply.reusable = false;
    let mut body = None;
    loop {
        let count = stream.read_buf(pending).await?;
        let at = now_ns();
        if count == 0 {
            ensure!(body == Some(Body::UntilClose), "the connection ended within an answer");
            reply.done_ns = at;
            return Ok(());
        }
        if body.is_none()
            && let Some((head, length)) = Head::parse(pending)?
        {
            reply.status = head.status;
            reply.reusable = !head.close;
            body = Some(head.body());
            pending.drain(..length);
        }
        let Some(reader) = &mut body else { continue };
        let used = reader.feed(pending, |piece| reply.body.extend_from_slice(piece))?;
        pending.drain(..used);
        reply.reads.push((reply.body.len(), at));
        let enough = extent == Extent::First && !reply.body.is_empty();
        if enough || *reader == Body::Done {
            reply.done_ns = at;
            return Ok(());
        }
    }
}

impl Reply {
    /// Whether the connection it came on can carry another request.
    pub(crate) fn reusable(&self) -> bool {
        self.reusable
    }
}
