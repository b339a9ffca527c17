//! Every traffic path: where it arrives, and that body and answer are the same bytes on both sides.

use crate::support::gateway::{Gateway, one, provider};
use crate::support::raw::{End, Request};
use crate::support::upstream::{Step, json};
use crate::support::upstream::{Upstream, answer, chunk, chunked, event_stream, last_chunk};

/// A body that no serialiser would write like this.
const BODY: &str = "{\"zeta\" : 1.50, \"model\":\"m\",\n\t\"n\":1e3,\"big\":12345678901234567890,\
                    \"u\":\"\\u00e9\\ud83d\\ude00\", \"x_unknown\":{\"b\":1,\"a\":[ ]}, \"dup\":1,\"dup\":2 }\n";

/// A method and a path, sent with [`BODY`] where a body is due, arrive as `target`; the answer's bytes come back.
async fn check(method: &str, path: &str, target: &str) {
    let reply = b"{ \"odd\" :\t1.0,\"odd\":2}\r\n\x00\xff";
    let kind = [("content-type", "application/x-odd")];
    let upstream = Upstream::always(vec![Step::Send(answer(200, &kind, reply))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let bodied = method == "POST";
    let mut request = Request::new(method, path);
    if bodied {
        request = request.header("content-type", "application/json").body(BODY);
    }
    let (response, fact) = gateway.call(&request).await;
    assert_eq!(response.status, 200, "{method} {path}: {}", response.text());
    assert_eq!(response.body, reply, "{path}");
    assert_eq!(response.header("content-type"), Some("application/x-odd"));
    let got = upstream.only();
    assert_eq!((got.method.as_str(), got.target.as_str()), (method, target));
    assert_eq!(got.text(), if bodied { BODY } else { "" }, "{path}");
    assert_eq!(fact.outcome, "complete", "{path}");
    assert!(fact.attempt().edits.is_empty(), "{path}: {fact:?}");
    assert_eq!(fact.attempt().bytes, reply.len() as u64);
    assert_eq!(fact.response_bytes, reply.len() as u64);
    assert_eq!(fact.request_bytes, got.body.len() as u64);
}

#[tokio::test]
async fn openai_paths() {
    for path in [
        "/chat/completions",
        "/completions",
        "/responses",
        "/embeddings",
        "/moderations",
        "/rerank",
        "/audio/speech",
        "/images/generations",
        "/batches",
    ] {
        let target = format!("/v1{path}");
        for prefix in ["/v1", "/api/v1", "/openai/v1", "/v1/v1", ""] {
            check("POST", &format!("{prefix}{path}"), &target).await;
        }
    }
    check("GET", "/v1/files?limit=2&after=%20x", "/v1/files?limit=2&after=%20x").await;
    check("GET", "/v1/responses/resp_1", "/v1/responses/resp_1").await;
    check("DELETE", "/v1/responses/resp_1", "/v1/responses/resp_1").await;
    check("GET", "/v1/files/file_1/content", "/v1/files/file_1/content").await;
    check("POST", "/v1/anything/new?beta=true", "/v1/anything/new?beta=true").await;
}

#[tokio::test]
async fn anthropic_paths() {
    for prefix in ["/v1", "/anthropic/v1", "/api/v1", ""] {
        check("POST", &format!("{prefix}/messages"), "/v1/messages").await;
        check("POST", &format!("{prefix}/messages/count_tokens"), "/v1/messages/count_tokens")
            .await;
    }
    check("POST", "/v1/messages?beta=true", "/v1/messages?beta=true").await;
    check("POST", "/v1/messages/batches", "/v1/messages/batches").await;
}

#[tokio::test]
async fn gemini_paths() {
    for verb in ["generateContent", "streamGenerateContent", "countTokens", "embedContent"] {
        for (prefix, root) in
            [("/v1beta", "/v1beta"), ("/gemini/v1beta", "/v1beta"), ("/v1", "/v1"), ("", "/v1beta")]
        {
            let path = format!("{prefix}/models/m:{verb}?alt=sse&x=1");
            check("POST", &path, &format!("{root}/models/m:{verb}?alt=sse&x=1")).await;
        }
    }
}

#[tokio::test]
async fn cloud_and_named_paths() {
    let vertex = "/v1/projects/p/locations/l/publishers/a/models/m";
    for verb in ["rawPredict", "streamRawPredict", "generateContent", "streamGenerateContent"] {
        check("POST", &format!("{vertex}:{verb}"), &format!("{vertex}:{verb}")).await;
    }
    for verb in ["invoke", "invoke-with-response-stream", "converse", "converse-stream"] {
        check("POST", &format!("/bedrock/model/m.v1:0/{verb}"), &format!("/model/m.v1:0/{verb}"))
            .await;
        check("POST", &format!("/bedrock/model/m%3A0/{verb}"), &format!("/model/m%3A0/{verb}"))
            .await;
    }
    check("POST", "/providers/up/v1/chat/completions", "/v1/chat/completions").await;
    check("POST", "/providers/up/no/version", "/no/version").await;
    check("GET", "/providers/up/api/tags?x=1", "/api/tags?x=1").await;
    check("DELETE", "/providers/up/v1/files/f", "/v1/files/f").await;
}

/// The client's path joined to a provider's root.
async fn check_root(root: &str, path: &str, target: &str) {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&format!("{}{root}", upstream.url())));
    let request = Request::post(path).header("content-type", "application/json").body(BODY);
    assert_eq!(gateway.send(&request).await.status, 200, "{root} {path}");
    assert_eq!(upstream.only().target, target, "{root} + {path}");
}

#[tokio::test]
async fn roots_with_versions_and_prefixes() {
    let chat = "/v1/chat/completions";
    for path in [chat, "/chat/completions", "/v1/v1/chat/completions"] {
        check_root("", path, chat).await;
        check_root("/", path, chat).await;
        check_root("/v1", path, chat).await;
        check_root("/v1/", path, chat).await;
        check_root("/api/", path, "/api/v1/chat/completions").await;
        check_root("/api/coding/paas/v4", path, "/api/coding/paas/v4/chat/completions").await;
        check_root("/v1beta/openai/", path, "/v1beta/openai/chat/completions").await;
    }
}

#[tokio::test]
async fn slashes_in_excess() {
    let chat = "/v1/chat/completions";
    for path in [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "//chat/completions",
        "/v1/chat/completions/",
    ] {
        check_root("", path, chat).await;
        check_root("/v1/", path, chat).await;
    }
    check_root("", "//v1/messages", "/v1/messages").await;
    check_root("", "/anthropic//v1/messages", "/v1/messages").await;
    check_root("", "//v1beta/models/m:generateContent", "/v1beta/models/m:generateContent").await;
}

/// A stream at `path`: the same bytes, in the same pieces, and marked as a stream.
async fn check_stream(path: &str, body: &str, events: &[&str]) {
    let mut steps = vec![Step::Send(event_stream())];
    for event in events {
        steps.push(Step::Send(chunk(event)));
        steps.push(Step::Wait(std::time::Duration::from_millis(5)));
    }
    steps.push(Step::Send(last_chunk()));
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let request = Request::post(path).header("content-type", "application/json").body(body);
    let (response, fact) = gateway.call(&request).await;
    assert_eq!((response.status, response.end), (200, End::Clean), "{path}");
    assert_eq!(response.text(), events.concat(), "{path}");
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.header("x-cache"), Some("MISS"), "{path}");
    assert_eq!(upstream.only().text(), body, "{path}");
    assert!(fact.stream && fact.outcome == "complete", "{path}: {fact:?}");
    let arrivals = &fact.attempt().arrivals;
    assert_eq!(arrivals.len(), events.len(), "{path}: each event is a frame of its own");
    assert!(arrivals.is_sorted() && arrivals.first() < arrivals.last(), "{arrivals:?}");
}

#[tokio::test]
async fn streams_of_every_dialect() {
    let asked = r#"{"model":"m", "stream" : true}"#;
    let chat = ["data: {\"choices\":[]}\n\n", "data: {}\n\n", "data: [DONE]\n\n"];
    check_stream("/v1/chat/completions", asked, &chat).await;
    check_stream("/v1/completions", asked, &chat).await;
    check_stream("/api/v1/chat/completions", asked, &chat).await;
    let responses = [
        "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n",
    ];
    check_stream("/v1/responses", asked, &responses).await;
    let messages = [
        "event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
        "event: ping\ndata: {}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    check_stream("/v1/messages", asked, &messages).await;
    let gemini = [
        "data: {\"candidates\":[{}]}\r\n\r\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n",
    ];
    check_stream("/v1beta/models/m:streamGenerateContent?alt=sse", "{}", &gemini).await;
    check_stream("/providers/up/v1/chat/completions", asked, &chat).await;
    let vertex = "/v1/projects/p/locations/l/publishers/a/models/m:streamRawPredict";
    check_stream(vertex, asked, &messages).await;
}

#[tokio::test]
async fn geminis_other_stream_is_an_array_in_pieces() {
    let pieces =
        ["[{\"candidates\":[]}\n", ",\r\n{\"candidates\":[{\"finishReason\":\"STOP\"}]}\n", "]\n"];
    let mut steps = vec![Step::Send(chunked(200, &[("content-type", "application/json")]))];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(last_chunk()));
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let request = Request::post("/v1beta/models/m:streamGenerateContent").body("{}");
    let (response, fact) = gateway.call(&request).await;
    assert_eq!(response.text(), pieces.concat());
    assert!(fact.stream, "the path says that it streams");
}

/// Which provider a model goes to, and under which name.
async fn check_model(asked: &str, provider_id: &str, sent: &str) {
    let upstreams = [
        Upstream::always(vec![Step::Send(json("{}"))]).await,
        Upstream::always(vec![Step::Send(json("{}"))]).await,
    ];
    let toml = format!(
        "{}{}",
        provider("one", &upstreams[0].url(), &["gpt-5", "org/model:free", "llama3:8b", "ft:*"]),
        provider("two", &upstreams[1].url(), &["claude", "two/own", "gpt-5"]),
    );
    let gateway = Gateway::start(&toml);
    let body = format!(r#"{{"model":{}}}"#, serde_json::Value::from(asked));
    let request =
        Request::post("/v1/chat/completions").json(&serde_json::from_str(&body).expect("JSON"));
    let (response, fact) = gateway.call(&request).await;
    assert_eq!(response.status, 200, "{asked}: {}", response.text());
    assert_eq!(response.header("x-pinhole-upstream"), Some(provider_id), "{asked}");
    assert_eq!(response.header("x-pinhole-model"), Some(sent), "{asked}");
    let at = usize::from(provider_id == "two");
    assert_eq!(upstreams[at].only().text(), format!(r#"{{"model":"{sent}"}}"#), "{asked}");
    assert_eq!(fact.model_requested.as_deref(), Some(asked));
    assert_eq!(fact.attempt().model.as_deref(), Some(sent));
}

#[tokio::test]
async fn model_names_find_their_provider() {
    for (asked, provider_id, sent) in [
        ("gpt-5", "one", "gpt-5"),
        ("two/gpt-5", "two", "gpt-5"),
        ("two:gpt-5", "two", "gpt-5"),
        ("one/gpt-5", "one", "gpt-5"),
        ("org/model:free", "one", "org/model:free"),
        ("llama3:8b", "one", "llama3:8b"),
        ("one:llama3:8b", "one", "llama3:8b"),
        ("ft:gpt-5:org::id", "one", "ft:gpt-5:org::id"),
        ("claude", "two", "claude"),
        ("two/own", "two", "two/own"),
    ] {
        check_model(asked, provider_id, sent).await;
    }
}

#[tokio::test]
async fn what_is_answered_without_a_provider() {
    let upstream = Upstream::always(vec![]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    for (method, path, status) in [
        ("HEAD", "/", 200),
        ("GET", "/", 200),
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/targets", 200),
        ("GET", "/auth/me", 200),
        ("GET", "/v1/models", 200),
        ("HEAD", "/v1/models", 200),
        ("GET", "/v1beta/models", 200),
        ("GET", "/v1/chat/completions/../x", 400),
        ("GET", "/no/such/path", 404),
        ("GET", "/v1/embeddings", 405),
        ("PUT", "/v1/messages", 405),
        ("POST", "/health", 405),
        ("GET", "/v1/realtime", 501),
        ("POST", "/v1/mcp", 501),
        ("POST", "/providers/nobody/v1/chat/completions", 404),
    ] {
        let response = gateway.send(&Request::new(method, path)).await;
        assert_eq!(response.status, status, "{method} {path}: {}", response.text());
        assert!(response.header("x-pinhole-id").is_some(), "{method} {path}");
        if status == 405 {
            assert!(response.header("allow").is_some(), "{method} {path}: {response:?}");
        }
    }
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn websockets_are_refused_at_once() {
    let upstream = Upstream::always(vec![]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    for (path, status, code) in [
        ("/v1/responses", 426, "websocket_unsupported"),
        ("/v1/chat/completions", 426, "websocket_unsupported"),
        ("/v1/realtime?model=m", 501, "realtime_unsupported"),
        ("/providers/up/v1/responses", 426, "websocket_unsupported"),
        ("/providers/up/v1/realtime", 501, "realtime_unsupported"),
        ("/", 426, "websocket_unsupported"),
    ] {
        let request = Request::get(path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let (response, fact) = gateway.call(&request).await;
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.json()["error"]["code"], code, "{path}");
        assert_eq!(fact.outcome, "rejected");
    }
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn a_disabled_provider_is_reached_by_no_way() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let open = one("http://127.0.0.1:9/").replace("[\"*\"]", "[\"m\"]");
    let off = provider("off", &upstream.url(), &["hidden"]);
    let gateway = Gateway::start(&format!("{open}{off}disabled = true\n"));
    for (path, model, code) in [
        ("/providers/off/v1/chat/completions", "hidden", "provider_not_found"),
        ("/v1/chat/completions", "hidden", "model_not_found"),
        ("/v1/chat/completions", "off/hidden", "model_not_found"),
        ("/v1/chat/completions", "off:hidden", "model_not_found"),
    ] {
        let request = Request::post(path).body(format!(r#"{{"model":"{model}"}}"#));
        let (response, _) = gateway.call(&request).await;
        assert_eq!(response.status, 404, "{path} {model}");
        assert_eq!(response.json()["error"]["code"], code, "{path} {model}");
    }
    assert!(upstream.got().is_empty());
}
