//! What a run will send and cost, before it sends anything: the recorded usage stands for what is to come. For `--dry-run`, the
//! question on the terminal, and the guard of `--max-cost`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Length;
use crate::engine::Setup;
use crate::recording::Recording;

/// Bytes of a request that are taken for one token where its usage was not recorded.
const BYTES_PER_TOKEN: u64 = 4;
/// Output of an answer whose usage was not recorded.
const OUTPUT_GUESS: u64 = 500;
/// The worst answer of a request without a cap: so many times what was recorded, and at least so many tokens.
const WORST_TIMES: u64 = 4;
const WORST_OUTPUT: u64 = 8_192;

/// What of a recording says what sending it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    pub input: u64,
    /// Of the input, what was read from a cache.
    pub cached: u64,
    pub output: u64,
    /// The cap that the request sets itself.
    pub cap: Option<u64>,
    /// The usage was not recorded.
    pub guessed: bool,
}

impl Sample {
    pub fn of(recording: &Recording) -> Self {
        let tokens = |value: Option<i64>| value.and_then(|tokens| u64::try_from(tokens).ok());
        let usage = recording.usage.as_ref();
        let input = usage.and_then(|usage| tokens(usage.input));
        let output = usage.and_then(|usage| tokens(usage.output));
        let bytes = recording.client_request().map_or(0, |whole| whole.bytes.len() as u64);
        Self {
            cached: usage.and_then(|usage| tokens(usage.cache_read)).unwrap_or_default(),
            cap: cap(recording),
            ..Self::known((input, output), bytes, &recording.operation)
        }
    }

    /// Of input and output as far as they were recorded, and a request of so many bytes.
    pub fn known((input, output): (Option<u64>, Option<u64>), bytes: u64, operation: &str) -> Self {
        // What writes nothing is billed no output, and often tells none.
        let is_silent = matches!(operation, "embeddings" | "count_tokens");
        let output = output.or(is_silent.then_some(0));
        Self {
            input: input.unwrap_or(bytes.div_ceil(BYTES_PER_TOKEN)),
            output: output.unwrap_or(OUTPUT_GUESS),
            guessed: input.is_none() || output.is_none(),
            ..Self::default()
        }
    }

    /// The most tokens that the answer can have.
    fn worst_output(&self, length: Length, overridden: Option<u64>) -> u64 {
        let own = overridden.or(self.cap);
        let capped = (length != Length::Free && !self.guessed).then_some(self.output);
        let free = (self.output * WORST_TIMES).max(WORST_OUTPUT);
        own.into_iter().chain(capped).min().unwrap_or(free)
    }
}

/// The cap that a request sets on its answer.
fn cap(recording: &Recording) -> Option<u64> {
    const PLACES: &[&str] = &[
        "/max_completion_tokens",
        "/max_tokens",
        "/max_output_tokens",
        "/generationConfig/maxOutputTokens",
    ];
    let whole = recording.client_request().filter(|whole| whole.coding.is_none())?;
    let body: Value = serde_json::from_slice(&whole.bytes).ok()?;
    PLACES.iter().find_map(|place| body.pointer(place)).and_then(Value::as_u64)
}

/// Billionths of a US dollar a token. Prices are the caller's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub input: f64,
    /// Of input that is read from a cache; `None`: as other input.
    pub cached: Option<f64>,
    pub output: f64,
}

impl Price {
    /// What so many tokens cost; of the input, `cached` are read from a cache.
    pub fn cost(&self, input: u64, cached: u64, output: u64) -> i64 {
        let cached = cached.min(input);
        let fresh = (input - cached) as f64 * self.input;
        let read = cached as f64 * self.cached.unwrap_or(self.input);
        (fresh + read + output as f64 * self.output).ceil() as i64
    }
}

/// What sending everything to one target will come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    pub target: String,
    /// With warm-ups, repeats and the sendings that warm a cache.
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// `None`: the target has no price.
    pub cost_nanousd: Option<i64>,
    /// If every answer is as long as it may be, and nothing is read from a cache.
    pub worst_nanousd: Option<i64>,
    /// Requests whose tokens are guessed.
    pub guessed: u64,
}

impl Estimate {
    /// Adds what another part of the run will come to.
    pub fn add(&mut self, other: &Self) {
        let sum = |one: Option<i64>, other: Option<i64>| Some(one?.saturating_add(other?));
        self.requests += other.requests;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_nanousd = sum(self.cost_nanousd, other.cost_nanousd);
        self.worst_nanousd = sum(self.worst_nanousd, other.worst_nanousd);
        self.guessed += other.guessed;
    }
}

/// All targets' estimates, from samples by the recordings' numbers. Prices are by target.
pub fn estimate(
    setup: &Setup,
    samples: &BTreeMap<u32, Sample>,
    prices: &[Option<Price>],
) -> Vec<Estimate> {
    let cues = setup.outline.cues();
    let each = if setup.cache == crate::context::Cache::Warm { 2 } else { 1 };
    let length = cues.len() as u64;
    let targets = setup.targets.iter().enumerate();
    targets
        .map(|(at, target)| {
            let price = prices.get(at).copied().flatten();
            let priced = price.map(|_| 0);
            let mut made = Estimate {
                target: target.to_string(),
                cost_nanousd: priced,
                worst_nanousd: priced,
                ..Estimate::default()
            };
            let overridden = overridden_cap(setup, at);
            for (place, cue) in (0..).zip(cues) {
                let sample = samples.get(&cue.pair).copied().unwrap_or_default();
                let repeats = (0..u64::from(setup.repeats))
                    .filter(|repeat| !setup.done.contains(repeat * length + place))
                    .count() as u64;
                let warmups = u64::from(place < u64::from(setup.warmup));
                add(&mut made, &sample, repeats * each + warmups, |sample| {
                    let output = sample.worst_output(setup.length, overridden);
                    (sample.output.min(output), output, price)
                });
            }
            made
        })
        .collect()
}

fn add(
    made: &mut Estimate,
    sample: &Sample,
    times: u64,
    rules: impl Fn(&Sample) -> (u64, u64, Option<Price>),
) {
    let (output, worst, price) = rules(sample);
    made.requests += times;
    made.input_tokens += sample.input * times;
    made.output_tokens += output * times;
    made.guessed += u64::from(sample.guessed) * times;
    let count = i64::try_from(times).unwrap_or(i64::MAX);
    let sum = |cost: i64, sum: Option<i64>| Some(sum?.saturating_add(cost.saturating_mul(count)));
    if let Some(price) = price {
        made.cost_nanousd = sum(price.cost(sample.input, sample.cached, output), made.cost_nanousd);
        made.worst_nanousd = sum(price.cost(sample.input, 0, worst), made.worst_nanousd);
    }
}

/// The most that one request can cost: what [`crate::engine::Budget`] asks for.
pub fn worst_nanousd(setup: &Setup, sample: &Sample, target: usize, price: Price) -> i64 {
    let output = sample.worst_output(setup.length, overridden_cap(setup, target));
    price.cost(sample.input, 0, output)
}

/// The cap that a target's parameters set.
fn overridden_cap(setup: &Setup, target: usize) -> Option<u64> {
    let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let target = setup.targets.get(target)?;
    let found = target.overrides.iter().find(|(name, _)| names.contains(&name.as_str()));
    found.and_then(|(_, value)| value.as_u64())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::context::{Cache, Context, parse_target};
    use crate::engine::Limits;
    use crate::pace::Pace;
    use crate::recording::{Body, Leg, Usage};
    use crate::schedule::{Beat, Groups, Outline};

    fn setup() -> Setup {
        let beat = |pair| Beat {
            pair,
            session: None,
            started_at_us: i64::from(pair),
            ended_at_us: i64::from(pair),
            depends: false,
        };
        let targets = ["p/a", "p/b?max_tokens=50"];
        Setup {
            outline: Arc::new(Outline::of((0..3).map(beat))),
            names: Arc::from([]),
            targets: targets.map(|target| parse_target(target).unwrap()).to_vec(),
            pace: Pace::default(),
            repeats: 2,
            warmup: 1,
            seed: 0,
            context: Context::Verbatim,
            cache: Cache::AsIs,
            length: Length::Free,
            polite: false,
            budget: None,
            done: Groups::default(),
            marker: String::new(),
            limits: Limits::default(),
        }
    }

    fn samples() -> BTreeMap<u32, Sample> {
        let sample = Sample { input: 1000, cached: 400, output: 100, ..Sample::default() };
        BTreeMap::from([
            (0, sample),
            (1, Sample { cap: Some(200), ..sample }),
            (2, Sample { guessed: true, ..sample }),
        ])
    }

    const PRICE: Price = Price { input: 10.0, cached: Some(1.0), output: 50.0 };

    #[test]
    fn an_estimate_counts_everything_that_is_sent() {
        let made = estimate(&setup(), &samples(), &[Some(PRICE), None]);
        // Three recordings twice, and the first once more.
        assert_eq!((made[0].requests, made[0].input_tokens, made[0].output_tokens), (7, 7000, 700));
        assert_eq!(made[0].cost_nanousd, Some(7 * (600 * 10 + 400 + 100 * 50)));
        let worst = 5 * (10_000 + 8192 * 50) + 2 * (10_000 + 200 * 50);
        assert_eq!((made[0].worst_nanousd, made[0].guessed), (Some(worst), 2));
        assert_eq!((made[1].cost_nanousd, made[1].worst_nanousd), (None, None), "no price, no sum");
        assert_eq!((made[1].target.as_str(), made[1].output_tokens), ("p/b?max_tokens=50", 350));

        let mut half = setup();
        (half.cache, half.warmup, half.length) = (Cache::Warm, 0, Length::Capped);
        for group in 0..3 {
            half.done.insert(group);
        }
        let made = estimate(&half, &samples(), &[Some(PRICE), Some(PRICE)]);
        assert_eq!(made[0].requests, 6, "what is done is not sent again, and each is sent twice");
        let worst = 4 * (10_000 + 100 * 50) + 2 * (10_000 + 8192 * 50);
        assert_eq!(made[0].worst_nanousd, Some(worst), "a guess is no cap");
        assert_eq!(worst_nanousd(&half, &samples()[&1], 1, PRICE), 10_000 + 50 * 50);
    }

    #[test]
    fn what_was_not_recorded_is_guessed_and_said_so() {
        let body = Body::of(br#"{"generationConfig":{"maxOutputTokens":77}}"#.to_vec());
        let mut recording =
            Recording { request: Leg { body, ..Leg::default() }, ..Recording::default() };
        let sample = Sample::of(&recording);
        assert_eq!((sample.input, sample.output, sample.cap), (11, 500, Some(77)));
        assert!(sample.guessed);
        assert_eq!(Sample::known((None, None), 42, "chat"), Sample { cap: None, ..sample });
        recording.usage = Some(Usage {
            input: Some(9),
            output: Some(3),
            cache_read: Some(2),
            ..Usage::default()
        });
        let sample = Sample::of(&recording);
        assert_eq!((sample.input, sample.cached, sample.output), (9, 2, 3));
        assert!(!sample.guessed);
    }
}
