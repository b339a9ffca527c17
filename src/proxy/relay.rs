//! The answer on its way to the client: each frame handed on as it comes, noted, and the end told once.
//!
//! ```text
//!   running ──end of body──────────────────────► complete (or upstream_error, by its status)
//!      │────connection broke───────────────────► upstream_reset; the client's connection ends abnormally
//!      │────silent for `idle`──────────────────► timeout; an error event in the dialect, then the end
//!      │                                         (in the middle of an event: an abnormal end)
//!      └────client gone ──last event was sent──► complete, after the tail was read (1 s, 64 KiB)
//!                       └─else─────────────────► client_cancelled; the provider's connection closes at once
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::base::money::Nanodollars;
use crate::base::{clock, task};
use crate::dialect;
use crate::dialect::openai_chat::usage_filter::UsageFilter;
use crate::exchange::outcome::Outcome;
use crate::exchange::{Blame, Exchange};
use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::Dialect;
use crate::observe::digest::Digester;
use crate::observe::recorder::Recorder;
use crate::proxy::boundary::Boundary;
use crate::proxy::headers::X_PINHOLE_COST;
use crate::proxy::ids::Ids;
use crate::proxy::late::Late;
use crate::proxy::state::Places;
use crate::proxy::tail;
use crate::upstream::client::AnswerBody;

/// Why a relayed body ends abnormally. Seen by the server codec, which then cuts the client's connection.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the provider's connection broke: {0}")]
    Upstream(#[from] hyper::Error),
    #[error("the provider was silent for {0:?}")]
    Silent(Duration),
}

/// How an answer is to be handed on.
pub struct Manner {
    pub dialect: Dialect,
    /// Server-sent events in clear text: errors and keep-alives may be written between them.
    pub writable: bool,
    pub idle: Duration,
    /// When the whole call must be over.
    pub deadline: Option<Instant>,
    /// Quiet time after which a comment is written between events.
    pub keep_alive: Option<Duration>,
    /// Hides the usage chunk that the gateway asked for.
    pub filter: Option<UsageFilter>,
    /// Told the id that a complete answer hands out, where one may be asked for later.
    pub ids: Option<Arc<Ids>>,
    /// The answer's `content-encoding`.
    pub coding: Option<HeaderValue>,
    /// The client's stream was opened before the answer came: it gets something else than the provider sends.
    pub opened: bool,
    /// … and the answer is no stream: the client gets one event made of it.
    pub late: Option<Late>,
    /// Reads a short document before its end is told, so that the client can be told what it cost.
    pub digester: Option<Digester>,
}

/// An answer being handed on.
pub struct Relay {
    /// `None` once it ended.
    body: Option<AnswerBody>,
    recorder: Recorder,
    manner: Manner,
    /// Last time anything came from the provider; the timers look at it when they fire, so a frame costs no timer.
    last_frame: Instant,
    /// Last time anything went to the client.
    last_sent: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    boundary: Boundary,
    /// The client gets something else than the provider sent.
    own: bool,
    /// The end that comes next, once what was handed on before it is on its way.
    breaking: Option<Broken>,
    /// What the answer cost, once it is over and was read here.
    cost: Option<Nanodollars>,
    /// Held until the exchange is over.
    places: Places,
}

/// What the clock says while nothing comes.
enum Waited {
    /// Nothing is due; the timer is set.
    NotYet,
    KeepAlive,
    Silent(Duration, Code),
}

impl Relay {
    pub fn new(body: AnswerBody, recorder: Recorder, manner: Manner, places: Places) -> Self {
        let now = clock::now();
        let own = manner.opened;
        Self {
            body: Some(body),
            recorder,
            manner,
            last_frame: now,
            last_sent: now,
            timer: None,
            boundary: Boundary::default(),
            own,
            breaking: None,
            cost: None,
            places,
        }
    }

    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(broken) = self.breaking.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        let data = self.note(data);
                        if !data.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                    }
                    // A codec that got trailers asks for nothing more. Bytes that a filter holds back go before them.
                    Err(trailers) if self.manner.filter.is_none() && self.manner.late.is_none() => {
                        self.complete();
                        return Poll::Ready(Some(Ok(trailers)));
                    }
                    Err(_trailers) => {}
                },
                Poll::Ready(Some(Err(error))) => {
                    if let Some(event) = self.late_event() {
                        self.broke(&error);
                        return Poll::Ready(Some(Ok(Frame::data(event))));
                    }
                    self.broke(&error);
                    // An error at once would take along what the codec has not written yet, the head perhaps.
                    self.breaking = Some(error.into());
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(None) => {
                    self.body = None;
                    return Poll::Ready(self.last_bytes().map(|data| Ok(Frame::data(data))));
                }
                Poll::Pending => match self.waited(cx) {
                    Waited::NotYet => return Poll::Pending,
                    Waited::KeepAlive => {
                        let comment = dialect::keep_alive(self.manner.dialect);
                        self.own = true;
                        self.sent(&comment, clock::now());
                        return Poll::Ready(Some(Ok(Frame::data(comment))));
                    }
                    Waited::Silent(wait, code) => return self.gave_up(wait, code),
                },
            }
        }
    }

    pub fn is_end_stream(&self) -> bool {
        // With a filter the end still owes what it held back, and a late answer all that is made of it.
        self.manner.filter.is_none()
            && self.manner.late.is_none()
            && self.breaking.is_none()
            && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    pub fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) if self.manner.filter.is_none() && !self.manner.opened => body.size_hint(),
            _ => SizeHint::default(),
        }
    }

    /// Notes a piece of the answer and returns what the client gets of it.
    fn note(&mut self, data: Bytes) -> Bytes {
        let now = clock::now();
        self.last_frame = now;
        if let Some(exchange) = self.recorder.exchange() {
            let at = clock::us_between(exchange.started, now);
            exchange.note_frame(at, &data);
        }
        if let Some(late) = &mut self.manner.late {
            // Enough is the end of it, and what comes then is nobody's.
            return if late.feed(&data) {
                self.last_bytes().unwrap_or_default()
            } else {
                Bytes::new()
            };
        }
        let Some(filter) = &mut self.manner.filter else {
            self.sent(&data, now);
            return data;
        };
        let passed = filter.feed(&data);
        self.own |= passed != data;
        self.sent(&passed, now);
        passed
    }

    fn sent(&mut self, data: &Bytes, now: Instant) {
        if data.is_empty() {
            return;
        }
        self.last_sent = now;
        if let Some(exchange) = self.recorder.exchange() {
            if self.own {
                let at_us = clock::us_between(exchange.started, now);
                exchange.note_own_answer(exchange.response_bytes, at_us, data);
            }
            exchange.response_bytes += data.len() as u64;
        }
        if self.manner.keep_alive.is_some() {
            self.boundary.pass(data);
        }
    }

    /// The answer is over: tell it, and hand on what a filter held back.
    fn last_bytes(&mut self) -> Option<Bytes> {
        if let Some(event) = self.late_event() {
            self.complete();
            return Some(event);
        }
        let held = self
            .manner
            .filter
            .take()
            .map(|mut filter| filter.finish())
            .filter(|held| !held.is_empty());
        if let Some(held) = &held {
            self.sent(held, clock::now());
        }
        self.complete();
        held
    }

    /// What a client whose stream was opened early is sent of an answer that is no stream.
    fn late_event(&mut self) -> Option<Bytes> {
        let event = self.manner.late.take()?.event(self.manner.dialect);
        self.sent(&event, clock::now());
        Some(event)
    }

    fn complete(&mut self) {
        let mut outcome = ended_as(self.recorder.exchange());
        if outcome == Outcome::Complete {
            self.learn_id();
        }
        self.end_attempt();
        if let (Some(digester), Some(exchange)) =
            (&mut self.manner.digester, self.recorder.exchange())
        {
            exchange.ended_us = exchange.offset_us();
            exchange.outcome = outcome;
            // A defect in reading must not become the client's.
            let reading = AssertUnwindSafe(|| digester.digest_told(exchange));
            if catch_unwind(reading).is_err() {
                tracing::error!(id = %self.id_text(), "an answer could not be read for its cost");
            }
            if let Some(exchange) = self.recorder.exchange() {
                self.cost = exchange.summary.cost;
                // The head waits for it: see `gather`.
                exchange.response.add_header(&X_PINHOLE_COST, cost_value(self.cost));
                // Reading may have found that the provider failed inside its 200.
                outcome = exchange.outcome;
            }
        }
        self.end(outcome);
    }

    /// A body of known length is over with its last byte.
    pub fn end_of_known_length(&mut self) {
        if self.body.as_ref().is_some_and(Body::is_end_stream) {
            self.complete();
        }
    }

    /// Whether more may come.
    pub fn is_running(&self) -> bool {
        self.body.is_some()
    }

    /// Nobody waits for the cost any more: the observer reads the answer.
    pub fn forget_cost(&mut self) {
        self.manner.digester = None;
    }

    fn id_text(&mut self) -> String {
        self.recorder.exchange().map(|exchange| exchange.id.to_string()).unwrap_or_default()
    }

    /// The value of `x-pinhole-cost`, when the answer is over and has a price.
    pub fn cost(&self) -> Option<HeaderValue> {
        cost_value(self.cost)
    }

    fn end_attempt(&mut self) {
        if let Some(exchange) = self.recorder.exchange() {
            let now_us = exchange.offset_us();
            if let Some(attempt) = exchange.attempts.last_mut() {
                attempt.ended_us.get_or_insert(now_us);
            }
        }
    }

    fn learn_id(&mut self) {
        if let (Some(ids), Some(exchange)) = (&self.manner.ids, self.recorder.exchange()) {
            ids.learn(exchange, self.manner.coding.as_ref());
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.body = None;
        self.end_attempt();
        self.recorder.finish(outcome);
        self.places.give_back();
    }

    fn broke(&mut self, error: &hyper::Error) {
        self.blame(Blame::of(Code::UpstreamReset, Some(error.to_string())));
        self.end(Outcome::UpstreamReset);
    }

    fn blame(&mut self, blame: Blame) {
        if let Some(exchange) = self.recorder.exchange() {
            if let Some(attempt) = exchange.attempts.last_mut() {
                attempt.failure = Some(blame.clone());
            }
            exchange.failure = Some(blame);
        }
    }

    /// A wait ran out: an event stream is told why and ends; anything else, and half an event, is cut.
    fn gave_up(
        &mut self,
        wait: Duration,
        code: Code,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let text = match code {
            Code::UpstreamTotalTimeout => format!(
                "the call was not over within {wait:?}; raise the provider's timeouts.total"
            ),
            _ => format!(
                "the provider sent nothing for {wait:?} in the middle of its answer; retry, or raise the \
                 provider's timeouts.idle"
            ),
        };
        let failure = Failure::new(code, text);
        self.blame(Blame::of(code, Some(failure.message.to_string())));
        let event = self.error_event(&failure);
        if let Some(event) = &event {
            self.own = true;
            self.sent(event, clock::now());
        }
        self.manner.filter = None;
        self.end(Outcome::Timeout);
        let last = event.map(Frame::data);
        Poll::Ready(Some(last.ok_or(Broken::Silent(wait))))
    }

    /// The event that ends an event stream; none in the middle of an event, whose reader would take it for a part.
    fn error_event(&mut self, failure: &Failure) -> Option<Bytes> {
        let (dialect, writable) = (self.manner.dialect, self.manner.writable);
        // Of a late answer nothing was handed on: what stands before is a comment.
        let late = self.manner.late.take().is_some();
        let exchange = self.recorder.exchange().filter(|_| writable || late)?;
        let mut buffer = [0; 36];
        (late || is_between_events(exchange))
            .then(|| dialect::stream_error(dialect, failure, exchange.id.encode(&mut buffer)))
    }

    /// Looks at the waits; sets the timer for the next one.
    fn waited(&mut self, cx: &mut Context<'_>) -> Waited {
        loop {
            let due = self.next_due();
            let timer = match &mut self.timer {
                Some(timer) => timer,
                None => self.timer.insert(Box::pin(tokio::time::sleep_until(due.into()))),
            };
            // It may have been set for `idle` in the middle of an event, where no keep-alive was due.
            if timer.deadline().into_std() > due {
                timer.as_mut().reset(due.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Waited::NotYet;
            }
            let now = clock::now();
            if let Some(deadline) = self.manner.deadline
                && deadline <= now
            {
                let total = self.recorder.exchange().map_or(Duration::ZERO, |exchange| {
                    deadline.saturating_duration_since(exchange.started)
                });
                return Waited::Silent(total, Code::UpstreamTotalTimeout);
            }
            if self.last_frame + self.manner.idle <= now {
                return Waited::Silent(self.manner.idle, Code::UpstreamIdleTimeout);
            }
            let quiet = self.manner.keep_alive.filter(|wait| self.last_sent + *wait <= now);
            self.timer = None;
            if quiet.is_some() && self.manner.writable && self.boundary.between_events {
                return Waited::KeepAlive;
            }
        }
    }

    fn next_due(&self) -> Instant {
        let idle = self.last_frame + self.manner.idle;
        let keep_alive = self
            .manner
            .keep_alive
            .filter(|_| self.manner.writable && self.boundary.between_events)
            .map(|wait| self.last_sent + wait);
        [keep_alive, self.manner.deadline].into_iter().flatten().fold(idle, Instant::min)
    }
}

fn cost_value(cost: Option<Nanodollars>) -> Option<HeaderValue> {
    HeaderValue::from_str(&cost?.to_string()).ok()
}

/// Whether what came so far ends between two events.
fn is_between_events(exchange: &Exchange) -> bool {
    let mut boundary = Boundary::default();
    if let Some(attempt) = exchange.last_attempt() {
        boundary.pass(&attempt.frames.ending());
    }
    boundary.between_events
}

/// The outcome of an answer that was handed on whole.
fn ended_as(exchange: Option<&mut Exchange>) -> Outcome {
    let failed = exchange
        .and_then(|exchange| exchange.last_attempt()?.status)
        .is_some_and(|status| status.is_client_error() || status.is_server_error());
    if failed { Outcome::UpstreamError } else { Outcome::Complete }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.recorder.is_finished() || std::thread::panicking() {
            return;
        }
        let Some(body) = self.body.take() else { return };
        if body.is_end_stream() && self.manner.late.is_none() {
            // The codec does not poll again once a body of known length has all its bytes.
            self.complete();
            return;
        }
        let dialect = self.manner.dialect;
        let terminal = self.recorder.exchange().is_some_and(|exchange| {
            exchange.stream
                && exchange.status == Some(StatusCode::OK)
                && exchange
                    .last_attempt()
                    .is_some_and(|attempt| dialect::is_terminal(dialect, &attempt.frames.ending()))
        });
        if !terminal {
            // The recorder, dropped next, tells a client that left from a drain that ran out of time.
            return;
        }
        self.learn_id();
        if let Some(exchange) = self.recorder.exchange() {
            exchange.left_us = Some(exchange.offset_us());
        }
        let recorder = self.recorder.hand_over();
        let places = std::mem::take(&mut self.places);
        task::spawn("tail of a finished stream", tail::read(body, recorder, places));
    }
}
