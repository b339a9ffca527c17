//! Request bodies: spliced where a rule says so and nowhere else; compressed ones and forms; odd answers.

use std::io::Write as _;

use flate2::Compression;
use pinhole::config::settings::Overrides;

use crate::support::gateway::{Gateway, Setting, one, provider};
use crate::support::raw::{End, Request};
use crate::support::upstream::{
    Step, Upstream, answer, chunk, chunked, json, last_chunk, stream_of,
};

fn post(path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(path).header("content-type", "application/json").body(body)
}

/// How a splice is to look: the configuration in front of the provider, the path, and the body on both sides.
struct Splice<'a> {
    rules: &'a str,
    path: &'a str,
    body: &'a str,
    sent: &'a str,
    edits: &'a [&'static str],
}

async fn check(case: &Splice<'_>) {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let models = ["gpt-5", "short"];
    let toml = format!("{}\n{}", case.rules, provider("up", &upstream.url(), &models));
    let gateway = Gateway::start(&toml);
    let (response, fact) = gateway.call(&post(case.path, case.body)).await;
    assert_eq!(response.status, 200, "{}: {}", case.body, response.text());
    let got = upstream.only();
    assert_eq!(got.text(), case.sent, "{}", case.body);
    let length = case.sent.len().to_string();
    assert_eq!(got.header("content-length"), Some(length.as_str()));
    assert_eq!(fact.attempt().edits, case.edits, "{}", case.body);
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_prefix_is_spliced_off_and_nothing_else_changes() {
    let body = "{\"zeta\" : 1.50,\n \"model\" :\t\"up/gpt-5\" ,\"u\":\"\\u00e9\", \"n\":1e3, \"x\":{\"model\":\"up/gpt-5\"} }\n";
    let sent = body.replacen("up/gpt-5", "gpt-5", 1);
    for path in [CHAT, "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/completions"] {
        check(&Splice { rules: "", path, body, sent: &sent, edits: &["model"] }).await;
    }
}

#[tokio::test]
async fn aliases_forced_models_and_parameters_are_spliced() {
    for (rules, body, sent, edits) in [
        (
            "model_aliases = [{ pattern = \"^claude-(.*)$\", replacement = \"gpt-5\" }]",
            r#"{ "model": "claude-x" }"#,
            r#"{ "model": "gpt-5" }"#,
            &["model"] as &[_],
        ),
        (
            "force_model = \"short\"",
            r#"{"model":"gpt-5","a":1}"#,
            r#"{"model":"short","a":1}"#,
            &["model"],
        ),
        (
            "static_route = \"up:short\"",
            r#"{"model":"anything"}"#,
            r#"{"model":"short"}"#,
            &["model"],
        ),
        (
            "",
            r#"{"model":"up:gpt-5?temperature=0.7", "messages":[]}"#,
            r#"{"temperature":0.7,"model":"gpt-5", "messages":[]}"#,
            &["model", "temperature"],
        ),
        (
            "",
            r#"{"temperature": 1, "model":"gpt-5?temperature=0.25"}"#,
            r#"{"temperature": 0.25, "model":"gpt-5"}"#,
            &["model", "temperature"],
        ),
        // Both members go: which of them counts is the provider's choice.
        (
            "",
            r#"{"model":"x","model":"up/gpt-5"}"#,
            r#"{"model":"gpt-5","model":"gpt-5"}"#,
            &["model", "model"],
        ),
        (
            "default_backend = \"up:short\"",
            r#"{"messages":[]}"#,
            r#"{"model":"short","messages":[]}"#,
            &["model"],
        ),
        ("default_backend = \"up:short\"", "{}", r#"{"model":"short"}"#, &["model"]),
        ("", r#"{"model":"up\/gpt-5"}"#, r#"{"model":"gpt-5"}"#, &["model"]),
    ] {
        check(&Splice { rules, path: CHAT, body, sent, edits }).await;
    }
}

#[tokio::test]
async fn parameters_stand_where_each_dialect_keeps_them() {
    for (path, body, sent) in [
        (
            "/v1/messages",
            r#"{"model":"gpt-5?temperature=0.5"}"#,
            r#"{"temperature":0.5,"model":"gpt-5"}"#,
        ),
        (
            "/v1/responses",
            r#"{"model":"gpt-5?temperature=0.5"}"#,
            r#"{"temperature":0.5,"model":"gpt-5"}"#,
        ),
        (
            "/v1beta/models/gpt-5%3Ftemperature=0.5:generateContent",
            r#"{"contents":[]}"#,
            r#"{"generationConfig":{"temperature":0.5},"contents":[]}"#,
        ),
        (
            "/v1beta/models/gpt-5%3Ftemperature=0.5:generateContent",
            r#"{"generationConfig":{"topK":1}}"#,
            r#"{"generationConfig":{"temperature":0.5,"topK":1}}"#,
        ),
        (CHAT, "\u{feff} {\"model\" :\"up/gpt-5\"}", "\u{feff} {\"model\" :\"gpt-5\"}"),
    ] {
        let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
        let gateway = Gateway::start(&provider("up", &upstream.url(), &["gpt-5"]));
        let response = gateway.send(&post(path, body)).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let got = upstream.only();
        assert_eq!(got.text(), sent, "{path}");
        assert!(!got.target.contains("temperature"), "{}", got.target);
    }
}

#[tokio::test]
async fn parameters_out_of_range_are_refused() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&provider("up", &upstream.url(), &["gpt-5"]));
    for model in
        ["gpt-5?temperature=hot", "gpt-5?temperature=-1", "gpt-5?temperature=99", "gpt-5?warmth=1"]
    {
        let (response, _) = gateway.call(&post(CHAT, format!(r#"{{"model":"{model}"}}"#))).await;
        assert_eq!(response.status, 400, "{model}: {}", response.text());
        assert_eq!(response.json()["error"]["code"], "invalid_parameter", "{model}");
    }
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn include_usage_is_added_by_policy_alone() {
    const POLICY: &str = "[streams]\ninclude_usage = \"when_missing\"\n";
    for (rules, body, sent) in [
        ("", r#"{"model":"gpt-5","stream":true}"#, r#"{"model":"gpt-5","stream":true}"#),
        (POLICY, r#"{"model":"gpt-5","stream":false}"#, r#"{"model":"gpt-5","stream":false}"#),
        (
            POLICY,
            r#"{"model":"gpt-5","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"gpt-5","stream":true}"#,
        ),
        (
            POLICY,
            r#"{"model":"gpt-5","stream":true,"stream_options":{"x":1}}"#,
            r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            POLICY,
            r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
        let gateway =
            Gateway::start(&format!("{rules}{}", provider("up", &upstream.url(), &["gpt-5"])));
        assert_eq!(gateway.send(&post(CHAT, body)).await.status, 200);
        assert_eq!(upstream.only().text(), sent, "{rules} {body}");
    }
}

#[tokio::test]
async fn the_usage_chunk_is_hidden_from_a_client_that_did_not_ask() {
    let word = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    let done = "data: [DONE]\n\n";
    let upstream = Upstream::always(stream_of(&[word, usage, done])).await;
    let toml = format!("[streams]\ninclude_usage = \"when_missing\"\n{}", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    let (response, fact) = gateway.call(&post(CHAT, r#"{"model":"m","stream":true}"#)).await;
    assert_eq!(response.text(), [word, done].concat());
    assert_eq!(response.end, End::Clean);
    assert_eq!(fact.attempt().bytes, [word, usage, done].concat().len() as u64);
    assert_eq!(fact.response_bytes, response.body.len() as u64);
    let asking = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let response = gateway.send(&post(CHAT, asking)).await;
    assert_eq!(response.text(), [word, usage, done].concat());
}

/// `text` in the coding called `name`.
fn encode(name: &str, text: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match name {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        }
        "br" => {
            let mut out = Vec::new();
            let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
            encoder.write_all(text).expect("memory");
            drop(encoder);
            out
        }
        _ => zstd::encode_all(text, 3).expect("memory"),
    }
}

#[tokio::test]
async fn compressed_requests_are_routed_and_forwarded_as_they_came() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let upstreams = [
            Upstream::always(vec![Step::Send(json("1"))]).await,
            Upstream::always(vec![Step::Send(json("2"))]).await,
        ];
        let gateway = Gateway::start(&format!(
            "{}{}",
            provider("one", &upstreams[0].url(), &["other"]),
            provider("two", &upstreams[1].url(), &["gpt-5"])
        ));
        let text = br#"{"messages":[], "model":"gpt-5"}"#;
        let body = encode(coding, text);
        let request = post(CHAT, body.clone()).header("content-encoding", coding);
        let response = gateway.send(&request).await;
        assert_eq!(response.text(), "2", "{coding}");
        let got = upstreams[1].only();
        assert_eq!(got.body, body, "{coding}");
        assert_eq!(got.header("content-encoding"), Some(coding));

        let prefixed = encode(coding, br#"{"messages":[], "model":"two/gpt-5"}"#);
        let request = post(CHAT, prefixed).header("content-encoding", coding);
        let (response, fact) = gateway.call(&request).await;
        assert_eq!(response.text(), "2", "{coding}");
        let got = upstreams[1].request(1).await;
        assert_eq!(got.body, text, "{coding}: with the model rewritten it is sent decoded");
        assert_eq!(got.header("content-encoding"), None);
        assert_eq!(fact.attempt().edits, ["model", "content-encoding"]);
    }
}

#[tokio::test]
async fn compressed_answers_are_untouched() {
    for coding in ["gzip", "br", "zstd"] {
        let body = encode(coding, br#"{"choices":[]}"#);
        let headers = [("content-encoding", coding), ("content-type", "application/json")];
        let upstream = Upstream::always(vec![Step::Send(answer(200, &headers, &body))]).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let request = post(CHAT, r#"{"model":"m"}"#).header("accept-encoding", coding);
        let response = gateway.send(&request).await;
        assert_eq!(response.body, body, "{coding}");
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert_eq!(upstream.only().header("accept-encoding"), Some(coding));
    }
}

/// A form with a file and a model.
fn form(model: &str) -> Vec<u8> {
    let mut body =
        b"--b0undary\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
        content-type: audio/wav\r\n\r\nRIFF\x00\xff--b0undar\r\n\r\n--b0undary\r\n\
        Content-Disposition: form-data; name=\"model\"\r\n\r\n"
            .to_vec();
    body.extend_from_slice(model.as_bytes());
    body.extend_from_slice(b"\r\n--b0undary--\r\n");
    body
}

#[tokio::test]
async fn the_model_of_a_form_routes_and_is_rewritten() {
    for (asked, sent) in [("whisper-1", "whisper-1"), ("two/whisper-1", "whisper-1")] {
        let upstreams = [
            Upstream::always(vec![Step::Send(json("1"))]).await,
            Upstream::always(vec![Step::Send(json("2"))]).await,
        ];
        let gateway = Gateway::start(&format!(
            "{}{}",
            provider("one", &upstreams[0].url(), &["other"]),
            provider("two", &upstreams[1].url(), &["whisper-1"])
        ));
        let request = Request::post("/v1/audio/transcriptions")
            .header("content-type", "multipart/form-data; boundary=b0undary")
            .body(form(asked));
        let (response, fact) = gateway.call(&request).await;
        assert_eq!(response.text(), "2", "{asked}");
        assert_eq!(upstreams[1].only().body, form(sent), "{asked}");
        assert_eq!(fact.model_requested.as_deref(), Some(asked));
    }
}

#[tokio::test]
async fn the_model_in_a_path_is_rewritten_there() {
    for (asked, target) in [
        ("up%2Fgpt-5", "gpt-5"),
        ("up/gpt-5", "gpt-5"),
        ("up:gpt-5", "gpt-5"),
        ("fast", "org/model"),
    ] {
        let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
        let toml = format!(
            "model_aliases = [{{ pattern = \"^fast$\", replacement = \"org/model\" }}]\n{}",
            provider("up", &upstream.url(), &["gpt-5", "org/model"])
        );
        let gateway = Gateway::start(&toml);
        let path = format!("/v1beta/models/{asked}:generateContent?x=1");
        let (response, fact) = gateway.call(&post(&path, r#"{ "contents":[] }"#)).await;
        assert_eq!(response.status, 200, "{asked}: {}", response.text());
        let got = upstream.only();
        assert_eq!(got.target, format!("/v1beta/models/{target}:generateContent?x=1"));
        assert_eq!(got.text(), r#"{ "contents":[] }"#);
        assert_eq!(fact.attempt().edits, ["path"]);
    }
}

#[tokio::test]
async fn a_short_name_is_replaced_where_it_stands_and_not_in_the_verb() {
    for (path, target) in [
        ("/v1beta/models/m:streamGenerateContent", "/v1beta/models/long:streamGenerateContent"),
        ("/v1/projects/m/models/m:streamRawPredict", "/v1/projects/m/models/long:streamRawPredict"),
        ("/bedrock/model/m/invoke-with-response-stream", "/model/long/invoke-with-response-stream"),
    ] {
        let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
        let rule = "model_aliases = [{ pattern = \"^m$\", replacement = \"long\" }]";
        let toml = format!("{rule}\n{}", provider("up", &upstream.url(), &["long"]));
        let gateway = Gateway::start(&toml);
        let response = gateway.send(&post(path, "{}")).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        assert_eq!(upstream.only().target, target);
    }
}

#[tokio::test]
async fn flags_rewrite_as_configuration_does() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let overrides =
        Overrides { model_aliases: vec!["^claude=gpt-5".to_owned()], ..Overrides::default() };
    let setting = Setting { overrides, ..Setting::default() };
    let toml = provider("up", &upstream.url(), &["gpt-5"]);
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    let response = gateway.send(&post(CHAT, r#"{"model":"claude"}"#)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(upstream.only().text(), r#"{"model":"gpt-5"}"#);
}

#[tokio::test]
async fn empty_and_interim_answers() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let after_interim = [interim.as_slice(), &json("{}")].concat();
    let until_close = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nto the end".to_vec();
    let empty_chunks = [chunked(200, &[]), last_chunk()].concat();
    let split = [chunked(200, &[]), chunk("a"), chunk("b"), last_chunk()].concat();
    for (bytes, closes, status, body) in [
        (answer(200, &[], ""), false, 200, ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), false, 204, ""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(), false, 304, ""),
        (empty_chunks, false, 200, ""),
        (after_interim, false, 200, "{}"),
        (until_close, true, 200, "to the end"),
        (split, false, 200, "ab"),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let mut steps = vec![Step::Send(bytes)];
        if closes {
            steps.push(Step::Close);
        }
        let upstream = Upstream::always(steps).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let (response, fact) = gateway.call(&post(CHAT, r#"{"model":"m"}"#)).await;
        let seen = (response.status, response.text(), response.end);
        assert_eq!(seen, (status, body.to_owned(), End::Clean), "{shown}");
        assert_eq!(fact.outcome, "complete", "{shown}");
    }
}

#[tokio::test]
async fn a_head_request_has_a_head_alone() {
    let upstream =
        Upstream::always(vec![Step::send("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let (response, fact) = gateway.call(&Request::new("HEAD", "/v1/files/f/content")).await;
    assert_eq!((response.status, response.header("content-length")), (200, Some("5000")));
    assert_eq!(fact.outcome, "complete");
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let text = "x".repeat(3 << 20);
    let body = format!(r#"{{"model":"m","messages":[{{"content":"{text}"}}]}}"#);
    let upstream = Upstream::always(vec![Step::Send(json(&body))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let (response, fact) = gateway.call(&post(CHAT, body.clone())).await;
    assert!(response.body == body.as_bytes() && upstream.only().body == body.as_bytes());
    assert_eq!(fact.attempt().bytes, body.len() as u64);
}
