//! Spans by OTLP: their shape, their ids, who decides on them, and a collector in every kind of trouble.
//!
//! The collector is a scripted server that takes OTLP as JSON; the other protocols are proven against a real collector
//! in `tests/telemetry`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pinhole::base::clock;
use pinhole::simulate::Simulator;
use pinhole::simulate::script::Script;
use serde_json::{Value, json};

use crate::support::certificates::Certificates;
use crate::support::eventually;
use crate::support::gateway::{Gateway, Setting, one};
use crate::support::raw::{Request, Response};
use crate::support::upstream::{Step, Upstream};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A collector that takes everything.
async fn collector() -> Upstream {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    Upstream::always(vec![Step::send(answer)]).await
}

/// A gateway before `provider` that sends to `collector`, with further variables.
fn gateway(provider: &str, collector: &str, more: &[(&str, &str)]) -> Gateway {
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    variables.extend_from_slice(more);
    let setting = Setting { variables: &variables, ..Setting::default() };
    Gateway::start_with("pinhole.toml", &one(provider), &setting)
}

/// One span as the collector got it.
#[derive(Debug, Clone)]
struct Span {
    json: Value,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    fn attribute(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }

    fn nanos(&self, field: &str) -> u64 {
        self.text(field).parse().expect("nanoseconds")
    }
}

fn plain(value: &Value) -> Value {
    if let Some(number) = value.get("intValue") {
        let text = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
        return json!(text.parse::<i64>().expect("a number"));
    }
    if let Some(array) = value.pointer("/arrayValue/values").and_then(Value::as_array) {
        return array.iter().map(plain).collect();
    }
    let plain = ["stringValue", "doubleValue", "boolValue"].iter().find_map(|kind| value.get(kind));
    plain.cloned().unwrap_or(Value::Null)
}

fn spans(collector: &Upstream) -> Vec<Span> {
    let mut spans = Vec::new();
    for got in collector.got().iter().filter(|got| got.target == "/v1/traces") {
        let export: Value = serde_json::from_slice(&got.body).expect("OTLP as JSON");
        for resource in export["resourceSpans"].as_array().into_iter().flatten() {
            for scope in resource["scopeSpans"].as_array().into_iter().flatten() {
                for span in scope["spans"].as_array().into_iter().flatten() {
                    let attributes = span["attributes"].as_array().into_iter().flatten();
                    let attributes = attributes
                        .map(|one| {
                            (
                                one["key"].as_str().unwrap_or_default().to_owned(),
                                plain(&one["value"]),
                            )
                        })
                        .collect();
                    spans.push(Span { json: span.clone(), attributes });
                }
            }
        }
    }
    spans
}

/// Waits for this many spans, and says that there are no more.
async fn received(collector: &Upstream, count: usize) -> Vec<Span> {
    eventually("the spans", || Some(spans(collector)).filter(|spans| spans.len() >= count)).await
}

fn chat(stream: bool) -> Request {
    let body = json!({
        "model": "sim-gpt",
        "messages": [{"role": "user", "content": "planted-prompt-words"}],
        "stream": stream,
        "stream_options": if stream { json!({"include_usage": true}) } else { Value::Null },
    });
    Request::post("/v1/chat/completions").json(&body)
}

async fn answered(gateway: &Gateway, request: &Request) -> Response {
    let response = gateway.send(request).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response
}

#[tokio::test]
async fn an_exchange_is_three_spans_with_the_ids_that_were_told() {
    let collector = collector().await;
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-told",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2}},
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-9\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let provider = Upstream::always(vec![Step::send(head)]).await;
    let gateway = gateway(&provider.url(), &collector.url(), &[]);
    let request = chat(false).header("traceparent", CALLER).header("x-session-id", "s-1");
    let response = answered(&gateway, &request).await;

    let all = received(&collector, 3).await;
    assert_eq!(all.len(), 3, "{all:#?}");
    let [server, call, attempt] = &all[..] else { panic!("three spans") };
    assert!(all.iter().all(|span| span.text("traceId") == TRACE));

    // The chain of parents, from the caller's span to what the provider was told.
    assert_eq!(server.text("parentSpanId"), "00f067aa0ba902b7");
    assert_eq!(call.text("parentSpanId"), server.text("spanId"));
    assert_eq!(attempt.text("parentSpanId"), call.text("spanId"));
    let told = provider.got()[0].header("traceparent").expect("traceparent").to_owned();
    assert_eq!(told, format!("00-{TRACE}-{}-01", attempt.text("spanId")));
    let answered = response.header("traceparent").expect("traceparent");
    assert_eq!(answered, format!("00-{TRACE}-{}-01", server.text("spanId")));

    assert_eq!(server.text("name"), "POST /v1/chat/completions");
    assert_eq!(call.text("name"), "chat sim-gpt");
    assert_eq!(attempt.text("name"), "POST");
    let kinds = [server, call, attempt].map(|span| span.json["kind"].as_i64());
    assert_eq!(kinds, [Some(2), Some(3), Some(3)], "server, client, client");

    let id = response.header("x-pinhole-id").expect("an id");
    for span in &all {
        assert_eq!(span.attribute("pinhole.exchange.id"), id, "{}", span.text("name"));
        assert!(span.nanos("startTimeUnixNano") <= span.nanos("endTimeUnixNano"));
        for foreign in ["target", "busy_ns", "thread.id", "code.file.path", "level"] {
            assert!(span.attribute(foreign).is_null(), "{foreign} on {}", span.text("name"));
        }
    }
    let inside = |outer: &Span, inner: &Span| {
        outer.nanos("startTimeUnixNano") <= inner.nanos("startTimeUnixNano")
            && inner.nanos("endTimeUnixNano") <= outer.nanos("endTimeUnixNano")
    };
    assert!(inside(server, call) && inside(call, attempt), "{all:#?}");

    assert_eq!(server.attribute("http.response.status_code"), 200);
    assert_eq!(server.attribute("pinhole.outcome"), "complete");
    assert_eq!(call.attribute("gen_ai.operation.name"), "chat");
    assert_eq!(call.attribute("gen_ai.provider.name"), "up");
    assert_eq!(call.attribute("gen_ai.request.model"), "sim-gpt");
    assert_eq!(call.attribute("gen_ai.conversation.id"), "s-1");
    assert_eq!(attempt.attribute("server.port"), provider.addr.port());
    assert_eq!(attempt.attribute("network.peer.address"), "127.0.0.1");
    assert!(attempt.attribute("http.request.resend_count").is_null());
    assert_eq!(call.attribute("gen_ai.response.model"), "gpt-told");
    assert_eq!(call.attribute("gen_ai.response.id"), "chatcmpl-1");
    assert_eq!(call.attribute("gen_ai.response.finish_reasons"), &json!(["stop"]));
    assert_eq!(call.attribute("gen_ai.usage.input_tokens"), 11);
    assert_eq!(call.attribute("gen_ai.usage.output_tokens"), 7);
    assert_eq!(call.attribute("gen_ai.usage.cache_read.input_tokens"), 4);
    assert_eq!(call.attribute("gen_ai.usage.reasoning.output_tokens"), 2);
}

#[tokio::test]
async fn nothing_of_the_words_or_keys_is_sent_unless_asked_for() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let collector = collector().await;
    let gateway = gateway(&simulator.url(), &collector.url(), &[]);
    answered(&gateway, &chat(true).header("authorization", "Bearer sk-planted-key")).await;
    received(&collector, 3).await;
    for got in collector.got() {
        let text = got.text();
        for mark in ["planted-prompt-words", "sk-planted-key", "sk-of-the-provider"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
    }
}

#[tokio::test]
async fn the_callers_choice_is_followed_and_without_one_the_share() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let collector = collector().await;
    let none =
        [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")];
    let gateway = gateway(&simulator.url(), &collector.url(), &none);
    let unsampled = CALLER.replace("-01", "-00");
    let response = answered(&gateway, &chat(false).header("traceparent", &unsampled)).await;
    assert!(response.header("traceparent").expect("traceparent").ends_with("-00"));
    answered(&gateway, &chat(false)).await;
    // The one that is sampled comes last: when it has come, the others would have.
    answered(&gateway, &chat(false).header("traceparent", CALLER)).await;
    let all = received(&collector, 3).await;
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all.iter().all(|span| span.text("traceId") == TRACE), "{all:#?}");
}

#[tokio::test]
async fn a_restarted_trace_is_linked_to_the_callers() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let collector = collector().await;
    let toml = format!(
        "{}[telemetry]\notlp = {{ endpoint = \"{}\", protocol = \"http/json\", headers = {{ x-team = \"env:TEAM\" }} }}\n\
         traces = {{ incoming = \"restart\" }}\n",
        one(&simulator.url()),
        collector.url()
    );
    let variables = [("OTEL_BSP_SCHEDULE_DELAY", "20"), ("TEAM", "blue")];
    let setting = Setting { variables: &variables, ..Setting::default() };
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    answered(&gateway, &chat(false).header("traceparent", CALLER)).await;
    let all = received(&collector, 3).await;
    let server = &all[0];
    assert_ne!(server.text("traceId"), TRACE);
    assert_eq!(server.text("parentSpanId"), "");
    assert_eq!(server.json.pointer("/links/0/traceId"), Some(&json!(TRACE)));
    assert_eq!(collector.got()[0].header("x-team"), Some("blue"));
}

#[tokio::test]
async fn what_is_no_model_operation_has_no_genai_span_and_a_refusal_no_attempt() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let collector = collector().await;
    let gateway = gateway(&simulator.url(), &collector.url(), &[]);
    assert_eq!(gateway.send(&Request::get("/v1/models")).await.status, 200);
    assert_eq!(gateway.send(&Request::get("/scanner.php")).await.status, 404);
    let counted = Request::post("/v1/messages/count_tokens")
        .json(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}));
    assert_eq!(gateway.send(&counted).await.status, 200);
    let all = received(&collector, 4).await;
    let names: Vec<&str> = all.iter().map(|span| span.text("name")).collect();
    assert_eq!(names, ["GET /v1/models", "GET", "POST /v1/messages/count_tokens", "POST"]);
    // 404 is the client's affair.
    assert_eq!(all[1].json.pointer("/status/code").and_then(Value::as_i64).unwrap_or(0), 0);
    assert_eq!(all[3].text("parentSpanId"), all[2].text("spanId"));
}

#[tokio::test]
async fn failures_are_told_where_they_belong() {
    let collector = collector().await;
    let body = r#"{"error":{"message":"slow down","type":"rate_limit"}}"#;
    let limited = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let provider = Upstream::always(vec![Step::send(limited)]).await;
    let limited = gateway(&provider.url(), &collector.url(), &[]);
    assert_eq!(limited.send(&chat(false)).await.status, 429);
    let all = received(&collector, 3).await;
    let status =
        |span: &Span| span.json.pointer("/status/code").and_then(Value::as_i64).unwrap_or(0);
    assert_eq!([&all[0], &all[1], &all[2]].map(status), [0, 2, 2]);
    assert!(all[0].attribute("error.type").is_null());
    assert_eq!(all[1].attribute("error.type"), "429");
    assert_eq!(all[2].attribute("error.type"), "429");

    let gone = Upstream::always(vec![Step::Reset]).await;
    let reset = gateway(&gone.url(), &collector.url(), &[]);
    assert_eq!(reset.send(&chat(false)).await.status, 502);
    let all = received(&collector, 6).await;
    assert_eq!(status(&all[3]), 2);
    assert_eq!(all[3].attribute("error.type"), "502");
    assert_eq!(all[4].attribute("error.type"), "upstream_reset");
    assert_eq!(all[5].attribute("error.type"), "upstream_reset");
}

/// Traffic is served as if nothing were wrong, and the end of the gateway does not wait for long.
async fn unaffected(what: &str, endpoint: &str, more: &[(&str, &str)]) {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let mut gateway = gateway(&simulator.url(), endpoint, more);
    for _ in 0..20 {
        answered(&gateway, &chat(true)).await;
    }
    gateway.ended(20).await;
    let began: Instant = clock::now();
    gateway.drain().await;
    let took = clock::now().saturating_duration_since(began);
    assert!(took < Duration::from_secs(8), "{what}: the drain took {took:?}");
}

#[tokio::test]
async fn a_collector_in_trouble_does_not_touch_traffic() {
    let refusing = "http://127.0.0.1:9";
    unaffected("refused", refusing, &[]).await;
    unaffected("refused, gRPC", refusing, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).await;
    let busy = Upstream::always(vec![Step::send(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n",
    )])
    .await;
    unaffected("busy", &busy.url(), &[]).await;
    let tls = busy.url().replace("http:", "https:");
    unaffected("TLS to a clear port", &tls, &[]).await;
    let garbage = Upstream::always(vec![Step::send("220 smtp ready\r\n"), Step::Close]).await;
    unaffected("no HTTP", &garbage.url(), &[]).await;
}

#[tokio::test]
async fn a_collector_that_hangs_holds_neither_traffic_nor_the_end() {
    let hanging = Upstream::always(vec![Step::Hold]).await;
    let timeout = ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000");
    unaffected("hanging", &hanging.url(), &[timeout]).await;
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    unaffected("hanging, gRPC", &hanging.url(), &[timeout, grpc]).await;
}

#[tokio::test]
async fn a_collector_under_tls_is_trusted_by_its_own_authority() {
    let certificates = Certificates::new("localhost");
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let acceptor = certificates.acceptor(&["http/1.1"]);
    let collector = Upstream::tls(acceptor, move |_| vec![Step::send(answer)]).await;
    let endpoint = format!("https://localhost:{}", collector.addr.port());
    let simulator = Simulator::local(Script::default()).expect("a simulator");

    let mut wary = gateway(&simulator.url(), &endpoint, &[]);
    answered(&wary, &chat(false)).await;
    wary.ended(1).await;
    wary.drain().await;
    assert!(collector.got().is_empty(), "nothing is told to a stranger");

    let file = certificates.path("ca.pem");
    let authority = ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().expect("a plain path"));
    let gateway = gateway(&simulator.url(), &endpoint, &[authority]);
    answered(&gateway, &chat(false)).await;
    assert_eq!(received(&collector, 3).await.len(), 3);
}

#[tokio::test]
async fn spans_that_wait_are_sent_at_the_end() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let collector = collector().await;
    let late = [("OTEL_BSP_SCHEDULE_DELAY", "600000")];
    let mut gateway = gateway(&simulator.url(), &collector.url(), &late);
    answered(&gateway, &chat(false)).await;
    gateway.ended(1).await;
    assert!(spans(&collector).is_empty());
    gateway.drain().await;
    assert_eq!(spans(&collector).len(), 3);
}

#[tokio::test]
async fn nothing_is_sent_where_it_was_switched_off() {
    let simulator = Simulator::local(Script::default()).expect("a simulator");
    let collector = collector().await;
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let mut gateway = gateway(&simulator.url(), &collector.url(), &[off]);
        let response = answered(&gateway, &chat(false).header("traceparent", CALLER)).await;
        assert!(response.header("traceparent").is_some(), "context is still passed on");
        gateway.drain().await;
        assert!(collector.got().is_empty(), "{off:?}");
    }
}
