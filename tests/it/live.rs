//! `pinhole check --live`: what it says of a key, provider by provider, and how it ends.

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::command::{pinhole, text, write};
use crate::support::upstream::{Got, Step, Upstream, answer, json};

/// A key that must never be shown.
const KEY: &str = "sk-live-0123456789";

/// Each provider of these tests is a path prefix of one server.
fn say(got: &Got) -> Vec<Step> {
    let echo = format!(r#"{{"error":{{"message":"incorrect api key provided: {KEY}"}}}}"#);
    let (status, body) = match got.target.split('/').nth(1) {
        Some("fine") => return vec![Step::Send(json(r#"{"data":[{"id":"a"},{"id":"b"}]}"#))],
        Some("wrong") => (401, echo.as_str()),
        Some("barred") => (403, "you may not"),
        Some("expired") => (401, r#"{"error":{"message":"this key has Expired"}}"#),
        Some("broken") => (500, "out of order"),
        Some("page") => (200, "<html>welcome</html>"),
        Some("gemini") => (
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}"#,
        ),
        Some("gemini-old") => (
            400,
            "{\n  \"error\": {\n    \"code\": 400,\n    \"message\": \"API key expired. Please renew the API key.\"\n  }\n}",
        ),
        Some("picky") => (400, "no such parameter"),
        _ => (404, "nothing here"),
    };
    vec![Step::Send(answer(status, &[], body))]
}

/// The configuration file's words for one provider.
fn block(id: &str, url: &str) -> String {
    format!(
        "[providers.{id}]\nbaseurl = \"{url}\"\napikey = \"env:LIVE_KEY\"\nmodels = [\"m-{id}\"]\n"
    )
}

/// Runs the check; the providers live on the test's thread, so it gets one of its own.
async fn check(toml: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), toml);
    let mut command = pinhole(folder.path(), arguments);
    command.env("LIVE_KEY", KEY);
    let run = tokio::task::spawn_blocking(move || command.output().expect("the program"));
    let output = run.await.expect("the thread");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn each_key_is_called_what_it_is() {
    let upstream = Upstream::start(say).await;
    // Bound and not listening: refused, and nobody else can have the port.
    let closed = TcpSocket::new_v4().expect("a socket");
    closed.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let nowhere = closed.local_addr().expect("its address").to_string();
    let expected = [
        ("fine", "fine, 2 models"),
        ("wrong", "bad key: the provider answered 401"),
        ("barred", "bad key: the provider answered 403: you may not"),
        ("expired", "expired: the provider answered 401"),
        ("gone", "unreachable: "),
        ("broken", "unclear: the provider answered 500: out of order"),
        ("page", "unclear: the answer is not a model list"),
        ("picky", "unclear: the provider answered 400"),
        ("gemini", "bad key: the provider answered 400"),
        ("gemini-old", "expired: the provider answered 400"),
    ];
    let mut toml = String::new();
    for (id, _) in expected {
        let url = match id {
            "gone" => format!("http://{nowhere}"),
            _ => format!("{}/{id}", upstream.url()),
        };
        toml.push_str(&block(id, &url));
    }
    let (code, shown, talk) = check(&toml, &["check", "--live"]).await;
    assert_eq!(code, Some(1), "{shown}\n{talk}");
    for (id, verdict) in expected {
        let line = format!("live {id} (LIVE_KEY): {verdict}");
        assert!(shown.contains(&line), "{line:?} is not in\n{shown}\n{talk}");
    }
    assert!(!shown.contains(KEY) && !talk.contains(KEY), "{shown}");

    let (code, shown, talk) = check(&toml, &["check", "--live", "--json"]).await;
    assert_eq!(code, Some(1), "{talk}");
    let document: Value = serde_json::from_str(&shown).expect("one JSON document");
    let rows = document["live"].as_array().expect("the rows");
    assert_eq!(rows.len(), expected.len(), "{shown}");
    for (row, (id, verdict)) in rows.iter().zip(expected) {
        assert_eq!(row["provider"], id);
        assert_eq!(row["fine"], id == "fine", "{row}");
        let words = row["verdict"].as_str().expect("a verdict");
        assert!(words.starts_with(verdict), "{row}");
    }
    assert!(!shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn one_bad_key_fails_the_check_and_none_passes_it() {
    let upstream = Upstream::start(say).await;
    let fine = block("fine", &format!("{}/fine", upstream.url()));
    let (code, shown, talk) = check(&fine, &["check", "--live"]).await;
    assert_eq!(code, Some(0), "{shown}\n{talk}");
    let wrong = block("wrong", &format!("{}/wrong", upstream.url()));
    let both = format!("{fine}{wrong}");
    let (code, ..) = check(&both, &["check", "--live"]).await;
    assert_eq!(code, Some(1));
    // Without `--live` nobody is called.
    let called = upstream.got().len();
    let (code, shown, talk) = check(&both, &["check"]).await;
    assert_eq!(code, Some(0), "{shown}\n{talk}");
    assert_eq!(upstream.got().len(), called);
    // A provider that is off is not called either.
    let off = format!("{fine}{wrong}disabled = true\n");
    let (code, shown, talk) = check(&off, &["check", "--live"]).await;
    assert_eq!(code, Some(0), "{shown}\n{talk}");
}
