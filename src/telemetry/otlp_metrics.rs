//! Metrics by OTLP, in the names and bounds of the semantic conventions. `/metrics` has more; these are for backends that
//! take no scrapes.
//!
//! Tokens are those that providers billed, each attempt with usage; estimates are left out, because the conventions have no
//! label to tell them apart by. `gen_ai.server.*` are the gateway's view: it is asked like a model server.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::summary::Tally;
use crate::neutral::kind::Operation;
use crate::neutral::usage::{Usage, UsageSource};
use crate::telemetry::call::{billed_operation, error};
use crate::telemetry::model::{Origin, Value, attempt_error, seconds};
use crate::telemetry::semconv as names;
use crate::telemetry::semconv::Profile;
use crate::telemetry::spans::{route, server_error};

const DURATION: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const FIRST: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const PER_TOKEN: [f64; 13] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
const HTTP: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The instruments of one profile.
pub struct Instruments {
    http_server: Histogram<f64>,
    http_client: Histogram<f64>,
    server_duration: Histogram<f64>,
    server_first: Histogram<f64>,
    server_per_token: Histogram<f64>,
    /// Of every model operation in v1.41, of others than inference in the newest names.
    operation: Histogram<f64>,
    first_chunk: Histogram<f64>,
    usage: UsageInstruments,
    /// `None` in v1.41.
    inference: Option<Histogram<f64>>,
}

/// Tokens: one histogram by type, or counters by kind and histograms.
enum UsageInstruments {
    V1_41(Histogram<u64>),
    Newest { input: Histogram<u64>, output: Histogram<u64>, counters: Vec<(Kind, Counter<u64>)> },
}

/// Reads one kind of token.
type Kind = fn(&Usage) -> Option<u64>;

impl Instruments {
    pub fn new(provider: &SdkMeterProvider, profile: Profile) -> Self {
        let meter = provider.meter("pinhole");
        let newest = profile == Profile::Newest;
        Self {
            http_server: histogram(&meter, "http.server.request.duration", "s", &HTTP),
            http_client: histogram(&meter, "http.client.request.duration", "s", &HTTP),
            server_duration: histogram(&meter, "gen_ai.server.request.duration", "s", &DURATION),
            server_first: histogram(&meter, "gen_ai.server.time_to_first_token", "s", &FIRST),
            server_per_token: histogram(
                &meter,
                "gen_ai.server.time_per_output_token",
                "s",
                &PER_TOKEN,
            ),
            operation: histogram(&meter, "gen_ai.client.operation.duration", "s", &DURATION),
            first_chunk: histogram(
                &meter,
                if newest {
                    "gen_ai.client.inference.time_to_first_chunk"
                } else {
                    "gen_ai.client.operation.time_to_first_chunk"
                },
                "s",
                &DURATION,
            ),
            usage: usage_instruments(&meter, newest),
            inference: newest
                .then(|| histogram(&meter, "gen_ai.client.inference.duration", "s", &DURATION)),
        }
    }

    /// Records one finished exchange.
    pub fn record<'o>(&self, exchange: &Exchange, origin: impl Fn(&str) -> Option<&'o Origin>) {
        self.http(exchange, &origin);
        let Some(operation) = billed_operation(exchange) else { return };
        let (Some(first), Some(last)) = (exchange.attempts.first(), exchange.last_attempt()) else {
            return;
        };
        let mut common = common(operation, last, origin(&last.provider));
        for (attempt, tally) in exchange.attempts.iter().zip(&exchange.summary.tallies) {
            self.tokens(&self::common(operation, attempt, origin(&attempt.provider)), tally);
        }
        if exchange.operation == Operation::Opaque {
            // How long an unknown path took, or the fetching of an answer, is no time of a model.
            return;
        }
        let failure = error(exchange);
        let succeeded = failure.is_none();
        common.extend(failure.map(|failure| KeyValue::new(names::ERROR_TYPE, text(failure))));
        let end_us = last.ended_us.unwrap_or(exchange.ended_us);
        let took = seconds(end_us.saturating_sub(first.sent_us));
        match &self.inference {
            Some(inference) if exchange.operation != Operation::Embeddings => {
                inference.record(took, &common);
            }
            _ => self.operation.record(took, &common),
        }
        self.server_duration.record(seconds(exchange.ended_us), &common);
        if succeeded && last.events {
            self.times(exchange, last, &common);
        }
    }

    fn times(&self, exchange: &Exchange, last: &Attempt, common: &[KeyValue]) {
        let times = &exchange.summary.times;
        let Some(first_us) = times.first_content_us else { return };
        self.first_chunk.record(seconds(first_us.saturating_sub(last.sent_us)), common);
        self.server_first.record(seconds(first_us), common);
        // The provider's own, final number of tokens, or none.
        let told =
            exchange.summary.last().filter(|tally| tally.estimated.is_empty() && !tally.partial);
        let output = told.and_then(|tally| tally.usage?.output).unwrap_or(0);
        if let (Some(last_us), 2..) = (times.last_content_us, output) {
            let spread = seconds(last_us.saturating_sub(first_us));
            self.server_per_token.record(spread / (output - 1) as f64, common);
        }
    }

    fn tokens(&self, common: &[KeyValue], tally: &Tally) {
        let usage = tally.counted_by(UsageSource::Provider);
        let with = |name: &'static str, word: &'static str| {
            let mut labels = common.to_vec();
            labels.push(KeyValue::new(name, word));
            labels
        };
        match &self.usage {
            UsageInstruments::V1_41(histogram) => {
                let kinds = [("input", usage.input), ("output", usage.output)];
                for (kind, count) in kinds {
                    if let Some(count) = count {
                        histogram.record(count, &with("gen_ai.token.type", kind));
                    }
                }
            }
            UsageInstruments::Newest { input, output, counters } => {
                if let Some(count) = usage.input {
                    input.record(count, common);
                }
                if let Some(count) = usage.output {
                    output.record(count, common);
                }
                let labels = with("gen_ai.token.modality", "unknown");
                for (kind, counter) in counters {
                    if let Some(count) = kind(&usage) {
                        counter.add(count, &labels);
                    }
                }
            }
        }
    }

    fn http<'o>(&self, exchange: &Exchange, origin: impl Fn(&str) -> Option<&'o Origin>) {
        let method = KeyValue::new(names::HTTP_REQUEST_METHOD, method(exchange.method.as_str()));
        let mut labels = vec![method.clone()];
        labels.extend(route(exchange).map(|route| KeyValue::new(names::HTTP_ROUTE, route)));
        labels.extend(status(exchange.status));
        let failure = server_error(exchange);
        labels.extend(failure.map(|failure| KeyValue::new(names::ERROR_TYPE, text(failure))));
        self.http_server.record(seconds(exchange.ended_us), &labels);
        for attempt in &exchange.attempts {
            let mut labels = vec![method.clone()];
            labels.extend(of_origin(origin(&attempt.provider)));
            labels.extend(status(attempt.status));
            let failure = attempt_error(attempt);
            labels.extend(failure.map(|failure| KeyValue::new(names::ERROR_TYPE, text(failure))));
            let end_us = attempt.ended_us.unwrap_or(exchange.ended_us);
            self.http_client.record(seconds(end_us.saturating_sub(attempt.sent_us)), &labels);
        }
    }
}

fn histogram<T>(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    bounds: &[f64],
) -> Histogram<T>
where
    Histogram<T>: Made,
{
    Histogram::<T>::made(meter, name, unit, bounds)
}

/// The SDK has one builder for each type of number.
trait Made: Sized {
    fn made(meter: &Meter, name: &'static str, unit: &'static str, bounds: &[f64]) -> Self;
}

impl Made for Histogram<f64> {
    fn made(meter: &Meter, name: &'static str, unit: &'static str, bounds: &[f64]) -> Self {
        meter.f64_histogram(name).with_unit(unit).with_boundaries(bounds.to_vec()).build()
    }
}

impl Made for Histogram<u64> {
    fn made(meter: &Meter, name: &'static str, unit: &'static str, bounds: &[f64]) -> Self {
        meter.u64_histogram(name).with_unit(unit).with_boundaries(bounds.to_vec()).build()
    }
}

fn usage_instruments(meter: &Meter, newest: bool) -> UsageInstruments {
    if !newest {
        let name = "gen_ai.client.token.usage";
        return UsageInstruments::V1_41(histogram(meter, name, "{token}", &TOKENS));
    }
    let kinds: [(&'static str, Kind); 5] = [
        ("gen_ai.client.inference.usage.input_tokens", |usage| usage.input),
        ("gen_ai.client.inference.usage.output_tokens", |usage| usage.output),
        ("gen_ai.client.inference.usage.cache_read.input_tokens", |usage| usage.cache_read),
        ("gen_ai.client.inference.usage.cache_write.input_tokens", |usage| usage.cache_write),
        ("gen_ai.client.inference.usage.reasoning.output_tokens", |usage| usage.reasoning),
    ];
    let counter = |name| meter.u64_counter(name).with_unit("{token}").build();
    let tokens = |name| histogram(meter, name, "{token}", &TOKENS);
    UsageInstruments::Newest {
        input: tokens("gen_ai.client.inference.operation.input_tokens"),
        output: tokens("gen_ai.client.inference.operation.output_tokens"),
        counters: kinds.into_iter().map(|(name, kind)| (kind, counter(name))).collect(),
    }
}

/// Labels come from configuration and closed sets: the model is the one that `/metrics` calls it.
fn common(operation: &'static str, attempt: &Attempt, origin: Option<&Origin>) -> Vec<KeyValue> {
    let name = origin.map_or(&attempt.provider, |origin| &origin.telemetry_name);
    let mut labels = vec![
        KeyValue::new(names::OPERATION_NAME, operation),
        KeyValue::new(names::PROVIDER_NAME, std::sync::Arc::clone(name)),
        KeyValue::new(names::REQUEST_MODEL, std::sync::Arc::clone(&attempt.model_label)),
    ];
    labels.extend(of_origin(origin));
    labels
}

fn of_origin(origin: Option<&Origin>) -> impl Iterator<Item = KeyValue> {
    let labels = origin.map(|origin| {
        [
            KeyValue::new(names::SERVER_ADDRESS, std::sync::Arc::clone(&origin.host)),
            KeyValue::new(names::SERVER_PORT, i64::from(origin.port)),
        ]
    });
    labels.into_iter().flatten()
}

fn status(status: Option<http::StatusCode>) -> Option<KeyValue> {
    status.map(|status| KeyValue::new(names::HTTP_STATUS, i64::from(status.as_u16())))
}

/// A client may invent methods.
fn method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}

fn text(value: Value) -> opentelemetry::StringValue {
    match value {
        Value::Text(text) => text.into(),
        Value::Shared(text) => text.into(),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Texts(_) => "_OTHER".into(),
    }
}
