//! The statistics, and what keeps to a schema, as a program, for judges that are written in another language: reads one JSON question a line, writes one
//! JSON answer a line. With `bench` it measures what a large run's comparisons cost.

use std::error::Error;
use std::io::{BufRead, Write};

use pinhole_replay::answers::schema::{Keeps, keeps};
use pinhole_replay::dice::Dice;
use pinhole_replay::measure::METRICS;
use pinhole_replay::stats::{self, Difference, Options, Pair};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    Summary { values: Vec<f64> },
    SignedRanks { values: Vec<f64>, clusters: Vec<u32> },
    Mcnemar { only_base: u64, only_new: u64 },
    Holm { p: Vec<f64> },
    Keeps { schema: Value, value: Value },
    Compare { metric: String, pairs: Vec<(f64, f64, u32, u32)>, seed: u64 },
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    if std::env::args().nth(1).as_deref() == Some("bench") {
        return bench(&mut out);
    }
    for line in std::io::stdin().lock().lines() {
        let answer = answer(serde_json::from_str(&line?)?)?;
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn answer(question: Question) -> serde_json::Result<Value> {
    Ok(match question {
        Question::Summary { mut values } => serde_json::to_value(stats::summary(&mut values))?,
        Question::SignedRanks { values, clusters } => {
            let pair = |(value, cluster)| Difference { value, cluster };
            let differences: Vec<Difference> = values.into_iter().zip(clusters).map(pair).collect();
            let shift = stats::shift(&differences);
            json!({
                "p": stats::wilcoxon(&differences),
                "estimate": shift.map(|shift| shift.estimate),
                "ci95": shift.and_then(|shift| shift.ci95),
            })
        }
        Question::Mcnemar { only_base, only_new } => json!(stats::mcnemar(only_base, only_new)),
        Question::Holm { p } => json!(stats::holm(&p)),
        Question::Keeps { schema, value } => match keeps(&schema, &value) {
            Keeps::Yes => json!(true),
            Keeps::No => json!(false),
            Keeps::Unknown => Value::Null,
        },
        Question::Compare { metric, pairs, seed } => {
            let pair = |(base, new, session, exchange)| Pair { base, new, session, exchange };
            let pairs: Vec<Pair> = pairs.into_iter().map(pair).collect();
            let options = Options { seed, ..Options::default() };
            serde_json::to_value(stats::compare(&metric, &pairs, &options))?
        }
    })
}

/// 10,000 pairs of ten metrics: the worst shape, each pair a session of its own, and a common one.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn bench(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    const PAIRS: u32 = 10_000;
    for per_session in [1, 10] {
        let mut dice = Dice::new(1);
        let mut draw = || -> Vec<Pair> {
            (0..PAIRS)
                .map(|n| {
                    let base = (0.8 * dice.normal()).exp();
                    let new = base * (0.3 * dice.normal()).exp();
                    Pair { base, new, session: n / per_session, exchange: n }
                })
                .collect()
        };
        let data: Vec<Vec<Pair>> = (0..10).map(|_| draw()).collect();
        let metrics: Vec<(&str, &[Pair])> = METRICS
            .iter()
            .zip(&data)
            .map(|(metric, pairs)| (metric.name, pairs.as_slice()))
            .collect();
        let started = std::time::Instant::now();
        let comparisons = stats::compare_all(&metrics, &Options::default());
        let took = started.elapsed();
        writeln!(
            out,
            "{PAIRS} pairs in {} sessions, {} metrics, 10,000 resamples: {took:.2?}",
            PAIRS / per_session,
            comparisons.len()
        )?;
    }
    Ok(())
}
