//! What is kept of the traffic: records that match what happened, reports that match the records, and traffic that goes on
//! whatever the disk does.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pinhole::admin;
use pinhole::base::task;
use pinhole::observe::keep::KeepSink;
use pinhole::observe::sink::Sinks;
use pinhole::store::inbox::{Handle, Limits};
use pinhole::store::writer::Writer;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::command::{Serving, config, pinhole, run, text, write};
use crate::support::eventually;
use crate::support::gateway::{Fact, Gateway, Setting, one, settings};
use crate::support::raw::{self, Request};
use crate::support::upstream::{Step, Upstream, answer, chunk, event_stream, json, stream_of};

/// A gateway that keeps records in `folder`, and its writer's handle.
fn keeping(folder: &Path, url: &str) -> (Gateway, Handle) {
    let mut settings = settings("pinhole.toml", &one(url), &Setting::default()).expect("valid");
    folder.clone_into(&mut settings.server.data_dir);
    let writer = Writer::start(folder, Limits::default()).expect("a store");
    let handle = writer.handle().clone();
    let sinks = Sinks::default().with(Box::new(KeepSink::new(
        writer,
        std::sync::Arc::default(),
        std::sync::Arc::default(),
    )));
    (Gateway::run_into(settings, sinks), handle)
}

fn open(folder: &Path) -> Connection {
    let path = folder.join("pinhole.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store")
}

fn number(database: &Connection, sql: &str) -> i64 {
    database.query_row(sql, [], |row| row.get(0)).expect("a number")
}

fn chat(model: &str) -> Request {
    let body = format!(r#"{{"model":"{model}","stream":true}}"#);
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(body)
}

/// What the record says of an exchange, in the words of the log.
fn recorded(database: &Connection, fact: &Fact) -> String {
    let sql = "SELECT outcome || ' ' || coalesce(status, '-') || ' ' || coalesce(error_source, '-') || ' ' || \
               coalesce(error_kind, '-') || ' ' || coalesce(model_requested, '-') || ' ' || request_bytes || ' ' || \
               response_bytes || ' ' || attempts || ' ' || coalesce(provider, '-') || ' ' || stream \
               FROM exchanges WHERE id = ?";
    database.query_row(sql, [&fact.id], |row| row.get(0)).expect("a record")
}

fn happened(fact: &Fact) -> String {
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (source, kind) = fact.failure.unwrap_or(("-", "-"));
    format!(
        "{} {} {source} {kind} {} {} {} {} {} {}",
        fact.outcome,
        or(fact.status.map(|status| status.to_string())),
        or(fact.model_requested.clone()),
        fact.request_bytes,
        fact.response_bytes,
        fact.attempts.len(),
        or(fact.attempts.last().map(|attempt| attempt.provider.clone())),
        u8::from(fact.stream),
    )
}

#[tokio::test]
async fn records_match_what_happened() {
    let upstream = Upstream::start(|got| {
        let body = got.text();
        if body.contains("refuse") {
            vec![Step::Send(answer(429, &[], r#"{"error":{"message":"slow down"}}"#))]
        } else if body.contains("hold") {
            vec![Step::send(event_stream()), Step::send(chunk("data: {}\n\n")), Step::Hold]
        } else {
            stream_of(&["data: {\"choices\":[]}\n\n", "data: [DONE]\n\n"])
        }
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let (mut gateway, handle) = keeping(folder.path(), &upstream.url());
    let tagged = chat("m").header("x-session-id", "s-1").header("x-pinhole-tag", "team=search");
    gateway.call(&tagged).await;
    gateway.call(&chat("refuse")).await;
    gateway.call(&Request::post("/v1/chat/completions").body("no json")).await;
    let mut leaving = gateway.connect().await;
    leaving.send(&chat("hold")).await;
    leaving.read_head().await.expect("a head");
    assert!(leaving.read_until("data: {}").await.1);
    drop(leaving);
    let facts = gateway.ended(4).await;
    let outcomes: Vec<_> = facts.iter().map(|fact| fact.outcome).collect();
    assert_eq!(outcomes, ["complete", "upstream_error", "rejected", "client_cancelled"]);
    gateway.drain().await;
    let database = open(folder.path());
    assert_eq!(number(&database, "SELECT count(*) FROM exchanges"), 4);
    for fact in &facts {
        assert_eq!(recorded(&database, fact), happened(fact));
    }
    let tagged =
        "SELECT count(*) FROM exchanges WHERE session_id = 's-1' AND tags ->> 'team' = 'search'";
    assert_eq!(number(&database, tagged), 1);
    let counters = handle.counters();
    assert_eq!(counters.stored.load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[tokio::test]
async fn reports_on_the_operations_port_and_the_command_line_agree_with_the_records() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (gateway, handle) = keeping(folder.path(), &upstream.url());
    for n in 0..6 {
        let request = chat("m").header("x-pinhole-tag", &format!("team=t{}", n % 2));
        gateway.call(&request).await;
    }
    assert!(handle.flush(raw::DEADLINE), "the writer does not answer");
    eventually("the records", || {
        (number(&open(folder.path()), "SELECT count(*) FROM exchanges") == 6).then_some(())
    })
    .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let operations = listener.local_addr().expect("its address");
    task::spawn("operations", admin::serve(listener, Arc::clone(gateway.shared())));
    let ask = |target: &str| {
        let request = Request::get(target).header("host", "127.0.0.1");
        async move { raw::send(operations, &request).await }
    };
    let report = ask("/api/usage?by=provider,day&since=2d").await.json();
    assert_eq!(report["groups"][0]["provider"], "up", "{report}");
    assert_eq!(report["total"]["requests"], 6, "{report}");
    let csv = ask("/api/usage.csv?by=tag%3Ateam").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("tag:team,requests,") && lines[1].starts_with("t0,3,"),
        "{lines:?}"
    );
    for (target, words) in [
        ("/api/usage?by=modle", "did you mean `model`?"),
        ("/api/usage?by=session,model", "are not kept together"),
        ("/api/usage?since=long", "2026-11-01T08:00:00Z"),
        ("/api/usage?limit=0", "is no number from 1 to"),
        ("/api/usage.csv?from=1", "use by, since, until, limit"),
    ] {
        let refused = ask(target).await;
        assert_eq!(refused.status, 400, "{target}");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains(words), "{detail}");
    }
    let data_dir = folder.path().to_str().expect("a path");
    let told = |arguments: &[&str]| {
        let all = [&["usage", "--data-dir", data_dir], arguments].concat();
        run(folder.path(), &all)
    };
    let json = told(&["--by", "provider", "--json"]);
    let lines = text(&json.stdout);
    let rows: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!((&rows[0]["provider"], &rows[1]["requests"]), (&Value::from("up"), &Value::from(6)));
    let table = text(&told(&["--by", "tag", "--since", "1h"]).stdout);
    assert!(
        table.contains("team=t1")
            && table.lines().last().is_some_and(|line| line.starts_with("total")),
        "{table}"
    );
    let refused = told(&["--by", "nothing"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    let missing = run(folder.path(), &["usage", "--data-dir", "nowhere"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(text(&missing.stderr).contains("there is no store at"), "{}", text(&missing.stderr));
}

#[tokio::test]
async fn csv_has_all_groups_and_json_says_what_it_leaves_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gateway, handle) = keeping(folder.path(), "http://127.0.0.1:9");
    let names = "start_s, session, requests, errors, cancelled, attempts, input_tokens, output_tokens, cache_read_tokens, \
                 cache_write_tokens, reasoning_tokens, estimated_input_tokens, estimated_output_tokens, cost_nanousd, \
                 estimated_cost_nanousd, unpriced, partial, missing, tool_calls, duration_us";
    let sql = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500) INSERT INTO session_hours \
         ({names}) SELECT unixepoch() / 3600 * 3600, 's-' || n, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM n"
    );
    let database = Connection::open(folder.path().join("pinhole.db")).expect("the store");
    assert_eq!(database.execute(&sql, []).expect("written"), 1_500);
    assert!(handle.flush(raw::DEADLINE), "the writer does not answer");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let operations = listener.local_addr().expect("its address");
    task::spawn("operations", admin::serve(listener, Arc::clone(gateway.shared())));
    let ask = |target: &str| {
        let request = Request::get(target).header("host", "127.0.0.1");
        async move { raw::send(operations, &request).await }
    };
    let csv = ask("/api/usage.csv?by=session&since=1h").await.text();
    assert_eq!(csv.lines().count(), 1 + 1_500);
    let csv = ask("/api/usage.csv?by=session&since=1h&limit=3").await.text();
    assert_eq!(csv.lines().count(), 1 + 3);
    let report = ask("/api/usage?by=session&since=1h").await.json();
    assert_eq!(report["groups"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(report["others"]["groups"], 500, "{}", report["others"]);
}

#[test]
fn reports_need_no_configuration_and_know_the_home_directory() {
    let home = tempfile::tempdir().expect("a folder");
    let away = tempfile::tempdir().expect("a folder");
    let told = |arguments: &[&str]| {
        let mut command = pinhole(home.path(), &[&["usage"], arguments].concat());
        let output = command.current_dir(away.path()).output().expect("the program");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, talk) = told(&[]);
    assert_eq!(code, Some(3), "{talk}");
    let there = place(home.path());
    assert!(talk.contains(&format!("no store at {}", there.display())), "{talk}");
    drop(Writer::start(&there, Limits::default()).expect("a store"));
    for arguments in [
        &[][..],
        &["--data-dir=~/.local/share/pinhole"],
        &["--reprice"],
        &["--reprice", "--data-dir=~/.local/share/pinhole"],
    ] {
        let (code, table, talk) = told(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {talk}");
        assert!(table.contains("total"), "{arguments:?}: {table}");
    }
    let (code, _, talk) = told(&["--limit", "0"]);
    assert_eq!(code, Some(2), "{talk}");
    assert!(talk.contains("--limit"), "{talk}");
    std::fs::write(away.path().join("pinhole.toml"), "nonsense").expect("written");
    assert_eq!(told(&[]).0, Some(2), "a faulty configuration is not passed over");
}

#[test]
fn a_gateway_keeps_its_records_below_the_home_directory_and_deletes_old_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let toml = config("127.0.0.1:0", "http://127.0.0.1:9");
    write(folder.path(), &format!("{toml}[retention.records]\nage = \"1d\"\n"));
    let there = folder.path().join("kept");
    drop(Writer::start(&there, Limits::default()).expect("a store"));
    let database = Connection::open(there.join("pinhole.db")).expect("the store");
    let old = "INSERT INTO exchange_records (id, started_at_us, dialect, operation, outcome, stream, duration_us, \
               overhead_us, request_bytes, response_bytes, attempts, agent, method, path, level, flags, signals) \
               VALUES (zeroblob(16), 0, '', '', '', 0, 0, 0, 0, 0, 0, '', '', '', 1, 0, 0)";
    assert_eq!(database.execute(old, []).expect("written"), 1);
    let command = pinhole(folder.path(), &["serve", "--data-dir=~/kept"]);
    let _serving = Serving::of(command);
    let deadline = pinhole::base::clock::now() + raw::DEADLINE;
    while number(&database, "SELECT count(*) FROM exchange_records") > 0 {
        assert!(pinhole::base::clock::now() < deadline, "the old record stays");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn rows_are_priced_anew_when_told_to_beside_a_running_gateway() {
    let body = r#"{"model":"m","usage":{"prompt_tokens":1000,"completion_tokens":100}}"#;
    let upstream = Upstream::always(vec![Step::Send(json(body))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (gateway, handle) = keeping(folder.path(), &upstream.url());
    for _ in 0..3 {
        let body = r#"{"model":"m","messages":[]}"#;
        let request = Request::post("/v1/chat/completions").body(body);
        gateway.call(&request.header("content-type", "application/json")).await;
    }
    eventually("the records", || {
        let flushed = handle.flush(raw::DEADLINE);
        (flushed && number(&open(folder.path()), "SELECT count(*) FROM exchanges") == 3)
            .then_some(())
    })
    .await;
    let cost = "SELECT coalesce(sum(cost_nanousd), -1) FROM exchanges";
    assert_eq!(number(&open(folder.path()), cost), -1, "nothing has a price");
    let list = r#"{ "version": "own-1", "date": "2026-11-20",
        "bases": { "house": { "models": { "m": { "input": "2", "output": "20" } } } } }"#;
    std::fs::write(folder.path().join("own.json"), list).expect("written");
    let toml = config("127.0.0.1:0", &upstream.url());
    let prices = format!("{toml}cost_basis = \"house\"\n[prices]\nfile = \"own.json\"\n");
    write(folder.path(), &prices);
    let told = |arguments: &[&str]| {
        let data_dir = folder.path().to_str().expect("a path");
        let all = [&["usage", "--reprice", "--data-dir", data_dir], arguments].concat();
        let output =
            pinhole(folder.path(), &all).env("UP_KEY", "sk").output().expect("the program");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, table, talk) = told(&[]);
    assert_eq!(code, Some(0), "{talk}");
    assert!(table.contains("$0.0120") && talk.contains("nothing was written"), "{table}{talk}");
    assert_eq!(number(&open(folder.path()), cost), -1);
    let (_, lines, _) = told(&["--yes", "--json"]);
    let total: Value =
        serde_json::from_str(lines.lines().last().expect("a total")).expect("a line of JSON");
    assert_eq!(
        (&total["gained"], &total["after_nanousd"], &total["written"]),
        (&Value::from(3), &Value::from(12_000_000), &Value::from(true))
    );
    let database = open(folder.path());
    assert_eq!(number(&database, cost), 12_000_000);
    for table in ["usage_hours", "usage_days", "total_hours", "session_days"] {
        let sums = format!("SELECT sum(cost_nanousd) - sum(unpriced) FROM {table}");
        assert_eq!(number(&database, &sums), 12_000_000, "{table}");
    }
    let (_, csv, _) = told(&["--csv"]);
    assert!(csv.contains("up,*,3,0,0,0,0,0.012,0.012"), "{csv}");
    assert_eq!(told(&["--by", "model"]).0, Some(2));
    assert_eq!(run(folder.path(), &["usage", "--yes"]).status.code(), Some(2));
}

#[tokio::test]
async fn without_a_store_the_report_says_how_to_have_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings =
        settings("pinhole.toml", &one("http://127.0.0.1:9"), &Setting::default()).expect("valid");
    settings.server.data_dir = folder.path().join("none");
    let gateway = Gateway::run(settings);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let operations = listener.local_addr().expect("its address");
    task::spawn("operations", admin::serve(listener, Arc::clone(gateway.shared())));
    let request = Request::get("/api/usage").header("host", "127.0.0.1");
    let refused = raw::send(operations, &request).await;
    assert_eq!(refused.status, 404);
    assert!(refused.json()["detail"].to_string().contains("capture.level"), "{refused:?}");
}

/// One call to a running `serve`.
async fn call(serving: &Serving) -> u16 {
    let request = chat("m").header("authorization", "Bearer pk");
    raw::send(serving.address(), &request).await.status
}

fn place(folder: &Path) -> std::path::PathBuf {
    folder.join(".local/share/pinhole")
}

#[tokio::test]
async fn a_killed_gateway_leaves_what_it_had_committed() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let mut serving = Serving::start(folder.path());
    let place = place(folder.path());
    let mut sent = 0;
    let committed = loop {
        assert_eq!(call(&serving).await, 200);
        sent += 1;
        let there = number(&open(&place), "SELECT count(*) FROM exchanges");
        if there >= 5 {
            break there;
        }
    };
    serving.child.kill().expect("a kill");
    serving.child.wait().expect("its end");
    let database = open(&place);
    let check: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(check, "ok");
    let there = number(&database, "SELECT count(*) FROM exchanges");
    assert!((committed..=sent).contains(&there), "{committed} {there} {sent}");
    let summed = "SELECT sum(requests) FROM total_hours";
    assert_eq!(number(&database, summed), there, "roll-ups and rows are of one piece");
    let again = Serving::start(folder.path());
    assert_eq!(call(&again).await, 200, "the lock died with its holder");
}

#[tokio::test]
async fn a_kill_takes_at_most_the_last_second_and_what_was_running_is_told() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let mut serving = Serving::start(folder.path());
    let place = place(folder.path());
    let began = pinhole::base::clock::now();
    let mut ended = Vec::new();
    loop {
        let request = chat("m").header("authorization", "Bearer pk");
        let answer = raw::send(serving.address(), &request).await;
        let id = answer.header("x-pinhole-id").expect("an id").to_owned();
        ended.push((pinhole::base::clock::now(), id));
        if began.elapsed() > Duration::from_millis(1_500) {
            break;
        }
    }
    let killed = pinhole::base::clock::now();
    serving.child.kill().expect("a kill");
    serving.child.wait().expect("its end");
    let database = Connection::open(place.join("pinhole.db")).expect("the store");
    let safe = ended.iter().filter(|(at, _)| killed - *at >= Duration::from_secs(1));
    let mut checked = 0;
    for (_, id) in safe {
        let there = "SELECT count(*) FROM exchanges WHERE id = ?";
        let there: i64 = database.query_row(there, [id], |row| row.get(0)).expect("a number");
        assert_eq!(there, 1, "{id} ended a second before");
        checked += 1;
    }
    assert!(checked > 10, "{checked} of {}", ended.len());
    // As a gateway leaves it that is killed while an exchange runs.
    let head = r#"{"started_at_us":1763625600000000,"dialect":"openai_chat","operation":"chat","method":"POST",
        "path":"/v1/chat/completions","provider":"up","model":"m","agent":"none","stream":true}"#;
    let left = "INSERT INTO in_flight (id, head) VALUES (x'00112233445566778899aabbccddeeff', ?)";
    assert_eq!(database.execute(left, [head]).expect("written"), 1);
    drop(database);
    let again = Serving::start(folder.path());
    let database = open(&place);
    let told = "SELECT outcome || ' ' || error_source || ' ' || error_kind || ' ' || provider || ' ' || model FROM exchanges \
                WHERE id = '00112233-4455-6677-8899-aabbccddeeff'";
    let told: String = database.query_row(told, [], |row| row.get(0)).expect("a record");
    assert_eq!(told, "gateway_error gateway interrupted up m");
    assert_eq!(number(&database, "SELECT count(*) FROM in_flight"), 0);
    assert_eq!(call(&again).await, 200);
}

#[tokio::test]
async fn a_second_gateway_on_the_same_directory_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", "http://127.0.0.1:9"));
    let serving = Serving::start(folder.path());
    let second = pinhole(folder.path(), &["serve"])
        .env("UP_KEY", "sk")
        .env("PINHOLE_API_KEY", "pk")
        .output()
        .expect("the program");
    let talk = text(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{talk}");
    let pid = serving.child.id().to_string();
    assert!(talk.contains(&pid) && talk.contains("server.data_dir (--data-dir)"), "{talk}");
    let off = pinhole(folder.path(), &["serve", "--capture", "off"]);
    assert!(
        Serving::of(off).said_of("capture").contains("--data-dir"),
        "nothing kept, nothing locked"
    );
}

#[tokio::test]
async fn what_runs_when_the_gateway_is_killed_is_told_after_the_next_start() {
    let upstream = Upstream::always(vec![
        Step::send(event_stream()),
        Step::send(chunk("data: {\"choices\":[]}\n\n")),
        Step::Hold,
    ])
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let mut serving = Serving::start(folder.path());
    let place = place(folder.path());
    let mut client = raw::connect(serving.address()).await;
    let kept = chat("m").header("authorization", "Bearer pk").header("x-session-id", "s-cut");
    client.send(&kept).await;
    let id =
        client.read_head().await.expect("a head").header("x-pinhole-id").expect("an id").to_owned();
    let mut hidden = raw::connect(serving.address()).await;
    let silent = chat("m").header("authorization", "Bearer pk").header("x-pinhole-capture", "off");
    hidden.send(&silent.header("x-session-id", "s-off")).await;
    hidden.read_head().await.expect("a head");
    let heads = || number(&open(&place), "SELECT count(*) FROM in_flight");
    eventually("its head on disk", || (heads() == 1).then_some(())).await;
    serving.child.kill().expect("a kill");
    serving.child.wait().expect("its end");
    let again = Serving::start(folder.path());
    let database = open(&place);
    let told = "SELECT outcome || ' ' || error_source || ' ' || error_kind || ' ' || provider || ' ' || session_id || ' ' || stream \
                FROM exchanges WHERE id = ?";
    let told: String = database.query_row(told, [&id], |row| row.get(0)).expect("a record");
    assert_eq!(told, "gateway_error gateway interrupted up s-cut 1");
    assert_eq!(
        number(&database, "SELECT count(*) FROM exchanges"),
        1,
        "what asked for nothing left nothing"
    );
    assert_eq!(number(&database, "SELECT count(*) FROM in_flight"), 0);
    drop(again);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_more_stops_no_traffic() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let place = place(folder.path());
    drop(Writer::start(&place, Limits::default()).expect("a store"));
    // Past 256 KiB the system refuses to write: the index of the log fits, and the log of one transaction.
    let program = pinhole(folder.path(), &[]).get_program().to_owned();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$0\" serve"]).arg(program).arg0("sh");
    limited
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin");
    let mut serving = Serving::of(limited);
    let records = || number(&open(&place), "SELECT count(*) FROM exchanges");
    assert_eq!(call(&serving).await, 200);
    eventually("the first record", || (records() == 1).then_some(())).await;
    assert_eq!(call(&serving).await, 200);
    serving.read_to("records are lost until the store can be written again");
    for _ in 0..20 {
        assert_eq!(call(&serving).await, 200);
    }
    drop(serving);
    assert_eq!(records(), 1, "what was committed stays");
    let again = Serving::start(folder.path());
    assert_eq!(call(&again).await, 200);
    eventually("the next record", || (records() == 2).then_some(())).await;
}

#[test]
fn a_directory_that_cannot_be_written_ends_the_start_and_names_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", "http://127.0.0.1:9"));
    let place = folder.path().join("kept");
    let refused = |place: &Path, words: &str, foreign: bool| {
        let mut serve = pinhole(folder.path(), &["serve", "--data-dir"]);
        serve.arg(place).env("UP_KEY", "sk").env("PINHOLE_API_KEY", "pk");
        if foreign {
            // Nobody.
            serve.uid(65_534);
        }
        let ended = serve.output().expect("the program");
        let talk = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{talk}");
        let place = place.display().to_string();
        for words in [words, &place, "server.data_dir (--data-dir)", "capture.level"] {
            assert!(talk.contains(words), "{words}: {talk}");
        }
    };
    std::fs::create_dir(&place).expect("a folder");
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&place, mode).expect("a mode");
    };
    let is_root = {
        mode(0o500);
        std::fs::write(place.join("probe"), "").is_ok()
    };
    // Read only: for root a place of the kernel's is, for others a mode is enough.
    if is_root {
        refused(Path::new("/sys"), "cannot be written", false);
    } else {
        refused(&place, "cannot be written", false);
    }
    refused(&Path::new("/sys").join("kept"), "cannot be made", false);
    // Another's: of root, or ours for nobody.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("a mode");
    if is_root {
        mode(0o755);
        refused(&place, "cannot be written", true);
    } else {
        refused(Path::new("/usr"), "cannot be written", false);
    }
    mode(0o700);
}

#[tokio::test]
async fn zero_retention_takes_what_an_earlier_start_kept() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    for off in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = config("127.0.0.1:0", &upstream.url());
        write(folder.path(), &format!("{plain}\n[capture]\nlevel = \"full\"\n"));
        let place = place(folder.path());
        let serving = Serving::start(folder.path());
        assert_eq!(call(&serving).await, 200);
        let bodies = || number(&open(&place), "SELECT count(*) FROM bodies");
        eventually("the body", || (bodies() == 1).then_some(())).await;
        eventually("the index", || place.join("search.db").exists().then_some(())).await;
        drop(serving);
        let level = if off { "off" } else { "full" };
        write(
            folder.path(),
            &format!(
                "{plain}\n[capture]\nlevel = \"{level}\"\n[retention]\nbodies = {{ age = \"0s\" }}\n"
            ),
        );
        let again = Serving::start(folder.path());
        eventually("their end", || (bodies() == 0).then_some(())).await;
        assert_eq!(call(&again).await, 200);
        again.end();
        assert_eq!(bodies(), 0);
        assert!(!place.join("search.db").exists(), "no words either");
        let records = number(&open(&place), "SELECT count(*) FROM exchanges");
        assert_eq!(records, if off { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_full_disk_is_told_by_ready_and_ends_with_the_first_batch_that_fits() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (gateway, handle) = keeping(folder.path(), &upstream.url());
    gateway.shared().queue.has_store(Arc::clone(handle.counters()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let operations = listener.local_addr().expect("its address");
    task::spawn("operations", admin::serve(listener, Arc::clone(gateway.shared())));
    let ready = || async move {
        let request = Request::get("/ready").header("host", "127.0.0.1");
        let answer = raw::send(operations, &request).await;
        assert_eq!(answer.status, 200, "it stops no traffic");
        answer.json()["warnings"].to_string()
    };
    assert_eq!(ready().await, "[]");
    // As the writer does; that it does is told by the store's own tests.
    handle.counters().without_bodies.store(true, Ordering::Relaxed);
    assert!(ready().await.contains("the disk is full: records are kept"));
    handle.counters().failing.store(true, Ordering::Relaxed);
    assert!(ready().await.contains("the store cannot be written"));
    gateway.call(&chat("m")).await;
    assert!(handle.flush(raw::DEADLINE), "the writer does not answer");
    eventually("the record", || {
        (number(&open(folder.path()), "SELECT count(*) FROM exchanges") == 1).then_some(())
    })
    .await;
    assert_eq!(ready().await, "[]");
}
