//! One request: found, and played; or the catalogue; or the miss.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use pinhole_replay::library::{Asked, Found, Miss};

use super::play::{self, Play, Reply, Score};
use super::tape::Tape;
use super::timer::Timer;
use super::{Collection, Faults, Missed, OnMiss, Options, Tally, forward, miss};
use crate::base::{clock, coding};
use crate::simulate::answer::models;
use crate::simulate::endpoint::{self, Endpoint, Family};
use crate::simulate::provider::SESSION_HEADERS;
use crate::simulate::serve::Service;
use crate::simulate::wire::Line;

/// Everything made without a clock was made on this day: 2026-01-01.
const EPOCH: u64 = 1_767_225_600;

/// What all connections share.
pub(super) struct Desk {
    pub(super) collection: Collection,
    pub(super) options: Options,
    pub(super) tally: Arc<Tally>,
    pub(super) timer: Arc<Timer>,
}

/// A request that has come.
struct Visit {
    head: Parts,
    body: Bytes,
    arrived: Instant,
    line: Arc<Line>,
    family: Family,
}

impl Service for Desk {
    type Body = Reply;

    fn connect(&self) -> u64 {
        self.tally.connections.fetch_add(1, Ordering::Relaxed)
    }

    async fn answer(
        self: Arc<Self>,
        line: Arc<Line>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Reply>> {
        let arrived = clock::now();
        let (head, body) = request.into_parts();
        let (endpoint, _) = endpoint::of(&head.method, head.uri.path());
        let family = match endpoint {
            Endpoint::Models | Endpoint::Model => models::family(&head),
            endpoint => endpoint.family(),
        };
        let body = match Limited::new(body, self.options.body_max).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let told = format!("the body is over the limit of {} bytes", self.options.body_max);
                return Ok(miss::plain(family, StatusCode::PAYLOAD_TOO_LARGE, Some(&told)));
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        let coded =
            head.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let clear = match coded {
            None => body.clone(),
            Some(coded) => match coding::decode(coded, &body, self.options.body_max) {
                Ok(clear) => clear,
                Err(error) => {
                    let told = error.to_string();
                    return Ok(miss::plain(family, StatusCode::BAD_REQUEST, Some(&told)));
                }
            },
        };
        let visit = Visit { head, body, arrived, line, family };
        self.reply(visit, &clear, endpoint).await
    }
}

impl Desk {
    async fn reply(
        &self,
        visit: Visit,
        clear: &[u8],
        endpoint: Endpoint,
    ) -> io::Result<Response<Reply>> {
        let faults = self.faults();
        if let Some(status) = faults.status.and_then(|status| StatusCode::from_u16(status).ok()) {
            return Ok(refused(visit.family, status, faults.retry_after_s));
        }
        let target = visit.head.uri.path_and_query().map_or("/", |target| target.as_str());
        let asked = Asked { method: visit.head.method.as_str(), target, body: clear };
        let mut named = SESSION_HEADERS.iter().filter_map(|name| visit.head.headers.get(*name));
        let session = named.next().and_then(|value| value.to_str().ok());
        let library = &self.collection.library;
        let missed = match library.find(&asked, session) {
            Found::Exact(answer) => {
                count(&self.tally.exact);
                return self.play(visit, (answer, "exact", ""), &faults).await;
            }
            Found::Missed(missed) => missed,
        };
        if let Some(known) = self.known(&visit.head, endpoint, visit.family) {
            return Ok(known);
        }
        match &self.options.on_miss {
            OnMiss::Nearest => {
                let nearest = missed.nearest.as_ref().filter(|nearest| nearest.is_kin);
                let taken = nearest.and_then(|nearest| {
                    Some((library.take(nearest, session)?, miss::names(&nearest.differences)))
                });
                if let Some((answer, names)) = taken {
                    count(&self.tally.near);
                    return self.play(visit, (answer, "near", &names), &faults).await;
                }
            }
            OnMiss::Forward(provider) => {
                count(&self.tally.forwarded);
                let sent = forward::send(provider, &visit.head, visit.body).await;
                return Ok(match sent {
                    Ok(response) => {
                        let mut response = response.map(|body| Reply::Forwarded(Box::new(body)));
                        miss::mark_as(&mut response, "forwarded");
                        response
                    }
                    Err(error) => {
                        let told = format!("provider `{}`: {error}", provider.id);
                        miss::plain(visit.family, StatusCode::BAD_GATEWAY, Some(&told))
                    }
                });
            }
            OnMiss::Error => {}
        }
        Ok(self.missed(&visit, &missed))
    }

    fn missed(&self, visit: &Visit, missed: &Miss) -> Response<Reply> {
        count(&self.tally.missed);
        let (method, path) = (visit.head.method.as_str(), visit.head.uri.path());
        let place = format!("{method} {path}");
        self.tally.remember(Missed {
            method: method.to_owned(),
            path: path.to_owned(),
            words: miss::words(missed, &place),
            facts: miss::facts(missed),
        });
        miss::response(visit.family, missed, &place)
    }

    /// What can be answered from the recordings as a whole: the models that occur in them, and that there is a server.
    fn known(&self, head: &Parts, endpoint: Endpoint, family: Family) -> Option<Response<Reply>> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return None;
        }
        let names: Vec<&str> = self.collection.models().collect();
        let value = match endpoint {
            Endpoint::Models => models::list(family, &names, EPOCH),
            Endpoint::Model => {
                let (_, model) = endpoint::of(&head.method, head.uri.path());
                let model = names.iter().find(|name| Some(**name) == model)?;
                models::one(family, model, EPOCH)
            }
            Endpoint::Root => serde_json::json!({"recordings": self.collection.recordings}),
            _ => return None,
        };
        let mut response = miss::json_of(&value);
        if head.method == Method::HEAD {
            *response.body_mut() = Reply::Whole(None);
        }
        Some(response)
    }

    async fn play(
        &self,
        visit: Visit,
        (answer, what, names): (u32, &str, &str),
        faults: &Faults,
    ) -> io::Result<Response<Reply>> {
        let tape = self.collection.tapes.get(answer as usize);
        let tape = Arc::clone(tape.ok_or_else(|| io::Error::other("the answer is gone"))?);
        let (head_due, mut score) = play::score(&tape, self.options.speed, faults);
        if !head_due.is_zero() {
            self.timer.until(visit.arrived + head_due).await;
        }
        let is_cut_at_once = faults.script.cut_after == Some(0);
        let Some(status) = tape.status.filter(|_| !is_cut_at_once) else {
            let (at, kind) = match score.pop_back() {
                Some((at, play::Act::Cut(kind))) => (at, kind),
                _ => Default::default(),
            };
            self.timer.until(visit.arrived + at).await;
            visit.line.cut(kind);
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        let reply = self.body(&tape, score, &visit);
        let mut response = Response::new(reply);
        *response.status_mut() = status;
        response.headers_mut().clone_from(&tape.headers);
        let redacted = if tape.redacted { "; redacted" } else { "" };
        let mark = if names.is_empty() {
            format!("{what}; of={}{redacted}", tape.id)
        } else {
            format!("{what}; of={}; differs={names}{redacted}", tape.id)
        };
        miss::mark_as(&mut response, &mark);
        Ok(response)
    }

    fn body(&self, tape: &Tape, mut score: Score, visit: &Visit) -> Reply {
        if visit.head.method == Method::HEAD {
            return Reply::Whole(None);
        }
        let is_cut = score.iter().any(|(_, act)| matches!(act, play::Act::Cut(_)));
        let is_at_once = score.iter().all(|(at, _)| at.is_zero());
        // A length that was told is told again, also where the body then ended before it.
        let promised = match tape.declared {
            Some(length) if is_cut => Some(length.max(tape.body.len() as u64)),
            Some(_) => Some(tape.body.len() as u64),
            None => None,
        };
        if is_at_once && !is_cut && promised.is_some() {
            return Reply::Whole(Some(tape.body.clone()));
        }
        if promised.is_some() && !is_cut {
            // Whoever knows the length does not wait for an end.
            score.retain(|(_, act)| *act != play::Act::End);
        }
        let (timer, line) = (Arc::clone(&self.timer), Arc::clone(&visit.line));
        Reply::Played(Box::new(Play::new(score, visit.arrived, timer, line, promised)))
    }

    /// The faults of this request.
    fn faults(&self) -> Faults {
        let number = self.tally.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let faults = &self.options.faults;
        if *faults == Faults::default() || !number.is_multiple_of(faults.every.max(1)) {
            return Faults::default();
        }
        count(&self.tally.faulted);
        faults.clone()
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The status that the flags ask for.
fn refused(family: Family, status: StatusCode, retry_after_s: Option<u64>) -> Response<Reply> {
    let mut response = miss::plain(family, status, None);
    // Unlike a miss this may be tried again.
    response.headers_mut().remove("x-should-retry");
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    miss::mark_as(&mut response, "fault");
    response
}
