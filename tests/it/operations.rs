//! The operations port: who may read it, what it says, and that its errors are problem documents.

use std::net::SocketAddr;
use std::sync::Arc;

use pinhole::admin;
use pinhole::base::task;
use pinhole::proxy::discovery;

use crate::support::eventually;
use crate::support::gateway::{Gateway, Setting, provider};
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Step, Upstream, answer};

/// A gateway with its operations port.
async fn start(variables: &[(&str, &str)]) -> (Gateway, SocketAddr) {
    let toml = provider("up", "http://127.0.0.1:9/v1", &["gpt-5"]);
    let setting = Setting { variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    let address = listen(&gateway).await;
    (gateway, address)
}

/// The operations port of a gateway.
pub async fn listen(gateway: &Gateway) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let shared = Arc::clone(gateway.shared());
    task::spawn("operations", admin::serve(listener, shared));
    address
}

fn check_problem(response: &Response, status: u16, words: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let body = response.json();
    assert_eq!(body["status"], status);
    let detail = body["detail"].as_str().expect("a detail");
    assert!(detail.contains(words), "{detail}");
}

#[tokio::test]
async fn it_says_how_things_stand_and_shows_no_key() {
    let (gateway, address) = start(&[]).await;
    let ask = |path: &str| {
        let request = Request::get(path).header("host", "127.0.0.1");
        async move { raw::send(address, &request).await }
    };
    assert_eq!(ask("/health").await.json()["status"], "ok");
    assert_eq!(ask("/ready").await.json()["status"], "ready");
    let providers = ask("/api/providers").await;
    assert_eq!(providers.json()["providers"][0]["id"], "up");
    assert!(!providers.text().contains("sk-of-the-provider"));
    let route = ask("/api/route?model=gpt-5").await.json();
    assert_eq!(route["endpoints"][0]["provider"], "up");
    gateway.shared().drain();
    let ready = ask("/ready").await;
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("not ready")));
}

#[tokio::test]
async fn providers_show_the_labels_of_their_keys_and_why_discovery_failed() {
    let refusing = Upstream::start(|got| {
        // As providers do: the refused key stands in the refusal.
        let key = got.header("authorization").unwrap_or_default().to_owned();
        let body = format!("incorrect api key provided: {key}");
        vec![Step::Send(answer(401, &[], body))]
    })
    .await;
    let toml = format!(
        "[providers.refusing]\nbaseurl = \"{}\"\napikeys = [\"env:FIRST_KEY\", \"sk-second-5678\"]\n\
         [providers.off]\nbaseurl = \"http://127.0.0.1:9\"\nmodels = [\"m\"]\ndisabled = true\n",
        refusing.url()
    );
    let setting = Setting { variables: &[("FIRST_KEY", "sk-first-1234")], ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    let address = listen(&gateway).await;
    let request = Request::get("/api/providers").header("host", "127.0.0.1");
    let before = raw::send(address, &request).await.json();
    assert!(before["providers"][0]["discovery"].is_null(), "{before}");
    task::spawn("discovery", discovery::run(Arc::clone(gateway.shared())));
    eventually("the refusal", || (gateway.shared().snapshot().learned.len() == 1).then_some(()))
        .await;
    let shown = raw::send(address, &request).await;
    let rows = shown.json();
    let refusing = &rows["providers"][0];
    assert_eq!(refusing["keys"][0], "FIRST_KEY");
    assert_eq!(refusing["keys"].as_array().map(Vec::len), Some(2));
    let reason = refusing["discovery"]["failed"].as_str().expect("a reason");
    assert!(reason.contains("401") && reason.contains("incorrect api key"), "{reason}");
    assert_eq!(rows["providers"][1]["disabled"], true);
    let list = gateway.send(&Request::get("/v1/models")).await;
    for text in [shown.text(), list.text()] {
        assert!(!text.contains("sk-first-1234"), "{text}");
        assert!(!text.contains("sk-second-5678"), "{text}");
    }
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let (_gateway, address) = start(&[]).await;
    for (request, status, words) in [
        (Request::get("/nope"), 404, "nothing at /nope"),
        (Request::get("/api/route"), 400, "name a model"),
        (Request::post("/api/providers"), 405, "see the `allow` header"),
    ] {
        let request = request.header("host", "localhost:9464");
        check_problem(&raw::send(address, &request).await, status, words);
    }
}

#[tokio::test]
async fn without_a_key_only_addresses_and_localhost_lead_here() {
    let (_gateway, address) = start(&[]).await;
    for (host, status) in [
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("localhost", 200),
        ("rebound.example:9464", 403),
        ("localhost.example", 403),
    ] {
        let request = Request::get("/api/providers").header("host", host);
        assert_eq!(raw::send(address, &request).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn pages_and_strangers_stay_out() {
    let (_gateway, address) = start(&[("PINHOLE_ADMIN_KEY", "admin-key")]).await;
    let get = || Request::get("/api/providers");
    let key = "Bearer admin-key";
    let answer = raw::send(address, &get().header("authorization", key)).await;
    assert_eq!(answer.status, 200);
    for wrong in [
        get(),
        get().header("authorization", "Bearer admin"),
        get().header("x-api-key", "admin-key"),
    ] {
        check_problem(&raw::send(address, &wrong).await, 401, "PINHOLE_ADMIN_KEY");
    }
    let page = get().header("origin", "http://localhost:3000");
    let answer = raw::send(address, &page.header("authorization", key)).await;
    check_problem(&answer, 403, "not for web pages");
    // Liveness needs no key: what watches it has none.
    assert_eq!(raw::send(address, &Request::get("/health")).await.status, 200);
}
