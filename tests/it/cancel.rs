//! A client that goes away: the provider's connection goes with it, unless the answer was complete.

use std::time::{Duration, Instant};

use pinhole::base::clock;

use crate::support::eventually;
use crate::support::gateway::{Fact, Gateway, one};
use crate::support::raw::{Connection, Request};
use crate::support::upstream::{self, Step, Upstream, chunk, chunked, event_stream, last_chunk};

/// The promise: so long after the client, and no longer, the provider is hung up on.
const AT_MOST: Duration = Duration::from_millis(100);

fn request(path: &str, stream: bool) -> Request {
    let body = format!(r#"{{"model":"m","stream":{stream}}}"#);
    Request::post(path).header("content-type", "application/json").body(body)
}

/// Drops the client's connection; how long after that the provider's closed, and the exchange's record.
async fn leave(gateway: &Gateway, upstream: &Upstream, connection: Connection) -> (Duration, Fact) {
    let left: Instant = clock::now();
    drop(connection);
    let closed = upstream.closed(0).await;
    let fact = gateway.ended(1).await.remove(0);
    assert_eq!(gateway.exchanges().len(), 1);
    (closed.saturating_duration_since(left), fact)
}

fn check_cancelled((took, fact): (Duration, Fact), what: &str) {
    assert!(took < AT_MOST, "{what}: hung up after {took:?}");
    assert_eq!(fact.outcome, "client_cancelled", "{what}: {fact:?}");
    assert_eq!(fact.failure, None, "{what}: nobody is to blame");
}

const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
];

#[tokio::test]
async fn before_the_first_byte() {
    for path in PATHS {
        for stream in [true, false] {
            let upstream = Upstream::always(vec![Step::Hold]).await;
            let gateway = Gateway::start(&one(&upstream.url()));
            let mut connection = gateway.connect().await;
            connection.send(&request(path, stream)).await;
            upstream.request(0).await;
            check_cancelled(leave(&gateway, &upstream, connection).await, path);
        }
    }
}

#[tokio::test]
async fn while_waiting_for_a_place() {
    for limits in ["in_flight = 1", "in_flight = 1000"] {
        let upstream = Upstream::always(vec![Step::Hold, Step::send(upstream::json("{}"))]).await;
        let toml =
            format!("[limits]\n{limits}\nwait = \"20s\"\n{}in_flight = 1\n", one(&upstream.url()));
        let gateway = Gateway::start(&toml);
        let mut running = gateway.connect().await;
        running.send(&request(PATHS[0], false)).await;
        upstream.request(0).await;
        let mut waiting = gateway.connect().await;
        waiting.send(&request(PATHS[0], false)).await;
        eventually("both are in", || (gateway.shared().in_flight() == 2).then_some(())).await;
        drop(waiting);
        let fact = gateway.ended(1).await.remove(0);
        assert_eq!((fact.outcome, fact.attempts.len()), ("client_cancelled", 0), "{limits}");
        upstream.release();
        assert_eq!(running.read_response().await.status, 200);
        assert_eq!(gateway.send(&request(PATHS[0], false)).await.status, 200, "the place is free");
        assert_eq!(upstream.got().len(), 2, "the one that left was never sent");
    }
}

#[tokio::test]
async fn while_the_provider_is_being_connected() {
    let silent = Upstream::always(vec![]).await;
    let url = format!("https://localhost:{}", silent.addr.port());
    let gateway = Gateway::start(&one(&url));
    let mut connection = gateway.connect().await;
    connection.send(&request(PATHS[0], true)).await;
    silent.heard().await;
    check_cancelled(leave(&gateway, &silent, connection).await, "connecting");
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    for path in PATHS {
        let steps =
            vec![Step::Send(event_stream()), Step::Send(chunk("data: {\"a\":1}\n\n")), Step::Hold];
        let upstream = Upstream::always(steps).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let mut connection = gateway.connect().await;
        connection.send(&request(path, true)).await;
        connection.read_head().await.expect("a head");
        assert!(connection.read_until("\n\n").await.1);
        let (took, fact) = leave(&gateway, &upstream, connection).await;
        assert_eq!(fact.attempt().bytes, 15, "{path}");
        assert_eq!(fact.status, Some(200));
        check_cancelled((took, fact), path);
    }
}

#[tokio::test]
async fn in_the_middle_of_a_plain_answer() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":";
    let upstream = Upstream::always(vec![Step::send(half), Step::Hold]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&request(PATHS[0], false)).await;
    connection.read_head().await.expect("a head");
    assert!(connection.read_until("half").await.1);
    check_cancelled(leave(&gateway, &upstream, connection).await, "plain");
}

#[tokio::test]
async fn while_the_stream_runs_at_full_speed() {
    let mut steps = vec![Step::Send(event_stream())];
    for _ in 0..2_000 {
        steps.push(Step::Send(chunk(format!("data: {}\n\n", "x".repeat(4_000)))));
    }
    steps.push(Step::Hold);
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&request(PATHS[0], true)).await;
    connection.read_head().await.expect("a head");
    connection.read_chunk().await.expect("a frame");
    check_cancelled(leave(&gateway, &upstream, connection).await, "full speed");
}

#[tokio::test]
async fn over_http2_a_cancelled_stream_is_a_client_gone() {
    use http_body_util::Full;
    use hyper::body::Bytes;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let upstream = Upstream::always(vec![Step::Hold]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let socket = tokio::net::TcpStream::connect(gateway.addr).await.expect("a gateway");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .expect("HTTP/2");
    pinhole::base::task::spawn("HTTP/2 client", connection);
    let request = http::Request::post(format!("http://{}/v1/chat/completions", gateway.addr))
        .body(Full::new(Bytes::from_static(br#"{"model":"m"}"#)))
        .expect("a request");
    let pending = pinhole::base::task::spawn("call", sender.send_request(request));
    upstream.request(0).await;
    let left = clock::now();
    pending.abort();
    let took = upstream.closed(0).await.saturating_duration_since(left);
    assert!(took < AT_MOST, "hung up after {took:?}");
    assert_eq!(gateway.ended(1).await[0].outcome, "client_cancelled");
}

/// A client that leaves after `events`, of which the last ends the answer; `tail` comes after it.
async fn check_terminal(path: &str, events: &[&str], tail: &str) {
    let mut steps = vec![Step::Send(event_stream())];
    steps.extend(events.iter().map(|event| Step::Send(chunk(event))));
    steps.push(Step::Hold);
    steps.extend([Step::Send(chunk(tail)), Step::Send(last_chunk())]);
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&request(path, true)).await;
    connection.read_head().await.expect("a head");
    let last = events.last().expect("an event");
    assert!(connection.read_until(last).await.1, "{path}");
    drop(connection);
    upstream.release();
    let fact = gateway.ended(1).await.remove(0);
    assert_eq!((fact.outcome, fact.failure), ("complete", None), "{path}");
    let whole = events.concat().len() + tail.len();
    assert_eq!(fact.attempt().bytes, whole as u64, "{path}: the tail is read");
    assert_eq!(fact.response_bytes, events.concat().len() as u64, "{path}");
}

#[tokio::test]
async fn after_the_last_event_the_answer_was_complete() {
    let tail = ": usage may follow\n\n";
    let chat = ["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "data: [DONE]\n\n"];
    check_terminal(PATHS[0], &chat, tail).await;
    check_terminal("/v1/completions", &chat, tail).await;
    for last in ["response.completed", "response.incomplete", "response.failed"] {
        let event = format!("event: {last}\ndata: {{\"type\":\"{last}\",\"response\":{{}}}}\n\n");
        check_terminal(PATHS[1], &["event: x\ndata: {}\n\n", &event], tail).await;
    }
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    check_terminal(
        PATHS[2],
        &["event: message_start\ndata: {\"type\":\"message_start\"}\n\n", stop],
        tail,
    )
    .await;
    for finish in [
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
        "data: {\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{}}\r\n\r\n",
        "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n",
    ] {
        check_terminal(PATHS[3], &["data: {\"candidates\":[{}]}\n\n", finish], tail).await;
    }
    check_terminal("/providers/up/v1/chat/completions", &chat, tail).await;
}

#[tokio::test]
async fn after_the_end_of_geminis_array_too() {
    let whole = "[{\"candidates\":[{\"finishReason\":\"STOP\"}]}\n]\n";
    let steps = vec![
        Step::Send(chunked(200, &[("content-type", "application/json")])),
        Step::Send(chunk(whole)),
        Step::Hold,
        Step::Send(last_chunk()),
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&request("/v1beta/models/m:streamGenerateContent", true)).await;
    connection.read_head().await.expect("a head");
    assert!(connection.read_until("\n]\n").await.1);
    drop(connection);
    upstream.release();
    assert_eq!(gateway.ended(1).await[0].outcome, "complete");
}

#[tokio::test]
async fn a_long_last_event_is_seen_too() {
    let text = "words ".repeat(50_000);
    let event = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{{\"text\":\"{text}\"}}],\
         \"usage\":{{\"input_tokens\":1}},\"metadata\":{{}}}}}}\n\n"
    );
    check_terminal(PATHS[1], &[&event], ": x\n\n").await;
}

#[tokio::test]
async fn words_that_only_look_like_the_end_are_not_the_end() {
    for (path, event) in [
        (PATHS[0], "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\\n\\n\"}}]}\n\n"),
        (PATHS[0], "data: [DONE"),
        (
            PATHS[1],
            "event: response.output_text.delta\ndata: {\"type\":\"x\",\"delta\":\"response.completed\"}\n\n",
        ),
        (
            PATHS[2],
            "event: content_block_delta\ndata: {\"type\":\"x\",\"text\":\"message_stop\"}\n\n",
        ),
        (
            PATHS[3],
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"finishReason STOP\"}]}}]}\n\n",
        ),
    ] {
        let steps = vec![Step::Send(event_stream()), Step::Send(chunk(event)), Step::Hold];
        let upstream = Upstream::always(steps).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let mut connection = gateway.connect().await;
        connection.send(&request(path, true)).await;
        connection.read_head().await.expect("a head");
        assert!(connection.read_until(event).await.1);
        check_cancelled(leave(&gateway, &upstream, connection).await, event);
    }
}

#[tokio::test]
async fn the_tail_is_read_for_a_second_at_most() {
    let steps = vec![Step::Send(event_stream()), Step::Send(chunk("data: [DONE]\n\n")), Step::Hold];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&request(PATHS[0], true)).await;
    connection.read_head().await.expect("a head");
    assert!(connection.read_until("[DONE]\n\n").await.1);
    let (took, fact) = leave(&gateway, &upstream, connection).await;
    assert!((900..2_000).contains(&took.as_millis()), "hung up after {took:?}");
    assert_eq!(fact.outcome, "complete");
}

#[tokio::test]
async fn places_come_back_when_clients_leave() {
    let upstream = Upstream::always(vec![Step::Hold]).await;
    let toml =
        format!("[limits]\nin_flight = 1\nwait = \"5s\"\n{}in_flight = 1\n", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    for round in 0..4 {
        let mut connection = gateway.connect().await;
        connection.send(&request(PATHS[0], true)).await;
        upstream.request(round).await;
        drop(connection);
        gateway.ended(round + 1).await;
    }
    assert_eq!(gateway.shared().in_flight(), 0);
}
