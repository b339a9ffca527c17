//! The three public examples as they are written, flags included; only the provider's address is a simulator's.

use std::io::Write as _;
use std::sync::Arc;

use pinhole::config::settings::{Overrides, Settings};
use pinhole::simulate::script::Script;
use pinhole::simulate::{Handle, Simulator};
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, Setting, one, settings};
use crate::support::raw::Request;
use crate::support::upstream::{Step, Upstream, answer};

const BLOCK: &str = include_str!("../golden/config/provider-block.json");
const YAML: &str = include_str!("../golden/config/backends.yaml");
const YAML_FLATTENED: &str = include_str!("../golden/config/backends-flattened.yaml");
const YAML_RESPONSES: &str = include_str!("../golden/config/backends-responses.yaml");

/// The settings with every provider at the simulator; all else is as the example has it.
fn moved(mut settings: Settings, simulator: &Handle) -> Settings {
    for provider in &mut settings.providers {
        Arc::make_mut(provider).base_url = simulator.url().parse().expect("a URL");
    }
    settings
}

fn simulator() -> Handle {
    Simulator::local(Script::default()).expect("a free port")
}

/// The gateway of an example with its file, its flags and its variables.
fn start(file: &str, text: &str, setting: &Setting<'_>) -> (Gateway, Handle) {
    let simulator = simulator();
    let found = settings(file, text, setting);
    let found =
        found.unwrap_or_else(|findings| panic!("{:?}", findings.iter().collect::<Vec<_>>()));
    (Gateway::run(moved(found, &simulator)), simulator)
}

fn curl(path: &str, body: &str) -> Request {
    Request::post(path)
        .header("Content-Type", "application/json")
        .header("User-Agent", "curl/8.5.0")
        .body(body)
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn seed_000_block_and_its_curl_without_a_key() {
    let (gateway, simulator) = start("config.json", BLOCK, &Setting::default());
    for model in ["gpt-5", "gpt-5-mini", "gpt-4.1"] {
        let body = format!(
            r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "hello"}}]}}"#
        );
        let (response, fact) = gateway.call(&curl(CHAT, &body)).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(response.json()["choices"][0]["message"]["content"].is_string());
        assert_eq!(fact.attempt().provider, "openai");
        let seen = simulator.requests().pop().expect("a request");
        assert_eq!(seen.header("authorization"), Some("Bearer <your-openai-key>"));
        assert_eq!(seen.body, body.as_bytes());
    }
    let response =
        gateway.send(&curl("/v1/responses", r#"{"model":"gpt-5","input":"hello"}"#)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let response = gateway.send(&curl("/v1/messages", r#"{"model":"gpt-5"}"#)).await;
    assert_eq!(response.json()["error"]["code"], "endpoint_not_enabled");
    let without = BLOCK.replace(r#""openai_responses": true"#, r#""openai_responses": false"#);
    let (gateway, _simulator) = start("config.json", &without, &Setting::default());
    let response =
        gateway.send(&curl("/v1/responses", r#"{"model":"gpt-5","input":"hello"}"#)).await;
    assert_eq!(response.status, 404);
    assert!(response.text().contains("openai_responses"), "{}", response.text());
}

/// The five calls of seed 002: the model it names, the body's rest, and what makes the answer right.
const CALLS: [(&str, &str); 5] = [
    (r#""gpt-4o""#, r#""messages": [{"role": "user", "content": "Hello, how are you?"}]"#),
    (
        r#""gpt-4o""#,
        r#""messages": [{"role": "user", "content": "Write a short story"}], "stream": true"#,
    ),
    (
        r#""gpt-4o""#,
        r#""messages": [{"role": "user", "content": "What is the weather in San Francisco?"}],
        "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Get the current weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}}}}]"#,
    ),
    (
        r#""o1-preview""#,
        r#""messages": [{"role": "user", "content": "Solve this complex problem..."}]"#,
    ),
    (r#""openai:gpt-4o?temperature=0.7""#, r#""messages": [{"role": "user", "content": "Hello"}]"#),
];

async fn check_calls(gateway: &Gateway, simulator: &Handle, forced: Option<&str>) {
    for (model, rest) in CALLS {
        let body = format!("{{\"model\": {model}, {rest}}}");
        let request = curl(CHAT, &body).header("Authorization", "Bearer YOUR_PROXY_KEY");
        let (response, fact) = gateway.call(&request).await;
        assert_eq!(
            (response.status, fact.outcome),
            (200, "complete"),
            "{model}: {}",
            response.text()
        );
        let seen = simulator.requests().pop().expect("a request");
        assert_eq!(seen.header("authorization"), Some("Bearer sk-openai"), "{model}");
        let sent = seen.json();
        let selector = model.trim_matches('"');
        let own = selector.trim_start_matches("openai:").trim_end_matches("?temperature=0.7");
        assert_eq!(sent["model"], forced.unwrap_or(own), "{model}");
        if selector.contains("temperature") && forced.is_none() {
            assert_eq!(sent["temperature"], 0.7);
        }
        if rest.contains("stream") {
            assert!(response.text().ends_with("data: [DONE]\n\n"));
        } else if rest.contains("tools") {
            let call = &response.json()["choices"][0]["message"]["tool_calls"][0];
            assert_eq!(call["function"]["name"], "get_weather");
        } else {
            assert!(response.json()["choices"][0]["message"]["content"].is_string());
        }
    }
}

#[tokio::test]
async fn seed_002_file_flags_and_calls() {
    let variables = [("OPENAI_API_KEY", "sk-openai")];
    for text in [YAML, YAML_FLATTENED] {
        let plain = Setting { variables: &variables, ..Setting::default() };
        let (gateway, simulator) = start("config.yaml", text, &plain);
        check_calls(&gateway, &simulator, None).await;
    }
    let overrides = Overrides {
        default_backend: Some("openai".to_owned()),
        force_model: Some("gpt-4o".to_owned()),
        ..Overrides::default()
    };
    let forced = Setting { variables: &variables, overrides };
    let (gateway, simulator) = start("config.yaml", YAML, &forced);
    check_calls(&gateway, &simulator, Some("gpt-4o")).await;
}

#[tokio::test]
async fn seed_002_responses_backend() {
    let variables = [("OPENAI_API_KEY", "sk-openai")];
    let overrides =
        Overrides { default_backend: Some("openai-responses".to_owned()), ..Overrides::default() };
    let setting = Setting { variables: &variables, overrides };
    let (gateway, simulator) = start("config.yaml", YAML_RESPONSES, &setting);
    let response = gateway.send(&curl("/v1/responses", r#"{"model":"gpt-4o","input":"hi"}"#)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(simulator.requests()[0].header("authorization"), Some("Bearer sk-openai"));
}

const HOSTED: &str = "[server]\naperture_headers = true\ninstance = \"sgp1\"\n[providers.openrouter]\napikey = \"sk-or\"\n";
const SG: (&str, &str) = ("Authorization", "Bearer sg-YOUR-KEY-HERE");

fn hosted() -> (Gateway, Handle) {
    let variables = [("PINHOLE_API_KEY", "sg-YOUR-KEY-HERE")];
    let setting = Setting { variables: &variables, ..Setting::default() };
    start("pinhole.toml", HOSTED, &setting)
}

#[tokio::test]
async fn seed_001_catalogue() {
    let (gateway, simulator) = hosted();
    let models = [
        "openai/gpt-5.2",
        "openai/gpt-5-mini",
        "openai/o1",
        "anthropic/claude-sonnet-4.6",
        "anthropic/claude-haiku-4.5",
        "google/gemini-3.5-flash",
        "google/gemini-2.5-pro",
        "deepseek/deepseek-chat",
        "deepseek/deepseek-r1",
        "qwen/qwen3.7-plus",
        "x-ai/grok-4.3",
        "qwen/qwen3.7-max",
    ];
    let list = gateway.send(&Request::get("/api/v1/models").header(SG.0, SG.1)).await.json();
    let listed: Vec<&str> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["id"].as_str())
        .collect();
    for model in models {
        assert!(listed.contains(&model), "{model} is not listed: {listed:?}");
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        let request = Request::post("/api/v1/chat/completions").header(SG.0, SG.1).json(&body);
        let response = gateway.send(&request).await;
        assert_eq!(response.status, 200, "{model}: {}", response.text());
        assert_eq!(response.header("x-aperture-upstream"), Some("openrouter"));
        assert_eq!(response.header("x-aperture-region"), Some("sgp1"));
        let seen = simulator.requests().pop().expect("a request");
        assert_eq!(seen.json()["model"], model, "a router takes its own names");
        assert_eq!(seen.header("authorization"), Some("Bearer sk-or"));
    }
}

#[tokio::test]
async fn seed_001_ids_go_to_their_makers_under_their_own_names() {
    let variables =
        [("ANTHROPIC_API_KEY", "a"), ("DEEPSEEK_API_KEY", "d"), ("OPENAI_API_KEY", "o")];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let (gateway, simulator) = start("pinhole.toml", "", &setting);
    for (path, id, sent, provider) in [
        (CHAT, "openai/gpt-5-mini", "gpt-5-mini", "openai"),
        ("/v1/messages", "anthropic/claude-sonnet-4.6", "claude-sonnet-4-6", "anthropic"),
        (CHAT, "deepseek/deepseek-r1", "deepseek-reasoner", "deepseek"),
    ] {
        let body = json!({"model": id, "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]});
        let (response, fact) = gateway.call(&Request::post(path).json(&body)).await;
        assert_eq!(response.status, 200, "{id}: {}", response.text());
        assert_eq!(fact.attempt().provider, provider);
        assert_eq!(simulator.requests().pop().expect("a request").json()["model"], sent);
    }
}

#[tokio::test]
async fn seed_001_recipes() {
    let (gateway, simulator) = hosted();
    let post =
        |body: Value| Request::post("/api/v1/chat/completions").header(SG.0, SG.1).json(&body);
    let json_mode = json!({"model": "openai/gpt-5-mini", "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": "List 3 SEA capitals as JSON array"}]});
    let response = gateway.send(&post(json_mode)).await;
    let text =
        response.json()["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    assert!(serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object()), "{text}");
    let stream = json!({"model": "openai/gpt-5-mini", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let response = gateway.send(&post(stream)).await;
    assert_eq!(response.header("x-cache"), Some("MISS"));
    assert!(response.text().ends_with("data: [DONE]\n\n"));
    let tools = json!({"model": "openai/gpt-5.2", "messages": [{"role": "user", "content": "Weather in Jakarta?"}],
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]});
    let response = gateway.send(&post(tools)).await;
    let call = &response.json()["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "get_weather");
    assert!(call["arguments"].as_str().is_some_and(|text| text.contains("city")), "{call}");
    assert_eq!(simulator.counts().requests, 3);
}

#[tokio::test]
async fn seed_001_own_endpoints() {
    let (gateway, _simulator) = hosted();
    let get = |path: &str| Request::get(path).header(SG.0, SG.1);
    assert_eq!(gateway.send(&Request::get("/health")).await.json()["status"], "ok");
    let targets = gateway.send(&get("/targets").header("host", "gate.example:8000")).await.json();
    assert_eq!(targets["base_url"], "http://gate.example:8000/v1");
    assert_eq!(targets["targets"][0]["id"], "openrouter");
    let me = gateway.send(&get("/auth/me")).await;
    assert_eq!((me.status, me.json()["authenticated"].as_bool()), (200, Some(true)));
    assert!(me.json()["plan"].is_string());
    let wrong =
        gateway.send(&Request::get("/auth/me").header("authorization", "Bearer sg-old")).await;
    assert_eq!(
        (wrong.status, wrong.json()["error"]["code"].as_str()),
        (401, Some("invalid_api_key"))
    );
}

/// What a client gets of a provider's answer when errors are wrapped.
async fn check_wrapped(status: u16, headers: &[(&str, &str)], expected: u16) {
    let raw = "{\"error\":{\"message\":\"raw \\u00e9 words\"}}";
    for (path, pointer, code) in [
        (CHAT, "/error/message", "/error/code"),
        ("/v1/messages", "/error/message", "/error/code"),
        ("/v1beta/models/m:generateContent", "/error/message", "/error/details/0/metadata/code"),
    ] {
        let upstream = Upstream::always(vec![Step::Send(answer(status, headers, raw))]).await;
        let gateway =
            Gateway::start(&format!("[errors]\nwrap_502 = true\n{}", one(&upstream.url())));
        let (response, fact) = gateway.call(&curl(path, r#"{"model":"m"}"#)).await;
        assert_eq!(response.status, expected, "{status} at {path}");
        if expected == status {
            assert_eq!(response.text(), raw);
            continue;
        }
        let body = response.json();
        let message = body.pointer(pointer).and_then(Value::as_str).expect("a message");
        assert!(message.contains(raw) && message.contains(&status.to_string()), "{message}");
        assert_eq!(body.pointer(code).and_then(Value::as_str), Some("upstream_error"));
        let shown = status.to_string();
        assert_eq!(response.header("x-pinhole-upstream-status"), Some(shown.as_str()));
        let after =
            headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| *value);
        assert_eq!(response.header("retry-after"), after);
        assert_eq!(
            (fact.outcome, fact.failure),
            ("upstream_error", Some(("upstream", "upstream_error")))
        );
        assert_eq!(fact.attempt().status, Some(status));
    }
}

#[tokio::test]
async fn seed_001_error_table() {
    check_wrapped(200, &[], 200).await;
    for status in [400, 401, 404, 500, 503, 529] {
        check_wrapped(status, &[], 502).await;
    }
    check_wrapped(429, &[("retry-after", "17")], 502).await;
    let upstream = Upstream::always(vec![Step::Hold]).await;
    let toml = format!(
        "[errors]\nwrap_502 = true\n[timeouts]\nfirst_byte = \"100ms\"\n[[keys]]\nlabel = \"k\"\nsecret = \"pk\"\n\
         [providers.up]\nbaseurl = \"{}\"\nmodels = [\"m\"]\nin_flight = 1\n[limits]\nwait = \"1ms\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&toml);
    let keyed = |body: &str| curl(CHAT, body).header("authorization", "Bearer pk");
    for (request, status, code) in [
        (keyed("{"), 400, "invalid_json"),
        (curl(CHAT, r#"{"model":"m"}"#), 401, "missing_api_key"),
        (keyed(r#"{"model":"unheard-of"}"#), 404, "model_not_found"),
        (keyed(r#"{"model":"m"}"#), 504, "upstream_first_byte_timeout"),
    ] {
        let response = gateway.send(&request).await;
        assert_eq!(
            (response.status, response.json()["error"]["code"].as_str()),
            (status, Some(code))
        );
    }
    let mut running = gateway.connect().await;
    running.send(&keyed(r#"{"model":"m"}"#)).await;
    upstream.request(1).await;
    let response = gateway.send(&keyed(r#"{"model":"m"}"#)).await;
    assert_eq!(
        (response.status, response.json()["error"]["code"].as_str()),
        (429, Some("provider_overloaded"))
    );
    assert!(response.header("retry-after").is_some());
}

#[tokio::test]
async fn a_compressed_error_is_quoted_in_clear_text() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"the raw words").expect("memory");
    let body = encoder.finish().expect("memory");
    let bytes = answer(400, &[("content-encoding", "gzip")], &body);
    let upstream = Upstream::always(vec![Step::Send(bytes)]).await;
    let gateway = Gateway::start(&format!("[errors]\nwrap_502 = true\n{}", one(&upstream.url())));
    let response = gateway.send(&curl(CHAT, r#"{"model":"m"}"#)).await;
    assert!(response.text().contains("the raw words"), "{}", response.text());
    assert_eq!(response.header("content-encoding"), None);
}
