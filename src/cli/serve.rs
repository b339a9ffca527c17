//! `pinhole serve`: configuration in, listeners up, until a signal; then drain.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::admin;
use crate::base::{clock, task};
use crate::cli::args::ServeArgs;
use crate::cli::terminal::tell;
use crate::cli::{Exit, keep, logging, observers};
use crate::config::diagnostic::Findings;
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::prices;
use crate::config::reload::Watch;
use crate::config::settings::{Overrides, Server as ServerSettings, Settings, Source};
use crate::exchange::level::Level;
use crate::observe::clean;
use crate::observe::digest::Digester;
use crate::observe::meter::MeterSink;
use crate::observe::pipe::Pipe;
use crate::observe::prices::PricesInForce;
use crate::observe::queue::{Queue, Worker};
use crate::observe::sink::Sinks;
use crate::observe::span::Origins;
use crate::price::date::Day;
use crate::proxy::discovery;
use crate::proxy::server::{self, Server};
use crate::proxy::state::Shared;
use crate::telemetry::instruments::Telemetry;

/// How often a drain looks whether the last request has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

pub fn run(args: &ServeArgs) -> Exit {
    let overrides = args.overrides();
    let environment = Environment::of_process();
    let settings = match load(args.config.config.as_deref(), &overrides, &environment) {
        Ok(settings) => settings,
        Err(findings) => {
            tell_findings(&findings);
            return Exit::Usage;
        }
    };
    let log = match logging::init(settings.log) {
        Ok(pipe) => pipe,
        Err(error) => {
            tell(&format!("error: no thread for the log: {error}"));
            return Exit::Environment;
        }
    };
    warn(&settings);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("error: no runtime: {error}"));
            return Exit::Environment;
        }
    };
    let again = Again {
        path: args.config.config.clone(),
        overrides,
        environment,
        origins: Origins::of(&settings.providers),
        started: settings.clone(),
    };
    let exit = runtime.block_on(serve(settings, Arc::new(again), &log));
    log.drain();
    exit
}

/// Logs what is odd about a configuration, and whether its prices have grown old.
fn warn(settings: &Settings) {
    let stale = prices::stale(settings, Day::of_us(clock::wall_us()));
    for finding in settings.warnings.iter().chain(&stale) {
        tracing::warn!("{}", finding.told());
    }
}

/// What a reload needs to read the configuration once more.
struct Again {
    path: Option<std::path::PathBuf>,
    overrides: Overrides,
    environment: Environment,
    /// What the listeners, the log and the exporters were started with; a reload does not reach them.
    started: Settings,
    /// What spans say of providers; a reload replaces it.
    origins: Origins,
}

/// A running gateway.
pub struct Gateway {
    pub server: Server,
    pub shared: Arc<Shared>,
    pub observer: Worker,
}

/// Starts the traffic side: the observer's thread and the workers.
pub fn start(settings: Settings, listener: &TcpListener, sinks: Sinks) -> io::Result<Gateway> {
    let workers = settings
        .server
        .workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let (shared, observer) = assemble(settings, sinks, workers)?;
    let server = server::start(listener, &shared, workers)?;
    Ok(Gateway { server, shared, observer })
}

/// Everything but the listener: what the operations API answers from.
pub fn assemble(
    settings: Settings,
    sinks: Sinks,
    workers: usize,
) -> io::Result<(Arc<Shared>, Worker)> {
    let telemetry = Telemetry::new(settings.telemetry.series_max).map_err(io::Error::other)?;
    let meter = MeterSink::new(Arc::clone(&telemetry));
    let prices = PricesInForce::new(Arc::clone(&settings.prices.book));
    let digester = if settings.telemetry.metering {
        Digester::new(Arc::clone(sinks.awaited()), Arc::clone(&prices))
    } else {
        Digester::off()
    };
    let (queue, observer) = Queue::start(digester, sinks.first(Box::new(meter)))?;
    observers::watch_queue(&telemetry, &queue);
    observers::watch_prices(&telemetry, &prices);
    Ok((Shared::new(settings, workers, queue, prices, telemetry), observer))
}

async fn serve(settings: Settings, again: Arc<Again>, log: &Pipe) -> Exit {
    let (listen, ops_listen) = (settings.server.listen, settings.server.ops_listen);
    let listener = match bind(listen) {
        Ok(listener) => listener,
        Err(error) => {
            tell(&cannot_listen("server.listen (--listen)", listen, &error));
            return Exit::Environment;
        }
    };
    let ops_listener = match tokio::net::TcpListener::bind(ops_listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tell(&cannot_listen("server.ops_listen (--ops-listen)", ops_listen, &error));
            return Exit::Environment;
        }
    };
    let ops_address = ops_listener.local_addr().unwrap_or(ops_listen);
    let (sinks, mut observers) = match observers::start(&settings, &again.origins, log) {
        Ok(started) => started,
        Err(error) => {
            tell(&format!("error: {error}"));
            return Exit::Environment;
        }
    };
    let gateway = match start(settings, &listener, sinks) {
        Ok(gateway) => gateway,
        Err(error) => {
            tell(&format!("error: the gateway cannot start: {error}"));
            return Exit::Environment;
        }
    };
    observers.watch(&gateway.shared);
    observers.leave_word(&format!("http://{ops_address}"));
    // Before the banner: whoever has read it may change the file or send a signal.
    let mut calls = match Calls::watch(&gateway.shared) {
        Ok(calls) => calls,
        Err(error) => {
            tell(&format!("error: signals cannot be watched: {error}"));
            return Exit::Environment;
        }
    };
    banner(&gateway, ops_address);
    task::spawn("operations listener", admin::serve(ops_listener, Arc::clone(&gateway.shared)));
    let discovering = task::spawn("discovery", discovery::run(Arc::clone(&gateway.shared)));
    calls.until_end(&gateway.shared, &again).await;
    discovering.abort();
    drain_until(gateway, calls.another_end()).await;
    Exit::Done
}

/// What calls on a running gateway from outside: signals, and changes of the configuration file.
struct Calls {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    changes: mpsc::Receiver<()>,
    /// `None`: there is no file, or it cannot be watched.
    _watch: Option<Watch>,
}

impl Calls {
    fn watch(shared: &Arc<Shared>) -> io::Result<Self> {
        let (changed, changes) = mpsc::channel::<()>(1);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            changes,
            _watch: watch(shared, changed),
        })
    }

    /// Reloads on SIGHUP and on changes of the file; returns at SIGTERM or SIGINT.
    async fn until_end(&mut self, shared: &Arc<Shared>, again: &Arc<Again>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => reload(shared, again).await,
                Some(()) = self.changes.recv() => reload(shared, again).await,
            }
        }
    }

    /// Whoever signals twice means it. Watched since the start, so that none is missed between the two.
    async fn another_end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn watch(shared: &Arc<Shared>, changed: mpsc::Sender<()>) -> Option<Watch> {
    let Source::File(path) = shared.snapshot().settings.source.clone() else {
        return None;
    };
    let notify = move || {
        // A full channel means that a reload is due anyway.
        let _noted = changed.try_send(());
    };
    match Watch::start(&path, notify) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, "the configuration file is not watched; send SIGHUP to reload it");
            None
        }
    }
}

/// Reads the configuration once more; a bad one is refused and the old one kept.
async fn reload(shared: &Arc<Shared>, again: &Arc<Again>) {
    let reading = Arc::clone(again);
    // Files and `command:` values block.
    let read = tokio::task::spawn_blocking(move || {
        load(reading.path.as_deref(), &reading.overrides, &reading.environment)
    });
    match read.await {
        Ok(Ok(mut settings)) => {
            warn(&settings);
            let started = &again.started;
            if let Some(reason) = exposes(&started.server, &settings) {
                tracing::error!("{reason}; configuration not reloaded, the old one stays in force");
                return;
            }
            for key in waiting_for_restart(started, &settings) {
                tracing::warn!("{key} has changed; that takes effect at the next start");
            }
            again.origins.replace(&settings.providers);
            clean::in_force().reload(&settings.redact);
            // Reports are read where the records are written.
            settings.server.data_dir.clone_from(&started.server.data_dir);
            shared.replace(settings);
            tracing::info!("configuration reloaded; running streams keep the old one");
        }
        Ok(Err(findings)) => {
            for finding in &findings {
                tracing::error!("{}", finding.told());
            }
            tracing::error!("configuration not reloaded; the old one stays in force");
        }
        Err(error) => {
            tracing::error!(%error, "configuration not reloaded; the old one stays in force");
        }
    }
}

/// Whether the new configuration would open a listener that stands already: its own addresses were judged with it, but
/// the ones in use are those of the start.
fn exposes(started: &ServerSettings, new: &Settings) -> Option<&'static str> {
    if !started.listen.ip().is_loopback() && new.gateway_keys.is_empty() {
        return Some(
            "traffic would be open to the network: it listens beyond loopback since the start and the new configuration \
             has no gateway key",
        );
    }
    if !started.ops_listen.ip().is_loopback() && new.admin_key.is_none() {
        return Some(
            "operations would be open to the network: they listen beyond loopback since the start and the new \
             configuration has no admin key",
        );
    }
    None
}

/// Keys whose new values a running process cannot take up.
fn waiting_for_restart(before: &Settings, new: &Settings) -> Vec<&'static str> {
    let (started, server) = (&before.server, &new.server);
    [
        (started.listen != server.listen, "server.listen"),
        (started.ops_listen != server.ops_listen, "server.ops_listen"),
        (started.tls != server.tls, "server.tls"),
        (started.workers != server.workers, "server.workers"),
        (started.header_timeout != server.header_timeout, "server.header_timeout"),
        (started.data_dir != server.data_dir, "server.data_dir"),
        (before.capture.memory_bytes_max != new.capture.memory_bytes_max, "capture.memory"),
        (opens(before) != opens(new), "capture.level"),
        (before.retention != new.retention, "retention"),
        (before.telemetry != new.telemetry, "telemetry"),
        (before.log != new.log, "log"),
    ]
    .into_iter()
    .filter_map(|(changed, key)| changed.then_some(key))
    .collect()
}

/// Whether anything is ever stored.
fn opens(settings: &Settings) -> bool {
    settings.capture.rules.most() > Level::Off
}

/// New requests are refused, running ones finish up to the limit.
pub async fn drain(gateway: Gateway) {
    drain_until(gateway, std::future::pending()).await;
}

/// As [`drain`], but no longer than until `hurry` is over.
async fn drain_until(gateway: Gateway, hurry: impl Future<Output = ()>) {
    let Gateway { server, shared, observer } = gateway;
    let limit = shared.snapshot().settings.server.drain;
    shared.drain();
    // A run ends with a report of what came back; what it sends counts as running requests.
    shared.runs.stop_all();
    let running = shared.in_flight();
    if running > 0 {
        tracing::info!(
            running,
            ?limit,
            "draining; new requests get 503 gateway_restarting; a second signal cuts the running ones"
        );
    }
    let until = clock::now() + limit;
    let emptied = async {
        while (shared.in_flight() > 0 || !shared.runs.is_idle()) && clock::now() < until {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    let hurried = tokio::select! {
        () = emptied => false,
        () = hurry => true,
    };
    let cut = shared.in_flight();
    match (cut, hurried) {
        (0, _) => {}
        (_, true) => tracing::warn!(cut, "a second signal came; running requests are cut"),
        (_, false) => tracing::warn!(
            cut,
            ?limit,
            "requests still running at the end of the drain are cut; raise server.drain"
        ),
    }
    shared.queue.cut();
    let stopped = tokio::task::spawn_blocking(move || {
        server.stop();
        observer.stop();
    });
    if stopped.await.is_err() {
        tracing::error!("stopping the workers panicked");
    }
}

/// Binds the traffic port with a backlog that takes a burst of connections.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

pub fn cannot_listen(what: &str, address: SocketAddr, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "stop what holds the port, or choose another",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 on",
        _ => "choose another address",
    };
    format!("error: cannot listen on {address}: {error}; {remedy} with {what}")
}

/// Waits for SIGTERM or SIGINT.
pub fn wait_for_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(end_signal())
}

pub(in crate::cli) async fn end_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

pub fn tell_findings(findings: &Findings) {
    for finding in findings {
        tell(&finding.to_string());
    }
}

/// What to paste into clients.
fn banner(gateway: &Gateway, ops: SocketAddr) {
    let snapshot = gateway.shared.snapshot();
    let settings = &snapshot.settings;
    let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{}", gateway.server.address);
    let source = match &settings.source {
        Source::File(path) => path.display().to_string(),
        Source::Environment => "environment only (no file found)".to_owned(),
    };
    tell(&format!("pinhole {} on {origin}", env!("CARGO_PKG_VERSION")));
    tell(&format!("  OpenAI clients     base_url = {origin}/v1"));
    tell(&format!("  Anthropic clients  base_url = {origin}"));
    tell(&format!("  Gemini clients     base_url = {origin}"));
    tell(&format!("  operations         http://{ops}/health"));
    tell(&format!("  metrics            http://{ops}/metrics"));
    tell(&format!("  configuration      {source}"));
    for provider in settings.providers.iter().filter(|provider| !provider.disabled) {
        let key = match provider.keys.len() {
            0 => "no key: the client's own credentials pass".to_owned(),
            1 => "1 key".to_owned(),
            more => format!("{more} keys"),
        };
        tell(&format!("  provider           {} {} ({key})", provider.id, provider.base_url));
    }
    tell(&keep::told(settings));
}
