//! `GET /api/overview` and `GET /api/tools`: what went through lately, as it is asked for again and again.

use std::net::SocketAddr;

use serde_json::Value;

use crate::capture::capturing;
use crate::operations::listen;
use crate::support::raw::{self, Request};
use crate::support::upstream::{Step, Upstream, answer};

const CALLING: &str = r#"{"id":"x","choices":[{"message":{"role":"assistant","tool_calls":[{"id":"c1","type":"function",
    "function":{"name":"grep","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":9}}"#;

fn chat(model: &str, words: &str) -> Request {
    let body =
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{words}"}}]}}"#);
    Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("x-session-id", "s-1")
        .body(body)
}

async fn get(operations: SocketAddr, path: &str) -> Value {
    let response = raw::send(operations, &Request::get(path).header("host", "127.0.0.1")).await;
    assert_eq!(response.status, 200, "{path}: {response:?}");
    response.json()
}

/// The overview, once the store has as many exchanges.
async fn with(operations: SocketAddr, exchanges: i64) -> Value {
    for _ in 0..2_000 {
        let told = get(operations, "/api/overview?window=10m&steps=20").await;
        if told["total"]["exchanges"] == exchanges {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("the store does not get {exchanges} exchanges");
}

#[tokio::test]
async fn it_adds_up_what_went_through_and_says_when_nothing_came() {
    let upstream = Upstream::start(|got| {
        let (status, body) = if got.text().contains("fail") {
            (500, r#"{"error":{"message":"out of order"}}"#)
        } else {
            (200, CALLING)
        };
        vec![Step::Send(answer(status, &[("content-type", "application/json")], body))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = capturing(folder.path(), &upstream.url(), "");
    let operations = listen(&gateway).await;
    gateway.call(&chat("m", "one")).await;
    gateway.call(&chat("n", "two")).await;
    let failed = gateway.call(&chat("m", "fail")).await.1.id;
    let told = with(operations, 3).await;
    assert_eq!(told["total"]["errors"], 1);
    assert_eq!(
        (&told["models"][0]["name"], &told["models"][0]["exchanges"]),
        (&"m".into(), &2.into())
    );
    assert_eq!(told["providers"][0]["name"], "up");
    assert_eq!(told["targets"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["failures"][0]["id"], failed);
    assert_eq!(told["total"]["output_tokens"], 18);
    let series = told["series"]["exchanges"].as_array().expect("a series");
    assert_eq!(series.iter().filter_map(Value::as_i64).sum::<i64>(), 3);
    assert_eq!(series.len(), 20);
    let standing = &told["gateway"];
    assert_eq!(
        (&standing["capture"]["level"], &standing["store"]["dropped"]),
        (&"meta".into(), &0.into())
    );
    assert_eq!(standing["providers"][0]["id"], "up");

    let seq = told["seq"].as_i64().expect("a place");
    let again = get(operations, &format!("/api/overview?window=10m&seq={seq}")).await;
    assert_eq!((&again["unchanged"], &again["seq"]), (&true.into(), &seq.into()));
    assert!(again["gateway"].is_object() && again.get("total").is_none());

    let tools = get(operations, "/api/tools?window=10m").await;
    assert_eq!(
        (&tools["tools"][0]["name"], &tools["tools"][0]["exchanges"]),
        (&"grep".into(), &2.into())
    );
    assert_eq!(
        (&tools["agents"][0]["exchanges"], &tools["agents"][0]["sessions"]),
        (&3.into(), &1.into())
    );

    gateway.call(&chat("n", "three")).await;
    assert_eq!(with(operations, 4).await["total"]["errors"], 1, "what came since is read too");
    gateway.drain().await;
    for (query, words) in [
        ("window=1y", "window"),
        ("window=99d", "1s to 31d"),
        ("steps=0", "steps"),
        ("span=1h", "is not known here"),
    ] {
        let path = format!("/api/overview?{query}");
        let refused = raw::send(operations, &Request::get(&path).header("host", "127.0.0.1")).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(words), "{query}: {}", refused.text());
    }
}

#[tokio::test]
async fn without_a_store_it_still_says_how_the_gateway_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = capturing(folder.path(), "http://127.0.0.1:9", "[capture]\nlevel = \"off\"\n");
    let operations = listen(&gateway).await;
    let told = get(operations, "/api/overview").await;
    assert_eq!((&told["seq"], &told["gateway"]["store"]), (&0.into(), &Value::Null));
    assert_eq!(told["gateway"]["capture"]["store"], false);
    assert_eq!(get(operations, "/api/tools").await["tools"], serde_json::json!([]));
}
