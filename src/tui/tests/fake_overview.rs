//! What the made-up gateway tells of itself: traffic of an hour, a slow model, failures, signals, two exchanges that run.

use serde_json::{Value, json};

use super::fake::NOW_US;

pub(super) const FAILED: &str = "019aa1c2-0f00-7c3e-9a40-3f0b6c1d2e5f";

fn sums(n: i64, errors: i64, ttft_ms: i64) -> Value {
    json!({
        "exchanges": n, "errors": errors, "input_tokens": n * 1_200, "output_tokens": n * 87, "cache_read_tokens": n * 700,
        "cost_nanousd": n * 1_730_000, "ttft_p50_us": ttft_ms * 1_000, "ttft_p95_us": ttft_ms * 2_400,
        "duration_p50_us": ttft_ms * 6_000, "duration_p95_us": ttft_ms * 31_000,
    })
}

fn group(name: &str, n: i64, errors: i64, ttft_ms: i64, slowest: bool) -> Value {
    let mut group = sums(n, errors, ttft_ms);
    group["name"] = name.into();
    group["slowest"] = slowest.into();
    group
}

pub(super) fn gateway() -> Value {
    json!({
        "in_flight": 2, "not_logged": 0, "held_bytes": 81_920,
        "capture": { "level": "full", "most": "full", "configured": "meta", "switched": true, "until_us": NOW_US + 600_000_000, "store": true },
        "store": {
            "stored": 48_213, "dropped": 0, "failed": 0, "queued": 12, "queued_bytes": 81_920, "bodies_shed": 31, "bodies_failed": 0,
            "bodies_cut": 2, "failing": false, "disk_full": false,
        },
        "warnings": [],
        "providers": [
            { "id": "anthropic", "up": true, "in_flight": 2.0, "limit_requests": 50.0, "remaining_requests": 7.0,
              "limit_tokens": 400_000.0, "remaining_tokens": 311_000.0, "keys_down": [] },
            { "id": "openai", "up": false, "in_flight": 0.0, "keys_down": ["spare"] },
            { "id": "local", "up": true, "in_flight": 0.0, "keys_down": [] },
        ],
    })
}

pub(super) fn overview(path: &str) -> Value {
    if path.contains("seq=") {
        return json!({ "seq": 400, "unchanged": true, "gateway": gateway() });
    }
    let steps =
        path.split("steps=").nth(1).and_then(|rest| rest.split('&').next()?.parse::<i64>().ok());
    let steps = steps.unwrap_or(60);
    let wave = |at: i64| (at * at * 7 + at * 13) % 29;
    let series = |scale: i64| (0..steps).map(|at| wave(at) * scale).collect::<Vec<i64>>();
    let errors: Vec<i64> = (0..steps).map(|at| i64::from(wave(at) == 3)).collect();
    let failure = |n: u8,
                   model: Option<&str>,
                   status: Option<u16>,
                   kind: &str,
                   detail: Option<&str>| {
        json!({
            "id": format!("{}{n}", &FAILED[..FAILED.len() - 1]), "started_at_us": NOW_US - i64::from(n) * 97_000_000, "model": model,
            "provider": "anthropic", "outcome": "upstream_error", "status": status, "error_kind": kind, "error_detail": detail,
        })
    };
    json!({
        "seq": 400, "gateway": gateway(), "from_us": NOW_US - 3_600_000_000i64, "until_us": NOW_US, "past": false, "cut": false,
        "total": sums(1_874, 23, 410),
        "series": {
            "step_us": 3_600_000_000i64 / steps, "exchanges": series(3), "errors": errors, "output_tokens": series(261),
            "cost_nanousd": series(5_190_000),
        },
        "models": [
            group("claude-opus-4-1", 1_204, 19, 730, true), group("gpt-5-mini", 611, 3, 280, false),
            group("qwen3:32b", 52, 0, 190, false), group("日本語モデル", 6, 0, 205, false), group("", 1, 1, 1, false),
        ],
        "providers": [group("anthropic", 1_204, 19, 730, false), group("openai", 611, 3, 280, false), group("local", 58, 0, 190, false)],
        "failures": [
            failure(1, Some("claude-opus-4-1"), Some(529), "upstream_overloaded", Some("Overloaded")),
            failure(2, Some("gpt-5-mini"), Some(429), "upstream_rate_limit", Some("Rate limit reached for gpt-5-mini: Limit 500, Used 500")),
            failure(3, None, Some(401), "invalid_api_key", None),
            failure(4, Some("claude-opus-4-1"), Some(200), "upstream_reset", Some("the stream broke\nafter 41.2 KiB \u{1b}[31m")),
            failure(5, Some("日本語モデル"), None, "upstream_connect", Some("connection refused")),
        ],
        "signals": [
            { "signal": "truncated", "exchanges": 31 }, { "signal": "prefix_changed", "exchanges": 9 },
            { "signal": "repeated_call", "exchanges": 4 }, { "signal": "stall", "exchanges": 1 },
        ],
    })
}

pub(super) fn live() -> Value {
    let one = |n: u8, phase: &str, age_us: i64, frames: i64| {
        json!({
            "id": format!("019aa1c2-0e0{n}-7c3e-9a40-3f0b6c1d2e5f"), "age_us": age_us, "phase": phase,
            "model_requested": "claude-opus-4-1", "provider": "anthropic", "agent": "claude-code", "session_id": "fix-login-test",
            "frames": frames, "quiet_us": (frames > 0).then_some(41_000),
        })
    };
    json!({ "exchanges": [one(1, "answering", 41_300_000, 712), one(2, "waiting", 1_200_000, 0)] })
}
