//! `pinhole serve`: configuration in, listeners up, until a signal; then drain.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::admin;
use crate::base::{clock, task};
use crate::cli::args::ServeArgs;
use crate::cli::terminal::tell;
use crate::cli::{Exit, logging};
use crate::config::diagnostic::Findings;
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::settings::{LogFormat, LogLevel, Overrides, Settings, Source};
use crate::observe::line::{LineSink, LogForm};
use crate::observe::queue::{Queue, Worker};
use crate::observe::sink::Sinks;
use crate::proxy::discovery;
use crate::proxy::server::{self, Server};
use crate::proxy::state::Shared;

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
    logging::init(settings.log);
    for finding in settings.warnings.iter() {
        tracing::warn!("{finding}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
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
    };
    runtime.block_on(serve(settings, again))
}

/// What a reload needs to read the configuration once more.
struct Again {
    path: Option<std::path::PathBuf>,
    overrides: Overrides,
    environment: Environment,
}

/// A running gateway.
pub struct Gateway {
    pub server: Server,
    pub shared: Arc<Shared>,
    pub observer: Worker,
}

/// Starts the traffic side: the observer's thread and the workers.
pub fn start(settings: Settings, listener: TcpListener, sinks: Sinks) -> io::Result<Gateway> {
    let workers = settings
        .server
        .workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let (queue, observer) = Queue::start(sinks)?;
    let shared = Shared::new(settings, workers, queue);
    let server = server::start(listener, &shared, workers)?;
    Ok(Gateway {
        server,
        shared,
        observer,
    })
}

/// The sinks that `serve` feeds.
fn sinks(settings: &Settings) -> Sinks {
    if matches!(settings.log.level, LogLevel::Error | LogLevel::Warn) {
        return Sinks::default();
    }
    let form = match settings.log.format {
        LogFormat::Text => LogForm::Text,
        LogFormat::Json => LogForm::Json,
    };
    Sinks::default().with(Box::new(LineSink::new(form, io::stderr())))
}

async fn serve(settings: Settings, again: Again) -> Exit {
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
            tell(&cannot_listen(
                "server.ops_listen (--ops-listen)",
                ops_listen,
                &error,
            ));
            return Exit::Environment;
        }
    };
    let ops_address = ops_listener.local_addr().unwrap_or(ops_listen);
    let sinks = sinks(&settings);
    let gateway = match start(settings, listener, sinks) {
        Ok(gateway) => gateway,
        Err(error) => {
            tell(&format!("error: the gateway cannot start: {error}"));
            return Exit::Environment;
        }
    };
    banner(&gateway, ops_address);
    task::spawn(
        "operations listener",
        admin::serve(ops_listener, Arc::clone(&gateway.shared)),
    );
    let discovering = task::spawn("discovery", discovery::run(Arc::clone(&gateway.shared)));
    let ended = until_signal(&gateway.shared, &again).await;
    discovering.abort();
    if let Err(error) = ended {
        tell(&format!("error: signals cannot be watched: {error}"));
    }
    drain(gateway).await;
    Exit::Done
}

/// Reloads on SIGHUP and on changes of the file; returns at SIGTERM or SIGINT.
async fn until_signal(shared: &Arc<Shared>, again: &Again) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let _watch = watch(shared, changed);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload(shared, again),
            Some(()) = changes.recv() => reload(shared, again),
        }
    }
}

fn watch(_s: &Arc<Shared>, _c: mpsc::Sender<()>) -> Option<()> {
    None
}

/// Reads the configuration once more; a bad one is refused and the old one kept.
fn reload(shared: &Arc<Shared>, again: &Again) {
    match load(again.path.as_deref(), &again.overrides, &again.environment) {
        Ok(settings) => {
            for finding in settings.warnings.iter() {
                tracing::warn!("{finding}");
            }
            shared.replace(settings);
            tracing::info!("configuration reloaded; running streams keep the old one");
        }
        Err(findings) => {
            for finding in findings.iter() {
                tracing::error!("{finding}");
            }
            tracing::error!("configuration not reloaded; the old one stays in force");
        }
    }
}

/// New requests are refused, running ones finish up to the limit.
pub async fn drain(gateway: Gateway) {
    let Gateway {
        server,
        shared,
        observer,
    } = gateway;
    let limit = shared.snapshot().settings.server.drain;
    shared.drain();
    let running = shared.in_flight();
    if running > 0 {
        tracing::info!(
            running,
            ?limit,
            "draining; new requests get 503 gateway_restarting"
        );
    }
    let until = clock::now() + limit;
    while shared.in_flight() > 0 && clock::now() < until {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    let cut = shared.in_flight();
    if cut > 0 {
        tracing::warn!(
            cut,
            ?limit,
            "requests still running at the end of the drain are cut; raise server.drain"
        );
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
    format!(
        "error: cannot listen on {address}: {error}; stop what holds the port, or choose another with {what}"
    )
}

/// Waits for SIGTERM or SIGINT.
pub fn wait_for_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

pub fn tell_findings(findings: &Findings) {
    for finding in findings.iter() {
        tell(&finding.to_string());
    }
}

/// What to paste into clients.
fn banner(gateway: &Gateway, ops: SocketAddr) {
    let snapshot = gateway.shared.snapshot();
    let settings = &snapshot.settings;
    let scheme = if settings.server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let origin = format!("{scheme}://{}", gateway.server.address);
    let source = match &settings.source {
        Source::File(path) => path.display().to_string(),
        Source::Environment => "environment only (no file found)".to_owned(),
    };
    tell(&format!(
        "pinhole {} on {origin}",
        env!("CARGO_PKG_VERSION")
    ));
    tell(&format!("  OpenAI clients     base_url = {origin}/v1"));
    tell(&format!("  Anthropic clients  base_url = {origin}"));
    tell(&format!("  Gemini clients     base_url = {origin}"));
    tell(&format!("  operations         http://{ops}/health"));
    tell(&format!("  configuration      {source}"));
    for provider in settings
        .providers
        .iter()
        .filter(|provider| !provider.disabled)
    {
        let key = match provider.keys.len() {
            0 => "no key: the client's own credentials pass".to_owned(),
            1 => "1 key".to_owned(),
            more => format!("{more} keys"),
        };
        tell(&format!(
            "  provider           {} {} ({key})",
            provider.id, provider.base_url
        ));
    }
    tell(&format!(
        "  capture            level {} in {} (--capture); this version keeps nothing on disk",
        settings.capture.level.label(),
        settings.server.data_dir.display()
    ));
}
