//! Replays through the gateway itself: recordings become requests to its own listener, so that a replayed exchange takes
//! the path of live traffic, and what comes back is read as it arrives.
//!
//! ```text
//!  Order ─► request (request.rs) ─► own listener ─► pipeline ─► provider
//!  Outcome ◄── hearing (hearing.rs) ◄── pieces with their arrivals
//! ```

pub mod account;
pub mod aim;
mod asking;
pub mod captured;
pub mod crew;
pub mod drive;
pub mod forms;
mod hearing;
pub mod hosted;
pub mod meter;
mod request;
pub mod run;
mod sealed;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use pinhole_replay::outcome::Outcome;
use pinhole_replay::recording::Fault;
use pinhole_replay::{Order, Transport};
use tokio::net::TcpStream;

use crate::base::id::ExchangeId;
use crate::base::{clock, task};
use crate::price::book::Book;
use crate::proxy::headers;
use hearing::Hearing;
use meter::Meter;

/// Limit: idle connections kept to the gateway's own listener.
const IDLE_MAX: usize = 1_024;

/// Sends recordings through a gateway of this process.
pub struct Loopback {
    address: SocketAddr,
    run: ExchangeId,
    /// The model to ask each target for: a name or a selector, as a client would write it.
    targets: Vec<String>,
    prices: Arc<Book>,
    meter: Meter,
    idle: Mutex<Vec<Connection>>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Loopback {
    /// `address` is that of a listener of this process: nobody else's takes a replay for one.
    pub fn new(
        address: SocketAddr,
        run: ExchangeId,
        targets: Vec<String>,
        prices: Arc<Book>,
        meter: Meter,
    ) -> Self {
        Self { address, run, targets, prices, meter, idle: Mutex::default() }
    }

    /// A connection that can be written to at once. One that still waits for something is left where it is: whoever waited
    /// with it would be late, or never sent.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.is_closed());
        let place = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.swap_remove(place))
    }

    /// Sends it, on a connection that was kept or on a new one. One that was closed meanwhile has cost nothing: the request
    /// comes back unsent.
    async fn answer(
        &self,
        mut request: Request<Full<Bytes>>,
        (zero, sent_us): (Instant, &mut u64),
    ) -> Result<(Connection, Response<Incoming>), Fault> {
        while let Some(mut kept) = self.kept() {
            *sent_us = since(zero);
            match kept.try_send_request(request).await {
                Ok(answer) => return Ok((kept, answer)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken("send", error.into_error().to_string())),
                },
            }
        }
        let mut fresh = self.connection().await.map_err(|why| broken("connect", why))?;
        *sent_us = since(zero);
        let sent = fresh.send_request(request).await;
        let answer = sent.map_err(|error| broken("send", error.to_string()))?;
        Ok((fresh, answer))
    }

    async fn connection(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| error.to_string())?;
        drop(task::spawn("replay connection", async move {
            // Whoever sends on it hears of its end.
            let _ended = connection.await;
        }));
        Ok(sender)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }

    async fn exchange(&self, order: &Order, outcome: &mut Outcome) -> Result<(), Fault> {
        let model = self.targets.get(order.target).map_or("", String::as_str);
        let request = request::of(order, model, self.run)?;
        let clock = (order.zero, &mut outcome.sent_us);
        let (connection, answer) = self.answer(request, clock).await?;
        outcome.head_us = Some(since(order.zero));
        outcome.status = Some(answer.status().as_u16());
        outcome.id = text(answer.headers(), &headers::X_PINHOLE_ID);
        outcome.retry_after_us = retry_after(answer.headers());
        self.hear(order, answer, outcome).await?;
        self.keep(connection);
        Ok(())
    }

    async fn hear(
        &self,
        order: &Order,
        answer: Response<Incoming>,
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        let (head, mut body) = answer.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let mut hearing = Hearing::new(&order.recording, kind.starts_with(b"text/event-stream"));
        let mut fault = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        hearing.piece(since(order.zero), &piece);
                    }
                }
                Err(error) => {
                    fault = Some(broken("cut", error.to_string()));
                    break;
                }
            }
        }
        outcome.ended_us = since(order.zero);
        let provider = text(&head.headers, &headers::X_PINHOLE_UPSTREAM);
        let model = text(&head.headers, &headers::X_PINHOLE_MODEL);
        let price =
            provider.zip(model).and_then(|(provider, model)| self.prices.lookup(&provider, &model));
        let from_provider = head.headers.contains_key(&headers::X_PINHOLE_UPSTREAM_STATUS);
        let heard = hearing.end(head.status, from_provider, price.as_deref(), outcome);
        if let Some(fault) = fault.or(heard.fault) {
            return Err(fault);
        }
        let is_missing = heard.is_empty && !captured::says_nothing(&order.recording);
        if is_missing { Err(hearing::no_answer()) } else { Ok(()) }
    }
}

impl Transport for Loopback {
    async fn send(&self, order: Order) -> Outcome {
        let begun = Outcome {
            intended_us: order.intended_us,
            sent_us: since(order.zero),
            ..Outcome::default()
        };
        let mut count =
            Count { meter: &self.meter, target: order.target, outcome: begun, is_told: false };
        if let Err(fault) = self.exchange(&order, &mut count.outcome).await {
            count.outcome.error = Some(fault);
            count.outcome.ended_us = count.outcome.ended_us.max(since(order.zero));
        }
        count.tell()
    }
}

/// An outcome on its way to being counted: once, also where it is given up before there is one.
struct Count<'a> {
    meter: &'a Meter,
    target: usize,
    outcome: Outcome,
    is_told: bool,
}

impl Count<'_> {
    fn tell(mut self) -> Outcome {
        self.is_told = true;
        self.meter.take(self.target, &self.outcome);
        std::mem::take(&mut self.outcome)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.outcome.error = Some(broken("given_up", String::new()));
            self.meter.take(self.target, &self.outcome);
        }
    }
}

/// The gateway's own listener did not do as it should.
fn broken(kind: &str, why: String) -> Fault {
    Fault { source: "gateway".to_owned(), kind: format!("loopback_{kind}"), detail: Some(why) }
}

fn since(zero: Instant) -> u64 {
    let elapsed = clock::now().saturating_duration_since(zero);
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Seconds, as providers write it.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(wait.as_micros()).ok()
}
