//! `pinhole captures`, the program itself on what a real gateway has kept: exact bytes of every leg of every dialect,
//! whole and cut, clear and compressed; and what the commands say when something is not there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::command::{Serving, pinhole, run, text, write};
use crate::support::eventually;
use crate::support::raw::{self, End, Request};
use crate::support::upstream::{
    Step, Upstream, answer, chunk, chunked, json, last_chunk, stream_of,
};

/// A gateway that keeps everything, at a provider that speaks all dialects.
pub(crate) fn configure(folder: &Path, url: &str, level: &str) {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
         [providers.up]\nbaseurl = \"{url}\"\napikey = \"env:UP_KEY\"\nmodels = [\"*\"]\n\
         compatibility = {{ openai_chat = true, openai_responses = true, anthropic_messages = true, \
         gemini_generate_content = true }}\n\
         [capture]\nlevel = \"{level}\"\n"
    );
    write(folder, &toml);
}

pub(crate) fn captures(folder: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["captures"];
    all.extend_from_slice(arguments);
    pinhole(folder, &all).env("UP_KEY", "sk").output().expect("the program")
}

/// What it writes, which must succeed.
pub(crate) fn told(folder: &Path, arguments: &[&str]) -> String {
    let output = captures(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// How it exits, and what it says.
pub(crate) fn refused(folder: &Path, arguments: &[&str], code: i32, words: &str) {
    let output = captures(folder, arguments);
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
    assert!(talk.contains(words), "{arguments:?}: {talk}");
}

pub(crate) fn end(mut serving: Serving) {
    serving.signal("TERM");
    assert_eq!(serving.child.wait().expect("its end").code(), Some(0));
}

pub(crate) fn post(path: &str) -> Request {
    Request::post(path)
        .header("content-type", "application/json")
        .header("authorization", "Bearer pk")
}

fn golden(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path))
        .expect("a golden file")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// One call: where, what is asked, what is answered.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) path: &'static str,
    pub(crate) request: Vec<u8>,
    /// As it stands on the wire, perhaps compressed.
    pub(crate) answer: Vec<u8>,
    pub(crate) kind: &'static str,
    pub(crate) coding: Option<&'static str>,
    /// The provider breaks off at the end of the answer.
    pub(crate) cut: bool,
}

impl Case {
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut headers = vec![("content-type", self.kind)];
        headers.extend(self.coding.map(|coding| ("content-encoding", coding)));
        let mut steps = vec![Step::Send(chunked(200, &headers))];
        steps.extend(self.answer.chunks(211).map(|piece| Step::Send(chunk(piece))));
        steps.push(if self.cut { Step::Close } else { Step::Send(last_chunk()) });
        steps
    }
}

/// Path, what is asked, what is answered: every dialect as document and as stream.
const CALLS: [(&str, &str, &str); 11] = [
    (
        "/v1/chat/completions",
        "openai_chat/requests/vision_tools.json",
        "openai_chat/responses/tools.json",
    ),
    (
        "/v1/chat/completions",
        "openai_chat/requests/aider.json",
        "openai_chat/streams/tools_and_reasoning.sse",
    ),
    (
        "/v1/completions",
        "openai_chat/requests/completions.json",
        "openai_chat/streams/completion_text.sse",
    ),
    (
        "/v1/responses",
        "openai_responses/requests/sdk_node.json",
        "openai_responses/responses/completed.json",
    ),
    (
        "/v1/responses",
        "openai_responses/requests/codex.json",
        "openai_responses/streams/all_items.sse",
    ),
    (
        "/v1/messages",
        "anthropic_messages/requests/sdk_python.json",
        "anthropic_messages/responses/thinking_tools.json",
    ),
    (
        "/v1/messages",
        "anthropic_messages/requests/claude_code.json",
        "anthropic_messages/streams/thinking_tool.sse",
    ),
    (
        "/v1/embeddings",
        "openai_embeddings/requests/sdk_python.json",
        "openai_embeddings/responses/float.json",
    ),
    (
        "/v1beta/models/m:generateContent",
        "gemini_generate/requests/plain.json",
        "gemini_generate/responses/function_calls.json",
    ),
    (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        "gemini_generate/requests/gemini_cli.json",
        "gemini_generate/streams/text.sse",
    ),
    (
        "/v1beta/models/m:streamGenerateContent",
        "gemini_generate/requests/plain.json",
        "gemini_generate/streams/array_pretty.json",
    ),
];

/// Each of the calls clear and compressed, complete and cut; and one that is no words.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (path, request, answer) in CALLS {
        let stream = Path::new(answer).extension().is_some_and(|extension| extension == "sse");
        let kind = if stream { "text/event-stream" } else { "application/json" };
        let (request, clear) = (golden(request), golden(answer));
        for coding in [None, Some("gzip")] {
            for cut in [false, true] {
                let mut answer = if coding.is_some() { gzip(&clear) } else { clear.clone() };
                if cut {
                    answer.truncate(answer.len() * 2 / 3);
                }
                let request = request.clone();
                cases.push(Case { path, request, answer, kind, coding, cut });
            }
        }
    }
    // What is no JSON, and what is no text.
    let sound: Vec<u8> =
        (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let speech = br#"{"model":"tts","input":"It's me","voice":"alloy"}"#.to_vec();
    cases.push(Case {
        path: "/v1/audio/speech",
        request: speech,
        answer: sound,
        kind: "audio/mpeg",
        coding: None,
        cut: false,
    });
    cases
}

#[tokio::test]
async fn raw_bytes_are_those_of_the_wire_for_every_dialect() {
    let cases = cases();
    let scripted: Arc<Vec<Case>> = Arc::new(cases.clone());
    let upstream = Upstream::start(move |got| {
        let number: usize = got.header("x-case").expect("a number").parse().expect("a number");
        scripted[number].steps()
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url(), "full");
    let serving = Serving::start(folder.path());
    let mut kept = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let request = post(case.path)
            .header("x-case", &number.to_string())
            .header("accept-encoding", "gzip")
            .body(case.request.clone());
        let response = raw::send(serving.address(), &request).await;
        assert_eq!(response.end == End::Clean, !case.cut, "{number} {}: {response:?}", case.path);
        let id = response.header("x-pinhole-id").expect("an id").to_owned();
        kept.push((id, response.body));
    }
    end(serving);
    let got = upstream.got();
    assert_eq!(got.len(), cases.len());
    for ((case, got), (id, answered)) in cases.iter().zip(&got).zip(&kept) {
        let raw = |leg: &str, more: &[&str]| {
            let mut arguments = vec!["show", id, "--raw", leg];
            arguments.extend_from_slice(more);
            let output = captures(folder.path(), &arguments);
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
            assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
            output.stdout
        };
        let place = format!("{} {} {:?} cut: {}", case.path, case.kind, case.coding, case.cut);
        assert!(raw("request", &[]) == case.request, "{place}: request");
        assert!(
            raw("upstream-request", &["--attempt", "1"]) == got.body,
            "{place}: upstream request"
        );
        assert!(raw("upstream-response", &[]) == case.answer, "{place}: upstream response");
        assert!(raw("response", &[]) == *answered, "{place}: response");
        if case.coding.is_some() && !case.cut {
            let clear = raw("upstream-response", &["--decoded"]);
            assert!(gzip(&clear) == case.answer, "{place}: decoded");
        }
    }
    // Each of them can be looked at, whatever it is.
    let plain = cases.iter().zip(&kept).filter(|(case, _)| case.coding.is_none() || case.cut);
    for (_, (id, _)) in plain.step_by(2) {
        let page = told(
            folder.path(),
            &["show", id, "--summary", "--conversation", "--headers", "--timeline"],
        );
        assert!(page.starts_with(id.as_str()) && page.lines().count() > 20, "{page}");
    }
    for form in ["json", "har", "markdown", "curl"] {
        assert!(!told(folder.path(), &["show", "--as", form]).trim().is_empty(), "{form}");
    }
    let verified = told(folder.path(), &["verify"]);
    assert!(verified.starts_with("all is well"), "{verified}");
}

#[tokio::test]
async fn compressed_requests_are_kept_as_they_came() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url(), "full");
    let serving = Serving::start(folder.path());
    let clear = golden("anthropic_messages/requests/claude_code.json");
    let request = post("/v1/messages").header("content-encoding", "gzip").body(gzip(&clear));
    let response = raw::send(serving.address(), &request).await;
    assert_eq!(response.status, 200);
    end(serving);
    let raw = captures(folder.path(), &["show", "--raw", "request"]).stdout;
    assert!(raw == request.body, "{} bytes", raw.len());
    let decoded = captures(folder.path(), &["show", "--raw", "request", "--decoded"]).stdout;
    assert!(decoded == clear, "{} bytes", decoded.len());
    let upstreams = captures(folder.path(), &["show", "--raw", "upstream-request"]).stdout;
    assert!(upstreams == upstream.only().body);
    let command = told(folder.path(), &["show", "--as", "curl"]);
    assert!(command.contains("pinhole captures show --raw request"), "{command}");
}

/// The command that `--as curl` gives has the request's own bytes, and no secret.
#[tokio::test]
async fn a_command_holds_the_request_and_no_secret() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url(), "full");
    let serving = Serving::start(folder.path());
    let body =
        "{\"model\":\"m\",\n \"messages\":[{\"role\":\"user\",\"content\":\"it's `me` $HOME\"}]}";
    raw::send(serving.address(), &post("/v1/chat/completions").body(body)).await;
    end(serving);
    let command = told(folder.path(), &["show", "--as", "curl"]);
    let (head, rest) = command.split_once("<<'JSON'\n").expect("a body");
    assert_eq!(rest, format!("{body}\nJSON\n"));
    assert!(head.contains("\"authorization: Bearer $PINHOLE_API_KEY\""), "{head}");
    assert!(!command.contains("Bearer pk"), "{command}");
    let upstreams = told(folder.path(), &["show", "--as", "curl", "--attempt", "1"]);
    assert!(
        upstreams.contains("$UP_API_KEY") && upstreams.contains(&upstream.url()),
        "{upstreams}"
    );
    assert!(!upstreams.contains("Bearer sk"), "{upstreams}");
}

#[tokio::test]
async fn a_level_without_bodies_says_so_and_how_to_keep_them() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url(), "meta");
    let serving = Serving::start(folder.path());
    raw::send(serving.address(), &post("/v1/chat/completions").body(r#"{"model":"m"}"#)).await;
    end(serving);
    for leg in ["request", "response", "upstream-request", "upstream-response"] {
        refused(folder.path(), &["show", "--raw", leg], 1, "the capture level was `meta`");
        refused(folder.path(), &["show", "--raw", leg], 1, "capture.level = \"full\"");
    }
    refused(folder.path(), &["show", "--as", "curl"], 1, "level meta");
    refused(folder.path(), &["grep", "model"], 1, "no bodies to look in");
    let page = told(folder.path(), &["show"]);
    assert!(page.contains("kept       numbers (level meta)"), "{page}");
}

#[tokio::test]
async fn words_that_name_nothing_are_told_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    configure(folder.path(), &upstream.url(), "full");
    refused(folder.path(), &["ls"], 3, "there is no store at");
    let serving = Serving::start(folder.path());
    let output = captures(folder.path(), &["ls"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("the store is empty"), "{output:?}");
    refused(folder.path(), &["show"], 1, "no exchange matches");
    raw::send(serving.address(), &post("/v1/chat/completions").body(r#"{"model":"m"}"#)).await;
    end(serving);
    refused(folder.path(), &["ls", "--where", "modle:x"], 2, "did you mean `model`?");
    refused(folder.path(), &["ls", "--where", "status:"], 2, "^");
    refused(folder.path(), &["show", "nonsense"], 2, "is no id");
    refused(folder.path(), &["show", "00000000-0000"], 1, "pinhole captures ls");
    refused(folder.path(), &["show", "last~5"], 1, "goes back too far");
    refused(
        folder.path(),
        &["show", "--raw", "upstream-request", "--attempt", "3"],
        1,
        "there is no attempt 3",
    );
    refused(folder.path(), &["show", "--raw", "request", "--as", "har"], 2, "cannot be used with");
    refused(folder.path(), &["grep", "(", "-E"], 2, "the pattern cannot be read");
    refused(folder.path(), &["label", "last"], 2, "name the label");
    refused(folder.path(), &["label", "last", "good=x"], 2, "is no score");
    refused(folder.path(), &["label", "last", "--remove", "good"], 1, "has no label");
    let foreign = folder.path().join("foreign.db");
    std::fs::write(&foreign, "no store").expect("a file");
    refused(folder.path(), &["restore", "foreign.db"], 3, "is not a store");
    assert_eq!(
        told(folder.path(), &["ls", "--where", "status:5xx"]),
        "",
        "an empty list is an answer"
    );
}

/// Several exchanges in one session, one of them failed.
pub(crate) async fn conversed(folder: &Path) -> Vec<String> {
    let upstream = Upstream::start(|got| {
        if got.text().contains("refuse") {
            return vec![Step::Send(answer(429, &[("content-type", "application/json")], r#"{"error":{"message":"slow down"}}"#))];
        }
        stream_of(&[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"The capital \"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"is Paris.\"},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        ])
    })
    .await;
    configure(folder, &upstream.url(), "full");
    let serving = Serving::start(folder);
    let mut ids = Vec::new();
    let mut messages =
        vec![r#"{"role":"user","content":"What is the capital of France?"}"#.to_owned()];
    for words in ["and of Spain?", "refuse this", "and of Italy?"] {
        let body = format!(r#"{{"model":"m","stream":true,"messages":[{}]}}"#, messages.join(","));
        let request = post("/v1/chat/completions").header("x-session-id", "travel").body(body);
        let response = raw::send(serving.address(), &request).await;
        ids.push(response.header("x-pinhole-id").expect("an id").to_owned());
        messages.push(r#"{"role":"assistant","content":"The capital is Paris."}"#.to_owned());
        messages.push(format!(r#"{{"role":"user","content":"{words}"}}"#));
    }
    end(serving);
    ids
}

#[tokio::test]
async fn lists_pages_and_searches_find_what_was_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let ids = conversed(folder.path()).await;
    let rows: Vec<Value> = told(folder.path(), &["ls", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let listed: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(listed, ids.iter().rev().map(String::as_str).collect::<Vec<_>>(), "newest first");
    assert!(rows.iter().all(|row| row["session_id"] == "travel" && row["tags"].is_object()));
    let of = |query: &str| told(folder.path(), &["ls", "--json", "--where", query]).lines().count();
    assert_eq!((of("status:429"), of("session:travel"), of("outcome:complete")), (1, 3, 2));
    assert_eq!(
        told(folder.path(), &["ls", "--session", "travel", "--limit", "2"]).lines().count(),
        3
    );
    let page = told(folder.path(), &["show", &ids[0][..18]]);
    assert!(page.contains("The capital is Paris.") && page.contains("stop · 200"), "{page}");
    let failed = told(folder.path(), &["show", "last", "--where", "status:429"]);
    assert!(failed.starts_with(&ids[2]) && failed.contains("slow down"), "{failed}");
    // A message that is sent again each turn is one find; with --all it is one a turn.
    let found = told(folder.path(), &["grep", "of France"]);
    assert_eq!(found.lines().count(), 1, "{found}");
    assert_eq!(told(folder.path(), &["grep", "of France", "--all"]).lines().count(), 3);
    let found = told(folder.path(), &["grep", "-iE", "PARIS\\.$", "--json"]);
    let first: Value = serde_json::from_str(found.lines().next().expect("a find")).expect("JSON");
    assert_eq!(first["match"], "Paris.");
    refused(folder.path(), &["grep", "Lisbon"], 1, "");
    let document: Value =
        serde_json::from_str(&told(folder.path(), &["show", &ids[0], "--json"])).expect("JSON");
    assert_eq!(
        (&document["id"], &document["attempts"][0]["provider"]),
        (&ids[0].as_str().into(), &"up".into())
    );
}

#[tokio::test]
async fn the_store_is_counted_checked_and_pruned() {
    let folder = tempfile::tempdir().expect("a folder");
    let ids = conversed(folder.path()).await;
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&told(folder.path(), arguments)).expect("JSON")
    };
    let stats = json(&["stats", "--json"]);
    assert_eq!(
        (&stats["exchanges"], &stats["full"], &stats["removed"]),
        (&3.into(), &3.into(), &0.into())
    );
    assert!(told(folder.path(), &["stats"]).contains("times smaller"));
    let dry = json(&["prune", "--where", "status:429", "--json"]);
    assert_eq!((&dry["dry_run"], &dry["exchanges"]), (&true.into(), &1.into()));
    let done = json(&["prune", "--where", "status:429", "--bodies-only", "--yes", "--json"]);
    assert_eq!((&done["deleted"]["records"], &done["deleted"]["bodies"]), (&0.into(), &1.into()));
    refused(folder.path(), &["show", &ids[2], "--raw", "request"], 1, "removed later");
    let page = told(folder.path(), &["show", &ids[2]]);
    assert!(page.contains("removed later, by retention or by `captures prune`"), "{page}");
    json(&["prune", "--where", "status:429", "--yes", "--json"]);
    assert_eq!(told(folder.path(), &["ls", "--json"]).lines().count(), 2);
    refused(folder.path(), &["prune", "--yes"], 2, "--where");
    assert_eq!(json(&["prune", "--older-than", "1h", "--yes", "--json"])["deleted"]["records"], 0);
    let total = json(&["verify", "--json"]);
    assert_eq!((&total["ok"], &total["exchanges"]), (&true.into(), &2.into()));
    let database = rusqlite::Connection::open(folder.path().join("data/pinhole.db")).expect("it");
    let broken =
        "UPDATE bodies SET rest = zeroblob(length(rest)) WHERE seq = (SELECT min(seq) FROM bodies)";
    assert_eq!(database.execute(broken, []).expect("an update"), 1);
    let output = captures(folder.path(), &["verify"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with(&ids[0]), "{output:?}");
    refused(folder.path(), &["show", &ids[0]], 1, "is damaged");
}

#[tokio::test]
async fn labels_are_put_found_and_taken_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let ids = conversed(folder.path()).await;
    told(folder.path(), &["label", &ids[0], "good=0.8", "--note", "as it should be"]);
    told(folder.path(), &["label", "--session", "travel", "trip"]);
    let of = |query: &str| told(folder.path(), &["ls", "--json", "--where", query]).lines().count();
    assert_eq!((of("label:good"), of("label:trip")), (1, 3));
    let page = told(folder.path(), &["show", &ids[0]]);
    assert!(page.contains("good=0.8  “as it should be”"), "{page}");
    told(folder.path(), &["label", &ids[0], "good", "--remove"]);
    assert_eq!(of("label:good"), 0);
}

#[tokio::test]
async fn a_backup_comes_back_and_the_newer_store_is_kept_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let ids = conversed(folder.path()).await;
    told(folder.path(), &["backup", "copy.db"]);
    refused(folder.path(), &["backup", "copy.db"], 2, "is there already");
    told(folder.path(), &["label", &ids[0], "later"]);
    let told_json = told(folder.path(), &["restore", "copy.db", "--json"]);
    let restored: Value = serde_json::from_str(&told_json).expect("JSON");
    assert!(Path::new(restored["aside"].as_str().expect("a path")).exists());
    assert_eq!(told(folder.path(), &["ls", "--json"]).lines().count(), 3);
    assert_eq!(told(folder.path(), &["ls", "--json", "--where", "label:later"]).lines().count(), 0);
    let bytes = captures(folder.path(), &["show", &ids[0], "--raw", "response"]).stdout;
    assert!(text(&bytes).contains("is Paris."), "bodies come back too");
    let serving = Serving::start(folder.path());
    refused(folder.path(), &["restore", "copy.db"], 3, "another `pinhole serve`");
    end(serving);
}

#[tokio::test]
async fn tail_tells_each_exchange_once_as_it_ends() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), &upstream.url(), "meta");
    let serving = Serving::start(folder.path());
    let call = |model: &str| post("/v1/chat/completions").body(format!(r#"{{"model":"{model}"}}"#));
    raw::send(serving.address(), &call("before")).await;
    eventually("a record", || {
        (told(folder.path(), &["ls", "--json"]).lines().count() == 1).then_some(())
    })
    .await;
    let mut tail =
        pinhole(folder.path(), &["captures", "tail", "--json", "--where", "-model:hidden"])
            .env("UP_KEY", "sk")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
    let heard: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let lines = BufReader::new(tail.stdout.take().expect("its output"));
    let note = Arc::clone(&heard);
    let reading = std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let row: Value = serde_json::from_str(&line).expect("an object a line");
            let model = row["model"].as_str().unwrap_or_default().to_owned();
            *note.lock().expect("a count").entry(model).or_default() += 1;
        }
    });
    let has = |model: &str| heard.lock().expect("a count").contains_key(model).then_some(());
    eventually("what was there", || has("before")).await;
    for model in ["one", "hidden", "two"] {
        raw::send(serving.address(), &call(model)).await;
    }
    eventually("what came", || has("two")).await;
    let interrupt =
        std::process::Command::new("kill").args(["-INT", &tail.id().to_string()]).status();
    assert!(interrupt.expect("kill").success());
    assert_eq!(tail.wait().expect("its end").code(), Some(0));
    reading.join().expect("its lines");
    let heard = heard.lock().expect("a count").clone();
    let expected: BTreeMap<String, usize> =
        ["before", "one", "two"].map(|model| (model.to_owned(), 1)).into();
    assert_eq!(heard, expected);
    end(serving);
    let piped = run(folder.path(), &["captures", "tail", "--help"]);
    assert!(text(&piped.stdout).contains("until interrupted"));
}
