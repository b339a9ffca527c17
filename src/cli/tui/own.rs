//! A data directory that no gateway serves: the operations API served to ourselves, over loopback and behind a key that
//! nobody else has. Replays are sent by a second gateway, started when the first one is asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::admin;
use crate::base::secret::Secret;
use crate::cli::place::{Place, refuse};
use crate::cli::serve::{self, Gateway};
use crate::cli::{Exit, logging, observers};
use crate::config::env::Environment;
use crate::config::load::{load, load_text};
use crate::config::settings::{LogLevel, Overrides, Settings, Source};
use crate::config::tree::Text;
use crate::observe::pipe::Pipe;
use crate::observe::sink::Sinks;
use crate::observe::span::Origins;
use crate::proxy::state::Shared;
use crate::store::reader::Reader;
use crate::store::vault::seal;
use crate::tui::ask::{Answer, Method, Result as Told, Trouble, Want};
use crate::tui::client::Client;

/// A configuration for browsing alone.
const NONE: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[discovery]\nenabled = false\n\
    [providers.none]\nbaseurl = \"http://127.0.0.1:9/\"\ndisabled = true\n";

/// What answers.
pub(super) struct Own {
    settings: Settings,
    configured: bool,
    config: Option<PathBuf>,
    reading: Served,
    sending: Mutex<Option<Sending>>,
}

/// An operations API on loopback, until it is dropped.
struct Served {
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A gateway that sends, with what it writes by.
struct Sending {
    served: Served,
    gateway: Gateway,
    held: observers::Observers,
}

impl Own {
    pub(super) fn start(place: Place, config: Option<&Path>) -> Result<Self, Exit> {
        let refused = |error: &dyn std::fmt::Display| refuse(&error.to_string(), Exit::Environment);
        let Place { folder, settings } = place;
        let configured = settings.is_some();
        let mut settings = match settings {
            Some(settings) => settings,
            None => bare(&folder).map_err(|error| refused(&error))?,
        };
        let key = Secret::random().map_err(|error| refused(&error))?;
        quieten(&mut settings, Some(key));
        seal::for_reading(&folder, settings.encryption_key.as_ref())
            .map_err(|error| refused(&error))?;
        // Told on the terminal as it is, with what to do; the screens would only be empty.
        Reader::open(&folder).map_err(|error| refused(&error))?;
        let mut quiet = settings.clone();
        quiet.telemetry.metering = false;
        let (shared, observer) =
            serve::assemble(quiet, Sinks::default(), 1).map_err(|error| refused(&error))?;
        // Nothing is observed here.
        observer.stop();
        let reading = Served::start(shared, &settings).map_err(|error| refused(&error))?;
        let config = config.map(Path::to_owned);
        Ok(Self { settings, configured, config, reading, sending: Mutex::new(None) })
    }

    pub(super) fn ask(&self, want: &Want) -> Told<Answer> {
        let begins = is_run(want, "replays");
        if begins && !self.configured {
            let detail = "no providers are configured here, so nothing can be sent; start with --config FILE, or with a provider's key \
                          in the environment";
            return Err(Trouble::Refused { status: 400, detail: detail.to_owned() });
        }
        if begins && !is_dry(want) || is_run(want, "runs") {
            return self.of_runs(want, begins);
        }
        self.reading.client.ask(want)
    }

    /// Runs belong to the gateway that sends them, once there is one.
    fn of_runs(&self, want: &Want, begins: bool) -> Told<Answer> {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        if begins && sending.is_none() {
            let key = self.settings.admin_key.clone();
            let folder = &self.settings.server.data_dir;
            let started = Sending::start(self.config.as_deref(), key, folder);
            *sending = Some(started.map_err(|detail| Trouble::Refused { status: 503, detail })?);
        }
        let client =
            sending.as_ref().map_or(&self.reading, |sending| &sending.served).client.clone();
        drop(sending);
        client.ask(want)
    }

    /// Lets runs end with a report, and what was captured reach the disk.
    pub(super) fn end(&self) {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sending) = sending {
            sending.end();
        }
    }
}

fn is_run(want: &Want, what: &str) -> bool {
    let (Want::Get { path } | Want::Text { path } | Want::Do { path, .. }) = want else {
        return false;
    };
    let first = path.split(['/', '?']).next();
    first == Some(what)
}

fn is_dry(want: &Want) -> bool {
    match want {
        Want::Do { method: Method::Post, body: Some(body), .. } => {
            body.get("dry_run").and_then(serde_json::Value::as_bool) == Some(true)
        }
        _ => false,
    }
}

/// No word on the terminal, no port but on loopback, no way in without the key.
fn quieten(settings: &mut Settings, key: Option<Secret>) {
    settings.log.level = LogLevel::Error;
    settings.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    settings.server.tls = None;
    settings.admin_key = key;
}

fn bare(folder: &Path) -> Result<Settings, String> {
    let name = PathBuf::from("none.toml");
    let environment = Environment::new(Path::new("."), []);
    let overrides = Overrides { data_dir: Some(folder.to_owned()), ..Overrides::default() };
    let text = Text::new(&name, NONE.to_owned());
    let mut settings = load_text(text, Source::Environment, &overrides, &environment)
        .map_err(|findings| findings.to_string())?;
    // A configuration has to name one; nobody is to see it.
    settings.providers.clear();
    Ok(settings)
}

impl Served {
    fn start(shared: Arc<Shared>, settings: &Settings) -> Result<Self, String> {
        let told = |error: std::io::Error| error.to_string();
        let listener = serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        listener.set_nonblocking(true).map_err(told)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(told)?;
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = admin::serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread =
            std::thread::Builder::new().name("operations".to_owned()).spawn(serve).map_err(told)?;
        let key = settings.admin_key.as_ref().map(|key| key.reveal().to_owned());
        let client = Client::new(&format!("http://{address}"), key)?;
        Ok(Self { client, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been told already.
            let _ended = thread.join();
        }
    }
}

impl Sending {
    /// Everything that it sends is kept whole, as by `pinhole replay`.
    fn start(config: Option<&Path>, key: Option<Secret>, folder: &Path) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let overrides = Overrides {
            data_dir: Some(folder.to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            capture_level: Some("full".to_owned()),
            ..Overrides::default()
        };
        let mut settings = load(config, &overrides, &Environment::of_process())
            .map_err(|findings| findings.to_string())?;
        quieten(&mut settings, key);
        // The screens are on the terminal; what goes wrong is told on them.
        let log = Pipe::start(logging::form(settings.log), std::io::sink())
            .map_err(|error| told(&error))?;
        let origins = Origins::of(&settings.providers);
        let (sinks, held) =
            observers::beside(&settings, &origins, &log).map_err(|error| told(&error))?;
        let listener = serve::bind(settings.server.listen).map_err(|error| told(&error))?;
        let gateway =
            serve::start(settings.clone(), &listener, sinks).map_err(|error| told(&error))?;
        let served = Served::start(Arc::clone(&gateway.shared), &settings)?;
        Ok(Self { served, gateway, held })
    }

    fn end(self) {
        let Self { served, gateway, held } = self;
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(serve::drain(gateway));
        }
        drop(held);
        drop(served);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_configuration_no_provider_is_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let settings = bare(folder.path()).unwrap();
        assert!(settings.providers.is_empty());
        assert_eq!(settings.server.data_dir, folder.path());
    }
}
