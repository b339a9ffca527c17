//! Credentials: which one reaches the provider, which one opens the gateway, and that neither takes the other's way.

use pinhole::config::diagnostic::Severity;
use serde_json::Value;

use crate::support::gateway::{Gateway, Setting, settings};
use crate::support::raw::Request;
use crate::support::upstream::{Got, Step, Upstream, json};

const CREDENTIALS: [&str; 5] =
    ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cf-aig-authorization"];

fn chat() -> Request {
    Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(r#"{"model":"m"}"#)
}

fn with(request: Request, headers: &[(&str, &str)]) -> Request {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// The credential headers that arrived, `name: value`.
fn credentials(got: &Got) -> Vec<String> {
    let named = got.headers.iter().filter(|(name, _)| {
        CREDENTIALS.contains(&name.as_str()) || name == "x-own-key" || name.starts_with("x-pinhole")
    });
    named.map(|(name, value)| format!("{name}: {value}")).collect()
}

/// What arrives of a request with `headers` at a provider whose block has `lines`, at a gateway with `keys`.
async fn arrived(
    keys: &str,
    lines: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (Got, Vec<String>) {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let toml = format!(
        "{keys}\n[providers.up]\nbaseurl = \"{}\"\nmodels = [\"*\"]\n\
         compatibility = {{ openai_chat = true, gemini_generate_content = true }}\n{lines}\n",
        upstream.url()
    );
    let gateway = Gateway::start(&toml);
    let mut request = chat();
    target.clone_into(&mut request.target);
    let response = gateway.send(&with(request, headers)).await;
    assert_eq!(response.status, 200, "{toml} {headers:?}: {}", response.text());
    let got = upstream.only();
    let found = credentials(&got);
    (got, found)
}

const CHAT: &str = "/v1/chat/completions";
const OWN: (&str, &str) = ("authorization", "Bearer sk-own");
const KEY: &str = "apikey = \"sk-up\"";

#[tokio::test]
async fn the_providers_key_goes_where_its_kind_wants_it() {
    for (scheme, expected) in [
        ("bearer", "authorization: Bearer sk-up"),
        ("x-api-key", "x-api-key: sk-up"),
        ("x-goog-api-key", "x-goog-api-key: sk-up"),
        ("header: x-own-key", "x-own-key: sk-up"),
        ("header: api-key", "api-key: sk-up"),
        ("hec", "authorization: Splunk sk-up"),
        ("cf-aig-authorization", "cf-aig-authorization: Bearer sk-up"),
    ] {
        let lines = format!("{KEY}\nauthorization = \"{scheme}\"");
        for sent in
            [&[][..], &[OWN], &[("x-api-key", "k"), ("x-goog-api-key", "k"), ("api-key", "k")]]
        {
            let (_, found) = arrived("", &lines, CHAT, sent).await;
            assert_eq!(found, [expected], "{scheme} {sent:?}");
        }
    }
    let lines = format!("{KEY}\nauthorization = \"none\"");
    let (_, found) = arrived("", &lines, CHAT, &[OWN]).await;
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn the_mode_says_whose_credential_goes() {
    let own = "authorization: Bearer sk-own";
    let theirs = "authorization: Bearer sk-up";
    for (lines, sent, expected) in [
        ("auth_mode = \"override\"\napikey = \"sk-up\"", &[OWN][..], &[theirs][..]),
        ("auth_mode = \"passthrough\"\napikey = \"sk-up\"", &[OWN], &[own]),
        ("auth_mode = \"passthrough\"\napikey = \"sk-up\"", &[], &[theirs]),
        (
            "auth_mode = \"passthrough\"\napikey = \"sk-up\"",
            &[("x-api-key", "sk-own")],
            &["x-api-key: sk-own"],
        ),
        ("auth_mode = \"none\"\napikey = \"sk-up\"", &[OWN], &[]),
        // Without a key of its own a provider gets the client's, so that subscription logins work by base URL alone.
        ("", &[OWN], &[own]),
        ("", &[("x-api-key", "sk-own")], &["x-api-key: sk-own"]),
        ("", &[], &[]),
        ("authorization = \"none\"", &[OWN], &[]),
    ] {
        let (_, found) = arrived("", lines, CHAT, sent).await;
        assert_eq!(found, expected, "{lines} {sent:?}");
    }
}

#[tokio::test]
async fn added_headers_never_replace_the_credential() {
    let lines =
        format!("{KEY}\nadd_headers = [\"Authorization: Bearer planted\", \"X-Team: search\"]");
    let (got, found) = arrived("", &lines, CHAT, &[("x-team", "mine")]).await;
    assert_eq!(found, ["authorization: Bearer sk-up"]);
    assert_eq!(got.header("x-team"), Some("search"));
    let lines = "auth_mode = \"passthrough\"\nadd_headers = [\"Authorization: Bearer planted\"]";
    let (_, found) = arrived("", lines, CHAT, &[OWN]).await;
    assert_eq!(found, ["authorization: Bearer sk-own"]);
}

#[tokio::test]
async fn geminis_key_is_taken_off_the_url() {
    let path = "/v1beta/models/m:generateContent";
    let (got, found) = arrived("", KEY, &format!("{path}?key=AIza&alt=json"), &[]).await;
    assert_eq!(got.target, format!("{path}?alt=json"));
    assert_eq!(found, ["authorization: Bearer sk-up"]);
    let (got, found) = arrived("", "", &format!("{path}?alt=json&key=AIza"), &[]).await;
    assert_eq!(got.target, format!("{path}?alt=json"));
    assert_eq!(found, ["x-goog-api-key: AIza"], "a client's own key goes on in a header");
    let (got, _) = arrived("", KEY, &format!("{path}?key=AIza"), &[]).await;
    assert_eq!(got.target, path);
}

const GATEWAY: &str = "[[keys]]\nlabel = \"ci\"\nsecret = \"pk-gateway\"\n[[keys]]\nlabel = \"me\"\nsecret = \"pk-me\"\n";

#[tokio::test]
async fn a_gateway_key_opens_from_every_place_and_stays_here() {
    let path = "/v1beta/models/m:generateContent";
    for (target, header, expected_target) in [
        (CHAT, Some(("authorization", "Bearer pk-me")), CHAT),
        (CHAT, Some(("authorization", "bearer pk-me")), CHAT),
        (CHAT, Some(("x-api-key", "pk-me")), CHAT),
        (CHAT, Some(("x-goog-api-key", "pk-me")), CHAT),
        (CHAT, Some(("api-key", "pk-me")), CHAT),
        (CHAT, Some(("x-pinhole-key", "pk-me")), CHAT),
        (
            "/v1beta/models/m:generateContent?key=pk-me&a=b",
            None,
            "/v1beta/models/m:generateContent?a=b",
        ),
        ("/v1beta/models/m:generateContent", Some(("x-goog-api-key", "pk-me")), path),
    ] {
        let headers: Vec<(&str, &str)> = header.into_iter().collect();
        for (lines, expected) in [
            (KEY, &["authorization: Bearer sk-up"][..]),
            ("", &[]),
            ("auth_mode = \"passthrough\"", &[]),
        ] {
            let (got, found) = arrived(GATEWAY, lines, target, &headers).await;
            assert_eq!(found, expected, "{target} {header:?} {lines}");
            assert_eq!(got.target, expected_target);
            let all = format!("{got:?}");
            assert!(!all.contains("pk-me"), "{header:?}: {all}");
        }
    }
}

#[tokio::test]
async fn a_clients_own_credential_beside_the_gateway_key() {
    let ours = ("x-pinhole-key", "pk-me");
    for (lines, sent, expected) in [
        // The gateway key in a header of its own says that `authorization` is for the provider.
        ("", &[ours, OWN][..], &["authorization: Bearer sk-own"][..]),
        ("auth_mode = \"passthrough\"", &[ours, OWN], &["authorization: Bearer sk-own"]),
        (KEY, &[ours, OWN], &["authorization: Bearer sk-up"]),
        // In a place that providers use too, the other credential is only passed on where that is asked for.
        ("", &[("x-api-key", "pk-me"), OWN], &[]),
        (
            "auth_mode = \"passthrough\"",
            &[("x-api-key", "pk-me"), OWN],
            &["authorization: Bearer sk-own"],
        ),
        (
            "auth_mode = \"passthrough\"",
            &[ours, OWN, ("x-api-key", "pk-gateway")],
            &["authorization: Bearer sk-own"],
        ),
    ] {
        let (_, found) = arrived(GATEWAY, lines, CHAT, sent).await;
        assert_eq!(found, expected, "{lines} {sent:?}");
    }
}

#[tokio::test]
async fn a_gateway_key_repeated_in_another_header_stays_here_too() {
    for repeated in
        [("authorization", "Bearer pk-gateway"), ("x-api-key", "pk-me"), ("api-key", "pk-me")]
    {
        let sent = [
            ("x-pinhole-key", "pk-me"),
            OWN,
            repeated,
            ("x-api-key", "own"),
            ("x-api-key", "pk-me"),
        ];
        let (got, _) = arrived(GATEWAY, "auth_mode = \"passthrough\"", CHAT, &sent).await;
        let all = format!("{got:?}");
        assert!(!all.contains("pk-"), "{repeated:?}: {all}");
    }
}

#[tokio::test]
async fn the_key_has_a_label_in_the_record() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let toml =
        format!("{GATEWAY}[providers.up]\nbaseurl = \"{}\"\nmodels = [\"*\"]\n", upstream.url());
    let gateway = Gateway::start(&toml);
    let (_, fact) = gateway.call(&chat().header("authorization", "Bearer pk-gateway")).await;
    assert_eq!(fact.key_label.as_deref(), Some("ci"));
    let variables = [("PINHOLE_API_KEY", "pk-env")];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    let (_, fact) = gateway.call(&chat().header("authorization", "Bearer pk-env")).await;
    assert_eq!(fact.key_label.as_deref(), Some("env"));
}

/// A provider that is never asked.
const NOWHERE: &str = "[providers.up]\nbaseurl = \"http://127.0.0.1:9/\"\nmodels = [\"*\"]\n";

/// Where the code stands in each dialect's envelope.
fn code(body: &Value) -> &Value {
    let google = &body["error"]["details"][0]["metadata"]["code"];
    if google.is_null() { &body["error"]["code"] } else { google }
}

#[tokio::test]
async fn unknown_callers_are_refused_in_the_dialect_of_the_path() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let toml =
        format!("{GATEWAY}[providers.up]\nbaseurl = \"{}\"\nmodels = [\"*\"]\n", upstream.url());
    let gateway = Gateway::start(&toml);
    let wrong = ("authorization", "Bearer sk-else");
    for (path, pointer, kind) in [
        (CHAT, "/error/type", "authentication_error"),
        ("/v1/responses", "/error/type", "authentication_error"),
        ("/v1/embeddings", "/error/type", "authentication_error"),
        ("/v1/messages", "/error/type", "authentication_error"),
        ("/v1beta/models/m:generateContent", "/error/status", "UNAUTHENTICATED"),
        ("/providers/up/v1/messages", "/error/type", "authentication_error"),
        ("/v1/files", "/error/type", "authentication_error"),
        ("/v1/models", "/error/type", "authentication_error"),
    ] {
        for (headers, expected) in [
            (&[][..], "missing_api_key"),
            (&[wrong], "invalid_api_key"),
            (&[("x-api-key", "")], "missing_api_key"),
            (&[("authorization", "Bearer pk-m")], "invalid_api_key"),
            (&[("authorization", "Bearer pk-mee")], "invalid_api_key"),
        ] {
            let method = if path == "/v1/models" { "GET" } else { "POST" };
            let request = Request::new(method, path).header("content-type", "application/json");
            let (response, fact) = gateway.call(&with(request, headers)).await;
            assert_eq!(response.status, 401, "{path}");
            let body = response.json();
            assert_eq!(code(&body), expected, "{path} {headers:?}: {body}");
            assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some(kind), "{path}: {body}");
            assert_eq!((fact.outcome, fact.failure), ("rejected", Some(("client", expected))));
            assert!(fact.attempts.is_empty());
        }
    }
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn an_unauthenticated_body_is_not_read() {
    let gateway = Gateway::start(&format!("{GATEWAY}{NOWHERE}"));
    let mut connection = gateway.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
    connection.write(head.as_bytes()).await;
    let answer = connection.read_head().await.expect("an answer before the body");
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn dummy_keys_do_on_loopback_while_there_is_no_gateway_key() {
    for sent in [
        &[][..],
        &[("authorization", "Bearer not-needed")],
        &[("x-api-key", "-")],
        &[("authorization", "Basic eDp5")],
    ] {
        let (_, found) = arrived("", KEY, CHAT, sent).await;
        assert_eq!(found, ["authorization: Bearer sk-up"], "{sent:?}");
    }
}

#[test]
fn beyond_loopback_a_key_is_needed() {
    for (listen, keys, refused) in [
        ("0.0.0.0:8000", "", true),
        ("[::]:8000", "", true),
        ("192.168.1.5:8000", "", true),
        ("0.0.0.0:8000", GATEWAY, false),
        ("127.0.0.1:8000", "", false),
        ("[::1]:8000", "", false),
    ] {
        let text = format!("{keys}[server]\nlisten = \"{listen}\"\n{NOWHERE}");
        let found = settings("pinhole.toml", &text, &Setting::default());
        let errors: Vec<String> = match &found {
            Ok(_) => Vec::new(),
            Err(findings) => findings
                .iter()
                .filter(|finding| finding.severity == Severity::Error)
                .map(ToString::to_string)
                .collect(),
        };
        assert_eq!(errors.len(), usize::from(refused), "{listen}: {errors:?}");
        let named = errors
            .iter()
            .all(|error| error.contains("server.listen") && error.contains("PINHOLE_API_KEY"));
        assert!(named, "{errors:?}");
    }
}

#[tokio::test]
async fn who_am_i() {
    let gateway = Gateway::start(&format!("{GATEWAY}{NOWHERE}"));
    let response =
        gateway.send(&Request::get("/auth/me").header("authorization", "Bearer pk-me")).await;
    assert_eq!((response.status, response.json()["principal"].as_str()), (200, Some("me")));
    let response = gateway.send(&Request::get("/auth/me")).await;
    assert_eq!(response.status, 401);
    let open = Gateway::start(NOWHERE);
    let response = open.send(&Request::get("/auth/me")).await;
    assert_eq!(response.json()["authenticated"], true);
}
