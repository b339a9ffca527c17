//! The hot path's handle on an exchange. Ends it exactly once: by a call, or by being dropped.

use std::sync::Arc;

use crate::exchange::frames::Extent;
use crate::exchange::leg::Keep;
use crate::exchange::outcome::Outcome;
use crate::exchange::{Blame, Exchange};
use crate::neutral::failure::Code;
use crate::observe::digest::Digester;
use crate::observe::queue::Queue;

/// Owns an exchange until its end, then hands it to the queue.
///
/// Invariant: every exchange reaches the queue once. A recorder dropped without [`Recorder::finish`] ends as
/// `client_cancelled` (the client's connection took the task down) or, in a panic or
/// when a drain ran out of time, as `gateway_error`.
pub struct Recorder {
    /// `None` once handed over.
    exchange: Option<Box<Exchange>>,
    queue: Arc<Queue>,
}

impl Recorder {
    pub fn new(exchange: Box<Exchange>, queue: Arc<Queue>) -> Self {
        Self { exchange: Some(exchange), queue }
    }

    /// How much of answers is kept for reading.
    pub fn extent(&self) -> Extent {
        match &self.exchange {
            Some(exchange) if exchange.keep == Keep::Bodies => Extent::Body,
            _ => self.queue.digester().extent(),
        }
    }

    /// What reads answers, for a thread that has other work to do.
    pub fn digester(&self) -> &Digester {
        self.queue.digester()
    }

    /// The exchange, while it runs.
    pub fn exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_deref_mut()
    }

    /// Ends the exchange with `outcome`. Only the first end counts.
    pub fn finish(&mut self, outcome: Outcome) {
        if let Some(mut exchange) = self.exchange.take() {
            // Its client may have been sent something, though no answer came.
            exchange.note_opened();
            exchange.outcome = outcome;
            exchange.ended_us = exchange.left_us.unwrap_or_else(|| exchange.offset_us());
            if let Some(seat) = &exchange.seat {
                seat.end();
            }
            self.queue.push(exchange);
        }
    }

    /// Moves the running exchange to a new recorder, leaving this one finished.
    #[must_use]
    pub fn hand_over(&mut self) -> Self {
        Self { exchange: self.exchange.take(), queue: Arc::clone(&self.queue) }
    }

    pub fn is_finished(&self) -> bool {
        self.exchange.is_none()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let code = if std::thread::panicking() {
            Some(Code::InternalError)
        } else if self.queue.is_cutting() {
            Some(Code::GatewayRestarting)
        } else {
            None
        };
        let Some(exchange) = self.exchange() else {
            return;
        };
        let Some(code) = code else {
            self.finish(Outcome::ClientCancelled);
            return;
        };
        exchange.failure = Some(Blame::of(code, None));
        self.finish(Outcome::GatewayError);
    }
}
