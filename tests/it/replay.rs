//! `pinhole replay`, the program itself over real sockets: what was planted is found, what is equal is never called different,
//! what is sent stays apart from traffic, and whatever goes wrong is counted or told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use pinhole::simulate::script::Script;
use pinhole::simulate::{Handle, Simulator};
use pinhole_replay::bundle;
use pinhole_replay::journal::{self, Journaled};
use pinhole_replay::recording::{Body, Recording, Whole};
use pinhole_replay::report::{Comparison, Report, Target, Verdict};
use serde_json::{Value, json};

use crate::command::{Serving, pinhole, text, write};
use crate::support::eventually;
use crate::support::raw::{self, Request};
use crate::support::recordings::{self, Pace};

/// First tokens long enough that a busy machine adds little to them.
const FAST: &str = "seed = 1\n[default]\nfirst_token = \"200ms\"\ncadence = \"1ms\"\n\
    output_tokens = 6\ntext = \"All is well.\"\n";
/// What is planted: 15 % more to the first token, and one in ten calls with wrong arguments.
const SLOW: &str = "seed = 2\n[default]\nfirst_token = \"230ms\"\ncadence = \"1ms\"\n\
    output_tokens = 6\ntext = \"All is well.\"\ntools = { wrong_arguments = 0.1 }\n";
/// Answers at once.
const QUICK: &str = "[default]\noutput_tokens = 6\n";
const PRICES: &str = r#"{"version": "1", "date": "2026-11-20", "bases": {"made-up": {"models": {
    "fake/a": {"input": "10", "output": "100"}, "fake/b": {"input": "10", "output": "100"}}}}}"#;

fn simulator(script: &str) -> Handle {
    Simulator::local(Script::parse(script).expect("a valid script")).expect("a free port")
}

/// A folder whose configuration has a provider for each of these, with a model of its name.
fn folder(providers: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("prices.json"), PRICES).expect("a price list");
    let mut toml = "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
        [discovery]\nenabled = false\n[capture]\nlevel = \"full\"\n[prices]\nfile = \"prices.json\"\n"
        .to_owned();
    for (id, url) in providers {
        write!(
            toml,
            "[providers.{id}]\ntype = \"openai-compatible\"\ncost_basis = \"made-up\"\nbaseurl = \"{url}\"\n\
             apikey = \"sk\"\nmodels = [\"fake/{id}\"]\ncompatibility = {{ openai_chat = true, \
             openai_responses = true, anthropic_messages = true, gemini_generate_content = true }}\n"
        )
        .expect("writing to a string");
    }
    write(folder.path(), &toml);
    folder
}

/// The same with a bundle of recordings in it.
fn with_bundle(providers: &[(&str, &str)], recordings: &[Recording]) -> tempfile::TempDir {
    let folder = folder(providers);
    recordings::bundle(&folder.path().join("calls.bundle"), recordings);
    folder
}

fn quick(sessions: u32, turns: u32) -> Vec<Recording> {
    recordings::sessions(sessions, turns, Pace { first_token_us: 100_000, gap_us: 1_000 })
}

fn replay(folder: &Path, arguments: &[&str]) -> Output {
    let all: Vec<&str> = ["replay"].iter().chain(arguments).copied().collect();
    pinhole(folder, &all).output().expect("the program")
}

/// Replays the bundle; the report, and what was said.
fn report(folder: &Path, arguments: &[&str], code: i32) -> (Report, String) {
    let all: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    let output = replay(folder, &all);
    let (out, talk) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{talk}");
    let report = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{talk}"));
    (report, talk)
}

/// How it exits, and what it says on standard error.
fn refused(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let output = replay(folder, arguments);
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
    for words in words {
        assert!(talk.contains(words), "{arguments:?}, {words}: {talk}");
    }
}

fn target(report: &Report, number: u16) -> &Target {
    let found = report.targets.iter().find(|target| target.number == Some(number));
    found.unwrap_or_else(|| panic!("no target {number} in {:?}", report.targets))
}

fn comparison<'a>(target: &'a Target, metric: &str) -> &'a Comparison {
    let found = target.comparisons.iter().find(|comparison| comparison.metric == metric);
    found.unwrap_or_else(|| panic!("no {metric} in {:?}", target.comparisons))
}

fn journal(folder: &Path, run: &str) -> Journaled {
    journal::read(&folder.join("data/runs").join(run).with_extension("ndjson")).expect("a journal")
}

fn rows(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = pinhole(folder, arguments).output().expect("the program");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    let lines = text(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

// ---------------------------------------------------------------------------------------------- captured traffic

const SESSIONS: usize = 4;
const TURNS: usize = 2;
const REPEAT: usize = 3;

/// A turn of an agent with a tool, in each dialect: path and body.
fn ask(dialect: usize, turn: usize) -> Request {
    let schema = json!({"type": "object", "required": ["pattern", "path"], "additionalProperties": false,
        "properties": {"pattern": {"type": "string"}, "path": {"type": "string"}}});
    let said = format!("Turn {turn}: where is the lantern lit?");
    let (path, body) = match dialect {
        0 => (
            "/v1/chat/completions",
            json!({"model": "fake/fast", "stream": true, "stream_options": {"include_usage": true},
                "messages": [{"role": "user", "content": said}],
                "tools": [{"type": "function", "function": {"name": "search", "parameters": schema}}]}),
        ),
        1 => (
            "/v1/responses",
            json!({"model": "fake/fast", "stream": true, "input": [{"role": "user", "content": said}],
                "tools": [{"type": "function", "name": "search", "parameters": schema}]}),
        ),
        2 => (
            "/v1/messages",
            json!({"model": "fake/fast", "stream": true, "max_tokens": 64,
                "messages": [{"role": "user", "content": said}],
                "tools": [{"name": "search", "input_schema": schema}]}),
        ),
        _ => (
            "/v1beta/models/fake%2Ffast:streamGenerateContent?alt=sse",
            json!({"contents": [{"role": "user", "parts": [{"text": said}]}],
                "tools": [{"functionDeclarations": [{"name": "search", "parametersJsonSchema": schema}]}]}),
        ),
    };
    Request::post(path).header("authorization", "Bearer pk").json(&body)
}

async fn get(address: SocketAddr, target: &str) -> raw::Response {
    raw::send(address, &Request::get(target).header("host", "127.0.0.1")).await
}

fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The verdicts: what was planted, and nothing where there is nothing.
fn planted(report: &Report, count: usize) {
    let (twin, slower) = (target(report, 1), target(report, 2));
    let ttft = comparison(slower, "ttft");
    assert_eq!(ttft.verdict, Verdict::Slower, "{ttft:?}");
    assert!((1.05..1.25).contains(&ttft.ratio), "{ttft:?}");
    assert_eq!((ttft.n, ttft.resampled_by.as_str()), ((count * REPEAT) as u64, "session"));
    for metric in ["ttft", "e2e"] {
        let found = comparison(twin, metric);
        assert!(matches!(found.verdict, Verdict::Same | Verdict::Undecided), "{found:?}");
    }
    for one in &report.targets {
        assert_eq!(one.errors, 0, "{one:?}");
    }
    let answers = twin.answers.as_ref().expect("answers");
    assert_eq!((answers.exact, answers.tool_calls_f1), (1.0, Some(1.0)), "{answers:?}");
    let answers = slower.answers.as_ref().expect("answers");
    let wrong = 1.0 - answers.tool_calls_f1.expect("calls");
    assert!((0.01..0.3).contains(&wrong), "one in ten was planted: {answers:?}");
    assert!(answers.worst.iter().all(|worst| worst.why.contains("other arguments")));
    assert_eq!(answers.worst.is_empty(), answers.schema_valid == Some(1.0));
}

/// Each exchange of the run is kept whole, and says what it repeats; how many there are.
fn kept(place: &Path, run: &str, before: &[Value]) -> usize {
    let own = format!("run:{run}");
    let kept =
        rows(place, &["captures", "ls", "--json", "--limit", "5000", "--where", own.as_str()]);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &kept {
        assert_eq!((&row["run_id"], &row["capture_level"]), (&json!(run), &json!("full")), "{row}");
        *times.entry(row["replay_of"].as_str().expect("what it repeats")).or_default() += 1;
    }
    let ids: Vec<&str> = before.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(times.len(), before.len());
    assert!(ids.iter().all(|id| times.get(id) == Some(&(3 * REPEAT))), "{times:?}");
    let replays = ["captures", "ls", "--json", "--limit", "5000", "--where", "replay:true"];
    assert_eq!(rows(place, &replays).len(), kept.len());
    kept.len()
}

/// Within a session the order is kept, and a turn waits for the answer before it; how many were sent.
fn in_order(place: &Path, run: &str) -> usize {
    let mut last: BTreeMap<(String, Option<u16>, u16), (u32, u64)> = BTreeMap::new();
    let mut sent = journal(place, run).rows;
    sent.retain(|row| row.target.is_some());
    sent.sort_by_key(|row| row.pair);
    let count = sent.len();
    for row in sent {
        let key = (row.session.clone().expect("a session"), row.target, row.repeat);
        if let Some((pair, ended_us)) = last.insert(key, (row.pair, row.ended_us)) {
            assert!(row.pair > pair && row.sent_us >= ended_us, "{row:?} before {ended_us}");
        }
    }
    assert_eq!(last.len(), 4 * SESSIONS * 3 * REPEAT);
    count
}

#[tokio::test]
async fn what_was_planted_is_found_in_every_dialect_beside_a_running_gateway() {
    let (fast, slow) = (simulator(FAST), simulator(SLOW));
    let folder = folder(&[("fast", &fast.url()), ("slow", &slow.url())]);
    let place = folder.path();
    let serving = Serving::of(pinhole(place, &["serve"]));
    let operations = serving.said_of("operations").trim_start_matches("http://");
    let operations: SocketAddr =
        operations.split('/').next().unwrap_or_default().parse().expect("an address");
    for turn in 0..TURNS {
        for dialect in 0..4 {
            for session in 0..SESSIONS {
                let name = format!("s{dialect}{session}");
                let request = ask(dialect, turn).header("x-session-id", &name);
                let answer = raw::send(serving.address(), &request).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
    }
    let count = 4 * SESSIONS * TURNS;
    let listed = || rows(place, &["captures", "ls", "--json", "--limit", "1000"]);
    let before =
        eventually("the store has them", || Some(listed()).filter(|all| all.len() == count)).await;
    let asked = [
        "--from",
        "model:fake/fast",
        "--to",
        "fake/fast",
        "--to",
        "fake/fast",
        "--to",
        "fake/slow",
        "--concurrency",
        "12",
        "--repeat",
        "3",
        "--margin",
        "0.1",
    ];
    let (report, talk) = report(place, &asked, 0);
    let run = report.run_id.as_str();
    assert!(talk.contains(&format!("run {run}: {count} recordings")), "{talk}");
    assert_eq!((report.baseline.as_str(), report.interleaved), ("fake/fast", true));
    assert_eq!((report.recordings, report.sessions), (count as u64, 4 * SESSIONS as u64));

    planted(&report, count);
    let kept = kept(place, run, &before);
    assert_eq!(kept, 3 * REPEAT * count);
    assert_eq!(listed(), before, "replays stand in no list that does not ask for them");
    let usage = rows(place, &["usage", "--json", "--by", "model"]);
    assert_eq!(usage.last().expect("a total")["requests"], json!(count), "{usage:?}");
    let told = get(operations, "/api/usage?by=model").await.json();
    assert_eq!(told["total"]["requests"], json!(count), "{told}");
    let metrics = get(operations, "/metrics").await.text();
    assert!((sum(&metrics, "pinhole_requests_total{") - count as f64).abs() < 0.5, "{metrics}");
    assert_eq!(in_order(place, run), kept);

    // What finds nothing, or only replays that nobody asked for, sends nothing.
    for from in ["session:nobody", "model:fake/slow"] {
        let asked = ["--from", from, "--to", "fake/slow"];
        refused(place, &asked, 2, &["finds no exchange", "captures ls"]);
    }

    // The gateway that ran beside it goes on, and keeps what comes.
    assert_eq!(raw::send(serving.address(), &ask(0, 9)).await.status, 200);
    eventually("the next exchange", || Some(listed()).filter(|all| all.len() == count + 1)).await;
    drop(serving);
}

// ---------------------------------------------------------------------------------------------- bundles

#[test]
fn with_one_target_the_captured_answers_are_the_baseline_in_every_form_of_report() {
    let fast = simulator("[default]\nfirst_token = \"200ms\"\noutput_tokens = 6\n");
    let folder = with_bundle(&[("a", &fast.url())], &quick(8, 1));
    let place = folder.path();
    let files = ["r.html", "r.md", "r.json", "r.csv", "r.xml", "r.txt"];
    let mut arguments = vec!["--from", "calls.bundle", "--to", "fake/a", "--concurrency", "8"];
    for file in &files {
        arguments.extend(["--report", *file]);
    }
    let gates = ["--fail-if", "ttft.p50 > 1.2x", "--fail-if", "errors > 1%"];
    arguments.extend(gates);
    let (told, talk) = report(place, &arguments, 1);
    assert_eq!((told.baseline.as_str(), told.interleaved), ("captured", false));
    assert_eq!(comparison(target(&told, 0), "ttft").verdict, Verdict::Slower);
    assert!(talk.contains("fail: ttft.p50 > 1.2x") && talk.contains("pass: errors > 1%"), "{talk}");
    let interleaved = told.notes.iter().filter(|note| note.contains("not interleaved"));
    assert_eq!(interleaved.count(), 1, "said once: {:?}", told.notes);
    let read = |file: &str| std::fs::read_to_string(place.join(file)).expect("a report");
    let kept: Report = serde_json::from_str(&read("r.json")).expect("the report as JSON");
    assert_eq!(kept, told);
    let page = read("r.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"), "no page");
    assert!(!page.contains("<script src") && !page.contains("href=\"http"), "it loads something");
    for (file, words) in [
        ("r.md", "| ttft"),
        ("r.csv", "pair,"),
        ("r.xml", "<testcase"),
        ("r.txt", "compared with captured"),
    ] {
        assert!(read(file).contains(words), "{words} in {file}: {}", read(file));
    }
    for form in ["r.md", "r.txt"] {
        assert_eq!(read(form).matches("not interleaved").count(), 1, "{}", read(form));
    }
    // 8 rows and the 8 captured ones, under a line of names.
    assert_eq!(read("r.csv").lines().count(), 17);
    refused(
        place,
        &["--from", "calls.bundle", "--to", "fake/a", "--report", "r.pdf"],
        2,
        &["r.pdf", ".html"],
    );
}

#[test]
fn a_dry_run_sends_nothing_and_a_limit_of_cost_stops_and_can_be_raised() {
    let quick_one = simulator(QUICK);
    let folder = with_bundle(&[("a", &quick_one.url())], &quick(6, 2));
    let place = folder.path();
    let dry = replay(place, &["--from", "calls.bundle", "--to", "fake/a", "--dry-run"]);
    let (out, talk) = (text(&dry.stdout), text(&dry.stderr));
    assert_eq!(dry.status.code(), Some(0), "{talk}");
    for words in ["12 recordings", "nothing was sent", "12 requests", "about $", "fake/a at a"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert_eq!(quick_one.requests().len(), 0);
    assert!(!place.join("data/runs").exists());

    let base = [
        "--from",
        "calls.bundle",
        "--to",
        "fake/a",
        "--pace",
        "one-by-one",
        "--length",
        "capped",
        "--max-cost",
    ];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let (part, talk) = report(place, &with(&["$0.02"]), 1);
    assert!(talk.contains("--max-cost ended the run"), "{talk}");
    assert_eq!(part.ended, "max_cost");
    let sent = quick_one.requests().len();
    assert!((1..12).contains(&sent), "{sent} of 12");
    assert_eq!(target(&part, 0).n, sent as u64);
    assert!(target(&part, 0).cost_usd.is_some_and(|cost| cost > 0.0 && cost <= 0.02), "{part:?}");

    let run: &'static str = Box::leak(part.run_id.clone().into_boxed_str());
    let (whole, _) = report(place, &with(&["$5", "--resume", run]), 0);
    assert_eq!((whole.run_id.as_str(), whole.ended.as_str()), (run, "whole"));
    assert_eq!((target(&whole, 0).n, target(&whole, 0).errors), (12, 0));
    assert_eq!(quick_one.requests().len(), 12, "nothing was sent twice");
    let unknown = "019ab000-0000-7000-8000-00000000ffff";
    refused(place, &with(&["$5", "--resume", unknown]), 2, &["there is no run"]);
    refused(place, &with(&["$5", "--resume", "yesterday"]), 2, &["is no id of a run"]);
    refused(
        place,
        &[&with(&["$5", "--resume", run])[..], &["--repeat", "2"]].concat(),
        3,
        &["of another run"],
    );
    let dear = ["--from", "calls.bundle", "--to", "fake/a", "--repeat", "60"];
    refused(place, &dear, 2, &["over $1", "--yes"]);
}

#[test]
fn an_interrupted_run_leaves_a_report_and_is_taken_up_again() {
    let slow = simulator("[default]\nlatency = \"150ms\"\noutput_tokens = 2\n");
    let folder = with_bundle(&[("a", &slow.url()), ("b", &slow.url())], &quick(10, 1));
    let place = folder.path();
    let arguments = [
        "replay",
        "--json",
        "--from",
        "calls.bundle",
        "--to",
        "fake/a",
        "--to",
        "fake/b",
        "--pace",
        "one-by-one",
    ];
    let mut child = pinhole(place, &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let waited =
        runtime.expect("a runtime").block_on(slow.wait(raw::DEADLINE, |seen| seen.len() >= 4));
    assert!(waited, "it sends");
    let signal = ["-INT".to_owned(), child.id().to_string()];
    assert!(std::process::Command::new("kill").args(signal).status().expect("kill").success());
    let (mut out, mut talk) = (String::new(), String::new());
    child.stdout.take().expect("its output").read_to_string(&mut out).expect("text");
    child.stderr.take().expect("its talk").read_to_string(&mut talk).expect("text");
    assert_eq!(child.wait().expect("its end").code(), Some(1), "{talk}");
    let part: Report = serde_json::from_str(&out).expect("a report");
    assert_eq!(part.ended, "interrupted");
    let sent = slow.requests().len();
    assert!((4..20).contains(&sent), "{sent}");
    assert!(part.notes.iter().any(|note| note.contains("interrupted")), "{:?}", part.notes);
    assert!(talk.contains(&format!("--resume {}", part.run_id)), "{talk}");
    let kept =
        std::fs::read_to_string(place.join("data/runs").join(format!("{}.json", part.run_id)));
    assert_eq!(serde_json::from_str::<Report>(&kept.expect("kept")).expect("JSON"), part);

    let again: Vec<&str> =
        arguments[2..].iter().copied().chain(["--resume", part.run_id.as_str()]).collect();
    let (whole, _) = report(place, &again, 0);
    assert_eq!(whole.ended, "whole");
    for number in [0, 1] {
        assert_eq!((target(&whole, number).n, target(&whole, number).errors), (10, 0));
    }
    assert_eq!(comparison(target(&whole, 1), "e2e").n, 10);
}

// ---------------------------------------------------------------------------------------------- what goes wrong

#[test]
fn what_cannot_be_sent_is_told_before_anything_is() {
    let one = simulator(QUICK);
    let folder = with_bundle(&[("a", &one.url())], &quick(2, 1));
    let place = folder.path();
    let narrow = format!(
        "{1}[providers.narrow]\nbaseurl = \"{0}\"\napikey = \"sk\"\nmodels = [\"narrow-1\"]\n\
         compatibility = {{ openai_chat = true }}\n\
         [providers.keyless]\ntype = \"openai-compatible\"\nbaseurl = \"{0}\"\napikey = \"env:NO_SUCH_KEY\"\n\
         models = [\"keyless-1\"]\n\
         compatibility = {{ openai_chat = true, openai_responses = true, anthropic_messages = true, \
         gemini_generate_content = true }}\n",
        one.url(),
        std::fs::read_to_string(place.join("pinhole.toml")).expect("the configuration"),
    );
    write(place, &narrow);
    std::fs::create_dir_all(place.join("data")).expect("a folder");
    let whole = std::fs::read(place.join("calls.bundle")).expect("the bundle");
    std::fs::write(place.join("cut.bundle"), &whole[..40]).expect("a file");
    std::fs::write(place.join("noise.bundle"), "this is none").expect("a file");
    std::fs::write(place.join("future.bundle"), of_the_future()).expect("a file");
    refused(place, &["--from", "session:x", "--to", "fake/a"], 3, &["there is no store"]);
    for (arguments, words) in [
        (&["--to", "fake/a"][..], &["from"][..]),
        (&["--from", "calls.bundle"], &["to"]),
        (&["--from", "modle:x", "--to", "fake/a"], &["did you mean", "model"]),
        (&["--from", "calls.bundle", "--to", "fake/b"], &["fake/b", "fake/a"]),
        (&["--from", "calls.bundle", "--to", "narrow-1"], &["narrow-1"]),
        (&["--from", "calls.bundle", "--to", "narrow-1", "--max-cost", "$1"], &["narrow-1"]),
        (&["--from", "calls.bundle", "--to", "keyless-1"], &["has no key", "export NO_SUCH_KEY"]),
        (&["--from", "missing.bundle", "--to", "fake/a"], &["there is no file `missing.bundle`"]),
        (&["--from", "data", "--to", "fake/a"], &["`data` is a folder"]),
        (&["--from", "noise.bundle", "--to", "fake/a"], &["noise.bundle"]),
        (&["--from", "future.bundle", "--to", "fake/a"], &["version 99", "use a newer one"]),
        (&["--from", "cut.bundle", "--to", "fake/a"], &["cut.bundle"]),
        (&["--from", "calls.bundle", "--to", "fake/a", "--pace", "brisk"], &["brisk"]),
        (
            &["--from", "calls.bundle", "--to", "fake/a", "--report", "no/such/r.html"],
            &["no folder", "no/such"],
        ),
        (&["--from", "calls.bundle", "--to", "fake/a", "--fail-if", "ttft >"], &["--fail-if"]),
    ] {
        refused(place, arguments, 2, words);
    }
    assert_eq!(one.requests().len(), 0, "nothing was sent");
}

/// A bundle as a later program would write it.
fn of_the_future() -> Vec<u8> {
    let head = json!({"format": bundle::FORMAT, "version": 99, "created_at_us": 0});
    zstd_of(format!("{head}\n").as_bytes())
}

/// A frame of one raw block, as the format has it: magic, a descriptor with one byte of size, size, block head, bytes.
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    let size = u8::try_from(bytes.len()).expect("a short text");
    let head = (u32::from(size) << 3) | 1;
    let head = head.to_le_bytes();
    [&bundle::MAGIC[..], &[0x20, size], &head[..3], bytes].concat()
}

#[test]
fn redacted_and_shed_captures_are_left_out_and_counted() {
    let one = simulator(QUICK);
    let mut recordings = quick(4, 1);
    let whole = |recording: &Recording| match &recording.request.body {
        Body::Whole(whole) => whole.clone(),
        Body::Absent(_) | Body::Same => panic!("a body was made"),
    };
    let redacted = Whole { redacted: true, ..whole(&recordings[0]) };
    recordings[0].request.body = Body::Whole(redacted);
    let cut = Whole { cut_bytes: 7, ..whole(&recordings[1]) };
    recordings[1].request.body = Body::Whole(cut);
    recordings[2].request.body = Body::Absent("shed_memory".to_owned());
    let folder = with_bundle(&[("a", &one.url())], &recordings);
    let (told, _) = report(folder.path(), &["--from", "calls.bundle", "--to", "fake/a"], 0);
    let left_out: Vec<(&str, u64)> =
        told.left_out.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!((told.recordings, left_out.len()), (1, 3), "{left_out:?}");
    assert!(left_out.iter().all(|(_, count)| *count == 1), "{left_out:?}");
    for words in ["redacted", "let go, cut", "no request body"] {
        assert!(left_out.iter().any(|(why, _)| why.contains(words)), "{words}: {left_out:?}");
        assert!(told.notes.iter().any(|note| note.contains(words)), "{:?}", told.notes);
    }
    assert_eq!(one.requests().len(), 1);
}

#[test]
fn a_target_that_is_down_or_talks_nonsense_is_counted_and_the_run_survives() {
    let good = simulator(QUICK);
    let page = simulator("[default.error]\nstatus = 200\nbody = \"<html>welcome</html>\"\n");
    let hollow = simulator("[default.error]\nstatus = 200\nbody = \"{}\"\n");
    let broken = simulator("[default]\noutput_tokens = 6\n[default.fault]\nmalformed_after = 1\n");
    let cut = simulator("[default]\noutput_tokens = 6\n[default.fault]\ncut_after = 1\n");
    // Bound and not listening: refused, and nobody else can have the port.
    let closed = tokio::net::TcpSocket::new_v4().expect("a socket");
    closed.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let nowhere = format!("http://{}", closed.local_addr().expect("its address"));
    let folder = with_bundle(
        &[
            ("a", &good.url()),
            ("down", &nowhere),
            ("page", &page.url()),
            ("broken", &broken.url()),
            ("cut", &cut.url()),
            ("hollow", &hollow.url()),
        ],
        &quick(4, 1),
    );
    let arguments = [
        "--from",
        "calls.bundle",
        "--to",
        "fake/a",
        "--to",
        "fake/down",
        "--to",
        "fake/page",
        "--to",
        "fake/broken",
        "--to",
        "fake/cut",
        "--to",
        "fake/hollow",
        "--concurrency",
        "4",
    ];
    let (told, _) = report(folder.path(), &arguments, 0);
    assert_eq!((told.ended.as_str(), target(&told, 0).errors), ("whole", 0));
    for (number, kind) in
        [(1, "upstream_unreachable"), (2, "invalid_answer"), (4, "loopback_cut"), (5, "no_answer")]
    {
        let bad = target(&told, number);
        assert_eq!((bad.n, bad.errors), (4, 4), "{}: {:?}", bad.target, bad.errors_by_kind);
        assert_eq!(bad.errors_by_kind, BTreeMap::from([(kind.to_owned(), 4)]), "{}", bad.target);
        let answers = bad.answers.as_ref().expect("pairs");
        assert_eq!(answers.only_baseline_good, 4, "{answers:?}");
    }
    assert_eq!(target(&told, 3).n, 4);
    assert_eq!(journal(folder.path(), &told.run_id).rows.len(), 4 * 7, "six targets, one captured");
}

#[test]
fn a_target_that_dies_in_the_middle_is_counted_and_the_run_survives() {
    let (good, mortal) = (simulator(QUICK), simulator("[default]\nlatency = \"40ms\"\n"));
    let folder = with_bundle(&[("a", &good.url()), ("b", &mortal.url())], &quick(20, 1));
    let arguments = [
        "replay",
        "--json",
        "--from",
        "calls.bundle",
        "--to",
        "fake/a",
        "--to",
        "fake/b",
        "--pace",
        "one-by-one",
    ];
    let child = pinhole(folder.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let waited =
        runtime.expect("a runtime").block_on(mortal.wait(raw::DEADLINE, |seen| seen.len() >= 3));
    assert!(waited, "it sends");
    mortal.stop();
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told: Report = serde_json::from_slice(&output.stdout).expect("a report");
    let (alive, dead) = (target(&told, 0), target(&told, 1));
    assert_eq!((told.ended.as_str(), alive.n, alive.errors, dead.n), ("whole", 20, 0, 20));
    assert!((1..=18).contains(&dead.errors), "{:?}", dead.errors_by_kind);
    assert!(
        dead.errors_by_kind.keys().all(|kind| kind.starts_with("upstream_") || kind == "truncated"),
        "{dead:?}"
    );
}

// ---------------------------------------------------------------------------------------------- suites

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/suites")
}

/// The recordings that the suites are shipped with; `UPDATE_GOLDEN=1` writes them.
#[test]
fn the_recordings_of_the_suites_are_these() {
    let pace = Pace { first_token_us: 150_000, gap_us: 4_000 };
    for (name, sessions, turns) in
        [("compare-models", 8, 2), ("regression-gate", 20, 1), ("load-sweep", 20, 1)]
    {
        let folder = suites().join("recordings");
        let path = folder.join(format!("{name}.bundle"));
        let made = recordings::sessions(sessions, turns, pace);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder");
            recordings::bundle(&path, &made);
        }
        let file = std::fs::File::open(&path).expect("it is checked in");
        assert!(file.metadata().expect("its size").len() < 16_384, "{name} is small");
        let mut reader = bundle::Reader::open(std::io::BufReader::new(file)).expect("a bundle");
        let mut read = Vec::new();
        while let Some(line) = reader.next_line() {
            match line {
                bundle::Line::Recording(mut recording) => {
                    recording.order = 0;
                    read.push(*recording);
                }
                bundle::Line::Closed(closing) => {
                    assert!(matches!(closing, bundle::Closing::Whole(_)), "{closing:?}");
                    break;
                }
                bundle::Line::Damaged { line, reason } => panic!("{name}, line {line}: {reason}"),
            }
        }
        assert_eq!(read, made, "{name} is another; UPDATE_GOLDEN=1 writes it");
    }
}

#[test]
fn the_suites_run_and_the_gate_closes_on_a_worse_model() {
    let quick = simulator("[default]\nfirst_token = \"20ms\"\noutput_tokens = 12\n");
    let slow = simulator("[default]\nfirst_token = \"60ms\"\noutput_tokens = 12\n");
    let wrong = simulator("[default]\ntools = { wrong_arguments = 1.0 }\n");
    let suite = |name: &str| suites().join(format!("{name}.toml")).display().to_string();
    let one = folder(&[("fast", &quick.url()), ("slow", &slow.url()), ("candidate", &quick.url())]);
    let place = one.path();
    priced(place);
    let (compared, _) = report(place, &["--plan", &suite("compare-models"), "--yes"], 0);
    assert_eq!((compared.baseline.as_str(), compared.recordings), ("fake/fast", 16));
    let slower = target(&compared, 1);
    assert_eq!((slower.n, slower.errors), (48, 0));
    assert_eq!(comparison(slower, "ttft").verdict, Verdict::Slower, "{slower:?}");

    let gate = suite("regression-gate");
    let (passed, talk) = report(place, &["--plan", &gate, "--yes"], 0);
    assert_eq!((passed.baseline.as_str(), target(&passed, 0).n), ("captured", 40));
    assert_eq!(talk.matches("pass: ").count(), 3, "{talk}");
    let other = folder(&[("candidate", &wrong.url())]);
    priced(other.path());
    let (_, talk) = report(other.path(), &["--plan", &gate, "--yes"], 1);
    assert!(talk.contains("fail: answers.tool_calls_f1 < 0.95"), "{talk}");

    // The sweep as it is shipped, but for fewer and higher rates: a test has no minutes.
    let plan = std::fs::read_to_string(suite("load-sweep")).expect("the plan");
    let (head, _) = plan.split_once("[sweep]").expect("a sweep");
    let bundle = suites().join("recordings/load-sweep.bundle").display().to_string();
    let head = head.replace("recordings/load-sweep.bundle", &bundle);
    let sweep = "[sweep]\nrates = [\"50/s\", \"100/s\"]\nrequests = 40\n\
        stop = { errors = 0.05, lag_ms = 5000, ttft_growth = 1000.0 }\n";
    std::fs::write(place.join("sweep.toml"), format!("{head}{sweep}")).expect("a plan");
    let (swept, _) = report(place, &["--plan", "sweep.toml", "--yes"], 0);
    assert_eq!((target(&swept, 0).n, target(&swept, 0).errors), (80, 0), "{swept:?}");
    let rates: Vec<f64> = swept.steps.iter().map(|step| step.rate_per_s).collect();
    assert_eq!(rates, [50.0, 100.0]);
}

/// Prices for the names that the suites use.
fn priced(place: &Path) {
    let each = |name: &str| format!("\"fake/{name}\": {{\"input\": \"1\", \"output\": \"2\"}}");
    let models = ["fast", "slow", "candidate"].map(each).join(", ");
    let list = format!(
        "{{\"version\": \"1\", \"date\": \"2026-11-20\", \"bases\": {{\"made-up\": {{\"models\": {{{models}}}}}}}}}"
    );
    std::fs::write(place.join("prices.json"), list).expect("a price list");
}

// ---------------------------------------------------------------------------------------------- requests without answers

fn lines(place: &Path, name: &str, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(place.join(name), lines.join("\n")).expect("a file");
}

/// What the simulator was sent, in order.
fn bodies(seen: &Handle) -> Vec<Value> {
    let all = seen.requests();
    all.iter().map(|one| serde_json::from_slice(&one.body).expect("JSON")).collect()
}

#[test]
fn a_batch_is_sent_at_a_pace_of_its_own_and_compared_between_targets() {
    let (one, other) = (simulator(QUICK), simulator(QUICK));
    let folder = folder(&[("a", &one.url()), ("b", &other.url())]);
    let place = folder.path();
    let asked = |n: u32| {
        json!({"custom_id": format!("task-{n}"), "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "gpt-5", "messages": [{"role": "user", "content": format!("say {n}")}]}})
    };
    let mut all: Vec<Value> = (0..3).map(asked).collect();
    all.push(json!({"custom_id": "bad", "method": "POST", "url": "/v1/files", "body": {}}));
    lines(place, "tasks.jsonl", &all);
    let base = ["--from", "tasks.jsonl", "--to", "fake/a"];
    refused(place, &base, 2, &["do not say when they were sent", "--pace one-by-one"]);
    let paced = [&base[..], &["--pace", "one-by-one"]].concat();
    let (alone, talk) = report(place, &paced, 0);
    assert!(talk.contains("tasks.jsonl: line 4: its url, `/v1/files`"), "{talk}");
    assert!(talk.contains("requests without answers"), "{talk}");
    assert_eq!((alone.baseline.as_str(), alone.recordings), ("none", 3));
    assert_eq!(alone.left_out, BTreeMap::from([("damaged".to_owned(), 1)]));
    assert!(alone.notes.iter().any(|note| note.contains("name a second target")), "{alone:?}");
    assert_eq!((alone.targets.len(), target(&alone, 0).n, target(&alone, 0).errors), (1, 3, 0));
    assert!(target(&alone, 0).comparisons.is_empty() && target(&alone, 0).answers.is_none());
    assert_eq!(bodies(&one)[0]["messages"][0]["content"], "say 0");

    let (both, _) = report(place, &[&paced[..], &["--to", "fake/b"]].concat(), 0);
    assert_eq!((both.baseline.as_str(), both.interleaved), ("fake/a", true));
    assert_eq!(comparison(target(&both, 1), "e2e").n, 3);
    let ids: Vec<String> =
        journal(place, &both.run_id).rows.into_iter().map(|row| row.of).collect();
    assert!(ids.iter().all(|id| id.starts_with("task-")), "{ids:?}");
    let own = format!("run:{}", both.run_id);
    assert_eq!(rows(place, &["captures", "ls", "--json", "--where", &own]).len(), 6);
    assert_eq!(rows(place, &["captures", "ls", "--json"]).len(), 0, "kept apart from traffic");
}

#[test]
fn raw_payloads_are_sent_as_they_are_to_the_endpoint_they_are_for() {
    let one = simulator(QUICK);
    let folder = folder(&[("a", &one.url())]);
    let place = folder.path();
    let payloads = [
        json!({"model": "x", "messages": [{"role": "user", "content": "chat"}], "max_tokens": 9}),
        json!({"model": "x", "system": "s", "messages": [{"role": "user", "content": "m"}], "max_tokens": 9}),
        json!({"model": "x", "input": "respond"}),
        json!({"contents": [{"role": "user", "parts": [{"text": "generate"}]}]}),
    ];
    lines(place, "payloads.jsonl", &payloads);
    let arguments = ["--from", "payloads.jsonl", "--to", "fake/a", "--pace", "one-by-one"];
    let (told, _) = report(place, &arguments, 0);
    assert_eq!((target(&told, 0).n, target(&told, 0).errors), (4, 0), "{told:?}");
    let paths: Vec<String> = one.requests().iter().map(|seen| seen.uri.to_string()).collect();
    for (path, end) in
        paths.iter().zip(["/chat/completions", "/messages", "/responses", ":generateContent"])
    {
        assert!(path.ends_with(end), "{path} {end}");
    }
    let mut first = payloads[0].clone();
    first["model"] = json!("fake/a");
    assert_eq!(bodies(&one)[0], first);
    for command in
        [&["captures", "import", "payloads.jsonl"][..], &["playback", "--from", "payloads.jsonl"]]
    {
        let output = pinhole(place, command).output().expect("the program");
        let talk = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{talk}");
        assert!(talk.contains("requests without answers (raw-payload)"), "{talk}");
        assert!(talk.contains("pinhole replay --from payloads.jsonl"), "{talk}");
    }
}

#[test]
fn a_trace_of_lengths_keeps_its_times_its_lengths_and_what_its_prompts_share() {
    let one = simulator(QUICK);
    let folder = folder(&[("a", &one.url())]);
    let place = folder.path();
    let traced = |at: u32, input: u32, ids: &[u32]| json!({"timestamp": at, "input_length": input, "output_length": 6, "hash_ids": ids});
    let all =
        [traced(0, 1_000, &[0, 1]), traced(200, 1_200, &[0, 1, 2]), traced(400, 700, &[0, 3])];
    lines(place, "trace.jsonl", &all);
    let arguments = ["--from", "trace.jsonl", "--to", "fake/a"];
    let dry = replay(place, &[&arguments[..], &["--dry-run"]].concat());
    let out = text(&dry.stdout);
    assert!(out.contains("3 requests, 2,900 tokens in, 18 out"), "{out}{}", text(&dry.stderr));
    let (told, _) = report(place, &arguments, 0);
    assert_eq!((target(&told, 0).n, target(&told, 0).errors), (3, 0), "{told:?}");
    let mut sent = journal(place, &told.run_id).rows;
    sent.sort_by_key(|row| row.pair);
    let due: Vec<u64> = sent.iter().map(|row| row.intended_us - sent[0].intended_us).collect();
    assert_eq!(due, [0, 200_000, 400_000]);
    assert_eq!(sent[1].of, "line-2");
    let words: Vec<Vec<String>> = bodies(&one)
        .iter()
        .map(|body| {
            assert_eq!(
                (&body["max_completion_tokens"], &body["stream"]),
                (&json!(6), &json!(true))
            );
            let said = body["messages"][0]["content"].as_str().expect("words");
            said.split_whitespace().map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(words.iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1_200, 700]);
    assert_eq!(words[0], words[1][..1_000]);
    assert_eq!(words[0][..512], words[2][..512]);
    assert_ne!(words[0][512..600], words[2][512..600]);
}
