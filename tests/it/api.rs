//! Exchanges on the operations port: pages, one whole, its bytes, its labels, its session; and every refusal a problem document.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::command::{Serving, config, pinhole, write};
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Step, Upstream, answer};

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a marvellous answer"}}],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#;

/// A gateway that keeps everything, and where its operations port is.
async fn start() -> (tempfile::TempDir, Upstream, Serving, SocketAddr) {
    let upstream = Upstream::start(|got| {
        if got.text().contains("refuse") {
            return vec![Step::Send(answer(429, &[], r#"{"error":{"message":"slow down"}}"#))];
        }
        vec![Step::Send(answer(200, &[("content-type", "application/json")], ANSWER))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &config("127.0.0.1:0", &upstream.url()));
    let arguments = ["serve", "--capture", "full", "--data-dir", "kept"];
    let serving = Serving::of(pinhole(folder.path(), &arguments));
    let operations = serving.said_of("operations");
    let operations = operations.trim_start_matches("http://").trim_end_matches("/health");
    let operations = operations.parse().expect("an address");
    (folder, upstream, serving, operations)
}

fn body(text: &str) -> String {
    format!(r#"{{"model":"m", "messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

async fn call(serving: &Serving, session: &str, text: &str) -> String {
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("authorization", "Bearer pk")
        .header("x-session-id", session)
        .header("x-pinhole-tag", "team=search")
        .body(body(text));
    let answer = raw::send(serving.address(), &request).await;
    answer.header("x-pinhole-id").expect("an id").to_owned()
}

async fn ask(operations: SocketAddr, target: &str) -> Response {
    raw::send(operations, &Request::get(target).header("host", "127.0.0.1")).await
}

async fn rows(operations: SocketAddr, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let page = ask(operations, "/api/exchanges").await;
        if page.status == 200
            && let Some(rows) = page.json()["exchanges"].as_array()
            && rows.len() == count
        {
            return rows.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("there are no {count} records");
}

#[tokio::test]
async fn exchanges_are_listed_shown_and_labelled() {
    let (_folder, _upstream, serving, operations) = start().await;
    let first = call(&serving, "s-1", "why does it fail").await;
    let second = call(&serving, "s-1", "refuse this").await;
    call(&serving, "s-2", "something else").await;
    let all = rows(operations, 3).await;
    assert_eq!(all[1]["id"], second.as_str());
    assert_eq!(all[2]["tags"], json!({ "team": "search" }));
    let target = |query: &str| format!("/api/exchanges?where={query}");
    for (query, count) in [
        ("status%3A429", 1),
        ("session%3As-1+-status%3A4xx", 1),
        ("tag.team%3Asearch", 3),
        ("text%3A%22marvellous+answer%22", 2),
        ("text%3A%22does+it+fail%22", 1),
        ("replay%3Atrue", 0),
    ] {
        let found = ask(operations, &target(query)).await.json();
        assert_eq!(found["exchanges"].as_array().map(Vec::len), Some(count), "{query}: {found}");
    }
    let page = ask(operations, "/api/exchanges?limit=2").await.json();
    let next = page["next"].as_i64().expect("more");
    let page = ask(operations, &format!("/api/exchanges?limit=2&before={next}")).await.json();
    assert_eq!((&page["exchanges"][0]["id"], &page["next"]), (&json!(first), &Value::Null));

    let whole = ask(operations, &format!("/api/exchanges/{}", &first[..30])).await.json();
    assert_eq!((&whole["schema"], &whole["session_id"]), (&json!(1), &json!("s-1")));
    assert_eq!(whole["request"]["body"]["text"], body("why does it fail"));
    assert_eq!(whole["attempts"][0]["response"]["body"]["text"], ANSWER);

    let request = ask(operations, &format!("/api/exchanges/{first}/request")).await;
    assert_eq!(request.text(), body("why does it fail"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-disposition"), Some("attachment"));
    for target in ["response", "response?leg=upstream", "response?leg=upstream&attempt=1"] {
        let answer = ask(operations, &format!("/api/exchanges/{first}/{target}")).await;
        assert_eq!(answer.text(), ANSWER, "{target}");
    }

    let sessions = ask(operations, "/api/sessions").await.json();
    let sessions: Vec<_> = sessions["sessions"].as_array().expect("a list").clone();
    let shown: Vec<_> =
        sessions.iter().map(|s| (s["id"].clone(), s["exchanges"].clone())).collect();
    assert_eq!(shown, [(json!("s-2"), json!(1)), (json!("s-1"), json!(2))]);
    assert_eq!(sessions[1]["errors"], 1);
    assert_eq!(
        (&sessions[1]["turns"], &sessions[1]["clients"]),
        (&json!(2), &json!(["127.0.0.1"]))
    );

    let count = ask(operations, "/api/exchanges/count?where=session:s-1").await.json();
    assert_eq!(count, json!({ "count": 2, "next": null }));
    let sorted = ask(operations, "/api/exchanges?sort=duration&limit=2").await.json();
    let times: Vec<_> = sorted["exchanges"].as_array().expect("a list").iter().collect();
    assert!(
        times.len() == 2 && times[0]["duration_us"].as_i64() >= times[1]["duration_us"].as_i64()
    );
    assert_eq!(sorted["among"], 3);
    for (target, words) in [
        ("/api/exchanges?sort=colour", "use cost, duration"),
        ("/api/exchanges?sort=cost&before=3", "without before and after"),
    ] {
        let answer = ask(operations, target).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
}

#[tokio::test]
async fn labels_are_put_and_taken_off_and_refusals_say_why() {
    let (_folder, _upstream, serving, operations) = start().await;
    let id = call(&serving, "s-1", "hello").await;
    rows(operations, 1).await;
    let send = |request: Request| async move {
        raw::send(operations, &request.header("host", "127.0.0.1")).await
    };
    let labels = format!("/api/exchanges/{id}/labels");
    let put = |target: &str, body: &str| send(Request::post(target).body(body.as_bytes().to_vec()));
    let label = put(&labels, r#"{"name":"Good","score":0.5}"#).await;
    assert_eq!((label.status, &label.json()["name"]), (201, &json!("good")));
    assert_eq!(put("/api/sessions/s-1/labels", r#"{"name":"set/1"}"#).await.status, 201);
    let found = ask(operations, "/api/exchanges?where=label%3Agood+label%3Aset*").await.json();
    assert_eq!(found["exchanges"][0]["labels"], json!(["good", "set/1"]));
    let gone = send(Request::new("DELETE", &format!("{labels}/good"))).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(send(Request::new("DELETE", &format!("{labels}/good"))).await.status, 404);
    let whole = ask(operations, &format!("/api/exchanges/{id}")).await.json();
    assert_eq!(
        (&whole["labels"][0]["name"], &whole["labels"][0]["on"]),
        (&json!("set/1"), &json!("session"))
    );
    let taken_off = "/api/sessions/s-1/labels/set/1";
    assert_eq!(send(Request::new("DELETE", taken_off)).await.status, 204);
    assert_eq!(send(Request::new("DELETE", taken_off)).await.status, 404);
    let found = ask(operations, "/api/exchanges?where=label%3Aset*").await.json();
    assert_eq!(found["exchanges"], json!([]));
    let pin = format!("/api/exchanges/{id}/pin");
    for (method, many) in [("PUT", 1), ("PUT", 1), ("DELETE", 0)] {
        assert_eq!(send(Request::new(method, &pin)).await.status, 204, "{method}");
        let found = ask(operations, "/api/exchanges?where=pinned%3Atrue").await.json();
        assert_eq!(found["exchanges"].as_array().map(Vec::len), Some(many), "{method}");
    }

    for (request, status, words) in [
        (Request::get("/api/exchanges?where=modle%3Ax"), 400, "did you mean `model`?"),
        (Request::get("/api/exchanges?limit=0"), 400, "no number from 1 to 1000"),
        (Request::get("/api/exchanges?from=1"), 400, "use where, limit, before"),
        (Request::get("/api/exchanges/xyz"), 400, "is no id"),
        (Request::get("/api/exchanges/ffff"), 404, "begins with `ffff`"),
        (Request::get(&format!("/api/exchanges/{id}/request?leg=up")), 400, "client and upstream"),
        (Request::get(&format!("/api/exchanges/{id}/request?attempt=1")), 400, "add leg=upstream"),
        (
            Request::get(&format!("/api/exchanges/{id}/request?leg=upstream&attempt=2")),
            404,
            "has 1",
        ),
        (Request::post(&labels).body("{}"), 400, "missing field `name`"),
        (Request::post(&labels).body(r#"{"name":"a b"}"#), 400, "is no name of a label"),
        (Request::post("/api/sessions/no/labels").body(r#"{"name":"a"}"#), 404, "no session `no`"),
        (Request::get("/api/exchanges").header("origin", "http://x"), 403, "web pages"),
    ] {
        let told = send(request).await;
        assert_eq!(told.status, status, "{told:?}");
        assert_eq!(told.header("content-type"), Some("application/problem+json"), "{told:?}");
        assert!(told.json()["detail"].to_string().contains(words), "{told:?}");
    }
}
