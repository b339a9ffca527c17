//! The body of a request to a provider.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request body of ready bytes: the client's own, cut where fields were spliced.
#[derive(Debug, Default)]
pub struct Outgoing {
    first: Option<Bytes>,
    rest: std::vec::IntoIter<Bytes>,
    left: u64,
}

impl Outgoing {
    /// The body as the client sent it.
    pub fn whole(bytes: Bytes) -> Self {
        let left = bytes.len() as u64;
        Self { first: (left > 0).then_some(bytes), rest: Vec::new().into_iter(), left }
    }

    /// The client's own body, unedited.
    pub fn is_whole(&self) -> bool {
        self.rest.as_slice().is_empty()
    }

    /// What is still to be sent.
    pub fn remaining(&self) -> impl Iterator<Item = &Bytes> + Clone {
        self.first.iter().chain(self.rest.as_slice())
    }

    /// Pieces to be sent one after the other.
    pub fn pieces(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { first: None, rest: pieces.into_iter(), left }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let next = this.first.take().or_else(|| this.rest.next());
        if let Some(bytes) = &next {
            this.left -= bytes.len() as u64;
        }
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
