//! The client's leg of a record is what left the gateway: status, headers, bytes and times, also where the stream was opened
//! before its answer came; and what is not to be kept leaves nothing, whichever way the exchange went.

use std::path::Path;

use pinhole::exchange::leg::Keep;
use pinhole::store::stored::{Leg, Stored};
use serde_json::json;

use crate::capture::{capturing, stored};
use crate::operations::listen;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::raw::{self, Head, Request};
use crate::support::upstream::{
    Step, Upstream, answer, chunk, chunked, event_stream, json as document, last_chunk, stream_of,
};

const FULL: &str = "[capture]\nlevel = \"full\"\n";
const EARLY: &str =
    "[capture]\nlevel = \"full\"\n[streams]\nkeep_alive = \"20ms\"\n[server]\ninstance = \"i-1\"\n";

fn chat(model: &str, stream: bool) -> Request {
    Request::post("/v1/chat/completions")
        .header("x-request-id", "asked-1")
        .json(&json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "sesame"}]}))
}

/// The recorded headers are those that came; what frames a body on its connection is of the connection.
fn assert_headers(leg: &Leg, head: &Head, what: &str) {
    let framing = ["transfer-encoding", "connection"];
    let mut kept = leg.headers.clone().unwrap_or_else(|| panic!("{what}: no headers"));
    let came = head.headers.iter().filter(|(name, _)| !framing.contains(&&*name.to_lowercase()));
    let mut came: Vec<(String, String)> =
        came.map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    kept.sort();
    came.sort();
    assert_eq!(kept, came, "{what}");
    assert_eq!(leg.line.as_deref(), Some(head.status.to_string().as_str()), "{what}");
}

/// No file of the store has the words.
fn assert_nowhere(folder: &Path, words: &[&str]) {
    let mut files = 0;
    for file in std::fs::read_dir(folder).expect("the folder") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("readable");
        files += 1;
        for words in words {
            assert!(raw::find(&bytes, words.as_bytes()).is_none(), "{words} in {}", path.display());
        }
    }
    assert!(files > 1, "there is a store");
}

/// One call over a stream that is opened before its answer comes: what the client got, and the record.
async fn early(steps: Vec<Step>, more: &str) -> (Head, Vec<u8>, Stored) {
    let upstream = Upstream::always([vec![Step::Hold], steps].concat()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let toml = format!("{EARLY}{more}");
    let mut gateway = capturing(folder.path(), &upstream.url(), &toml);
    let mut client = gateway.connect().await;
    client.send(&chat("m", true).header("origin", "http://localhost:3000")).await;
    let head = client.read_head().await.expect("a head");
    let (mut body, _) = client.read_until(": keep-alive\n\n: keep-alive\n\n").await;
    upstream.release();
    body.extend(client.read_body().await.0);
    let id = head.header("x-pinhole-id").expect("an id").to_owned();
    gateway.exchange(&id).await;
    gateway.drain().await;
    let stored = stored(folder.path(), &id).expect("a record");
    (head, body, stored)
}

fn assert_early(head: &Head, body: &[u8], stored: &Stored, what: &str) {
    assert_headers(&stored.response, head, what);
    assert_eq!(head.header("access-control-allow-origin"), Some("http://localhost:3000"), "{what}");
    assert_eq!(head.header("x-request-id"), Some("asked-1"), "{what}");
    assert_eq!(head.header("x-pinhole-instance"), Some("i-1"), "{what}");
    let kept = stored.client_response().unwrap_or_else(|| panic!("{what}: no body"));
    assert_eq!(String::from_utf8_lossy(&kept.bytes), String::from_utf8_lossy(body), "{what}");
    let frames = &stored.response_frames;
    let lengths: u32 = frames.iter().map(|(_, length)| length).sum();
    assert_eq!(lengths as usize, body.len(), "{what}: every byte has a time");
    assert!(frames.len() >= 3 && frames.is_sorted_by_key(|(at, _)| *at), "{what}: {frames:?}");
    if let Some(answered) = stored.attempts[0].head_us {
        let first = frames[0].0;
        assert!(first < u64::try_from(answered).expect("after"), "{what}: before the answer");
    }
    assert_eq!(usize::try_from(stored.row.response_bytes).ok(), Some(body.len()), "{what}");
    assert_eq!(stored.row.status, Some(200), "{what}");
}

#[tokio::test]
async fn a_stream_opened_early_is_recorded_as_it_was_sent() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let (head, body, stored) = early(stream_of(&[events]), "").await;
    assert_early(&head, &body, &stored, "a stream");
    assert!(body.starts_with(b": keep-alive\n\n") && body.ends_with(events.as_bytes()));
    assert_eq!(stored.upstream_response(0).expect("the provider's").bytes, events.as_bytes());
    assert_eq!(stored.row.outcome, "complete");
}

#[tokio::test]
async fn an_error_that_comes_late_is_recorded_as_the_event_that_was_sent() {
    let said = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;
    let kind = [("content-type", "application/json")];
    let refused = || vec![Step::Send(answer(429, &kind, said))];
    for (more, code) in [("", "slow down"), ("[errors]\nwrap_502 = true\n", "slow down")] {
        let (head, body, stored) = early(refused(), more).await;
        assert_early(&head, &body, &stored, more);
        let text = String::from_utf8_lossy(&body);
        let last = text.rsplit_once("keep-alive\n\n").expect("comments").1;
        assert!(last.starts_with("data: {") && last.contains(code), "{text}");
        assert_eq!(stored.upstream_response(0).expect("the provider's").bytes, said.as_bytes());
        assert_eq!(stored.attempts[0].status, Some(429));
        assert_ne!(stored.row.outcome, "complete");
    }
    let half =
        [b"HTTP/1.1 500 x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
            .to_vec()];
    let broken = vec![Step::Send(half.concat()), Step::Close];
    let (head, body, stored) = early(broken, "").await;
    assert_early(&head, &body, &stored, "half an error");
    assert!(String::from_utf8_lossy(&body).contains("\ndata: {\"error\""), "an event all the same");
    assert_eq!(stored.upstream_response(0).expect("the provider's").bytes, b"{");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_has_a_leg_too() {
    let upstream = Upstream::always(vec![Step::Hold]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), EARLY);
    let mut client = gateway.connect().await;
    client.send(&chat("m", true)).await;
    let head = client.read_head().await.expect("a head");
    let (body, _) = client.read_until(": keep-alive\n\n").await;
    drop(client);
    let id = head.header("x-pinhole-id").expect("an id").to_owned();
    gateway.exchange(&id).await;
    gateway.drain().await;
    let stored = stored(folder.path(), &id).expect("a record");
    assert_headers(&stored.response, &head, "a client that left");
    let kept = &stored.client_response().expect("the comments").bytes;
    assert!(kept.starts_with(&body), "{:?}", String::from_utf8_lossy(kept));
    assert_eq!(stored.row.outcome, "client_cancelled");
}

#[tokio::test]
async fn recorded_headers_are_those_that_came() {
    let done = r#"{"id":"x","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let kind = [("content-type", "application/json")];
    let upstream = Upstream::start(move |got| match got.text() {
        text if text.contains("\"stream\":true") => stream_of(&["data: [DONE]\n\n"]),
        text if text.contains("fail") => vec![Step::Send(answer(500, &kind, "{}"))],
        _ => vec![Step::Send(document(done))],
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let toml = "cost_basis = \"openai\"\n[server]\ninstance = \"i-1\"\naperture_headers = true\n[capture]\nlevel = \"full\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), toml);
    let page = |request: Request| request.header("origin", "http://localhost:3000");
    let mut calls = Vec::new();
    for (what, request) in [
        ("a document", chat("up:gpt-4o-mini", false)),
        ("a document for a page", page(chat("up:gpt-4o-mini", false))),
        ("a stream", chat("m", true)),
        ("a stream for a page", page(chat("m", true))),
        (
            "a provider's error",
            page(chat("m", false)).header("x-note", "n").body(r#"{"model":"m","fail":1}"#),
        ),
        ("a refusal", page(chat("nobody-has-it", false))),
        ("a path that is none", Request::get("/v1/nothing/here")),
        ("the catalogue", page(Request::get("/v1/models"))),
        ("the catalogue's head", Request::new("HEAD", "/v1/models")),
    ] {
        let (response, fact) = gateway.call(&request).await;
        calls.push((what, response, fact.id));
    }
    gateway.drain().await;
    for (what, response, id) in &calls {
        let stored = stored(folder.path(), id).unwrap_or_else(|| panic!("{what}: no record"));
        assert_headers(&stored.response, &response.head, what);
        let kept = stored.client_response().map(|whole| whole.bytes.clone()).unwrap_or_default();
        assert_eq!(kept, response.body, "{what}");
        let is_page = what.contains("page");
        assert_eq!(
            response.header("access-control-allow-origin").is_some(),
            is_page
                || what.contains("error")
                || what.contains("refusal")
                || *what == "the catalogue",
            "{what}"
        );
    }
    assert!(calls[0].1.header("x-pinhole-cost").is_some(), "{:?}", calls[0].1.head);
}

#[tokio::test]
async fn what_came_to_no_provider_is_off_by_the_rules_that_might_fit() {
    let upstream = Upstream::always(vec![Step::Close]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[capture]\nlevel = \"meta\"\ntail = [\"error\"]\n\
                [[capture.rules]]\nmodel = \"secret-*\"\nlevel = \"off\"\n\
                [[capture.rules]]\nprovider = \"elsewhere\"\npath = \"/v1/embeddings\"\nlevel = \"off\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), more);
    let ask = |path: &str, model: &str, words: &str| {
        Request::post(path).json(&json!({"model": model, "messages": [], "input": words}))
    };
    let kept = gateway.call(&ask("/v1/chat/completions", "open-1", "to be kept")).await.1.id;
    for request in [
        ask("/v1/chat/completions", "secret-1", "needle-one"),
        ask("/v1/chat/completions", "up:secret-1", "needle-two"),
        ask("/v1/embeddings", "unknown", "needle-three"),
        Request::post("/v1/embeddings").body("{ needle-four"),
    ] {
        let (response, fact) = gateway.call(&request).await;
        assert!(response.status >= 400 || fact.attempts.len() == 1, "{response:?}");
    }
    gateway.drain().await;
    assert_eq!(stored(folder.path(), &kept).expect("a record").row.capture_level, "full");
    assert_nowhere(
        folder.path(),
        &["needle-one", "needle-two", "needle-three", "needle-four", "secret-1"],
    );
}

#[tokio::test]
async fn ids_of_exchanges_that_are_off_are_awaited_in_memory_alone() {
    let upstream = Upstream::start(|got| {
        let id = if got.text().contains("hidden") || got.target.contains("hidden") {
            "resp_hidden_1"
        } else {
            "resp_open_1"
        };
        let state = match got.method.as_str() {
            "POST" => {
                json!({"id": id, "object": "response", "status": "queued", "background": true})
            }
            _ => json!({"id": id, "object": "response", "status": "completed", "background": true,
                        "usage": {"input_tokens": 30, "output_tokens": 12, "total_tokens": 42}}),
        };
        vec![Step::Send(document(&state.to_string()))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let flag = "compatibility = { openai_responses = true }\n[capture]\nlevel = \"meta\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), flag);
    let begin = |words: &str| {
        Request::post("/v1/responses")
            .json(&json!({"model": "m", "input": words, "background": true}))
    };
    let off = |request: Request| request.header("x-pinhole-capture", "off");
    gateway.call(&off(begin("hidden"))).await;
    gateway.call(&begin("open")).await;
    let fetch = off(Request::get("/v1/responses/resp_hidden_1"));
    let (_, fetched) = gateway.call(&fetch).await;
    let usage = fetched.attempt().usage.expect("it was awaited, in memory");
    assert_eq!((usage.input, usage.output), (Some(30), Some(12)));
    gateway.drain().await;
    assert_nowhere(folder.path(), &["resp_hidden_1"]);
    let has_open = std::fs::read_dir(folder.path()).expect("the folder").any(|file| {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        raw::find(&bytes, b"resp_open_1").is_some()
    });
    assert!(has_open, "what is stored is awaited over a restart");
}

#[tokio::test]
async fn switched_off_by_an_operator_nothing_is_left_of_what_comes_after() {
    let upstream = Upstream::always(vec![Step::Send(document(
        r#"{"id":"x","choices":[{"message":{"content":"answered-needle"}}]}"#,
    ))])
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway =
        capturing(folder.path(), &upstream.url(), "[capture]\nlevel = \"full\"\nsearch = true\n");
    let operations = listen(&gateway).await;
    let told = raw::send(
        operations,
        &Request::new("PUT", "/api/capture").header("host", "127.0.0.1").body(r#"{"level":"off"}"#),
    )
    .await;
    assert_eq!(told.status, 200, "{told:?}");
    let request = chat("m", false)
        .header("user-agent", "agent-needle")
        .header("x-session-id", "session-needle");
    let (_, fact) = gateway.call(&request).await;
    gateway.call(&chat("nobody-has-it", false).header("user-agent", "agent-needle")).await;
    gateway.drain().await;
    assert!(stored(folder.path(), &fact.id).is_none());
    assert_nowhere(
        folder.path(),
        &["sesame", "answered-needle", "agent-needle", "session-needle", "asked-1"],
    );
}

#[tokio::test]
async fn without_a_store_no_reload_makes_bodies_be_held() {
    let upstream = Upstream::always(vec![
        Step::send(event_stream()),
        Step::send(chunk("data: {}\n\n")),
        Step::Hold,
    ])
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = capturing(folder.path(), &upstream.url(), "[capture]\nlevel = \"off\"\n");
    gateway.reload(&format!("{}{FULL}", crate::support::gateway::one(&upstream.url())));
    assert_eq!(gateway.shared().queue.keep_of(None), Keep::Numbers);
    assert_eq!(
        gateway.shared().queue.rules().load().most(),
        pinhole::exchange::level::Level::Full,
        "the rules did change"
    );
    let with_store: Gateway = capturing(folder.path(), &upstream.url(), FULL);
    assert_eq!(with_store.shared().queue.keep_of(None), Keep::Bodies);
}

#[tokio::test]
async fn a_hundred_megabytes_pass_and_what_is_not_kept_is_told() {
    const PIECE: usize = 1 << 20;
    let piece: String = "0123456789abcde\n".repeat(PIECE / 16);
    let sent = piece.clone();
    let steps = (0..100).map(move |_| Step::Send(chunk(&sent)));
    let steps =
        std::iter::once(Step::Send(chunked(200, &[("content-type", "text/plain")]))).chain(steps);
    let upstream = Upstream::always(steps.chain([Step::Send(last_chunk())]).collect()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), FULL);
    let (response, fact) = gateway.call(&chat("m", false)).await;
    assert_eq!(response.body.len(), 100 * PIECE, "traffic goes on");
    let room = gateway.shared().queue.room().clone();
    let store = gateway.shared().store().expect("a store").clone();
    // Debug builds take a while to read so much for secrets, and a drain would not wait for them.
    let began = pinhole::base::clock::now();
    while store.stored.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        assert!(began.elapsed().as_secs() < 120, "{store:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    gateway.drain().await;
    eventually("the memory back", || (room.held_bytes() == 0).then_some(())).await;
    assert_eq!(store.bodies_cut.load(std::sync::atomic::Ordering::Relaxed), 1, "it is counted");
    let stored = stored(folder.path(), &fact.id).expect("a record");
    let kept = stored.upstream_response(0).expect("the front");
    assert!(kept.bytes.len() >= 63 << 20 && response.body.starts_with(&kept.bytes));
    assert_eq!(kept.bytes.len() as u64 + kept.cut_bytes, 100 << 20);
}

#[tokio::test]
async fn very_many_tiny_pieces_keep_their_bytes_and_the_first_times() {
    // Each piece is a write of its own; the gateway may get some of them in one.
    let steps = (0..80_000).map(|n: u32| Step::Send(chunk(format!("data: {n}\n\n"))));
    let steps = std::iter::once(Step::send(event_stream())).chain(steps);
    let upstream = Upstream::always(steps.chain([Step::Send(last_chunk())]).collect()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), FULL);
    let (response, fact) = gateway.call(&chat("m", true)).await;
    gateway.drain().await;
    let stored = stored(folder.path(), &fact.id).expect("a record");
    let kept = stored.upstream_response(0).expect("all of it");
    assert!(kept.bytes == response.body && kept.cut_bytes == 0);
    let attempt = &stored.attempts[0];
    assert!(attempt.frames.len() <= 65_536);
    let tabled: u64 = attempt.frames.iter().map(|(_, length)| u64::from(*length)).sum();
    assert_eq!(
        attempt.untabled > 0,
        tabled < kept.bytes.len() as u64,
        "what has no time is counted"
    );
}
