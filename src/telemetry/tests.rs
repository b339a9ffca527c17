//! What an exchange adds to which series, and what it must never do to them.

#![expect(clippy::float_cmp, reason = "counts are whole, and sums of one observation are exact")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::StatusCode;

use crate::base::money::Nanodollars;
use crate::exchange::attempt::{Link, RateLimit};
use crate::exchange::outcome::Outcome;
use crate::exchange::signal::Signal;
use crate::exchange::summary::{Account, Cost, Gaps, Tally, Times};
use crate::exchange::{Blame, Exchange, fixture};
use crate::neutral::failure::{Code, Source};
use crate::neutral::reading::{Billing, Reading, ToolCalls};
use crate::neutral::usage::{Oddity, Usage, UsageSource};
use crate::telemetry::instruments::{Configured, Telemetry};
use crate::telemetry::metrics::{Metric, Origin, TABLE};
use crate::telemetry::openmetrics::{Form, render};
use crate::telemetry::record::Meter;

const SERIES_MAX: usize = 10_000;

struct Bench {
    telemetry: Arc<Telemetry>,
    meter: Meter,
}

impl Bench {
    fn new(series_max: usize) -> Self {
        let telemetry = Telemetry::new(series_max).unwrap();
        telemetry.configure(providers(&[("openai", &["key-1", "key-2"])]));
        Self { meter: Meter::new(Arc::clone(&telemetry)), telemetry }
    }

    fn recorded(exchanges: &[Exchange]) -> Self {
        let mut bench = Self::new(SERIES_MAX);
        for exchange in exchanges {
            bench.meter.record(exchange);
        }
        bench
    }

    fn text(&self) -> String {
        render(Form::Text, &self.telemetry.gather())
    }

    /// The value of the only sample whose line begins so.
    #[track_caller]
    fn value(&self, beginning: &str) -> f64 {
        let text = self.text();
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with(beginning)).collect();
        assert_eq!(found.len(), 1, "{beginning} in {found:?}");
        found[0].rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    fn sum(&self, beginning: &str) -> f64 {
        let text = self.text();
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn has(&self, beginning: &str) -> bool {
        self.text().lines().any(|line| line.starts_with(beginning))
    }
}

fn providers(list: &[(&str, &[&str])]) -> Configured {
    let keys = |keys: &[&str]| keys.iter().map(|key| Arc::from(*key)).collect();
    Configured(list.iter().map(|(id, own)| (Arc::from(*id), keys(own))).collect())
}

fn complete() -> Exchange {
    let mut exchange = fixture::exchange();
    exchange.outcome = Outcome::Complete;
    exchange.ended_us = 2_000_000;
    exchange
}

fn tally(usage: Usage) -> Tally {
    Tally {
        reading: Reading { usage: Some(usage), ended: true, ..Reading::default() },
        usage: Some(usage),
        source: Some(UsageSource::Provider),
        ..Tally::default()
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

#[test]
fn an_exchange_is_counted_once_under_its_labels() {
    let bench = Bench::recorded(&[complete()]);
    let labels = r#"{dialect="openai_chat",operation="chat",provider="openai",model="gpt-5",status="200",outcome="complete"}"#;
    assert_eq!(bench.value(&format!("pinhole_requests_total{labels} ")), 1.0);
    assert_eq!(bench.sum("pinhole_requests_total"), 1.0);
    let labels = r#"{dialect="openai_chat",provider="openai",model="gpt-5",stream="true"}"#;
    assert_eq!(bench.value(&format!("pinhole_request_duration_seconds_sum{labels} ")), 2.0);
    let bucket = labels.replace('}', ",le=\"2.5\"}");
    assert_eq!(bench.value(&format!("pinhole_request_duration_seconds_bucket{bucket} ")), 1.0);
    let bucket = labels.replace('}', ",le=\"1.0\"}");
    assert_eq!(bench.value(&format!("pinhole_request_duration_seconds_bucket{bucket} ")), 0.0);
    let overhead = r#"pinhole_overhead_seconds_sum{dialect="openai_chat"} "#;
    assert_eq!(bench.value(overhead), 0.000_015);
    let attempts =
        r#"pinhole_upstream_attempts_total{provider="openai",model="gpt-5",result="ok"} "#;
    assert_eq!(bench.value(attempts), 1.0);
    assert_eq!(bench.value(r#"pinhole_connections_reused_total{provider="openai"} "#), 1.0);
    assert_eq!(bench.value("pinhole_series_collapsed_total "), 0.0);
}

#[test]
fn tokens_are_the_sum_of_what_providers_said() {
    let mut exchange = complete();
    exchange.attempts.push(fixture::exchange().attempts.remove(0));
    let cached = Usage { cache_read: Some(64), reasoning: Some(0), ..usage(100, 7) };
    exchange.summary.tallies = vec![tally(usage(100, 3)), tally(cached)];
    let bench = Bench::recorded(&[exchange, complete()]);
    let of = |kind: &str, source: &str| {
        format!(
            r#"pinhole_tokens_total{{provider="openai",model="gpt-5",type="{kind}",source="{source}"}} "#
        )
    };
    for (kind, count) in [("input", 200.0), ("output", 10.0), ("cache_read", 64.0)] {
        assert_eq!(bench.value(&of(kind, "provider")), count, "{kind}");
    }
    assert_eq!(bench.value(&of("reasoning", "provider")), 0.0, "zero is data");
    assert!(!bench.has(&of("cache_write", "provider")), "absence is absence");
    assert_eq!(bench.sum("pinhole_tokens_total"), 274.0, "nothing twice, nothing estimated");
}

#[test]
fn what_the_gateway_counted_stands_apart() {
    // Input came with the first event; the output was counted after the stream was cut.
    let mut part = tally(usage(100, 1));
    part.usage = Some(usage(100, 40));
    part.estimated = Usage { output: Some(40), ..Usage::default() };
    part.source = Some(UsageSource::Estimated);
    (part.partial, part.missing) = (true, true);
    let mut exchange = complete();
    exchange.summary.tallies = vec![part];
    let bench = Bench::recorded(&[exchange]);
    let of = |kind: &str, source: &str| {
        bench.sum(&format!(
            r#"pinhole_tokens_total{{provider="openai",model="gpt-5",type="{kind}",source="{source}"}}"#
        ))
    };
    assert_eq!((of("input", "provider"), of("input", "estimated")), (100.0, 0.0));
    assert_eq!((of("output", "provider"), of("output", "estimated")), (0.0, 40.0));
    let pair = r#"{provider="openai",model="gpt-5"} "#;
    assert_eq!(bench.value(&format!("pinhole_usage_missing_total{pair}")), 1.0);
    assert_eq!(bench.value(&format!("pinhole_usage_partial_total{pair}")), 1.0);
}

#[test]
fn what_lost_exchanges_cost_is_counted_all_the_same() {
    let mut account = Account::new(&Arc::from("openai"), &Arc::from("gpt-5"));
    for _ in 0..3 {
        account.add(&tally(usage(1_000_000_000, 2)));
    }
    let mut bench = Bench::new(SERIES_MAX);
    bench.meter.account(&account);
    assert_eq!(bench.sum("pinhole_tokens_total"), 3_000_000_006.0);
    assert!(!bench.has("pinhole_requests_total") && !bench.has("pinhole_cost_usd_total"));
}

#[test]
fn an_answer_fetched_again_is_not_counted_again() {
    let mut again = tally(usage(5, 6));
    (again.usage, again.source) = (None, None);
    again.reading.billing = Billing::Fetched;
    again.reading.tools = vec![ToolCalls { name: "search".to_owned(), calls: 2 }];
    let mut exchange = complete();
    exchange.summary.tallies = vec![again];
    let bench = Bench::recorded(&[exchange]);
    assert!(!bench.has("pinhole_tokens_total{") && !bench.has("pinhole_tool_calls_total{"));
}

#[test]
fn many_small_sums_add_up_exactly() {
    let mut exchange = complete();
    let cost = |nano| {
        let (basis, version) = (Arc::from("openai/gpt-5"), Arc::from("1"));
        Tally {
            cost: Some(Cost { amount: Nanodollars(nano), basis, version }),
            ..tally(usage(1, 1))
        }
    };
    exchange.summary.tallies = vec![cost(333)];
    let mut bench = Bench::new(SERIES_MAX);
    for _ in 0..100_000 {
        bench.meter.record(&exchange);
    }
    let sum = r#"pinhole_cost_usd_total{provider="openai",model="gpt-5"} "#;
    assert!(bench.text().contains(&format!("{sum}0.0333\n")), "{}", bench.value(sum));
}

#[test]
fn refusals_have_no_provider_and_no_word_of_the_client() {
    let mut exchange = complete();
    exchange.attempts.clear();
    exchange.model_requested = Some("junk".to_owned());
    exchange.outcome = Outcome::Rejected;
    exchange.status = Some(StatusCode::NOT_FOUND);
    exchange.failure = Some(Blame::of(Code::ModelNotFound, None));
    let mut limit = fixture::exchange();
    limit.attempts.clear();
    limit.status = Some(StatusCode::SERVICE_UNAVAILABLE);
    limit.outcome = Outcome::Rejected;
    limit.failure = Some(Blame::of(Code::Overloaded, None));
    let bench = Bench::recorded(&[exchange, limit]);
    let text = bench.text();
    assert!(!text.contains("junk"));
    let labels = r#"provider="none",model="other""#;
    let kind = r#"source="client",kind="model_not_found""#;
    assert_eq!(bench.value(&format!("pinhole_errors_total{{{labels},{kind}}} ")), 1.0);
    assert_eq!(bench.value(r#"pinhole_limit_rejections_total{reason="overloaded"} "#), 1.0);
    assert_eq!(bench.sum("pinhole_limit_rejections_total"), 1.0);
    assert_eq!(bench.value("pinhole_series_collapsed_total "), 2.0);
    assert!(!bench.has("pinhole_overhead_seconds"), "nothing was forwarded");
}

fn streamed() -> Exchange {
    let mut exchange = complete();
    exchange.summary.tallies = vec![tally(usage(10, 11))];
    exchange.summary.times = Times {
        first_byte_us: Some(100_000),
        first_content_us: Some(300_055),
        first_answer_us: Some(800_055),
        last_content_us: Some(1_300_055),
        contents: 9,
        gaps: Gaps { p50_us: 20_000, p99_us: 400_000, max_us: 400_000, stalls: 2 },
        overhead_us: 15,
    };
    exchange
}

#[test]
fn times_of_a_stream_follow_the_published_formulas() {
    let bench = Bench::recorded(&[streamed()]);
    let pair = r#"{provider="openai",model="gpt-5"} "#;
    for (name, seconds) in [
        ("time_to_first_token_seconds", 0.3),
        ("time_to_first_answer_token_seconds", 0.8),
        ("time_per_output_token_seconds", 0.1),
        ("stream_gap_max_seconds", 0.4),
    ] {
        assert_eq!(bench.value(&format!("pinhole_{name}_sum{pair}")), seconds, "{name}");
        assert_eq!(bench.value(&format!("pinhole_{name}_count{pair}")), 1.0, "{name}");
    }
    assert_eq!(bench.value(&format!("pinhole_stream_stalls_total{pair}")), 2.0);
}

#[test]
fn what_has_no_place_in_time_is_not_timed() {
    let mut document = streamed();
    document.attempts[0].events = false;
    let mut unasked = streamed();
    unasked.stream = false;
    let mut coded = streamed();
    coded.attempts[0].coding = Some("gzip".to_owned());
    let mut shed = streamed();
    shed.attempts[0].frames.push(300_055, &Bytes::from_static(b"data: {}\n\n"));
    shed.attempts[0].frames.shed();
    let bench = Bench::recorded(&[document, unasked, coded, shed]);
    for name in ["time_to_first_token", "time_per_output_token", "stream_gap_max", "stream_stalls"]
    {
        assert!(!bench.has(&format!("pinhole_{name}")), "{name}");
    }
    assert_eq!(bench.sum("pinhole_requests_total"), 4.0);
}

#[test]
fn the_pace_of_tokens_wants_the_providers_own_final_number() {
    let alter = |change: fn(&mut Tally)| {
        let mut exchange = streamed();
        change(&mut exchange.summary.tallies[0]);
        exchange
    };
    let bench = Bench::recorded(&[
        alter(|tally| tally.source = Some(UsageSource::Estimated)),
        alter(|tally| tally.partial = true),
        alter(|tally| tally.usage = Some(usage(10, 1))),
        alter(|tally| tally.usage = Some(usage(10, 0))),
        alter(|tally| tally.usage = None),
        alter(|tally| tally.usage = Some(usage(10, u64::MAX))),
    ]);
    assert!(!bench.has("pinhole_time_per_output_token_seconds"));
    assert_eq!(bench.sum("pinhole_time_to_first_token_seconds_count"), 6.0);
}

#[test]
fn hostile_numbers_spoil_no_sum() {
    let mut exchange = streamed();
    exchange.ended_us = u64::MAX;
    exchange.queued_us = u64::MAX;
    exchange.wall_us = u64::MAX;
    exchange.trace.sampled = true;
    let times = &mut exchange.summary.times;
    times.overhead_us = u64::MAX;
    times.first_content_us = Some(1);
    times.first_answer_us = Some(u64::MAX);
    times.last_content_us = Some(0);
    times.gaps = Gaps { max_us: u64::MAX, stalls: u32::MAX, ..Gaps::default() };
    let attempt = &mut exchange.attempts[0];
    attempt.sent_us = 55;
    attempt.head_us = Some(0);
    attempt.link = Link {
        resolve_us: u64::MAX,
        connect_us: u64::MAX,
        tls_us: u64::MAX,
        http: "nonsense",
        tls: Some("1.3"),
        ..Link::default()
    };
    attempt.rate_limit = RateLimit {
        tokens_limit: Some(u64::MAX),
        tokens_remaining: Some(0),
        ..RateLimit::default()
    };
    let bad = Usage { web_searches: Some(u64::MAX), ..usage(u64::MAX, u64::MAX) };
    let (basis, version) = (Arc::from("openai/gpt-5"), Arc::from("1"));
    let cost = Cost { amount: Nanodollars(i64::MIN), basis, version };
    exchange.summary.tallies = vec![Tally { cost: Some(cost), ..tally(bad) }];
    let bench = Bench::recorded(&[exchange, complete()]);
    for family in bench.telemetry.gather() {
        let text = render(Form::Text, std::slice::from_ref(&family));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let value: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let sum = line.contains("_sum");
            assert!(!sum || value < 10.0, "{line}");
        }
    }
    assert!(!bench.has("pinhole_tokens_total") && !bench.has("pinhole_cost_usd_total"));
    let limit = r#"pinhole_provider_rate_limit{provider="openai",kind="tokens"} "#;
    assert_eq!(bench.value(limit), i64::MAX as f64);
    let lost =
        bench.value(r#"pinhole_observations_lost_total{what="value",reason="implausible"} "#);
    // Duration, overhead, queue, three of the connection, first content, first answer, gap, two of tokens, cost.
    assert_eq!(lost, 12.0);
    assert_eq!(bench.sum("pinhole_requests_total"), 2.0);
}

#[test]
fn a_status_nobody_registered_has_no_series_of_its_own() {
    let statuses = (100..1_000).filter_map(|status| StatusCode::from_u16(status).ok());
    let exchanges: Vec<Exchange> = statuses
        .map(|status| {
            let mut exchange = complete();
            exchange.status = Some(status);
            exchange
        })
        .collect();
    let bench = Bench::recorded(&exchanges);
    let text = bench.text();
    let lines = text.lines().filter(|line| line.starts_with("pinhole_requests_total{"));
    assert!(lines.count() < 100);
    assert_eq!(bench.sum("pinhole_requests_total"), 900.0);
    assert!(text.contains("status=\"529\"") && text.contains("status=\"other\""));
}

fn failing(code: Code) -> Exchange {
    let mut exchange = complete();
    exchange.outcome = Outcome::UpstreamReset;
    exchange.attempts[0].status = None;
    exchange.attempts[0].failure = Some(Blame::of(code, None));
    exchange.failure = exchange.attempts[0].failure.clone();
    exchange
}

fn answering(status: u16) -> Exchange {
    let mut exchange = complete();
    exchange.attempts[0].status = StatusCode::from_u16(status).ok();
    exchange.attempts[0].key_label = Some("key-1".into());
    exchange
}

#[test]
fn a_provider_is_up_until_it_fails_and_after_it_answers() {
    let mut bench = Bench::new(SERIES_MAX);
    let up = r#"pinhole_provider_up{provider="openai"} "#;
    assert_eq!(bench.value(up), 1.0, "from the start");
    for (exchange, expected, result) in [
        (failing(Code::UpstreamUnreachable), 0.0, "unreachable"),
        (answering(200), 1.0, "ok"),
        (failing(Code::UpstreamConnectTimeout), 0.0, "timeout"),
        (answering(400), 1.0, "client_error"),
        (answering(503), 0.0, "server_error"),
        (answering(429), 1.0, "rate_limited"),
        (failing(Code::UpstreamReset), 0.0, "reset"),
        (failing(Code::UpstreamInvalid), 0.0, "invalid"),
    ] {
        bench.meter.record(&exchange);
        assert_eq!(bench.value(up), expected, "{result}");
        let attempts = format!(
            r#"pinhole_upstream_attempts_total{{provider="openai",model="gpt-5",result="{result}"}} "#
        );
        assert_eq!(bench.value(&attempts), 1.0);
    }
    let mut left = complete();
    left.outcome = Outcome::ClientCancelled;
    left.attempts[0].status = None;
    bench.meter.record(&left);
    assert_eq!(bench.value(up), 0.0, "nothing was seen");
}

#[test]
fn a_key_is_up_until_it_is_refused() {
    let mut bench = Bench::new(SERIES_MAX);
    let key = |at: u8| format!(r#"pinhole_key_up{{provider="openai",key="key-{at}"}} "#);
    for (status, expected) in [(401, 0.0), (500, 0.0), (200, 1.0), (403, 0.0), (429, 1.0)] {
        bench.meter.record(&answering(status));
        assert_eq!(bench.value(&key(1)), expected, "{status}");
        assert_eq!(bench.value(&key(2)), 1.0, "the other key");
    }
}

#[test]
fn a_provider_that_left_the_configuration_has_no_state() {
    let mut bench = Bench::new(SERIES_MAX);
    let mut limited = failing(Code::UpstreamUnreachable);
    limited.attempts[0].rate_limit.requests_limit = Some(60);
    bench.meter.record(&limited);
    let up = "pinhole_provider_up{provider=\"openai\"";
    assert!(bench.has(up) && bench.has("pinhole_provider_rate_limit{"));
    bench.telemetry.configure(providers(&[("openai", &["key-2"])]));
    assert_eq!(bench.value(up), 0.0, "a reload does not heal");
    assert!(!bench.has(r#"pinhole_key_up{provider="openai",key="key-1""#));
    bench.telemetry.configure(providers(&[("other", &[])]));
    bench.meter.record(&limited);
    assert!(!bench.has(up) && !bench.has("pinhole_provider_rate_limit{"), "not by a late answer");
    bench.telemetry.configure(providers(&[("openai", &[])]));
    assert_eq!(bench.value(up), 1.0, "come back, it begins anew");
    bench.meter.record(&limited);
    assert_eq!(bench.value(up), 0.0);
}

#[test]
fn only_sampled_traces_are_examples_and_the_newest_is() {
    let mut exchange = complete();
    let of = |exchanges: &[Exchange]| {
        let bench = Bench::recorded(exchanges);
        let text = render(Form::OpenMetrics, &bench.telemetry.gather());
        let lines = text.lines().filter(|line| line.starts_with("pinhole_request_duration"));
        let found: Vec<String> = lines
            .filter_map(|line| line.split_once(" # "))
            .map(|(_, one)| one.to_owned())
            .collect();
        found
    };
    assert!(of(&[complete()]).is_empty());
    exchange.trace.sampled = true;
    let mut newest = complete();
    newest.trace.sampled = true;
    let expected = format!("trace_id=\"{}\"", newest.trace.id);
    let found = of(&[exchange, newest, complete()]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(&expected) && found[0].contains("} 2 1763625602.123"), "{found:?}");
}

#[test]
fn past_the_budget_series_collapse_and_sums_stay_whole() {
    let mut bench = Bench::new(2_000);
    for at in 0..1_000 {
        let mut exchange = streamed();
        exchange.attempts[0].model_label = Arc::from(format!("model-{at}"));
        bench.meter.record(&exchange);
    }
    let series = bench.value("pinhole_series ");
    let own: usize = 200;
    assert!(series <= (2_000 + own) as f64, "{series}");
    assert_eq!(bench.sum("pinhole_requests_total"), 1_000.0);
    assert_eq!(bench.sum("pinhole_time_to_first_token_seconds_count"), 1_000.0);
    assert_eq!(bench.sum("pinhole_tokens_total"), 21_000.0);
    let collapsed = bench.value("pinhole_series_collapsed_total ");
    assert!(collapsed > 900.0 && collapsed < 1_000.0, "{collapsed}");
    let text = bench.text();
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(lines as f64, series, "it says how many there are");
}

#[test]
fn what_others_count_is_read_at_each_scrape() {
    let bench = Bench::new(SERIES_MAX);
    let stored = r#"pinhole_capture_exchanges_total{result="stored"} "#;
    assert_eq!(bench.value(stored), 0.0, "from the start");
    let count = Arc::new(AtomicU64::new(7));
    let own = Arc::clone(&count);
    let read = move || own.load(Ordering::Relaxed);
    bench.telemetry.watch(Metric::CaptureExchanges, &["stored"], read);
    assert_eq!(bench.value(stored), 7.0);
    count.store(9, Ordering::Relaxed);
    assert_eq!(bench.value(stored), 9.0);
    assert!(bench.text().contains("# TYPE pinhole_capture_exchanges_total counter\n"));
}

#[test]
fn a_request_is_in_flight_as_long_as_its_guard_lives() {
    let bench = Bench::new(SERIES_MAX);
    let gauge = bench.telemetry.gauge(Metric::InFlight, &["openai"]);
    let (one, two) = (gauge.enter(), gauge.enter());
    let shown = r#"pinhole_requests_in_flight{provider="openai"} "#;
    assert_eq!(bench.value(shown), 2.0);
    drop(one);
    assert_eq!(bench.value(shown), 1.0);
    drop(two);
    assert_eq!(bench.value(shown), 0.0);
}

/// Declared, and not brought by an exchange: by whom instead.
const NOT_BY_EXCHANGES: &[(Metric, &str)] = &[
    (Metric::InFlight, "the data path, while requests run"),
    (Metric::OtlpExports, "the exporter, where there is one"),
    (Metric::PriceListTimestamp, "the price list, when it is loaded"),
    (Metric::ReplayRequests, "runs of replays"),
    (Metric::ReplayCost, "runs of replays"),
    (Metric::ReplayFirstToken, "runs of replays"),
    (Metric::ReplayDuration, "runs of replays"),
    (Metric::ReplayLag, "runs of replays"),
];

#[test]
fn every_metric_declared_is_emitted() {
    let mut exchange = streamed();
    let (basis, version) = (Arc::from("openai/gpt-5"), Arc::from("1"));
    let mut all = tally(Usage { web_searches: Some(1), ..usage(10, 11) });
    all.reading.tools = vec![ToolCalls { name: "search".to_owned(), calls: 2 }];
    all.reading.oddities = vec![Oddity::Negative, Oddity::Fraction];
    all.cost = Some(Cost { amount: Nanodollars(1), basis, version });
    (all.missing, all.partial, all.unpriced) = (true, false, true);
    exchange.summary.tallies = vec![all];
    exchange.summary.signals.add(Signal::EmptyReply);
    exchange.summary.signals.add(Signal::Stall);
    exchange.failure =
        Some(Blame { source: Source::Upstream, kind: "upstream_rate_limit", detail: None });
    let attempt = &mut exchange.attempts[0];
    attempt.rate_limit = RateLimit {
        requests_limit: Some(60),
        requests_remaining: Some(59),
        ..RateLimit::default()
    };
    let mut opened = streamed();
    opened.summary.tallies[0].partial = true;
    opened.attempts[0].link =
        Link { http: "2", tls: Some("1.3"), connect_us: 700, ..Link::default() };
    let bench = Bench::recorded(&[exchange, opened]);
    let emitted: BTreeMap<&str, usize> =
        bench.telemetry.gather().iter().map(|family| (family.name, family.series())).collect();
    let excused: BTreeSet<Metric> = NOT_BY_EXCHANGES.iter().map(|(metric, _)| *metric).collect();
    for declaration in TABLE {
        let shown = emitted.get(declaration.name).copied().unwrap_or_default() > 0;
        let excused = excused.contains(&declaration.metric);
        assert_ne!(shown, excused, "{}", declaration.name);
        assert!(!excused || declaration.origin != Origin::Exchanges, "{}", declaration.name);
    }
    for (kind, count) in [("negative", 1.0), ("fraction", 1.0)] {
        let line = format!(r#"pinhole_usage_malformed_total{{provider="openai",kind="{kind}"}} "#);
        assert_eq!(bench.value(&line), count);
    }
    assert_eq!(bench.sum("pinhole_tool_calls_total"), 2.0);
    let stalls = r#"pinhole_signals_total{provider="openai",model="gpt-5",signal="stall"} "#;
    assert_eq!((bench.sum("pinhole_signals_total"), bench.value(stalls)), (2.0, 1.0));
    assert_eq!(
        bench.value(r#"pinhole_connections_opened_total{provider="openai",http="2"} "#),
        1.0
    );
}
