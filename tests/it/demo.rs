//! The demo as a test of the whole: it exits with 0 only when calls, records and providers' logs agree.

use std::process::{Command, Output};

/// Runs the demo away from the repository, so that no configuration file is near, in the given locale.
fn demo(arguments: &[&str], locale: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_pinhole"))
        .arg("demo")
        .args(arguments)
        .env_remove("LC_CTYPE")
        .env("LC_ALL", locale)
        // Neither keys nor a proxy of the machine may reach it.
        .env("OPENAI_API_KEY", "sk-not-for-the-demo")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        // What it keeps goes with the folder.
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output()
        .expect("the demo runs")
}

#[test]
fn the_demo_adds_up() {
    let output = demo(&["--headless", "--seconds", "30"], "C.UTF-8");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{talk}");
    assert!(talk.is_empty(), "no terminal, no progress: {talk}");
    for part in [
        "openai_chat",
        "openai_responses",
        "openai_embeddings",
        "anthropic",
        "gemini",
        "tokens in",
        "ttft p50",
        "fake/slow answers its first token",
        "upstream_rate_limit",
        "upstream_server_error",
        "upstream_reset",
        "model_not_found",
        "did you mean fake/fast",
        "invalid_api_key",
        "client_cancelled",
        "exchanges recorded: each once",
        "byte for byte",
        "OPENAI_API_KEY=... pinhole serve",
        "what it cost, at made-up prices",
        "in 5 dialects: tokens as their clients were told",
        "estimated, marked, summed apart",
        "records, /metrics and the store agree, by model",
        "7 failing calls, each diagnosed from the store as what was done to it",
        "nobody told the usage",
        "pinhole usage --data-dir",
        "replayed requests: each stored under its run",
        "demo-replay.html",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    // The identical pair and the planted difference, each by its verdict.
    for (target, verdict) in [("fake/fast, again", "same"), ("fake/slow", "slower")] {
        let line = text.lines().find(|line| line.contains(target) && line.contains(" ttft "));
        let line = line.unwrap_or_else(|| panic!("no {target} in:\n{text}"));
        assert!(line.ends_with(verdict), "{line}\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "wider than a terminal: {line}");
        assert!(!line.contains('\u{1b}'), "escape codes: {line}");
    }
}

#[test]
fn a_short_demo_in_ascii_says_what_it_left_out() {
    let output = demo(&["--seconds", "1", "--data-dir", "kept"], "C");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("stopped by --seconds 1"), "{text}");
    assert!(text.contains("there was too little time for it"), "{text}");
    assert!(text.contains("pinhole usage --data-dir kept --by model"), "{text}");
}

#[test]
fn what_the_demo_kept_can_be_looked_at_and_added_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let of = |text: &str| {
        let line = text.lines().find(|line| line.contains("tokens, $")).expect("a sum").to_owned();
        let cost = line.split(['$', ':']).nth(1).expect("a cost");
        cost.parse::<f64>().expect("a number")
    };
    let mut costs = 0.0;
    for _ in 0..2 {
        let output = demo(&["--headless", "--seconds", "1", "--data-dir", place], "C");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0), "{text}");
        costs += of(&text);
    }
    let usage = Command::new(env!("CARGO_BIN_EXE_pinhole"))
        .args(["usage", "--json", "--by", "model", "--data-dir", place])
        .output()
        .expect("the report");
    let text = String::from_utf8(usage.stdout).expect("UTF-8");
    let total = text.lines().last().expect("a total");
    let total: serde_json::Value = serde_json::from_str(total).expect("JSON");
    let cost = total["cost_usd"].as_f64().expect("a cost");
    assert!(cost > 0.0 && (cost - costs).abs() < 0.000_002, "{cost} is not {costs}");
}

/// What `diagnose` says of the demo's failing calls, in its own words: class, place and who can act.
#[test]
fn the_failing_calls_of_the_demo_are_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let output = demo(&["--headless", "--seconds", "15", "--data-dir", place], "C");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let diagnosed = |more: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pinhole"));
        program.args(["captures", "diagnose", "--data-dir", place]).args(more);
        let output = program.output().expect("the diagnosis");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = diagnosed(&[]);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "7 findings in 7 groups",
        "Provider flaky holds fake/flaky back: its limit of requests is used up (requests: 0 of 10,000 left); \
         it says to wait 1 s. \
         rate_limit (requests) · where: provider · who can act: provider · certain",
        "stayed silent for 2.5",
        "idle_timeout · where: provider · who can act: provider · certain",
        "the connection was closed before the end. cut_stream (without_usage) · where: provider",
        "client_cancelled · where: client · who can act: client · certain",
        "(401 invalid_api_key): the key is not one of this gateway's. gateway_refusal (invalid_api_key) · \
         where: gateway · who can act: client · certain",
        "(404 model_not_found): no configured provider serves the model fake/fats. gateway_refusal \
         (model_not_found) · where: gateway · who can act: client · certain",
        "A page came back instead of an answer of provider flaky (500)",
        "invalid_answer (html) · where: provider · who can act: gateway · certain",
    ] {
        assert!(flat.contains(line), "{line:?} is missing in:\n{text}");
    }
    // Each group's example, by itself, comes to the same verdict.
    for line in diagnosed(&["--json"]).lines() {
        let group: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let id = group["example"]["id"].as_str().expect("an id");
        if group["class"] == "rate_limit" {
            let evidence = group["example"]["evidence"].to_string();
            assert!(evidence.contains("x-ratelimit-remaining-requests: 0"), "{evidence}");
        }
        let alone: serde_json::Value =
            serde_json::from_str(&diagnosed(&[id, "--json"])).expect("JSON");
        assert_eq!(alone["verdict"], group["example"]["verdict"], "{id}");
        assert!(alone["advice"].as_array().is_some_and(|advice| !advice.is_empty()), "{alone}");
    }
}

#[test]
fn a_folder_that_cannot_be_is_refused() {
    let output = demo(&["--seconds", "1", "--data-dir", "/dev/null/kept"], "C");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("/dev/null/kept"), "{talk}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_time_without_limits_is_refused() {
    for seconds in ["0", "3601", "18446744073709551615", "-1", "soon"] {
        let output = demo(&["--headless", &format!("--seconds={seconds}")], "C");
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{seconds}: {talk}");
        assert!(output.stdout.is_empty(), "{seconds}");
        assert!(talk.contains("--seconds"), "{seconds}: {talk}");
        let is_number = seconds.parse::<u64>().is_ok();
        assert_eq!(talk.contains("1..=3600"), is_number, "{talk}");
    }
}
