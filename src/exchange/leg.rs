//! One leg of an exchange: headers and body as they stood on one side of one connection, as far as a sink asks for them.
//!
//! Invariant: no credential enters a leg; values of headers are kept by a list (`redact::headers`), and that happens when
//! the leg is made, before any sink sees it.

use bytes::Bytes;
use http::HeaderMap;

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
    /// In order, with placeholders for the values that are not kept; `None`: not kept at all.
    pub headers: Option<HeaderMap>,
    pub body: Body,
}

/// The bytes of one leg's body.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Body {
    /// Not kept.
    #[default]
    Nothing,
    /// The bytes of the leg before it: the client's request for the provider's, the provider's answer for the client's.
    Same,
    /// In order of arrival, as references to the bytes that passed.
    Pieces(Pieces),
}

impl Body {
    /// The very same pieces, not only equal ones: told without reading a byte.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let (Self::Pieces(own), Self::Pieces(other)) = (self, other) else {
            return false;
        };
        own.pieces.len() == other.pieces.len()
            && own.cut_bytes == other.cut_bytes
            && own
                .pieces
                .iter()
                .zip(&other.pieces)
                .all(|(own, other)| own.as_ptr() == other.as_ptr() && own.len() == other.len())
    }
}

/// Pieces of a body. Limit: [`Pieces::BYTES_MAX`]; what comes after is counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pieces {
    pub pieces: Vec<Bytes>,
    pub bytes: u64,
    /// Bytes past the limit.
    pub cut_bytes: u64,
}

impl Pieces {
    pub const BYTES_MAX: u64 = 64 * 1024 * 1024;

    pub fn push(&mut self, piece: &Bytes) {
        let length = piece.len() as u64;
        if self.bytes + length > Self::BYTES_MAX {
            self.cut_bytes += length;
            return;
        }
        self.bytes += length;
        self.pieces.push(piece.clone());
    }

    pub fn concat(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

impl Leg {
    /// Keeps the headers, where they are wanted.
    pub fn note_headers(&mut self, keep: Keep, headers: &HeaderMap) {
        if keep >= Keep::Headers {
            self.headers = Some(redact::current().masked(headers));
        }
    }

    /// Keeps a piece of the body, where bodies are wanted.
    pub fn note_body(&mut self, keep: Keep, piece: &Bytes) {
        if keep < Keep::Bodies {
            return;
        }
        if !matches!(self.body, Body::Pieces(_)) {
            self.body = Body::Pieces(Pieces::default());
        }
        if let Body::Pieces(pieces) = &mut self.body {
            pieces.push(piece);
        }
    }

    /// Says that the body is that of the leg before, where bodies are wanted.
    pub fn note_same_body(&mut self, keep: Keep) {
        if keep >= Keep::Bodies {
            self.body = Body::Same;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
    fn bodies_are_references_up_to_a_limit() {
        let mut leg = Leg::default();
        let piece = Bytes::from(vec![7; 40 * 1024 * 1024]);
        leg.note_body(Keep::Headers, &piece);
        assert_eq!(leg.body, Body::Nothing);
        leg.note_body(Keep::Bodies, &piece);
        leg.note_body(Keep::Bodies, &piece);
        let Body::Pieces(pieces) = leg.body else { panic!("no pieces") };
        assert_eq!((pieces.bytes, pieces.cut_bytes), (piece.len() as u64, piece.len() as u64));
        assert_eq!(pieces.pieces[0].as_ptr(), piece.as_ptr(), "not a copy");
    }
}
