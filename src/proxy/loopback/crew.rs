//! Who reads recordings for a run, and who makes rows of what came back.

use std::sync::Arc;

use pinhole_replay::answers::{self, Rules};
use pinhole_replay::engine::{Group, Judge, Library};
use pinhole_replay::measure;
use pinhole_replay::outcome::{Answer, Outcome};
use pinhole_replay::recording::{Fault, Recording};
use pinhole_replay::row::{Job, Row};
use serde_json::Value;

use crate::proxy::loopback::asking::Asker;
use crate::proxy::loopback::captured;
use crate::report::replay::source::Source;

/// Reads recordings off the threads that keep the time.
pub struct Shelf(pub Arc<Source>);

impl Library for Shelf {
    async fn load(&self, pair: u32) -> Result<Arc<Recording>, Fault> {
        let source = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || source.get(pair as usize)).await;
        match read {
            Ok(Ok(recording)) => Ok(Arc::new(recording)),
            Ok(Err(error)) => Err(unreadable(error.to_string())),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }
}

fn unreadable(why: String) -> Fault {
    Fault { source: "replay".to_owned(), kind: "unreadable".to_owned(), detail: Some(why) }
}

/// Works out metrics and likeness of each group, and adds the row of what was captured.
pub struct Measure {
    /// With one target the captured originals are the baseline, with several the first target is.
    pub captured_is_base: bool,
    pub rules: Rules,
    /// Asks a judge about each answer that is compared.
    pub asker: Option<Asker>,
}

impl Judge for Measure {
    async fn judge(&self, group: Group) -> Vec<Row> {
        let Some(recording) = group.recording else {
            return group.outcomes.into_iter().map(|(row, _)| row).collect();
        };
        let request = recording.client_request();
        let request: Option<Value> =
            request.and_then(|whole| serde_json::from_slice(&whole.bytes).ok());
        let captured = captured::outcome(&recording);
        let base = if self.captured_is_base {
            captured.as_ref().and_then(answered)
        } else {
            let first = group.outcomes.iter().find(|(row, _)| row.target == Some(0));
            first.and_then(|(_, outcome)| answered(outcome))
        };
        let base = base.cloned();
        let like = |outcome: &Outcome| {
            let (base, new) = (base.as_ref()?, answered(outcome)?);
            Some(answers::likeness(base, new, request.as_ref(), &self.rules))
        };
        let mut rows = Vec::with_capacity(group.outcomes.len() + 1);
        let first = group.outcomes.first().map(|(row, _)| row);
        let counts = first.filter(|row| row.repeat == 0 && !row.warmup);
        if let (Some(outcome), Some(first)) = (&captured, counts) {
            let job = Job { pair: first.pair, target: None, repeat: 0 };
            let mut row = Row::begin(job, &recording.id, recording.session.as_deref(), outcome);
            row.metrics = measure::metrics(outcome);
            row.likeness = if self.captured_is_base { None } else { like(outcome) };
            rows.push(row);
        }
        for (mut row, outcome) in group.outcomes {
            row.metrics = measure::metrics(&outcome);
            if self.captured_is_base || row.target != Some(0) {
                row.likeness = like(&outcome);
                self.ask(&recording, base.as_ref(), &outcome, &mut row).await;
            }
            rows.push(row);
        }
        rows
    }
}

impl Measure {
    /// Has an answer judged, where there are two to compare and somebody to ask.
    async fn ask(
        &self,
        recording: &Recording,
        base: Option<&Answer>,
        outcome: &Outcome,
        row: &mut Row,
    ) {
        let (Some(asker), Some(base), Some(new)) = (&self.asker, base, answered(outcome)) else {
            return;
        };
        if let Some(likeness) = row.likeness.as_mut().filter(|likeness| likeness.exact) {
            // The same to the byte: there is nothing to ask.
            likeness.judged = Some(0);
            return;
        }
        let (judged, asking) = asker.ask(recording, base, new).await;
        row.judge = (asking.asked > 0).then_some(asking);
        if let Some(likeness) = &mut row.likeness {
            likeness.judged = judged;
        }
    }
}

fn answered(outcome: &Outcome) -> Option<&Answer> {
    outcome.is_good().then_some(&outcome.answer)
}
