//! The end of a gateway and the change of its configuration, both with streams under way.

use std::time::Duration;

use pinhole::base::{clock, task};
use pinhole::proxy::discovery;

use crate::support::eventually;
use crate::support::gateway::{Gateway, one};
use crate::support::raw::{Connection, End, Request};
use crate::support::upstream::{Step, Upstream, chunk, event_stream, json, last_chunk};

fn streaming() -> Request {
    let body = r#"{"model":"m","stream":true}"#;
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(body)
}

/// A stream that has begun and is held by its provider.
async fn begun(gateway: &Gateway) -> Connection {
    let mut connection = gateway.connect().await;
    connection.send(&streaming()).await;
    assert_eq!(connection.read_head().await.expect("a head").status, 200);
    assert!(connection.read_until("data: 1\n\n").await.1);
    connection
}

async fn held() -> Upstream {
    Upstream::always(vec![
        Step::Send(event_stream()),
        Step::Send(chunk("data: 1\n\n")),
        Step::Hold,
        Step::Send(chunk("data: [DONE]\n\n")),
        Step::Send(last_chunk()),
    ])
    .await
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_refuses_new_requests() {
    let upstream = held().await;
    let mut gateway = Gateway::start(&one(&upstream.url()));
    let mut running = begun(&gateway).await;
    let mut open = gateway.connect().await;
    let shared = gateway.shared().clone();
    let drained = task::spawn("drain", gateway.drain());
    eventually("the drain has begun", || shared.is_draining().then_some(())).await;
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/code"),
        ("/v1/responses", "/error/code"),
        ("/v1/messages", "/error/code"),
        ("/v1beta/models/m:generateContent", "/error/details/0/metadata/code"),
        ("/v1/files", "/error/code"),
    ] {
        // Both a new connection and one that was open before.
        open.send(&Request::post(path).body("{}")).await;
        for response in
            [open.read_response().await, gateway.send(&Request::post(path).body("{}")).await]
        {
            assert_eq!(response.status, 503, "{path}");
            let body = response.json();
            assert_eq!(
                body.pointer(pointer).and_then(|code| code.as_str()),
                Some("gateway_restarting"),
                "{body}"
            );
            assert!(response.header("retry-after").is_some(), "{path}");
            let fact = gateway.exchange(response.header("x-pinhole-id").expect("an id")).await;
            assert_eq!(
                (fact.outcome, fact.failure),
                ("rejected", Some(("gateway", "gateway_restarting")))
            );
        }
    }
    assert_eq!(gateway.send(&Request::get("/ready")).await.status, 503);
    assert_eq!(gateway.send(&Request::get("/health")).await.status, 200);
    assert!(!drained.is_finished(), "a stream is running");
    upstream.release();
    let (rest, end) = running.read_body().await;
    assert_eq!((rest.as_slice(), end), (b"data: [DONE]\n\n".as_slice(), End::Clean));
    drained.await.expect("drained");
    let complete = gateway.exchanges().into_iter().filter(|fact| fact.outcome == "complete");
    assert_eq!(complete.count(), 1);
    assert!(tokio::net::TcpStream::connect(gateway.addr).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn past_its_limit_a_drain_cuts_and_says_so() {
    let upstream = held().await;
    let mut gateway =
        Gateway::start(&format!("[server]\ndrain = \"150ms\"\n{}", one(&upstream.url())));
    let mut running = begun(&gateway).await;
    let started = clock::now();
    gateway.drain().await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(5), "{took:?}");
    let (rest, end) = running.read_body().await;
    assert!(rest.is_empty(), "nothing made up: {rest:?}");
    assert_ne!(end, End::Clean);
    let facts = gateway.exchanges();
    assert_eq!(facts.len(), 1, "{facts:?}");
    let cut = (facts[0].outcome, facts[0].failure);
    assert_eq!(cut, ("gateway_error", Some(("gateway", "gateway_restarting"))));
    upstream.closed(0).await;
}

#[tokio::test]
async fn a_drain_without_requests_is_at_once() {
    let upstream = held().await;
    let mut gateway = Gateway::start(&one(&upstream.url()));
    let mut idle = gateway.connect().await;
    let started = clock::now();
    gateway.drain().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(idle.closed().await);
}

#[tokio::test]
async fn a_reload_leaves_running_streams_alone() {
    let before = held().await;
    let after = Upstream::always(vec![Step::Send(json("{\"new\":true}"))]).await;
    let gateway = Gateway::start(&format!("[server]\ninstance = \"old\"\n{}", one(&before.url())));
    let mut running = begun(&gateway).await;
    let keys = "[[keys]]\nlabel = \"k\"\nsecret = \"pk-new\"\n";
    gateway.reload(&format!("{keys}[server]\ninstance = \"new\"\n{}", one(&after.url())));
    let response = gateway.send(&streaming()).await;
    assert_eq!(response.status, 401, "the new configuration wants a key");
    assert_eq!(response.header("x-pinhole-instance"), Some("new"));
    let response = gateway.send(&streaming().header("authorization", "Bearer pk-new")).await;
    assert_eq!(response.text(), "{\"new\":true}");
    assert_eq!(before.got().len(), 1);
    before.release();
    let (rest, end) = running.read_body().await;
    assert_eq!((rest.as_slice(), end), (b"data: [DONE]\n\n".as_slice(), End::Clean));
    let outcomes: Vec<&str> = gateway.ended(3).await.iter().map(|fact| fact.outcome).collect();
    assert_eq!(outcomes, ["rejected", "complete", "complete"]);
}

#[tokio::test]
async fn a_reload_holds_for_open_connections_too() {
    let before = Upstream::always(vec![Step::Send(json("1"))]).await;
    let after = Upstream::always(vec![Step::Send(json("2"))]).await;
    let gateway = Gateway::start(&one(&before.url()));
    let mut connection = gateway.connect().await;
    for (url, expected) in [(None, "1"), (Some(after.url()), "2"), (Some(before.url()), "1")] {
        if let Some(url) = url {
            gateway.reload(&one(&url));
        }
        connection.send(&streaming()).await;
        assert_eq!(connection.read_response().await.text(), expected);
    }
}

#[tokio::test]
async fn places_taken_before_a_reload_count_after_it() {
    for limits in ["[limits]\nin_flight = 1\nwait = \"40ms\"\n", "[limits]\nwait = \"40ms\"\n"] {
        let upstream = held().await;
        let toml = format!("{limits}{}in_flight = 1\n", one(&upstream.url()));
        let gateway = Gateway::start(&toml);
        let running = begun(&gateway).await;
        gateway.reload(&toml);
        let response = gateway.send(&streaming()).await;
        assert!(matches!(response.status, 429 | 503), "{}", response.text());
        drop(running);
        gateway.ended(2).await;
        begun(&gateway).await;
        // Another limit is another count.
        gateway.reload(&toml.replace("in_flight = 1", "in_flight = 3"));
        begun(&gateway).await;
    }
}

#[tokio::test]
async fn a_reload_is_followed_by_discovery() {
    let list = r#"{"object":"list","data":[{"id":"learnt-later","object":"model"}]}"#;
    let upstream = Upstream::always(vec![Step::Send(json(list))]).await;
    let gateway =
        Gateway::start(&format!("[discovery]\nenabled = false\n{}", one(&upstream.url())));
    task::spawn("discovery", discovery::run(gateway.shared().clone()));
    gateway.reload(&format!("[providers.new]\nbaseurl = \"{}\"\napikey = \"k\"\n", upstream.url()));
    let learned = || gateway.shared().snapshot().learned.get("new").cloned();
    eventually("the new provider's models", learned).await;
    let models = gateway.send(&Request::get("/v1/models")).await;
    assert!(models.text().contains("learnt-later"), "{}", models.text());
    // What was learnt at one address is not believed of another.
    let elsewhere = Upstream::always(vec![Step::Hold]).await;
    gateway
        .reload(&format!("[providers.new]\nbaseurl = \"{}\"\napikey = \"k\"\n", elsewhere.url()));
    elsewhere.request(0).await;
    let models = gateway.send(&Request::get("/v1/models")).await;
    assert!(!models.text().contains("learnt-later"), "{}", models.text());
}
