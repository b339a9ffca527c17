//! Streams frame by frame: whatever bytes come, at once, in their order, none added.

use std::time::Duration;

use crate::support::gateway::{Gateway, one};
use crate::support::raw::{End, Request};
use crate::support::upstream::{Step, Upstream, chunk, event_stream, last_chunk};

fn streaming(path: &str) -> Request {
    let body = if path.contains("streamGenerateContent") {
        "{}"
    } else {
        r#"{"model":"m","stream":true}"#
    };
    Request::post(path)
        .header("content-type", "application/json")
        .body(body)
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
        vec![
            ": comment\n\n".as_bytes(),
            b"data: 1\r\n\r\n",
            b": \n\n",
            b"data: 2\n\n",
        ],
        vec![
            b"event: no.such.event\nid: 7\nretry: 10\nx: y\ndata: {\n\n",
            b"data: [DONE]\n\n",
        ],
        vec![
            b"data: \xf0\x9f",
            b"\x98",
            b"\x80\n",
            b"\n",
            b"d",
            b"ata: [DO",
            b"NE]\n\n",
        ],
        vec![
            b"data: \xff\xfe\x00 not text\n\n",
            b"\xef\xbb\xbfdata: bom\n\n",
        ],
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
            let shown: String = String::from_utf8_lossy(&pieces.concat())
                .chars()
                .take(80)
                .collect();
            assert!(response.body == pieces.concat(), "{path}: {shown:?}");
            assert_eq!(
                (response.end, fact.outcome),
                (End::Clean, "complete"),
                "{path} {shown:?}"
            );
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
        assert_eq!(
            (rest.as_slice(), end),
            (b"data: 1\n\ndata: 2\n\n".as_slice(), End::Clean)
        );
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
    for (path, comment) in [
        (PATHS[0], ": keep-alive\n\n"),
        (PATHS[2], "event: ping\ndata: {\"type\":\"ping\"}\n\n"),
    ] {
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
        assert_eq!(
            text.replace(comment, ""),
            "data: {\"half\": 2}\n\n",
            "{path}"
        );
        assert_eq!(end, End::Clean);
    }
}
