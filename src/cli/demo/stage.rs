//! What the demo plays on: three simulated providers, the gateway before them on a free port, and its data directory.

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::private;
use crate::cli::logging;
use crate::cli::observers::{self, Observers};
use crate::cli::serve::{self, Gateway};
use crate::config::env::Environment;
use crate::config::load::load_text;
use crate::config::settings::{Overrides, Settings, Source};
use crate::config::tree::Text;
use crate::observe::span::Origins;
use crate::simulate::script::Script;
use crate::simulate::{Handle, Simulator};

use super::bill::Bill;
use super::record::{Keep, Record};
use super::traffic::SESSIONS;

/// The two models compared differ in one thing: `slow` takes 15 % longer to its first token.
const FAST: &str = r#"
seed = 8
[default]
expect_key = "sk-provider-fast"
first_token = { lognormal = { median = "200ms", sigma = 0.06 } }
cadence = { exponential = { mean = "7ms" } }
output_tokens = { uniform = [24, 56] }
cached = 0.4
"#;
const SLOW: &str = r#"
seed = 7
[default]
expect_key = "sk-provider-slow"
first_token = { lognormal = { median = "230ms", sigma = 0.06 } }
cadence = { exponential = { mean = "7ms" } }
output_tokens = { uniform = [24, 56] }
cached = 0.4
"#;
/// Fails by position on each path, so that the sessions that meet it must be the only ones on their path.
const FLAKY: &str = r#"
seed = 9
[default]
expect_key = "sk-provider-flaky"
first_token = "90ms"
cadence = "8ms"
[[rules]]
path = "**/chat/completions"
nth = [1]
profile.error = { status = 429, retry_after = 1, headers = [["x-ratelimit-remaining-requests", "0"]] }
[[rules]]
path = "**/messages"
nth = [1]
profile.error = { status = 500, html = true }
[[rules]]
path = "**/responses"
nth = [1]
profile.fault = { cut_after = 12 }
[[rules]]
path = "**/responses"
nth = [2]
profile.fault = { stall_after = 10 }
[[rules]]
path = "**:streamGenerateContent"
nth = [1]
profile.first_token = "1s"
[[rules]]
path = "**:streamGenerateContent"
nth = [2]
profile.output_tokens = 400
"#;

/// What the simulated models cost, in US dollars for a million tokens. Nobody pays or asks these prices.
const PRICES: &str = r#"{
  "version": "made-up-1",
  "date": "2026-11-20",
  "bases": {
    "made-up": {
      "models": {
        "fake/fast": { "input": "0.50", "output": "2", "cache_read": "0.05" },
        "fake/slow": { "input": "4", "output": "20", "cache_read": "0.40" },
        "fake/flaky": { "input": "1", "output": "5", "cache_read": "0.10" }
      }
    }
  }
}
"#;
/// Where they lie in the data directory.
const PRICES_FILE: &str = "demo-prices.json";

/// One simulated provider.
pub(crate) struct Provider {
    pub(crate) id: &'static str,
    pub(crate) handle: Handle,
}

/// Everything that runs during the demo.
pub(crate) struct Stage {
    pub(crate) providers: Vec<Provider>,
    pub(crate) gateway: Gateway,
    records: Arc<Mutex<Vec<Record>>>,
    observers: Observers,
    data_dir: PathBuf,
    /// What the store held before: the directory may be that of an earlier demo.
    before: Bill,
}

/// What remains when all is over.
pub(crate) struct Remains {
    /// Still running.
    pub(crate) providers: Vec<Provider>,
    pub(crate) records: Vec<Record>,
    pub(crate) metrics: Bill,
    pub(crate) store: Result<Bill, String>,
}

/// A folder of the demo's own among the temporary ones, for its owner alone.
pub(crate) fn temporary_folder() -> io::Result<PathBuf> {
    let place = std::env::temp_dir();
    let mut number = std::process::id();
    loop {
        let folder = place.join(format!("pinhole-demo-{number}"));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            // Of an earlier process with the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(io::Error::other(format!("{}: {error}", folder.display()))),
        }
    }
}

/// Starts the providers and, on a free port, the gateway, which observes as `serve` does.
pub(crate) fn start(data_dir: &Path) -> io::Result<Stage> {
    let mut providers = Vec::new();
    for (id, script) in [("fast", FAST), ("slow", SLOW), ("flaky", FLAKY)] {
        let script = Script::parse(script).map_err(io::Error::other)?;
        let handle = Simulator::local(script)?;
        providers.push(Provider { id, handle });
    }
    let data_dir = std::path::absolute(data_dir)?;
    let settings = settings(&providers, &data_dir)?;
    let log = logging::init(settings.log)?;
    let origins = Origins::of(&settings.providers);
    let (sinks, observers) =
        observers::start(&settings, &origins, &log).map_err(io::Error::other)?;
    let before = Bill::of_store(&data_dir).map_err(io::Error::other)?;
    let records = Arc::new(Mutex::new(Vec::new()));
    let sinks = sinks.with(Box::new(Keep(Arc::clone(&records))));
    let listener = serve::bind(settings.server.listen)?;
    let gateway = serve::start(settings, &listener, sinks)?;
    observers.watch(&gateway.shared);
    Ok(Stage { providers, gateway, records, observers, data_dir, before })
}

impl Stage {
    /// Lets the gateway finish, and asks all who counted.
    pub(crate) async fn end(self) -> Remains {
        let telemetry = Arc::clone(&self.gateway.shared.telemetry);
        serve::drain(self.gateway).await;
        let records =
            std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        let store = Bill::of_store(&self.data_dir).map(|bill| bill.since(&self.before));
        // The directory is ours until it has been read.
        drop(self.observers);
        let metrics = Bill::of_metrics(&telemetry.gather());
        Remains { providers: self.providers, records, metrics, store }
    }
}

/// The configuration as a user would write it. Neither the machine's environment nor its files are read.
fn settings(providers: &[Provider], data_dir: &Path) -> io::Result<Settings> {
    private::folder(data_dir)
        .map_err(|error| io::Error::other(format!("{}: {error}", data_dir.display())))?;
    let prices = data_dir.join(PRICES_FILE);
    private::create(&prices)
        .and_then(|mut file| file.write_all(PRICES.as_bytes()))
        .map_err(|error| io::Error::other(format!("{}: {error}", prices.display())))?;
    // A string of JSON is one of TOML.
    let head = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[discovery]\nenabled = false\n[log]\nlevel = \"error\"\n\
         [capture]\nlevel = \"full\"\n\
         [prices]\nfile = {}\n",
        serde_json::Value::from(prices.to_string_lossy()),
    );
    let blocks = providers.iter().map(|Provider { id, handle }| {
        let url = handle.url();
        // Longer than the slow first token of `flaky`, shorter than its stall.
        let idle = if *id == "flaky" { "2500ms" } else { "30s" };
        format!(
            "[providers.{id}]\ntype = \"openai-compatible\"\ncost_basis = \"made-up\"\nbaseurl = \"{url}\"\n\
             apikey = \"sk-provider-{id}\"\nmodels = [\"fake/{id}\"]\ntimeouts.idle = \"{idle}\"\n\
             compatibility = {{ openai_chat = true, openai_responses = true, \
             anthropic_messages = true, gemini_generate_content = true }}\n"
        )
    });
    let keys = SESSIONS.iter().map(|session| {
        let (label, secret) = (session.name, session.key());
        format!("[[keys]]\nlabel = \"{label}\"\nsecret = \"{secret}\"\n")
    });
    let text: String = std::iter::once(head).chain(blocks).chain(keys).collect();
    let name = PathBuf::from("demo.toml");
    let environment = Environment::new(Path::new("."), []);
    let overrides = Overrides { data_dir: Some(data_dir.to_owned()), ..Overrides::default() };
    load_text(Text::new(&name, text), Source::File(name), &overrides, &environment)
        .map_err(|findings| io::Error::other(findings.to_string()))
}
