//! Sockets: TLS and HTTP/2 on both sides, proxies, reuse, and no delay of small writes.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pinhole::base::{clock, task};
use pinhole::simulate::Simulator;
use pinhole::simulate::script::Script;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::certificates::Certificates;
use crate::support::eventually;
use crate::support::gateway::{Gateway, Setting, one};
use crate::support::proxy::Proxy;
use crate::support::raw::{self, Request, find};
use crate::support::upstream::{
    Step, Upstream, answer, chunk, event_stream, json as answer_json, stream_of,
};

fn chat() -> Request {
    Request::post("/v1/chat/completions").json(&json!({"model": "m", "messages": []}))
}

/// A chat request over HTTP/2 on an open connection; the status and the body.
async fn over_http2(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    authority: &str,
    body: &str,
) -> (u16, String) {
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.expect("HTTP/2");
    task::spawn("HTTP/2 client", connection);
    let request = http::Request::post(format!("http://{authority}/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn http2_with_prior_knowledge_on_the_clients_side() {
    let events = ["data: 1\n\n", "data: [DONE]\n\n"];
    let upstream = Upstream::always(stream_of(&events)).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let socket = TcpStream::connect(gateway.addr).await.expect("a gateway");
    let body = r#"{"model":"m" , "stream":true}"#;
    let authority = gateway.addr.to_string();
    let answered = over_http2(socket, &authority, body).await;
    assert_eq!(answered, (200, events.concat()));
    let got = upstream.only();
    assert_eq!(got.text(), body);
    assert_eq!(got.header("host"), Some(&*upstream.addr.to_string()));
    assert_eq!(gateway.ended(1).await[0].outcome, "complete");
}

#[tokio::test]
async fn a_stream_that_breaks_is_reset_over_http2_too() {
    let steps = vec![
        Step::Send(event_stream()),
        Step::Send(chunk("data: 1\n\n")),
        Step::Wait(std::time::Duration::from_millis(30)),
        Step::Close,
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let socket = TcpStream::connect(gateway.addr).await.expect("a gateway");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.expect("HTTP/2");
    task::spawn("HTTP/2 client", connection);
    let request = http::Request::post(format!("http://{}/v1/chat/completions", gateway.addr))
        .body(Full::new(Bytes::from_static(br#"{"model":"m","stream":true}"#)))
        .expect("a request");
    let mut body = sender.send_request(request).await.expect("an answer").into_body();
    let first = body.frame().await.expect("a frame").expect("in order");
    assert_eq!(first.data_ref().map(|data| &data[..]), Some(b"data: 1\n\n".as_slice()));
    assert!(matches!(body.frame().await, Some(Err(_))), "not a clean end");
    assert_eq!(gateway.ended(1).await[0].outcome, "upstream_reset");
}

#[tokio::test]
async fn faults_of_a_provider_over_http2() {
    let simulator = Simulator::local(Script::default()).expect("a free port");
    let patience = "[timeouts]\nfirst_byte = \"150ms\"\nidle = \"150ms\"\n";
    let gateway = Gateway::start(&format!("{patience}{}http = \"2\"\n", one(&simulator.url())));
    for (model, status, outcome) in [
        ("sim-cut-3", 200, "upstream_reset"),
        ("sim-cut-0", 502, "upstream_reset"),
        ("sim-stall-3", 200, "timeout"),
        ("sim-latency-5s", 504, "timeout"),
        ("sim-error-429", 429, "upstream_error"),
        ("sim-fine", 200, "complete"),
    ] {
        let body = json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let (response, fact) =
            gateway.call(&Request::post("/v1/chat/completions").json(&body)).await;
        assert_eq!(
            (response.status, fact.outcome),
            (status, outcome),
            "{model}: {}",
            response.text()
        );
        let whole = response.text().ends_with("data: [DONE]\n\n");
        assert_eq!(whole, model == "sim-fine", "{model}");
        let clean = response.end == raw::End::Clean;
        assert_eq!(clean, model != "sim-cut-3", "{model}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_resets_the_stream_of_an_http2_provider() {
    let simulator = Simulator::local(Script::default()).expect("a free port");
    let gateway = Gateway::start(&format!("{}http = \"2\"\n", one(&simulator.url())));
    for model in ["sim-stall-3", "sim-latency-60s"] {
        simulator.forget();
        let mut connection = gateway.connect().await;
        let body = json!({"model": model, "stream": true, "messages": []});
        connection.send(&Request::post("/v1/chat/completions").json(&body)).await;
        let arrived = simulator.wait(raw::DEADLINE, |seen| seen.len() == 1).await;
        assert!(arrived, "{model}");
        let left = clock::now();
        drop(connection);
        let gone = simulator.wait(raw::DEADLINE, |seen| seen[0].cancelled_at().is_some()).await;
        assert!(gone, "{model}");
        let took = simulator.requests()[0]
            .cancelled_at()
            .expect("just seen")
            .saturating_duration_since(left);
        assert!(took.as_millis() < 100, "{model}: {took:?}");
    }
    assert!(gateway.ended(2).await.iter().all(|fact| fact.outcome == "client_cancelled"));
}

#[tokio::test]
async fn http2_with_prior_knowledge_on_the_providers_side() {
    let simulator = Simulator::local(Script::default()).expect("a free port");
    let gateway =
        Gateway::start(&format!("[server]\nworkers = 1\n{}http = \"2\"\n", one(&simulator.url())));
    for stream in [false, true] {
        let body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let (response, fact) =
            gateway.call(&Request::post("/v1/chat/completions").json(&body)).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(fact.outcome, "complete");
        assert_eq!(response.text().ends_with("data: [DONE]\n\n"), stream);
    }
    let seen = simulator.requests();
    assert!(seen.iter().all(|seen| seen.version == http::Version::HTTP_2), "{seen:?}");
    assert_eq!(seen[0].connection, seen[1].connection, "one connection for both");
}

#[tokio::test]
async fn a_tls_listener_speaks_both_versions() {
    let certificates = Certificates::new("localhost");
    let upstream = Upstream::always(vec![Step::Send(answer_json("{ }"))]).await;
    let toml = format!(
        "[server.tls]\ncert = {:?}\nkey = {:?}\n{}",
        certificates.path("cert.pem"),
        certificates.path("key.pem"),
        one(&upstream.url())
    );
    let gateway = Gateway::start(&toml);
    for protocol in ["h2", "http/1.1"] {
        let socket = TcpStream::connect(gateway.addr).await.expect("a gateway");
        let name = "localhost".try_into().expect("a name");
        let mut socket =
            certificates.connector(&[protocol]).connect(name, socket).await.expect("TLS");
        let agreed = socket.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed.as_deref(), Some(protocol.as_bytes()));
        if protocol == "h2" {
            let answered = over_http2(socket, "localhost", r#"{"model":"m"}"#).await;
            assert_eq!(answered, (200, "{ }".to_owned()));
        } else {
            let request = chat().header("connection", "close").bytes();
            socket.write_all(&request).await.expect("sent");
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.expect("an answer");
            assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\n{ }"));
        }
    }
    let clear = raw::connect(gateway.addr).await;
    drop(clear);
}

#[tokio::test]
async fn a_provider_under_tls_is_trusted_by_its_own_authority() {
    let certificates = Certificates::new("localhost");
    let acceptor = certificates.acceptor(&["http/1.1"]);
    let upstream = Upstream::tls(acceptor, |_| vec![Step::Send(answer_json("{ }"))]).await;
    let url = format!("https://localhost:{}", upstream.addr.port());
    let trusting = format!("{}ca_file = {:?}\n", one(&url), certificates.path("ca.pem"));
    let gateway = Gateway::start(&trusting);
    let (response, fact) = gateway.call(&chat()).await;
    assert_eq!((response.status, response.text().as_str()), (200, "{ }"), "{fact:?}");
    let gateway = Gateway::start(&one(&url));
    let (response, fact) = gateway.call(&chat()).await;
    assert_eq!(response.status, 502);
    assert_eq!(response.json()["error"]["code"], "upstream_unreachable");
    assert!(response.text().contains("TLS"), "{}", response.text());
    assert_eq!(fact.outcome, "upstream_reset");
}

#[tokio::test]
async fn http2_is_negotiated_under_tls() {
    let certificates = Certificates::new("localhost");
    let url = http2_provider(&certificates).await;
    let gateway =
        Gateway::start(&format!("{}ca_file = {:?}\n", one(&url), certificates.path("ca.pem")));
    let (response, fact) = gateway.call(&chat()).await;
    assert_eq!((response.status, response.text().as_str()), (200, "HTTP/2.0"), "{fact:?}");
    let gateway = Gateway::start(&format!(
        "{}http = \"1\"\nca_file = {:?}\n",
        one(&url),
        certificates.path("ca.pem")
    ));
    let (response, _) = gateway.call(&chat()).await;
    assert_eq!(response.text(), "HTTP/1.1");
}

/// A provider that speaks both versions under TLS and answers with the version it was asked in.
async fn http2_provider(certificates: &Certificates) -> String {
    let acceptor = Arc::new(certificates.acceptor(&["h2", "http/1.1"]));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    task::spawn("TLS provider", async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(socket).await else {
                continue;
            };
            let service = hyper::service::service_fn(
                |request: http::Request<hyper::body::Incoming>| async move {
                    let version = format!("{:?}", request.version());
                    Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(
                        version,
                    ))))
                },
            );
            task::spawn("TLS connection", async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // The test sees at the client's end how a connection ended.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn https_goes_through_the_proxy_by_connect() {
    let certificates = Certificates::new("provider.test");
    let acceptor = certificates.acceptor(&["http/1.1"]);
    let upstream = Upstream::tls(acceptor, |_| vec![Step::Send(answer_json("{ }"))]).await;
    let proxy = Proxy::start(upstream.addr).await;
    let toml =
        format!("{}ca_file = {:?}\n", one("https://provider.test/"), certificates.path("ca.pem"));
    let through = format!("http://user:pass@{}", proxy.addr);
    let variables = [("HTTPS_PROXY", through.as_str())];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    let (response, fact) = gateway.call(&chat()).await;
    assert_eq!((response.status, response.text().as_str()), (200, "{ }"), "{fact:?}");
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with("CONNECT provider.test:443 HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{heads:?}");
    assert_eq!(upstream.only().header("proxy-authorization"), None);

    let variables = [("HTTPS_PROXY", through.as_str()), ("NO_PROXY", "example.org,.test")];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    let (response, _) = gateway.call(&chat()).await;
    assert_eq!(response.status, 502, "the name resolves nowhere");
    assert_eq!(proxy.heads().len(), 1, "the proxy was not asked");
}

#[tokio::test]
async fn http_goes_through_the_proxy_in_absolute_form_and_loopback_does_not() {
    let upstream = Upstream::always(vec![Step::Send(answer_json("{ }"))]).await;
    let proxy = Proxy::start(upstream.addr).await;
    let address = proxy.addr.to_string();
    let variables = [("HTTP_PROXY", address.as_str())];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &one("http://provider.test/"), &setting);
    assert_eq!(gateway.send(&chat()).await.text(), "{ }");
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with("POST http://provider.test/v1/chat/completions HTTP/1.1\r\n"),
        "{heads:?}"
    );
    assert_eq!(upstream.only().header("host"), Some("provider.test"));
    let gateway = Gateway::start_with("pinhole.toml", &one(&upstream.url()), &setting);
    assert_eq!(gateway.send(&chat()).await.text(), "{ }");
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn connections_are_reused_on_both_sides() {
    let upstream = Upstream::always(vec![Step::Send(answer_json("{ }"))]).await;
    let gateway = Gateway::start(&format!("[server]\nworkers = 1\n{}", one(&upstream.url())));
    let mut connection = gateway.connect().await;
    for round in 0..5 {
        connection.send(&chat()).await;
        let response = connection.read_response().await;
        assert_eq!(response.text(), "{ }");
        let fact = gateway.exchange(response.header("x-pinhole-id").expect("an id")).await;
        assert_eq!(fact.attempt().reused, round > 0, "round {round}");
    }
    assert!(upstream.got().iter().all(|got| got.connection == 0));
}

#[tokio::test]
async fn a_pooled_connection_that_died_is_replaced_unnoticed() {
    let closing = vec![Step::Send(answer_json("{ }")), Step::Close];
    let upstream = Upstream::always(closing).await;
    let gateway = Gateway::start(&format!("[server]\nworkers = 1\n{}", one(&upstream.url())));
    for round in 0..5 {
        let (response, fact) = gateway.call(&chat()).await;
        assert_eq!((response.status, fact.outcome), (200, "complete"), "round {round}");
    }
    assert_eq!(upstream.got().len(), 5, "each was sent once");
}

#[tokio::test]
async fn small_writes_are_not_delayed() {
    // With Nagle's algorithm against delayed acknowledgements each round would take 40 ms or more.
    let upstream = Upstream::start(|_| {
        let mut steps = stream_of(&["data: 1\n\n", "data: 2\n\n"]);
        steps.push(Step::Wait(std::time::Duration::ZERO));
        steps
    })
    .await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    let started = clock::now();
    for _ in 0..50 {
        connection.send(&chat()).await;
        let response = connection.read_response().await;
        assert!(find(&response.body, b"data: 2").is_some());
    }
    let took = started.elapsed();
    assert!(took.as_millis() < 50 * 20, "50 rounds took {took:?}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_was_taken() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    task::spawn("hasty provider", async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 200];
            // Whatever has come of it, the answer is this; the rest is never read.
            let _ = socket.read(&mut head).await;
            let _ = socket.write_all(&answer(413, &[("connection", "close")], "too large")).await;
            std::mem::forget(socket);
        }
    });
    let gateway = Gateway::start(&one(&url));
    let body = format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat(20 << 20));
    for _ in 0..2 {
        let (response, fact) =
            gateway.call(&Request::post("/v1/chat/completions").body(body.clone())).await;
        assert_eq!((response.status, response.text().as_str()), (413, "too large"));
        assert_eq!((fact.outcome, fact.attempt().reused), ("upstream_error", false));
    }
}

#[tokio::test]
async fn odd_request_lines_do_no_harm() {
    let upstream = Upstream::always(vec![Step::Send(answer_json("{ }"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let body = "content-type: application/json\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}";
    for (head, status) in [
        ("CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n".to_owned(), 404),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 204),
        (
            format!(
                "POST http://api.openai.com/v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\n{body}"
            ),
            200,
        ),
        (format!("POST /v1/chat/completions HTTP/1.0\r\n{body}"), 200),
        (format!("POST /v1/chat/completions?#x HTTP/1.1\r\nhost: x\r\n{body}"), 200),
        ("TRACE / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 405),
    ] {
        let mut connection = gateway.connect().await;
        connection.write(head.as_bytes()).await;
        let response = connection.read_response().await;
        assert_eq!(response.status, status, "{head}: {}", response.text());
    }
    assert!(
        upstream.got().iter().all(|got| got.target == "/v1/chat/completions"),
        "{:?}",
        upstream.got()
    );
}

#[tokio::test]
async fn a_dead_http2_connection_is_replaced() {
    let simulator = Simulator::local(Script::default()).expect("a free port");
    let addr = simulator.addr();
    let toml = format!("[server]\nworkers = 1\n{}http = \"2\"\n", one(&simulator.url()));
    let gateway = Gateway::start(&toml);
    assert_eq!(gateway.send(&chat()).await.status, 200);
    simulator.stop();
    let listener = std::net::TcpListener::bind(addr).expect("the port that was freed");
    let again =
        Simulator::start(listener, Script::default(), pinhole::simulate::Options::default());
    let again = again.expect("a simulator");
    let (response, fact) = gateway.call(&chat()).await;
    assert_eq!(response.status, 200, "{fact:?}");
    assert_eq!(again.counts().requests, 1);
}

#[tokio::test]
async fn answers_are_never_mixed_up() {
    let upstream = Upstream::start(|got| vec![Step::Send(answer_json(&got.text()))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut calls = tokio::task::JoinSet::new();
    for client in 0..20 {
        let addr = gateway.addr;
        calls.spawn(async move {
            for round in 0..25 {
                let body = format!(
                    r#"{{"model":"m","who":"{client}/{round}","x":"{}"}}"#,
                    "x".repeat(round * 997)
                );
                let request = Request::post("/v1/chat/completions").body(body.clone());
                let mut connection = raw::connect(addr).await;
                connection.send(&request).await;
                // Every third leaves at some point of its answer.
                if (client + round) % 3 == 0 {
                    let _ = connection.read_head().await;
                    continue;
                }
                assert_eq!(connection.read_response().await.text(), body);
            }
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("no mix-up");
    }
    assert_eq!(gateway.ended(500).await.len(), 500, "one record each");
}

#[tokio::test]
async fn what_a_provider_says_unasked_is_nobodys_answer() {
    for unasked in [
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled",
        "more",
        "\r\n",
    ] {
        for pause in [0, 20] {
            let steps = vec![
                Step::Send(answer_json("{ }")),
                Step::Wait(std::time::Duration::from_millis(pause)),
                Step::send(unasked),
            ];
            let upstream = Upstream::always(steps).await;
            let gateway =
                Gateway::start(&format!("[server]\nworkers = 1\n{}", one(&upstream.url())));
            for round in 0..4 {
                let (response, fact) = gateway.call(&chat()).await;
                let seen = (response.status, response.text(), fact.outcome);
                assert_eq!(
                    seen,
                    (200, "{ }".to_owned(), "complete"),
                    "{unasked:?} after {pause} ms, round {round}"
                );
                eventually("it was said", || (upstream.said() > round).then_some(())).await;
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_answer_is_not_the_next_ones_beginning() {
    let upstream = Upstream::start(|got| {
        let late = vec![
            Step::send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal"),
            Step::Wait(std::time::Duration::from_millis(30)),
            Step::send("f-done"),
        ];
        if got.text().contains("slow") { late } else { vec![Step::Send(answer_json("{ }"))] }
    })
    .await;
    let gateway = Gateway::start(&format!("[server]\nworkers = 1\n{}", one(&upstream.url())));
    for _ in 0..5 {
        let mut connection = gateway.connect().await;
        connection.send(&Request::post("/v1/chat/completions").body(r#"{"model":"slow"}"#)).await;
        assert!(connection.read_head().await.is_some());
        drop(connection);
        let (response, _) = gateway.call(&chat()).await;
        assert_eq!((response.status, response.text().as_str()), (200, "{ }"));
    }
}
