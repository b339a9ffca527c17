//! A made-up run that is the same every time: a baseline, a slower target with wrong arguments, one that is the baseline's twin, and
//! the captured originals beside them.

#![expect(clippy::cast_sign_loss, reason = "all numbers of the made-up run are positive")]

use std::collections::BTreeMap;

use pinhole_replay::outcome::{Answer, Arrival, Call, What};
use pinhole_replay::plan::Step;
use pinhole_replay::recording::{Fault, Usage};
use pinhole_replay::report::{
    Answers, Comparison, Judge, Plan, Report, SCHEMA, Schedule, Summary, Target, Verdict, Worst,
};
use pinhole_replay::row::{CAPTURED, Likeness, Metrics, Row};

pub(crate) const TARGETS: [&str; 3] = ["fake/fast", "fake/slow", "fake/twin"];
const METRICS: [&str; 8] =
    ["ttft", "ttfo", "tpot", "gap_p99", "e2e", "speed", "cost", "output_tokens"];
const SESSION_TURNS: u32 = 10;

/// Numbers that look random: a multiplicative generator, good enough to scatter points.
struct Dice(u64);

impl Dice {
    fn share(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }

    /// About normal, of variance 1.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.share()).sum();
        sum - 6.0
    }
}

/// Rows of `pairs` recordings to all targets and of the captured originals.
pub(crate) fn rows(pairs: u32) -> Vec<Row> {
    let mut dice = Dice(7);
    let mut rows = Vec::new();
    for pair in 0..pairs {
        let size = (dice.normal() * 0.5).exp();
        let tokens = (120.0 * size).round().max(8.0);
        for target in [None, Some(0), Some(1), Some(2)] {
            rows.push(row(&mut dice, pair, target, size, tokens));
        }
    }
    rows
}

fn row(dice: &mut Dice, pair: u32, target: Option<u16>, size: f64, tokens: f64) -> Row {
    let slow = if target == Some(1) { 1.15 } else { 1.0 };
    let wobble = |dice: &mut Dice| (dice.normal() * 0.06).exp();
    let ttft = 0.41 * size.sqrt() * slow * wobble(dice);
    let tpot = 0.0185 * wobble(dice);
    let intended = u64::from(pair) * 250_000 + u64::from(target.unwrap_or(0)) * 60_000;
    let lag = (dice.share() * 900.0) as u64;
    let e2e = ttft + tpot * (tokens - 1.0) + 0.002;
    let us = |seconds: f64| (seconds * 1e6) as u64;
    let mut row = Row {
        pair,
        target,
        of: format!("0193e0a0-0000-7000-8000-{pair:012}"),
        session: Some(format!("session-{:02}", pair / SESSION_TURNS)),
        id: target.map(|target| format!("0193e0b{target}-0000-7000-8000-{pair:012}")),
        status: Some(200),
        intended_us: intended,
        sent_us: intended + lag,
        ended_us: intended + us(e2e),
        finish: Some("stop".to_owned()),
        chars: (tokens * 4.0) as u64,
        ..Row::default()
    };
    let failed = target == Some(1) && matches!(pair, 37 | 38 | 39 | 80);
    if failed {
        row.status = Some(529);
        row.error = Some(Fault {
            source: "upstream".to_owned(),
            kind: "overloaded".to_owned(),
            detail: None,
        });
        return row;
    }
    let cost = (900.0 * size * 0.25 + tokens * 2.0) * 1e-6 * if slow > 1.0 { 0.8 } else { 1.0 };
    row.metrics = Metrics {
        ttft: Some(ttft),
        ttfo: Some(ttft * 1.02),
        tpot: Some(tpot),
        gap_p50: Some(tpot * 4.0),
        gap_p99: Some(tpot * 11.0 * wobble(dice)),
        e2e: Some(e2e),
        speed: Some(tokens / e2e),
        cost: Some(cost),
        output_tokens: Some(tokens),
        ..Metrics::default()
    };
    row.cost_nanousd = Some((cost * 1e9) as i64);
    row.usage = Some(Usage {
        input: Some((900.0 * size) as i64),
        output: Some(tokens as i64),
        cache_read: Some(512),
        source: Some("provider".to_owned()),
        ..Usage::default()
    });
    row.arrivals = arrivals(dice, intended, ttft, tpot, tokens);
    row.likeness =
        target.filter(|target| *target > 0).map(|_| likeness(slow > 1.0 && pair % 10 == 3));
    row
}

fn arrivals(dice: &mut Dice, intended: u64, ttft: f64, tpot: f64, tokens: f64) -> Vec<Arrival> {
    let pieces = (tokens / 4.0).ceil() as usize;
    let mut at = ttft;
    let mut out = Vec::new();
    for piece in 0..pieces {
        let what = match piece * 10 / pieces {
            0 | 1 => What::Reasoning,
            2..=7 => What::Text,
            _ => What::Call,
        };
        out.push(Arrival { at_us: intended + (at * 1e6) as u64, what });
        at += tpot * 4.0 * (0.4 + dice.share() * 1.2);
    }
    out
}

fn likeness(wrong: bool) -> Likeness {
    let share = if wrong { 0.0 } else { 1.0 };
    Likeness {
        exact: !wrong,
        normalised: !wrong,
        calls_precision: Some(share),
        calls_recall: Some(share),
        calls_f1: Some(share),
        names_f1: Some(1.0),
        calls_in_order: Some(!wrong),
        same_finish: true,
        length_ratio: Some(1.0),
        ..Likeness::default()
    }
}

fn metric(row: &Row, name: &str) -> Option<f64> {
    let metrics = &row.metrics;
    match name {
        "ttft" => metrics.ttft,
        "ttfo" => metrics.ttfo,
        "tpot" => metrics.tpot,
        "gap_p99" => metrics.gap_p99,
        "e2e" => metrics.e2e,
        "speed" => metrics.speed,
        "cost" => metrics.cost,
        "output_tokens" => metrics.output_tokens,
        _ => None,
    }
}

/// Three rates, the last of them too much for the slow one.
fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for (rate, slow) in [(5.0, 0.47), (10.0, 0.49), (20.0, 2.9)] {
        for (target, ttft) in [(TARGETS[0], 0.41), (TARGETS[1], slow)] {
            let is_too_much = ttft > 1.0;
            let why = "at 20/s the time to the first token grows 6.1 times, over 2";
            steps.push(Step {
                rate_per_s: rate,
                target: target.to_owned(),
                n: 200,
                errors: if is_too_much { 0.035 } else { 0.0 },
                lag_p99_us: 900,
                per_s: rate / if is_too_much { 3.1 } else { 2.05 },
                ttft_p50: Some(ttft),
                ttft_p99: Some(ttft * 2.2),
                ttft_growth: is_too_much.then_some(6.1),
                stopped: is_too_much.then(|| why.to_owned()),
            });
        }
    }
    steps
}

/// The report of rows made by [`rows`], with rougher statistics than the real ones.
pub(crate) fn report(rows: &[Row]) -> Report {
    let columns = [None, Some(0), Some(1), Some(2)];
    let targets = columns.into_iter().map(|column| target(rows, column)).collect();
    let recordings = rows.iter().map(|row| row.pair + 1).max().unwrap_or(0);
    Report {
        steps: steps(),
        judge: Some(Judge {
            target: "fake/judge".to_owned(),
            asked: 480,
            failed: 3,
            inconsistent: 21,
            cost_usd: Some(0.42),
        }),
        gates: Vec::new(),
        schema: SCHEMA,
        run_id: "0193e0b0-1111-7000-8000-000000000001".to_owned(),
        started_at_us: 1_795_190_400_000_000,
        duration_us: rows.iter().map(|row| row.ended_us).max().unwrap_or(0),
        ended: "whole".to_owned(),
        baseline: TARGETS[0].to_owned(),
        interleaved: true,
        plan: Plan {
            from: "session:checkout since:2d".to_owned(),
            pace: "recorded at 2x".to_owned(),
            context: "verbatim".to_owned(),
            cache: "as is".to_owned(),
            repeat: 1,
            warmup: 4,
            seed: 42,
            margin: 0.05,
            polite: false,
        },
        recordings: u64::from(recordings),
        left_out: BTreeMap::from([("redacted".to_owned(), 3)]),
        sessions: u64::from(recordings.div_ceil(SESSION_TURNS)),
        targets,
        schedule: Schedule { lag_p50_us: 410, lag_p99_us: 880, lag_max_us: 897, degraded: false },
        environment: BTreeMap::from([
            ("pinhole".to_owned(), "0.1.0".to_owned()),
            ("system".to_owned(), "linux x86_64, 2 cores".to_owned()),
        ]),
        notes: vec![
            "3 recordings were left out: redacted.".to_owned(),
            "The judge (fake/judge) was asked 480 times, two for each pair: 3 questions brought no verdict, 21 pairs another one \
             in the other order. It cost $0.4200, which is in no target's cost."
                .to_owned(),
            "Prices are those of the catalogue of 2026-11-01.".to_owned(),
        ],
        formulas: BTreeMap::from([
            ("ttft".to_owned(), "c1 − t0".to_owned()),
            ("tpot".to_owned(), "(cm − c1)/(N − 1), N ≥ 2".to_owned()),
            ("e2e".to_owned(), "end − t0".to_owned()),
            ("speed".to_owned(), "N/e2e".to_owned()),
        ]),
    }
}

fn target(rows: &[Row], column: Option<u16>) -> Target {
    let own: Vec<&Row> = rows.iter().filter(|row| row.target == column).collect();
    let good = || own.iter().filter(|row| row.is_good());
    let errors = own.len() - good().count();
    let name = column.map_or(CAPTURED, |column| TARGETS[usize::from(column)]);
    let sum = |of: fn(&Usage) -> Option<i64>| {
        let all = good().filter_map(|row| of(row.usage.as_ref()?));
        u64::try_from(all.sum::<i64>()).unwrap_or(0)
    };
    let against = column.filter(|column| *column > 0);
    let comparisons = against.map_or(Vec::new(), |column| {
        METRICS.iter().filter_map(|metric| comparison(rows, column, metric)).collect()
    });
    Target {
        target: name.to_owned(),
        n: own.len() as u64,
        errors: errors as u64,
        errors_by_kind: (errors > 0)
            .then(|| ("upstream overloaded".to_owned(), errors as u64))
            .into_iter()
            .collect(),
        cost_usd: (good().count() > 0).then(|| good().filter_map(|row| row.metrics.cost).sum()),
        input_tokens: sum(|usage| usage.input),
        cached_tokens: sum(|usage| usage.cache_read),
        output_tokens: sum(|usage| usage.output),
        metrics: METRICS
            .iter()
            .filter_map(|metric| Some(((*metric).to_owned(), summary(&own, metric)?)))
            .collect(),
        elsewhere: BTreeMap::from([
            ("guidellm tpot".to_owned(), 0.026),
            ("vllm ttft".to_owned(), 0.06),
        ]),
        comparisons,
        answers: against.filter(|_| !own.is_empty()).map(|column| answers(&own, column)),
        ..Target::default()
    }
}

fn summary(rows: &[&Row], name: &str) -> Option<Summary> {
    let mut values: Vec<f64> = rows.iter().filter_map(|row| metric(row, name)).collect();
    values.sort_by(f64::total_cmp);
    let at =
        |share: f64| values.get((values.len().saturating_sub(1) as f64 * share) as usize).copied();
    let n = values.len() as u64;
    Some(Summary {
        n,
        mean: values.iter().sum::<f64>() / n as f64,
        p50: at(0.5).filter(|_| n > 0)?,
        p90: at(0.9).filter(|_| n >= 20),
        p95: at(0.95).filter(|_| n >= 40),
        p99: at(0.99).filter(|_| n >= 200),
        min: *values.first()?,
        max: *values.last()?,
        ..Summary::default()
    })
    .filter(|_| n > 0)
}

fn comparison(rows: &[Row], column: u16, name: &str) -> Option<Comparison> {
    let of = |column: u16| {
        let own = rows.iter().filter(move |row| row.target == Some(column));
        own.filter_map(|row| Some((row.pair, metric(row, name)?))).collect::<BTreeMap<u32, f64>>()
    };
    let (base, other) = (of(0), of(column));
    let logs: Vec<f64> =
        other.iter().filter_map(|(pair, value)| Some((value / base.get(pair)?).ln())).collect();
    if logs.len() < 2 {
        return None;
    }
    let n = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / n;
    let spread = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    let (low, high) = ((mean - 1.96 * spread).exp(), (mean + 1.96 * spread).exp());
    let more_is_better = name == "speed";
    let verdict = match () {
        () if low > 1.0 / 1.05 && high < 1.05 => Verdict::Same,
        () if low > 1.0 && !more_is_better || high < 1.0 && more_is_better => Verdict::Slower,
        () if low > 1.0 || high < 1.0 => Verdict::Faster,
        () => Verdict::Undecided,
    };
    Some(Comparison {
        metric: name.to_owned(),
        ratio: mean.exp(),
        ci95: [low, high],
        n: logs.len() as u64,
        sessions: 12,
        resampled_by: "session".to_owned(),
        mde: Some((2.8 * spread).exp()),
        verdict,
        p: Some(0.004),
        p_holm: Some(0.032),
        shift: Some(mean * 0.4),
        shift_ci95: Some([mean * 0.3, mean * 0.5]),
        ..Comparison::default()
    })
}

fn answers(rows: &[&Row], column: u16) -> Answers {
    let all: Vec<Likeness> = rows.iter().filter_map(|row| row.likeness).collect();
    let n = all.len().max(1) as f64;
    let exact = all.iter().filter(|like| like.exact).count() as f64 / n;
    let differ = |row: &&&Row| row.likeness.is_some_and(|like| !like.exact);
    Answers {
        n: all.len() as u64,
        exact,
        normalised: exact,
        tool_calls_precision: Some(exact),
        tool_calls_recall: Some(exact),
        tool_calls_f1: Some(exact),
        tool_names_f1: Some(1.0),
        tool_calls_in_order: Some(exact),
        same_finish: 1.0,
        length_ratio: Some(1.0),
        only_baseline_good: rows.iter().filter(|row| !row.is_good()).count() as u64,
        mcnemar_p: (column == 1).then_some(0.125),
        worst: rows.iter().filter(differ).map(|row| worst(row)).collect(),
        ..Answers::default()
    }
}

fn worst(row: &Row) -> Worst {
    Worst {
        of: row.of.clone(),
        baseline_id: Some(format!("0193e0b0-0000-7000-8000-{:012}", row.pair)),
        target_id: row.id.clone(),
        difference: 0.5,
        why: "arguments of get_weather differ".to_owned(),
    }
}

/// The answer of an exchange of [`rows`].
#[expect(clippy::unnecessary_wraps, reason = "of a store, which may not have it")]
pub(crate) fn answer(id: &str) -> Option<Answer> {
    let slow = id.starts_with("0193e0b1");
    let city = if slow { "Lyon" } else { "Paris" };
    let sky = if slow { "a little cloudy with some wind" } else { "clear and calm" };
    Some(Answer {
        text: format!(
            "I will look up the weather for you.\n\nThe sky over {city} is {sky}; take a coat in the evening."
        ),
        reasoning: "The user wants the weather. One call is enough.".to_owned(),
        calls: vec![Call {
            name: "get_weather".to_owned(),
            arguments: format!("{{\"city\":\"{city}\",\"unit\":\"celsius\",\"days\":3}}"),
        }],
        finish: Some("tool_calls".to_owned()),
        ..Answer::default()
    })
}
