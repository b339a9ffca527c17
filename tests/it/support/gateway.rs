//! A gateway in this process, from a configuration's text, with a sink that keeps what became of each exchange.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pinhole::base::money::Nanodollars;
use pinhole::base::trace::SpanId;
use pinhole::cli::{observers, serve};
use pinhole::config::diagnostic::Findings;
use pinhole::config::env::Environment;
use pinhole::config::load::load_text;
use pinhole::config::settings::{Overrides, Settings, Source};
use pinhole::config::tree::Text;
use pinhole::exchange::Exchange;
use pinhole::exchange::signal::Signal;
use pinhole::exchange::summary::Times;
use pinhole::exchange::trace::Trace;
use pinhole::neutral::reading::Reading;
use pinhole::neutral::usage::Usage;
use pinhole::observe::sink::{Sink, Sinks};
use pinhole::observe::span::Origins;
use pinhole::proxy::state::Shared;
use pinhole::telemetry::openmetrics::{Form, render};

use super::eventually;
use super::raw::{self, Connection, Request, Response};

/// What a finished exchange says about itself.
#[derive(Debug, Clone)]
pub struct Fact {
    pub id: String,
    pub outcome: &'static str,
    pub status: Option<u16>,
    /// Source and kind of the failure.
    pub failure: Option<(&'static str, &'static str)>,
    pub dialect: String,
    pub model_requested: Option<String>,
    pub key_label: Option<String>,
    pub stream: bool,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub trace: Trace,
    pub session: Option<String>,
    pub session_inferred: bool,
    pub user: Option<String>,
    pub signals: Vec<&'static str>,
    pub tags: Vec<(String, String)>,
    pub agent: &'static str,
    pub times: Times,
    pub cost: Option<Nanodollars>,
    pub attempts: Vec<Try>,
}

/// One attempt of it.
#[derive(Debug, Clone)]
pub struct Try {
    pub provider: String,
    pub model: Option<String>,
    pub status: Option<u16>,
    pub reused: bool,
    pub edits: Vec<&'static str>,
    /// Bytes of the answer's body that came.
    pub bytes: u64,
    /// Their arrivals, in microseconds.
    pub arrivals: Vec<u64>,
    pub failure: Option<&'static str>,
    /// The span that the provider was told.
    pub span: SpanId,
    pub label: String,
    pub usage: Option<Usage>,
    pub estimated: Usage,
    pub partial: bool,
    pub missing: bool,
    pub reading: Reading,
}

impl Fact {
    fn of(exchange: &Exchange) -> Self {
        let attempts = exchange.attempts.iter().zip(&exchange.summary.tallies);
        let attempts = attempts.map(|(attempt, tally)| Try {
            provider: attempt.provider.to_string(),
            model: attempt.model.as_deref().map(str::to_owned),
            status: attempt.status.map(|status| status.as_u16()),
            reused: attempt.link.reused,
            edits: attempt.edits.clone(),
            bytes: attempt.frames.bytes,
            arrivals: attempt.frames.table.iter().map(|(at, _)| *at).collect(),
            failure: attempt.failure.as_ref().map(|blame| blame.kind),
            span: attempt.span,
            label: attempt.model_label.to_string(),
            usage: tally.usage,
            estimated: tally.estimated,
            partial: tally.partial,
            missing: tally.missing,
            reading: tally.reading.clone(),
        });
        Self {
            id: exchange.id.to_string(),
            outcome: exchange.outcome.label(),
            status: exchange.status.map(|status| status.as_u16()),
            failure: exchange.failure.as_ref().map(|blame| (blame.source.label(), blame.kind)),
            dialect: format!("{:?}", exchange.dialect),
            model_requested: exchange.model_requested.clone(),
            key_label: exchange.key_label.as_deref().map(str::to_owned),
            stream: exchange.stream,
            request_bytes: exchange.request_bytes,
            response_bytes: exchange.response_bytes,
            trace: exchange.trace,
            session: exchange.session.as_deref().map(str::to_owned),
            session_inferred: exchange.session_inferred,
            user: exchange.user_label.as_deref().map(str::to_owned),
            signals: exchange.summary.signals.iter().map(Signal::label).collect(),
            tags: exchange.tags.clone(),
            agent: exchange.summary.agent,
            times: exchange.summary.times.clone(),
            cost: exchange.summary.cost,
            attempts: attempts.collect(),
        }
    }

    /// The one attempt there was.
    pub fn attempt(&self) -> &Try {
        assert_eq!(self.attempts.len(), 1, "{self:?}");
        &self.attempts[0]
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Fact>>>);

impl Sink for Kept {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        let facts = batch.iter().map(|exchange| Fact::of(exchange));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(facts);
    }
}

/// What surrounds a configuration's text.
#[derive(Default)]
pub struct Setting<'a> {
    pub variables: &'a [(&'a str, &'a str)],
    pub overrides: Overrides,
}

/// Resolves a configuration's text; the form follows the name of `file`.
pub fn settings(file: &str, text: &str, setting: &Setting<'_>) -> Result<Settings, Findings> {
    let environment = Environment::new(Path::new("/"), setting.variables.iter().copied());
    load_text(
        Text::new(Path::new(file), text.to_owned()),
        Source::File(Path::new(file).to_owned()),
        &setting.overrides,
        &environment,
    )
}

/// A running gateway. Dropped, it stops at once.
pub struct Gateway {
    pub addr: SocketAddr,
    kept: Kept,
    /// `None` once drained.
    running: Option<serve::Gateway>,
}

impl Gateway {
    /// From TOML, without environment or flags.
    pub fn start(toml: &str) -> Self {
        Self::start_with("pinhole.toml", toml, &Setting::default())
    }

    pub fn start_with(file: &str, text: &str, setting: &Setting<'_>) -> Self {
        let settings = settings(file, text, setting).unwrap_or_else(|findings| {
            panic!("{:?} in {text}", findings.iter().collect::<Vec<_>>())
        });
        Self::run(settings)
    }

    /// With settings as they are.
    pub fn run(settings: Settings) -> Self {
        Self::run_into(settings, Sinks::default())
    }

    /// With more sinks.
    pub fn run_into(settings: Settings, sinks: Sinks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let kept = Kept::default();
        let sinks = sinks.with(Box::new(kept.clone()));
        let (sinks, _) = observers::with_spans(sinks, &settings, &Origins::of(&settings.providers));
        let running = serve::start(settings, &listener, sinks).expect("a gateway");
        Self { addr: running.server.address, kept, running: Some(running) }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.running.as_ref().expect("not drained yet").shared
    }

    /// Puts another configuration in force.
    pub fn reload(&self, toml: &str) {
        let settings = settings("pinhole.toml", toml, &Setting::default());
        self.shared().replace(settings.expect("a valid configuration"));
    }

    /// Drains and stops, as SIGTERM does.
    pub fn drain(&mut self) -> impl Future<Output = ()> + use<> {
        serve::drain(self.running.take().expect("not drained yet"))
    }

    pub async fn connect(&self) -> Connection {
        raw::connect(self.addr).await
    }

    /// One request, and the whole answer.
    pub async fn send(&self, request: &Request) -> Response {
        raw::send(self.addr, request).await
    }

    /// One request, the answer, and what became of the exchange.
    pub async fn call(&self, request: &Request) -> (Response, Fact) {
        let response = self.send(request).await;
        let id = response
            .header("x-pinhole-id")
            .unwrap_or_else(|| panic!("x-pinhole-id on {response:?}"))
            .to_owned();
        let fact = self.exchange(&id).await;
        (response, fact)
    }

    /// All metrics, as plain text.
    pub fn scrape(&self) -> String {
        render(Form::Text, &self.shared().telemetry.gather())
    }

    /// The sum of the samples whose lines begin so.
    pub fn metric(&self, beginning: &str) -> f64 {
        let text = self.scrape();
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        let fitting = samples.filter(|(name, _)| name.starts_with(beginning));
        fitting.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
    }

    /// Everything that has ended so far.
    pub fn exchanges(&self) -> Vec<Fact> {
        let kept = self.kept.0.lock();
        kept.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end of an exchange.
    pub async fn exchange(&self, id: &str) -> Fact {
        eventually("the exchange's record", || {
            self.exchanges().into_iter().find(|fact| fact.id == id)
        })
        .await
    }

    /// Waits until this many exchanges have ended.
    pub async fn ended(&self, count: usize) -> Vec<Fact> {
        eventually("the exchanges' records", || {
            Some(self.exchanges()).filter(|facts| facts.len() >= count)
        })
        .await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.server.stop();
            running.observer.stop();
        }
    }
}

/// A provider block that offers every dialect, with a key.
pub fn provider(id: &str, url: &str, models: &[&str]) -> String {
    format!(
        "[providers.{id}]\nbaseurl = \"{url}\"\napikey = \"sk-of-the-provider\"\nmodels = {models:?}\n\
         compatibility = {{ openai_chat = true, openai_responses = true, anthropic_messages = true, \
         gemini_generate_content = true, google_generate_content = true, google_raw_predict = true, \
         bedrock_model_invoke = true, bedrock_converse = true }}\n"
    )
}

/// One provider called `up` that takes any model.
pub fn one(url: &str) -> String {
    provider("up", url, &["*"])
}
