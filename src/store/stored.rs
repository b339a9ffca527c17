//! One exchange as the store gives it back. `Listed` is a row of the public view, `Stored` is all there is.

use serde::{Deserialize, Serialize};

use crate::store::capture::Absent;

/// A row of the view `exchanges`; the names are the contract's, and the order is the order of columns in listings.
///
/// It reads back what a gateway of another version has written: what is missing is as if unknown, what is new is passed over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listed {
    pub id: String,
    pub started_at_us: i64,
    pub session_id: Option<String>,
    pub parent_session_id: Option<String>,
    pub dialect: String,
    pub operation: String,
    pub provider: Option<String>,
    pub model_requested: Option<String>,
    pub model: Option<String>,
    pub status: Option<u16>,
    pub outcome: String,
    pub stream: bool,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cache_read_tokens: Option<i64>,
    pub cache_write_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub usage_source: Option<String>,
    pub cost_nanousd: Option<i64>,
    pub ttft_us: Option<i64>,
    pub duration_us: i64,
    pub overhead_us: i64,
    pub request_bytes: i64,
    pub response_bytes: i64,
    pub attempts: i64,
    pub error_source: Option<String>,
    pub error_kind: Option<String>,
    pub upstream_status: Option<u16>,
    pub finish_reason: Option<String>,
    /// JSON array of names in the view; names here.
    pub tools: Vec<String>,
    pub agent: String,
    pub path: String,
    pub client_addr: Option<String>,
    pub key_label: Option<String>,
    pub user_label: Option<String>,
    pub client_request_id: Option<String>,
    pub upstream_request_id: Option<String>,
    pub trace_id: Option<String>,
    pub replay_of: Option<String>,
    pub run_id: Option<String>,
    pub capture_level: String,
    pub redacted: bool,
    pub replayable: bool,
    #[serde(deserialize_with = "told::pairs")]
    pub tags: Vec<(String, String)>,
    pub labels: Vec<String>,
    // Beyond the contract's list, in this order:
    pub error_detail: Option<String>,
    pub method: String,
    /// The session was found by the messages; no client named it.
    pub session_inferred: bool,
    #[serde(deserialize_with = "told::signals")]
    pub signals: Vec<&'static str>,
    /// Values of the headers that the configuration has indexed.
    #[serde(deserialize_with = "told::pairs")]
    pub headers: Vec<(String, String)>,
    pub ttfo_us: Option<i64>,
    pub gap_p50_us: Option<i64>,
    pub gap_p99_us: Option<i64>,
    pub gap_max_us: Option<i64>,
    pub stalls: Option<i64>,
    pub queued_us: i64,
    pub pinned: bool,
    /// The place in the store: newest last. What paging goes on from.
    pub seq: i64,
    /// The exchange that this one repeats, byte for byte.
    pub duplicate_of: Option<String>,
    /// Where in the request's body the prompt first differs from the conversation's last turn.
    pub prefix_changed_at: Option<i64>,
    /// Which rules of redaction it was written by; 0: unknown.
    pub policy_version: i64,
}

/// Everything kept of one exchange.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    pub row: Listed,
    pub request: Leg,
    pub attempts: Vec<Attempt>,
    pub response: Leg,
    /// When each piece of the client's answer went out, where that is not the provider's: offset in µs (to 100), length.
    pub response_frames: Vec<(u64, u32)>,
    /// Pieces that this table had no row for.
    pub response_untabled: u64,
    /// Those on the exchange and those on its session, by name.
    pub labels: Vec<Label>,
    /// What is kept of it and cannot be read back, and why; see `Reader::salvage`.
    pub damage: Vec<(String, String)>,
}

/// One try at a provider, as it was stored.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    pub provider: String,
    pub model: Option<String>,
    pub key_label: Option<String>,
    pub because: String,
    pub status: Option<u16>,
    pub error_source: Option<String>,
    pub error_kind: Option<String>,
    pub sent_us: i64,
    pub head_us: Option<i64>,
    pub ended_us: Option<i64>,
    /// Resolving, connecting, TLS; `None` on a connection that was there already.
    pub link_us: Option<[i64; 3]>,
    pub peer: Option<String>,
    pub http: Option<String>,
    pub tls: Option<String>,
    pub bytes: i64,
    pub upstream_request_id: Option<String>,
    pub response_id: Option<String>,
    pub response_model: Option<String>,
    pub service_tier: Option<String>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cache_read_tokens: Option<i64>,
    pub cache_write_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub usage_source: Option<String>,
    pub cost_nanousd: Option<i64>,
    /// Fields whose bytes differ from the client's.
    pub edits: Vec<String>,
    pub request: Leg,
    pub response: Leg,
    /// Offset from the exchange's start in µs (to 100), length.
    pub frames: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    pub untabled: u64,
}

/// One side of one connection.
#[derive(Debug, Clone, Default)]
pub struct Leg {
    pub line: Option<String>,
    pub headers: Option<Vec<(String, String)>>,
    pub body: Body,
}

/// A body as it was kept.
#[derive(Debug, Clone)]
pub enum Body {
    Absent(Absent),
    /// That of the leg before it, byte for byte.
    Same,
    Whole(Whole),
}

impl Default for Body {
    fn default() -> Self {
        Self::Absent(Absent::NotKept)
    }
}

/// The bytes of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    pub bytes: Vec<u8>,
    /// Bytes past the limit that were not kept.
    pub cut_bytes: u64,
    pub coding: Option<String>,
    /// Something was replaced by a placeholder: these are not the bytes of the wire.
    pub redacted: bool,
}

/// What a label is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelOn {
    Exchange,
    Session,
}

/// What somebody put on an exchange or a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// What it is on: every exchange of a session has the session's labels.
    pub on: LabelOn,
    pub name: String,
    pub score: Option<f64>,
    pub note: Option<String>,
    pub author: Option<String>,
    pub at_us: i64,
}

impl Stored {
    /// The bytes the client sent.
    pub fn client_request(&self) -> Option<&Whole> {
        self.request.body.whole()
    }

    /// The bytes that went to the provider of attempt `n`, from 0.
    pub fn upstream_request(&self, n: usize) -> Option<&Whole> {
        match &self.attempts.get(n)?.request.body {
            Body::Same => self.client_request(),
            body => body.whole(),
        }
    }

    /// The bytes the provider answered in attempt `n`, from 0.
    pub fn upstream_response(&self, n: usize) -> Option<&Whole> {
        self.attempts.get(n)?.response.body.whole()
    }

    /// The bytes the client got.
    pub fn client_response(&self) -> Option<&Whole> {
        match &self.response.body {
            Body::Same => self.upstream_response(self.attempts.len().checked_sub(1)?),
            body => body.whole(),
        }
    }
}

impl Body {
    pub fn whole(&self) -> Option<&Whole> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Absent(_) | Self::Same => None,
        }
    }
}

/// Reading rows back from JSON.
mod told {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer};

    use crate::exchange::signal::Signal;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Pairs {
        Object(BTreeMap<String, String>),
        List(Vec<(String, String)>),
    }

    /// An object, as rows for people have it, or the list that it is made of.
    pub(super) fn pairs<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, String)>, D::Error> {
        Ok(match Pairs::deserialize(from)? {
            Pairs::Object(object) => object.into_iter().collect(),
            Pairs::List(list) => list,
        })
    }

    /// Signals that this version knows.
    pub(super) fn signals<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<&'static str>, D::Error> {
        let told = Vec::<String>::deserialize(from)?;
        let known = Signal::ALL.map(Signal::label);
        Ok(known.into_iter().filter(|label| told.iter().any(|told| told == label)).collect())
    }
}
