//! What a careful reader of the pipeline asked about: ends that are told wrongly, waits that do not fire, names without
//! end, credentials in odd places, reloads between two rounds of discovery.

use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pinhole::base::{clock, task};
use pinhole::cli::serve;
use pinhole::observe::line::{LineSink, LogForm};
use pinhole::observe::sink::Sinks;
use pinhole::proxy::discovery;
use pinhole::proxy::state::Learned;

use crate::support::eventually;
use crate::support::gateway::{Gateway, Setting, one, settings};
use crate::support::raw::{self, End, Request};
use crate::support::upstream::{Step, Upstream, answer, chunk, event_stream, json};

fn chat(body: &str) -> Request {
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn an_answer_with_trailers_is_complete() {
    let whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                  2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n";
    let upstream = Upstream::always(vec![Step::send(whole)]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let (response, fact) = gateway.call(&chat(r#"{"model":"m"}"#)).await;
    assert_eq!((response.text().as_str(), response.end), ("ok", End::Clean));
    assert_eq!((fact.outcome, fact.response_bytes), ("complete", 2));
}

#[tokio::test]
async fn the_total_time_runs_before_the_head_too() {
    let upstream = Upstream::always(vec![Step::Hold]).await;
    let toml = format!("[timeouts]\ntotal = \"150ms\"\n{}", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    let begun: Instant = clock::now();
    let (response, fact) = gateway.call(&chat(r#"{"model":"m"}"#)).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(response.status, 504);
    assert_eq!(response.json()["error"]["code"], "upstream_total_timeout");
    assert_eq!(
        (fact.outcome, fact.failure),
        ("timeout", Some(("upstream", "upstream_total_timeout")))
    );
    upstream.closed(0).await;
}

#[tokio::test]
async fn a_switch_of_protocols_nobody_asked_for_is_a_bad_gateway() {
    let switch =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello";
    let upstream = Upstream::always(vec![Step::send(switch)]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let (response, fact) = gateway.call(&chat(r#"{"model":"m"}"#)).await;
    assert_eq!(response.status, 502);
    assert_eq!(response.json()["error"]["code"], "upstream_invalid");
    assert_eq!(fact.outcome, "upstream_reset");
}

#[tokio::test]
async fn model_names_have_an_end() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let (response, fact) =
        gateway.call(&chat(&format!(r#"{{"model":"{}"}}"#, "m".repeat(1_025)))).await;
    assert_eq!(response.status, 400);
    assert_eq!(response.json()["error"]["param"], "model");
    assert_eq!(fact.model_requested, None);
    assert!(upstream.got().is_empty());
    let (response, _) =
        gateway.call(&chat(&format!(r#"{{"model":"{}"}}"#, "m".repeat(1_024)))).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_websocket_under_a_providers_path_is_refused_at_once() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let handshake = Request::get("/providers/up/v1/responses")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let (response, _) = gateway.call(&handshake).await;
    assert_eq!(response.status, 426);
    assert_eq!(response.json()["error"]["code"], "websocket_unsupported");
    assert!(upstream.got().is_empty());
}

#[tokio::test]
async fn a_gateway_key_said_twice_stays_here() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let toml = format!(
        "[[keys]]\nlabel = \"me\"\nsecret = \"pk-gateway\"\n[providers.up]\nbaseurl = \"{}\"\nauth_mode = \"passthrough\"\n\
         models = [\"m\"]\n",
        upstream.url()
    );
    let gateway = Gateway::start(&toml);
    let request = chat(r#"{"model":"m"}"#)
        .header("x-pinhole-key", "pk-gateway")
        .header("x-api-key", "sk-own")
        .header("authorization", "Bearer sk-own")
        .header("authorization", "Bearer pk-gateway");
    let (response, _) = gateway.call(&request).await;
    assert_eq!(response.status, 200);
    let got = upstream.only();
    assert!(!format!("{:?}", got.headers).contains("pk-gateway"), "{got:?}");
    assert_eq!(got.header("x-api-key"), Some("sk-own"));
}

#[tokio::test]
async fn a_key_behind_an_empty_one_is_taken_off_the_url() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let gateway = Gateway::start(&one(&upstream.url()));
    let request = Request::post("/v1beta/models/m:generateContent?key=&key=secret&alt=json")
        .header("content-type", "application/json")
        .body("{}");
    gateway.call(&request).await;
    assert!(!upstream.only().target.contains("secret"));
}

/// What a log was told.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_wrapped_errors_words_reach_the_client_and_not_the_log() {
    let quoting = answer(400, &[], r#"{"error":"refused: my secret prompt"}"#);
    let upstream = Upstream::always(vec![Step::Send(quoting)]).await;
    let toml = format!("[errors]\nwrap_502 = true\n{}", one(&upstream.url()));
    let settings = settings("pinhole.toml", &toml, &Setting::default()).expect("settings");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let lines = Lines::default();
    let sinks = Sinks::default().with(Box::new(LineSink::new(LogForm::Text, lines.clone())));
    let gateway = serve::start(settings, &listener, sinks).expect("a gateway");
    let response = raw::send(gateway.server.address, &chat(r#"{"model":"m"}"#)).await;
    assert_eq!(response.status, 502);
    assert!(response.text().contains("my secret prompt"));
    serve::drain(gateway).await;
    let line = lines.text();
    assert!(line.contains("error=\"the provider answered 400\""), "{line}");
    assert!(!line.contains("prompt"), "{line}");
}

#[tokio::test]
async fn a_reload_and_what_discovery_learns_do_not_undo_each_other() {
    let toml = |url: &str| format!("[providers.up]\nbaseurl = \"{url}\"\napikey = \"sk\"\n");
    let gateway = Gateway::start(&toml("http://127.0.0.1:9/v1"));
    let shared = Arc::clone(gateway.shared());
    let provider = Arc::clone(&shared.snapshot().settings.providers[0]);
    let learner = {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            for _ in 0..3_000 {
                shared.learn(&provider, Learned::Models(Vec::new()));
            }
        })
    };
    for round in 0..300 {
        let port = 9 + round % 2;
        gateway.reload(&toml(&format!("http://127.0.0.1:{port}/v1")));
        let now = shared.snapshot().settings.providers[0].base_url.port_u16();
        assert_eq!(now, Some(port), "round {round}");
    }
    learner.join().expect("the learner");
    let last = shared.snapshot().settings.providers[0].base_url.port_u16();
    assert_eq!(last, Some(10));
}

#[tokio::test]
async fn a_provider_that_moved_is_asked_again_at_once() {
    let list = |model: &str| json(&format!(r#"{{"data":[{{"id":"{model}"}}]}}"#));
    let old = Upstream::always(vec![Step::Send(list("old-model"))]).await;
    let new = Upstream::always(vec![Step::Send(list("new-model"))]).await;
    let toml = |url: &str| format!("[providers.up]\nbaseurl = \"{url}/v1\"\napikey = \"sk\"\n");
    let gateway = Gateway::start(&toml(&old.url()));
    task::spawn("discovery", discovery::run(Arc::clone(gateway.shared())));
    let listed = |model: &'static str| {
        let shared = Arc::clone(gateway.shared());
        eventually("the model", move || {
            let snapshot = shared.snapshot();
            let provider = &snapshot.settings.providers[0];
            let models = snapshot.models(provider);
            models.iter().any(|own| own.id == model).then_some(())
        })
    };
    listed("old-model").await;
    gateway.reload(&toml(&new.url()));
    assert!(!gateway.shared().snapshot().learned.contains_key("up"));
    listed("new-model").await;
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive_after_an_event_that_came_in_two_halves() {
    let steps = vec![
        Step::Send(event_stream()),
        Step::Send(chunk("data: {\"half\"")),
        // Longer than the quiet time: the timer is set for the idle time meanwhile.
        Step::Wait(Duration::from_millis(150)),
        Step::Send(chunk(": 2}\n\n")),
        Step::Hold,
    ];
    let upstream = Upstream::always(steps).await;
    let toml = format!("[streams]\nkeep_alive = \"40ms\"\n{}", one(&upstream.url()));
    let gateway = Gateway::start(&toml);
    let mut connection = gateway.connect().await;
    connection.send(&chat(r#"{"model":"m","stream":true}"#)).await;
    connection.read_head().await.expect("a head");
    let (_, came) = connection.read_until(": 2}\n\n: keep-alive\n\n").await;
    assert!(came);
}
