//! The catalogue: what is served and by whom, in three shapes, learnt where it is not configured, failures shown.

use pinhole::base::task;
use pinhole::proxy::discovery;
use pinhole::simulate::Simulator;
use pinhole::simulate::script::Script;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::raw::Request;
use crate::support::upstream::{Step, Upstream, answer, json as answer_json};

const CONFIGURED: &str = r#"
[providers.one]
baseurl = "http://127.0.0.1:9/"
name = "The One"
description = "first"
upstream = "bedrock-mantle"
models = ["gpt-5", { id = "org/own:free", aliases = ["short"], context_length = 1000, max_output_tokens = 50, modalities = ["text", "image"] }]
compatibility = { openai_chat = true, openai_responses = true }

[providers.two]
baseurl = "http://127.0.0.1:9/"
models = ["gpt-5", "claude-haiku-4-5"]
auth_mode = "passthrough"
compatibility = { anthropic_messages = true }

[providers.off]
baseurl = "http://127.0.0.1:9/"
models = ["hidden"]
disabled = true
"#;

async fn get(gateway: &Gateway, request: Request) -> Value {
    let response = gateway.send(&request).await;
    assert_eq!(response.status, 200, "{request:?}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()
}

fn ids<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let rows = list.as_array().expect("a list").iter();
    rows.map(|row| row[key].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn openais_shape() {
    let gateway = Gateway::start(CONFIGURED);
    for path in ["/v1/models", "/api/v1/models", "/models", "/openai/v1/models"] {
        let list = get(&gateway, Request::get(path)).await;
        assert_eq!(list["object"], "list");
        let expected = ["gpt-5", "org/own:free", "short", "gpt-5", "claude-haiku-4-5"];
        assert_eq!(ids(&list["data"], "id")[..5], expected, "{path}");
        assert!(!list.to_string().contains("hidden"), "a disabled provider is absent");
        assert!(list.get("discovery_errors").is_none());
    }
    let list = get(&gateway, Request::get("/v1/models")).await;
    let own = &list["data"][1];
    assert_eq!(own["object"], "model");
    assert_eq!(own["owned_by"], "one");
    assert_eq!((&own["context_length"], &own["max_output_tokens"]), (&json!(1000), &json!(50)));
    assert_eq!(own["modalities"], json!(["text", "image"]));
    assert_eq!(own["supported_endpoints"], json!(["/v1/chat/completions", "/v1/responses"]));
    let metadata = json!({"id": "one", "name": "The One", "description": "first", "requires_client_auth": false,
        "upstream": "bedrock-mantle"});
    assert_eq!(own["metadata"]["provider"], metadata);
    assert_eq!(list["data"][2]["alias_of"], "org/own:free");
    assert_eq!(list["data"][2]["context_length"], 1000);
    let haiku = &list["data"][4];
    assert_eq!(haiku["metadata"]["provider"]["requires_client_auth"], true);
    assert_eq!(haiku["supported_endpoints"], json!(["/v1/messages"]));
    assert_eq!(haiku["context_length"], 200_000, "as published");
}

#[tokio::test]
async fn anthropics_shape() {
    let gateway = Gateway::start(CONFIGURED);
    let ask = |target: &str| Request::get(target).header("anthropic-version", "2023-06-01");
    let list = get(&gateway, ask("/v1/models")).await;
    assert_eq!(ids(&list["data"], "id")[..3], ["gpt-5", "org/own:free", "short"]);
    assert_eq!(list["data"][0]["type"], "model");
    assert!(
        list["data"][0]["display_name"].is_string() && list["data"][0]["created_at"].is_string()
    );
    assert_eq!((&list["has_more"], &list["first_id"]), (&json!(false), &json!("gpt-5")));
    let page = get(&gateway, ask("/v1/models?limit=2")).await;
    assert_eq!(
        (ids(&page["data"], "id"), &page["has_more"]),
        (vec!["gpt-5", "org/own:free"], &json!(true))
    );
    assert_eq!(page["last_id"], "org/own:free");
    let next = get(&gateway, ask("/v1/models?limit=1&after_id=org/own:free")).await;
    assert_eq!(ids(&next["data"], "id"), ["short"]);
    let one = get(&gateway, ask("/v1/models/claude-haiku-4-5")).await;
    assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!("claude-haiku-4-5")));
}

#[tokio::test]
async fn geminis_shape() {
    let gateway = Gateway::start(CONFIGURED);
    for request in [
        Request::get("/v1beta/models"),
        Request::get("/gemini/v1beta/models"),
        Request::get("/v1/models").header("x-goog-api-key", "k"),
        Request::get("/v1/models?key=k"),
    ] {
        let list = get(&gateway, request).await;
        assert_eq!(ids(&list["models"], "name")[..2], ["models/gpt-5", "models/org/own:free"]);
        let own = &list["models"][1];
        assert_eq!((&own["inputTokenLimit"], &own["outputTokenLimit"]), (&json!(1000), &json!(50)));
        assert!(
            own["supportedGenerationMethods"].as_array().is_some_and(|verbs| !verbs.is_empty())
        );
    }
    let one = get(&gateway, Request::get("/v1beta/models/gpt-5")).await;
    assert_eq!(one["name"], "models/gpt-5");
}

#[tokio::test]
async fn one_entry_by_its_id() {
    let gateway = Gateway::start(CONFIGURED);
    for (path, id) in [
        ("/v1/models/gpt-5", "gpt-5"),
        ("/v1/models/org/own:free", "org/own:free"),
        ("/v1/models/org%2Fown%3Afree", "org/own:free"),
        ("/v1/models/short", "short"),
        ("/models/gpt-5", "gpt-5"),
    ] {
        let entry = get(&gateway, Request::get(path)).await;
        assert_eq!(entry["id"], id, "{path}");
        let head = gateway.send(&Request::new("HEAD", path)).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        let length = entry.to_string().len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
    }
    let (response, fact) = gateway.call(&Request::get("/v1/models/gpt5")).await;
    assert_eq!(
        (response.status, response.json()["error"]["code"].as_str()),
        (404, Some("model_not_found"))
    );
    assert!(response.text().contains("did you mean gpt-5"), "{}", response.text());
    assert_eq!(fact.outcome, "rejected");
    let response = gateway.send(&Request::get("/v1/models/hidden")).await;
    assert_eq!(response.status, 404);
}

/// Discovery, running until the test ends.
fn discover(gateway: &Gateway) {
    task::spawn("discovery", discovery::run(gateway.shared().clone()));
}

#[tokio::test]
async fn models_are_learnt_where_none_are_configured() {
    let simulator = Simulator::local(Script::default()).expect("a free port");
    let failing =
        Upstream::always(vec![Step::Send(answer(401, &[], "{\"error\":\"bad key\"}"))]).await;
    let toml = format!(
        "[providers.learnt]\nbaseurl = \"{}\"\napikey = \"sk-1\"\n[providers.failing]\nbaseurl = \"{}\"\napikey = \"sk-2\"\n",
        simulator.url(),
        failing.url()
    );
    let gateway = Gateway::start(&toml);
    discover(&gateway);
    eventually("both answers", || (gateway.shared().snapshot().learned.len() == 2).then_some(()))
        .await;
    let list = get(&gateway, Request::get("/v1/models")).await;
    let rows = list["data"].as_array().expect("a list");
    let learnt = rows.iter().filter(|row| row["owned_by"] == "learnt");
    assert!(learnt.count() > 1, "{list}");
    let errors = &list["discovery_errors"];
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(errors[0]["provider"], "failing");
    let reason = errors[0]["error"].as_str().expect("words");
    assert!(reason.contains("401") && reason.contains("bad key"), "{reason}");
    assert!(!list.to_string().contains("sk-2"));
    assert_eq!(failing.got()[0].header("authorization"), Some("Bearer sk-2"));
    // A learnt model goes to the provider that has it.
    let id = rows[0]["id"].as_str().expect("an id");
    let request = Request::post("/v1/chat/completions").json(&json!({"model": id, "messages": []}));
    let response = gateway.send(&request).await;
    assert_eq!(response.header("x-pinhole-upstream"), Some("learnt"), "{}", response.text());
}

#[tokio::test]
async fn a_failed_or_slow_discovery_blocks_nothing() {
    let chat =
        Request::post("/v1/chat/completions").json(&json!({"model": "anything", "messages": []}));
    for first in
        [Step::Send(answer(500, &[], "no")), Step::Hold, Step::Send(answer_json("[]")), Step::Close]
    {
        let upstream = Upstream::start(move |got| {
            if got.target.contains("/models") {
                vec![first.clone()]
            } else {
                vec![Step::Send(answer_json("{ }"))]
            }
        })
        .await;
        let gateway = Gateway::start(&format!(
            "[providers.open]\nbaseurl = \"{}\"\napikey = \"k\"\n",
            upstream.url()
        ));
        discover(&gateway);
        upstream.request(0).await;
        let response = gateway.send(&chat).await;
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "{ }"),
            "any name is sent on"
        );
        assert_eq!(gateway.send(&Request::get("/v1/models")).await.status, 200);
    }
}

#[tokio::test]
async fn configured_models_are_not_asked_for() {
    let upstream = Upstream::always(vec![Step::Send(answer_json("{ }"))]).await;
    let toml = format!(
        "[providers.up]\nbaseurl = \"{}\"\napikey = \"k\"\nmodels = [\"m\"]\n",
        upstream.url()
    );
    let gateway = Gateway::start(&toml);
    discover(&gateway);
    let response =
        gateway.send(&Request::post("/v1/chat/completions").json(&json!({"model": "m"}))).await;
    assert_eq!(response.status, 200);
    assert_eq!(upstream.only().method, "POST");
}

/// A request and what it is refused with.
#[tokio::test]
async fn unknown_models_and_closed_endpoints_say_what_would_do() {
    let gateway = Gateway::start(CONFIGURED);
    for (path, model, code, words) in [
        ("/v1/chat/completions", "gpt-55", "model_not_found", "did you mean gpt-5"),
        ("/v1/chat/completions", "nothing-like-it-at-all", "model_not_found", "/v1/models"),
        ("/v1/chat/completions", "hidden", "model_not_found", ""),
        (
            "/v1/chat/completions",
            "claude-haiku-4-5",
            "endpoint_not_enabled",
            "providers.two.compatibility.openai_chat",
        ),
        (
            "/v1/messages",
            "org/own:free",
            "endpoint_not_enabled",
            "providers.one.compatibility.anthropic_messages",
        ),
    ] {
        let request = Request::post(path).json(&json!({"model": model}));
        let (response, fact) = gateway.call(&request).await;
        assert_eq!(response.status, 404, "{model}");
        let body = response.json();
        assert_eq!(body["error"]["code"], code, "{model}: {body}");
        assert!(
            body["error"]["message"].as_str().is_some_and(|text| text.contains(words)),
            "{body}"
        );
        assert_eq!((fact.outcome, fact.failure), ("rejected", Some(("client", code))));
    }
    let open = Gateway::start(&format!("default_backend = \"two\"\n{CONFIGURED}"));
    let (response, _) =
        open.call(&Request::post("/v1/messages").json(&json!({"model": "unheard-of"}))).await;
    assert_eq!(response.header("x-pinhole-upstream"), Some("two"), "{}", response.text());
}

#[tokio::test]
async fn whole_lists_are_asked_for() {
    for (preset, expected) in [
        ("openai", "/v1/models"),
        ("anthropic", "/v1/models?limit=1000"),
        ("gemini", "/v1beta/models?pageSize=1000"),
    ] {
        let upstream =
            Upstream::always(vec![Step::Send(answer_json(r#"{"data":[{"id":"m"}]}"#))]).await;
        let toml = format!(
            "[providers.one]\ntype = \"{preset}\"\nbaseurl = \"{}\"\napikey = \"sk-1\"\n",
            upstream.url()
        );
        let gateway = Gateway::start(&toml);
        discover(&gateway);
        eventually("the list", || (gateway.shared().snapshot().learned.len() == 1).then_some(()))
            .await;
        assert_eq!(upstream.got()[0].target, expected, "{preset}");
        let response = gateway.send(&Request::get("/v1/models")).await;
        assert_eq!(response.header("x-cache"), Some("MISS"));
    }
}
