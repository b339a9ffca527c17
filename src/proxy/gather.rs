//! Waits a moment for a short document, so that `x-pinhole-cost` can stand in the head before it.
//!
//! A model's document comes in one piece when the model is done, so there is rarely anything to wait for. Where there is
//! (a provider that sends white space to keep the line alive, an answer of megabytes), the head goes without the cost.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Frame, SizeHint};

use crate::proxy::relay::{Broken, Relay};

/// Limits on what is waited for.
const BYTES_MAX: usize = 256 * 1024;
const WAIT: Duration = Duration::from_millis(100);

/// The beginning of an answer, held back, and whatever follows it.
pub struct Gathered {
    first: VecDeque<Bytes>,
    bytes: usize,
    relay: Box<Relay>,
    /// What the relay said last, when it was no data: trailers, or a break.
    next: Option<Result<Frame<Bytes>, Broken>>,
    /// The codec was given a turn to write what stands before a break.
    yielded: bool,
}

impl Gathered {
    /// Holds back what comes of `relay` until its end, or one of the limits.
    pub async fn from(relay: Box<Relay>) -> Self {
        let mut gathered =
            Self { first: VecDeque::new(), bytes: 0, relay, next: None, yielded: false };
        let mut timer = None;
        poll_fn(|cx| {
            if gathered.gather(cx).is_ready() {
                return Poll::Ready(());
            }
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(WAIT)));
            timer.as_mut().poll(cx)
        })
        .await;
        if gathered.relay.is_running() {
            gathered.relay.forget_cost();
        }
        gathered
    }

    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.bytes < BYTES_MAX {
            match self.relay.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    let data = frame.into_data().unwrap_or_default();
                    self.bytes += data.len();
                    self.first.push_back(data);
                }
                Poll::Ready(other) => {
                    self.next = other;
                    return Poll::Ready(());
                }
            }
            // A body of known length says so with its last byte, and is not asked again.
            if self.relay.is_end_stream() {
                self.relay.end_of_known_length();
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }

    /// The value of `x-pinhole-cost`, when the answer is over and has a price.
    pub fn cost(&self) -> Option<HeaderValue> {
        self.relay.cost()
    }

    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(data) = self.first.pop_front() {
            self.bytes -= data.len();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        // A break at once would take along what the codec has not written yet: the head, and what was held back.
        if matches!(self.next, Some(Err(_))) && !std::mem::replace(&mut self.yielded, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        self.relay.poll_frame(cx)
    }

    pub fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.next.is_none() && self.relay.is_end_stream()
    }

    pub fn size_hint(&self) -> SizeHint {
        let held = self.bytes as u64;
        let rest = self.relay.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(held + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(held + upper);
        }
        hint
    }
}
