//! Which provider gets a request: flags, preference, defaults, as the running gateway decides it.

use serde_json::Value;

use crate::support::gateway::{Gateway, Setting};
use crate::support::raw::Request;
use crate::support::upstream::{Step, Upstream, json};

/// A block with these lines, at a provider that is asked nothing unless a test wants it.
fn block(id: &str, url: &str, lines: &str) -> String {
    format!("[providers.{id}]\nbaseurl = \"{url}\"\napikey = \"k\"\n{lines}\n")
}

fn post(path: &str, model: &str) -> Request {
    Request::post(path)
        .header("content-type", "application/json")
        .body(format!(r#"{{"model":"{model}"}}"#))
}

/// Each endpoint, the flag that opens it, and where its dialect keeps the words.
const GATED: [(&str, &str); 9] = [
    ("/v1/chat/completions", "openai_chat"),
    ("/v1/completions", "openai_chat"),
    ("/v1/responses", "openai_responses"),
    ("/v1/messages", "anthropic_messages"),
    ("/v1beta/models/m:generateContent", "gemini_generate_content"),
    ("/v1/projects/p/locations/l/publishers/g/models/m:generateContent", "google_generate_content"),
    ("/v1/projects/p/locations/l/publishers/a/models/m:rawPredict", "google_raw_predict"),
    ("/bedrock/model/m/invoke", "bedrock_model_invoke"),
    ("/bedrock/model/m/converse", "bedrock_converse"),
];

const OPEN: [&str; 5] = [
    "/v1/embeddings",
    "/v1/audio/speech",
    "/v1/moderations",
    "/v1/anything/else",
    "/v1beta/models/m:embedContent",
];

/// With `compatibility` written so, exactly the endpoints of `flags` are open, and those that have no flag.
async fn check_flags(id: &str, compatibility: &str, flags: &[&str]) {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway =
        Gateway::start(&block(id, &upstream.url(), &format!("models = [\"m\"]\n{compatibility}")));
    for (path, flag) in GATED {
        let (response, fact) = gateway.call(&post(path, "m")).await;
        let open = flags.contains(&flag);
        assert_eq!(
            response.status,
            if open { 200 } else { 404 },
            "{compatibility} {path}: {}",
            response.text()
        );
        if !open {
            assert_eq!(fact.failure, Some(("client", "endpoint_not_enabled")), "{path}");
            let named = format!("providers.{id}.compatibility.{flag}");
            assert!(response.text().contains(&named), "{path}: {}", response.text());
        }
    }
    for path in OPEN {
        assert_eq!(gateway.send(&post(path, "m")).await.status, 200, "{compatibility} {path}");
    }
}

#[tokio::test]
async fn each_flag_opens_its_endpoints_alone() {
    for (_, flag) in GATED {
        let only = format!("compatibility = {{ openai_chat = false, {flag} = true }}");
        if flag != "openai_chat" {
            check_flags("own", &only, &[flag]).await;
        }
    }
}

#[tokio::test]
async fn flags_by_default() {
    // A block keyed `openai`, or by a name that is no preset, without type and flags, has chat alone.
    check_flags("openai", "", &["openai_chat"]).await;
    check_flags("own", "", &["openai_chat"]).await;
    // A type brings its preset's.
    check_flags("own", "type = \"openai\"", &["openai_chat", "openai_responses"]).await;
    check_flags("own", "type = \"anthropic\"", &["anthropic_messages"]).await;
    check_flags("anthropic", "", &["anthropic_messages"]).await;
    // Inside a block, chat is on unless another flag is.
    check_flags("own", "compatibility = {}", &["openai_chat"]).await;
    check_flags("own", "compatibility = { openai_responses = true }", &["openai_responses"]).await;
    let both = "compatibility = { openai_responses = true, openai_chat = true }";
    check_flags("own", both, &["openai_chat", "openai_responses"]).await;
}

/// Which of two providers, `one` and `two`, gets the request.
async fn check(rules: &str, lines: [&str; 2], (path, model): (&str, &str), expected: &str) {
    let upstreams = [
        Upstream::always(vec![Step::Send(json("1"))]).await,
        Upstream::always(vec![Step::Send(json("2"))]).await,
    ];
    let toml = format!(
        "{rules}\n{}{}",
        block("one", &upstreams[0].url(), lines[0]),
        block("two", &upstreams[1].url(), lines[1])
    );
    let gateway = Gateway::start(&toml);
    let (response, fact) = gateway.call(&post(path, model)).await;
    let shown = format!("{rules} {lines:?} {path} {model}: {}", response.text());
    assert_eq!(response.header("x-pinhole-upstream"), Some(expected), "{shown}");
    assert_eq!(fact.attempt().provider, expected, "{shown}");
    let at = usize::from(expected == "two");
    assert_eq!((upstreams[at].got().len(), upstreams[1 - at].got().len()), (1, 0), "{shown}");
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn names_then_preference_then_the_order_of_the_file() {
    let m = "models = [\"m\"]";
    for (rules, lines, asked, expected) in [
        ("", [m, m], (CHAT, "m"), "one"),
        ("", [m, "models = [\"m\"]\npreference = 5"], (CHAT, "m"), "two"),
        ("", ["models = [\"m\"]\npreference = -1", m], (CHAT, "m"), "two"),
        ("", ["models = [\"m\"]\ndisabled = true", m], (CHAT, "m"), "two"),
        // The one that offers the endpoint.
        (
            "",
            [m, "models = [\"m\"]\ncompatibility = { openai_responses = true }"],
            ("/v1/responses", "m"),
            "two",
        ),
        // An exact id before a prefix, an id before a glob.
        ("", ["models = [\"m\", \"two/m\"]", m], (CHAT, "two/m"), "one"),
        ("", ["models = [\"*\"]", m], (CHAT, "m"), "two"),
        ("", ["models = [\"gpt-*\"]", "models = [\"*\"]"], (CHAT, "gpt-5"), "one"),
    ] {
        check(rules, lines, asked, expected).await;
    }
}

#[tokio::test]
async fn rules_before_names() {
    let lines = ["models = [\"m\"]", "models = [\"n\"]"];
    for (rule, asked) in [
        ("default_backend = \"two\"", "unheard-of"),
        ("default_backend = \"two:n\"", "unheard-of"),
        ("static_route = \"two:n\"", "m"),
        ("force_model = \"n\"", "m"),
    ] {
        check(rule, lines, (CHAT, asked), "two").await;
    }
}

#[tokio::test]
async fn a_request_without_a_model() {
    let m = "models = [\"m\"]";
    let messages = "models = [\"c\"]\ncompatibility = { anthropic_messages = true }";
    for (rules, lines, path, expected) in [
        ("", [m, messages], "/v1/chat/completions", "one"),
        ("", [m, messages], "/v1/messages", "two"),
        ("", [messages, m], "/v1/files", "two"),
        ("default_backend = \"two\"", [m, m], "/v1/files", "two"),
    ] {
        let upstreams = [
            Upstream::always(vec![Step::Send(json("1"))]).await,
            Upstream::always(vec![Step::Send(json("2"))]).await,
        ];
        let toml = format!(
            "{rules}\n{}{}",
            block("one", &upstreams[0].url(), lines[0]),
            block("two", &upstreams[1].url(), lines[1])
        );
        let gateway = Gateway::start(&toml);
        let response = gateway.send(&Request::post(path).body("{\"x\":1}")).await;
        assert_eq!(
            response.header("x-pinhole-upstream"),
            Some(expected),
            "{rules} {path}: {}",
            response.text()
        );
        let at = usize::from(expected == "two");
        let sent = upstreams[at].only().text();
        assert!(sent.contains("\"x\":1"), "{sent}");
    }
}

#[tokio::test]
async fn no_provider_at_all() {
    let gateway =
        Gateway::start(&block("off", "http://127.0.0.1:9/", "models = [\"m\"]\ndisabled = true"));
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/code"),
        ("/v1/messages", "/error/code"),
        ("/v1beta/models/m:generateContent", "/error/details/0/metadata/code"),
        ("/v1/files", "/error/code"),
    ] {
        let (response, fact) = gateway.call(&post(path, "m")).await;
        assert_eq!(response.status, 503, "{path}: {}", response.text());
        let body = response.json();
        assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some("no_provider"), "{body}");
        assert_eq!((fact.outcome, fact.failure), ("rejected", Some(("gateway", "no_provider"))));
    }
    assert_eq!(gateway.send(&Request::get("/ready")).await.status, 503);
}

#[tokio::test]
async fn numbered_keys_of_the_environment_make_one_provider() {
    let variables =
        [("OPENAI_API_KEY", "sk-0"), ("OPENAI_API_KEY_1", "sk-1"), ("ANTHROPIC_API_KEY", "sk-a")];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", "", &setting);
    let targets = gateway.send(&Request::get("/targets")).await.json();
    let ids: Vec<&str> = targets["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["id"].as_str())
        .collect();
    assert_eq!(ids, ["openai", "anthropic"]);
    let settings = &gateway.shared().snapshot().settings;
    assert_eq!(settings.providers[0].keys.len(), 2);
}
