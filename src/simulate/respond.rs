//! From a request to an answer: read, lay the profile's layers, compose, shape, and let the faults in.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use serde_json::Value;

use super::answer::{self, Event, anthropic, chat, embeddings, gemini, models, opaque, responses};
use super::ask::Ask;
use super::endpoint::{self, Endpoint, Family};
use super::fault::{self, Step, Stream};
use super::headers;
use super::pace::{Rng, millis};
use super::provider::Provider;
use super::reply::{self, Reply};
use super::script::{CutKind, Fault, Profile, Status};
use crate::base::coding;

/// Limit: a request body that unpacks to more is refused.
const UNPACKED_MAX: usize = 256 << 20;

/// An answer ready to be sent.
pub(crate) struct Prepared {
    /// Until the head.
    pub(crate) wait: Duration,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Content,
    pub(crate) early_hints: bool,
    /// No answer at all: the connection ends instead.
    pub(crate) cut: Option<CutKind>,
}

/// The body, before it meets a connection.
pub(crate) enum Content {
    Whole(Bytes),
    Steps(VecDeque<Step>),
}

/// What a dialect made: one piece, or events.
enum Shaped {
    Whole(&'static str, Bytes),
    Events(Vec<Event>),
}

/// One request, read and with its profile laid.
struct Call<'c> {
    provider: &'c Provider,
    head: &'c Parts,
    body: &'c Bytes,
    ask: Ask<'c>,
    family: Family,
    profile: Profile,
}

/// Decides everything about the answer; nothing here waits.
pub(crate) fn prepare(provider: &Provider, head: &Parts, body: &Bytes) -> Prepared {
    let (endpoint, path_model) = endpoint::of(&head.method, head.uri.path());
    let mut rng = Rng::new(provider.position(head, body));
    let invalid = |words: String, rng: Rng| {
        let error = refusal(400, Some(words));
        fixed(endpoint.family(), &error, &Profile::default(), rng)
    };
    let coding = head.headers.get(header::CONTENT_ENCODING);
    let coding = coding.and_then(|value| value.to_str().ok());
    let body = match coding::decode(coding.unwrap_or_default(), body, UNPACKED_MAX) {
        Ok(body) => body,
        Err(error) => return invalid(error.to_string(), rng),
    };
    let ask = match read(endpoint, path_model, head, &body) {
        Ok(ask) => ask,
        Err(error) => return invalid(format!("the body is not valid JSON: {error}"), rng),
    };
    let profile = provider.profile(&ask.model, head.uri.path(), &mut rng);
    let family = match endpoint {
        Endpoint::Models | Endpoint::Model => models::family(head),
        endpoint => endpoint.family(),
    };
    let call = Call { provider, head, body: &body, ask, family, profile };
    call.answer(rng)
}

impl Call<'_> {
    fn answer(&self, mut rng: Rng) -> Prepared {
        let latency = self.profile.latency;
        let wait = latency.map_or(Duration::ZERO, |dist| millis(dist.draw(&mut rng)));
        if let Some(error) = self.error() {
            return Prepared { wait, ..fixed(self.family, &error, &self.profile, rng) };
        }
        let mut pacing = Rng::new(rng.next());
        let headers = headers::provider(self.family, &self.profile, &mut rng);
        let (shaped, thinking) = self.shape(rng);
        let fault = &self.profile.fault;
        let hinted = self.profile.early_hints == Some(true);
        let prepared = Prepared {
            wait: wait + thinking,
            status: StatusCode::OK,
            headers,
            body: Content::Whole(Bytes::new()),
            early_hints: hinted && self.head.version < Version::HTTP_2,
            cut: (fault.cut_after == Some(0)).then(|| fault.cut.unwrap_or_default()),
        };
        let gzip = self.profile.gzip == Some(true) && headers::accepts_gzip(&self.head.headers);
        match shaped {
            Shaped::Whole(kind, bytes) => prepared.whole(kind, bytes, fault, gzip),
            Shaped::Events(events) => {
                let responses = self.ask.endpoint == Endpoint::Responses;
                let stream = Stream {
                    profile: &self.profile,
                    sse: !self.ask.array,
                    error: answer::error::event(self.family, responses, self.ask.array),
                    gzip,
                };
                prepared.stream(fault::stream(events, &stream, &mut pacing), &stream)
            }
        }
    }

    /// The fixed answer in place of the model's, if there is one.
    fn error(&self) -> Option<Status> {
        let upgrade = self.head.headers.get(header::UPGRADE);
        if upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            return Some(refusal(426, None));
        }
        if !headers::admitted(self.head, &self.profile) {
            return Some(refusal(401, None));
        }
        // A failure in the middle of an answer in one piece is a failure of the whole.
        let failed = !self.ask.stream && self.profile.fault.error_after.is_some();
        let scripted = self.profile.error.clone();
        scripted.or_else(|| failed.then(|| refusal(500, None)))
    }

    /// The answer as its dialect has it, and how long a model would have thought before it.
    fn shape(&self, rng: Rng) -> (Shaped, Duration) {
        let ask = &self.ask;
        let created = self.provider.created();
        let shaped = match ask.endpoint {
            Endpoint::Embeddings | Endpoint::EmbedContent | Endpoint::BatchEmbedContents => {
                json(&embeddings::plain(ask, &self.profile, self.provider.script.seed))
            }
            Endpoint::CountMessages => json(&anthropic::count(ask.input_tokens)),
            Endpoint::CountContents => json(&gemini::count(ask.input_tokens)),
            Endpoint::Models => json(&models::list(self.family, &self.provider.names(), created)),
            Endpoint::Model => json(&models::one(self.family, &ask.model, created)),
            Endpoint::Transcription => {
                let (kind, bytes) = opaque::transcription(self.head, self.body);
                Shaped::Whole(kind, bytes)
            }
            Endpoint::Speech => Shaped::Whole("audio/mpeg", opaque::speech(rng)),
            Endpoint::Root => Shaped::Whole("text/plain", Bytes::from_static(b"simulated\n")),
            Endpoint::Echo => json(&opaque::echo(self.head, self.body, &ask.model)),
            Endpoint::Chat
            | Endpoint::Completions
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::Generate
            | Endpoint::GenerateStream => {
                let reply = reply::compose(ask, &self.profile, rng, created);
                let whole = !ask.stream;
                let thinking = whole.then(|| thinking_time(&self.profile, &reply));
                let malformed = self.profile.fault.malformed_after.is_some();
                return (speak(ask, reply, malformed), thinking.unwrap_or_default());
            }
        };
        (shaped, Duration::ZERO)
    }
}

impl Prepared {
    fn set(&mut self, name: header::HeaderName, value: &'static str) {
        self.headers.insert(name, HeaderValue::from_static(value));
    }

    fn whole(mut self, kind: &'static str, bytes: Bytes, fault: &Fault, gzip: bool) -> Self {
        self.set(header::CONTENT_TYPE, kind);
        let bytes = if gzip {
            self.set(header::CONTENT_ENCODING, "gzip");
            fault::gzip(&bytes)
        } else {
            bytes
        };
        self.body = if let Some(steps) = fault::plain(&bytes, fault) {
            let length = HeaderValue::from(bytes.len());
            self.headers.insert(header::CONTENT_LENGTH, length);
            Content::Steps(steps)
        } else {
            Content::Whole(bytes)
        };
        self
    }

    fn stream(mut self, steps: VecDeque<Step>, stream: &Stream<'_>) -> Self {
        let kind = if stream.sse {
            "text/event-stream; charset=utf-8"
        } else {
            "application/json; charset=UTF-8"
        };
        self.set(header::CONTENT_TYPE, kind);
        self.set(header::CACHE_CONTROL, "no-cache");
        if stream.gzip {
            self.set(header::CONTENT_ENCODING, "gzip");
        }
        self.body = Content::Steps(steps);
        self
    }
}

/// Reads the body as the endpoint has it.
fn read<'a>(
    endpoint: Endpoint,
    path_model: Option<&str>,
    head: &Parts,
    body: &'a [u8],
) -> Result<Ask<'a>, serde_json::Error> {
    let query = head.uri.query().unwrap_or_default();
    match endpoint {
        Endpoint::Models | Endpoint::Model | Endpoint::Root => {
            Ok(Ask::empty(endpoint, path_model.unwrap_or_default()))
        }
        Endpoint::Transcription => {
            let model = opaque::field(head, body, "model").unwrap_or("simulated");
            Ok(Ask::empty(endpoint, model))
        }
        // Opaque bodies need not be JSON, and what they say of streams and tools means nothing here.
        Endpoint::Echo | Endpoint::Speech => {
            let named = Ask::read(endpoint, path_model, query, body).map(|ask| ask.model);
            let form = || opaque::field(head, body, "model").unwrap_or_default().to_owned();
            Ok(Ask::empty(endpoint, &named.unwrap_or_else(|_| form())))
        }
        _ => {
            let mut ask = Ask::read(endpoint, path_model, query, body)?;
            if head.uri.path().ends_with("streamRawPredict") {
                ask.stream = true;
            }
            Ok(ask)
        }
    }
}

/// The words of a model in the shape of the endpoint.
fn speak(ask: &Ask<'_>, reply: Reply, malformed: bool) -> Shaped {
    if ask.stream {
        return Shaped::Events(match ask.endpoint {
            Endpoint::Completions => chat::legacy_stream(ask, reply),
            Endpoint::Responses => responses::stream(ask, reply),
            Endpoint::Messages => anthropic::stream(reply),
            Endpoint::Generate | Endpoint::GenerateStream => gemini::stream(ask, reply),
            _ => chat::stream(ask, reply),
        });
    }
    let value = match ask.endpoint {
        Endpoint::Completions => chat::legacy_plain(ask, reply),
        Endpoint::Responses => responses::plain(ask, reply),
        Endpoint::Messages => anthropic::plain(reply),
        Endpoint::Generate | Endpoint::GenerateStream => gemini::plain(reply),
        _ => chat::plain(ask, reply),
    };
    match (malformed, json(&value)) {
        (true, Shaped::Whole(kind, bytes)) => Shaped::Whole(kind, bytes.slice(..bytes.len() / 2)),
        (_, whole) => whole,
    }
}

fn json(value: &Value) -> Shaped {
    Shaped::Whole("application/json", Bytes::from(value.to_string()))
}

/// A status with the family's envelope.
fn refusal(status: u16, message: Option<String>) -> Status {
    Status { status, message, ..Status::default() }
}

/// A fixed status instead of a model's words.
fn fixed(family: Family, error: &Status, profile: &Profile, mut rng: Rng) -> Prepared {
    let mut headers = headers::provider(family, profile, &mut rng);
    let request_id = rng.id("req_011C", 20);
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, body) = match (&error.body, error.html) {
        (Some(body), html) => {
            let json = body.trim_start().starts_with(['{', '[']);
            let kind = if html { "text/html" } else { "text/plain" };
            (if json { "application/json" } else { kind }, Bytes::from(body.clone()))
        }
        (None, true) => ("text/html", Bytes::from_static(answer::error::HTML.as_bytes())),
        (None, false) => {
            let message = error.message.as_deref();
            let body = answer::error::body(family, error.status, message, &request_id);
            ("application/json", Bytes::from(body.to_string()))
        }
    };
    let bodiless = matches!(status.as_u16(), 204 | 304);
    if !bodiless {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers::extend(&mut headers, &error.headers);
    Prepared {
        wait: Duration::ZERO,
        status,
        headers,
        body: Content::Whole(if bodiless { Bytes::new() } else { body }),
        early_hints: false,
        cut: None,
    }
}

/// How long an answer in one piece takes to make: as long as its stream would.
fn thinking_time(profile: &Profile, reply: &Reply) -> Duration {
    let mut rng = reply.rng.clone();
    let first = profile.first_token.map_or(0.0, |dist| dist.draw(&mut rng));
    let Some(cadence) = profile.cadence else {
        return millis(first);
    };
    let tokens = reply.usage.output.saturating_sub(1);
    let between: f64 = (0..tokens).map(|_| cadence.draw(&mut rng)).sum();
    millis(first + between)
}
