//! The store as a whole: rows in, the public view and the reports out, and what becomes of it when the disk fails.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use http::StatusCode;
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::base::money::Nanodollars;
use crate::exchange::attempt::Link;
use crate::exchange::outcome::Outcome;
use crate::exchange::summary::{Account, Cost, Tally};
use crate::exchange::{Blame, Exchange, fixture};
use crate::neutral::failure::Source;
use crate::neutral::reading::{Reading, ToolCalls};
use crate::neutral::usage::{Usage, UsageSource};
use crate::price::book::Book;
use crate::price::catalog::Catalog;
use crate::price::lists::Lists;
use crate::store::awaited::{AWAITED_MAX, Awaited};
use crate::store::db;
use crate::store::detail::{Detail, Part, Tried};
use crate::store::expire::Bounds;
use crate::store::inbox::{Handle, Limits};
use crate::store::late::Late;
use crate::store::listing;
use crate::store::query::Query;
use crate::store::query::page::Page;
use crate::store::reader::Reader;
use crate::store::reprice::{self, Change, Changes};
use crate::store::retention;
use crate::store::rollup::Measure;
use crate::store::row::Row;
use crate::store::usage::{Ask, By, Line, Report};
use crate::store::words::Lexicon;
use crate::store::writer::Writer;

/// 2025-11-20T08:00:00Z.
pub(super) const BASE_US: u64 = 1_763_625_600_000_000;
pub(super) const HOUR_US: u64 = 3_600_000_000;
pub(super) const LONG: Duration = Duration::from_secs(20);
const SHORT: &[Duration] = &[Duration::from_millis(1)];

pub(super) fn at(wall_us: u64) -> Exchange {
    let mut exchange = fixture::exchange();
    exchange.id = ExchangeId::new(wall_us);
    exchange.wall_us = wall_us;
    exchange.outcome = Outcome::Complete;
    exchange.ended_us = 10_000;
    exchange.summary.agent = "codex";
    exchange
}

pub(super) fn tally(input: u64, output: u64, cost: i64) -> Tally {
    let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
    Tally {
        usage: Some(usage),
        source: Some(UsageSource::Provider),
        cost: Some(Cost {
            amount: Nanodollars(cost),
            basis: "openai/gpt-5".into(),
            version: "2026-11-20".into(),
        }),
        ..Tally::default()
    }
}

pub(super) fn plain(n: u64) -> Row {
    let mut exchange = at(BASE_US + n * 1_000);
    exchange.summary.tallies = vec![tally(100, 10, 1_000)];
    exchange.summary.cost = Some(Nanodollars(1_000));
    Row::of(&exchange)
}

pub(super) fn writer(folder: &TempDir) -> Writer {
    writer_with(folder.path(), Limits::default())
}

pub(super) fn writer_with(folder: &Path, limits: Limits) -> Writer {
    Writer::start(folder, limits).unwrap()
}

pub(super) fn count(connection: &Connection, of: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).unwrap()
}

pub(super) fn read(folder: &TempDir) -> Connection {
    db::open_reader(folder.path()).unwrap()
}

pub(super) fn usage(folder: &Path, by: &[&str]) -> Report {
    let by = by.iter().map(|word| By::parse(word).unwrap()).collect();
    let ask = Ask { by, since_us: 0, until_us: signed(BASE_US) * 2, limit: None };
    Reader::open(folder).unwrap().usage(&ask).unwrap()
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

pub(super) fn counted(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(super) fn flushed(handle: &Handle) {
    assert!(handle.flush(LONG), "the writer does not answer");
}

/// Everything a row can hold.
pub(super) fn rich() -> Exchange {
    let mut exchange = at(BASE_US);
    exchange.client = Some("10.0.0.7:5000".parse().unwrap());
    exchange.session = Some("s-1".into());
    exchange.tags = vec![("team".to_owned(), "sea\"rch".to_owned())];
    exchange.client_request_id = Some("mine".to_owned());
    exchange.response_bytes = 512;
    let times = &mut exchange.summary.times;
    times.first_content_us = Some(2_055);
    exchange.summary.cost = Some(Nanodollars(7_000));
    let mut full = tally(1_000, 200, 5_000);
    if let Some(usage) = &mut full.usage {
        (usage.cache_read, usage.cache_write, usage.reasoning) = (Some(300), Some(0), Some(50));
    }
    full.reading = Reading {
        finish_reasons: vec!["tool_calls".to_owned()],
        tools: vec![
            ToolCalls { name: "search".to_owned(), calls: 2 },
            ToolCalls { name: "read".to_owned(), calls: 1 },
        ],
        ..Reading::default()
    };
    exchange.summary.tallies = vec![full];
    exchange
}

#[test]
fn the_view_has_the_columns_of_the_contract_and_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let exchange = rich();
    let mut failed = at(BASE_US + 1);
    failed.outcome = Outcome::UpstreamError;
    failed.failure = Some(Blame { source: Source::Upstream, kind: "rate_limited", detail: None });
    failed.attempts[0].status = Some(StatusCode::TOO_MANY_REQUESTS);
    let mut refused = at(BASE_US + 2);
    (refused.attempts, refused.outcome) = (Vec::new(), Outcome::Rejected);
    let rows = [&exchange, &failed, &refused].map(Row::of).to_vec();
    let mut writer = writer(&folder);
    writer.handle().put(rows);
    writer.stop();
    let database = read(&folder);
    let row = |id: ExchangeId| {
        let sql = "SELECT * FROM exchanges WHERE id = ?";
        let mut statement = database.prepare(sql).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let values = statement.query_row([id.to_string()], |row| {
            (0..names.len()).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>()
        });
        let shown = values.unwrap().into_iter().map(|value| match value {
            Value::Null => "-".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            other => panic!("{other:?} in the view"),
        });
        names
            .into_iter()
            .zip(shown)
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    let expected = format!(
        "id={} started_at_us={BASE_US} session_id=s-1 parent_session_id=- dialect=openai_chat operation=chat \
         provider=openai model_requested=gpt-5 model=gpt-5 status=200 outcome=complete stream=1 input_tokens=1000 \
         output_tokens=200 cache_read_tokens=300 cache_write_tokens=0 reasoning_tokens=50 usage_source=provider \
         cost_nanousd=7000 ttft_us=2000 duration_us=10000 overhead_us=15 request_bytes=2048 response_bytes=512 attempts=1 \
         error_source=- error_kind=- upstream_status=200 finish_reason=tool_calls tools=[\"search\",\"read\"] agent=codex \
         path=/v1/chat/completions client_addr=10.0.0.7:5000 key_label=ci user_label=- client_request_id=mine \
         upstream_request_id=req_1 trace_id={} replay_of=- run_id=- capture_level=meta redacted=0 replayable=0 \
         tags={{\"team\":\"sea\\\"rch\"}} labels=- error_detail=- method=POST session_inferred=0 signals=- headers=- \
         ttfo_us=- gap_p50_us=- gap_p99_us=- gap_max_us=- stalls=- queued_us=0 pinned=0 seq=1 duplicate_of=- prefix_changed_at=- policy_version=0",
        exchange.id, exchange.trace.id
    );
    assert_eq!(row(exchange.id).join(" "), expected);
    let shown = row(failed.id).join(" ");
    assert!(
        shown.contains("input_tokens=- ")
            && shown.contains("error_source=upstream error_kind=rate_limited upstream_status=429"),
        "{shown}"
    );
    let shown = row(refused.id).join(" ");
    assert!(shown.contains("provider=- ") && shown.contains("attempts=0"), "{shown}");
    assert_eq!(count(&database, "exchange_records"), 3);
    let attempts = |seq| listing::attempts(&database, seq).unwrap().len();
    assert_eq!([1, 2, 3].map(attempts), [1, 1, 0]);
}

#[test]
fn an_attempt_keeps_what_it_cost_and_how_it_was_reached() {
    let folder = tempfile::tempdir().unwrap();
    let mut exchange = rich();
    exchange.attempts[0].link = Link {
        reused: false,
        resolve_us: 1,
        connect_us: 2,
        tls_us: 3,
        peer: Some("192.0.2.1:443".parse().unwrap()),
        http: "2",
        tls: Some("1.3"),
        ..Link::default()
    };
    writer(&folder).handle().put(vec![Row::of(&exchange)]);
    let database = {
        let writer = writer(&folder);
        flushed(writer.handle());
        read(&folder)
    };
    let attempt = &listing::attempts(&database, 1).unwrap()[0];
    let texts = [&attempt.peer, &attempt.http, &attempt.tls, &attempt.model].map(Option::as_deref);
    assert_eq!(texts, [Some("192.0.2.1:443"), Some("2"), Some("1.3"), Some("gpt-5")]);
    assert_eq!((&*attempt.provider, &*attempt.because), ("openai", "exact model id"));
    assert_eq!(attempt.link_us, Some([1, 2, 3]));
    assert_eq!((attempt.input_tokens, attempt.cost_nanousd), (Some(1_000), Some(5_000)));
    assert_eq!(attempt.upstream_request_id.as_deref(), Some("req_1"));
    let tried = &tried(&database)[0];
    let price = [Part::PriceBasis, Part::PriceVersion].map(|part| tried.text(part));
    assert_eq!(price, [Some("openai/gpt-5"), Some("2026-11-20")]);
    assert_eq!((tried.model_label(), tried.number(Part::ModelLabel)), ("gpt-5", None));
}

/// All attempts of all records, in their order.
pub(super) fn tried(database: &Connection) -> Vec<Tried<'static>> {
    let mut statement =
        database.prepare("SELECT detail FROM exchange_records ORDER BY seq").unwrap();
    let blobs = statement.query_map([], |row| row.get::<_, Option<Vec<u8>>>(0)).unwrap();
    let mut lexicon = Lexicon::default();
    let mut all: Vec<Tried<'static>> = blobs
        .flat_map(|blob| Detail::decode(&blob.unwrap().unwrap_or_default()).attempts)
        .collect();
    for tried in &mut all {
        tried.resolve(|id| lexicon.text(database, id)).unwrap();
    }
    all
}

/// Traffic of three days: two providers, sessions, tags, tools, errors, retries, estimates, replays.
pub(super) fn traffic() -> Vec<Row> {
    let mut rows = Vec::new();
    for n in 0..600u64 {
        let mut exchange = at(BASE_US + n * (HOUR_US / 8) + n % 7);
        let model = if n % 3 == 0 { "gpt-5" } else { "gpt-5-mini" };
        exchange.attempts[0].model_label = model.into();
        exchange.ended_us = 1_000 * (n % 50 + 1);
        exchange.summary.times.first_content_us = (n % 4 != 0).then_some(1_000 + n);
        let mut tallies = vec![tally(100 + n, n % 13, i64::try_from(n).unwrap())];
        match n % 10 {
            1 => exchange.outcome = Outcome::UpstreamError,
            2 => exchange.outcome = Outcome::ClientCancelled,
            3 => {
                // The output is missing, the input was told.
                tallies[0].source = Some(UsageSource::Estimated);
                tallies[0].estimated = Usage { output: Some(n % 13), ..Usage::default() };
            }
            4 => {
                tallies[0].partial = true;
                tallies[0].cost = None;
                tallies[0].unpriced = true;
            }
            5 => {
                let mut second = fixture::exchange().attempts.remove(0);
                second.provider = "anthropic".into();
                exchange.attempts.push(second);
                tallies.push(tally(7, 8, 9));
            }
            6 => {
                exchange.attempts.clear();
                tallies.clear();
                exchange.outcome = Outcome::Rejected;
            }
            _ => {
                let called = ToolCalls { name: format!("tool-{}", n % 2), calls: 2 };
                tallies[0].reading.tools = vec![called];
            }
        }
        if n % 5 < 3 {
            exchange.session = Some(format!("s-{}", n / 20).into());
        }
        exchange.tags = vec![("team".to_owned(), format!("t{}", n % 2))];
        if n % 6 == 0 {
            exchange.tags.push(("job".to_owned(), "nightly".to_owned()));
        }
        let costs = tallies.iter().filter_map(|tally| tally.cost.as_ref());
        exchange.summary.cost = costs.map(|cost| cost.amount).reduce(Nanodollars::plus);
        exchange.summary.tallies = tallies;
        let mut row = Row::of(&exchange);
        row.run_id = (n % 11 == 10).then_some([1; 16]);
        rows.push(row);
    }
    rows
}

/// The sums, straight from rows, by a word.
fn straight(rows: &[Row], keep: impl Fn(&Row) -> bool) -> [i64; 9] {
    let mut sums = [0; 9];
    for row in rows.iter().filter(|row| row.run_id.is_none() && keep(row)) {
        sums[0] += 1;
        sums[1] += i64::from(!matches!(row.outcome, Outcome::Complete | Outcome::ClientCancelled));
        sums[2] += i64::from(row.outcome == Outcome::ClientCancelled);
        sums[8] += row.duration_us;
        for attempt in &row.attempts {
            sums[3] += signed(attempt.usage.input.unwrap_or(0));
            sums[4] += signed(attempt.estimated.output.unwrap_or(0));
            sums[5] += attempt.cost_nanousd.unwrap_or(0);
            sums[6] += i64::from(attempt.unpriced);
            sums[7] += i64::from(attempt.partial);
        }
    }
    sums
}

fn reported(line: &Line) -> [i64; 9] {
    [
        Measure::Requests,
        Measure::Errors,
        Measure::Cancelled,
        Measure::Input,
        Measure::EstimatedOutput,
        Measure::Cost,
        Measure::Unpriced,
        Measure::Partial,
        Measure::Duration,
    ]
    .map(|measure| line.sums.get(measure))
}

#[test]
fn reports_equal_sums_over_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = traffic();
    let limits = Limits { batch_max: 37, ..Limits::default() };
    let mut writer = writer_with(folder.path(), limits);
    writer.handle().put(rows.clone());
    writer.stop();
    let all = straight(&rows, |_| true);
    for by in [
        &[][..],
        &["model"],
        &["provider", "day"],
        &["hour"],
        &["day"],
        &["month", "key"],
        &["session"],
        &["session", "day"],
        &["tag"],
        &["tag:team"],
        &["dialect", "agent"],
    ] {
        let report = usage(folder.path(), by);
        assert_eq!(reported(&report.total), all, "{by:?}");
        if !by.iter().any(|by| by.starts_with("tag")) {
            let sum = report.lines.iter().fold([0; 9], |mut sum, line| {
                sum.iter_mut().zip(reported(line)).for_each(|(sum, more)| *sum += more);
                sum
            });
            assert_eq!(sum, all, "{by:?}");
        }
    }
    let sessions = usage(folder.path(), &["session"]);
    let one = sessions.lines.iter().find(|line| line.group == ["s-3"]).unwrap();
    assert_eq!(reported(one), straight(&rows, |row| row.session.as_deref() == Some("s-3")));
    let tags = usage(folder.path(), &["tag"]);
    let one = tags.lines.iter().find(|line| line.group == ["job=nightly"]).unwrap();
    assert_eq!(reported(one), straight(&rows, |row| row.tags.len() == 2));
    assert_eq!(usage(folder.path(), &["tag:job"]).lines[0].group, ["nightly"]);
    let kept = |row: &&Row| row.run_id.is_none();
    let calls: i64 = rows.iter().filter(kept).map(Row::tool_calls).sum();
    let tools = usage(folder.path(), &["tool"]);
    assert_eq!(tools.total.sums.get(Measure::ToolCalls), calls);
    assert_eq!(tools.lines.len(), 2);
}

#[test]
fn attempts_count_where_they_went_and_requests_where_they_were_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut exchange = rich();
    let mut second = fixture::exchange().attempts.remove(0);
    second.provider = "anthropic".into();
    exchange.attempts.push(second);
    exchange.summary.tallies = vec![tally(100, 1, 10), tally(200, 2, 20)];
    writer(&folder).handle().put(vec![Row::of(&exchange)]);
    let lines: Vec<_> = usage(folder.path(), &["provider"]).lines;
    let of = |line: &Line| {
        let sums = [Measure::Requests, Measure::Attempts, Measure::Input, Measure::Cost];
        (line.group[0].clone(), sums.map(|measure| line.sums.get(measure)), line.durations.count())
    };
    assert_eq!(of(&lines[0]), ("anthropic".to_owned(), [1, 1, 200, 20], 1));
    assert_eq!(of(&lines[1]), ("openai".to_owned(), [0, 1, 100, 10], 0));
}

#[test]
fn percentiles_of_days_are_those_of_their_hours() {
    let folder = tempfile::tempdir().unwrap();
    writer(&folder).handle().put(traffic());
    let (days, hours) =
        (usage(folder.path(), &["model"]), usage(folder.path(), &["model", "hour"]));
    for line in &days.lines {
        let of_hours = hours.lines.iter().filter(|hour| hour.group[0] == line.group[0]);
        let mut merged = Line::default();
        of_hours.for_each(|hour| {
            merged.durations.merge(&hour.durations);
            merged.ttfts.merge(&hour.ttfts);
        });
        assert_eq!((&merged.durations, &merged.ttfts), (&line.durations, &line.ttfts));
    }
    let p50 = days.total.durations.quantile(0.5).unwrap();
    assert!(p50.abs_diff(25_000) < 2_000, "{p50}");
}

#[test]
fn windows_and_limits_cut_and_say_what_they_cut() {
    let folder = tempfile::tempdir().unwrap();
    let rows = traffic();
    writer(&folder).handle().put(rows.clone());
    let reader = Reader::open(folder.path()).unwrap();
    let ask = |since_h: u64, until_h: u64, limit| Ask {
        by: vec![By::Session],
        since_us: signed(BASE_US + since_h * HOUR_US + 5),
        until_us: signed(BASE_US + until_h * HOUR_US - 5),
        limit,
    };
    for (since, until) in [(0, 1), (3, 9), (5, 70), (16, 40), (0, 75)] {
        let report = reader.usage(&ask(since, until, Some(2))).unwrap();
        let window = signed(BASE_US + since * HOUR_US)..signed(BASE_US + until * HOUR_US);
        let expected = straight(&rows, |row| window.contains(&row.started_at_us));
        assert_eq!(reported(&report.total), expected, "{since}..{until}");
        assert_eq!(report.since_s * 1_000_000, window.start, "whole hours");
        let mut shown = report.rest.sums;
        report.lines.iter().for_each(|line| shown.plus(&line.sums));
        assert_eq!(shown, report.total.sums);
        assert!(report.lines.len() <= 2);
    }
    let none = reader.usage(&ask(5_000, 5_001, None)).unwrap();
    assert_eq!((none.lines.len(), none.total.sums.get(Measure::Requests)), (0, 0));
}

#[test]
fn a_limited_report_is_the_head_of_the_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = traffic();
    // One session through all of it, and costs that are alike.
    for row in rows.iter_mut().step_by(9) {
        row.session = Some("s-long".to_owned());
    }
    rows.iter_mut().flat_map(|row| &mut row.attempts).for_each(|attempt| {
        attempt.cost_nanousd = attempt.cost_nanousd.map(|cost| cost / 200);
    });
    writer(&folder).handle().put(rows);
    let reader = Reader::open(folder.path()).unwrap();
    for (since_h, until_h) in [(0, 75), (5, 70), (16, 40), (3, 9), (0, 5_000)] {
        let ask = |limit| Ask {
            by: vec![By::Session],
            since_us: signed(BASE_US + since_h * HOUR_US),
            until_us: signed(BASE_US + until_h * HOUR_US),
            limit,
        };
        let whole = reader.usage(&ask(None)).unwrap();
        for limit in [0, 1, 2, 7, whole.lines.len(), 1_000, 1_001] {
            let limited = reader.usage(&ask(Some(limit))).unwrap();
            let shown = limit.min(whole.lines.len());
            assert_eq!(limited.lines, whole.lines[..shown], "{since_h}..{until_h}, {limit}");
            assert_eq!(limited.total, whole.total, "{since_h}..{until_h}, {limit}");
            assert_eq!(limited.others, (whole.lines.len() - shown) as u64);
            let mut all = limited.rest.sums;
            limited.lines.iter().for_each(|line| all.plus(&line.sums));
            assert_eq!(all, whole.total.sums);
        }
    }
}

/// Prices by which nothing costs what it did.
fn book() -> Book {
    let text = r#"{ "version": "new-1", "date": "2026-11-21", "bases": {
        "openai": { "models": { "gpt-5": { "input": "3", "output": "7" } } },
        "azure": { "models": {} } } }"#;
    let catalog = Catalog::parse(text).unwrap();
    Book::new(Lists::layered([&catalog]).unwrap(), HashMap::new())
}

/// Rows of [`traffic`] as they would have been written at those prices.
fn at_new_prices(mut rows: Vec<Row>, book: &Book, since_us: u64) -> Vec<Row> {
    for row in rows.iter_mut().filter(|row| row.started_at_us >= signed(since_us)) {
        for attempt in &mut row.attempts {
            let model = attempt.model.as_deref().unwrap();
            if let Some(amount) = book.price(&attempt.provider, model, &attempt.usage, None) {
                attempt.cost_nanousd = Some(amount.nanodollars.0);
                attempt.unpriced = false;
            }
        }
        let costs = row.attempts.iter().filter_map(|attempt| attempt.cost_nanousd);
        row.cost_nanousd = costs.reduce(i64::wrapping_add);
    }
    rows
}

#[test]
fn rows_priced_anew_and_their_sums_are_as_if_written_so() {
    let (folder, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (rows, book, since) = (traffic(), book(), BASE_US + 16 * HOUR_US);
    let window = (signed(since / 1_000_000), signed(BASE_US / 1_000_000) * 2);
    let running = writer(&folder);
    running.handle().put(rows.clone());
    flushed(running.handle());
    let expected = at_new_prices(rows, &book, since);
    writer(&fresh).handle().put(expected.clone());
    let totals = |changes: &Changes| {
        let mut total = Change::default();
        for change in changes.values() {
            total.plus(change);
        }
        total
    };
    let before = usage(folder.path(), &["model", "day"]);
    let preview = reprice::preview(folder.path(), &book, window).unwrap();
    assert_eq!(usage(folder.path(), &["model", "day"]), before, "a preview writes nothing");
    let written = reprice::write(folder.path(), &book, window).unwrap();
    assert_eq!(written, preview);
    let total = totals(&written);
    assert!(total.changed > 100 && total.gained > 10 && total.kept > 10, "{total:?}");
    let sum: i64 = expected
        .iter()
        .filter(|row| row.started_at_us >= signed(since))
        .filter_map(|row| row.cost_nanousd)
        .sum();
    assert_eq!(total.after_nanousd, sum);
    for by in ["model", "provider", "session", "tag", "hour", "day", "agent", "key"] {
        let (mended, straight) = (usage(folder.path(), &[by]), usage(fresh.path(), &[by]));
        assert_eq!(mended, straight, "{by}");
    }
    let database = read(&folder);
    let at_new = |tried: &&Tried<'_>| {
        [Part::PriceVersion, Part::PriceBasis].map(|part| tried.text(part))
            == [Some("new-1"), Some("openai/gpt-5")]
    };
    assert_eq!(total.answers - total.kept, tried(&database).iter().filter(at_new).count() as u64);
    let costs = |database: &Connection| -> Vec<Option<i64>> {
        let sql = "SELECT cost_nanousd FROM exchange_records ORDER BY id";
        let mut statement = database.prepare(sql).unwrap();
        let costs = statement.query_map([], |row| row.get(0)).unwrap();
        costs.map(Result::unwrap).collect()
    };
    assert_eq!(costs(&database), costs(&read(&fresh)));
    let again = totals(&reprice::write(folder.path(), &book, window).unwrap());
    assert_eq!((again.changed, again.before_nanousd), (0, sum));
    running.handle().put(vec![plain(9)]);
    flushed(running.handle());
    assert_eq!(counted(&running.handle().counters().failed), 0, "the gateway goes on beside it");
}

#[test]
fn sums_of_rows_that_are_gone_stay() {
    let folder = tempfile::tempdir().unwrap();
    let running = writer(&folder);
    running.handle().put((0..10).map(plain).collect());
    flushed(running.handle());
    running.handle().run(|connection| {
        let gone = "DELETE FROM exchange_records WHERE id IN (SELECT id FROM exchange_records ORDER BY id LIMIT 4)";
        connection.execute(gone, []).unwrap();
    });
    flushed(running.handle());
    let window = (0, signed(BASE_US / 1_000_000) * 2);
    reprice::write(folder.path(), &book(), window).unwrap();
    // 100 tokens in at 3 and 10 out at 7 dollars a million, of six; a thousand nanodollars, of four.
    let total = usage(folder.path(), &["model"]).total;
    assert_eq!(total.sums.get(Measure::Cost), 6 * (300_000 + 70_000) + 4 * 1_000);
    let missing = reprice::write(&folder.path().join("none"), &book(), window);
    assert!(missing.unwrap_err().to_string().contains("there is no store at"));
}

#[test]
fn what_counts_without_a_record_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { busy: Duration::from_millis(1), pauses: &[], ..Limits::default() };
    let mut writer = writer_with(folder.path(), limits);
    let other = db::open_writer(folder.path(), db::BUSY).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut late = Late::default();
    let mut account = Account::new(&"openai".into(), &"gpt-5".into());
    account.add(&tally(100, 10, 1_000));
    late.add(signed(BASE_US), &account);
    assert!(writer.handle().put_late(late).is_ok());
    flushed(writer.handle());
    assert!(writer.handle().counters().failing.load(Ordering::Relaxed));
    other.execute_batch("COMMIT").unwrap();
    writer.stop();
    let total = usage(folder.path(), &["day"]).total;
    let sums = [Measure::Requests, Measure::Input, Measure::Output, Measure::Cost];
    assert_eq!(sums.map(|measure| total.sums.get(measure)), [0, 100, 10, 1_000]);
}

#[test]
fn a_row_that_is_refused_does_not_lose_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder);
    let rows: Vec<Row> = (0..10).map(plain).collect();
    let mut again = rows.clone();
    again.insert(3, plain(100));
    writer.handle().put(rows);
    writer.handle().put(again);
    writer.stop();
    let counters = writer.handle().counters();
    assert_eq!((counted(&counters.stored), counted(&counters.failed)), (11, 10));
    assert_eq!(count(&read(&folder), "exchange_records"), 11);
    let total = usage(folder.path(), &[]).total;
    assert_eq!(total.sums.get(Measure::Requests), 11, "and the roll-ups have what the rows have");
}

#[test]
fn a_stop_does_not_wait_long_for_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { batch_max: 25, ..Limits::default() };
    let mut writer = writer_with(folder.path(), limits);
    let other = db::open_writer(folder.path(), db::BUSY).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.handle().put((0..100).map(plain).collect());
    let began = clock::now();
    writer.stop();
    let took = clock::now() - began;
    assert!(took < Duration::from_secs(6), "{took:?}");
    let counters = writer.handle().counters();
    assert_eq!((counted(&counters.failed), counted(&counters.queued)), (100, 0));
}

#[test]
fn a_stop_does_not_wait_for_a_thread_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder);
    let (go, wait) = sync_channel::<()>(0);
    writer.handle().run(move |_| assert!(wait.recv().is_err()));
    let began = clock::now();
    writer.stop();
    let took = clock::now() - began;
    assert!(took < Duration::from_secs(8), "{took:?}");
    drop(go);
}

#[test]
fn a_file_that_was_removed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("in");
    let mut writer = writer_with(&place, Limits::default());
    writer.handle().put(vec![plain(0)]);
    flushed(writer.handle());
    let counters = writer.handle().counters().clone();
    for (round, path) in [place.join(db::FILE), place.clone()].iter().enumerate() {
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        // Until the writer looks, which it does once a second, rows go to the file that is gone.
        let there = || db::open_reader(&place).map(|database| count(&database, "exchange_records"));
        let mut n = 10_000 * (round as u64 + 1);
        let until = clock::now() + LONG;
        while there().is_err() && clock::now() < until {
            n += 1;
            writer.handle().put(vec![plain(n)]);
            flushed(writer.handle());
        }
        assert!(there().unwrap() >= 1, "round {round}");
        writer.handle().put(vec![plain(n + 1), plain(n + 2)]);
        flushed(writer.handle());
        assert!(there().unwrap() >= 3, "round {round}");
    }
    writer.stop();
    assert_eq!(counted(&counters.failed), 0);
}

#[test]
fn what_is_awaited_is_not_lost_with_a_failed_batch_or_a_full_queue() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { busy: Duration::from_millis(1), pauses: &[], ..Limits::default() };
    let mut writer = writer_with(folder.path(), limits);
    let awaited = |n: i64| Awaited {
        response_id: format!("resp_{n:05}"),
        provider: "openai".to_owned(),
        model: None,
        model_label: "gpt-5".to_owned(),
        batch: false,
        noted_at_us: n,
    };
    let other = db::open_writer(folder.path(), db::BUSY).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.handle().await_usage(awaited(1));
    writer.handle().await_usage(awaited(2));
    writer.handle().put(vec![plain(1)]);
    flushed(writer.handle());
    assert_eq!(counted(&writer.handle().counters().failed), 1);
    other.execute_batch("COMMIT").unwrap();
    let (go, wait) = sync_channel::<()>(0);
    writer.handle().run(move |_| wait.recv().unwrap());
    // More than there is room for in the queue of messages.
    for n in 0..5_000 {
        writer.handle().put(vec![plain(10 + n)]);
    }
    writer.handle().usage_came("resp_00001");
    for n in 3..6_000 {
        writer.handle().await_usage(awaited(n));
    }
    go.send(()).unwrap();
    writer.stop();
    let there = Reader::open(folder.path()).unwrap().awaited().unwrap();
    assert_eq!((there.len(), there[0].clone()), (5_998, awaited(2)));
}

#[test]
fn records_that_have_grown_too_old_are_deleted_and_their_sums_stay() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = clock::wall_us();
    let mut rows: Vec<Row> = (0..12_000).map(plain).collect();
    for n in 0..3 {
        let mut exchange = at(fresh + n);
        exchange.summary.tallies = vec![tally(100, 10, 1_000)];
        rows.push(Row::of(&exchange));
    }
    writer(&folder).handle().put(rows);
    assert_eq!(count(&read(&folder), "exchange_records"), 12_003);
    let before = usage(folder.path(), &["model"]);
    let records_age = Some(Duration::from_hours(24));
    let bounds = Bounds { records_age, ..Bounds::default() };
    let mut writer = writer_with(folder.path(), Limits { bounds, ..Limits::default() });
    let until = clock::now() + LONG;
    while count(&read(&folder), "exchange_records") > 3 && clock::now() < until {
        std::thread::yield_now();
    }
    let database = read(&folder);
    assert_eq!(count(&database, "exchange_records"), 3);
    assert_eq!(usage(folder.path(), &["model"]), before);
    // It waits for its next hour and not in a loop: rows go on.
    writer.handle().put(vec![plain(0)]);
    flushed(writer.handle());
    writer.stop();
    assert_eq!(counted(&writer.handle().counters().stored), 1);
}

#[test]
fn a_deletion_takes_no_more_than_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    writer(&folder).handle().put((0..10).map(plain).collect());
    let mut connection = db::open_writer(folder.path(), db::BUSY).unwrap();
    // The eighth began at the instant itself, and stays.
    let before_us = BASE_US + 7_000;
    let deleted =
        [0; 4].map(|_| retention::delete(&mut connection, before_us, i64::MAX, 3).unwrap());
    assert_eq!(deleted, [3, 3, 1, 0]);
    assert_eq!(count(&connection, "exchange_records"), 3);
}

#[test]
fn a_full_disk_is_counted_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { pauses: SHORT, ..Limits::default() };
    let writer = writer_with(folder.path(), limits);
    let handle = writer.handle();
    handle.run(|connection| {
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let pages: i64 =
            connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(())).unwrap();
    });
    for n in 0..20 {
        handle.put((n * 100..(n + 1) * 100).map(plain).collect());
        flushed(handle);
    }
    let counters = handle.counters();
    let (stored, failed) = (counted(&counters.stored), counted(&counters.failed));
    assert!(failed > 0 && counters.failing.load(Ordering::Relaxed), "{counters:?}");
    assert_eq!(stored + failed, 2_000);
    assert!(counted(&counters.retried) > 0 && counted(&counters.queued) == 0);
    assert_eq!(
        count(&read(&folder), "exchange_records"),
        signed(stored),
        "what was stored stays readable"
    );
    handle.run(|connection| {
        connection.pragma_update_and_check(None, "max_page_count", 1 << 20, |_| Ok(())).unwrap();
    });
    handle.put((5_000..5_100).map(plain).collect());
    flushed(handle);
    assert_eq!(counted(&counters.stored), stored + 100);
    assert!(!counters.failing.load(Ordering::Relaxed));
    let total = usage(folder.path(), &["day"]).total;
    let sums = [Measure::Requests, Measure::Input, Measure::Output, Measure::Cost];
    let told = sums.map(|measure| total.sums.get(measure));
    assert_eq!(told, [signed(stored) + 100, 210_000, 21_000, 2_100_000], "nothing is lost of it");
}

#[test]
fn what_lost_rows_took_counts_under_their_hour_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { queue_max: 0, ..Limits::default() };
    let mut writer = writer_with(folder.path(), limits);
    let mut keyed = plain(1);
    keyed.key_label = Some("ours".into());
    let mut replay = plain(2);
    replay.run_id = Some([7; 16]);
    writer.handle().put(vec![keyed, replay, plain(3)]);
    writer.stop();
    let report = usage(folder.path(), &["key", "hour"]);
    let told: Vec<_> = report
        .lines
        .iter()
        .map(|line| (line.group.clone(), line.sums.get(Measure::Cost)))
        .collect();
    assert_eq!((told.len(), report.total.sums.get(Measure::Cost)), (2, 2_000), "{told:?}");
    assert!(told.iter().any(|(names, _)| names.iter().any(|name| name == "ours")), "{told:?}");
}

#[test]
fn another_writers_transaction_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { busy: Duration::from_millis(1), ..Limits::default() };
    let writer = writer_with(folder.path(), limits);
    let other = db::open_writer(folder.path(), db::BUSY).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.handle().put(vec![plain(1)]);
    let counters = writer.handle().counters();
    while counted(&counters.retried) == 0 {
        std::thread::yield_now();
    }
    other.execute_batch("COMMIT").unwrap();
    flushed(writer.handle());
    assert_eq!((counted(&counters.stored), counted(&counters.failed)), (1, 0));
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { queue_max: 10, ..Limits::default() };
    let mut writer = writer_with(folder.path(), limits);
    let (go, wait) = sync_channel::<()>(0);
    writer.handle().run(move |_| wait.recv().unwrap());
    writer.handle().put((0..8).map(plain).collect());
    writer.handle().put((8..16).map(plain).collect());
    let counters = writer.handle().counters().clone();
    assert_eq!((counted(&counters.queued), counted(&counters.dropped)), (10, 6));
    go.send(()).unwrap();
    writer.stop();
    assert_eq!((counted(&counters.queued), counted(&counters.stored)), (0, 10));
    let total = usage(folder.path(), &["model"]).total;
    let sums = [Measure::Requests, Measure::Input, Measure::Output, Measure::Cost];
    let told = sums.map(|measure| total.sums.get(measure));
    assert_eq!(told, [10, 1_600, 160, 16_000], "what was dropped took tokens all the same");
    writer.handle().put(vec![plain(99)]);
    assert_eq!(counted(&counters.dropped), 7, "after the end there is no writer");
}

#[test]
fn two_writers_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { company: Duration::from_millis(1), ..Limits::default() };
    let writers = [0, 1].map(|_| writer_with(folder.path(), limits));
    for round in 0..50 {
        for (n, writer) in writers.iter().enumerate() {
            let first = (round * 2 + n as u64) * 10;
            writer.handle().put((first..first + 10).map(plain).collect());
        }
    }
    drop(writers);
    assert_eq!(count(&read(&folder), "exchange_records"), 1_000);
    let total = usage(folder.path(), &["day"]).total;
    assert_eq!(total.sums.get(Measure::Input), 100_000);
    assert_eq!(total.durations.count(), 1_000, "distributions add up, too");
}

#[test]
fn what_is_awaited_outlives_a_restart_up_to_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let awaited = |n: i64| Awaited {
        response_id: format!("resp_{n}"),
        provider: "openai".to_owned(),
        model: Some("gpt-5-2026".to_owned()),
        model_label: "gpt-5".to_owned(),
        batch: n % 2 == 0,
        noted_at_us: n,
    };
    {
        let writer = writer(&folder);
        writer.handle().await_usage(awaited(1));
        writer.handle().await_usage(awaited(2));
        writer.handle().usage_came("resp_1");
        flushed(writer.handle());
        assert_eq!(Reader::open(folder.path()).unwrap().awaited().unwrap(), [awaited(2)]);
        writer.handle().run(|connection| {
            let sql = "WITH RECURSIVE n(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM n WHERE n < 70009) \
                       INSERT INTO awaited SELECT 'resp_' || n, 'openai', NULL, 'gpt-5', 0, n FROM n";
            connection.execute(sql, []).unwrap();
        });
    }
    let newest = Reader::open(folder.path()).unwrap().awaited().unwrap();
    assert_eq!(newest.len(), AWAITED_MAX as usize);
    assert_eq!(
        (newest[0].noted_at_us, newest[newest.len() - 1].noted_at_us),
        (70_010 - 65_536, 70_009)
    );
    flushed(writer(&folder).handle());
    assert_eq!(count(&read(&folder), "awaited"), i64::from(AWAITED_MAX), "the rest is forgotten");
}

/// A copy of a store that an earlier version wrote.
fn earlier(schema: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(db::FILE);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store");
    std::fs::copy(golden.join(schema), &place).unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

/// All rows of the view, the columns of schema 1.
fn view(database: &Connection) -> Vec<Vec<Value>> {
    const COLUMNS_OF_1: usize = 45;
    let mut statement = database.prepare("SELECT * FROM exchanges ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| (0..COLUMNS_OF_1).map(|at| row.get(at)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn stores_of_each_released_schema_open_and_go_on() {
    for (schema, records) in [("schema-1.db", 60), ("schema-1-rich.db", 80)] {
        let (folder, path) = earlier(schema);
        let old = Connection::open(path.join(db::FILE)).unwrap();
        let words = ["provider", "model", "key", "agent", "session", "tag", "tool", "day", "hour"];
        let sums = |connection: &Connection| -> Vec<Vec<Value>> {
            let sql = "SELECT * FROM usage_hours ORDER BY start_s, provider, model, key_label, agent, dialect";
            let mut statement = connection.prepare(sql).unwrap();
            let count = statement.column_count();
            let rows = statement.query_map([], |row| (0..count).map(|at| row.get(at)).collect());
            rows.unwrap().map(Result::unwrap).collect()
        };
        let before = (view(&old), sums(&old));
        let refused = Reader::open(&path).err().unwrap().to_string();
        assert!(refused.contains("has the older schema 1"), "{refused}");
        let tried_before: Vec<[Option<String>; 4]> = {
            let sql = "SELECT a.provider, a.model_label, a.price_version, a.response_id FROM attempts AS a \
                       JOIN records AS r ON r.id = a.exchange_id \
                       ORDER BY r.started_at_us + r.duration_us, r.id, a.n";
            let mut statement = old.prepare(sql).unwrap();
            let get =
                |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
            statement.query_map([], get).unwrap().map(Result::unwrap).collect()
        };
        drop(old);
        let mut writer = writer(&folder);
        let migrated = read(&folder);
        assert_eq!((view(&migrated), sums(&migrated)), before, "{schema}");
        assert_eq!(before.0.len(), records, "{schema}");
        let tried_after: Vec<[Option<String>; 4]> = tried(&migrated)
            .iter()
            .map(|tried| {
                let label = Some(tried.model_label().to_owned());
                let of = |part| tried.owned(part);
                [of(Part::Provider), label, of(Part::PriceVersion), of(Part::ResponseId)]
            })
            .collect();
        assert_eq!(tried_after, tried_before, "{schema}");
        let pragma = |name| migrated.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(pragma("auto_vacuum").unwrap(), 2, "{schema}: free pages can be given back");
        let requests = |by| usage(&path, &[by]).total.sums.get(Measure::Requests);
        let told = words.map(requests);
        writer.handle().put(vec![plain(0)]);
        writer.stop();
        assert_eq!(counted(&writer.handle().counters().stored), 1, "{schema}");
        let after = words.map(requests);
        assert_eq!(after[0], told[0] + 1, "{schema}");
        assert_eq!(count(&read(&folder), "exchanges"), signed(records as u64) + 1, "{schema}");
        let tables = "sqlite_master WHERE name IN ('records', 'attempts')";
        assert_eq!(count(&read(&folder), tables), 0, "{schema}");
    }
}

/// A store of schema 3: blocks of too many texts were marked as having any, sizes were by whole powers of two.
#[test]
fn a_store_of_schema_3_gets_its_skip_index_anew() {
    let (folder, path) = earlier("schema-3.db");
    let old = Connection::open(path.join(db::FILE)).unwrap();
    let before = view(&old);
    assert_eq!(before.len(), 170);
    assert!(count(&old, "zones WHERE value = x''") >= 2);
    drop(old);
    let writer = writer(&folder);
    let found = |text: &str| -> usize {
        let query = Query::parse(text, signed(BASE_US) * 2).unwrap();
        Reader::open(&path).unwrap().list(&query, &Page::newest(200)).unwrap().len()
    };
    let asked = |more: usize| {
        for (text, expected) in [
            ("tag.ticket:t-7", 1),
            ("tag.ticket:T-*", 90),
            ("tag.ticket:none", 0),
            ("path:/v1/files/8", 1 + more),
            ("path:/v1/files/8*", 11 + more),
            ("ttft:>30s", 39),
            ("ttft:20s..30s", 51),
            ("-replay:true", 162 + more),
            ("replay:true", 8),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    };
    let migrated = read(&folder);
    assert_eq!(view(&migrated), before);
    assert_eq!(count(&migrated, "zones WHERE value = x''"), 0);
    asked(0);
    let mut row = plain(900);
    row.path = "/V1/files/8".to_owned();
    writer.handle().put(vec![row]);
    flushed(writer.handle());
    asked(1);
}

/// What the writer notes as it goes, and what is made from the records, lead to the same blocks.
#[test]
fn the_skip_index_made_anew_is_the_one_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows: Vec<Row> = traffic();
    rows.extend((0..1_500).map(|n| {
        let mut row = plain(400_000_000 + n);
        row.user_label = Some(format!("user-{}", n % 300));
        row.tags = vec![("ticket".to_owned(), format!("t-{}", n % 700))];
        row.headers = vec![("x-team".to_owned(), format!("{}", n % 3))];
        row
    }));
    writer(&folder).handle().put(rows);
    let connection = db::open_writer(folder.path(), db::BUSY).unwrap();
    let zones = |sql: &str| -> Vec<Vec<Value>> {
        let mut statement = connection.prepare(sql).unwrap();
        let count = statement.column_count();
        let rows = statement.query_map([], |row| (0..count).map(|at| row.get(at)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    };
    // Members of lists became words in the course of it.
    let rows = "SELECT field, value, block FROM zones WHERE field NOT IN (17, 18, 19)";
    let filters =
        "SELECT field, block, words, bits FROM zone_filters WHERE field NOT IN (17, 18, 19)";
    let before = (zones(rows), zones(filters));
    assert!(before.1.iter().any(|filter| filter[2] == Value::Integer(1)), "users are many");
    crate::store::rezone::all(&connection).unwrap();
    assert_eq!((zones(rows), zones(filters)), before);
    let others = "exchanges WHERE run_id IS NULL AND user_label NOT GLOB 'user-*' IS NOT FALSE";
    let others = usize::try_from(count(&connection, others)).unwrap();
    for (text, expected) in [
        ("tag.ticket:t-5", 3),
        ("tag.ticket:t-699", 2),
        ("user:USER-7", 5),
        ("user:user-29?", 50),
        ("header.x-team:2", 500),
        ("-user:user-*", others),
    ] {
        let query = Query::parse(text, 0).unwrap();
        let reader = Reader::open(folder.path()).unwrap();
        let found = reader.list(&query, &Page::newest(10_000)).unwrap().len();
        assert_eq!(found, expected, "{text}");
    }
}
