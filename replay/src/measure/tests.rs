//! One stream and what is made of it, here and elsewhere.

use super::*;
use crate::elsewhere;
use crate::outcome::{Answer, Call};
use crate::recording::{Fault, Usage};
use crate::row::Job;

fn usage(output: i64) -> Usage {
    Usage { output: Some(output), source: Some("provider".to_owned()), ..Usage::default() }
}

/// A role at 60 ms, ten contents of five tokens each from 400 to 1,300 ms, the end at 1,320 ms; sent at `sent_us`, 5 ms late.
fn stream(sent_us: u64) -> Outcome {
    let content = |n: u64| Arrival { at_us: sent_us + 400_000 + n * 100_000, what: What::Text };
    Outcome {
        status: Some(200),
        intended_us: sent_us - 5_000,
        sent_us,
        ended_us: sent_us + 1_320_000,
        first_event_us: Some(sent_us + 60_000),
        contents: (0..10).map(content).collect(),
        streamed: true,
        usage: Some(usage(50)),
        cost_nanousd: Some(1_500_000),
        answer: Answer { text: "x".repeat(265), ..Answer::default() },
        ..Outcome::default()
    }
}

fn close(got: Option<f64>, wanted: f64) {
    let got = got.unwrap();
    assert!((got - wanted).abs() < 1e-9 * wanted.abs().max(1.0), "{got} is not {wanted}");
}

#[test]
fn one_stream_by_our_formulas() {
    let m = metrics(&stream(7_000_000));
    close(m.ttft, 0.405);
    close(m.ttfo, 0.405);
    close(m.tpot, 0.9 / 49.0);
    close(m.gap_p50, 0.1);
    close(m.gap_p99, 0.1);
    close(m.gap_max, 0.1);
    close(m.e2e, 1.325);
    close(m.speed, 50.0 / 1.325);
    close(m.chars_per_s, 200.0);
    close(m.cost, 0.0015);
    close(m.output_tokens, 50.0);
    close(m.service_ttft, 0.4);
    close(m.service_ttfo, 0.4);
    close(m.service_e2e, 1.32);
    close(m.service_speed, 50.0 / 1.32);
    assert_eq!((m.reference_tokens, m.cached_tokens), (None, None));
}

/// The stream on which four tools give five answers.
#[test]
fn one_stream_by_the_formulas_of_others() {
    let outcome = stream(7_000_000);
    let mut row = Row::begin(Job { pair: 0, target: Some(0), repeat: 0 }, "a", None, &outcome);
    row.metrics = metrics(&outcome);
    let mut sums = elsewhere::Sums::default();
    sums.add(&elsewhere::Stream::of(&row).unwrap());
    let numbers = sums.numbers();
    let check = |name: &str, wanted: f64, digits: i32| {
        let got = numbers[name];
        let unit = 10_f64.powi(-digits);
        assert!((got - wanted).abs() <= 0.5 * unit + 1e-9, "{name}: {got} is not {wanted}");
    };
    check("aiperf.time_to_first_token", 400.0, 6);
    check("aiperf.inter_token_latency", 18.4, 1);
    check("aiperf.inter_chunk_latency", 100.0, 6);
    check("aiperf.output_token_throughput_per_user", 54.4, 1);
    check("aiperf.e2e_output_token_throughput", 38.5, 1);
    check("aiperf.request_latency", 1_300.0, 6);
    check("guidellm.time_to_first_token_ms", 400.0, 6);
    check("guidellm.inter_token_latency_ms", 18.4, 1);
    check("guidellm.time_per_output_token_ms", 26.0, 1);
    check("guidellm.tokens_per_second", 37.9, 1);
    check("vllm.mean_ttft_ms", 60.0, 6);
    check("vllm.mean_itl_ms", 124.0, 6);
    check("vllm.mean_tpot_ms", 25.3, 1);
    check("vllm.mean_e2el_ms", 1_300.0, 6);
    check("llmperf.ttft_s", 0.4, 6);
    check("llmperf.inter_token_latency_s", 0.026, 6);
    check("llmperf.request_output_throughput_token_per_s", 37.9, 1);
    assert_eq!(numbers.len(), elsewhere::NUMBERS.len());
}

#[test]
fn only_a_stream_has_times_to_its_contents() {
    let whole = metrics(&Outcome { streamed: false, ..stream(7_000_000) });
    assert_eq!((whole.ttft, whole.ttfo, whole.tpot, whole.gap_max), (None, None, None, None));
    assert_eq!((whole.service_ttft, whole.service_ttfo), (None, None));
    close(whole.e2e, 1.325);
    close(whole.speed, 50.0 / 1.325);
    let silent = metrics(&Outcome { contents: Vec::new(), ..stream(7_000_000) });
    assert_eq!((silent.ttft, silent.gap_p50), (None, None));
}

#[test]
fn reasoning_is_a_first_token_and_no_first_answer() {
    let mut outcome = stream(7_000_000);
    outcome.contents[0].what = What::Reasoning;
    outcome.contents[1].what = What::Reasoning;
    outcome.contents[2].what = What::Call;
    let m = metrics(&outcome);
    close(m.ttft, 0.405);
    close(m.ttfo, 0.605);
    outcome.contents.iter_mut().for_each(|content| content.what = What::Reasoning);
    assert_eq!(metrics(&outcome).ttfo, None);
}

#[test]
fn a_pace_needs_two_tokens_and_two_instants() {
    let with = |change: fn(&mut Outcome)| {
        let mut outcome = stream(7_000_000);
        change(&mut outcome);
        metrics(&outcome)
    };
    assert_eq!(with(|o| o.usage = Some(usage(1))).tpot, None);
    close(with(|o| o.usage = Some(usage(2))).tpot, 0.9);
    let one = with(|o| o.contents.truncate(1));
    assert_eq!((one.tpot, one.gap_max), (None, None));
    close(one.ttft, 0.405);
    let at_once = with(|o| o.contents.iter_mut().for_each(|content| content.at_us = 8_000_000));
    assert_eq!((at_once.tpot, at_once.gap_max), (None, Some(0.0)));
}

#[test]
fn n_is_the_providers_word() {
    let estimated = Usage { source: Some("estimated".to_owned()), ..usage(50) };
    for usage in [None, Some(estimated), Some(Usage::default())] {
        let m = metrics(&Outcome { usage, reference_tokens: Some(48), ..stream(7_000_000) });
        assert_eq!((m.output_tokens, m.tpot, m.speed, m.service_speed), (None, None, None, None));
        close(m.reference_tokens, 48.0);
        close(m.chars_per_s, 200.0);
    }
}

#[test]
fn what_failed_has_no_times() {
    let fault = Some(Fault { kind: "upstream_reset".to_owned(), ..Fault::default() });
    for bad in [
        Outcome { status: Some(429), ..stream(7_000_000) },
        Outcome { status: None, ..stream(7_000_000) },
        Outcome { error: fault, ..stream(7_000_000) },
    ] {
        assert_eq!(metrics(&bad), Metrics::default());
    }
}

#[test]
fn characters_are_those_of_text_reasoning_and_arguments() {
    let answer = Answer {
        text: "größer".to_owned(),
        reasoning: "hm".to_owned(),
        calls: vec![Call { name: "not counted".to_owned(), arguments: "{\"a\":1}".to_owned() }],
        ..Answer::default()
    };
    assert_eq!(Row::chars(&answer), 6 + 2 + 7);
}

#[test]
fn every_metric_is_in_the_table_and_has_a_formula() {
    assert_eq!(FORMULAS.len(), METRICS.len());
    let all = serde_json::to_value(Metrics {
        reference_tokens: Some(1.0),
        cached_tokens: Some(1.0),
        ..metrics(&stream(7_000_000))
    })
    .unwrap();
    let names: Vec<&str> = all.as_object().unwrap().keys().map(String::as_str).collect();
    let table: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), table.len());
    assert!(names.iter().all(|name| table.contains(name)), "{names:?}");
    for name in ["ttft", "ttfo", "tpot", "gap_p99", "e2e", "speed", "cost", "output_tokens"] {
        assert!(metric(name).unwrap().published, "{name}");
    }
}
