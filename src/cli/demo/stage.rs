//! What the demo plays on: three simulated providers, and the gateway before them on a free port.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::serve::{self, Gateway};
use crate::config::env::Environment;
use crate::config::load::load_text;
use crate::config::settings::{Overrides, Settings, Source};
use crate::config::tree::Text;
use crate::exchange::Exchange;
use crate::exchange::outcome::Outcome;
use crate::observe::sink::{Sink, Sinks};
use crate::simulate::script::Script;
use crate::simulate::{Handle, Simulator};

use super::traffic::SESSIONS;

/// The two models compared differ in one thing: `slow` takes 15 % longer to its first token.
const FAST: &str = r#"
seed = 8
[default]
expect_key = "sk-provider-fast"
first_token = { lognormal = { median = "110ms", sigma = 0.08 } }
cadence = { exponential = { mean = "7ms" } }
output_tokens = { uniform = [24, 56] }
cached = 0.4
"#;
const SLOW: &str = r#"
seed = 7
[default]
expect_key = "sk-provider-slow"
first_token = { lognormal = { median = "126.5ms", sigma = 0.08 } }
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
profile.error = { status = 429, retry_after = 1 }
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
}

/// What the demo keeps of an exchange, once it has ended.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) key_label: Option<Arc<str>>,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: Outcome,
    pub(crate) kind: Option<&'static str>,
    pub(crate) overhead_us: u64,
    pub(crate) response_bytes: u64,
}

/// Keeps every record in memory, for the summary.
struct Keep(Arc<Mutex<Vec<Record>>>);

impl Sink for Keep {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.extend(batch.iter().map(|exchange| Record::of(exchange)));
    }
}

impl Record {
    fn of(exchange: &Exchange) -> Self {
        let attempt = exchange.last_attempt();
        Self {
            id: exchange.id.to_string(),
            provider: attempt.map(|attempt| Arc::clone(&attempt.provider)),
            key_label: exchange.key_label.clone(),
            status: exchange.status.map(|status| status.as_u16()),
            outcome: exchange.outcome,
            kind: exchange.failure.as_ref().map(|failure| failure.kind),
            overhead_us: exchange.summary.times.overhead_us,
            response_bytes: exchange.response_bytes,
        }
    }
}

/// Starts the providers and, on a free port, the gateway.
pub(crate) fn start() -> io::Result<Stage> {
    let mut providers = Vec::new();
    for (id, script) in [("fast", FAST), ("slow", SLOW), ("flaky", FLAKY)] {
        let script = Script::parse(script).map_err(io::Error::other)?;
        let handle = Simulator::local(script)?;
        providers.push(Provider { id, handle });
    }
    let settings = settings(&providers)?;
    let records = Arc::new(Mutex::new(Vec::new()));
    let sinks = Sinks::default().with(Box::new(Keep(Arc::clone(&records))));
    let listener = serve::bind(settings.server.listen)?;
    let gateway = serve::start(settings, &listener, sinks)?;
    Ok(Stage { providers, gateway, records })
}

impl Stage {
    /// Lets the gateway finish, and gives the providers, still running, and the records.
    pub(crate) async fn end(self) -> (Vec<Provider>, Vec<Record>) {
        serve::drain(self.gateway).await;
        let records =
            std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        (self.providers, records)
    }
}

/// The configuration as a user would write it. Neither the machine's environment nor its files are read.
fn settings(providers: &[Provider]) -> io::Result<Settings> {
    let head = "[server]\nlisten = \"127.0.0.1:0\"\n[discovery]\nenabled = false\n[log]\nlevel = \"error\"\n";
    let blocks = providers.iter().map(|Provider { id, handle }| {
        let url = handle.url();
        // Longer than the slow first token of `flaky`, shorter than its stall.
        let idle = if *id == "flaky" { "2500ms" } else { "30s" };
        format!(
            "[providers.{id}]\ntype = \"openai-compatible\"\nbaseurl = \"{url}\"\n\
             apikey = \"sk-provider-{id}\"\nmodels = [\"fake/{id}\"]\ntimeouts.idle = \"{idle}\"\n\
             compatibility = {{ openai_chat = true, openai_responses = true, \
             anthropic_messages = true, gemini_generate_content = true }}\n"
        )
    });
    let keys = SESSIONS.iter().map(|session| {
        let (label, secret) = (session.name, session.key());
        format!("[[keys]]\nlabel = \"{label}\"\nsecret = \"{secret}\"\n")
    });
    let text: String = std::iter::once(head.to_owned()).chain(blocks).chain(keys).collect();
    let name = PathBuf::from("demo.toml");
    let environment = Environment::new(Path::new("."), []);
    load_text(Text::new(&name, text), Source::File(name), &Overrides::default(), &environment)
        .map_err(|findings| io::Error::other(findings.to_string()))
}
