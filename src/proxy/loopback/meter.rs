//! The metrics of runs, apart from those of traffic: each answer is counted as it comes to its end.

use std::sync::Arc;

use pinhole_replay::outcome::Outcome;

use crate::telemetry::instruments::{Counter, Histogram, Telemetry};
use crate::telemetry::metrics::Metric;

/// What the questions to a run's judge are counted under.
pub const JUDGE: &str = "judge";

/// Counts the answers of one run.
pub struct Meter {
    telemetry: Arc<Telemetry>,
    targets: Vec<Target>,
}

struct Target {
    name: String,
    cost: Counter,
    first: Histogram,
    duration: Histogram,
    lag: Histogram,
}

impl Meter {
    /// `targets` as the plan writes them; past the budget of series they are counted as `other`.
    pub fn new(telemetry: &Arc<Telemetry>, targets: impl IntoIterator<Item = String>) -> Self {
        let target = |name: String| Target {
            cost: telemetry.counter(Metric::ReplayCost, &[&name]),
            first: telemetry.histogram(Metric::ReplayFirstToken, &[&name]),
            duration: telemetry.histogram(Metric::ReplayDuration, &[&name]),
            lag: telemetry.histogram(Metric::ReplayLag, &[&name]),
            name,
        };
        let targets = targets.into_iter().map(target).collect();
        Self { telemetry: Arc::clone(telemetry), targets }
    }

    pub(super) fn take(&self, target: usize, outcome: &Outcome) {
        let Some(target) = self.targets.get(target) else { return };
        let labels = [target.name.as_str(), result(outcome)];
        self.telemetry.counter(Metric::ReplayRequests, &labels).add(1);
        if let Some(cost) = outcome.cost_nanousd.and_then(|cost| u64::try_from(cost).ok()) {
            target.cost.add(cost);
        }
        target.lag.observe(seconds(outcome.lag_us()), None);
        if !outcome.is_good() {
            return;
        }
        let since = |at_us: u64| seconds(at_us.saturating_sub(outcome.intended_us));
        target.duration.observe(since(outcome.ended_us), None);
        if let Some(first) = outcome.contents.first().filter(|_| outcome.streamed) {
            target.first.observe(since(first.at_us), None);
        }
    }
}

fn result(outcome: &Outcome) -> &'static str {
    match outcome.status {
        _ if outcome.is_good() => "ok",
        Some(429 | 529) => "rate_limited",
        Some(400..500) => "client_error",
        Some(500..) => "server_error",
        _ => "broken",
    }
}

fn seconds(us: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times of a run are far below 2^52 µs")]
    let us = us as f64;
    us / 1e6
}

#[cfg(test)]
mod tests {
    use pinhole_replay::outcome::{Arrival, What};
    use pinhole_replay::recording::Fault;

    use super::*;
    use crate::telemetry::openmetrics::{Form, render};

    fn text(telemetry: &Telemetry) -> String {
        render(Form::Text, &telemetry.gather())
    }

    #[test]
    fn answers_are_counted_by_target_and_apart_from_traffic() {
        let telemetry = Telemetry::new(10_000).unwrap();
        let meter = Meter::new(&telemetry, ["p/a".to_owned(), "p/b".to_owned()]);
        let good = Outcome {
            status: Some(200),
            intended_us: 1_000,
            sent_us: 3_000,
            ended_us: 501_000,
            contents: vec![Arrival { at_us: 201_000, what: What::Text }],
            streamed: true,
            cost_nanousd: Some(5_000_000),
            ..Outcome::default()
        };
        meter.take(0, &good);
        let refused = |status| Outcome { status: Some(status), ..Outcome::default() };
        for status in [429, 529, 400, 500] {
            meter.take(1, &refused(status));
        }
        let fault = Fault { source: "upstream".into(), kind: "truncated".into(), detail: None };
        meter.take(1, &Outcome { error: Some(fault), ..good.clone() });
        meter.take(7, &good);
        let text = text(&telemetry);
        for line in [
            "pinhole_replay_requests_total{target=\"p/a\",result=\"ok\"} 1",
            "pinhole_replay_requests_total{target=\"p/b\",result=\"rate_limited\"} 2",
            "pinhole_replay_requests_total{target=\"p/b\",result=\"client_error\"} 1",
            "pinhole_replay_requests_total{target=\"p/b\",result=\"server_error\"} 1",
            "pinhole_replay_requests_total{target=\"p/b\",result=\"broken\"} 1",
            "pinhole_replay_cost_usd_total{target=\"p/a\"} 0.005",
            "pinhole_replay_time_to_first_token_seconds_bucket{target=\"p/a\",le=\"0.25\"} 1",
            "pinhole_replay_time_to_first_token_seconds_bucket{target=\"p/a\",le=\"0.1\"} 0",
            "pinhole_replay_request_duration_seconds_count{target=\"p/b\"} 0",
            "pinhole_replay_lag_seconds_bucket{target=\"p/a\",le=\"0.0025\"} 1",
            "pinhole_replay_running 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("pinhole_requests_total{"), "none of it is traffic");
    }

    #[test]
    fn plans_cannot_bring_ever_more_series() {
        let telemetry = Telemetry::new(10_000).unwrap();
        let targets = (0..100).map(|number| format!("p/m?seed={number}"));
        let meter = Meter::new(&telemetry, targets);
        for target in 0..100 {
            meter.take(target, &Outcome { status: Some(200), ..Outcome::default() });
        }
        let text = text(&telemetry);
        let sets = text.matches("pinhole_replay_lag_seconds_count{").count();
        assert_eq!(sets, 33, "32 of their own, and `other`");
        assert!(text.contains("pinhole_replay_lag_seconds_count{target=\"other\"} 68"), "{text}");
    }
}
