//! Runs on the operations API: begun, watched, stopped, refused; what they leave in the store and in the metrics; sweeps and
//! judges.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Serving, pinhole, write};
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Got, Step, Upstream, answer};

/// A gateway that keeps everything, its operations port, and one recorded call.
struct Rig {
    folder: tempfile::TempDir,
    upstream: Upstream,
    serving: Serving,
    operations: SocketAddr,
}

fn said(text: &str) -> Vec<u8> {
    let body = json!({
        "id": "c1", "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
    });
    answer(200, &[("content-type", "application/json")], body.to_string())
}

fn model(got: &Got) -> String {
    let body: Value = serde_json::from_slice(&got.body).expect("JSON");
    body["model"].as_str().expect("a model").to_owned()
}

/// Models of any name; those that begin with `dear` cost what gpt-5 does.
fn config(url: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n\
         [providers.up]\nbaseurl = \"{url}\"\napikey = \"env:UP_KEY\"\nmodels = [\"*\"]\n\
         model_cost_map = [{{ match = \"dear*\", as = \"gpt-5\" }}]\n\
         [providers.local]\ntype = \"vllm\"\nbaseurl = \"{url}/v1\"\nmodels = [\"v\"]\n"
    )
}

impl Rig {
    async fn start(
        calls: usize,
        answer: impl Fn(&Got) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with("full", calls, answer).await
    }

    async fn start_with(
        level: &str,
        calls: usize,
        answer: impl Fn(&Got) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let upstream = Upstream::start(answer).await;
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &config(&upstream.url()));
        let arguments = ["serve", "--capture", level, "--data-dir", "kept"];
        let serving = Serving::of(pinhole(folder.path(), &arguments));
        let operations = serving.said_of("operations");
        let operations = operations.trim_start_matches("http://").trim_end_matches("/health");
        let operations = operations.parse().expect("an address");
        let rig = Self { folder, upstream, serving, operations };
        for call in 0..calls {
            let body = json!({"model": "old", "messages": [{"role": "user", "content": format!("question {call}")}]});
            let request = Request::post("/v1/chat/completions")
                .header("content-type", "application/json")
                .header("authorization", "Bearer pk")
                .body(body.to_string());
            assert_eq!(raw::send(rig.serving.address(), &request).await.status, 200);
        }
        rig.wait("the calls", "/api/exchanges?limit=1000", |page| {
            page["exchanges"].as_array().map(Vec::len) == Some(calls)
        })
        .await;
        rig
    }

    async fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Response {
        let request = Request::new(method, target).header("host", "127.0.0.1");
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        raw::send(self.operations, &request).await
    }

    async fn wait(&self, what: &str, target: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..600 {
            let answer = self.ask("GET", target, None).await;
            if answer.status == 200 {
                last = answer.json();
                if is_there(&last) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{what} did not come: {last}");
    }

    /// Begins a run and waits for its report.
    async fn run(&self, plan: &Value) -> (Value, Value) {
        let begun = self.ask("POST", "/api/replays", Some(plan)).await;
        assert_eq!(begun.status, 202, "{}", begun.text());
        let begun = begun.json();
        let report = self.report(&begun).await;
        (begun, report)
    }

    async fn report(&self, begun: &Value) -> Value {
        let id = begun["run_id"].as_str().expect("an id");
        self.wait("the report", &format!("/api/runs/{id}"), |run| run["ended"].is_string()).await
    }

    /// What a run that is over has beside its report.
    async fn look_at_pairs_and_files(&self, id: &str) {
        let pairs = self.ask("GET", &format!("/api/runs/{id}/pairs?sort=e2e&limit=2"), None).await;
        let pairs = pairs.json();
        assert_eq!((&pairs["count"], &pairs["sort"]), (&json!(3), &json!("e2e")), "{pairs}");
        let listed = pairs["pairs"].as_array().expect("pairs");
        assert_eq!(listed.len(), 2);
        assert!(listed[0]["ratio"].as_f64() >= listed[1]["ratio"].as_f64(), "{pairs}");
        assert_eq!(listed[0]["target"], "other");
        for name in ["of", "baseline_id", "target_id"] {
            assert!(listed[0][name].is_string(), "{name}: {pairs}");
        }
        for (form, part) in [
            ("html", "<!DOCTYPE html>"),
            ("md", "other"),
            ("json", "\"run_id\""),
            ("csv", "pair,"),
            ("txt", "compared with m"),
        ] {
            let file = self.ask("GET", &format!("/api/runs/{id}/report.{form}"), None).await;
            assert_eq!(file.status, 200, "{form}");
            assert!(file.text().contains(part), "{form}: {}", file.text());
        }
        for (path, status, part) in [
            ("pairs?sort=tfft", 400, "there are ttft, ttfo"),
            ("pairs?by=ttft", 400, "use sort, target or limit"),
            ("report.pdf", 404, "report.html, .md"),
        ] {
            let refused = self.ask("GET", &format!("/api/runs/{id}/{path}"), None).await;
            assert_eq!(refused.status, status, "{path}");
            assert!(refused.text().contains(part), "{path}: {}", refused.text());
        }
        let targets = self.ask("GET", "/api/targets", None).await.json();
        let named = |name: &str| {
            let all = targets["targets"].as_array().expect("targets");
            all.iter().find(|target| target["target"] == name).cloned().expect("the target")
        };
        assert_eq!(named("up/*")["pattern"], true);
        assert_eq!(named("local/v")["usd_per_million"], Value::Null);
    }

    async fn metric(&self, line: &str) {
        let text = self.ask("GET", "/metrics", None).await.text();
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
}

fn plan(to: &[&str]) -> Value {
    json!({"from": "model:old", "to": to, "pace": "closed 4"})
}

#[tokio::test]
async fn a_run_is_begun_watched_and_reported_and_is_no_traffic() {
    let rig = Rig::start(3, |got| vec![Step::Send(said(&format!("I am {}", model(got))))]).await;
    let (begun, report) = rig.run(&plan(&["m", "other"])).await;
    assert_eq!((&begun["recordings"], &begun["targets"][1]["model"]), (&json!(3), &json!("other")));
    assert_eq!(begun["estimate"][0]["requests"], 3, "{begun}");
    assert_eq!((&report["ended"], &report["run_id"]), (&json!("whole"), &begun["run_id"]));
    let other = &report["targets"][0];
    assert_eq!((&other["target"], &other["n"]), (&json!("other"), &json!(3)), "{report}");
    assert_eq!(other["answers"]["exact"], 0.0);
    let listed = rig.ask("GET", "/api/runs", None).await.json();
    assert_eq!(listed["runs"][0]["state"], "whole", "{listed}");
    rig.look_at_pairs_and_files(begun["run_id"].as_str().expect("an id")).await;

    let id = begun["run_id"].as_str().expect("an id");
    let stored = format!("/api/exchanges?where=run%3A{id}");
    let kept = rig
        .wait("what was sent", &stored, |page| {
            page["exchanges"].as_array().map(Vec::len) == Some(6)
        })
        .await;
    assert!(kept["exchanges"][0]["replay_of"].is_string(), "{kept}");
    for line in [
        "pinhole_replay_requests_total{target=\"m\",result=\"ok\"} 3",
        "pinhole_replay_requests_total{target=\"other\",result=\"ok\"} 3",
        "pinhole_replay_running 0",
    ] {
        rig.metric(line).await;
    }
    let traffic = "pinhole_requests_total{dialect=\"openai_chat\",operation=\"chat\",provider=\"up\",model=\"*\",status=\"200\",outcome=\"complete\"} 3";
    rig.metric(traffic).await;
}

#[tokio::test]
async fn a_run_is_stopped_with_what_it_has_and_only_one_is_sent() {
    let rig = Rig::start(4, |got| match model(got).as_str() {
        "slow" if got.text().contains("question 0") => vec![Step::Send(said("quick"))],
        "slow" => vec![Step::Hold],
        _ => vec![Step::Send(said("as it was"))],
    })
    .await;
    let begun = rig.ask("POST", "/api/replays", Some(&plan(&["slow"]))).await;
    let begun = begun.json();
    let at = format!("/api/runs/{}", begun["run_id"].as_str().expect("an id"));
    let running = rig.wait("progress", &at, |run| run["progress"]["done"] == 1).await;
    assert_eq!(
        (&running["state"], &running["progress"]["planned"]),
        (&json!("running"), &json!(4))
    );
    let listed = rig.ask("GET", "/api/runs", None).await.json();
    assert_eq!(listed["runs"][0]["state"], "running", "{listed}");
    rig.metric("pinhole_replay_running 1").await;
    let second = rig.ask("POST", "/api/replays", Some(&plan(&["m"]))).await;
    assert_eq!(second.status, 409);
    assert!(second.text().contains("one at a time"), "{}", second.text());
    let stopped = rig.ask("DELETE", &at, None).await;
    assert_eq!((stopped.status, &stopped.json()["state"]), (202, &json!("stopping")));
    let report = rig.report(&begun).await;
    assert_eq!(report["ended"], "interrupted");
    assert_eq!(report["targets"][0]["n"], 1, "{report}");
    assert_eq!(rig.ask("DELETE", &at, None).await.status, 409, "it is over");
    let (_, whole) = rig.run(&plan(&["m"])).await;
    assert_eq!(whole["ended"], "whole", "the place is free again");
}

#[tokio::test]
async fn what_cannot_be_a_run_is_refused_before_anything_is_sent() {
    let rig = Rig::start(2, |_| vec![Step::Send(said("x"))]).await;
    let with = |more: Value| {
        let mut plan = plan(&["m"]);
        let own = plan.as_object_mut().expect("an object");
        own.extend(more.as_object().expect("an object").clone());
        plan
    };
    for (body, words) in [
        (json!([]), "the body is no JSON object"),
        (with(json!({"form": "x"})), "`form` is no key of a plan; did you mean `from`?"),
        (with(json!({"yes": "maybe"})), "`yes` is true or false"),
        (with(json!({"from": ""})), "nothing to send"),
        (with(json!({"to": []})), "no target"),
        (with(json!({"to": ["nowhere/m?a"]})), "`a` in the target"),
        (with(json!({"from": "model:none"})), "never a file"),
        (with(json!({"from": "kept/pinhole.db"})), "never a file"),
        (with(json!({"report": ["/tmp/x.html"]})), "the operations API writes none"),
        (with(json!({"fail_if": ["ttft.p95 >"]})), "fail_if: "),
        (with(json!({"pace": "often"})), "`often` is no pace"),
        (with(json!({"max_cost": "$1"})), "has no price"),
        (with(json!({"judge": "?x=1"})), "names no model"),
        (
            with(json!({"sweep": {"rates": ["1/s"], "requests": 1_000_000}})),
            "more repeats than 65535",
        ),
    ] {
        let answer = rig.ask("POST", "/api/replays", Some(&body)).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let dry = rig.ask("POST", "/api/replays", Some(&with(json!({"dry_run": true})))).await;
    assert_eq!((dry.status, &dry.json()["estimate"][0]["requests"]), (200, &json!(2)));
    for (id, status) in [("nonsense", 400), ("019400d0-0000-7000-8000-000000000000", 404)] {
        assert_eq!(rig.ask("DELETE", &format!("/api/runs/{id}"), None).await.status, status);
    }
    assert_eq!(rig.upstream.got().len(), 2, "the recorded calls alone");
}

#[tokio::test]
async fn what_was_captured_without_bodies_says_so() {
    let rig = Rig::start_with("meta", 1, |_| vec![Step::Send(said("x"))]).await;
    let answer = rig.ask("POST", "/api/replays", Some(&plan(&["m"]))).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("captured without bodies"), "{}", answer.text());
}

#[tokio::test]
async fn dear_runs_want_a_yes_and_conditions_are_held() {
    let rig = Rig::start(2, |got| vec![Step::Send(said(&model(got)))]).await;
    let mut dear = plan(&["dear"]);
    dear["repeat"] = json!(500);
    let refused = rig.ask("POST", "/api/replays", Some(&dear)).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("estimated at about $2.25, over $1"), "{}", refused.text());
    assert_eq!(rig.upstream.got().len(), 2, "nothing was sent");
    dear["yes"] = json!(true);
    // A request costs $0.00225, and at worst $0.08317: 8192 tokens of output.
    dear["max_cost"] = json!("$0.10");
    dear["fail_if"] = json!(["errors > 50%", "cost > $0.001"]);
    let (_, report) = rig.run(&dear).await;
    assert_eq!(report["ended"], "max_cost", "{report}");
    let target = &report["targets"][0];
    let n = target["n"].as_f64().expect("a number");
    assert!(n > 1.0 && n < 10.0, "it stopped in time: {n}");
    let spent = target["cost_usd"].as_f64().expect("a cost");
    assert!((spent - n * 0.002_25).abs() < 1e-9, "{spent} of {n}");
    let outcomes: Vec<&Value> =
        report["gates"].as_array().expect("gates").iter().map(|gate| &gate["outcome"]).collect();
    assert_eq!(outcomes, ["pass", "fail"], "{report}");
    let cost = format!("pinhole_replay_cost_usd_total{{target=\"dear\"}} {spent}");
    rig.metric(&cost).await;
}

#[tokio::test]
async fn a_server_that_knows_how_is_made_to_write_as_much_as_was_recorded() {
    let rig = Rig::start(1, |got| vec![Step::Send(said(&model(got)))]).await;
    let mut matched = plan(&["local/v", "m"]);
    matched["length"] = json!("matched");
    rig.run(&matched).await;
    let body = |name: &str| {
        let mut got = rig.upstream.got().into_iter();
        let got = got.find(|got| model(got) == name).expect("a request");
        serde_json::from_slice::<Value>(&got.body).expect("JSON")
    };
    let (forced, capped) = (body("v"), body("m"));
    assert_eq!((&forced["min_tokens"], &forced["ignore_eos"]), (&json!(100), &json!(true)));
    assert!(capped["min_tokens"].is_null() && capped["ignore_eos"].is_null(), "{capped}");
    let cap = |body: &Value| body["max_completion_tokens"].as_i64().or(body["max_tokens"].as_i64());
    assert_eq!((cap(&forced), cap(&capped)), (Some(100), Some(100)));
}

#[tokio::test]
async fn a_gateway_that_drains_ends_its_run_with_a_report() {
    let rig = Rig::start(3, |got| match model(got).as_str() {
        "slow" if !got.text().contains("question 0") => vec![Step::Hold],
        own => vec![Step::Send(said(own))],
    })
    .await;
    let begun = rig.ask("POST", "/api/replays", Some(&plan(&["slow"]))).await.json();
    let id = begun["run_id"].as_str().expect("an id").to_owned();
    rig.wait("progress", &format!("/api/runs/{id}"), |run| run["progress"]["done"] == 1).await;
    let Rig { folder, serving, .. } = rig;
    serving.end();
    let kept = folder.path().join("kept/runs").join(&id).with_extension("json");
    let report: Value =
        serde_json::from_slice(&std::fs::read(kept).expect("a report")).expect("JSON");
    assert_eq!((&report["ended"], &report["targets"][0]["n"]), (&json!("interrupted"), &json!(1)));
}

#[tokio::test]
async fn a_sweep_stops_at_the_rate_that_is_too_much() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let sent = AtomicUsize::new(0);
    let rig = Rig::start(5, move |got| {
        if model(got) != "m" {
            return vec![Step::Send(said("recorded"))];
        }
        // From the second rate on every other request is refused.
        let number = sent.fetch_add(1, Ordering::SeqCst);
        if number >= 12 && number.is_multiple_of(2) {
            return vec![Step::Send(answer(429, &[], r#"{"error":{"message":"slow down"}}"#))];
        }
        vec![Step::Send(said("fine"))]
    })
    .await;
    let mut sweep = plan(&["m"]);
    sweep["sweep"] =
        json!({"rates": ["100/s", "200/s", "400/s"], "requests": 12, "stop": {"lag_ms": 60_000}});
    let (begun, report) = rig.run(&sweep).await;
    assert_eq!(begun["estimate"][0]["requests"], 36, "{begun}");
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 2, "the third rate was not tried: {steps:?}");
    let step = |at: usize| (&steps[at]["rate_per_s"], &steps[at]["n"], &steps[at]["errors"]);
    assert_eq!(step(0), (&json!(100.0), &json!(12), &json!(0.0)));
    assert_eq!(step(1), (&json!(200.0), &json!(12), &json!(0.5)));
    assert!(steps[0]["stopped"].is_null() && steps[0]["per_s"].as_f64() > Some(0.0), "{steps:?}");
    let why = steps[1]["stopped"].as_str().expect("a reason");
    assert_eq!(why, "at 200/s 50.0 % of the answers are errors, over 5 %");
    assert_eq!((&report["ended"], &report["targets"][0]["n"]), (&json!("whole"), &json!(24)));
}

#[tokio::test]
async fn a_judge_is_asked_in_both_orders_and_decides_only_when_it_agrees_with_itself() {
    let rig = Rig::start(3, |got| {
        let text = got.text();
        let reply = match model(got).as_str() {
            // Prefers the answer of `good`, wherever it stands; on the third question whatever stands first, and the
            // second question it does not answer at all.
            "judge" if text.contains("question 1") => "I would rather not say.".to_owned(),
            "judge" if text.contains("question 2") => "VERDICT: A".to_owned(),
            "judge" => {
                let is_first = text.find("the good answer") < text.find("the old answer");
                format!("Clear.\nVERDICT: {}", if is_first { "A" } else { "B" })
            }
            "good" => "the good answer".to_owned(),
            _ => "the old answer".to_owned(),
        };
        vec![Step::Send(said(&reply))]
    })
    .await;
    let mut judged = plan(&["good"]);
    judged["judge"] = json!("judge?temperature=0");
    let (begun, report) = rig.run(&judged).await;
    assert_eq!(begun["estimate"][1]["target"], "judge?temperature=0 (judge)", "{begun}");
    let answers = &report["targets"][0]["answers"];
    assert_eq!(answers["judged"], json!([1, 0, 1]), "{report}");
    let judge = &report["judge"];
    assert_eq!(judge["target"], "judge?temperature=0");
    assert_eq!((&judge["asked"], &judge["failed"]), (&json!(6), &json!(2)));
    assert_eq!(judge["inconsistent"], 1);
    assert_eq!(report["targets"][0]["n"], 3, "its questions are no requests of the target");
    rig.metric("pinhole_replay_requests_total{target=\"judge\",result=\"ok\"} 6").await;
    let asked: Vec<Value> = rig
        .upstream
        .got()
        .iter()
        .filter(|got| model(got) == "judge")
        .map(|got| serde_json::from_slice(&got.body).expect("JSON"))
        .collect();
    assert_eq!(asked.len(), 6);
    for body in &asked {
        assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(2000), &json!(0)));
        let user = body["messages"][1]["content"].as_str().expect("a question");
        assert!(user.contains("user: question"), "{user}");
    }
    let id = begun["run_id"].as_str().expect("an id");
    rig.wait("captured questions", &format!("/api/exchanges?where=run%3A{id}"), |page| {
        page["exchanges"].as_array().map(Vec::len) == Some(9)
    })
    .await;
}

#[tokio::test]
async fn a_judge_that_fails_is_counted_and_ends_nothing() {
    let rig = Rig::start(2, |got| match model(got).as_str() {
        "judge" => vec![Step::Send(answer(500, &[], r#"{"error":{"message":"down"}}"#))],
        own => vec![Step::Send(said(own))],
    })
    .await;
    let mut judged = plan(&["m"]);
    judged["judge"] = json!("judge");
    let (_, report) = rig.run(&judged).await;
    assert_eq!((&report["ended"], &report["targets"][0]["errors"]), (&json!("whole"), &json!(0)));
    assert_eq!((&report["judge"]["asked"], &report["judge"]["failed"]), (&json!(4), &json!(4)));
    assert_eq!(report["targets"][0]["answers"]["judged"], Value::Null);
}
