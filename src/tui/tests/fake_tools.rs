//! What the made-up gateway tells of tools, agents, providers and keys.

use serde_json::{Value, json};

use super::fake::NOW_US;

pub(super) fn calls() -> Value {
    let series = |of: i64| (0..24).map(|at| (at * of) % 11).collect::<Vec<i64>>();
    let tool = |name: &str, n: i64, failed: i64, repeated: i64, invalid: i64| {
        json!({
            "name": name, "exchanges": n, "failed": failed, "repeated": repeated, "invalid": invalid, "sessions": n / 9 + 1,
            "last_us": NOW_US - n * 1_000_000, "series": series(n),
        })
    };
    let agent = |name: &str, n: i64, errors: i64| {
        json!({
            "name": name, "exchanges": n, "errors": errors, "sessions": n / 12 + 1, "calling": n / 2, "input_tokens": n * 9_000,
            "output_tokens": n * 130, "cache_read_tokens": n * 6_800, "cost_nanousd": n * 2_100_000, "duration_p50_us": 4_100_000,
            "last_us": NOW_US - n * 3_000_000, "series": series(n + 3),
        })
    };
    json!({
        "from_us": NOW_US - 3_600_000_000i64, "until_us": NOW_US, "past": false, "cut": false, "step_us": 150_000_000,
        "tools": [
            tool("Bash", 412, 31, 4, 0), tool("Read", 390, 2, 12, 0), tool("mcp__search__搜索", 44, 0, 0, 5),
            tool("apply_patch", 17, 9, 1, 0),
        ],
        "agents": [agent("claude-code", 1_100, 12), agent("codex", 204, 0), agent("", 3, 3)],
    })
}

pub(super) fn providers() -> Value {
    let price = |input: &str, output: &str, cache: Option<&str>| json!({ "input": input, "output": output, "cache_read": cache, "basis": "openai/gpt-5-mini" });
    json!({ "providers": [
        {
            "id": "anthropic", "name": "Anthropic", "baseurl": "https://api.anthropic.com/", "disabled": false, "keys": ["key-1"],
            "models": ["claude-opus-4-1"], "discovery": "ok", "prices": { "claude-opus-4-1": price("15", "75", Some("1.50")) },
        },
        {
            "id": "openai", "name": "OpenAI", "baseurl": "https://api.openai.com/v1", "disabled": false, "keys": ["main", "spare"],
            "models": ["gpt-5-mini", "gpt-5"], "discovery": { "failed": "the provider answered 401" },
            "prices": { "gpt-5-mini": price("0.25", "2", Some("0.025")), "gpt-5": price("1.25", "10", None) },
        },
        {
            "id": "old", "name": "old", "baseurl": "http://10.0.0.9:8000/v1", "disabled": true, "keys": [], "models": [],
            "discovery": null, "prices": {},
        },
    ] })
}

pub(super) fn keys() -> Value {
    let key = |label: Option<&str>, n: i64| {
        json!({
            "key": label, "requests": n, "errors": n / 40, "input_tokens": n * 9_000, "output_tokens": n * 130,
            "cache_read_tokens": n * 4_000, "cost_nanousd": n * 2_000_000, "tool_calls": n / 3, "duration_p50_us": 3_900_000,
            "duration_p95_us": 31_000_000,
        })
    };
    json!({ "groups": [key(Some("team-search"), 700), key(Some("ci"), 204), key(None, 41)], "others": null })
}
