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
        .current_dir(folder.path())
        .output()
        .expect("the demo runs")
}

#[test]
fn the_demo_adds_up() {
    let output = demo(&["--headless", "--seconds", "5"], "C.UTF-8");
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
        "keeps nothing on disk",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "wider than a terminal: {line}");
        assert!(!line.contains('\u{1b}'), "escape codes: {line}");
    }
}

#[test]
fn a_short_demo_in_ascii_says_what_it_left_out() {
    // Nothing could be written there, and nothing is to be.
    let output = demo(&["--seconds", "1", "--data-dir", "/dev/null/kept"], "C");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("stopped by --seconds 1"), "{text}");
    assert!(text.contains("/dev/null/kept was not touched"), "{text}");
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
