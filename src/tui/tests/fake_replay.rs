//! Runs of replays made up: one on its way, one that came to something, one that was broken off; targets and prices.

use std::collections::BTreeMap;

use pinhole_replay::report::{Answers, Comparison, Plan, Report, Summary, Target, Verdict};
use serde_json::{Value, json};

use super::fake::NOW_US;
use crate::tui::ask::{Answer, Result, Trouble};

/// The one that is being sent.
pub(super) const GOING: &str = "01a1f900-0000-7000-8000-000000000003";
/// The one with a report.
pub(super) const WHOLE: &str = "01a1f8aa-0000-7000-8000-000000000002";
/// The one without.
const BROKEN: &str = "01a1f7aa-0000-7000-8000-000000000001";

pub(super) fn get(path: &str) -> Result<Value> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["runs"] => Ok(json!({ "runs": [
            going(),
            {
                "run_id": WHOLE, "state": "whole", "started_at_us": NOW_US - 86_400_000_000_i64,
                "duration_us": 8_926_220, "from": "since:1d model:gpt-5*", "pace": "closed 4",
                "recordings": 48, "baseline": "openai/gpt-5",
                "targets": [
                    { "target": "local/日本語-llama", "n": 48, "errors": 1, "cost_usd": 0.0,
                      "verdicts": { "ttft": "slower", "cost": "faster" } },
                    { "target": "openai/gpt-5", "n": 48, "errors": 0, "cost_usd": 0.1234, "verdicts": {} },
                ],
            },
            { "run_id": BROKEN, "state": "unfinished", "recordings": 7, "targets": ["openai/gpt-5-mini"] },
        ]})),
        ["runs", GOING] => Ok(going()),
        ["runs", WHOLE] => Ok(serde_json::to_value(report()).unwrap()),
        ["runs", WHOLE, "pairs"] => Ok(pairs(query)),
        ["runs", BROKEN, ..] => {
            let detail = "the run has no report yet: it is being sent, or it was broken off and can be resumed";
            Err(Trouble::Refused { status: 409, detail: detail.to_owned() })
        }
        ["targets"] => Ok(json!({ "targets": [
            target("anthropic/claude-opus-4-1", Some((15.0, 75.0))),
            target("openai/gpt-5", Some((1.25, 10.0))),
            target("openai/gpt-5-mini", Some((0.25, 2.0))),
            target("local/日本語-llama", None),
            { "target": "router/*", "pattern": true, "usd_per_million": null },
        ]})),
        _ => Err(Trouble::Refused { status: 404, detail: format!("there is no /api/{path}") }),
    }
}

/// What changes something.
pub(super) fn done(path: &str, body: Option<&Value>) -> Result<Answer> {
    if path != "replays" {
        return Ok(Answer::Done);
    }
    let body = body.unwrap();
    let to: Vec<&str> = body["to"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    if let Some(target) = to.iter().find(|target| target.contains("nobody")) {
        let detail =
            format!("the target `{target}` cannot be sent these recordings: no provider serves it");
        return Err(Trouble::Refused { status: 400, detail });
    }
    let estimate: Vec<Value> = to
        .iter()
        .map(|target| {
            let price = if target.starts_with("local") { Value::Null } else { json!(12_345_678) };
            json!({
                "target": target, "requests": 12, "input_tokens": 34_567, "output_tokens": 1_200,
                "cost_nanousd": price, "worst_nanousd": price, "guessed": 0,
            })
        })
        .collect();
    Ok(Answer::Json(json!({
        "run_id": GOING, "recordings": 12, "pace": body["pace"],
        "left_out": { "the request's body was not kept": 3 },
        "targets": [], "estimate": estimate,
    })))
}

fn target(name: &str, prices: Option<(f64, f64)>) -> Value {
    let prices = prices.map(|(input, output)| json!({ "input": input, "output": output }));
    json!({ "target": name, "pattern": false, "usd_per_million": prices })
}

fn going() -> Value {
    json!({
        "run_id": GOING, "state": "running", "recordings": 24,
        "targets": ["openai/gpt-5-mini", "local/日本語-llama"],
        "progress": {
            "planned": 48, "sent": 20, "done": 16, "errors": 2, "in_flight": 4,
            "spent_usd": 0.0456, "elapsed_s": 12.5, "per_s": 1.28, "left_s": 25.0,
        },
    })
}

fn pairs(query: &str) -> Value {
    let sort = query.split('&').find_map(|part| part.strip_prefix("sort=")).unwrap_or("ttft");
    let rows: Vec<Value> = (0..60)
        .map(|at| {
            let (lost, ratio) = (at == 0, 3.0 - f64::from(at) * 0.05);
            json!({
                "pair": at, "repeat": 0, "of": format!("019aa1c2-{at:04x}-7c3e-9a40-3f0b6c1d2e5f"),
                "session": format!("session-{}", at % 7), "target": "local/日本語-llama", "number": 1,
                "baseline_id": format!("base-{at}"), "target_id": format!("new-{at}"), "status": 200,
                "error": lost.then_some("overloaded"), "baseline_error": null,
                "baseline": 0.4, "value": (!lost).then_some(0.4 * ratio),
                "ratio": (!lost).then_some(ratio), "difference": if lost { 1.0 } else { 0.25 },
                "why": if lost { "error: overloaded" } else { "other words\u{1b}[31m" },
            })
        })
        .collect();
    json!({ "run_id": WHOLE, "sort": sort, "count": 60, "pairs": rows })
}

fn report() -> Report {
    let summary = |p50: f64| Summary {
        n: 48,
        mean: p50,
        p50,
        p90: Some(p50 * 1.4),
        p95: Some(p50 * 1.6),
        min: p50 / 2.0,
        max: p50 * 2.0,
        ..Summary::default()
    };
    let metrics = |times: f64| {
        let all = [("ttft", 0.4 * times), ("e2e", 2.0 * times), ("speed", 50.0 / times)];
        all.map(|(name, p50)| (name.to_owned(), summary(p50)))
            .into_iter()
            .collect::<BTreeMap<_, _>>()
    };
    let one = |metric: &str, ratio: f64, verdict, mde| Comparison {
        metric: metric.to_owned(),
        ratio,
        ci95: [ratio * 0.93, ratio * 1.07],
        n: 47,
        sessions: 12,
        resampled_by: "session".to_owned(),
        mde: Some(mde),
        verdict,
        ..Comparison::default()
    };
    let baseline = Target {
        target: "openai/gpt-5".to_owned(),
        number: Some(0),
        n: 48,
        cost_usd: Some(0.1234),
        metrics: metrics(1.0),
        ..Target::default()
    };
    let local = Target {
        target: "local/日本語-llama".to_owned(),
        number: Some(1),
        n: 48,
        errors: 1,
        errors_by_kind: BTreeMap::from([("overloaded".to_owned(), 1)]),
        unpriced: 48,
        metrics: metrics(1.4),
        comparisons: vec![
            one("e2e", 1.02, Verdict::Undecided, 1.12),
            one("ttft", 1.41, Verdict::Slower, 1.08),
            one("speed", 1.22, Verdict::Faster, 1.09),
        ],
        answers: Some(Answers {
            n: 47,
            exact: 0.1,
            normalised: 0.25,
            same_finish: 0.96,
            length_ratio: Some(1.3),
            ..Answers::default()
        }),
        ..Target::default()
    };
    Report {
        schema: 1,
        run_id: WHOLE.to_owned(),
        started_at_us: NOW_US - 86_400_000_000,
        duration_us: 8_926_220,
        ended: "whole".to_owned(),
        baseline: "openai/gpt-5".to_owned(),
        interleaved: true,
        plan: Plan {
            from: "since:1d model:gpt-5*".to_owned(),
            pace: "closed 4".to_owned(),
            context: "verbatim".to_owned(),
            cache: "as-is".to_owned(),
            repeat: 1,
            margin: 0.05,
            ..Plan::default()
        },
        recordings: 48,
        sessions: 12,
        targets: vec![baseline, local],
        notes: vec!["the schedule was kept".to_owned()],
        ..Report::default()
    }
}
