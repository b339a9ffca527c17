//! What failed is named rightly: real calls through `serve` to simulated providers that fail on demand, in every dialect, then
//! `captures diagnose` and `captures diff` on what was kept.

use std::net::TcpListener;
use std::path::Path;

use pinhole::simulate::script::Script;
use pinhole::simulate::{Handle, Simulator};
use serde_json::{Value, json};

use crate::command::{Serving, pinhole, run, text, write};
use crate::support::raw::{self, Request};

/// Each model fails in its own way.
const SCRIPT: &str = r#"
seed = 5
[default]
first_token = "5ms"
cadence = "1ms"
output_tokens = 30
[models."bad-key".error]
status = 401
[models."slow-down".error]
status = 429
retry_after = 7
headers = [["x-ratelimit-limit-requests", "500"], ["x-ratelimit-remaining-requests", "0"]]
[models."broken".error]
status = 500
[models."full".error]
status = 529
[models."page".error]
status = 502
html = true
[models."overflow".error]
status = 400
message = "prompt is too long: 215432 tokens > 200000 maximum"
[models."cut"]
cadence = "25ms"
fault = { cut_after = 4 }
[models."stall".fault]
stall_after = 4
[models."late"]
latency = "60s"
[models."bad-event".fault]
malformed_after = 3
[models."midstream".fault]
error_after = 4
[models."long"]
output_tokens = 400
[models."thinker"]
output_tokens = 400
reasoning = 1.0
"#;

fn provider(id: &str, url: &str, models: &str) -> String {
    format!(
        "[providers.{id}]\nbaseurl = \"{url}\"\napikey = \"sk-of-the-provider\"\nmodels = [{models}]\n\
         timeouts = {{ first_byte = \"1s\", idle = \"1s\" }}\n\
         compatibility = {{ openai_chat = true, openai_responses = true, anthropic_messages = true, \
         gemini_generate_content = true }}\n"
    )
}

/// A gateway that keeps everything, before the simulator; other providers that nobody serves.
fn configure(folder: &Path, simulator: &Handle) {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let models = "\"bad-key\", \"slow-down\", \"broken\", \"full\", \"page\", \"overflow\", \"cut\", \"stall\", \"late\", \
                  \"bad-event\", \"midstream\", \"long\", \"thinker\", \"good\"";
    let toml = [
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"kept\"\n[capture]\nlevel = \"full\"\n"
            .to_owned(),
        provider("far", &format!("http://{}", simulator.addr()), models),
        provider("gone", &nobody, "\"gone\""),
        provider("nowhere", "http://no-such-name.invalid", "\"nowhere\""),
    ];
    write(folder, &toml.concat());
}

#[derive(Clone, Copy)]
struct Tongue {
    dialect: &'static str,
}

const TONGUES: [Tongue; 4] = [
    Tongue { dialect: "openai_chat" },
    Tongue { dialect: "openai_responses" },
    Tongue { dialect: "anthropic" },
    Tongue { dialect: "gemini" },
];

impl Tongue {
    fn request(self, model: &str, stream: bool, limit: u64) -> Request {
        let turn = json!([{"role": "user", "content": "Say something long."}]);
        let (path, body) = match self.dialect {
            "openai_chat" => (
                "/v1/chat/completions".to_owned(),
                json!({"model": model, "stream": stream, "max_tokens": limit, "messages": turn}),
            ),
            "openai_responses" => (
                "/v1/responses".to_owned(),
                json!({"model": model, "stream": stream, "max_output_tokens": limit, "input": turn}),
            ),
            "anthropic" => (
                "/v1/messages".to_owned(),
                json!({"model": model, "stream": stream, "max_tokens": limit, "messages": turn}),
            ),
            _ => {
                let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body = json!({"contents": [{"role": "user", "parts": [{"text": "Say something long."}]}], "generationConfig": {"maxOutputTokens": limit}});
                (format!("/v1beta/models/{model}:{verb}"), body)
            }
        };
        Request::post(&path).header("authorization", "Bearer pk").json(&body)
    }
}

/// What a call has to be found to be.
struct Expected {
    model: &'static str,
    stream: bool,
    limit: u64,
    /// class, detail, place, who can act
    found: [&'static str; 4],
    /// A part of the first sentence.
    says: &'static str,
}

const fn expect(
    model: &'static str,
    stream: bool,
    found: [&'static str; 4],
    says: &'static str,
) -> Expected {
    Expected { model, stream, limit: 1_000, found, says }
}

const EXPECTED: &[Expected] = &[
    expect(
        "bad-key",
        false,
        ["authentication", "key", "provider", "gateway"],
        "does not accept the key",
    ),
    expect(
        "slow-down",
        true,
        ["rate_limit", "requests", "provider", "provider"],
        "(requests: 0 of 500 left); it says to wait 7 s",
    ),
    expect(
        "broken",
        false,
        ["server_error", "", "provider", "provider"],
        "failed by itself with 500",
    ),
    expect("full", true, ["overloaded", "", "provider", "provider"], "is overloaded"),
    expect("page", false, ["invalid_answer", "html", "provider", "gateway"], "A page came back"),
    expect(
        "overflow",
        true,
        ["context_overflow", "", "provider", "client"],
        "of 215,432 tokens does not fit overflow, which takes 200,000",
    ),
    expect(
        "cut",
        true,
        ["cut_stream", "without_usage", "provider", "provider"],
        "was cut off after ",
    ),
    expect(
        "stall",
        true,
        ["idle_timeout", "", "provider", "provider"],
        "stopped in the middle of its answer, after 4 events",
    ),
    expect(
        "late",
        false,
        ["first_byte_timeout", "", "provider", "provider"],
        "sent nothing for 1.0",
    ),
    expect(
        "bad-event",
        true,
        ["invalid_answer", "event", "provider", "provider"],
        "an event that is not JSON (event 4",
    ),
    Expected {
        limit: 5,
        ..expect(
            "long",
            true,
            ["truncated", "max_tokens", "provider", "client"],
            "cut at the request's limit of 5 output tokens",
        )
    },
    Expected {
        limit: 5,
        ..expect(
            "thinker",
            false,
            ["truncated", "reasoning", "provider", "client"],
            "reasoning took ",
        )
    },
    expect(
        "gone",
        false,
        ["connect_failure", "refused", "network", "gateway"],
        "nobody listens there",
    ),
    expect(
        "nowhere",
        false,
        ["dns_failure", "", "network", "gateway"],
        "the name no-such-name.invalid has no address",
    ),
    expect(
        "unheard-of",
        false,
        ["gateway_refusal", "model_not_found", "gateway", "client"],
        "404 model_not_found",
    ),
    expect("good", true, ["nothing", "", "nowhere", "nowhere"], "Nothing is wrong"),
];

fn diagnosis(folder: &Path, id: &str) -> Value {
    let output = run(folder, &["captures", "diagnose", id, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one document")
}

fn found(diagnosis: &Value) -> [&str; 4] {
    ["class", "detail", "place", "act_at"].map(|key| diagnosis[key].as_str().unwrap_or_default())
}

/// Stops the gateway; everything is on the disk then.
fn stop(mut serving: Serving) {
    serving.signal("TERM");
    assert!(serving.child.wait().expect("its end").success());
}

#[tokio::test]
async fn what_failed_is_named_in_every_dialect() {
    let simulator =
        Simulator::local(Script::parse(SCRIPT).expect("a script")).expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &simulator);
    let serving = Serving::of(pinhole(folder.path(), &["serve"]));
    let mut calls = Vec::new();
    for expected in EXPECTED {
        for tongue in TONGUES {
            let request = tongue.request(expected.model, expected.stream, expected.limit);
            let answer = raw::send(serving.address(), &request).await;
            let id = answer.header("x-pinhole-id").expect("an id").to_owned();
            calls.push((id, tongue.dialect, expected));
        }
    }
    let stranger = Request::post("/v1/chat/completions").json(&json!({"model": "good"}));
    let stranger = raw::send(serving.address(), &stranger)
        .await
        .header("x-pinhole-id")
        .expect("an id")
        .to_owned();
    stop(serving);

    let mut wrong = Vec::new();
    for (id, dialect, expected) in &calls {
        let diagnosis = diagnosis(folder.path(), id);
        let verdict = diagnosis["verdict"].as_str().unwrap_or_default();
        if found(&diagnosis) != expected.found || !verdict.contains(expected.says) {
            wrong.push(format!("{dialect} {}: {:?} {verdict}", expected.model, found(&diagnosis)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let refused = diagnosis(folder.path(), &stranger);
    assert_eq!(
        found(&refused),
        ["gateway_refusal", "missing_api_key", "gateway", "client"],
        "{refused}"
    );

    // The same in groups: each failure in one, the largest first.
    let output = run(folder.path(), &["captures", "diagnose", "--json"]);
    let lines = text(&output.stdout);
    let groups: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let counted: u64 = groups.iter().filter_map(|group| group["count"].as_u64()).sum();
    let failed =
        EXPECTED.iter().filter(|expected| !matches!(expected.found[0], "nothing" | "truncated"));
    let failed = failed.filter(|expected| expected.found[1] != "event").count() * TONGUES.len() + 1;
    assert_eq!(counted, failed as u64, "{lines}");
    let note = text(&run(folder.path(), &["captures", "diagnose"]).stdout);
    assert!(note.contains("most of all "), "{note}");
}

#[tokio::test]
async fn a_client_that_left_and_what_the_gateway_changed_are_told() {
    let simulator =
        Simulator::local(Script::parse(SCRIPT).expect("a script")).expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &simulator);
    let serving = Serving::of(pinhole(folder.path(), &["serve", "--model-alias", "^better$=good"]));
    let mut leaving = raw::connect(serving.address()).await;
    leaving.send(&TONGUES[2].request("stall", true, 100)).await;
    let head = leaving.read_head().await.expect("a head");
    let left = head.header("x-pinhole-id").expect("an id").to_owned();
    assert!(leaving.read_until("content_block_start").await.1);
    drop(leaving);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = raw::send(serving.address(), &TONGUES[0].request("better", false, 100)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        ids.push(answer.header("x-pinhole-id").expect("an id").to_owned());
    }
    stop(serving);

    let left = diagnosis(folder.path(), &left);
    assert_eq!([&left["class"], &left["place"]], ["client_cancelled", "client"], "{left}");
    let diff = |arguments: &[&str]| {
        let output = run(folder.path(), &[&["captures", "diff"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let legs = diff(&[&ids[0]]);
    assert!(legs.starts_with("Modified on the way"), "{legs}");
    assert!(legs.contains("~ model: \"better\" → \"good\""), "{legs}");
    assert!(legs.contains("body the same"), "the answer passed as it was: {legs}");
    let both: Value = serde_json::from_str(&diff(&[&ids[0], &ids[1], "--json"])).expect("JSON");
    assert_eq!(both["parameters"], json!([]), "{both}");
    assert!(diff(&[&ids[0], "--attempts"]).starts_with("There was one attempt"));
    let missing = run(folder.path(), &["captures", "diff", "--turns", "no-such-session"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[tokio::test]
async fn turns_of_a_session_tell_where_the_prompt_changed() {
    let simulator =
        Simulator::local(Script::parse(SCRIPT).expect("a script")).expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &simulator);
    let serving = Serving::of(pinhole(folder.path(), &["serve"]));
    let mut messages = vec![json!({"role": "user", "content": "first"})];
    for clock in ["12:00", "12:00", "12:01"] {
        let body = json!({"model": "good", "max_tokens": 100, "system": format!("It is {clock}."), "messages": messages});
        let request = Request::post("/v1/messages")
            .header("authorization", "Bearer pk")
            .header("x-session-id", "s-1")
            .json(&body);
        assert_eq!(raw::send(serving.address(), &request).await.status, 200);
        messages.push(json!({"role": "assistant", "content": "yes"}));
        messages.push(json!({"role": "user", "content": "more"}));
    }
    stop(serving);
    let output = run(folder.path(), &["captures", "diff", "--turns", "s-1"]);
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].ends_with("holds"), "{lines:?}");
    assert!(lines[2].contains("changed at byte") && lines[2].ends_with(": system"), "{lines:?}");
    let output = run(folder.path(), &["captures", "diff", "--turns", "s-1", "2"]);
    let shown = text(&output.stdout);
    assert!(shown.starts_with("The prompt's beginning changed at byte"), "{shown}");
    assert!(shown.contains("12:00") && shown.contains("12:01"), "{shown}");
    let output = run(folder.path(), &["captures", "diff", "--turns", "s-1", "3"]);
    assert_eq!(output.status.code(), Some(2));
}

/// One example of the page: the call that made it, and the block with what the command printed.
struct Example {
    id: String,
    shown: Vec<String>,
}

/// The value of an attribute of a marker: `name=value` up to a blank, or in quotes; a body goes to the end.
fn attribute<'a>(marker: &'a str, name: &str) -> Option<&'a str> {
    let value = marker.split_once(&format!(" {name}="))?.1;
    match name {
        "body" => value.strip_suffix(" -->"),
        _ if value.starts_with('"') => value.split('"').nth(1),
        _ => value.split(' ').next(),
    }
}

async fn made(page: &str, serving: &Serving) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut id = String::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("<!-- call:") {
            let of = |name| attribute(line, name).unwrap_or_else(|| panic!("no {name}: {line}"));
            let mut request = Request::post(of("path"))
                .header("authorization", "Bearer pk")
                .header("content-type", "application/json")
                .header("user-agent", of("agent"))
                .body(of("body"));
            if let Some(session) = attribute(line, "session") {
                request = request.header("x-session-id", session);
            }
            let answer = raw::send(serving.address(), &request).await;
            answer.header("x-pinhole-id").expect("an id").clone_into(&mut id);
        } else if line.starts_with("$ pinhole captures diagnose 0") {
            inside = true;
            examples.push(Example { id: id.clone(), shown: Vec::new() });
        } else if line == "```" {
            inside = false;
        } else if let (true, Some(example)) = (inside, examples.last_mut()) {
            example.shown.push(line.to_owned());
        }
    }
    examples
}

/// What does not differ from run to run: the verdict, the class and who can act, and what to do; ids blotted out.
fn constant(lines: &[String]) -> Vec<String> {
    let blot = |line: &str| {
        let words = line.split(' ').map(|word| {
            let is_id = word.trim_matches('`').len() == 36 && word.contains("-7");
            // How many events came before a cut may differ by what stood in the last segment.
            let is_count = word.parse::<u32>().is_ok() && line.contains(" events ");
            if is_id || is_count { "…" } else { word }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let advice = lines.iter().skip_while(|line| *line != "What to do");
    let head = lines.iter().take(3);
    head.chain(advice).map(|line| blot(line)).collect()
}

#[tokio::test]
async fn the_page_shows_what_the_commands_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnose.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let script = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the script");
    let simulator =
        Simulator::local(Script::parse(script).expect("a script")).expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    let models = "\"busy\", \"small\", \"fragile\", \"thinker\", \"forgetful\"";
    let head = "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"kept\"\n[capture]\nlevel = \"full\"\n";
    let far = provider("far", &format!("http://{}", simulator.addr()), models);
    // The page's examples take their time.
    let patient = far.replace("\"1s\"", "\"20s\"");
    write(folder.path(), &format!("{head}{patient}"));
    let serving = Serving::of(pinhole(folder.path(), &["serve"]));
    let examples = made(&page, &serving).await;
    stop(serving);
    assert_eq!(examples.len(), 5);
    for example in &examples {
        let output = run(folder.path(), &["captures", "diagnose", &example.id]);
        let printed: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
        assert_eq!(constant(&printed), constant(&example.shown), "{}", printed.join("\n"));
    }
    let output = run(folder.path(), &["captures", "diff", "--turns", "fix-login"]);
    for line in text(&output.stdout).lines() {
        assert!(page.contains(line.trim_end()), "{line}");
    }
}
