//! Who is measured: nothing at all, the floor, nginx, Pinhole and its variants, other gateways; and how each is started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::clock::{SECOND, now_ns};
use crate::http::{Connection, Reply};
use crate::options::Options;
use crate::place::{Placement, Process};
use crate::sheet;
use crate::wire::{self, MODEL, Plan};
use crate::{proc, roles};

const START_S: u64 = 30;

pub(crate) struct Contender {
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    Direct,
    Floor,
    Nginx { program: PathBuf },
    Pinhole { program: PathBuf, extra: Extra },
    Peer { command: String },
}

/// How Pinhole's configuration differs from what is shipped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    AsShipped,
    /// As many requests at once as there are idle streams; the shipped limit would turn most of them away.
    ManyStreams,
}

/// What metering is compared with: answers are not read, nothing is stored. The record and the log line stay.
const UNMETERED: &str = "[telemetry]\nmetering = false\n[capture]\nlevel = \"off\"\n";
/// Tokens, cost, times, metrics, and one trace in ten to a collector; no store.
const METERED: &str = "[capture]\nlevel = \"off\"\n[telemetry.otlp]\nendpoint = \"http://{upstream}\"\n\
protocol = \"http/protobuf\"\n[telemetry.traces]\nratio = 0.1\n";
/// The same without traces, and everything captured.
const OFF: &str = "[capture]\nlevel = \"off\"\n";
const FULL: &str = "[capture]\nlevel = \"full\"\n";
const MANY_STREAMS: &str = "[limits]\nin_flight = 16384\n";

/// What is laid over the usual configuration.
#[derive(Debug, Clone)]
enum Extra {
    None,
    Text(&'static str),
    File(PathBuf),
}

impl Extra {
    fn text(&self) -> Result<String> {
        Ok(match self {
            Self::None => String::new(),
            Self::Text(text) => (*text).to_owned(),
            Self::File(file) => fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
        })
    }
}

impl Contender {
    /// All that this machine and the command line offer, in the order of the tables.
    pub(crate) fn all(options: &Options) -> Vec<Self> {
        let mut all = vec![Self::new("direct", Kind::Direct), Self::new("floor", Kind::Floor)];
        match find_program("nginx") {
            Some(program) => all.push(Self::new("nginx", Kind::Nginx { program })),
            None => eprintln!("nginx is not installed and is left out"),
        }
        let pinhole = |extra| Kind::Pinhole { program: options.pinhole.clone(), extra };
        all.push(Self::new("pinhole", pinhole(Extra::None)));
        all.push(Self::new(sheet::UNMETERED, pinhole(Extra::Text(UNMETERED))));
        all.push(Self::new(sheet::METERED, pinhole(Extra::Text(METERED))));
        all.push(Self::new(sheet::OFF, pinhole(Extra::Text(OFF))));
        all.push(Self::new(sheet::FULL, pinhole(Extra::Text(FULL))));
        for (name, file) in &options.variant {
            all.push(Self::new(name, pinhole(Extra::File(file.into()))));
        }
        for (name, command) in &options.peer {
            let command = command.clone();
            all.push(Self::new(name, Kind::Peer { command }));
        }
        all.retain(|one| options.only.is_empty() || options.only.contains(&one.name));
        all
    }

    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind }
    }

    /// Whether there is a process between client and mock.
    pub(crate) fn is_gateway(&self) -> bool {
        !matches!(self.kind, Kind::Direct)
    }

    /// Whether the goals speak of it.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Pinhole { .. })
    }

    /// The command that starts it on `port`, its files written to `folder`.
    fn command(
        &self,
        folder: &Path,
        (port, ops_port): (u16, u16),
        upstream_port: u16,
        setting: Setting,
    ) -> Result<Vec<String>> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        Ok(match &self.kind {
            Kind::Direct => bail!("direct is not a process"),
            Kind::Floor => role(&["floor", &port.to_string(), &upstream_port.to_string()])?,
            Kind::Nginx { program } => {
                let file = folder.join("nginx.conf");
                fs::write(&file, nginx_config(folder, port, upstream_port))?;
                vec![path(program), "-c".to_owned(), path(&file)]
            }
            Kind::Pinhole { program, extra } => {
                let file = folder.join("pinhole.toml");
                let mut config = pinhole_config(folder, (port, ops_port), upstream_port)?;
                if setting == Setting::ManyStreams {
                    lay_over(&mut config, MANY_STREAMS.parse()?);
                }
                let upstream = format!("127.0.0.1:{upstream_port}");
                lay_over(&mut config, extra.text()?.replace("{upstream}", &upstream).parse()?);
                fs::write(&file, config.to_string())?;
                let words = ["serve", "--config"].map(str::to_owned);
                [vec![path(program)], words.to_vec(), vec![path(&file)]].concat()
            }
            Kind::Peer { command } => command
                .replace("{port}", &port.to_string())
                .replace("{upstream}", &format!("127.0.0.1:{upstream_port}"))
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Starts it and waits until a request through it comes back well.
    pub(crate) async fn start(
        &self,
        folder: &Path,
        placement: Placement,
        upstream_port: u16,
        setting: Setting,
    ) -> Result<Running> {
        if !self.is_gateway() {
            return Ok(Running {
                process: None,
                processes: Vec::new(),
                address: (Ipv4Addr::LOCALHOST, upstream_port).into(),
                ops: None,
                start_ms: 0.0,
            });
        }
        let port = free_port()?;
        let ops_port = free_port()?;
        let command = self.command(folder, (port, ops_port), upstream_port, setting)?;
        let log = folder.join("log");
        let mut process = Process::start(&command, placement.gateway, &log)?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let ready_ns = ready(&mut process, address, &log).await?;
        Ok(Running {
            processes: proc::tree(process.id()),
            start_ms: (ready_ns - process.started_ns) as f64 / 1e6,
            process: Some(process),
            address,
            ops: self.is_ours().then(|| (Ipv4Addr::LOCALHOST, ops_port).into()),
        })
    }
}

/// A contender that answers; stopped when this value goes.
pub(crate) struct Running {
    process: Option<Process>,
    /// The gateway and its children.
    pub(crate) processes: Vec<u32>,
    pub(crate) address: SocketAddr,
    /// The operations listener, of ours.
    pub(crate) ops: Option<SocketAddr>,
    pub(crate) start_ms: f64,
}

impl Running {
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::has_ended)
    }
}

pub(crate) fn start_mock(folder: &Path, placement: Placement, port: u16) -> Result<Process> {
    let command = role(&["mock", &port.to_string()])?;
    Process::start(&command, placement.others, &folder.join("mock.log"))
}

/// Waits for the first good answer and returns when it came.
pub(crate) async fn ready(process: &mut Process, address: SocketAddr, log: &Path) -> Result<u64> {
    let request = wire::request(&address.to_string(), &Plan::answer(512), 1024);
    let deadline = process.started_ns + START_S * SECOND;
    let mut last = String::from("no answer");
    while now_ns() < deadline {
        if process.has_ended() {
            bail!("ended at once: {}", last_words(log));
        }
        match ask(address, &request).await {
            Ok(reply) if reply.status == 200 => return Ok(reply.done_ns),
            Ok(reply) => last = format!("status {}", reply.status),
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bail!("not ready after {START_S} s ({last}): {}", last_words(log))
}

async fn ask(address: SocketAddr, request: &[u8]) -> Result<Reply> {
    let mut reply = Reply::default();
    Connection::open(address).await?.send(request, &mut reply).await?;
    Ok(reply)
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    match text.trim().lines().last() {
        Some(line) => line.to_owned(),
        None => "it said nothing".to_owned(),
    }
}

fn role(words: &[&str]) -> Result<Vec<String>> {
    let own = std::env::current_exe()?;
    let mut command = vec![own.to_string_lossy().into_owned(), roles::WORD.to_owned()];
    command.extend(words.iter().map(|word| (*word).to_owned()));
    Ok(command)
}

pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    // Debian keeps nginx where an ordinary user's PATH does not look.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// One worker that keeps connections, holds nothing back and writes no log: nginx at its best for this work.
fn nginx_config(folder: &Path, port: u16, upstream_port: u16) -> String {
    let folder = folder.display();
    // Workers of a root master otherwise become a user who may not enter our folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 32768; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 512k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream mock {{
    server 127.0.0.1:{upstream_port};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
    }}
  }}
}}
"
    )
}

/// One provider, everything else as it comes.
fn pinhole_config(
    folder: &Path,
    (port, ops_port): (u16, u16),
    upstream_port: u16,
) -> Result<toml::Table> {
    let data = folder.join("data");
    Ok(format!(
        "[server]
listen = \"127.0.0.1:{port}\"
ops_listen = \"127.0.0.1:{ops_port}\"
data_dir = '{}'

[providers.mock]
type = \"openai-compatible\"
baseurl = \"http://127.0.0.1:{upstream_port}/\"
apikey = \"sk-mock\"
models = [\"{MODEL}\"]
cost_basis = \"openai\"
",
        data.display()
    )
    .parse()?)
}

/// The keys of `above` win; tables are joined.
fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => lay_over(old, new),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
