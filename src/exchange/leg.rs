//! One leg of an exchange: headers and body as they stood on one side of one connection, as far as a sink asks for them.
//!
//! Invariant: no credential enters a leg; values of headers are kept by a list (`redact::headers`), and that happens when
//! the leg is made, before any sink sees it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::exchange::frames::{Arrivals, BODY_MAX};
use crate::exchange::redact;

/// How much of an exchange's legs the sinks want. The more the costlier; with `Numbers` nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Keep {
    /// Facts, times and lengths alone.
    #[default]
    Numbers,
    /// Also the headers of all legs.
    Headers,
    /// Also the bodies.
    Bodies,
}

/// One side of one connection.
#[derive(Debug, Default, Clone)]
pub struct Leg {
    /// Method, target and version of a request, where headers are kept. May hold a key in its query: it is redacted before
    /// it is stored, and no sink shows it otherwise.
    pub line: Option<Box<str>>,
    /// In order, with placeholders for the values that are not kept; `None`: not kept at all.
    pub headers: Option<HeaderMap>,
    pub body: Body,
    /// When the pieces of a client's answer went out, where they are not those that the provider sent.
    pub arrivals: Arrivals,
}

/// The bytes of one leg's body.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Body {
    /// Not kept, or there was no such leg.
    #[default]
    Nothing,
    /// Wanted, and let go for want of memory.
    Shed,
    /// The bytes of the leg before it: the client's request for the provider's, the provider's answer for the client's.
    Same,
    /// Of the provider's answer: they are in the attempt's frames.
    Framed,
    /// In order, copies of small pieces and references to large ones.
    Pieces(Pieces),
}

/// Pieces of a body. Limit: [`BODY_MAX`]; what comes after is counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pieces {
    pub pieces: Vec<Bytes>,
    pub bytes: u64,
    /// Bytes past the limit.
    pub cut_bytes: u64,
}

/// A reference would hold the connection's read buffer, and each request would need a new one.
const COPIED_MAX: usize = 16 * 1024;

impl Pieces {
    pub fn push(&mut self, piece: &Bytes) {
        let length = piece.len() as u64;
        if self.cut_bytes > 0 || self.bytes + length > BODY_MAX as u64 {
            self.cut_bytes += length;
            return;
        }
        self.bytes += length;
        self.pieces.push(owned(piece));
    }

    /// All in one piece, without a copy where there is but one.
    pub fn concat(&self) -> Bytes {
        match self.pieces.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

/// A copy where that is the cheaper way to keep it.
pub fn owned(piece: &Bytes) -> Bytes {
    if piece.len() <= COPIED_MAX { Bytes::copy_from_slice(piece) } else { piece.clone() }
}

/// Whether `piece` is kept as a reference into `whole`.
pub fn shares(whole: &Bytes, piece: &Bytes) -> bool {
    let (start, at) = (whole.as_ptr().addr(), piece.as_ptr().addr());
    piece.len() > COPIED_MAX && at >= start && at + piece.len() <= start + whole.len()
}

impl Leg {
    /// Keeps the headers, where they are wanted.
    pub fn note_headers(&mut self, keep: Keep, headers: &HeaderMap) {
        if keep >= Keep::Headers {
            self.headers = Some(redact::current().masked(headers));
        }
    }

    /// Adds a header that is known only now, where headers are kept.
    pub fn add_header(&mut self, name: &HeaderName, value: Option<HeaderValue>) {
        if let (Some(headers), Some(value)) = (&mut self.headers, value) {
            headers.insert(name, value);
        }
    }

    /// Keeps a piece of the body.
    pub fn note_body(&mut self, piece: &Bytes) {
        if self.body == Body::Shed {
            return;
        }
        if !matches!(self.body, Body::Pieces(_)) {
            self.body = Body::Pieces(Pieces::default());
        }
        if let Body::Pieces(pieces) = &mut self.body {
            pieces.push(piece);
        }
    }

    /// Lets the body go, for want of memory.
    pub fn shed(&mut self) {
        self.body = Body::Shed;
        self.arrivals = Arrivals::default();
    }

    /// The body, where it stands here in one piece.
    pub fn one_piece(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Pieces(pieces) if pieces.cut_bytes == 0 => match pieces.pieces.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer sk-1"));
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        headers.insert("user-agent", HeaderValue::from_static("ua"));
        let mut own = HeaderValue::from_static("sk-2");
        own.set_sensitive(true);
        headers.insert("x-own-key", own);
        let mut leg = Leg::default();
        leg.note_headers(Keep::Numbers, &headers);
        assert!(leg.headers.is_none());
        leg.note_headers(Keep::Headers, &headers);
        let kept = format!("{:?}", leg.headers.unwrap());
        assert!(!kept.contains("sk-") && !kept.contains("a=1") && !kept.contains("b=2"), "{kept}");
        assert!(kept.contains("ua") && kept.matches("[redacted:header:").count() == 4, "{kept}");
    }

    #[test]
    fn large_pieces_are_references_small_ones_copies_and_both_have_a_limit() {
        let mut leg = Leg::default();
        let large = Bytes::from(vec![7; 40 * 1024 * 1024]);
        let small = Bytes::from_static(b"small");
        leg.note_body(&large);
        assert_eq!(leg.one_piece().unwrap().as_ptr(), large.as_ptr(), "not a copy");
        leg.note_body(&small);
        leg.note_body(&large);
        leg.note_body(&small);
        let Body::Pieces(pieces) = leg.body else { panic!("no pieces") };
        assert_ne!(pieces.pieces[1].as_ptr(), small.as_ptr(), "a copy");
        let kept = (large.len() + small.len()) as u64;
        assert_eq!((pieces.bytes, pieces.cut_bytes), (kept, kept), "no hole before what is kept");
    }
}
