//! What is kept of traffic: by level, by rule, by what came of it, byte for byte; and nothing where nothing is to be kept.

use std::path::Path;
use std::sync::Arc;

use pinhole::cli::keep;
use pinhole::exchange::room::Room;
use pinhole::observe::rules::RulesInForce;
use pinhole::observe::sink::Sinks;
use pinhole::store::capture::Absent;
use pinhole::store::reader::Reader;
use pinhole::store::stored::{Body, Leg, Stored};

use crate::operations::listen;
use crate::support::eventually;
use crate::support::gateway::{Gateway, Setting, settings};
use crate::support::raw::{self, Request};
use crate::support::upstream::{Step, Upstream, answer, chunk, event_stream, stream_of};

/// A gateway that stores in `folder` as its configuration says.
pub fn capturing(folder: &Path, url: &str, more: &str) -> Gateway {
    let provider = format!(
        "[providers.up]\nbaseurl = \"{url}\"\napikey = \"sk-secret\"\nmodels = [\"m\", \"n\"]\n"
    );
    let toml = format!("{provider}{more}");
    let mut settings = settings("pinhole.toml", &toml, &Setting::default())
        .unwrap_or_else(|findings| panic!("{:?}", findings.iter().collect::<Vec<_>>()));
    folder.clone_into(&mut settings.server.data_dir);
    let room = Room::new(settings.capture.memory_bytes_max);
    let rules = RulesInForce::new(Arc::clone(&settings.capture.rules));
    let sinks = Sinks::default();
    let store = keep::start(&settings, sinks.awaited(), Arc::clone(&rules)).expect("a store");
    let sinks = sinks.within(room);
    let Some(store) = store else { return Gateway::run_into(settings, sinks) };
    let sinks = sinks.keeping(rules).with(Box::new(store.sink));
    let gateway = Gateway::run_into(settings, sinks);
    gateway.shared().queue.has_store(store.counters);
    // The lock is given back with the test's folder.
    std::mem::forget(store.lock);
    gateway
}

pub fn stored(folder: &Path, id: &str) -> Option<Stored> {
    let reader = Reader::open(folder).expect("a store");
    let row = reader.find(id).ok()?;
    Some(reader.exchange(row).expect("readable"))
}

fn chat(model: &str, words: &str, stream: bool) -> Request {
    let body = format!(
        r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{words}"}}]}}"#
    );
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(body)
}

fn level(folder: &Path, id: &str) -> String {
    stored(folder, id).map_or_else(|| "nothing".to_owned(), |stored| stored.row.capture_level)
}

const ANSWER: &str = r#"{"id":"x","choices":[{"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn every_leg_comes_back_byte_for_byte() {
    let events = ["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "data: [DONE]\n\n"];
    let upstream = Upstream::start(move |got| {
        if got.text().contains("\"stream\":true") {
            stream_of(&events)
        } else {
            vec![Step::Send(answer(200, &[("content-type", "application/json")], ANSWER))]
        }
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), "[capture]\nlevel = \"full\"\n");
    let mut calls = Vec::new();
    for (model, words, stream) in
        [("m", "first", false), ("m", "second", true), ("up:n", "third", false)]
    {
        let request = chat(model, words, stream);
        let (response, fact) = gateway.call(&request).await;
        calls.push((request, response, fact));
    }
    gateway.drain().await;
    for (n, (request, response, fact)) in calls.iter().enumerate() {
        let stored = stored(folder.path(), &fact.id).expect("a record");
        let bytes =
            |whole: Option<&pinhole::store::stored::Whole>| whole.expect("a body").bytes.clone();
        assert_eq!(bytes(stored.client_request()), request.body, "{n}");
        assert_eq!(bytes(stored.upstream_request(0)), upstream.got()[n].body, "{n}");
        assert_eq!(bytes(stored.client_response()), response.body, "{n}");
        assert_eq!(
            bytes(stored.upstream_response(0)),
            response.body,
            "nothing was changed on the way"
        );
        assert_eq!(matches!(stored.attempts[0].request.body, Body::Same), n < 2, "one was renamed");
        assert!(matches!(stored.response.body, Body::Same));
        assert!(stored.row.replayable && !stored.row.redacted);
        let line = stored.request.line.as_deref();
        assert_eq!(line, Some("POST /v1/chat/completions HTTP/1.1"));
        let lengths: u32 = stored.attempts[0].frames.iter().map(|(_, length)| length).sum();
        assert_eq!(lengths as usize, response.body.len(), "every byte has a time");
        let header = |leg: &Leg, name: &str| {
            let headers = leg.headers.as_ref().expect("headers");
            headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
        };
        assert_eq!(header(&stored.request, "content-type").as_deref(), Some("application/json"));
        let sent = header(&stored.attempts[0].request, "authorization").expect("a credential");
        assert!(!sent.contains("sk-secret") && sent.contains("redacted"), "{sent}");
        assert_eq!(header(&stored.response, "x-pinhole-id").as_deref(), Some(fact.id.as_str()));
    }
}

#[tokio::test]
async fn the_level_follows_rules_headers_and_what_came_of_it() {
    let upstream = Upstream::start(|got| {
        let status = if got.text().contains("fail") { 500 } else { 200 };
        vec![Step::Send(answer(status, &[("content-type", "application/json")], ANSWER))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[capture]\nlevel = \"meta\"\ntail = [\"error\"]\nheaders_indexed = [\"x-team\"]\n\
                [[capture.rules]]\nmodel = \"n\"\nlevel = \"headers\"\n\
                [[capture.rules]]\npath = \"/v1/embeddings\"\nlevel = \"off\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), more);
    let embeddings = Request::post("/v1/embeddings")
        .header("content-type", "application/json")
        .body(r#"{"model":"m","input":"not to be kept"}"#);
    let mut ids = Vec::new();
    for request in [
        chat("m", "plain", false).header("x-team", "search"),
        chat("n", "by rule", false),
        chat("m", "fail", false),
        chat("m", "fail", false).header("x-pinhole-capture", "meta"),
        chat("m", "plain", false).header("x-pinhole-capture", "full"),
        chat("n", "hidden", false).header("x-pinhole-capture", "off"),
        embeddings,
    ] {
        ids.push(gateway.call(&request).await.1.id);
    }
    gateway.drain().await;
    let levels: Vec<String> = ids.iter().map(|id| level(folder.path(), id)).collect();
    assert_eq!(levels, ["meta", "headers", "full", "meta", "meta", "nothing", "nothing"]);
    let plain = stored(folder.path(), &ids[0]).expect("a record");
    assert_eq!(plain.row.headers, [("x-team".to_owned(), "search".to_owned())]);
    assert!(plain.request.headers.is_none());
    let by_rule = stored(folder.path(), &ids[1]).expect("a record");
    assert!(by_rule.request.headers.is_some());
    assert!(matches!(by_rule.request.body, Body::Absent(Absent::NotKept)));
    let failed = stored(folder.path(), &ids[2]).expect("a record");
    assert_eq!(failed.upstream_response(0).expect("the error").bytes, ANSWER.as_bytes());
    for file in std::fs::read_dir(folder.path()).expect("the folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        for words in ["not to be kept", "hidden"] {
            assert!(raw::find(&bytes, words.as_bytes()).is_none(), "{words}");
        }
    }
}

#[tokio::test]
async fn off_and_zero_retention_leave_nothing_on_disk() {
    let upstream = Upstream::always(vec![Step::Send(answer(200, &[], ANSWER))]).await;
    for (more, has_store) in [
        ("[capture]\nlevel = \"off\"\n", false),
        ("[capture]\nlevel = \"full\"\n[retention]\nrecords = { age = \"0s\" }\n", false),
        ("[capture]\nlevel = \"full\"\n[retention]\nbodies = { age = \"0s\" }\n", true),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut gateway = capturing(folder.path(), &upstream.url(), more);
        let request = chat("m", "sesame", false).header("user-agent", "needle-agent");
        gateway.call(&request).await;
        gateway.drain().await;
        let mut files = 0;
        for file in std::fs::read_dir(folder.path()).expect("the folder") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
            files += usize::from(!bytes.is_empty());
            for words in ["sesame", "needle-agent", "hello"] {
                assert!(raw::find(&bytes, words.as_bytes()).is_none(), "{more}: {words}");
            }
        }
        assert_eq!(files > 0, has_store, "{more}");
    }
}

#[tokio::test]
async fn an_operator_switches_the_level_and_sees_what_runs() {
    let upstream = Upstream::start(|got| {
        if got.text().contains("hold") {
            vec![Step::send(event_stream()), Step::send(chunk("data: {}\n\n")), Step::Hold]
        } else {
            vec![Step::Send(answer(200, &[("content-type", "application/json")], ANSWER))]
        }
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), "");
    let operations = listen(&gateway).await;
    let ask = |method: &str, path: &str, body: &str| {
        let request = Request::new(method, path).header("host", "127.0.0.1").body(body);
        async move { raw::send(operations, &request).await }
    };
    let before = gateway.call(&chat("m", "before", false)).await.1.id;
    let told = ask("PUT", "/api/capture", r#"{"level":"full","for":"10m"}"#).await;
    assert_eq!((told.status, told.json()["level"].as_str()), (200, Some("full")), "{told:?}");
    assert!(told.json()["until_us"].is_u64());
    let during = gateway.call(&chat("m", "during", false)).await.1.id;
    let told = ask("PUT", "/api/capture", r#"{"level":null}"#).await;
    assert_eq!(told.json()["switched"], false);
    let after = gateway.call(&chat("m", "after", false)).await.1.id;
    for (body, words) in [
        ("{\"level\":\"all\"}", "no such level"),
        ("{\"level\":\"full\",\"for\":\"1y\"}", "no duration"),
        ("full", "not what is expected"),
    ] {
        let refused = ask("PUT", "/api/capture", body).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    let mut client = gateway.connect().await;
    client.send(&chat("m", "hold", true).header("x-session-id", "s-9")).await;
    client.read_head().await.expect("a head");
    assert!(client.read_until("data: {}").await.1);
    let live = eventually_live(operations).await;
    let one = &live["exchanges"][0];
    assert_eq!(one["provider"], "up");
    assert_eq!(one["phase"], "answering");
    assert_eq!(one["session_id"], "s-9");
    assert_eq!((one["model"].as_str(), one["frames"].as_u64()), (Some("m"), Some(1)));
    drop(client);
    gateway.ended(4).await;
    gateway.drain().await;
    let levels = [before, during, after].map(|id| level(folder.path(), &id));
    assert_eq!(levels, ["meta", "full", "meta"]);
}

/// What runs, once something does.
async fn eventually_live(operations: std::net::SocketAddr) -> serde_json::Value {
    let request = Request::get("/api/live").header("host", "127.0.0.1");
    for _ in 0..200 {
        let live = raw::send(operations, &request).await.json();
        if live["exchanges"][0]["phase"] == "answering" {
            return live;
        }
        tokio::task::yield_now().await;
    }
    panic!("nothing answers");
}

#[tokio::test]
async fn without_memory_bodies_go_and_records_and_traffic_stay() {
    let words = "w".repeat(200_000);
    let body = format!(
        r#"{{"choices":[{{"message":{{"content":"{words}"}}}}],"usage":{{"prompt_tokens":7,"completion_tokens":9}}}}"#
    );
    let sent = body.clone();
    let upstream = Upstream::start(move |_| {
        vec![Step::Send(answer(200, &[("content-type", "application/json")], &sent))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[capture]\nlevel = \"full\"\nmemory = \"64KiB\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), more);
    let (response, fact) = gateway.call(&chat("m", &words, false)).await;
    assert_eq!((response.status, response.body.len()), (200, body.len()));
    gateway.drain().await;
    let stored = stored(folder.path(), &fact.id).expect("a record");
    assert_eq!((stored.row.input_tokens, stored.row.output_tokens), (Some(7), Some(9)));
    assert!(
        matches!(stored.request.body, Body::Absent(Absent::ShedMemory)),
        "{:?}",
        stored.request
    );
    let answered = &stored.attempts[0].response.body;
    assert!(matches!(answered, Body::Absent(Absent::ShedMemory)), "{answered:?}");
    assert!(!stored.row.replayable);
}

#[tokio::test]
async fn an_error_that_is_wrapped_is_kept_as_the_provider_said_it() {
    let said = r#"{"error":{"message":"no such thing","type":"server_error"}}"#;
    let kind = [("content-type", "application/json")];
    let upstream = Upstream::always(vec![Step::Send(answer(500, &kind, said))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[errors]\nwrap_502 = true\n[capture]\nlevel = \"full\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), more);
    let (response, fact) = gateway.call(&chat("m", "wrap", false)).await;
    assert_eq!(response.status, 502);
    gateway.drain().await;
    let stored = stored(folder.path(), &fact.id).expect("a record");
    assert_eq!(stored.upstream_response(0).expect("the error").bytes, said.as_bytes());
    assert_eq!(stored.client_response().expect("ours").bytes, response.body);
    assert_eq!(stored.attempts[0].error_kind.as_deref(), Some("upstream_server_error"));
}

#[tokio::test]
async fn a_cut_answer_is_kept_as_far_as_it_came() {
    let upstream = Upstream::always(vec![
        Step::send(event_stream()),
        Step::send(chunk("data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n")),
        Step::Reset,
    ])
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), "[capture]\ntail = [\"cut\"]\n");
    let mut client = gateway.connect().await;
    client.send(&chat("m", "cut", true)).await;
    let head = client.read_head().await.expect("a head");
    let id = head.header("x-pinhole-id").expect("an id").to_owned();
    let (got, _) = client.read_body().await;
    eventually("the end", || gateway.exchanges().into_iter().find(|fact| fact.id == id)).await;
    gateway.drain().await;
    let stored = stored(folder.path(), &id).expect("a record");
    assert_eq!(stored.row.outcome, "upstream_reset");
    assert_eq!(stored.client_response().expect("the half").bytes, got);
}
