//! Trace context in and out, where nothing is recorded: a caller's context passes as it came, and without one there is one.

use crate::support::gateway::{Gateway, one};
use crate::support::raw::Request;
use crate::support::upstream::{Step, Upstream, json};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn chat() -> Request {
    Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(r#"{"model":"m"}"#)
}

#[tokio::test]
async fn a_callers_context_passes_and_the_answer_names_its_trace() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let request = chat().header("traceparent", CALLER).header("tracestate", "vendor=1");
    let (response, fact) = gateway.call(&request.header("baggage", "user=ann")).await;
    let got = upstream.request(0).await;
    assert_eq!(got.header("traceparent"), Some(CALLER), "no span of ours would fill the hole");
    assert_eq!(got.header("tracestate"), Some("vendor=1"));
    assert_eq!(got.header("baggage"), None, "meant for the caller's own services");
    assert_eq!(fact.trace.id.to_string(), CALLER[3..35]);
    assert_eq!(fact.trace.parent.map(|span| span.to_string()).as_deref(), Some(&CALLER[36..52]));
    let told = response.header("traceparent").expect("told to the caller");
    assert_eq!(told, format!("00-{}-{}-00", fact.trace.id, fact.trace.server));
}

#[tokio::test]
async fn without_a_context_one_is_made_and_the_provider_gets_the_attempts_span() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    for (number, odd) in
        ["", "00-0-0-00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]
            .into_iter()
            .enumerate()
    {
        let mut request = chat().header("tracestate", "vendor=1");
        if !odd.is_empty() {
            request = request.header("traceparent", odd);
        }
        let (response, fact) = gateway.call(&request).await;
        let got = upstream.request(number).await;
        let expected = format!("00-{}-{}-00", fact.trace.id, fact.attempt().span);
        assert_eq!(got.header("traceparent"), Some(expected.as_str()), "{odd}");
        assert_eq!(got.header("tracestate"), None, "it belongs to a trace that does not go on");
        assert!(response.header("traceparent").expect("told").contains(&fact.trace.id.to_string()));
    }
}

#[tokio::test]
async fn refusals_have_a_trace_too() {
    let gateway = Gateway::start(&one("http://127.0.0.1:1"));
    let request = Request::get("/v1/models/none").header("traceparent", CALLER);
    let (response, fact) = gateway.call(&request).await;
    assert_eq!(response.status, 404);
    assert_eq!(fact.trace.id.to_string(), CALLER[3..35]);
    assert!(response.header("traceparent").is_some());
}

#[tokio::test]
async fn sessions_tags_and_agents_are_read_from_the_head() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let request = chat()
        .header("session-id", "of-codex")
        .header("x-session-id", "of-anyone")
        .header("x-pinhole-tag", "team=search")
        .header("x-pinhole-tag", "no value")
        .header("x-pinhole-tag", " env = test=1 ")
        .header("user-agent", "claude-cli/2.1.197 (external, cli)");
    let (_, fact) = gateway.call(&request).await;
    assert_eq!(fact.session.as_deref(), Some("of-anyone"), "the general name wins");
    let tags = [("team", "search"), ("env", "test=1")];
    assert_eq!(fact.tags, tags.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(fact.agent, "claude-code");
    assert_eq!(upstream.request(0).await.header("x-pinhole-tag"), None);
}
