//! Bytes that no client and no provider should send, with everything captured: zero bytes, no UTF-8, heads of a thousand
//! lines. They pass, come back from the store as they were on the wire, and every view of them ends well.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::command::{Serving, pinhole, text, write};
use crate::support::raw::{self, End, Request};
use crate::support::upstream::{Step, Upstream, answer, json as document};

fn configure(folder: &Path, url: &str) {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
         [providers.up]\nbaseurl = \"{url}\"\napikey = \"env:UP_KEY\"\nmodels = [\"m\"]\n\
         [capture]\nlevel = \"full\"\n[capture.redact]\nheaders_allow = [\"x-odd*\"]\n"
    );
    write(folder, &toml);
}

fn captures(folder: &Path, arguments: &[&str]) -> Output {
    let mut program = pinhole(folder, &["captures"]);
    program.args(arguments).env("UP_KEY", "sk").output().expect("the program")
}

fn told(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = captures(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    output.stdout
}

fn whole(folder: &Path, id: &str) -> Value {
    serde_json::from_slice(&told(folder, &["show", id, "--as", "json"])).expect("JSON")
}

fn post() -> Request {
    Request::post("/v1/chat/completions")
        .header("authorization", "Bearer pk")
        .header("content-type", "application/json")
}

/// Zero bytes and bytes that are no text, where JSON is expected and within it.
fn odd() -> Vec<Vec<u8>> {
    let within = |bytes: &[u8]| {
        [br#"{"model":"m","messages":[{"role":"user","content":""#, bytes, br#""}]}"#].concat()
    };
    vec![
        within(b"a\0b\0\0c"),
        within(b"\\u0000 and \\ud800 alone"),
        within(b"\xff\xfe\x80 \xc3( \xed\xa0\x80 \xf8\x88"),
        [br#"{"model":"m","#.as_slice(), b"\0\0\0", br#""messages":[]}"#].concat(),
        [br#"{"model":"m"}"#.as_slice(), b"\0\xff"].concat(),
    ]
}

#[tokio::test]
async fn zero_bytes_and_no_text_pass_and_come_back_as_they_were() {
    // The provider says the same back, once as a document and once as events.
    let upstream = Upstream::start(|got| {
        let kind = match got.header("x-odd-stream") {
            Some(_) => "text/event-stream",
            None => "application/json",
        };
        let body = [b"data: ".as_slice(), &got.body, b"\n\ndata: \0\n\n"].concat();
        vec![Step::Send(answer(200, &[("content-type", kind)], body))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url());
    let serving = Serving::start(folder.path());
    let mut sent = Vec::new();
    for body in odd() {
        for stream in [false, true] {
            let mut request = post();
            if stream {
                request = request.header("x-odd-stream", "yes");
            }
            let reply = raw::send(serving.address(), &request.body(body.clone())).await;
            assert!(!reply.body.is_empty());
            let id = reply.header("x-pinhole-id").expect("an id").to_owned();
            sent.push((id, body.clone(), reply));
        }
    }
    // The gateway is as well as before.
    let fine = raw::send(serving.address(), &post().body(r#"{"model":"m","messages":[]}"#)).await;
    assert_eq!(fine.status, 200);
    let said = serving.end();
    assert!(!said.contains("panic"), "{said}");

    let mut passed = 0;
    for (id, body, reply) in &sent {
        assert!(told(folder.path(), &["show", id, "--raw", "request"]) == *body, "{id}");
        assert!(told(folder.path(), &["show", id, "--raw", "response"]) == reply.body, "{id}");
        if reply.status == 200 {
            passed += 1;
            let upstreams = told(folder.path(), &["show", id, "--raw", "upstream-request"]);
            assert!(upstreams == *body, "{id}: not what the client sent");
            let answered = told(folder.path(), &["show", id, "--raw", "upstream-response"]);
            assert!(answered == reply.body, "{id}");
        }
        let views: [&[&str]; 6] = [
            &["--full"],
            &["--timeline"],
            &["--headers"],
            &["--as", "har"],
            &["--as", "markdown"],
            &["--as", "curl"],
        ];
        for view in views {
            let output = captures(folder.path(), &[&["show", id.as_str()], view].concat());
            assert!(!text(&output.stderr).contains("panicked"), "{id} {view:?}: {output:?}");
            assert!(matches!(output.status.code(), Some(0 | 1)), "{id} {view:?}: {output:?}");
            assert!(!output.stdout.contains(&0), "{id} {view:?}: a zero byte in a page");
        }
        whole(folder.path(), id);
        told(folder.path(), &["diagnose", id]);
    }
    assert!(passed >= 6, "most of them reach the provider: {passed} of {}", sent.len());
    assert_eq!(upstream.got().len(), passed + 1);
    told(folder.path(), &["grep", "model"]);
    told(folder.path(), &["verify"]);
    for format in ["ndjson", "har", "bundle", "curl"] {
        told(folder.path(), &["export", "--as", format]);
    }
    round_trip(folder.path(), &sent[4].0);
}

/// An export carries bytes that are no text into another store.
fn round_trip(from: &Path, id: &str) {
    for name in ["all.ndjson", "all.har", "all.bundle"] {
        let into = tempfile::tempdir().expect("a folder");
        let file = into.path().join(name).display().to_string();
        told(from, &["export", "-o", &file]);
        let data = into.path().join("data").display().to_string();
        told(into.path(), &["import", &file, "--data-dir", &data]);
        let raw = told(into.path(), &["show", id, "--raw", "request", "--data-dir", &data]);
        assert!(raw == told(from, &["show", id, "--raw", "request"]), "{name}");
    }
}

#[tokio::test]
async fn values_that_are_no_text_pass_and_are_shown() {
    let upstream = Upstream::always(vec![Step::Send(document("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url());
    let serving = Serving::start(folder.path());
    let send = async |value: &[u8]| {
        let mut connection = raw::connect(serving.address()).await;
        let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer pk\r\n\
                     content-type: application/json\r\ncontent-length: 13\r\nx-odd: ";
        connection.write(&[head, value, b"\r\n\r\n{\"model\":\"m\"}"].concat()).await;
        connection.read_response().await
    };
    let passed = send(b"caf\xe9 \xff").await;
    assert_eq!(passed.status, 200);
    assert_eq!(send(b"a\0b").await.status, 400, "no value of a header");
    serving.end();
    let id = passed.header("x-pinhole-id").expect("an id");
    let shown = text(&told(folder.path(), &["show", id, "--headers"]));
    assert!(shown.contains("x-odd") && shown.contains("caf"), "{shown}");
    assert_eq!(upstream.got().len(), 1);
}

#[tokio::test]
async fn heads_of_a_thousand_lines_are_refused_and_those_within_the_limit_are_kept_whole() {
    let many = |count: usize| (0..count).map(|at| (format!("x-odd-{at}"), format!("value {at}")));
    let upstream = Upstream::start(move |got| {
        let count = if got.text().contains("too many") { 1_000 } else { 200 };
        let headers: Vec<(String, String)> = many(count).collect();
        let mut named: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        named.push(("content-type", "application/json"));
        vec![Step::Send(answer(200, &named, "{}"))]
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url());
    let serving = Serving::start(folder.path());
    let with = |count: usize, words: &str| {
        let body = format!("{{\"model\":\"m\",\"messages\":[],\"user\":\"{words}\"}}");
        many(count).fold(post().body(body), |request, (name, value)| request.header(&name, &value))
    };
    let refused = raw::send(serving.address(), &with(1_000, "x")).await;
    assert_eq!(refused.status, 431);
    assert_eq!(upstream.got().len(), 0);
    let kept = raw::send(serving.address(), &with(100, "x")).await;
    assert_eq!((kept.status, kept.end), (200, End::Clean));
    assert_eq!(kept.header("x-odd-199"), Some("value 199"));
    let failed = raw::send(serving.address(), &with(1, "too many")).await;
    assert_eq!(failed.status, 502, "{failed:?}");
    serving.end();

    let id = kept.header("x-pinhole-id").expect("an id");
    let shown = whole(folder.path(), id);
    let odd = |leg: &Value| -> Vec<Value> {
        let headers = leg["headers"].as_array().expect("headers").iter();
        headers.filter(|header| header[0].to_string().contains("x-odd-")).cloned().collect()
    };
    let expected =
        |count| many(count).map(|(name, value)| json!([name, value])).collect::<Vec<_>>();
    assert_eq!(odd(&shown["request"]), expected(100));
    assert_eq!(odd(&shown["attempts"][0]["request"]).len(), 100);
    assert_eq!(odd(&shown["attempts"][0]["response"]), expected(200));
    assert_eq!(odd(&shown["response"]), expected(200));
    let id = failed.header("x-pinhole-id").expect("an id");
    let told = text(&told(folder.path(), &["diagnose", id]));
    assert!(told.contains("head") || told.contains("headers"), "{told}");
}
