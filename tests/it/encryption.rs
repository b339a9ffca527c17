//! Encryption at rest, with the program: no word of headers or bodies stands in any file; every reading surface works with
//! the key, and says what is missing without it or with another one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::command::{Serving, pinhole, text, write};
use crate::support::eventually;
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Got, Step, Upstream, json as document, stream_of};

const KEY: &str = "correct-horse-battery-staple";
/// What stands in headers, requests, answers and streams, and in nothing else.
const WORDS: [&str; 4] = ["violetteam", "tangerine", "saffron", "aubergine"];

fn provider(got: &Got) -> Vec<Step> {
    if got.text().contains("\"stream\":true") {
        let event = |piece: &str| {
            format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": piece}}]}))
        };
        return stream_of(&[event("aubergine "), event("soup"), "data: [DONE]\n\n".to_owned()]);
    }
    let answer =
        json!({"choices": [{"message": {"role": "assistant", "content": "saffron rice"}}]});
    vec![Step::Send(document(&answer.to_string()))]
}

/// A configuration under this name, with this key if any.
fn configure(folder: &Path, name: &str, upstream: &Upstream, key: Option<&str>) {
    let key = key.map_or(String::new(), |key| format!("encryption_key = \"{key}\"\n"));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
         [providers.up]\nbaseurl = \"{}\"\napikey = \"env:UP_KEY\"\nmodels = [\"m\"]\n\
         [capture]\nlevel = \"full\"\n{key}[capture.redact]\nheaders_allow = [\"x-team\"]\n",
        upstream.url()
    );
    if name == "pinhole.toml" {
        write(folder, &toml);
    } else {
        std::fs::write(folder.join(name), toml).expect("a configuration file");
    }
}

fn captures(folder: &Path, config: &str, arguments: &[&str]) -> Output {
    let mut all = vec!["captures"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--config", config]);
    let mut program = pinhole(folder, &all);
    program.env("UP_KEY", "sk").env("STORE_KEY", KEY).output().expect("the program")
}

fn told(folder: &Path, arguments: &[&str]) -> String {
    let output = captures(folder, "pinhole.toml", arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, config: &str, arguments: &[&str], words: &str) {
    let output = captures(folder, config, arguments);
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{config} {arguments:?}: {talk}");
    assert!(talk.contains(words), "{config} {arguments:?}: {talk}");
    assert!(!talk.contains("damaged") && !talk.contains("prune"), "nothing is broken: {talk}");
    assert!(WORDS.iter().all(|word| !text(&output.stdout).contains(word)), "{arguments:?}");
}

fn serve(folder: &Path, config: &str) -> Serving {
    let mut program = pinhole(folder, &["serve", "--config", config]);
    program.env("STORE_KEY", KEY);
    Serving::of(program)
}

fn operations(serving: &Serving) -> SocketAddr {
    let url = serving.said_of("operations");
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    authority.expect("a URL").parse().expect("an address")
}

async fn asked(operations: SocketAddr, target: &str) -> Response {
    raw::send(operations, &Request::get(target).header("host", "127.0.0.1")).await
}

fn chat(stream: bool) -> Request {
    let mut body =
        json!({"model": "m", "messages": [{"role": "user", "content": "two tangerine trees"}]});
    if stream {
        body["stream"] = json!(true);
    }
    Request::post("/v1/chat/completions")
        .header("authorization", "Bearer pk")
        .header("x-team", "violetteam")
        .json(&body)
}

/// Sends a document and a stream, and waits until both are on the disk.
async fn traffic(folder: &Path, serving: &Serving, before: i64) {
    for stream in [false, true] {
        assert_eq!(raw::send(serving.address(), &chat(stream)).await.status, 200);
    }
    let path = folder.join("data/pinhole.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let database = database.expect("the store");
    let count = "SELECT count(*) FROM exchanges";
    eventually("the records", || {
        let rows = database.query_row(count, [], |row| row.get::<_, i64>(0));
        rows.is_ok_and(|rows| rows == before + 2).then_some(())
    })
    .await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the data directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Which of the words stand in files of the store.
fn in_files(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for file in files(&folder.join("data")) {
        let bytes = std::fs::read(&file).expect("a file");
        let words = WORDS.into_iter().filter(|word| raw::find(&bytes, word.as_bytes()).is_some());
        found.extend(words.map(|word| (file.clone(), word)));
    }
    found
}

#[tokio::test]
async fn a_key_of_any_source_keeps_words_off_the_disk_and_every_surface_reads_them() {
    let upstream = Upstream::start(provider).await;
    let command = format!("command:printf {KEY}");
    for key in ["env:STORE_KEY", "file:store.key", &command] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        std::fs::write(folder.join("store.key"), format!("{KEY}\n")).expect("a key file");
        configure(folder, "pinhole.toml", &upstream, Some(key));
        let serving = serve(folder, "pinhole.toml");
        let banner = serving.said_of("capture").to_owned();
        traffic(folder, &serving, 0).await;
        assert!(files(&folder.join("data")).iter().any(|file| file.ends_with("pinhole.db-wal")));
        assert_eq!(in_files(folder), [], "while it runs, {key} {banner}");
        reads_all(folder, &serving).await;
        assert_eq!(in_files(folder), [], "after all was read, {key}");
        let said = serving.end();
        assert!(said.contains("headers and bodies encrypted, texts not indexed"), "{said}");
        assert!(!said.contains(KEY), "{said}");
        assert_eq!(in_files(folder), [], "at the end, {key}");
        let left: Vec<PathBuf> = files(&folder.join("data"));
        assert!(!left.iter().any(|file| file.ends_with("search.db")), "{left:?}");
    }
}

/// Through the operations API and with every command that reads bodies.
async fn reads_all(folder: &Path, serving: &Serving) {
    let operations = operations(serving);
    let page = asked(operations, "/api/exchanges?where=text%3Atangerine").await.json();
    let ids: Vec<&str> = page["exchanges"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["id"].as_str())
        .collect();
    // The second one brought no new text of the client's.
    let [id, ..] = ids[..] else { panic!("text: finds nothing: {page}") };
    let request = chat(false);
    let body = |request: &Request| {
        let bytes = request.bytes();
        let at = raw::find(&bytes, b"\r\n\r\n").expect("a head") + 4;
        text(&bytes[at..])
    };
    let sent = asked(operations, &format!("/api/exchanges/{id}/request")).await.text();
    assert!([body(&request), body(&chat(true))].contains(&sent), "{sent}");
    let whole = asked(operations, &format!("/api/exchanges/{id}")).await.text();
    assert!(whole.contains("violetteam"), "{whole}");

    assert_eq!(told(folder, &["show", "last~1", "--raw", "request"]), body(&request));
    assert!(told(folder, &["show", "last", "--raw", "response"]).contains("aubergine"));
    assert!(told(folder, &["show", "last~1", "--headers"]).contains("violetteam"));
    assert!(told(folder, &["grep", "saffron rice"]).contains("saffron rice"));
    for format in ["ndjson", "har", "curl", "bundle", "openai-batch"] {
        let written = captures(folder, "pinhole.toml", &["export", "--as", format]).stdout;
        let clear = zstd::decode_all(&written[..]);
        let written = clear.map_or(text(&written), |clear| text(&clear));
        assert!(written.contains("tangerine"), "{format}: {written}");
    }
    assert!(told(folder, &["diagnose", "last"]).contains("openai_chat chat"));
    assert!(told(folder, &["diff", "last"]).contains("request"));
    assert!(told(folder, &["verify"]).contains("all is well"));
    let found = captures(folder, "pinhole.toml", &["ls", "--where", "text:tangerine", "--json"]);
    assert!(text(&found.stdout).contains(id));
    assert!(text(&found.stderr).contains("there is no index of texts"), "{found:?}");
}

#[tokio::test]
async fn without_the_key_or_with_another_it_says_so_and_calls_nothing_damaged() {
    let upstream = Upstream::start(provider).await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    configure(folder, "pinhole.toml", &upstream, Some("env:STORE_KEY"));
    configure(folder, "none.toml", &upstream, None);
    configure(folder, "wrong.toml", &upstream, Some("another-horse-battery-staple"));
    let serving = serve(folder, "pinhole.toml");
    traffic(folder, &serving, 0).await;
    serving.end();

    let commands: [&[&str]; 12] = [
        &["show", "last"],
        &["show", "last", "--raw", "request"],
        &["show", "last", "--as", "har"],
        &["grep", "tangerine"],
        &["ls", "--where", "text:tangerine"],
        &["export"],
        &["export", "--as", "bundle"],
        &["diagnose", "last"],
        &["diff", "last"],
        &["verify"],
        &["scrub", "--all"],
        &["scrub", "--all", "--yes"],
    ];
    for command in commands {
        refused(folder, "none.toml", command, "encrypted and no key is given");
        refused(folder, "wrong.toml", command, "is not the key");
    }
    refused(folder, "wrong.toml", &["ls"], "is not the key");
    for command in [&["ls"][..], &["stats"]] {
        let output = captures(folder, "none.toml", command);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text(&output.stderr).contains("headers and bodies are encrypted"), "{output:?}");
    }
    for (config, words) in [("none.toml", "no key is given"), ("wrong.toml", "is not the key")] {
        let mut program = pinhole(folder, &["serve", "--config", config]);
        let output = program.env("UP_KEY", "sk").env("PINHOLE_API_KEY", "pk").output();
        let output = output.expect("the program");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(text(&output.stderr).contains(words), "{output:?}");
    }
    // Nothing was harmed by any of it.
    assert!(told(folder, &["verify"]).contains("all is well"));
    assert!(told(folder, &["grep", "tangerine"]).contains("tangerine"));
}

/// What was indexed before the key came is removed with the index.
#[tokio::test]
async fn a_key_that_comes_later_takes_the_index_of_texts_away() {
    let upstream = Upstream::start(provider).await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    configure(folder, "none.toml", &upstream, None);
    configure(folder, "pinhole.toml", &upstream, Some("env:STORE_KEY"));
    let index = folder.join("data/search.db");
    let clear = serve(folder, "none.toml");
    traffic(folder, &clear, 0).await;
    eventually("the index", || index.exists().then_some(())).await;
    clear.end();
    let sealed = serve(folder, "pinhole.toml");
    traffic(folder, &sealed, 2).await;
    assert!(!index.exists());
    sealed.end();
    // Those from before are in clear, and read without the key; those from after are not.
    let output = captures(folder, "none.toml", &["show", "last~3", "--raw", "request"]);
    assert!(text(&output.stdout).contains("tangerine"), "{output:?}");
    refused(folder, "none.toml", &["show", "last", "--raw", "request"], "no key is given");
    assert_eq!(told(folder, &["grep", "--all", "tangerine"]).lines().count(), 4);
}
