//! Looking at one exchange by the operations API: one that runs is seen as it grows, one that has ended is diagnosed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::capture::capturing;
use crate::operations::listen;
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Step, Upstream, answer, chunk, event_stream};

async fn get(operations: SocketAddr, path: &str) -> Response {
    raw::send(operations, &Request::get(path).header("host", "127.0.0.1")).await
}

fn chat() -> Request {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(body)
}

/// What is told of it once `ready` says so.
async fn until(operations: SocketAddr, path: &str, ready: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..500 {
        let told = get(operations, path).await.json();
        if ready(&told) {
            return told;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that");
}

/// The id of the one that runs, once its answer comes.
async fn running(operations: SocketAddr) -> String {
    let answers = |told: &Value| told["exchanges"][0]["phase"] == "answering";
    let live = until(operations, "/api/live", answers).await;
    live["exchanges"][0]["id"].as_str().expect("an id").to_owned()
}

/// Two pieces, the second when it is released; then it stays open.
async fn two_pieces() -> Upstream {
    Upstream::start(|_| {
        vec![
            Step::send(event_stream()),
            Step::send(chunk("data: {\"n\":1}\n\n")),
            Step::Hold,
            Step::send(chunk("data: {\"n\":2}\n\n")),
            Step::Wait(Duration::from_mins(1)),
        ]
    })
    .await
}

#[tokio::test]
async fn an_answer_is_seen_as_it_grows() {
    let upstream = two_pieces().await;
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = capturing(folder.path(), &upstream.url(), "[capture]\nlevel = \"full\"\n");
    let operations = listen(&gateway).await;
    let mut client = gateway.connect().await;
    client.send(&chat()).await;
    client.read_head().await.expect("a head");
    assert!(client.read_until("\"n\":1").await.1);
    let id = running(operations).await;
    let path = format!("/api/live/{id}");
    let first = get(operations, &path).await.json();
    assert_eq!((&first["id"], &first["response"]), (&id.as_str().into(), &Value::Null));
    upstream.release();
    let told = until(operations, &path, |told| told["response"].is_object()).await;
    let answer = &told["response"];
    assert_eq!(answer["text"], "data: {\"n\":1}\n\ndata: {\"n\":2}\n\n", "from the beginning");
    assert_eq!(answer["frames"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!((&answer["attempt"], &answer["status"]), (&1.into(), &200.into()));
    assert_eq!((&answer["withheld"], &answer["redacted"]), (&Value::Null, &false.into()));
    let rest = get(operations, &format!("{path}?attempt=1&after=1")).await.json();
    assert_eq!(rest["response"]["text"], "data: {\"n\":2}\n\n");
    let wrong = get(operations, &format!("{path}?since=1")).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    let none = get(operations, "/api/live/01a1f95a-9728-7002-8def-0123456789ab").await;
    assert_eq!(none.status, 404);
    assert!(none.text().contains("/api/exchanges"), "{}", none.text());
    drop(client);
}

#[tokio::test]
async fn what_is_not_kept_is_not_shown() {
    let upstream = two_pieces().await;
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = capturing(folder.path(), &upstream.url(), "[capture]\nlevel = \"meta\"\n");
    let operations = listen(&gateway).await;
    let mut client = gateway.connect().await;
    client.send(&chat()).await;
    client.read_head().await.expect("a head");
    assert!(client.read_until("\"n\":1").await.1);
    let path = format!("/api/live/{}", running(operations).await);
    assert!(get(operations, &path).await.json()["response"].is_null());
    upstream.release();
    let told = until(operations, &path, |told| told["response"].is_object()).await;
    let answer = &told["response"];
    assert_eq!((&answer["text"], answer["frames"].as_array().map(Vec::len)), (&"".into(), Some(2)));
    assert!(answer["withheld"].as_str().expect("why").contains("capture.level"), "{told}");
    drop(client);
}

#[tokio::test]
async fn a_failure_is_diagnosed_as_the_command_does_it() {
    let said = r#"{"error":{"message":"no such key","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    let kind = [("content-type", "application/json")];
    let upstream = Upstream::always(vec![Step::Send(answer(401, &kind, said))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[capture]\nlevel = \"full\"\n";
    let mut gateway = capturing(folder.path(), &upstream.url(), more);
    let operations = listen(&gateway).await;
    let id = gateway.call(&chat()).await.1.id;
    let path = format!("/api/exchanges/{id}/diagnosis?width=60");
    let told = until(operations, &path, |told| told["text"].is_string()).await;
    assert_eq!(
        (&told["id"], &told["class"]),
        (&id.as_str().into(), &"authentication".into()),
        "{told}"
    );
    let text = told["text"].as_str().expect("a text");
    assert!(text.contains("What to do") && !text.contains('\u{1b}'), "{text}");
    let fits = |line: &str| line.starts_with("Read on:") || line.chars().count() <= 60;
    assert!(text.lines().all(fits), "{text}");
    let coloured = get(operations, &format!("{path}&colour=true")).await.json();
    assert!(coloured["text"].as_str().expect("a text").contains('\u{1b}'));
    for query in ["width=5", "colour=red", "height=3"] {
        let refused = get(operations, &format!("/api/exchanges/{id}/diagnosis?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
    }
    let path = "/api/exchanges/01a1f95a-9728-7002-8def-0123456789ab/diagnosis";
    assert_eq!(get(operations, path).await.status, 404);
    gateway.drain().await;
}
