//! The program as a user runs it: exit codes, what goes to which stream, signals, generated pages.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};

use serde_json::Value;

use crate::support::raw::{self, Request};
use crate::support::upstream::{Step, Upstream, json};

/// The program in a folder of its own, without the variables of whoever runs the tests.
pub fn pinhole(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinhole"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
    command
}

pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    pinhole(folder, arguments).output().expect("the program")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn write(folder: &Path, toml: &str) {
    std::fs::write(folder.join("pinhole.toml"), toml).expect("a configuration file");
}

pub fn config(listen: &str, url: &str) -> String {
    format!(
        "[server]\nlisten = \"{listen}\"\nops_listen = \"127.0.0.1:0\"\n\
         [providers.up]\nbaseurl = \"{url}\"\napikey = \"env:UP_KEY\"\nmodels = [\"m\"]\n"
    )
}

/// Runs a command on a configuration: how it exits, and what it says on standard error.
fn check(toml: &str, arguments: &[&str], code: i32, words: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), toml);
    let mut command = pinhole(folder.path(), arguments);
    let output = command.env("UP_KEY", "sk").output().expect("the program");
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
    assert!(talk.contains(words), "{arguments:?}: {talk}");
}

#[test]
fn refusals_have_their_exit_codes_and_say_the_remedy() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("its address").to_string();
    let fine = config("127.0.0.1:0", "http://x");
    let bad = config("127.0.0.1:0", "ftp://x");
    let busy = config(&taken, "http://x");
    let open = config("0.0.0.0:0", "http://x");
    check(&busy, &["serve"], 3, "stop what holds the port");
    check(&open, &["serve"], 2, "set PINHOLE_API_KEY");
    check(&bad, &["serve"], 2, "pinhole.toml:5:11");
    check(&bad, &["check"], 1, "pinhole.toml:5:11");
    check(&bad, &["route", "m"], 2, "pinhole.toml:5:11");
    check(&fine, &["route", "n"], 1, "no endpoint of any provider");
    check(&fine, &["serve", "--no-such"], 2, "--no-such");
    check(&fine, &["serve", "--listen", "x"], 2, "--listen");
    check(&fine, &["simulate", "--listen", &taken], 3, "--listen");
    check(&fine, &[], 2, "Usage");
}

#[tokio::test]
async fn check_prints_data_to_one_stream_and_talk_to_the_other() {
    let upstream = Upstream::always(vec![Step::Send(json(r#"{"data":[{"id":"m"}]}"#))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let checked = |key: Option<&str>, arguments: &[&str]| {
        let mut command = pinhole(folder.path(), arguments);
        command.envs(key.map(|key| ("UP_KEY", key)));
        command.output().expect("the program")
    };
    let mut live = pinhole(folder.path(), &["check", "--live", "--json"]);
    live.env("UP_KEY", "sk");
    // The provider lives on this thread.
    let fine = tokio::task::spawn_blocking(move || live.output().expect("the program"));
    let fine = fine.await.expect("the thread");
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine.stderr));
    let document: Value = serde_json::from_slice(&fine.stdout).expect("one JSON document");
    assert_eq!(document["live"][0]["provider"], "up");
    assert_eq!(document["live"][0]["fine"], true);
    assert!(!text(&fine.stdout).contains("\"sk\""));

    let warned = checked(None, &["check"]);
    assert_eq!(warned.status.code(), Some(1));
    let talk = text(&warned.stderr);
    assert!(talk.contains("UP_KEY is not set"), "{talk}");
    assert!(talk.contains("a warning fails this check"), "{talk}");

    write(folder.path(), "[server]\nlistn = \"x\"\n");
    let refused = checked(Some("sk"), &["check", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&refused.stdout).expect("one JSON document");
    let findings = document["errors"].to_string();
    assert!(findings.contains("server.listn: unknown key"), "{findings}");
}

#[test]
fn generated_pages_come_from_the_definitions() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = text(&run(folder.path(), &["--version"]).stdout);
    assert!(
        version.starts_with("pinhole ")
            && version.contains("commit ")
            && version.contains("features: "),
        "{version}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let output = run(folder.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("force-model"), "{shell}");
        assert!(output.stderr.is_empty(), "{shell}");
    }
    let page = text(&run(folder.path(), &["man"]).stdout);
    for part in [
        ".SH \"PINHOLE SERVE\"",
        "\\-\\-default\\-backend",
        ".SH \"PINHOLE SIMULATE\"",
        "Exit codes",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("pinhole-serve(1)") && !page.contains("pinhole\\-serve(1)"));
}

/// The lines of a program's standard error, read by a thread so that a test can wait with a deadline.
fn lines(child: &mut Child) -> Receiver<String> {
    let talk = BufReader::new(child.stderr.take().expect("its standard error"));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in talk.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A running `serve`; killed when dropped.
pub struct Serving {
    pub child: Child,
    origin: String,
    /// Lines of its standard error.
    talk: Receiver<String>,
    /// Those read so far.
    said: Vec<String>,
}

impl Serving {
    pub fn start(folder: &Path) -> Self {
        Self::of(pinhole(folder, &["serve"]))
    }

    /// The program in the settings of its caller.
    pub fn of(program: Command) -> Self {
        Self::with_keys(program, "sk", "pk")
    }

    /// The same with the provider's key and the gateway's.
    pub fn with_keys(mut program: Command, provider: &str, gateway: &str) -> Self {
        let mut child = program
            .env("UP_KEY", provider)
            .env("PINHOLE_API_KEY", gateway)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let talk = lines(&mut child);
        let mut serving = Self { child, origin: String::new(), talk, said: Vec::new() };
        let first = serving.read_to(" on http://");
        first.rsplit_once("http://").expect("an origin").1.trim().clone_into(&mut serving.origin);
        serving.read_to("capture");
        serving
    }

    /// Reads on to the first line that holds `words`.
    pub fn read_to(&mut self, words: &str) -> String {
        loop {
            match self.talk.recv_timeout(raw::DEADLINE) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("it did not say {words}: {error}"),
            }
        }
    }

    /// The last word of the line that begins with `words`, among those read so far.
    pub fn said_of(&self, words: &str) -> &str {
        let mut lines = self.said.iter().map(|line| line.trim());
        let line = lines.find(|line| line.starts_with(words));
        let line = line.unwrap_or_else(|| panic!("no {words} in {:?}", self.said));
        line.rsplit(' ').next().unwrap_or_default()
    }

    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Ends it, and gives all that it said on standard error.
    pub fn end(mut self) -> String {
        self.signal("TERM");
        while let Ok(line) = self.talk.recv_timeout(raw::DEADLINE) {
            self.said.push(line);
        }
        self.said.join("\n")
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.origin.parse().expect("an address")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Gone already where the test waited for its end.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What comes of a request to a URL, perhaps with a body.
async fn ask(url: &str, body: Option<&str>) -> raw::Response {
    let rest = url.strip_prefix("http://").expect("a plain URL");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = match body {
        None => Request::get(path),
        Some(body) => Request::post(path).header("content-type", "application/json").body(body),
    };
    let request = request.header("host", authority).header("authorization", "Bearer pk");
    raw::send(authority.parse().expect("an address"), &request).await
}

#[tokio::test]
async fn the_banner_gives_urls_that_work_and_warnings_stop_nothing() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let toml = format!(
        "{}compatibility = {{ openai_chat = true, anthropic_messages = true, gemini_generate_content = true }}\n\
         [providers.later]\nbaseurl = \"{}\"\napikey = \"env:LATER_KEY\"\nmodels = [\"other\"]\n",
        config("127.0.0.1:0", &upstream.url()),
        upstream.url()
    );
    write(folder.path(), &toml);
    let serving = Serving::start(folder.path());
    let warned = serving.said.iter().position(|line| {
        line.contains("WARN")
            && line.contains("pinhole.toml")
            && line.contains("LATER_KEY is not set")
    });
    let banner = serving.said.iter().position(|line| line.contains(" on http"));
    assert!(warned.is_some() && warned < banner, "{:?}", serving.said);
    let body = r#"{"model":"m","max_tokens":1,"messages":[]}"#;
    for (number, (family, rest)) in [
        ("OpenAI clients", "/chat/completions"),
        ("Anthropic clients", "/v1/messages"),
        ("Gemini clients", "/v1beta/models/m:generateContent"),
    ]
    .into_iter()
    .enumerate()
    {
        let url = format!("{}{rest}", serving.said_of(family));
        let answer = ask(&url, Some(body)).await;
        assert_eq!(answer.status, 200, "{url}: {answer:?}");
        let got = upstream.request(number).await;
        assert!(got.target.ends_with(rest), "{url} became {}", got.target);
    }
    let health = ask(serving.said_of("operations"), None).await;
    assert_eq!(health.json()["status"], "ok");
    assert_eq!(health.json()["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn one_signal_drains_and_a_second_one_cuts() {
    let upstream = Upstream::always(vec![Step::Hold]).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let mut serving = Serving::start(folder.path());
    let mut connection = raw::connect(serving.address()).await;
    let request = Request::post("/v1/chat/completions")
        .header("authorization", "Bearer pk")
        .header("content-type", "application/json")
        .body(r#"{"model":"m"}"#);
    connection.send(&request).await;
    upstream.request(0).await;
    serving.signal("TERM");
    serving.read_to("draining");
    serving.signal("INT");
    serving.read_to("a second signal came");
    let rest: Vec<String> = serving.talk.iter().collect();
    let rest = rest.concat();
    assert!(rest.contains("error_kind=gateway_restarting"), "{rest}");
    assert_eq!(serving.child.wait().expect("its end").code(), Some(0));
    let mut data = String::new();
    let mut stdout = serving.child.stdout.take().expect("its standard output");
    stdout.read_to_string(&mut data).expect("text");
    assert_eq!(data, "", "talk is for standard error");
}

#[tokio::test]
async fn a_reload_takes_good_files_and_refuses_bad_ones() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let good = config("127.0.0.1:0", &upstream.url());
    write(folder.path(), &good);
    let mut serving = Serving::start(folder.path());
    let ask = |model: &str| {
        Request::post("/v1/chat/completions")
            .header("authorization", "Bearer pk")
            .header("content-type", "application/json")
            .body(format!(r#"{{"model":"{model}"}}"#))
    };
    assert_eq!(raw::send(serving.address(), &ask("n")).await.status, 404);
    write(folder.path(), &good.replace("[\"m\"]", "[\"m\", \"n\"]"));
    serving.read_to("configuration reloaded");
    assert_eq!(raw::send(serving.address(), &ask("n")).await.status, 200);
    write(folder.path(), &good.replace("models", "modles"));
    serving.read_to("configuration not reloaded");
    assert_eq!(raw::send(serving.address(), &ask("n")).await.status, 200);
    serving.signal("HUP");
    serving.read_to("configuration not reloaded");
    write(folder.path(), &good.replace("127.0.0.1:0\"\nops", "127.0.0.1:1\"\nops"));
    serving.read_to("server.listen has changed; that takes effect at the next start");
    serving.signal("TERM");
    assert_eq!(serving.child.wait().expect("its end").code(), Some(0));
}

#[tokio::test]
async fn a_reload_never_opens_a_listener_to_the_network() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "[[keys]]\nlabel = \"me\"\nsecret = \"pk-file\"\n";
    let open = config("0.0.0.0:0", &upstream.url());
    write(folder.path(), &format!("{open}{keys}"));
    let mut child = pinhole(folder.path(), &["serve"])
        .env("UP_KEY", "sk")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let talk = lines(&mut child);
    let mut serving = Serving { child, origin: String::new(), talk, said: Vec::new() };
    serving.read_to("capture");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    serving.read_to("traffic would be open to the network");
}
