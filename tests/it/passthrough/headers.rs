//! Headers in both directions: deny-lists, not allow-lists, and the gateway's own.

use crate::support::gateway::{Gateway, one};
use crate::support::raw::{Request, Response};
use crate::support::upstream::{Got, Step, Upstream, answer, chunk, chunked, json, last_chunk};

const CHAT: &str = "/v1/chat/completions";

fn chat() -> Request {
    Request::post(CHAT).header("content-type", "application/json").body(r#"{"model":"m"}"#)
}

/// What arrives at the provider of a request with `headers`.
async fn sent(headers: &[(&str, &str)]) -> Got {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let mut request = chat();
    for (name, value) in headers {
        request = request.header(name, value);
    }
    assert_eq!(gateway.send(&request).await.status, 200, "{headers:?}");
    let got = upstream.only();
    assert_eq!(got.header("host"), Some(&*upstream.addr.to_string()));
    got
}

#[tokio::test]
async fn request_headers_pass_but_for_a_deny_list() {
    let passing = [
        ("user-agent", "claude-cli/2.0 (external, cli)"),
        ("anthropic-beta", "a-2025,b-2025"),
        ("anthropic-version", "2023-06-01"),
        ("openai-organization", "org-1"),
        ("x-stainless-lang", "python"),
        ("idempotency-key", "k-1"),
        ("accept", "text/event-stream"),
        ("accept-encoding", "gzip, br"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-request-id", "client-1"),
        ("x-unknown", "a, b"),
        ("x-empty", ""),
    ];
    let got = sent(&passing).await;
    for (name, value) in passing {
        assert_eq!(got.header(name), Some(value), "{name}: {got:?}");
    }
    for (name, value) in [
        ("cookie", "__cf_bm=secret"),
        ("connection", "keep-alive, x-only-here"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-connection", "keep-alive"),
        ("expect", "100-continue"),
        ("x-pinhole-tag", "team=search"),
        ("x-pinhole-capture", "off"),
        ("x-pinhole-key", "k"),
        ("x-pinhole-anything", "1"),
        ("x-aperture-fallback", "m"),
    ] {
        let got = sent(&[(name, value), ("x-only-here", "1")]).await;
        assert_eq!(got.header(name), None, "{name}: {got:?}");
        let named = value.contains("x-only-here");
        assert_eq!(got.header("x-only-here").is_none(), named, "{name}");
    }
}

#[tokio::test]
async fn repeated_headers_keep_their_order() {
    let got = sent(&[("anthropic-beta", "a"), ("x-other", "1"), ("anthropic-beta", "b")]).await;
    let betas: Vec<&str> = got
        .headers
        .iter()
        .filter(|(name, _)| name == "anthropic-beta")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(betas, ["a", "b"]);
}

const ANSWERED: [(&str, &str); 12] = [
    ("retry-after", "3"),
    ("request-id", "req_1"),
    ("x-ratelimit-remaining-tokens", "9"),
    ("anthropic-ratelimit-requests-limit", "50"),
    ("openai-processing-ms", "12"),
    ("x-unknown", "kept"),
    ("server", "theirs"),
    ("set-cookie", "a=b"),
    ("connection", "x-only-here"),
    ("x-only-here", "1"),
    ("alt-svc", "h3=\":443\""),
    ("x-pinhole-id", "forged"),
];

fn check_answered(response: &Response) {
    for (name, value) in &ANSWERED[..7] {
        assert_eq!(response.head.header_all(name), [*value], "{name}: {response:?}");
    }
    for (name, _) in &ANSWERED[7..11] {
        assert_eq!(response.header(name), None, "{name}: {response:?}");
    }
    let ids = response.head.header_all("x-pinhole-id");
    assert!(ids.len() == 1 && ids[0].len() == 36, "{ids:?}");
    // The provider's own id for the answer is the answer's.
    assert_eq!(response.header("x-request-id"), Some("req_of_provider"));
}

#[tokio::test]
async fn response_headers_pass_but_for_a_deny_list() {
    let mut headers = ANSWERED.to_vec();
    headers.push(("x-request-id", "req_of_provider"));
    for status in [200, 201, 400, 429, 500, 529] {
        let upstream = Upstream::always(vec![Step::Send(answer(status, &headers, "{}"))]).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let response = gateway.send(&chat()).await;
        assert_eq!((response.status, response.text().as_str()), (status, "{}"));
        check_answered(&response);
        let failed = (status >= 400).then(|| status.to_string());
        assert_eq!(response.header("x-pinhole-upstream-status"), failed.as_deref());
        assert_eq!(response.header("x-cache"), None, "not a stream");
    }
    headers.push(("content-type", "text/event-stream"));
    let steps = vec![
        Step::Send(chunked(200, &headers)),
        Step::Send(chunk("data: [DONE]\n\n")),
        Step::Send(last_chunk()),
    ];
    let upstream = Upstream::always(steps).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let response = gateway.send(&chat()).await;
    check_answered(&response);
    assert_eq!(response.header("x-cache"), Some("MISS"));
}

/// The answer's `x-request-id`, given what client and provider sent.
async fn check_request_id(client: Option<&str>, provider: Option<&str>, expected: Option<&str>) {
    let headers: Vec<(&str, &str)> = provider.map(|id| ("x-request-id", id)).into_iter().collect();
    let upstream = Upstream::always(vec![Step::Send(answer(200, &headers, "{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let request = client.map_or_else(chat, |id| chat().header("x-request-id", id));
    let response = gateway.send(&request).await;
    let expected = expected.or(response.header("x-pinhole-id"));
    assert_eq!(response.header("x-request-id"), expected, "{client:?} {provider:?}");
}

#[tokio::test]
async fn the_request_id_is_the_providers_else_the_clients_else_ours() {
    check_request_id(Some("mine"), Some("theirs"), Some("theirs")).await;
    check_request_id(None, Some("theirs"), Some("theirs")).await;
    check_request_id(Some("mine"), None, Some("mine")).await;
    check_request_id(None, None, None).await;
}

#[tokio::test]
async fn own_headers_say_what_was_done() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let own = |server: &str| format!("{server}{}", one(&upstream.url()));
    let plain = Gateway::start(&own(""));
    let (response, fact) = plain.call(&chat()).await;
    for (name, expected) in [
        ("x-pinhole-id", Some(fact.id.as_str())),
        ("x-pinhole-upstream", Some("up")),
        ("x-pinhole-model", Some("m")),
        ("x-pinhole-attempts", Some("1")),
        ("x-pinhole-upstream-status", None),
        ("x-pinhole-instance", None),
        ("x-aperture-upstream", None),
        ("x-aperture-region", None),
    ] {
        assert_eq!(response.header(name), expected, "{name}");
    }
    let named = Gateway::start(&own("[server]\ninstance = \"sgp1\"\naperture_headers = true\n"));
    let response = named.send(&chat()).await;
    for (name, expected) in [
        ("x-pinhole-instance", "sgp1"),
        ("x-aperture-upstream", "up"),
        ("x-aperture-region", "sgp1"),
    ] {
        assert_eq!(response.header(name), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_and_named_ones_may_read() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let toml =
        format!("[server]\ncors_origins = [\"https://good.example\"]\n{}", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    for (origin, status) in [
        ("https://evil.example", 403),
        ("null", 403),
        ("https://good.example", 200),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:5173", 200),
    ] {
        let response = gateway.send(&chat().header("origin", origin)).await;
        assert_eq!(response.status, status, "{origin}");
        let readable = (status == 200).then_some(origin);
        assert_eq!(response.header("access-control-allow-origin"), readable, "{origin}");
        let preflight = Request::new("OPTIONS", CHAT)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, x-stainless-os");
        let response = gateway.send(&preflight).await;
        assert_eq!(response.status, 204, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), readable, "{origin}");
        let asked = readable.map(|_| "authorization, x-stainless-os");
        assert_eq!(response.header("access-control-allow-headers"), asked, "{origin}");
    }
}

#[tokio::test]
async fn a_page_may_use_every_method_that_is_forwarded() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let origin = "http://localhost:3000";
    for (number, method) in ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().enumerate() {
        let path = "/providers/up/v1/things/1";
        let preflight = Request::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", method);
        let asked = gateway.send(&preflight).await;
        assert_eq!(asked.status, 204, "{method}: {asked:?}");
        let methods = asked.header("access-control-allow-methods").expect("the methods");
        assert!(
            methods.split(", ").any(|allowed| allowed == method),
            "{method} is not in {methods}"
        );
        let answer = gateway.send(&Request::new(method, path).header("origin", origin)).await;
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(upstream.request(number).await.method, method);
    }
}

#[tokio::test]
async fn a_page_that_bound_a_name_to_this_address_reads_nothing() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let config = one(&upstream.url());
    let open =
        Gateway::start(&format!("[server]\ncors_origins = [\"http://named.example\"]\n{config}"));
    let keyed = Gateway::start(&format!("{config}\n[[keys]]\nlabel = \"k\"\nsecret = \"pk-1\"\n"));
    let browser = "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0";
    for (gateway, host, agent, status) in [
        (&open, "evil.example:8000", browser, 403),
        (&open, "evil.example:8000", "OpenAI/Python 3.51.0", 200),
        (&open, "named.example:8000", browser, 200),
        (&open, "localhost:8000", browser, 200),
        (&open, "127.0.0.1:8000", browser, 200),
        (&keyed, "evil.example:8000", browser, 200),
    ] {
        let request = Request::get("/v1/files")
            .header("host", host)
            .header("user-agent", agent)
            .header("x-pinhole-key", "pk-1");
        assert_eq!(gateway.send(&request).await.status, status, "{host} {agent}");
    }
}

#[tokio::test]
async fn options_without_an_origin_tells_the_methods() {
    let upstream = Upstream::always(vec![]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let response = gateway.send(&Request::new("OPTIONS", CHAT)).await;
    assert_eq!(response.status, 204, "{response:?}");
    assert!(response.header("allow").is_some_and(|allow| allow.contains("POST")));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Upstream::always(vec![Step::Send(json("{}"))]).await;
    for status in [301, 302, 307, 308] {
        let location = format!("{}/elsewhere", elsewhere.url());
        let headers = [("location", location.as_str())];
        let upstream = Upstream::always(vec![Step::Send(answer(status, &headers, "moved"))]).await;
        let gateway = Gateway::start(&one(&upstream.url()));
        let (response, fact) = gateway.call(&chat()).await;
        assert_eq!((response.status, response.text().as_str()), (status, "moved"));
        assert_eq!(response.header("location"), Some(location.as_str()));
        assert_eq!(fact.outcome, "complete");
    }
    assert!(elsewhere.got().is_empty());
}
