//! Bounds: what is too large, too slow, too many or malformed gets a clear answer, and costs little.

use std::io::Write as _;
use std::time::Duration;

use pinhole::base::clock;
use serde_json::Value;

use crate::support::eventually;
use crate::support::gateway::{Gateway, one};
use crate::support::raw::{Request, Response};
use crate::support::upstream::{Step, Upstream, chunk, event_stream, json};

/// Path and where its dialect keeps the code.
const DIALECTS: [(&str, &str); 5] = [
    ("/v1/chat/completions", "/error/code"),
    ("/v1/responses", "/error/code"),
    ("/v1/embeddings", "/error/code"),
    ("/v1/messages", "/error/code"),
    ("/v1beta/models/m:generateContent", "/error/details/0/metadata/code"),
];

const CHAT: &str = DIALECTS[0].0;

fn post(path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(path).header("content-type", "application/json").body(body)
}

fn check(response: &Response, pointer: &str, status: u16, code: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    let body = response.json();
    assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some(code), "{body}");
}

/// A gateway with these settings before a provider that must not be asked.
async fn refusing(settings: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    (Gateway::start(&format!("{settings}{}", one(&upstream.url()))), upstream)
}

#[tokio::test]
async fn bodies_over_the_limit() {
    let (gateway, upstream) = refusing("[limits]\nbody = \"64KiB\"\n").await;
    let large = format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat(64 << 10));
    for (path, pointer) in DIALECTS {
        let (response, fact) = gateway.call(&post(path, large.clone())).await;
        check(&response, pointer, 413, "body_too_large");
        assert_eq!((fact.outcome, fact.failure), ("rejected", Some(("client", "body_too_large"))));
        let chunked =
            [format!("{:x}\r\n", large.len()).as_bytes(), large.as_bytes(), b"\r\n0\r\n\r\n"]
                .concat();
        let (response, _) =
            gateway.call(&post(path, chunked).header("transfer-encoding", "chunked")).await;
        check(&response, pointer, 413, "body_too_large");
        assert!(response.text().contains("limits.body"), "{}", response.text());
    }
    // A declared length is refused before a byte of the body has come.
    let mut connection = gateway.connect().await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.read_head().await.expect("an answer").status, 413);
    assert!(upstream.got().is_empty());
    let fits = format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat((64 << 10) - 20));
    assert_eq!(fits.len(), 64 << 10);
    assert_eq!(gateway.send(&post(CHAT, fits)).await.status, 200, "the limit itself fits");
}

#[tokio::test]
async fn a_compressed_bomb_is_bounded() {
    let (gateway, upstream) = refusing("[limits]\nbody = \"64KiB\"\n").await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 20 << 20]).expect("memory");
    let bomb = encoder.finish().expect("memory");
    assert!(bomb.len() < 64 << 10);
    let (response, _) = gateway.call(&post(CHAT, bomb).header("content-encoding", "gzip")).await;
    check(&response, "/error/code", 413, "body_too_large");
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn bodies_that_are_no_json_objects() {
    let (gateway, upstream) = refusing("").await;
    for (body, code, words) in [
        (r#"{"model":"m",}"#, "invalid_json", "byte 13"),
        ("{", "invalid_json", "byte 1"),
        ("", "invalid_json", "empty"),
        ("[]", "invalid_json", "not an object"),
        ("\"m\"", "invalid_json", "not an object"),
        ("{\"model\":\"m\"} x", "invalid_json", "byte 14"),
        ("{\u{0}\"model\":\"m\"}", "invalid_json", "byte 1"),
        (r#"{"model":5}"#, "invalid_request", "`model` is not a string (byte 9)"),
        (r#"{"messages":[]}"#, "", ""),
    ] {
        let (response, fact) = gateway.call(&post(CHAT, body)).await;
        if code.is_empty() {
            assert_eq!(response.status, 200, "without a model the first provider takes it");
            continue;
        }
        assert_eq!(response.status, 400, "{body:?}");
        check(&response, "/error/code", 400, code);
        assert!(response.text().contains(words), "{body:?}: {}", response.text());
        assert_eq!(fact.outcome, "rejected");
    }
    assert_eq!(upstream.got().len(), 1);
    // What stands inside a string is for the provider to judge.
    let nul = "{\"model\":\"\u{0}\",\"x\":\"\u{0}\"}";
    assert_eq!(gateway.send(&post(CHAT, nul)).await.status, 200);
    assert_eq!(upstream.request(1).await.text(), nul);
    for (path, pointer) in DIALECTS {
        let (response, _) = gateway.call(&post(path, "{\"x\":nul}")).await;
        check(&response, pointer, 400, "invalid_json");
    }
}

#[tokio::test]
async fn nesting_is_bounded_and_deep_bodies_do_not_overflow() {
    let (gateway, _upstream) = refusing("").await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100, 10_000, 1_000_000] {
            let middle = if open == "[" { "" } else { "1" };
            let body = format!(
                r#"{{"model":"m","x":{}{middle}{}}}"#,
                open.repeat(depth),
                close.repeat(depth)
            );
            let response = gateway.send(&post(CHAT, body)).await;
            assert!(matches!(response.status, 200 | 400), "{depth}: {}", response.text());
            if response.status == 400 {
                check(&response, "/error/code", 400, "invalid_json");
                assert!(depth > 100 && response.text().contains("byte"), "{}", response.text());
            }
        }
    }
    assert_eq!(gateway.send(&Request::get("/health")).await.status, 200);
}

#[tokio::test]
async fn content_types_and_codings() {
    let (gateway, upstream) = refusing("").await;
    for (header, value, body, status, code) in [
        ("content-type", "text/plain", &b"{}"[..], 415, "unsupported_content_type"),
        (
            "content-type",
            "multipart/form-data; boundary=x",
            b"--x--",
            415,
            "unsupported_content_type",
        ),
        ("content-encoding", "compress", b"{}", 415, "unsupported_encoding"),
        ("content-encoding", "gzip", b"{\"model\":\"m\"}", 400, "invalid_encoding"),
        ("content-encoding", "gzip", b"\x1f\x8b\x08\x00", 400, "invalid_encoding"),
        ("content-encoding", "zstd", b"xx", 400, "invalid_encoding"),
        ("content-encoding", "br", b"\xff\xff\xff", 400, "invalid_encoding"),
    ] {
        let request = Request::post(CHAT).header(header, value).body(body);
        let (response, fact) = gateway.call(&request).await;
        check(&response, "/error/code", status, code);
        assert_eq!(fact.failure, Some(("client", code)), "{header}: {value}");
    }
    assert!(upstream.got().is_empty());
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"]
    {
        let request = Request::post(CHAT).header("content-type", kind).body(r#"{"model":"m"}"#);
        assert_eq!(gateway.send(&request).await.status, 200, "{kind}");
    }
    let without = Request::post(CHAT).body(r#"{"model":"m"}"#);
    assert_eq!(gateway.send(&without).await.status, 200);
}

/// Bytes on a connection of their own, and the answer, which must not come from a provider.
async fn raw(gateway: &Gateway, bytes: &[u8]) -> Response {
    let mut connection = gateway.connect().await;
    connection.write(bytes).await;
    connection.read_response().await
}

/// Bytes that are refused with `status`, in words, whoever refuses them.
async fn check_head(what: &str, bytes: &str, status: u16) {
    let (gateway, upstream) = refusing("").await;
    let response = raw(&gateway, bytes.as_bytes()).await;
    let shown = format!("{what}: {}", response.text());
    assert_eq!(response.status, status, "{shown}");
    let kind = response.header("content-type");
    assert_eq!(kind, Some("application/json"), "{shown}");
    let code = &response.json()["error"]["code"];
    assert_eq!(code, "invalid_request", "{shown}");
    assert!(upstream.got().is_empty(), "{shown}");
    let health = gateway.send(&Request::get("/health")).await;
    assert_eq!(health.status, 200, "{shown}");
}

#[tokio::test]
async fn heads_that_are_malformed_or_too_much() {
    let numbers: Vec<String> = (0..200).map(|n| format!("x-{n}: {n}")).collect();
    let many = numbers.join("\r\n");
    let large = format!("x: {}", "a".repeat(100 << 10));
    for (what, lines, status) in [
        ("two lengths", "content-length: 2\r\ncontent-length: 3", 400),
        ("a length that is none", "content-length: two", 400),
        ("chunks that are not last", "transfer-encoding: chunked, identity", 400),
        ("a header without a colon", "nonsense", 400),
        ("a space in a name", "x y: z", 400),
        ("a NUL in a value", "x: a\0b", 400),
        ("many headers", &many, 431),
        ("a large header", &large, 431),
    ] {
        let bytes = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n{{}}");
        check_head(what, &bytes, status).await;
    }
    check_head("no request line", "\u{1}\u{2}\u{3}\r\n\r\n", 400).await;
    let chunks =
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n");
    check_head("chunks that are none", &chunks, 400).await;
}

#[tokio::test]
async fn paths_that_lead_elsewhere() {
    let long = format!("/v1/{}", "a".repeat(70_000));
    for (what, path, status) in [
        ("a long URI", long.as_str(), 431),
        ("a NUL", "/v1/fi\0les", 400),
        ("an encoded NUL", "/v1/fi%00les", 400),
        ("a way up", "/v1/../admin", 400),
        ("an encoded way up", "/v1/files/%2e%2E/x", 400),
        ("an encoded slash up", "/v1/files/..%2Fx", 400),
        ("up under a provider", "/providers/up/../../x", 400),
        ("a backslash", "/v1/files/..%5cx", 400),
    ] {
        check_head(what, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"), status).await;
    }
}

#[tokio::test]
async fn both_framings_at_once_are_never_passed_on() {
    let (gateway, upstream) = refusing("").await;
    let smuggled = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
         d\r\n{{\"model\":\"m\"}}\r\n0\r\n\r\n"
    );
    let response = raw(&gateway, smuggled.as_bytes()).await;
    assert!(matches!(response.status, 200 | 400), "{}", response.text());
    for got in upstream.got() {
        assert_eq!(got.text(), r#"{"model":"m"}"#);
        assert_eq!(got.header("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn slow_clients() {
    let settings = "[server]\nheader_timeout = \"150ms\"\n[timeouts]\nrequest_body = \"150ms\"\n";
    let (gateway, upstream) = refusing(settings).await;
    for (path, pointer) in DIALECTS {
        let mut connection = gateway.connect().await;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{{\"model\"");
        connection.write(head.as_bytes()).await;
        let response = connection.read_response().await;
        check(&response, pointer, 408, "body_timeout");
        let fact = gateway.exchange(response.header("x-pinhole-id").expect("an id")).await;
        assert_eq!(fact.failure, Some(("client", "body_timeout")), "{path}");
    }
    let mut connection = gateway.connect().await;
    connection.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    let response = connection.read_response().await;
    check(&response, "/error/code", 408, "body_timeout");
    assert!(connection.closed().await);
    // A head that trickles byte by byte gains no time by it.
    let mut connection = gateway.connect().await;
    let started = clock::now();
    let mut sent = 0;
    while started.elapsed() < Duration::from_millis(400) {
        connection.write(if sent == 0 { b"GET /health HTTP/1.1\r\nx: " } else { b"a" }).await;
        sent += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(connection.read_response().await.status, 408);
    // A connection that says nothing at all is closed.
    let mut silent = gateway.connect().await;
    assert!(silent.closed().await);
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn a_long_wait_after_the_body_is_not_a_slow_head() {
    let pause = Step::Wait(Duration::from_millis(400));
    let upstream = Upstream::always(vec![pause, Step::Send(json("{}"))]).await;
    let settings = "[server]\nheader_timeout = \"100ms\"\n";
    let gateway = Gateway::start(&format!("{settings}{}", one(&upstream.url())));
    let mut connection = gateway.connect().await;
    for _ in 0..2 {
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\n\r\n");
        connection.write(head.as_bytes()).await;
        eventually("the request has begun", || (gateway.shared().in_flight() == 1).then_some(()))
            .await;
        connection.write(br#"{"model":"m"}"#).await;
        let response = connection.read_response().await;
        assert_eq!(response.status, 200, "{}", response.text());
        eventually("it has ended", || (gateway.shared().in_flight() == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_refusal_after_a_long_body_is_the_gateways_own() {
    let (gateway, _upstream) = refusing("").await;
    let mut connection = gateway.connect().await;
    let body = format!("{{\"x\":\"{}\"", "a".repeat(200_000));
    let request = post(CHAT, body);
    for _ in 0..3 {
        connection.send(&request).await;
        let response = connection.read_response().await;
        check(&response, "/error/code", 400, "invalid_json");
        assert!(response.header("x-pinhole-id").is_some());
    }
}

#[tokio::test]
async fn a_slow_body_in_time_is_a_body() {
    let (gateway, upstream) = refusing("").await;
    let mut connection = gateway.connect().await;
    let body = r#"{"model":"m"}"#;
    connection
        .write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\n\r\n").as_bytes())
        .await;
    for byte in body.bytes() {
        connection.write(&[byte]).await;
    }
    assert_eq!(connection.read_response().await.status, 200);
    assert_eq!(upstream.only().text(), body);
}

#[tokio::test]
async fn a_client_that_leaves_in_its_own_body() {
    let (gateway, upstream) = refusing("").await;
    let mut connection = gateway.connect().await;
    connection
        .write(
            format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{{").as_bytes(),
        )
        .await;
    eventually("the request has begun", || (gateway.shared().in_flight() == 1).then_some(())).await;
    drop(connection);
    let fact = gateway.ended(1).await.remove(0);
    assert_eq!(fact.outcome, "client_cancelled", "{fact:?}");
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn expect_continue_is_answered() {
    let (gateway, upstream) = refusing("").await;
    let mut connection = gateway.connect().await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 13\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    let mut held = [0; 25];
    connection.read_exact(&mut held).await;
    assert_eq!(&held, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(br#"{"model":"m"}"#).await;
    assert_eq!(connection.read_response().await.status, 200);
    assert_eq!(upstream.only().header("expect"), None);
}

/// With one request running, the next one at each dialect is refused after the wait.
async fn check_full(limits: &str, provider: &str, status: u16, code: &'static str) {
    let upstream = Upstream::always(vec![Step::Hold, Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&format!(
        "[limits]\nwait = \"60ms\"\n{limits}{}{provider}",
        one(&upstream.url())
    ));
    let mut running = gateway.connect().await;
    running.send(&post(CHAT, r#"{"model":"m"}"#)).await;
    upstream.request(0).await;
    for (path, pointer) in DIALECTS {
        let started = clock::now();
        let (response, fact) = gateway.call(&post(path, r#"{"model":"m"}"#)).await;
        let waited = started.elapsed();
        check(&response, pointer, status, code);
        assert!(waited >= Duration::from_millis(60), "{path}: waited {waited:?}");
        let after: u64 =
            response.header("retry-after").expect("retry-after").parse().expect("seconds");
        assert!(after >= 1);
        assert_eq!((fact.outcome, fact.failure), ("rejected", Some(("gateway", code))), "{path}");
        assert!(fact.attempts.is_empty());
    }
    assert_eq!(
        gateway.send(&Request::get("/health")).await.status,
        200,
        "health has a place always"
    );
    upstream.release();
    assert_eq!(running.read_response().await.status, 200);
    assert_eq!(
        gateway.send(&post(CHAT, r#"{"model":"m"}"#)).await.status,
        200,
        "the place came back"
    );
}

#[tokio::test]
async fn places_are_bounded_with_a_bounded_wait() {
    check_full("in_flight = 1\n", "", 503, "overloaded").await;
    check_full("", "in_flight = 1\n", 429, "provider_overloaded").await;
}

#[tokio::test]
async fn a_request_that_waits_gets_the_place_that_comes_free() {
    let upstream = Upstream::always(vec![Step::Hold, Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&format!(
        "[limits]\nin_flight = 1\nwait = \"20s\"\n{}",
        one(&upstream.url())
    ));
    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut connection = gateway.connect().await;
        connection.send(&post(CHAT, r#"{"model":"m"}"#)).await;
        connections.push(connection);
    }
    eventually("all five are in", || (gateway.shared().in_flight() == 5).then_some(())).await;
    upstream.request(0).await;
    assert_eq!(upstream.got().len(), 1);
    upstream.release();
    for connection in &mut connections {
        assert_eq!(connection.read_response().await.status, 200);
    }
}

#[tokio::test]
async fn a_decoded_copy_counts_as_buffered() {
    let settings = "[limits]\nbody = \"1MiB\"\nbuffered = \"1MiB\"\nwait = \"40ms\"\n";
    let (gateway, upstream) = refusing(settings).await;
    let text = format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat((1 << 20) - 100));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory");
    let packed = encoder.finish().expect("memory");
    assert!(packed.len() > 1024, "beside its copy there is no room for it");
    let request = post(CHAT, packed).header("content-encoding", "gzip");
    let (response, _) = gateway.call(&request).await;
    check(&response, "/error/code", 503, "overloaded");
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn buffered_bytes_are_bounded() {
    let settings = "[limits]\nbody = \"1MiB\"\nbuffered = \"1MiB\"\nwait = \"60ms\"\n[timeouts]\nrequest_body = \"20s\"\n";
    let (gateway, _upstream) = refusing(settings).await;
    let mut slow = gateway.connect().await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n");
    slow.write(head.as_bytes()).await;
    eventually("the slow one has begun", || (gateway.shared().in_flight() == 1).then_some(()))
        .await;
    eventually("its share is taken", || {
        (gateway.shared().snapshot().buffered_kib.available_permits() < 200).then_some(())
    })
    .await;
    let large = format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat(500_000));
    let (response, fact) = gateway.call(&post(CHAT, large.clone())).await;
    check(&response, "/error/code", 503, "overloaded");
    assert!(response.text().contains("limits.buffered"), "{}", response.text());
    assert!(response.header("retry-after").is_some());
    assert_eq!(fact.outcome, "rejected");
    assert_eq!(
        gateway.send(&post(CHAT, r#"{"model":"m"}"#)).await.status,
        200,
        "a small one fits beside it"
    );
    drop(slow);
    gateway.ended(3).await;
    assert_eq!(gateway.send(&post(CHAT, large)).await.status, 200);
}

/// Memory this process holds, in MiB.
fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux machine");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("VmRSS in kB") / 1024
}

#[tokio::test]
async fn a_thousand_large_requests_at_once() {
    const REQUESTS: usize = 1_000;
    let upstream = Upstream::forgetful(vec![Step::Send(json("{}"))]).await;
    let limits = "[limits]\nbody = \"1MiB\"\nbuffered = \"16MiB\"\nwait = \"20s\"\n";
    let gateway = Gateway::start(&format!("{limits}{}", one(&upstream.url())));
    let head = "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n".to_owned();
    let bytes = std::sync::Arc::new([head.into_bytes(), vec![b'a'; 1 << 20]].concat());
    let before = resident_mib();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        let (bytes, addr) = (std::sync::Arc::clone(&bytes), gateway.addr);
        calls.spawn(async move {
            let mut connection = crate::support::raw::connect(addr).await;
            connection.write(&bytes).await;
            connection.read_response().await.status
        });
    }
    let mut peak = before;
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.expect("no panic"), 200);
        peak = peak.max(resident_mib());
    }
    assert_eq!(upstream.got().len(), REQUESTS);
    let free = gateway.shared().snapshot().buffered_kib.available_permits();
    assert_eq!(free, 16 << 10, "every share came back");
    // 16 MiB of bodies, and what a thousand connections at both of the test's ends cost; not 1,000 MiB.
    assert!(peak - before < 200, "{before} MiB before, {peak} MiB at the peak");
}

#[tokio::test]
async fn a_client_in_the_middle_of_a_large_body_still_reads_the_refusal() {
    let large = vec![b'a'; 20 << 20];
    let keys = "[[keys]]\nlabel = \"k\"\nsecret = \"pk\"\n";
    let (locked, _upstream) = refusing(keys).await;
    let (small, _upstream) = refusing("[limits]\nbody = \"64KiB\"\n").await;
    for (gateway, status) in [(&locked, 401), (&small, 413)] {
        for chunked in [false, true] {
            let mut request = post(CHAT, large.clone());
            if chunked {
                let framed = [b"1400000\r\n".as_slice(), &large, b"\r\n0\r\n\r\n"].concat();
                request = post(CHAT, framed).header("transfer-encoding", "chunked");
            }
            // All of it is written before anything is read, as simple clients do.
            let response = gateway.send(&request).await;
            assert_eq!(response.status, status, "chunked: {chunked}");
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer() {
    let mut steps = vec![Step::Send(event_stream())];
    steps.extend((0..200).map(|_| Step::Send(chunk("x".repeat(100_000)))));
    let upstream = Upstream::always(steps).await;
    let settings = "[timeouts]\nidle = \"200ms\"\n";
    let gateway = Gateway::start(&format!("{settings}{}", one(&upstream.url())));
    let mut connection = gateway.connect().await;
    connection.send(&post(CHAT, r#"{"model":"m","stream":true}"#)).await;
    let fact = gateway.ended(1).await.remove(0);
    assert_eq!(fact.outcome, "client_cancelled", "{fact:?}");
    assert_eq!(gateway.shared().in_flight(), 0);
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order() {
    let upstream = Upstream::start(|got| vec![Step::Send(json(&got.text()))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let bodies = [r#"{"model":"a"}"#, r#"{"model":"b"}"#, r#"{"model":"c"}"#];
    let together: Vec<u8> = bodies.iter().flat_map(|body| post(CHAT, *body).bytes()).collect();
    let mut connection = gateway.connect().await;
    connection.write(&together).await;
    for body in bodies {
        assert_eq!(connection.read_response().await.text(), body);
    }
}
