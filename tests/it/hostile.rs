//! Usage that no provider should send, in every dialect, as documents and as streams: handed on byte for byte, counted by
//! kind, never added up, and without effect on the traffic beside it.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use crate::support::gateway::{Gateway, provider};
use crate::support::raw::{End, Request};
use crate::support::upstream::{
    Got, Step, Upstream, chunk, event_stream, json as json_answer, last_chunk,
};

/// Large enough to pass every buffer that a number might be kept in.
const DIGITS: usize = 10 * 1024 * 1024;

/// An endpoint, and its answers around a usage. `{n}` stands for the number of input tokens.
struct Shape {
    path: &'static str,
    request: &'static str,
    stream: bool,
    before: &'static str,
    usage: &'static str,
    after: &'static str,
}

const SHAPES: [Shape; 8] = [
    Shape {
        path: "/v1/chat/completions",
        request: r#"{"model":"m","messages":[]}"#,
        stream: false,
        before: r#"{"id":"c","choices":[{"index":0,"finish_reason":"stop","message":{"content":"hi"}}],"usage":"#,
        usage: r#"{"prompt_tokens":{n},"completion_tokens":7}"#,
        after: "}",
    },
    Shape {
        path: "/v1/chat/completions",
        request: r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
        stream: true,
        before: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"choices\":[],\"usage\":",
        usage: r#"{"prompt_tokens":{n},"completion_tokens":7}"#,
        after: "}\n\ndata: [DONE]\n\n",
    },
    Shape {
        path: "/v1/responses",
        request: r#"{"model":"m","input":"x"}"#,
        stream: false,
        before: r#"{"id":"resp_1","object":"response","status":"completed","output":[],"usage":"#,
        usage: r#"{"input_tokens":{n},"output_tokens":7}"#,
        after: "}",
    },
    Shape {
        path: "/v1/responses",
        request: r#"{"model":"m","input":"x","stream":true}"#,
        stream: true,
        before: "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\
                 \"status\":\"completed\",\"output\":[],\"usage\":",
        usage: r#"{"input_tokens":{n},"output_tokens":7}"#,
        after: "}}\n\n",
    },
    Shape {
        path: "/v1/messages",
        request: r#"{"model":"m","max_tokens":9,"messages":[]}"#,
        stream: false,
        before: r#"{"id":"msg_1","type":"message","content":[{"type":"text","text":"hi"}],"usage":"#,
        usage: r#"{"input_tokens":{n},"output_tokens":7}"#,
        after: "}",
    },
    Shape {
        path: "/v1/messages",
        request: r#"{"model":"m","max_tokens":9,"messages":[],"stream":true}"#,
        stream: true,
        before: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":",
        usage: r#"{"input_tokens":{n},"output_tokens":1}"#,
        after: "}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":7}}\n\n\
                event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    },
    Shape {
        path: "/v1beta/models/m:generateContent",
        request: r#"{"contents":[]}"#,
        stream: false,
        before: r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":"#,
        usage: r#"{"promptTokenCount":{n},"candidatesTokenCount":7}"#,
        after: "}",
    },
    Shape {
        path: "/v1beta/models/m:streamGenerateContent?alt=sse",
        request: r#"{"contents":[]}"#,
        stream: true,
        before: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":",
        usage: r#"{"promptTokenCount":{n},"candidatesTokenCount":7}"#,
        after: "}\n\n",
    },
];

impl Shape {
    /// The answer with this usage; one that begins with `{n}=` is put in place of the number alone.
    fn answer(&self, hostile: &str) -> String {
        let usage = match hostile.strip_prefix("{n}=") {
            Some(number) => self.usage.replace("{n}", number),
            None => hostile.to_owned(),
        };
        [self.before, &usage, self.after].concat()
    }

    fn ask(&self, hostile: usize) -> Request {
        let request = Request::post(self.path).header("content-type", "application/json");
        request.header("x-case", &hostile.to_string()).body(self.request)
    }

    fn steps(&self, answer: &str) -> Vec<Step> {
        if !self.stream {
            return vec![Step::Send(json_answer(answer))];
        }
        // In pieces that end anywhere.
        let mut steps = vec![Step::Send(event_stream())];
        let pieces = answer.as_bytes().chunks(if answer.len() > 65_536 { 60_000 } else { 37 });
        steps.extend(pieces.map(|piece| Step::Send(chunk(piece))));
        steps.push(Step::Send(last_chunk()));
        steps
    }
}

/// What is sent, and by what name it is to be counted; `None`: nothing is wrong with it.
fn hostile() -> Vec<(String, Option<&'static str>)> {
    let number = |text: &str| format!("{{n}}={text}");
    let long = "9".repeat(DIGITS);
    vec![
        (number("-5"), Some("negative")),
        (number("-9223372036854775809"), Some("negative")),
        (number("\"12\""), Some("not_a_number")),
        (number("true"), Some("not_a_number")),
        (number(r#"{"a":{"b":[[[[{"c":1}]]]]}}"#), Some("not_a_number")),
        (number("NaN"), Some("not_a_number")),
        (number("1.5"), Some("fraction")),
        (number("9223372036854775808"), Some("too_large")),
        (number("1e400"), Some("too_large")),
        (number(&long), Some("too_large")),
        (number("null"), None),
        ("{}".to_owned(), None),
        ("null".to_owned(), None),
        ("[1,2,{\"prompt_tokens\":5}]".to_owned(), Some("not_an_object")),
        ("\"a lot\"".to_owned(), Some("not_an_object")),
        ("-1".to_owned(), Some("not_an_object")),
    ]
}

/// An upstream that answers by path and by the case that the client names; case 0 is a good number.
async fn upstream(cases: Vec<String>) -> Upstream {
    Upstream::start(move |got: &Got| {
        let case: usize = got.header("x-case").and_then(|case| case.parse().ok()).expect("a case");
        let streams = got.text().contains("\"stream\":true") || got.target.contains("alt=sse");
        let path = |shape: &&Shape| {
            let (wanted, asked) = (shape.path.split('?').next(), got.target.split('?').next());
            wanted == asked && shape.stream == streams
        };
        let shape = SHAPES.iter().find(path).expect("a known path");
        shape.steps(&shape.answer(&cases[case]))
    })
    .await
}

#[tokio::test]
async fn bad_usage_is_handed_on_and_counted_by_kind_and_nothing_else_is_touched() {
    let mut all = vec![("{n}=1000".to_owned(), None)];
    all.extend(hostile());
    let upstream = upstream(all.iter().map(|(text, _)| text.clone()).collect()).await;
    let gateway = Gateway::start(&provider("up", &upstream.url(), &["m"]));
    let malformed = |kind: &str| {
        gateway.metric(&format!("pinhole_usage_malformed_total{{provider=\"up\",kind=\"{kind}\"}}"))
    };
    let (mut good, mut told_output) = (0_u64, 0_u64);
    for shape in &SHAPES {
        for (case, (text, kind)) in all.iter().enumerate() {
            let shown = format!("{} {}", shape.path, &text[..text.len().min(60)]);
            let before = kind.map(malformed);
            let (response, fact) = gateway.call(&shape.ask(case)).await;
            assert_eq!((response.status, response.end), (200, End::Clean), "{shown}");
            assert!(response.text() == shape.answer(text), "{shown}: not byte for byte");
            assert_eq!(fact.outcome, "complete", "{shown}");
            let attempt = fact.attempt();
            let told = attempt.usage.unwrap_or_default().without(&attempt.estimated);
            let expected = (case == 0).then_some(1_000);
            assert_eq!(told.input, expected, "{shown}: {:?}", attempt.usage);
            let found: Vec<_> = attempt.reading.oddities.iter().map(|odd| odd.label()).collect();
            let is_cut = text.len() > DIGITS;
            if !is_cut {
                assert_eq!(found, kind.iter().copied().collect::<Vec<_>>(), "{shown}");
                let after = kind.map(malformed);
                assert_eq!(after, before.map(|before| before + 1.0), "{shown}");
            }
            good += expected.unwrap_or_default();
            told_output += told.output.unwrap_or_default();
        }
        // Beside the bad ones, and after them, a good one counts as ever.
        let (_, fact) = gateway.call(&shape.ask(0)).await;
        let told = fact.attempt().usage.unwrap_or_default();
        assert_eq!((told.input, told.output), (Some(1_000), Some(7)), "{}", shape.path);
        good += 1_000;
        told_output += 7;
    }
    let told = |kind: &str| {
        let text = gateway.scrape();
        let lines = text.lines().filter(|line| {
            line.starts_with("pinhole_tokens_total{")
                && line.contains(&format!("type=\"{kind}\",source=\"provider\""))
        });
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum::<u64>()
    };
    assert_eq!((told("input"), told("output")), (good, told_output));
    assert_eq!(gateway.metric("pinhole_observations_lost_total{what=\"value\""), 0.0);
    assert_eq!(gateway.metric("pinhole_observations_lost_total{what=\"exchange\""), 0.0);
}
