//! Records as an agent's calls make them.

use std::sync::Arc;

use pinhole::base::id::ExchangeId;
use pinhole::base::trace::TraceId;
use pinhole::exchange::level::Level;
use pinhole::exchange::outcome::Outcome;
use pinhole::exchange::signal::Signals;
use pinhole::neutral::usage::{Usage, UsageSource};
use pinhole::store::row::{AttemptRow, Row};

/// As an agent's call: a stream with tools, a session, a tag.
pub(crate) fn row(wall_us: u64, combination: u64, session: u64) -> Row {
    let model: Arc<str> = format!("model-{}-2026", combination % 15).into();
    Row {
        id: ExchangeId::new(wall_us).bytes(),
        started_at_us: signed(wall_us),
        session: Some(format!("019aa000-0000-7000-8000-{session:012}")),
        session_inferred: false,
        parent_session: None,
        dialect: "openai_chat".into(),
        operation: "chat".into(),
        model_requested: Some(model.to_string()),
        status: Some(200),
        outcome: Outcome::Complete,
        stream: true,
        queued_us: 0,
        ttft_us: Some(350_000 + signed(wall_us % 1_000) * 300),
        ttfo_us: Some(800_000),
        contents_us: Some(4_000_000),
        contents: 390,
        gaps_us: Some([9_000, 40_000, 120_000]),
        stalls: 0,
        duration_us: 5_000_000 + signed(wall_us % 1_000) * 3_000,
        overhead_us: 120,
        request_bytes: 64_000,
        response_bytes: 90_000,
        error_source: None,
        error_kind: None,
        error_detail: None,
        finish_reason: Some("tool_calls".to_owned()),
        tools: vec![("read_file".to_owned(), 1), ("shell".to_owned(), 1)],
        agent: ["claude-code", "codex"][(combination % 2) as usize].into(),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        client: Some("127.0.0.1:52044".parse().expect("an address")),
        key_label: Some(["ci", "team-search"][(combination / 15) as usize].into()),
        user_label: None,
        client_request_id: None,
        trace: TraceId::random(),
        cost_nanousd: Some(18_250_000),
        tags: vec![("team".to_owned(), format!("team-{}", combination % 8))],
        headers: Vec::new(),
        level: Level::Meta,
        flags: 0,
        signals: Signals::default(),
        duplicate_of: None,
        prefix_changed_at: None,
        policy: 0,
        head_written: false,
        run_id: None,
        replay_of: None,
        attempts: vec![attempt(combination, model)],
    }
}

fn attempt(combination: u64, model: Arc<str>) -> AttemptRow {
    let usage = Usage {
        input: Some(12_000 + combination),
        output: Some(400),
        cache_read: Some(10_000),
        reasoning: Some(128),
        ..Usage::default()
    };
    AttemptRow {
        provider: ["openai", "anthropic", "gemini"][(combination % 3) as usize].into(),
        model: Some(Arc::clone(&model)),
        model_label: model,
        key_label: Some("OPENAI_API_KEY".into()),
        because: "exact model id".into(),
        status: Some(200),
        error_source: None,
        error_kind: None,
        sent_us: 90,
        head_us: Some(300_000),
        ended_us: Some(5_000_000),
        link_us: None,
        peer: Some("104.18.7.192:443".to_owned()),
        http: "2".into(),
        tls: Some("1.3".into()),
        bytes: 90_000,
        upstream_request_id: Some("req_0123456789abcdef0123456789abcdef".to_owned()),
        response_id: Some("chatcmpl-0123456789abcdefghijklmnopqrs".to_owned()),
        response_model: Some("gpt-5-2026-08-07".to_owned()),
        service_tier: Some("default".to_owned()),
        usage,
        estimated: Usage::default(),
        usage_source: Some(UsageSource::Provider),
        partial: false,
        missing: false,
        cost_nanousd: Some(18_250_000),
        unpriced: false,
        price_basis: Some("openai/gpt-5".into()),
        price_version: Some("2026-11-20".into()),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a time")
}
