//! What goes into the vault of one exchange: headers, bodies and times, in plain types that know nothing of JSON.
//!
//! Whoever fills this has decided what is kept (levels, tail rule) and has redacted the headers. Bodies are redacted on
//! the way in, see [`crate::store::vault::Clean`]: only what is new has to be read for secrets.

use bytes::Bytes;

pub use crate::dialect::outline::Outline;

/// Headers, bodies and times of one exchange.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// What the client sent.
    pub request: LegIn,
    pub attempts: Vec<AttemptIn>,
    /// What the client got.
    pub response: LegIn,
    /// When each piece of that went out, where it is not the provider's answer: offset from the exchange's start in µs,
    /// length.
    pub response_frames: Vec<(u64, u32)>,
    /// Pieces that this table had no row for.
    pub response_untabled: u64,
    /// Redaction changed a header.
    pub headers_redacted: bool,
}

impl Captured {
    /// Whether a body went on past what is kept of one.
    pub fn is_cut(&self) -> bool {
        let cut = |leg: &LegIn| matches!(&leg.body, BodyIn::Content(own) if own.cut_bytes > 0);
        let mut tried = self.attempts.iter();
        cut(&self.request)
            || cut(&self.response)
            || tried.any(|attempt| cut(&attempt.request) || cut(&attempt.response))
    }
}

/// One try at a provider.
#[derive(Debug, Clone, Default)]
pub struct AttemptIn {
    pub request: LegIn,
    pub response: LegIn,
    /// Fields whose bytes differ from the client's.
    pub edits: Vec<&'static str>,
    /// Arrival of each piece of the answer: offset from the exchange's start in µs, length.
    pub frames: Vec<(u64, u32)>,
    /// Pieces that the table had no row for.
    pub untabled: u64,
    /// What the answer is, to choose a dictionary by: the dialect's label, and whether it is a stream of events.
    pub kind: Kind,
}

/// What a body is like, for the choice of a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kind {
    pub dialect: &'static str,
    pub events: bool,
}

/// One side of one connection.
#[derive(Debug, Clone, Default)]
pub struct LegIn {
    /// Method and target, or the status: the line before the headers, as text.
    pub line: Option<String>,
    /// In order, redacted; `None`: not kept.
    pub headers: Option<Vec<(Bytes, Bytes)>>,
    pub body: BodyIn,
}

/// A body on its way in.
#[derive(Debug, Clone, Default)]
pub enum BodyIn {
    /// Not kept, and why.
    Nothing(Absent),
    /// Byte for byte that of the leg before it: the client's request for the provider's, the provider's answer for the
    /// client's.
    #[default]
    Same,
    Content(Content),
}

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absent {
    /// The level asked for no bodies, or the leg never existed.
    NotKept,
    /// There was no memory for it while the exchange ran.
    ShedMemory,
    /// The store's queue was full.
    ShedQueue,
    /// The disk was full.
    ShedDisk,
    /// Removed later, by age, size or by hand.
    Removed,
    /// There never was one: the leg did not come about, or the body was not read. Told when it is read, never written.
    Nothing,
    /// It is there and cannot be read back. Told when it is read, never written.
    Damaged,
}

/// The bytes of a body and where it may be cut.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pub bytes: Bytes,
    /// Bytes past the limit that were not kept.
    pub cut_bytes: u64,
    /// The coding that the bytes are in, as the headers name it.
    pub coding: Option<String>,
    pub outline: Outline,
    /// Secrets were taken out before it came here; these are not the bytes of the wire.
    pub redacted: bool,
}
