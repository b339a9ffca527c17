//! A request's life, top to bottom: read the path, admit, read the body, understand, choose, prepare, send, relay.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use crate::base::headers::remove_all;
use crate::base::id::ExchangeId;
use crate::base::trace::traceparent;
use crate::exchange::frames::Extent;
use crate::exchange::leg::Keep;
use crate::exchange::opened::Opened;
use crate::exchange::outcome::Outcome;
use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::{Dialect, Operation};
use crate::observe::recorder::Recorder;
use crate::policy::identity::{self, Caller};
use crate::proxy::attempt::{self, Original, Prepared};
use crate::proxy::endpoint::{self, Endpoint, ModelPlace, Refusal, Route};
use crate::proxy::intake::{self, Bounds, Unread};
use crate::proxy::notice::{Notice, Underway};
use crate::proxy::reply::{self, ReplyBody};
use crate::proxy::state::{Places, Shared, Snapshot};
use crate::proxy::{begin, catalogue, cors, headers, info, places, refusal};
use crate::route::selector::Params;
use crate::route::table::{Ask, Because, Choice};
use crate::upstream::provider::Provider;

/// One worker's view: its number picks its connections.
pub struct Worker {
    pub index: usize,
    pub shared: Arc<Shared>,
}

/// The client's side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: std::net::SocketAddr,
}

/// Serves one request. Never fails: every refusal and failure is an answer.
pub async fn serve(
    worker: &Worker,
    peer: Peer,
    request: Request<Incoming>,
    notice: Option<Arc<Notice>>,
) -> Response<ReplyBody> {
    let snapshot = worker.shared.snapshot();
    let (mut parts, body) = request.into_parts();
    let uri = std::mem::take(&mut parts.uri);
    let origin = parts.headers.get(header::ORIGIN).cloned();
    if let Some(answer) = cors::preflight(&snapshot.settings, &parts, uri.path()) {
        return answer;
    }
    match endpoint::read(&parts.method, uri.path(), &parts.headers) {
        Route::Info(asked) => {
            let mut response = info::answer(asked, &worker.shared, &snapshot, &parts, &uri);
            cors::allow(&snapshot.settings, origin.as_ref(), response.headers_mut());
            if let Some(instance) = snapshot.instance() {
                response.headers_mut().insert(headers::X_PINHOLE_INSTANCE, instance.clone());
            }
            response
        }
        route => {
            let mut job = Job::begin(worker, snapshot, peer, &parts, &uri, &route);
            (job.notice, job.origin) = (notice, origin);
            match Box::pin(job.run(worker, route, parts, &uri, body)).await {
                Ok(response) => response,
                Err(failure) => job.refuse(&failure),
            }
        }
    }
}

/// One exchange under way, until its answer is on its way.
pub(super) struct Job {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) recorder: Recorder,
    pub(super) places: Places,
    pub(super) id: ExchangeId,
    pub(super) dialect: Dialect,
    /// For the headers of a refusal that comes after a provider was chosen.
    pub(super) provider: Option<Arc<Provider>>,
    /// Answers are read for tokens and times.
    reads: bool,
    /// The page that asks, where it is one.
    pub(super) origin: Option<HeaderValue>,
    /// Waits to hear that an event stream was asked for, where streams may be opened early.
    notice: Option<Arc<Notice>>,
}

impl Job {
    fn begin(
        worker: &Worker,
        snapshot: Arc<Snapshot>,
        peer: Peer,
        parts: &Parts,
        uri: &Uri,
        route: &Route<'_>,
    ) -> Self {
        let (dialect, operation) = match route {
            Route::Forward(endpoint) => (endpoint.dialect, endpoint.operation),
            Route::Catalogue { dialect, .. } => (*dialect, Operation::Models),
            Route::Refused { dialect, .. } => (*dialect, Operation::Opaque),
            Route::Provider { .. } | Route::Info(_) => (Dialect::OpenAiChat, Operation::Opaque),
        };
        let exchange = begin::exchange(
            (&worker.shared.queue, worker.index),
            &snapshot.settings,
            peer.address,
            (parts, uri),
            (dialect, operation),
        );
        let id = exchange.id;
        let mut recorder = Recorder::new(Box::new(exchange), Arc::clone(&worker.shared.queue));
        if let Some(exchange) = recorder.exchange() {
            exchange.request.note_headers(exchange.keep, &parts.headers);
            if exchange.keep >= Keep::Headers {
                let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
                let line = format!("{} {target} {:?}", parts.method, parts.version);
                exchange.request.line = Some(line.into());
            }
        }
        let reads = recorder.extent() >= Extent::Whole;
        let places = Places { entered: Some(worker.shared.enter()), ..Places::default() };
        let (provider, origin, notice) = (None, None, None);
        Self { snapshot, recorder, places, id, dialect, provider, reads, origin, notice }
    }

    async fn run(
        &mut self,
        worker: &Worker,
        route: Route<'_>,
        parts: Parts,
        uri: &Uri,
        body: Incoming,
    ) -> Result<Response<ReplyBody>, Failure> {
        let caller = self.admit(worker, &parts, uri)?;
        let (endpoint, fixed) = match route {
            Route::Forward(endpoint) => (endpoint, None),
            Route::Provider { name, rest } => self.named_provider(&parts, name, rest)?,
            Route::Catalogue { dialect, id } => return self.catalogue(dialect, id, uri),
            Route::Refused { refusal, .. } => return Err(refusal::of_path(refusal, uri.path())),
            Route::Info(_) => return Err(refusal::of_path(Refusal::Unknown, uri.path())),
        };
        self.places.gateway = Some(self.wait_in_gateway().await?);
        let body = self.read(body).await?;
        let decoded = self.decode(&endpoint, &parts.headers, &body).await?;
        let understood = intake::understand(&endpoint, &parts.headers, &body, decoded)?;
        let asked = understood.facts.model.as_ref().map(|model| model.text.as_str());
        let stream = understood.facts.stream.or(endpoint.stream) == Some(true);
        if let Some(exchange) = self.recorder.exchange() {
            exchange.model_requested = asked.map(str::to_owned);
            exchange.stream = stream;
            if self.reads {
                exchange.keep_prompt(&body, understood.decoded.as_ref());
            }
        }
        let choice = match fixed {
            Some(provider) => verbatim_choice(provider, asked, Because::ProviderPath),
            None => self.choose(worker, &endpoint, asked)?,
        };
        let provider = self.provider_at(choice.provider)?;
        self.provider = Some(Arc::clone(&provider));
        if let Some(exchange) = self.recorder.exchange() {
            exchange.chosen = Some((Arc::clone(&provider.id), choice.model.clone()));
        }
        self.places.counted = self.snapshot.enter_provider(choice.provider);
        self.places.provider = self.wait_at_provider(choice.provider, &provider).await?;
        let label = self.snapshot.table.label(choice.provider, choice.model.as_deref());
        let original = Original {
            method: parts.method,
            headers: parts.headers,
            body,
            query: uri.query(),
            verbatim_path: fixed.is_some(),
        };
        let mut prepared = attempt::prepare(
            &provider,
            &self.snapshot.settings,
            &endpoint,
            (original, &caller),
            (&understood, &choice),
        )?;
        prepared.model_label = label;
        self.tell_trace(&provider, &mut prepared);
        drop(understood);
        self.send(worker, choice, &provider, prepared).await
    }

    /// Draining, origin, key: what can be refused from the head alone.
    fn admit(&mut self, worker: &Worker, parts: &Parts, uri: &Uri) -> Result<Caller, Failure> {
        let settings = &self.snapshot.settings;
        if worker.shared.is_draining() {
            return Err(Failure::new(
                Code::GatewayRestarting,
                "the gateway is draining before a restart; retry",
            )
            .retry_after(Duration::from_secs(2)));
        }
        cors::check(settings, &parts.headers)?;
        // A replay is the operator's: nobody else can say that a request is one.
        if self.recorder.exchange().is_some_and(|exchange| exchange.replay.is_some()) {
            return Ok(Caller::Loopback);
        }
        let caller = identity::identify(&settings.gateway_keys, &parts.headers, uri.query())
            .map_err(refusal::of_caller)?;
        if let (Caller::Known { label, .. }, Some(exchange)) = (&caller, self.recorder.exchange()) {
            exchange.key_label = Some(Arc::clone(label));
        }
        Ok(caller)
    }

    async fn wait_in_gateway(&mut self) -> Result<OwnedSemaphorePermit, Failure> {
        let began = self.offset_us();
        let place = places::in_gateway(&self.snapshot).await;
        self.waited(began);
        place
    }

    async fn wait_at_provider(
        &mut self,
        at: usize,
        provider: &Provider,
    ) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if self.snapshot.provider_places(at).is_none() {
            return Ok(None);
        }
        let began = self.offset_us();
        let place = places::at_provider(&self.snapshot, at, provider).await;
        self.waited(began);
        if let Some(exchange) = self.recorder.exchange() {
            exchange.waited_at_provider = Some((began, exchange.offset_us()));
        }
        place
    }

    fn offset_us(&mut self) -> u64 {
        self.recorder.exchange().map_or(0, |exchange| exchange.offset_us())
    }

    fn waited(&mut self, began_us: u64) {
        if let Some(exchange) = self.recorder.exchange() {
            exchange.queued_us += exchange.offset_us() - began_us;
        }
    }

    /// The provider is told the trace, with the attempt's span as parent, unless it is not to know. Baggage is meant for
    /// the caller's own services and goes no further.
    fn tell_trace(&mut self, provider: &Provider, prepared: &mut Prepared) {
        let Some(exchange) = self.recorder.exchange() else { return };
        let outgoing = &mut prepared.call.headers;
        remove_all(outgoing, |name| *name == headers::BAGGAGE);
        if !provider.trace_context {
            headers::strip_trace(outgoing);
            return;
        }
        if !self.snapshot.settings.traces.propagate {
            return;
        }
        let trace = &exchange.trace;
        if trace.parent.is_some() && !self.snapshot.settings.traces.recording {
            return;
        }
        let parent = traceparent(trace.id, prepared.span, trace.sampled);
        if let Ok(value) = HeaderValue::from_bytes(&parent) {
            outgoing.insert(headers::TRACEPARENT, value);
        }
        if trace.parent.is_none() {
            // It is another trace's state.
            remove_all(outgoing, |name| *name == headers::TRACESTATE);
        }
    }

    fn catalogue(
        &mut self,
        dialect: Dialect,
        id: Option<&str>,
        uri: &Uri,
    ) -> Result<Response<ReplyBody>, Failure> {
        let body = Bytes::from(catalogue::answer(&self.snapshot, dialect, id, uri.query())?);
        let mut response = reply::json(StatusCode::OK, body.clone());
        self.sign(response.headers_mut(), None);
        // Cacheable, and made anew each time: nothing is cached in this version.
        response.headers_mut().insert(headers::X_CACHE, HeaderValue::from_static("MISS"));
        self.leave(response.headers_mut(), Some(body.len()));
        if let Some(exchange) = self.recorder.exchange() {
            exchange.status = Some(StatusCode::OK);
        }
        self.made(&body);
        self.recorder.finish(Outcome::Complete);
        Ok(response)
    }

    /// `/providers/{name}/…`: the path behind decides dialect and operation, the provider is given.
    fn named_provider<'a>(
        &mut self,
        parts: &Parts,
        name: &str,
        rest: &'a str,
    ) -> Result<(Endpoint<'a>, Option<usize>), Failure> {
        let at = self
            .snapshot
            .table
            .position(name)
            .ok_or_else(|| refusal::unknown_provider(name, self.snapshot.table.entries()))?;
        let mut inner = match endpoint::read(&parts.method, rest, &parts.headers) {
            Route::Forward(endpoint) => endpoint,
            Route::Refused { dialect, refusal } if endpoint::is_upgrade(&parts.headers) => {
                self.dialect = dialect;
                return Err(refusal::of_path(refusal, rest));
            }
            _ => Endpoint {
                dialect: Dialect::OpenAiChat,
                operation: Operation::Opaque,
                flag: None,
                leaning: None,
                version: None,
                rest,
                model: ModelPlace::Perhaps,
                stream: None,
            },
        };
        inner.rest = rest;
        if inner.model == ModelPlace::Body {
            inner.model = ModelPlace::Perhaps;
        }
        self.dialect = inner.dialect;
        if let Some(exchange) = self.recorder.exchange() {
            exchange.dialect = inner.dialect;
            exchange.operation = inner.operation;
        }
        Ok((inner, Some(at)))
    }

    fn provider_at(&self, at: usize) -> Result<Arc<Provider>, Failure> {
        self.snapshot.provider(at).cloned().ok_or_else(|| {
            Failure::new(
                Code::InternalError,
                "the routing table names a provider that is gone; report this",
            )
        })
    }

    fn bounds(&self) -> Bounds {
        let settings = &self.snapshot.settings;
        Bounds {
            bytes_max: settings.limits.body_bytes_max,
            time_max: settings.server.request_body_timeout,
            buffered_kib: Arc::clone(&self.snapshot.buffered_kib),
            wait: settings.limits.wait,
        }
    }

    /// The body without its coding, when it has one that routing has to see through.
    async fn decode(
        &mut self,
        endpoint: &Endpoint<'_>,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Option<Bytes>, Failure> {
        let (decoded, share) = intake::decoded(endpoint, headers, body, &self.bounds()).await?;
        match (&mut self.places.buffered, share) {
            (Some(buffered), Some(share)) => buffered.merge(share),
            (buffered, share) => *buffered = share.or_else(|| buffered.take()),
        }
        Ok(decoded)
    }

    async fn read(&mut self, body: Incoming) -> Result<Bytes, Failure> {
        let (body, share) = match intake::read_body(body, &self.bounds()).await {
            Ok(read) => read,
            Err(Unread::Refused(failure)) => {
                // The wait was for the client.
                if let Some(exchange) = self.recorder.exchange() {
                    exchange.request_read_us = exchange.offset_us();
                }
                return Err(failure);
            }
            Err(Unread::ClientGone(failure)) => {
                // Nobody reads the refusal; the record says why.
                self.recorder.finish(Outcome::ClientCancelled);
                return Err(failure);
            }
        };
        self.places.buffered = share;
        if let Some(exchange) = self.recorder.exchange() {
            exchange.note_request(&body);
            exchange.request_bytes = body.len() as u64;
            exchange.request_read_us = exchange.offset_us();
        }
        Ok(body)
    }

    fn choose(
        &self,
        worker: &Worker,
        endpoint: &Endpoint<'_>,
        asked: Option<&str>,
    ) -> Result<Choice, Failure> {
        if endpoint.operation == Operation::Opaque
            && asked.is_none()
            && let Some(maker) = worker.shared.ids.provider_of(endpoint.rest)
            && let Some(at) = self.snapshot.table.position(&maker)
        {
            return Ok(verbatim_choice(at, None, Because::KnownId));
        }
        let ask = Ask { model: asked, flag: endpoint.flag, leaning: endpoint.leaning };
        self.snapshot.table.decide(ask).map_err(|refused| refusal::of_route(&refused, endpoint))
    }

    /// Says that an event stream was asked for, to whoever may open it early.
    fn tell_underway(&mut self, provider: &Provider, choice: &Choice, prepared: &Prepared) {
        let Some(notice) = self.notice.clone() else { return };
        let stream = self.recorder.exchange().is_some_and(|exchange| exchange.stream);
        if stream && wants_events(self.dialect, prepared.call.path.query()) {
            let (dialect, head) = (self.dialect, self.early_head(provider, choice));
            let opened = Opened::new();
            if let Some(exchange) = self.recorder.exchange() {
                exchange.opened = Some(Arc::clone(&opened));
            }
            // Set once: there is one attempt.
            let _told = notice.set(Underway { dialect, head, opened });
        }
    }

    async fn send(
        &mut self,
        worker: &Worker,
        choice: Choice,
        provider: &Arc<Provider>,
        prepared: Prepared,
    ) -> Result<Response<ReplyBody>, Failure> {
        let client = self.snapshot.client(worker.index, choice.provider).cloned();
        let client = client.ok_or_else(|| {
            Failure::new(
                Code::InternalError,
                "this worker has no client for the provider; report this",
            )
        })?;
        attempt::begin(&mut self.recorder, provider, &choice, &prepared);
        self.tell_underway(provider, &choice, &prepared);
        let usage_added = prepared.usage_added;
        let answer = attempt::send(&client, provider, prepared.call, &mut self.recorder).await?;
        self.places.buffered = None;
        if self.snapshot.settings.errors.wrap_502 && !answer.status().is_success() {
            let status = answer.status();
            let failure = refusal::wrapped(provider, answer, &mut self.recorder).await;
            self.blame_provider(status);
            return Err(failure);
        }
        let ids = Arc::clone(&worker.shared.ids);
        Ok(self.relay(&choice, provider, usage_added, ids, answer).await)
    }
}

/// Gemini streams a JSON array unless asked for events.
fn wants_events(dialect: Dialect, query: Option<&str>) -> bool {
    dialect != Dialect::Gemini
        || query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"))
}

fn verbatim_choice(provider: usize, asked: Option<&str>, because: Because) -> Choice {
    Choice { provider, model: asked.map(Arc::from), params: Params::default(), because }
}
