//! `/metrics` of a real gateway: what it says, to whom, in which form, and that no client can make it grow.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use pinhole::admin;
use pinhole::base::task;
use pinhole::base::trace::Sampler;

use crate::support::eventually;
use crate::support::gateway::{Gateway, Setting, one, provider, settings};
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Step, Upstream, answer, json, stream_of};

const CHAT: &str = "/v1/chat/completions";
const OPENMETRICS: &str = "application/openmetrics-text";

fn chat(model: &str) -> Request {
    let body = format!(r#"{{"model":"{model}","stream":true,"messages":[]}}"#);
    Request::post(CHAT).header("content-type", "application/json").body(body)
}

async fn listen(gateway: &Gateway) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("its address");
    task::spawn("operations", admin::serve(listener, Arc::clone(gateway.shared())));
    address
}

async fn scrape(address: SocketAddr, headers: &[(&str, &str)]) -> Response {
    let request = Request::get("/metrics").header("host", "127.0.0.1");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    raw::send(address, &request).await
}

fn stream() -> Vec<Step> {
    stream_of(&[
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        "\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
        "data: [DONE]\n\n",
    ])
}

#[tokio::test]
async fn a_call_is_told_in_the_form_the_scraper_prefers() {
    let upstream = Upstream::always(stream()).await;
    let toml = provider("up", &upstream.url(), &["gpt-5"]);
    let mut settings = settings("pinhole.toml", &toml, &Setting::default()).expect("valid");
    settings.traces.sampler = Sampler { parent: true, ratio: 0.0 };
    let gateway = Gateway::run(settings);
    let address = listen(&gateway).await;
    let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (_, fact) = gateway.call(&chat("gpt-5").header("traceparent", sampled)).await;
    assert_eq!(fact.outcome, "complete");
    let plain = scrape(address, &[]).await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let labels = r#"{dialect="openai_chat",operation="chat",provider="up",model="gpt-5",status="200",outcome="complete"}"#;
    assert!(plain.text().contains(&format!("pinhole_requests_total{labels} 1\n")));
    assert!(!plain.text().contains("trace_id"));
    let openmetrics = scrape(address, &[("accept", OPENMETRICS)]).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(openmetrics.header("content-type"), Some(kind));
    assert!(openmetrics.text().ends_with("# EOF\n"));
    let trace = r#"trace_id="4bf92f3577b34da6a3ce929d0e0e4736""#;
    let text = openmetrics.text();
    let example = text.lines().find(|line| line.contains(trace)).expect("an exemplar");
    assert!(example.contains(&format!("exchange_id=\"{}\"", fact.id)), "{example}");
    let coded = scrape(address, &[("accept", OPENMETRICS), ("accept-encoding", "gzip")]).await;
    assert_eq!(coded.header("content-encoding"), Some("gzip"));
    let mut decoded = String::new();
    let read = flate2::read::GzDecoder::new(coded.body.as_slice()).read_to_string(&mut decoded);
    read.expect("gzip");
    assert!(decoded.contains("# TYPE pinhole_requests counter\n") && decoded.ends_with("# EOF\n"));
}

#[tokio::test]
async fn scrapes_want_the_admin_key_unless_they_are_public() {
    let toml = one("http://127.0.0.1:9");
    let setting =
        Setting { variables: &[("PINHOLE_ADMIN_KEY", "admin-key")], ..Setting::default() };
    let guarded = Gateway::start_with("pinhole.toml", &toml, &setting);
    let address = listen(&guarded).await;
    assert_eq!(scrape(address, &[]).await.status, 401);
    let key = [("authorization", "Bearer admin-key")];
    assert_eq!(scrape(address, &key).await.status, 200);
    let public = format!("[ops]\nmetrics_public = true\n{toml}");
    let public = Gateway::start_with("pinhole.toml", &public, &setting);
    let address = listen(&public).await;
    assert_eq!(scrape(address, &[]).await.status, 200);
    let other = Request::get("/api/providers").header("host", "127.0.0.1");
    assert_eq!(raw::send(address, &other).await.status, 401, "nothing else is public");
}

#[tokio::test]
async fn requests_are_in_flight_until_their_end() {
    let upstream = Upstream::always(vec![Step::Hold, Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let in_flight = r#"pinhole_requests_in_flight{provider="up"}"#;
    assert!(gateway.scrape().contains(&format!("{in_flight} 0\n")), "from the start");
    let mut connection = gateway.connect().await;
    connection.send(&chat("m")).await;
    upstream.request(0).await;
    assert_eq!(gateway.metric(in_flight), 1.0);
    upstream.release();
    assert_eq!(connection.read_response().await.status, 200);
    eventually("the end", || (gateway.metric(in_flight) == 0.0).then_some(())).await;
}

#[tokio::test]
async fn a_provider_and_its_key_show_what_traffic_has_shown() {
    let refusing = Upstream::always(vec![Step::Send(answer(401, &[], "{}"))]).await;
    let gateway = Gateway::start(&one(&refusing.url()));
    let (up, key) = ("pinhole_provider_up{provider=\"up\"", "pinhole_key_up{provider=\"up\"");
    assert_eq!((gateway.metric(up), gateway.metric(key)), (1.0, 1.0));
    gateway.call(&chat("m")).await;
    assert_eq!((gateway.metric(up), gateway.metric(key)), (1.0, 0.0));
    gateway.reload(&one("http://127.0.0.1:9"));
    gateway.call(&chat("m")).await;
    assert_eq!(gateway.metric(up), 0.0);
    let unreachable =
        r#"pinhole_upstream_attempts_total{provider="up",model="*",result="unreachable"}"#;
    assert_eq!(gateway.metric(unreachable), 1.0);
    let error = r#"pinhole_errors_total{provider="up",model="*",source="upstream",kind="upstream_unreachable"}"#;
    assert_eq!(gateway.metric(error), 1.0);
    assert!(!gateway.scrape().contains("sk-of-the-provider"));
}

/// Sends `count` requests over one connection.
async fn flood(gateway: &Gateway, count: usize, request: impl Fn(usize) -> Request) {
    let mut connection = gateway.connect().await;
    for at in 0..count {
        connection.send(&request(at)).await;
        connection.read_response().await;
    }
}

#[tokio::test]
async fn junk_names_and_scanners_leave_the_series_as_they_were() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&provider("up", &upstream.url(), &["gpt-5", "ft:*"]));
    let junk = |at: usize| chat(&format!("junk-{at}"));
    let tuned = |at: usize| chat(&format!("ft:junk-{at}"));
    let scanned = |at: usize| Request::get(&format!("/wp-admin/{at}.php?x={at}"));
    let opaque = |at: usize| Request::get(&format!("/v1/files/file-{at}"));
    // One of each kind, twice: a connection is opened once and then reused.
    for _ in 0..2 {
        flood(&gateway, 1, junk).await;
        flood(&gateway, 1, tuned).await;
        flood(&gateway, 1, scanned).await;
        flood(&gateway, 1, opaque).await;
    }
    gateway.ended(8).await;
    let series = gateway.metric("pinhole_series ");
    let collapsed = gateway.metric("pinhole_series_collapsed_total");
    flood(&gateway, 10_000, junk).await;
    flood(&gateway, 5_000, scanned).await;
    flood(&gateway, 200, tuned).await;
    flood(&gateway, 200, opaque).await;
    gateway.ended(15_408).await;
    assert_eq!(gateway.metric("pinhole_series "), series);
    assert_eq!(gateway.metric("pinhole_requests_total"), 15_408.0);
    let grown = gateway.metric("pinhole_series_collapsed_total") - collapsed;
    assert_eq!(grown, 15_200.0, "all but those that a configured pattern admits");
    let text = gateway.scrape();
    assert!(!text.contains("junk") && !text.contains("wp-admin") && !text.contains("file-"));
    assert!(text.contains(r#"provider="up",model="ft:*",status="200""#), "{text}");
}
