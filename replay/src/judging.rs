//! The judge that runs use: metrics of every outcome, and how like each answer is to the baseline's of its group. Answers end
//! here; what goes on is numbers.

use std::sync::Arc;

use serde_json::Value;

use crate::answers::{Rules, likeness};
use crate::engine::{Group, Judge};
use crate::measure::metrics;
use crate::outcome::Outcome;
use crate::recording::Recording;
use crate::row::{Job, Row};

/// Whose answers all others are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// The captured ones: of another hour, and asked by somebody else.
    Captured,
    /// The first target's.
    First,
}

/// Reads what was captured. The crate knows no dialect's answers.
pub trait Reader: Send + Sync + 'static {
    /// The captured answer as an outcome whose times count from the recording's start; `None`: it was not kept.
    fn read(&self, recording: &Recording) -> Option<Outcome>;
}

impl<F> Reader for F
where
    F: Fn(&Recording) -> Option<Outcome> + Send + Sync + 'static,
{
    fn read(&self, recording: &Recording) -> Option<Outcome> {
        self(recording)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Standard<R> {
    pub baseline: Baseline,
    pub rules: Arc<Rules>,
    pub reader: R,
}

impl<R: Reader> Judge for Standard<R> {
    async fn judge(&self, group: Group) -> Vec<Row> {
        self.rows(&group)
    }
}

impl<R: Reader> Standard<R> {
    /// The rows of a group, that of the captured original among them: with its first repeat, since it is one.
    fn rows(&self, group: &Group) -> Vec<Row> {
        let recording = group.recording.as_deref();
        let captured = recording.and_then(|recording| self.reader.read(recording));
        let base = match self.baseline {
            Baseline::Captured => captured.as_ref(),
            Baseline::First => group
                .outcomes
                .iter()
                .find(|(row, _)| row.target == Some(0))
                .map(|(_, outcome)| outcome),
        };
        let base = base.filter(|base| base.is_good());
        let request: Option<Value> = recording
            .and_then(Recording::client_request)
            .filter(|whole| whole.coding.is_none())
            .and_then(|whole| serde_json::from_slice(&whole.bytes).ok());
        let judged = |row: &Row, outcome: &Outcome| {
            let is_base = self.baseline == Baseline::First && row.target == Some(0);
            let base = base.filter(|_| !is_base && outcome.is_good() && row.target.is_some());
            Row {
                metrics: metrics(outcome),
                likeness: base.map(|base| {
                    likeness(&base.answer, &outcome.answer, request.as_ref(), &self.rules)
                }),
                ..row.clone()
            }
        };
        let mut rows: Vec<Row> =
            group.outcomes.iter().map(|(row, outcome)| judged(row, outcome)).collect();
        if let (Some(first), Some(captured)) = (group.outcomes.first(), &captured)
            && first.0.repeat == 0
        {
            let job = Job { target: None, ..first.0.job() };
            let row = Row::begin(job, &first.0.of, first.0.session.as_deref(), captured);
            rows.push(judged(&row, captured));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Answer, Arrival, What};

    fn outcome(status: u16, text: &str) -> Outcome {
        Outcome {
            status: Some(status),
            intended_us: 100,
            sent_us: 200,
            ended_us: 1_000_100,
            contents: vec![Arrival { at_us: 500_100, what: What::Text }],
            streamed: true,
            answer: Answer { text: text.to_owned(), ..Answer::default() },
            ..Outcome::default()
        }
    }

    fn group(repeat: u16, outcomes: &[(u16, u16, &str)]) -> Group {
        let made = |(target, status, text): &(u16, u16, &str)| {
            let outcome = outcome(*status, text);
            let job = Job { pair: 3, target: Some(*target), repeat };
            (Row::begin(job, "x3", Some("s"), &outcome), outcome)
        };
        Group {
            recording: Some(Arc::new(Recording::default())),
            outcomes: outcomes.iter().map(made).collect(),
        }
    }

    fn rows(baseline: Baseline, group: &Group) -> Vec<(Option<u16>, Option<bool>)> {
        let reader = |_: &Recording| Some(outcome(200, "captured"));
        let judge = Standard { baseline, rules: Arc::default(), reader };
        let rows = judge.rows(group);
        for row in &rows {
            assert_eq!((row.pair, row.of.as_str(), row.session.as_deref()), (3, "x3", Some("s")));
            assert_eq!(row.metrics.ttft, row.is_good().then_some(0.5));
        }
        rows.iter().map(|row| (row.target, row.likeness.map(|it| it.exact))).collect()
    }

    #[test]
    fn answers_are_compared_with_the_first_targets() {
        let three = [(0, 200, "a"), (1, 200, "a"), (2, 200, "b")];
        let want = [(Some(0), None), (Some(1), Some(true)), (Some(2), Some(false)), (None, None)];
        assert_eq!(rows(Baseline::First, &group(0, &three)), want);
        assert_eq!(rows(Baseline::First, &group(1, &three)), want[..3], "captured once");
    }

    #[test]
    fn answers_are_compared_with_the_captured_ones() {
        let two = [(0, 200, "captured"), (1, 200, "b")];
        let want = [(Some(0), Some(true)), (Some(1), Some(false)), (None, None)];
        assert_eq!(rows(Baseline::Captured, &group(0, &two)), want);
    }

    #[test]
    fn errors_and_gaps_are_compared_with_nothing() {
        let failed = [(0, 500, ""), (1, 200, "b")];
        let want = [(Some(0), None), (Some(1), None), (None, None)];
        assert_eq!(rows(Baseline::First, &group(0, &failed)), want);
        let half = rows(Baseline::First, &group(2, &[(1, 200, "b")]));
        assert_eq!(half, [(Some(1), None)], "a run that was broken off");
        let unread = Group { recording: None, ..group(0, &[(0, 200, "a"), (1, 200, "a")]) };
        assert_eq!(rows(Baseline::First, &unread), [(Some(0), None), (Some(1), Some(true))]);
    }
}
