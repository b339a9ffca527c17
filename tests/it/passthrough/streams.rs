//! Streams frame by frame: whatever bytes come, at once, in their order, none added.

use std::io::Write as _;
use std::time::Duration;

use crate::support::gateway::{Gateway, one};
use crate::support::raw::{End, Request};
use crate::support::upstream::{
    Step, Upstream, answer, chunk, chunked, event_stream, last_chunk, stream_of,
};

fn streaming(path: &str) -> Request {
    let body = if path.contains("streamGenerateContent") {
        "{}"
    } else {
        r#"{"model":"m","stream":true}"#
    };
    Request::post(path).header("content-type", "application/json").body(body)
}

const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
];

#[tokio::test]
async fn any_bytes_pass_untouched() {
    let long = format!("data: {}\n\n", "é".repeat(400_000));
    for pieces in [
        vec![": comment\n\n".as_bytes(), b"data: 1\r\n\r\n", b": \n\n", b"data: 2\n\n"],
        vec![b"event: no.such.event\nid: 7\nretry: 10\nx: y\ndata: {\n\n", b"data: [DONE]\n\n"],
        vec![b"data: \xf0\x9f", b"\x98", b"\x80\n", b"\n", b"d", b"ata: [DO", b"NE]\n\n"],
        vec![b"data: \xff\xfe\x00 not text\n\n", b"\xef\xbb\xbfdata: bom\n\n"],
        vec![long.as_bytes(), b"data: end\n\n"],
        vec![b"no event at all", b"\r", b"\n\r\n\r\n"],
        vec![
            b"data: {\"choices\":[], no JSON}\n\n",
            b"data: [DONE]\n\n",
            b"data: after the end\n\n",
        ],
    ] {
        for path in PATHS {
            let mut steps = vec![Step::Send(event_stream())];
            steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
            steps.push(Step::Send(last_chunk()));
            let upstream = Upstream::always(steps).await;
            let gateway = Gateway::start(&one(&upstream.url()));
            let (response, fact) = gateway.call(&streaming(path)).await;
            let shown: String =
                String::from_utf8_lossy(&pieces.concat()).chars().take(80).collect();
            assert!(response.body == pieces.concat(), "{path}: {shown:?}");
            assert_eq!((response.end, fact.outcome), (End::Clean, "complete"), "{path} {shown:?}");
        }
    }
}

#[tokio::test]
async fn each_frame_is_handed_on_before_the_next_one_comes() {
    for path in PATHS {
        let mut steps = vec![Step::Send(event_stream())];
        for number in 0..3 {
            steps.push(Step::Send(chunk(format!("data: {number}\n\n"))));
            steps.push(Step::Hold);
        }
        steps.push(Step::Send(last_chunk()));
        let upstream = Upstream::always(steps).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let mut connection = gateway.connect().await;
        connection.send(&streaming(path)).await;
        assert_eq!(connection.read_head().await.expect("a head").status, 200);
        // The provider holds the rest back until this one has arrived.
        let (first, came) = connection.read_until("data: 0\n\n").await;
        assert!(came && first == b"data: 0\n\n", "{path}");
        upstream.release();
        let (rest, end) = connection.read_body().await;
        assert_eq!((rest.as_slice(), end), (b"data: 1\n\ndata: 2\n\n".as_slice(), End::Clean));
    }
}

#[tokio::test]
async fn the_head_comes_before_the_first_frame() {
    let steps = vec![
        Step::Send(event_stream()),
        Step::Hold,
        Step::Send(chunk("data: 1\n\n")),
        Step::Send(last_chunk()),
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut connection = gateway.connect().await;
    connection.send(&streaming(PATHS[0])).await;
    let head = connection.read_head().await.expect("a head");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    upstream.release();
    assert_eq!(connection.read_body().await.0, b"data: 1\n\n");
}

#[tokio::test]
async fn quiet_streams_are_kept_alive_between_events_alone() {
    for (path, comment) in
        [(PATHS[0], ": keep-alive\n\n"), (PATHS[2], "event: ping\ndata: {\"type\":\"ping\"}\n\n")]
    {
        let steps = vec![
            Step::Send(event_stream()),
            Step::Send(chunk("data: 1\n\n")),
            Step::Hold,
            // In the middle of an event nothing may be written, however long it takes.
            Step::Send(chunk("data: {\"half\"")),
            Step::Wait(Duration::from_millis(120)),
            Step::Send(chunk(": 2}\n\n")),
            Step::Send(last_chunk()),
        ];
        let upstream = Upstream::always(steps).await;
        let toml = format!("[streams]\nkeep_alive = \"30ms\"\n{}", one(&upstream.url()));
        let gateway = Gateway::start(&toml);
        let mut connection = gateway.connect().await;
        connection.send(&streaming(path)).await;
        connection.read_head().await.expect("a head");
        let (begun, came) = connection.read_until(comment).await;
        assert!(came && begun.starts_with(b"data: 1\n\n"), "{path}");
        upstream.release();
        let (rest, end) = connection.read_body().await;
        let text = String::from_utf8_lossy(&rest).into_owned();
        assert_eq!(text.replace(comment, ""), "data: {\"half\": 2}\n\n", "{path}");
        assert_eq!(end, End::Clean);
    }
}

#[tokio::test]
async fn a_stream_is_opened_early_and_kept_alive_until_its_answer_comes() {
    for (path, comment, error) in [
        (PATHS[0], ": keep-alive\n\n", "data: {\"error\":{\"message\":\"slow down\""),
        (PATHS[1], ": keep-alive\n\n", "event: error\ndata: {\"type\":\"error\""),
        (PATHS[2], "event: ping\n", "event: error\ndata: {"),
    ] {
        let rest = [
            Step::Send(event_stream()),
            Step::Send(chunk("data: 1\n\n")),
            Step::Send(last_chunk()),
        ];
        let late =
            r#"{"error":{"message":"slow down","type":"rate_limit","code":"r","param":null}}"#;
        let refusal = answer(429, &[("content-type", "application/json")], late);
        for (steps, expected) in [
            ([&[Step::Hold], &rest[..]].concat(), "data: 1\n\n"),
            (vec![Step::Hold, Step::Send(refusal)], error),
        ] {
            let upstream = Upstream::always(steps).await;
            let toml = format!("[streams]\nkeep_alive = \"20ms\"\n{}", one(&upstream.url()));
            let gateway = Gateway::start(&toml);
            let mut connection = gateway.connect().await;
            connection.send(&streaming(path)).await;
            let head = connection.read_head().await.expect("a head before the answer");
            assert_eq!(
                (head.status, head.header("content-type")),
                (200, Some("text/event-stream"))
            );
            let id = head.header("x-pinhole-id").expect("an id").to_owned();
            let (_, came) = connection.read_until(comment).await;
            assert!(came, "{path}: a comment while nothing comes");
            upstream.release();
            let (body, end) = connection.read_body().await;
            let text = String::from_utf8_lossy(&body).into_owned();
            assert!(text.contains(expected), "{path}: {text}");
            assert_eq!(end, End::Clean, "{path}");
            gateway.exchange(&id).await;
        }
    }
}

#[tokio::test]
async fn an_answer_in_time_is_as_it_would_be_without_keep_alive() {
    let late = r#"{"error":{"message":"slow down"}}"#;
    let refusal = answer(429, &[("content-type", "application/json")], late);
    let upstream = Upstream::always(vec![Step::Send(refusal)]).await;
    let toml = format!("[streams]\nkeep_alive = \"10s\"\n{}", one(&upstream.url()));
    let response = Gateway::start(&toml).send(&streaming(PATHS[0])).await;
    assert_eq!((response.status, response.text().as_str()), (429, late));
}

/// One gzip member over all of `pieces`, flushed after each.
fn gzipped(pieces: &[&str]) -> Vec<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut out = Vec::new();
    for piece in pieces {
        encoder.write_all(piece.as_bytes()).expect("memory");
        encoder.flush().expect("memory");
        out.push(std::mem::take(encoder.get_mut()));
    }
    out.push(encoder.finish().expect("memory"));
    out
}

fn gzip_stream() -> Vec<u8> {
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    chunked(200, &headers)
}

#[tokio::test]
async fn nothing_is_written_into_a_compressed_stream() {
    let pieces = gzipped(&["data: 1\n\n", "data: [DONE]\n\n"]);
    for path in PATHS {
        // Quiet for longer than the keep-alive, then on: untouched.
        let mut steps = vec![Step::Send(gzip_stream())];
        for piece in &pieces {
            steps.extend([Step::Send(chunk(piece)), Step::Wait(Duration::from_millis(80))]);
        }
        steps.push(Step::Send(last_chunk()));
        let upstream = Upstream::always(steps).await;
        let toml = format!(
            "[streams]\nkeep_alive = \"20ms\"\ninclude_usage = \"when_missing\"\n{}",
            one(&upstream.url())
        );
        let gateway = Gateway::start(&toml);
        let (response, fact) = gateway.call(&streaming(path)).await;
        assert_eq!(response.body, pieces.concat(), "{path}");
        assert_eq!((response.end, fact.outcome), (End::Clean, "complete"), "{path}");
        // Stalled: cut, for an event in clear text would be garbage there.
        let steps = vec![Step::Send(gzip_stream()), Step::Send(chunk(&pieces[0])), Step::Hold];
        let upstream = Upstream::always(steps).await;
        let gateway =
            Gateway::start(&format!("[timeouts]\nidle = \"100ms\"\n{}", one(&upstream.url())));
        let (response, fact) = gateway.call(&streaming(path)).await;
        assert_eq!(response.body, pieces[0], "{path}");
        assert_ne!(response.end, End::Clean, "{path}");
        assert_eq!(fact.outcome, "timeout", "{path}");
    }
}

#[tokio::test]
async fn a_stream_whose_usage_is_asked_for_comes_uncompressed() {
    let done = "data: [DONE]\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let upstream = Upstream::always(stream_of(&[usage, done])).await;
    let toml = format!("[streams]\ninclude_usage = \"when_missing\"\n{}", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    let request = streaming(PATHS[0]).header("accept-encoding", "gzip, br, zstd");
    let (response, fact) = gateway.call(&request).await;
    assert_eq!(response.text(), done);
    assert_eq!(upstream.only().header("accept-encoding"), Some("identity"));
    assert_eq!(fact.attempt().edits, ["stream_options", "accept-encoding"]);
}

#[tokio::test]
async fn an_event_that_stalls_half_way_is_cut_there() {
    for path in PATHS {
        for half in ["data: {\"half\":", "data: {}\n", "event: x\ndata: {}\r\n"] {
            let steps = vec![
                Step::Send(event_stream()),
                Step::Send(chunk("data: 1\n\n")),
                Step::Send(chunk(half)),
                Step::Hold,
            ];
            let upstream = Upstream::always(steps).await;
            let gateway =
                Gateway::start(&format!("[timeouts]\nidle = \"100ms\"\n{}", one(&upstream.url())));
            let (response, fact) = gateway.call(&streaming(path)).await;
            assert_eq!(response.text(), format!("data: 1\n\n{half}"), "{path}");
            assert_ne!(response.end, End::Clean, "{path}");
            assert_eq!(fact.outcome, "timeout", "{path}");
        }
    }
}
