//! The provider: prepared bytes over a hand-written codec, so that it takes as little of its core as it can.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::MissedTickBehavior;

use crate::clock::now_ns;
use crate::http::{Body, Head};
use crate::wire::{self, Frame, Plan};

/// Connections not yet accepted: a thousand callers come at the same instant.
const BACKLOG: u32 = 4096;
/// The plan stands at the start of the prompt; more of a body is counted and dropped.
const OPENING_BYTES: usize = 1024;
const CATALOGUE: &[u8] = br#"{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1763600000,"owned_by":"bench"}]}"#;
const EXPORTED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
cache-control: no-cache\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";

/// What is made once and sent often.
struct Prepared {
    answers: HashMap<usize, Vec<u8>>,
    catalogue: Vec<u8>,
    chunk: Vec<u8>,
    stamp_at: usize,
    stream_end: Vec<u8>,
}

impl Prepared {
    fn new() -> Self {
        let (chunk, stamp_at) = Frame::new().as_chunk();
        let tail = wire::stream_tail();
        let mut stream_end = format!("{:x}\r\n", tail.len()).into_bytes();
        stream_end.extend_from_slice(tail);
        stream_end.extend_from_slice(b"\r\n0\r\n\r\n");
        let usual = [512, 4096].map(|bytes| (bytes, with_head(&wire::answer_body(bytes))));
        Self {
            answers: HashMap::from(usual),
            catalogue: with_head(CATALOGUE),
            chunk,
            stamp_at,
            stream_end,
        }
    }
}

fn with_head(body: &[u8]) -> Vec<u8> {
    let mut whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    whole.extend_from_slice(body);
    whole
}

pub(super) async fn serve(port: u16) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(BACKLOG)?;
    let prepared = Arc::new(Prepared::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let caller =
            Caller { stream, prepared: prepared.clone(), pending: Vec::with_capacity(4096) };
        TokioExecutor::new().execute(async {
            // A caller that goes away is part of the day's work.
            let _ = caller.attend().await;
        });
    }
}

/// One connection from a gateway.
struct Caller {
    stream: TcpStream,
    prepared: Arc<Prepared>,
    /// Read and not yet understood.
    pending: Vec<u8>,
}

impl Caller {
    async fn attend(mut self) -> Result<()> {
        while let Some((head, length)) = self.head().await? {
            self.pending.drain(..length);
            if head.expects_continue {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let opening = self.body(head.body()).await?;
            if head.is_get {
                self.stream.write_all(&self.prepared.catalogue).await?;
            } else if head.is_export {
                self.stream.write_all(EXPORTED).await?;
            } else {
                let plan = Plan::find(&opening).unwrap_or(Plan::answer(512));
                self.answer(plan).await?;
            }
            if head.close {
                break;
            }
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<Option<(Head, usize)>> {
        loop {
            if let Some(found) = Head::parse(&self.pending)? {
                return Ok(Some(found));
            }
            if self.stream.read_buf(&mut self.pending).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads a body to its end and returns how it starts.
    async fn body(&mut self, mut body: Body) -> Result<Vec<u8>> {
        let mut opening = Vec::with_capacity(OPENING_BYTES);
        loop {
            let used = body.feed(&self.pending, |piece| {
                let room = OPENING_BYTES - opening.len();
                opening.extend_from_slice(&piece[..room.min(piece.len())]);
            })?;
            self.pending.drain(..used);
            if body == Body::Done {
                return Ok(opening);
            }
            // One long prompt must not be read in a thousand small reads.
            self.pending.reserve(64 * 1024);
            let count = self.stream.read_buf(&mut self.pending).await?;
            ensure!(count > 0, "the connection ended within a body");
        }
    }

    async fn answer(&mut self, plan: Plan) -> Result<()> {
        if plan.delay_us > 0 {
            tokio::time::sleep(Duration::from_micros(plan.delay_us)).await;
        }
        if plan.frames > 0 {
            return self.stream(plan).await;
        }
        if let Some(answer) = self.prepared.answers.get(&plan.answer_bytes) {
            self.stream.write_all(answer).await?;
        } else {
            let answer = with_head(&wire::answer_body(plan.answer_bytes));
            self.stream.write_all(&answer).await?;
        }
        Ok(())
    }

    /// Frames in a write each, as a provider's tokens come; the head goes with the first and the end with the last.
    async fn stream(&mut self, plan: Plan) -> Result<()> {
        let mut chunk = STREAM_HEAD.to_vec();
        chunk.extend_from_slice(&self.prepared.chunk);
        let mut start = STREAM_HEAD.len();
        let mut pace = (plan.gap_us > 0).then(|| {
            let mut pace = tokio::time::interval(Duration::from_micros(plan.gap_us));
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        for number in 1..=plan.frames {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            if number == plan.frames {
                chunk.extend_from_slice(&self.prepared.stream_end);
            }
            wire::write_stamp(&mut chunk, start + self.prepared.stamp_at, now_ns());
            self.stream.write_all(&chunk).await?;
            if number == 1 {
                chunk.drain(..start);
                start = 0;
            }
            if plan.stall {
                self.pending = Vec::new();
                let mut nothing = [0_u8; 1];
                let count = self.stream.read(&mut nothing).await?;
                ensure!(count > 0, "the caller hung up on a stalled stream");
            }
        }
        Ok(())
    }
}
