//! Secrets planted in every place they can come from, and searched for in every place they could go to: the database and
//! what stands beside it, bodies as they are read back, the log, spans, metrics, the operations API, every view and every
//! format that the command line writes. None may be there; that two calls used the same one must be.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pinhole::store::vault;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::command::{Serving, pinhole, write};
use crate::support::eventually;
use crate::support::raw::{self, Request};
use crate::support::upstream::{Got, Step, Upstream, answer, json as document, stream_of};

/// The gateway's key, the admin's, and the provider's.
const GATEWAY: &str = "sk-proj-Zq7G01mXw93kLd01Vb";
const ADMIN: &str = "sk-proj-Zq7A02mXw93kLd02Vb";
const PROVIDER: &str = "sk-proj-Zq7P03mXw93kLd03Vb";
const FROM_FILE: &str = "sk-proj-Zq7F04mXw93kLd04Vb";
const ADDED_HEADER: &str = "hush-header-of-the-provider";
/// What one client plants twice, so that it must look the same twice.
const SHARED: &str = "sk-ant-api03-Zq7S05mXw93kLd05Vb";

/// Secrets of requests and answers, by place.
const X_GOOG: &str = "AIzaSyZq7g06mXw93kLd06VbAbCdEfGhIjKlMnO";
const COOKIE: &str = "hush-cookie-07";
const CUSTOM: &str = "hush-custom-08";
const AGENT: &str = "ghp_Zq7U09mXw93kLd09VbAbCdEfGhIjKlMnOpQr";
const TAG: &str = "xoxb-123456789012-Zq7T10mXw93kLd10Vb";
const MODEL: &str = "gsk_Zq7M11mXw93kLd11VbAbCdEfGh";
const QUERY: &str = "Zq7Q12mXw93kLd12Vb";
const BODY: &str = "glpat-Zq7B13mXw93kLd13Vb";
const PASSWORD: &str = "hunter2-hush-14";
const ARGUMENT: &str = "AKIAZQ7C15MXW93KLD15";
const STREAMED: &str = "sk-or-v1-Zq7W16mXw93kLd16VbAbCdEf";
const ERROR: &str = "sk-proj-Zq7E17mXw93kLd17Vb";
const ANSWER_KEY: &str = "pplx-Zq7K18mXw93kLd18VbAbCd";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJaeTE5In0.Zq7J19mXw93kLd19Vb";
const PEM: &str = "MIIEpAIBAAKCAQEAZq7Y20mXw93kLd20Vb";
const PATH: &str = "sk-proj-Zq7H21mXw93kLd21Vb";
/// What only the configuration knows to be secret: by a pattern, and by where it stands.
const CUSTOMER: &str = "CUST-Zq7220022";
const POINTED: &str = "Zq7 aunt 23 of mine";
/// In the texts of errors.
const ERROR_JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJaeTI0In0.Zq7L24mXw93kLd24Vb";
const ERROR_PEM: &str = "MIIEpAIBAAKCAQEAZq7Z25mXw93kLd25Vb";

const ALL: [&str; 27] = [
    GATEWAY,
    ADMIN,
    PROVIDER,
    FROM_FILE,
    ADDED_HEADER,
    SHARED,
    X_GOOG,
    COOKIE,
    CUSTOM,
    AGENT,
    TAG,
    MODEL,
    QUERY,
    BODY,
    PASSWORD,
    ARGUMENT,
    STREAMED,
    ERROR,
    ANSWER_KEY,
    JWT,
    PEM,
    PATH,
    CUSTOMER,
    POINTED,
    ERROR_JWT,
    ERROR_PEM,
    "Zq7",
];

/// A provider that repeats secrets in answers, errors, headers and, in pieces, in streams.
fn provider(got: &Got) -> Vec<Step> {
    let body = got.text();
    let headers =
        [("content-type", "application/json"), ("set-cookie", COOKIE), ("x-upstream-own", CUSTOM)];
    if body.contains("refuse this") {
        let error = json!({"error": {"message": format!(
            "Incorrect API key provided: {ERROR} of {CUSTOMER}; the token {ERROR_JWT} is not valid, nor is the key \
             -----BEGIN RSA PRIVATE KEY-----\n{ERROR_PEM}\n-----END RSA PRIVATE KEY-----\n"), "code": "invalid_api_key"}});
        return vec![Step::Send(answer(401, &headers, error.to_string()))];
    }
    if body.contains("\"stream\":true") {
        let pieces: Vec<String> = format!("the key is {STREAMED}, keep it")
            .as_bytes()
            .chunks(3)
            .map(|piece| {
                let content = String::from_utf8_lossy(piece);
                format!(
                    "data: {}\n\n",
                    json!({"choices": [{"index": 0, "delta": {"content": content}}]})
                )
            })
            .chain(["data: [DONE]\n\n".to_owned()])
            .collect();
        return stream_of(&pieces);
    }
    let arguments = json!({"access_key": ARGUMENT}).to_string();
    let reply = json!({"choices": [{"message": {
        "content": format!("use {ANSWER_KEY}"),
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "login", "arguments": arguments}}]}}]});
    vec![Step::Send(if got.method == "GET" {
        document("{}")
    } else {
        answer(200, &headers, reply.to_string())
    })]
}

fn chat(model: &str, text: &str, stream: bool) -> Request {
    let inner =
        json!({"password": PASSWORD, "nested": json!({"api_key": BODY}).to_string()}).to_string();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{PEM}\n-----END PRIVATE KEY-----\n");
    let mut body = json!({"model": model, "metadata": {"aunt": POINTED}, "messages": [
        {"role": "user", "content": format!("{text} {inner} {key} and {JWT} of {CUSTOMER}")},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function",
            "function": {"name": "run", "arguments": format!("{{\"command\":\"curl -H 'x-api-key: {BODY}'\"}}")}}]},
        {"role": "tool", "tool_call_id": "a", "content": format!("password = {PASSWORD}")}]});
    if stream {
        body["stream"] = json!(true);
    }
    Request::post("/v1/chat/completions").json(&body)
}

/// With a secret in every header that may have one.
fn dressed(request: Request) -> Request {
    request
        .header("authorization", &format!("Bearer {GATEWAY}"))
        .header("x-api-key", SHARED)
        .header("x-goog-api-key", X_GOOG)
        .header("cookie", &format!("session={COOKIE}"))
        .header("x-custom-secret", CUSTOM)
        .header("user-agent", &format!("tool/1 {AGENT}"))
        .header("x-session-id", SHARED)
        .header("x-pinhole-tag", &format!("token={TAG}"))
        .header("x-pinhole-tag", &format!("again={SHARED}"))
        .header("x-request-id", AGENT)
}

fn configure(folder: &Path, upstream: &Upstream, level: &str) {
    std::fs::write(folder.join("provider.key"), FROM_FILE).expect("a key file");
    write(
        folder,
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
             [log]\nlevel = \"trace\"\n[capture]\nlevel = \"{level}\"\n\
             [capture.redact]\npatterns = [{{ name = \"customer\", regex = 'CUST-[A-Za-z0-9]+' }}]\npointers = [\"/metadata/aunt\"]\n\
             [telemetry]\ncontent = \"span\"\n\
             [providers.up]\nbaseurl = \"{}\"\napikeys = [\"env:UP_KEY\", \"file:provider.key\"]\nmodels = [\"m\"]\n\
             add_headers = [\"x-provider-own: {ADDED_HEADER}\"]\n\
             compatibility = {{ openai_chat = true, anthropic_messages = true, gemini_generate_content = true }}\n\
             [providers.gone]\nbaseurl = \"http://127.0.0.1:9\"\napikey = \"{FROM_FILE}\"\nmodels = [\"gone\"]\n",
            upstream.url(),
        ),
    );
}

fn serve(folder: &Path, collector: &Upstream) -> Serving {
    let mut program = pinhole(folder, &["serve"]);
    program
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("PINHOLE_ADMIN_KEY", ADMIN);
    Serving::with_keys(program, PROVIDER, GATEWAY)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect()
}

/// No secret stands in `bytes`.
fn none_in(place: &str, bytes: &[u8]) {
    let found: BTreeSet<&str> =
        ALL.into_iter().filter(|secret| raw::find(bytes, secret.as_bytes()).is_some()).collect();
    assert!(found.is_empty(), "{found:?} in {place}");
}

fn open(folder: &Path) -> Connection {
    let path = folder.join("data/pinhole.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store")
}

/// All columns of all rows of the view, as one text; and every body, put together again.
fn read_back(database: &Connection) -> String {
    let mut rows = String::new();
    let mut statement = database.prepare("SELECT * FROM exchanges").expect("the view");
    let columns = statement.column_count();
    let mut all = statement.query([]).expect("rows");
    while let Some(row) = all.next().expect("a row") {
        for column in 0..columns {
            let value = row.get_ref(column).expect("a column");
            writeln!(rows, "{value:?}").expect("a String");
            if let Ok(text) = row.get::<_, String>(column) {
                rows.push_str(&text);
            }
        }
    }
    let mut statement = database.prepare("SELECT seq FROM bodies").expect("the table");
    let seqs = statement.query_map([], |row| row.get::<_, i64>(0)).expect("numbers");
    for seq in seqs {
        let legs = vault::read(database, seq.expect("a number")).expect("bodies");
        let legs = legs.unwrap_or_default();
        rows.push_str(&String::from_utf8_lossy(&everything(&legs)));
    }
    rows
}

/// The text of all that is kept of an exchange.
fn everything(legs: &vault::Legs) -> Vec<u8> {
    let mut all = Vec::new();
    let attempts = legs.attempts.iter().flat_map(|attempt| [&attempt.request, &attempt.response]);
    for leg in [&legs.request, &legs.response].into_iter().chain(attempts) {
        all.extend_from_slice(leg.line.as_deref().unwrap_or_default().as_bytes());
        for (name, value) in leg.headers.iter().flatten() {
            all.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        if let Some(whole) = leg.body.whole() {
            all.extend_from_slice(&whole.bytes);
        }
    }
    all
}

async fn traffic(serving: &Serving) {
    let address = serving.address();
    for request in [
        dressed(chat("m", "hello", false)),
        dressed(chat("m", "hello", true)),
        dressed(chat("m", "refuse this", false)),
        dressed(chat("gone", "hello", false)),
        dressed(chat(MODEL, "hello", false)),
        dressed(
            Request::post(&format!("/v1/chat/completions?key={QUERY}&alt=sse"))
                .json(&json!({"model": "m"})),
        ),
        dressed(Request::get(&format!("/v1/files/{PATH}/content"))),
        Request::post(&format!("/v1beta/models/m:generateContent?key={QUERY}"))
            .json(&json!({"contents": []})),
        chat("m", "no key", false).header("api-key", SHARED),
    ] {
        raw::send(address, &request.header("host", "127.0.0.1")).await;
    }
}

#[tokio::test]
async fn no_planted_secret_is_found_anywhere() {
    let upstream = Upstream::start(provider).await;
    let collector = Upstream::always(vec![Step::Send(document("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream, "full");
    let serving = serve(folder.path(), &collector);
    traffic(&serving).await;
    let health = serving.said_of("operations").to_owned();
    let operations =
        health.strip_prefix("http://").expect("a URL").split('/').next().unwrap_or_default();
    let operations = operations.parse().expect("an address");
    let ask = |path: &str| {
        Request::get(path)
            .header("host", "127.0.0.1")
            .header("authorization", &format!("Bearer {ADMIN}"))
    };
    let database = open(folder.path());
    let count = || -> i64 {
        database.query_row("SELECT count(*) FROM exchanges", [], |row| row.get(0)).unwrap_or(0)
    };
    eventually("the records", || (count() >= 8).then_some(())).await;
    let spans = || collector.got().iter().any(|got| got.target == "/v1/traces");
    eventually("spans", || spans().then_some(())).await;
    let mut paths: Vec<String> =
        ["/metrics", "/api/providers", "/api/usage", "/api/live", "/api/exchanges?limit=100"]
            .map(str::to_owned)
            .to_vec();
    paths.extend(["/api/sessions", "/api/capture", "/api/usage.csv"].map(str::to_owned));
    let ids = ids(&database);
    paths.extend(ids.iter().flat_map(|id| {
        ["", "/request", "/response", "/request?leg=upstream", "/response?leg=upstream"]
            .map(|leg| format!("/api/exchanges/{id}{leg}"))
    }));
    for path in paths {
        let answer = raw::send(operations, &ask(&path)).await;
        none_in(&path, &answer.body);
    }
    shown_and_exported(folder.path(), &ids);
    // While it runs: what stands in the write-ahead log is looked at too.
    for file in files(&folder.path().join("data")) {
        none_in(&file.display().to_string(), &std::fs::read(&file).expect("a file"));
        let mode = std::fs::metadata(&file).expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let mode =
        std::fs::metadata(folder.path().join("data")).expect("its mode").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    none_in("the log", serving.end().as_bytes());
    for got in collector.got() {
        none_in("spans", &got.body);
    }
    let kept = read_back(&database);
    none_in("what is read back", kept.as_bytes());
    for place in [
        "Bearer [redacted:header:",
        "[redacted:password:",
        "[redacted:private_key:",
        "?key=[redacted:",
        "[redacted:pattern:customer:",
        "[redacted:pointer:",
        "[redacted:jwt:",
        "\"choices\"",
    ] {
        assert!(kept.contains(place), "bodies and headers were read back: {place}");
    }
    equal_secrets_look_equal(&database);
}

fn ids(database: &Connection) -> Vec<String> {
    let mut statement = database.prepare("SELECT id FROM exchanges").expect("the view");
    let ids = statement.query_map([], |row| row.get(0)).expect("ids");
    ids.map(|id| id.expect("an id")).collect()
}

/// What the command line gives away of the exchanges, in every view and every format.
fn shown_and_exported(folder: &Path, ids: &[String]) {
    let captures = |arguments: &[&str]| {
        let mut program = pinhole(folder, &["captures"]);
        program.args(arguments).env("UP_KEY", PROVIDER).env("PINHOLE_ADMIN_KEY", ADMIN);
        let output = program.output().expect("the program");
        none_in(&format!("{arguments:?}"), &output.stdout);
        none_in(&format!("what {arguments:?} says"), &output.stderr);
        output
    };
    for format in ["ndjson", "har", "curl", "bundle", "openai-batch", "mooncake", "aiperf"] {
        let output = captures(&["export", "--as", format]);
        assert_eq!(output.status.code(), Some(0), "{format}: {output:?}");
        assert!(!output.stdout.is_empty(), "{format}");
        if format == "bundle" {
            let clear = zstd::decode_all(&output.stdout[..]).expect("zstd");
            assert!(raw::find(&clear, b"[redacted:").is_some());
            none_in("the bundle", &clear);
        }
    }
    let views: [&[&str]; 12] = [
        &["--full"],
        &["--headers"],
        &["--timeline"],
        &["--as", "curl"],
        &["--as", "curl", "--attempt", "1"],
        &["--as", "har"],
        &["--as", "json"],
        &["--as", "markdown"],
        &["--raw", "request"],
        &["--raw", "response"],
        &["--raw", "upstream-request"],
        &["--raw", "upstream-response"],
    ];
    for id in ids {
        for view in views {
            captures(&[&["show", id], view].concat());
        }
        captures(&["diagnose", id]);
        captures(&["diff", id]);
    }
    for arguments in
        [&["ls"][..], &["ls", "--json"], &["stats"], &["diagnose"], &["grep", "--all", "e"]]
    {
        captures(arguments);
    }
    // The output was there to be looked at.
    let whole = captures(&["show", &ids[0], "--as", "json"]);
    assert!(raw::find(&whole.stdout, b"[redacted:").is_some(), "{whole:?}");
}

/// The session and a tag were one secret, and have one placeholder.
fn equal_secrets_look_equal(database: &Connection) {
    let sql = "SELECT session_id, tags FROM exchanges WHERE session_id IS NOT NULL LIMIT 1";
    let (session, tags): (String, String) =
        database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a session");
    assert!(session.starts_with("[redacted:api_key:"), "{session}");
    assert!(tags.contains(&session) && tags.matches("[redacted:").count() == 2, "{tags}");
}

#[tokio::test]
async fn off_leaves_nothing_on_the_disk() {
    let upstream = Upstream::start(provider).await;
    let collector = Upstream::always(vec![Step::Send(document("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream, "off");
    let serving = serve(folder.path(), &collector);
    traffic(&serving).await;
    none_in("the log", serving.end().as_bytes());
    let left = files(&folder.path().join("data"));
    assert!(left.is_empty(), "{left:?}");
    let words =
        Command::new("grep").args(["-rl", "hello"]).arg(folder.path()).output().expect("grep");
    assert!(words.stdout.is_empty(), "{}", String::from_utf8_lossy(&words.stdout));
}
