//! One try at one provider: what was sent, over which connection, and what came back when.

use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;

use crate::base::trace::SpanId;
use crate::exchange::Blame;
use crate::exchange::frames::Frames;
use crate::exchange::leg::Leg;

/// One try at one provider. Offsets are microseconds from the exchange's start.
#[derive(Debug)]
pub struct Attempt {
    pub provider: Arc<str>,
    /// The model name sent, when there is one.
    pub model: Option<Arc<str>>,
    /// What metrics call the model: a configured or discovered name, the glob that admitted it, or `other`.
    pub model_label: Arc<str>,
    pub key_label: Option<Arc<str>>,
    /// Which rule chose this provider.
    pub because: &'static str,
    /// Fields whose bytes differ from the client's.
    pub edits: Vec<&'static str>,
    /// The gateway asked for the usage chunk that the client did not ask for.
    pub usage_added: bool,
    /// The span whose id the provider got in `traceparent`.
    pub span: SpanId,
    pub request: Leg,
    /// Handed to the client of this provider.
    pub sent_us: u64,
    pub link: Link,
    /// Head of the answer read.
    pub head_us: Option<u64>,
    /// Last byte of the answer, or the break, or the moment it was let go.
    pub ended_us: Option<u64>,
    pub status: Option<StatusCode>,
    /// `content-type` is a stream of events.
    pub events: bool,
    /// `content-encoding` of the answer, when it is not `identity`.
    pub coding: Option<String>,
    pub upstream_request_id: Option<String>,
    pub rate_limit: RateLimit,
    pub response: Leg,
    pub frames: Frames,
    pub failure: Option<Blame>,
}

/// How the connection of one attempt came about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Taken from the pool; then the durations are zero.
    pub reused: bool,
    pub resolve_us: u64,
    pub connect_us: u64,
    pub tls_us: u64,
    pub peer: Option<SocketAddr>,
    /// The gateway's end of the connection.
    pub local: Option<SocketAddr>,
    /// `1.1` or `2`; empty until known.
    pub http: &'static str,
    /// `1.2` or `1.3`; `None` in clear text.
    pub tls: Option<&'static str>,
}

/// What the provider says is left of its limits; absent where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimit {
    pub requests_limit: Option<u64>,
    pub requests_remaining: Option<u64>,
    pub tokens_limit: Option<u64>,
    pub tokens_remaining: Option<u64>,
    pub retry_after_s: Option<u64>,
}
