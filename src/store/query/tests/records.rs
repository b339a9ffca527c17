//! A store with some thousands of records of every kind, written as the gateway writes them.

use std::time::Duration;

use tempfile::TempDir;

use crate::base::id::ExchangeId;
use crate::base::trace::TraceId;
use crate::exchange::level::Level;
use crate::exchange::outcome::Outcome;
use crate::exchange::signal::{Signal, Signals};
use crate::neutral::usage::{Usage, UsageSource};
use crate::store::flags;
use crate::store::inbox::Limits;
use crate::store::row::{AttemptRow, Row};
use crate::store::writer::Writer;

/// 2026-11-20T12:00:00Z.
pub(super) const NOW: i64 = 1_795_176_000_000_000;
/// More than two blocks of the skip index.
pub(super) const ROWS: u64 = 2_600;

/// A store in a folder of its own; rows are `row(0)`, `row(1)`, ….
pub(super) fn store(rows: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(folder.path(), Limits::default()).unwrap();
    let all: Vec<Row> = (0..rows).map(row).collect();
    for some in all.chunks(200) {
        writer.handle().put(some.to_vec());
        assert!(writer.handle().flush(Duration::from_secs(20)));
    }
    writer.stop();
    folder
}

/// The record of this number: fields change at different paces, some are rare, some missing.
pub(super) fn row(n: u64) -> Row {
    let rare = n % 1_201 == 7;
    let wall_us = u64::try_from(NOW).unwrap() - (ROWS - n.min(ROWS)) * 7_000_000;
    let failed = n.is_multiple_of(37);
    let rejected = n % 53 == 1;
    let mut row = plain(wall_us);
    row.session = (!n.is_multiple_of(5)).then(|| format!("s-{}", n / 20));
    row.parent_session = (n / 20 % 4 == 1).then(|| format!("s-{}", n / 20 - 1));
    row.session_inferred = (n / 20).is_multiple_of(3);
    row.dialect = ["openai_chat", "anthropic", "gemini"][(n % 3) as usize].into();
    row.operation = if n.is_multiple_of(11) { "embeddings" } else { "chat" }.into();
    row.model_requested = (n % 97 != 3).then(|| format!("alias-{}", n % 4));
    row.status = match (failed, rejected) {
        (true, _) => Some(500 + (n % 4) as u16),
        (_, true) => Some(404),
        _ if n.is_multiple_of(71) => None,
        _ => Some(200),
    };
    if failed {
        row.outcome = Outcome::UpstreamError;
    } else {
        row.outcome = if rejected { Outcome::Rejected } else { Outcome::Complete };
    }
    row.stream = n.is_multiple_of(2);
    row.ttft_us = (!n.is_multiple_of(3)).then_some(signed(n * 1_000 % 4_000_000));
    row.duration_us = signed(n * 7_919 % 30_000_000);
    row.gaps_us = (n.is_multiple_of(4)).then_some([1_000, 20_000, signed(n * 13_007 % 9_000_000)]);
    row.error_source =
        failed.then_some("upstream").or(rejected.then_some("client")).map(Into::into);
    row.error_kind =
        failed.then_some("overloaded").or(rejected.then_some("model_not_found")).map(Into::into);
    row.error_detail = failed.then(|| format!("the Provider said {n}: try later"));
    row.finish_reason =
        (!failed).then(|| if n.is_multiple_of(9) { "length" } else { "stop" }.to_owned());
    row.tools = match n % 6 {
        0 => vec![("read_file".to_owned(), 1), ("shell".to_owned(), 2)],
        1 => vec![(format!("tool-{n}"), 1)],
        _ => Vec::new(),
    };
    row.agent = ["claude-code", "codex", "none"][(n % 3) as usize].into();
    row.path = if n.is_multiple_of(13) {
        format!("/v1/files/{n}")
    } else {
        "/v1/chat/completions".to_owned()
    };
    row.client = (!n.is_multiple_of(8)).then(|| "10.0.0.7:5000".parse().unwrap());
    row.key_label = (n % 2 == 1).then(|| "ci".into());
    row.user_label = rare.then(|| "Eve".to_owned());
    row.client_request_id = (n.is_multiple_of(10)).then(|| format!("req-{n}"));
    row.cost_nanousd = (!n.is_multiple_of(7)).then_some(signed(n) * 100_000);
    mark(&mut row, n, rare);
    row.attempts =
        if rejected { Vec::new() } else { (0..=n % 3 / 2).map(|_| attempt(n)).collect() };
    row
}

/// What is said of it beside what happened.
fn mark(row: &mut Row, n: u64, rare: bool) {
    row.tags = match n % 5 {
        0 => vec![("team".to_owned(), "search".to_owned())],
        1 => {
            vec![("team".to_owned(), format!("t{}", n % 300)), ("a b".to_owned(), "c=d".to_owned())]
        }
        _ => Vec::new(),
    };
    row.headers =
        if n % 100 == 4 { vec![("x-team".to_owned(), "blue".to_owned())] } else { vec![] };
    row.level = [Level::Meta, Level::Full, Level::Headers][(n / 500 % 3) as usize];
    row.flags = if rare { flags::PINNED } else { 0 }
        | if n.is_multiple_of(3) { flags::REPLAYABLE } else { 0 };
    row.signals = Signals::default();
    for (signal, has) in [(Signal::Stall, rare), (Signal::Truncated, n.is_multiple_of(50))] {
        if has {
            row.signals.add(signal);
        }
    }
    if n % 400 < 20 && n > 400 {
        row.run_id = Some(ExchangeId::from_bytes([7; 16]).bytes());
        row.replay_of = Some(ExchangeId::new(n).bytes());
    }
}

fn attempt(n: u64) -> AttemptRow {
    let mut attempt = AttemptRow { ..blank() };
    attempt.provider = ["openai", "anthropic", "Local"][(n % 3) as usize].into();
    attempt.model = Some(["gpt-5", "gpt-5-mini", "claude-4"][(n % 3) as usize].into());
    attempt.status = (!n.is_multiple_of(37)).then_some(200);
    attempt.usage = Usage {
        input: Some(n * 31 % 40_000),
        output: (!n.is_multiple_of(4)).then_some(n % 500),
        cache_read: (n % 4 == 2).then_some(n % 3),
        ..Usage::default()
    };
    attempt.usage_source = Some(UsageSource::Provider);
    attempt.upstream_request_id = Some(format!("up_{n}"));
    attempt
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

fn plain(wall_us: u64) -> Row {
    let mut row = Row::of(&crate::exchange::fixture::exchange());
    row.id = ExchangeId::new(wall_us).bytes();
    row.started_at_us = signed(wall_us);
    row.trace = TraceId::random();
    row
}

fn blank() -> AttemptRow {
    let row = Row::of(&crate::exchange::fixture::exchange());
    row.attempts.first().cloned().unwrap()
}
