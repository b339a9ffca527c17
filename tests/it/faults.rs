//! The fault table: each thing that goes wrong at a provider, in each dialect; what the client sees, what the record says.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::{Fact, Gateway, Setting, one};
use crate::support::raw::{End, Request, Response};
use crate::support::upstream::{Step, Upstream, answer, chunk, event_stream, json, last_chunk};

/// One dialect: where it is asked, a first event, a last one.
struct Tongue {
    label: &'static str,
    path: &'static str,
    first: &'static str,
    last: &'static str,
}

const TONGUES: [Tongue; 4] = [
    Tongue {
        label: "OpenAiChat",
        path: "/v1/chat/completions",
        first: "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        last: "data: [DONE]\n\n",
    },
    Tongue {
        label: "OpenAiResponses",
        path: "/v1/responses",
        first: "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
        last: "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n",
    },
    Tongue {
        label: "Anthropic",
        path: "/v1/messages",
        first: "event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
        last: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    },
    Tongue {
        label: "Gemini",
        path: "/v1beta/models/m:streamGenerateContent?alt=sse",
        first: "data: {\"candidates\":[{\"content\":{}}]}\n\n",
        last: "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
    },
];

impl Tongue {
    fn request(&self) -> Request {
        let body = r#"{"model":"m","stream":true}"#;
        Request::post(self.path).header("content-type", "application/json").body(body)
    }

    /// The gateway's code in this dialect's envelope.
    fn code<'a>(&self, body: &'a Value) -> Option<&'a str> {
        match self.label {
            "Gemini" => body.pointer("/error/details/0/metadata/code"),
            "OpenAiResponses" if body["type"] == "error" => body.get("code"),
            _ => body.pointer("/error/code"),
        }
        .and_then(Value::as_str)
    }

    fn event(&self) -> Step {
        Step::Send(chunk(self.first))
    }
}

const PATIENCE: &str = "[timeouts]\nfirst_byte = \"150ms\"\nidle = \"150ms\"\n";

/// What became of one request.
struct Seen {
    response: Response,
    fact: Fact,
}

/// Plays `steps` to one request in this dialect; there is one record of it, of this dialect.
async fn play(tongue: &Tongue, steps: Vec<Step>) -> Seen {
    let upstream = Upstream::always(steps).await;
    play_at(tongue, &upstream.url()).await
}

async fn play_at(tongue: &Tongue, url: &str) -> Seen {
    let gateway = Gateway::start(&format!("{PATIENCE}{}", one(url)));
    let (response, fact) = gateway.call(&tongue.request()).await;
    assert_eq!(fact.dialect, tongue.label);
    assert_eq!(gateway.exchanges().len(), 1, "one record a request: {:?}", gateway.exchanges());
    Seen { response, fact }
}

/// No answer came: the gateway's own, in the dialect's envelope.
fn check_refused(
    tongue: &Tongue,
    what: &str,
    seen: &Seen,
    (status, code, outcome): (u16, &'static str, &str),
) {
    let Seen { response, fact } = seen;
    let shown = format!("{} {what}: {}", tongue.label, response.text());
    assert_eq!((response.status, response.end), (status, End::Clean), "{shown}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{shown}");
    assert_eq!(tongue.code(&response.json()), Some(code), "{shown}");
    assert_eq!(response.header("x-pinhole-upstream"), Some("up"), "{shown}");
    assert_eq!(response.header("x-pinhole-attempts"), Some("1"), "{shown}");
    assert_eq!(response.header("x-pinhole-upstream-status"), None, "{shown}");
    assert_eq!((fact.outcome, fact.failure), (outcome, Some(("upstream", code))), "{shown}");
    assert_eq!(fact.attempt().failure, Some(code), "{shown}");
    assert_eq!(fact.status, Some(status), "{shown}");
}

#[tokio::test]
async fn nobody_is_there() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    for tongue in &TONGUES {
        let unreachable = (502, "upstream_unreachable", "upstream_reset");
        let seen = play_at(tongue, &nobody).await;
        check_refused(tongue, "refused", &seen, unreachable);
        let seen = play_at(tongue, "http://no-such-name.invalid").await;
        check_refused(tongue, "no such name", &seen, unreachable);
    }
}

/// In every dialect, `steps` end as the code and the outcome say.
async fn check_no_answer(what: &str, steps: &[Step], expected: (u16, &'static str, &str)) {
    for tongue in &TONGUES {
        let seen = play(tongue, steps.to_vec()).await;
        check_refused(tongue, what, &seen, expected);
    }
}

#[tokio::test]
async fn nothing_that_is_an_answer_comes() {
    let reset = (502, "upstream_reset", "upstream_reset");
    let slow = (504, "upstream_first_byte_timeout", "timeout");
    let half = "HTTP/1.1 200 OK\r\ncontent-ty";
    for (what, steps, expected) in [
        ("closed at once", vec![Step::Close], reset),
        ("reset at once", vec![Step::Reset], reset),
        ("closed in the head", vec![Step::send(half), Step::Close], reset),
        ("slow", vec![Step::Hold], slow),
        ("slow in the head", vec![Step::send(half), Step::Hold], slow),
    ] {
        check_no_answer(what, &steps, expected).await;
    }
}

#[tokio::test]
async fn what_comes_is_not_http() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(2 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    for (what, bytes) in [
        ("garbage", b"SSH-2.0-OpenSSH_9.6\r\n\r\n".as_slice()),
        ("TLS on a clear port", b"\x15\x03\x01\x00\x02\x02\x46"),
        ("protocols switched unasked", switched.as_bytes()),
        ("a head without end", endless.as_bytes()),
        ("too many headers", many.as_bytes()),
    ] {
        let steps = [Step::send(bytes), Step::Wait(Duration::from_millis(30)), Step::Close];
        check_no_answer(what, &steps, (502, "upstream_invalid", "upstream_reset")).await;
    }
}

#[tokio::test]
async fn no_connection_within_its_time() {
    // A port that takes connections and never says a word of TLS.
    let silent = Upstream::always(vec![]).await;
    let url = format!("https://localhost:{}", silent.addr.port());
    for tongue in &TONGUES {
        let gateway = Gateway::start(&format!("[timeouts]\nconnect = \"150ms\"\n{}", one(&url)));
        let (response, fact) = gateway.call(&tongue.request()).await;
        let seen = Seen { response, fact };
        check_refused(tongue, "silent", &seen, (504, "upstream_connect_timeout", "timeout"));
        assert!(seen.response.text().contains("timeouts.connect"), "{}", seen.response.text());
    }
}

#[tokio::test]
async fn a_proxy_that_refuses() {
    let proxy =
        Upstream::always(vec![Step::Send(answer(407, &[("proxy-authenticate", "Basic")], ""))])
            .await;
    let through = proxy.url();
    let variables = [("HTTPS_PROXY", through.as_str())];
    let setting = Setting { variables: &variables, ..Setting::default() };
    for tongue in &TONGUES {
        let gateway = Gateway::start_with("pinhole.toml", &one("https://provider.test/"), &setting);
        let (response, fact) = gateway.call(&tongue.request()).await;
        let seen = Seen { response, fact };
        check_refused(tongue, "407", &seen, (502, "upstream_unreachable", "upstream_reset"));
        assert!(seen.response.text().contains("407"), "{}", seen.response.text());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_never_looks_whole() {
    for tongue in &TONGUES {
        for (what, end, even_after_the_last_event) in [
            ("closed", Step::Close, false),
            ("reset", Step::Reset, false),
            ("a chunk that is none", Step::send("zz\r\n"), false),
            ("closed after the last event, without the last chunk", Step::Close, true),
        ] {
            let mut steps = vec![Step::Send(event_stream()), tongue.event()];
            let mut expected = tongue.first.to_owned();
            if even_after_the_last_event {
                steps.push(Step::Send(chunk(tongue.last)));
                expected.push_str(tongue.last);
            }
            // The pause lets the bytes arrive before a reset, which may overtake them.
            steps.extend([Step::Wait(Duration::from_millis(30)), end]);
            let Seen { response, fact } = play(tongue, steps).await;
            let shown = format!("{} {what}: {:?}", tongue.label, response.text());
            assert_eq!(response.status, 200, "{shown}");
            assert_eq!(response.text(), expected, "nothing made up: {shown}");
            assert_ne!(response.end, End::Clean, "{shown}");
            assert_eq!(
                (fact.outcome, fact.failure),
                ("upstream_reset", Some(("upstream", "upstream_reset"))),
                "{shown}"
            );
            assert_eq!(fact.attempt().bytes, expected.len() as u64, "{shown}");
        }
    }
}

#[tokio::test]
async fn what_came_before_the_break_is_handed_on() {
    for tongue in &TONGUES {
        // All in one piece, so that the break is there when the head is.
        let bytes = [event_stream(), chunk(tongue.first)].concat();
        let Seen { response, fact } = play(tongue, vec![Step::Send(bytes), Step::Close]).await;
        assert_eq!((response.status, response.text().as_str()), (200, tongue.first));
        assert_ne!(response.end, End::Clean, "{}", tongue.label);
        assert_eq!(fact.outcome, "upstream_reset");
    }
}

#[tokio::test]
async fn a_body_shorter_than_its_length_never_looks_whole() {
    for tongue in &TONGUES {
        let half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\":";
        for end in [Step::Close, Step::Reset] {
            let pause = Step::Wait(Duration::from_millis(30));
            let Seen { response, fact } =
                play(tongue, vec![Step::send(half.to_vec()), pause, end]).await;
            assert_eq!(response.text(), "{\"half\":", "{}", tongue.label);
            assert_ne!(response.end, End::Clean, "{}", tongue.label);
            assert_eq!(fact.outcome, "upstream_reset");
        }
    }
}

#[tokio::test]
async fn a_stalled_stream_ends_with_the_dialects_error_event() {
    for tongue in &TONGUES {
        let steps = vec![Step::Send(event_stream()), tongue.event(), Step::Hold];
        let Seen { response, fact } = play(tongue, steps).await;
        let text = response.text();
        let told = text.strip_prefix(tongue.first).unwrap_or_else(|| panic!("{text}"));
        let events = crate::support::raw::events(told);
        let [(name, data)] = events.as_slice() else { panic!("one event: {told:?}") };
        let named = matches!(tongue.label, "OpenAiResponses" | "Anthropic");
        assert_eq!(name, if named { "error" } else { "" }, "{told}");
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(tongue.code(&data), Some("upstream_idle_timeout"), "{told}");
        let outcome = (fact.outcome, fact.failure);
        assert_eq!(outcome, ("timeout", Some(("upstream", "upstream_idle_timeout"))), "{fact:?}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
}

#[tokio::test]
async fn a_stalled_plain_answer_is_cut() {
    for tongue in &TONGUES {
        let half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\":";
        let Seen { response, fact } =
            play(tongue, vec![Step::send(half.to_vec()), Step::Hold]).await;
        assert_eq!(response.text(), "{\"half\":", "no event in the middle of JSON");
        assert_ne!(response.end, End::Clean);
        assert_eq!(fact.failure, Some(("upstream", "upstream_idle_timeout")));
    }
}

#[tokio::test]
async fn the_total_time_ends_a_stream_that_keeps_talking() {
    for tongue in &TONGUES {
        let mut steps = vec![Step::Send(event_stream())];
        for _ in 0..50 {
            steps.extend([tongue.event(), Step::Wait(Duration::from_millis(20))]);
        }
        let upstream = Upstream::always(steps).await;
        let gateway =
            Gateway::start(&format!("[timeouts]\ntotal = \"200ms\"\n{}", one(&upstream.url())));
        let (response, fact) = gateway.call(&tongue.request()).await;
        let text = response.text();
        assert!(text.contains("upstream_total_timeout"), "{}: {text}", tongue.label);
        let outcome = (fact.outcome, fact.failure);
        assert_eq!(outcome, ("timeout", Some(("upstream", "upstream_total_timeout"))));
        upstream.closed(0).await;
    }
}

#[tokio::test]
async fn odd_streams_pass_as_they_are() {
    for tongue in &TONGUES {
        let huge = format!("data: {{\"x\":\"{}\"}}\n\n", "a".repeat(2 << 20));
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
        for (what, middle) in [
            ("huge line", huge.as_str()),
            ("malformed event", "data: {\"broken\": [1, 2\n\n"),
            ("error event", error),
            ("no event", "garbage\n"),
        ] {
            let steps = vec![
                Step::Send(event_stream()),
                tongue.event(),
                Step::Send(chunk(middle)),
                Step::Send(chunk(tongue.last)),
                Step::Send(last_chunk()),
            ];
            let Seen { response, fact } = play(tongue, steps).await;
            let expected = [tongue.first, middle, tongue.last].concat();
            assert!(response.body == expected.as_bytes(), "{} {what}", tongue.label);
            // A provider that fails in the middle says so inside its 200.
            let outcome = if what == "error event" { "upstream_error" } else { "complete" };
            assert_eq!(
                (response.end, fact.outcome),
                (End::Clean, outcome),
                "{} {what}",
                tongue.label
            );
        }
        // A clean end without a last event is the provider's affair: none is made up.
        let steps = vec![Step::Send(event_stream()), tongue.event(), Step::Send(last_chunk())];
        let Seen { response, fact } = play(tongue, steps).await;
        assert_eq!((response.text().as_str(), response.end), (tongue.first, End::Clean));
        assert_eq!(fact.outcome, "complete");
    }
}

#[tokio::test]
async fn a_providers_errors_keep_status_and_body() {
    for tongue in &TONGUES {
        for (status, kind) in [
            (400, "upstream_invalid_request"),
            (401, "upstream_authentication"),
            (402, "upstream_payment"),
            (403, "upstream_permission"),
            (404, "upstream_not_found"),
            (413, "upstream_too_large"),
            (429, "upstream_rate_limit"),
            (500, "upstream_server_error"),
            (502, "upstream_server_error"),
            (503, "upstream_overloaded"),
            (504, "upstream_timeout"),
            (529, "upstream_overloaded"),
        ] {
            let page = "<html><body>Bad \u{1f6ab}</body></html>";
            let bytes =
                answer(status, &[("content-type", "text/html"), ("retry-after", "7")], page);
            let Seen { response, fact } = play(tongue, vec![Step::Send(bytes)]).await;
            assert_eq!((response.status, response.text().as_str()), (status, page));
            assert_eq!(response.header("content-type"), Some("text/html"));
            assert_eq!(response.header("retry-after"), Some("7"));
            let shown = status.to_string();
            assert_eq!(response.header("x-pinhole-upstream-status"), Some(shown.as_str()));
            let outcome = (fact.outcome, fact.failure, fact.attempt().status);
            assert_eq!(outcome, ("upstream_error", Some(("upstream", kind)), Some(status)));
        }
    }
}

#[tokio::test]
async fn nothing_is_tried_twice() {
    for steps in [
        vec![Step::Close],
        vec![Step::Reset],
        vec![Step::Send(answer(503, &[("retry-after", "0")], ""))],
        vec![Step::Send(answer(429, &[], ""))],
    ] {
        let upstream = Upstream::always(steps).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        gateway.call(&TONGUES[0].request()).await;
        assert_eq!(upstream.got().len(), 1);
    }
}

#[tokio::test]
async fn a_slow_answer_within_its_time_is_an_answer() {
    for tongue in &TONGUES {
        let pause = || Step::Wait(Duration::from_millis(60));
        let steps = vec![
            pause(),
            Step::Send(event_stream()),
            pause(),
            tongue.event(),
            pause(),
            Step::Send(chunk(tongue.last)),
            pause(),
            Step::Send(last_chunk()),
        ];
        let Seen { response, fact } = play(tongue, steps).await;
        assert_eq!(response.text(), [tongue.first, tongue.last].concat());
        assert_eq!(fact.outcome, "complete");
    }
}

#[tokio::test]
async fn each_provider_has_waits_of_its_own() {
    let upstream =
        Upstream::always(vec![Step::Wait(Duration::from_millis(400)), Step::Send(json("{}"))])
            .await;
    let toml = format!("{PATIENCE}{}timeouts = {{ first_byte = \"10s\" }}\n", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    let (response, _) = gateway.call(&TONGUES[0].request()).await;
    assert_eq!(response.status, 200, "{}", response.text());
}
