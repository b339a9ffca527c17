//! The four legs of an exchange, for sinks that want them: what came, what left, what came back, what was handed on.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use pinhole::cli::serve;
use pinhole::exchange::Exchange;
use pinhole::exchange::leg::{Body, Keep, Leg};
use pinhole::observe::sink::{Sink, Sinks};
use serde_json::json;

use crate::support::gateway::{Setting, settings};
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Step, Upstream, answer, stream_of};

/// The legs of a finished exchange: request in, request out, response in, response out.
struct Legs([Leg; 4]);

#[derive(Clone)]
struct LegSink(Keep, Arc<Mutex<Vec<Legs>>>);

impl Sink for LegSink {
    fn wants(&self) -> Keep {
        self.0
    }

    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        let legs = batch.iter().map(|exchange| {
            let attempt = exchange.attempts.last();
            let of = |leg: Option<&Leg>| leg.cloned().unwrap_or_default();
            let mut came = of(attempt.map(|attempt| &attempt.response));
            if came.body == Body::Framed {
                let (whole, missing) = attempt.expect("a leg").frames.body().expect("room");
                assert_eq!(missing, 0, "all of it");
                came.body = Body::Nothing;
                came.note_body(&whole.into());
            }
            Legs([
                exchange.request.clone(),
                of(attempt.map(|attempt| &attempt.request)),
                came,
                exchange.response.clone(),
            ])
        });
        self.1.lock().expect("no panic").extend(legs);
    }
}

/// Sends `request` through a gateway before `upstream`, and gives the answer and the four legs.
async fn legs(
    keep: Keep,
    upstream: &Upstream,
    streams: &str,
    request: &Request,
) -> (Response, Legs) {
    let toml = format!(
        "{streams}\n[providers.up]\nbaseurl = \"{}\"\napikey = \"sk-secret\"\nmodels = [\"m\"]\n",
        upstream.url()
    );
    let settings = settings("pinhole.toml", &toml, &Setting::default()).expect("valid");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let sink = LegSink(keep, Arc::default());
    let sinks = Sinks::default().with(Box::new(sink.clone()));
    let gateway = serve::start(settings, &listener, sinks).expect("a gateway");
    let response = raw::send(gateway.server.address, request).await;
    serve::drain(gateway).await;
    let legs = sink.1.lock().expect("no panic").pop().expect("one exchange");
    (response, legs)
}

fn bytes(leg: &Leg) -> Vec<u8> {
    match &leg.body {
        Body::Pieces(pieces) => pieces.concat().to_vec(),
        other => panic!("no bytes but {other:?}"),
    }
}

fn header<'a>(leg: &'a Leg, name: &str) -> Option<&'a str> {
    let headers: &HeaderMap = leg.headers.as_ref().expect("headers");
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn chat(model: &str, stream: bool) -> Request {
    Request::post("/v1/chat/completions")
        .header("authorization", "Bearer sk-client")
        .header("user-agent", "judge/1")
        .json(&json!({"model": model, "stream": stream, "messages": []}))
}

#[tokio::test]
async fn legs_that_are_equal_are_kept_once() {
    let back = r#"{"id":"x","choices":[]}"#;
    let kind = [("content-type", "application/json"), ("request-id", "r1"), ("set-cookie", "a=b")];
    let upstream = Upstream::always(vec![Step::Send(answer(200, &kind, back))]).await;
    let request = chat("m", false);
    let (response, Legs([asked, sent, came, told])) =
        legs(Keep::Bodies, &upstream, "", &request).await;
    assert_eq!(bytes(&asked), request.body);
    assert_eq!(sent.body, Body::Same, "nothing was edited");
    assert_eq!(bytes(&came), back.as_bytes());
    assert_eq!(told.body, Body::Same, "handed on as it came");
    assert_eq!(response.body, back.as_bytes());
    assert_eq!(header(&asked, "user-agent"), Some("judge/1"));
    assert_eq!(header(&came, "request-id"), Some("r1"));
    assert_eq!(header(&told, "x-pinhole-upstream"), Some("up"));
    assert!(header(&told, "set-cookie").is_none() && header(&came, "x-pinhole-id").is_none());
}

#[tokio::test]
async fn no_credential_is_in_any_leg() {
    let kind = [("set-cookie", "secret=1")];
    let upstream = Upstream::always(vec![Step::Send(answer(200, &kind, "{}"))]).await;
    let (_, Legs(all)) = legs(Keep::Headers, &upstream, "", &chat("m", false)).await;
    let text = format!("{:?}", all.each_ref().map(|leg| &leg.headers));
    assert!(!text.contains("sk-") && !text.contains("secret=1"), "{text}");
    let credential = header(&all[1], "authorization").unwrap_or_default();
    assert!(credential.starts_with("Bearer [redacted:header:"), "{credential}");
    assert!(all.iter().all(|leg| leg.body == Body::Nothing), "bodies were not asked for");
}

#[tokio::test]
async fn legs_that_differ_are_kept_apart() {
    let done = "data: [DONE]\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let upstream = Upstream::always(stream_of(&["data: {\"n\":1}\n\n", usage, done])).await;
    let streams = "[streams]\ninclude_usage = \"when_missing\"";
    let request = chat("up:m", true);
    let (response, Legs([asked, sent, came, told])) =
        legs(Keep::Bodies, &upstream, streams, &request).await;
    assert_eq!(bytes(&asked), request.body);
    let left = bytes(&sent);
    assert_eq!(left, upstream.got()[0].body, "the leg is what arrived");
    assert_ne!(left, request.body);
    assert_eq!(bytes(&came), format!("data: {{\"n\":1}}\n\n{usage}{done}").into_bytes());
    assert_eq!(bytes(&told), response.body);
    assert_ne!(response.body, bytes(&came), "the usage chunk was hidden");
}

#[tokio::test]
async fn a_refusal_has_the_legs_that_there_were() {
    let upstream = Upstream::always(Vec::new()).await;
    let (response, Legs([asked, sent, came, told])) =
        legs(Keep::Bodies, &upstream, "", &chat("unknown", false)).await;
    assert_eq!(response.status, 404);
    assert!(!bytes(&asked).is_empty());
    assert!(sent.headers.is_none() && came.headers.is_none(), "no provider was asked");
    assert_eq!(bytes(&told), response.body);
}

#[tokio::test]
async fn sinks_that_want_numbers_cost_no_copies() {
    let upstream = Upstream::always(vec![Step::Send(answer(200, &[], "{}"))]).await;
    let (_, Legs(all)) = legs(Keep::Numbers, &upstream, "", &chat("m", false)).await;
    assert!(all.iter().all(|leg| leg.headers.is_none() && leg.body == Body::Nothing));
}

/// `HeaderMap::remove` moves the last header into the gap: forty headers, of which some stay here, told apart by their order.
#[tokio::test]
async fn headers_pass_and_are_kept_in_the_order_they_came_in() {
    const STAYING: [&str; 9] = [
        "cookie",
        "te",
        "x-pinhole-tag",
        "proxy-authorization",
        "keep-alive",
        "x-aperture-fallback",
        "baggage",
        "x-only-here",
        "x-api-key",
    ];
    let names: Vec<String> = (0..40)
        .map(|n| match n % 4 {
            1 if n / 4 < STAYING.len() => STAYING[n / 4].to_owned(),
            2 => format!("x-Header-{n}").to_lowercase(),
            _ => format!("x-other-{}", 97 * n % 40),
        })
        .collect();
    let back: Vec<(String, &str)> = names
        .iter()
        .enumerate()
        .map(|(n, name)| match n {
            3 => ("set-cookie".to_owned(), "a=b"),
            8 => ("alt-svc".to_owned(), "h3=\":443\""),
            15 => ("connection".to_owned(), "x-only-here"),
            16 => ("keep-alive".to_owned(), "timeout=5"),
            _ => (name.replace("x-other", "x-answer"), "1"),
        })
        .collect();
    let listed: Vec<(&str, &str)> = back.iter().map(|(name, value)| (&**name, *value)).collect();
    let upstream = Upstream::always(vec![Step::Send(answer(200, &listed, "{}"))]).await;
    let mut request = Request::post("/v1/chat/completions").header("connection", "x-only-here");
    for name in &names {
        request = request.header(name, "1");
    }
    // Another model's name than the provider's: the body is edited, and its coding would be taken off, too.
    let request = request.json(&json!({"model": "up:m", "messages": []}));
    let (response, Legs([asked, sent, came, told])) =
        legs(Keep::Headers, &upstream, "", &request).await;
    assert_eq!(response.status, 200);

    let of_leg = |leg: &Leg| -> Vec<String> {
        leg.headers.as_ref().expect("headers").keys().map(ToString::to_string).collect()
    };
    let ours = |names: &[String], prefix: &str| -> Vec<String> {
        names.iter().filter(|name| name.starts_with(prefix)).cloned().collect()
    };
    let passing: Vec<String> =
        names.iter().filter(|name| !STAYING.contains(&&***name)).cloned().collect();
    assert_eq!(passing.len(), 31);
    let arrived: Vec<String> =
        upstream.got()[0].headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    for (whose, list) in [("provider", &arrived), ("leg", &of_leg(&sent))] {
        let theirs: Vec<String> =
            list.iter().filter(|name| names.contains(name)).cloned().collect();
        assert_eq!(theirs, passing, "{whose}");
    }
    assert_eq!(of_leg(&asked).iter().filter(|name| names.contains(name)).count(), 40);

    let answers: Vec<String> = back.iter().map(|(name, _)| name.clone()).collect();
    let answers = ours(&answers, "x-answer");
    assert_eq!(answers.len(), 17);
    let handed_on: Vec<String> =
        response.head.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    for (whose, list) in [("client", handed_on), ("came", of_leg(&came)), ("told", of_leg(&told))] {
        assert_eq!(ours(&list, "x-answer"), answers, "{whose}");
    }
}
