//! The failures of a query in groups: what there is most of comes first, each with one exchange that stands for it.

use std::collections::HashMap;

use serde::Serialize;

use crate::report::diagnose::case::Context;
use crate::report::diagnose::class::{Class, Place};
use crate::report::diagnose::{Diagnosis, diagnose};
use crate::store::stored::{Listed, Stored};

/// Limit: models that are named of one group.
const MODELS_MAX: usize = 5;

/// Failures of one class, at one provider.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub class: Class,
    pub detail: Option<String>,
    pub place: Place,
    pub provider: Option<String>,
    pub count: u64,
    /// Most first.
    pub models: Vec<(String, u64)>,
    /// Sessions that met it.
    pub sessions: u64,
    pub first_us: i64,
    pub last_us: i64,
    /// The newest one, diagnosed.
    pub example: Diagnosis,
}

/// What was found out about one exchange: enough to put it into its group.
#[derive(Debug, Clone)]
struct Entry {
    row: Listed,
    diagnosis: Diagnosis,
}

/// Takes exchanges one by one and puts them into groups; holds one diagnosis a group.
#[derive(Debug, Default)]
pub struct Grouping {
    context: Context,
    groups: HashMap<(Class, Option<String>, Option<String>), Open>,
    total: u64,
    fine: u64,
}

#[derive(Debug)]
struct Open {
    newest: Entry,
    count: u64,
    models: HashMap<String, u64>,
    sessions: std::collections::HashSet<String>,
    first_us: i64,
    last_us: i64,
}

impl Grouping {
    /// The context is that of all: the failures of the day, the traffic around.
    pub fn new(context: Context) -> Self {
        Self { context, ..Self::default() }
    }

    /// Takes one exchange, whole or only its row.
    pub fn add(&mut self, stored: &Stored) {
        self.total += 1;
        let diagnosis = diagnose(stored, &self.context);
        if diagnosis.finding.class == Class::Nothing {
            self.fine += 1;
            return;
        }
        let row = &stored.row;
        let key = (diagnosis.finding.class, diagnosis.finding.detail.clone(), row.provider.clone());
        let at_us = row.started_at_us;
        let entry = Entry { row: row.clone(), diagnosis };
        let model = row.model.clone().or_else(|| row.model_requested.clone());
        let open = self.groups.entry(key).or_insert_with(|| Open {
            newest: entry.clone(),
            count: 0,
            models: HashMap::new(),
            sessions: std::collections::HashSet::new(),
            first_us: at_us,
            last_us: at_us,
        });
        open.count += 1;
        *open.models.entry(model.unwrap_or_else(|| "-".to_owned())).or_default() += 1;
        open.sessions.extend(row.session_id.clone());
        open.first_us = open.first_us.min(at_us);
        open.last_us = open.last_us.max(at_us);
        // One whose bodies are kept explains more than a newer one without.
        let better = (is_whole(stored), at_us)
            > (entry_is_whole(&open.newest), open.newest.row.started_at_us);
        if better {
            open.newest = entry;
        }
    }

    /// Exchanges taken, and how many of them had nothing wrong.
    pub fn totals(&self) -> (u64, u64) {
        (self.total, self.fine)
    }

    /// The groups, largest first.
    pub fn finish(self) -> Vec<Group> {
        let close = |((class, detail, provider), open): (_, Open)| {
            let mut models: Vec<(String, u64)> = open.models.into_iter().collect();
            models.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
            models.truncate(MODELS_MAX);
            Group {
                class,
                detail,
                place: open.newest.diagnosis.finding.place,
                provider,
                count: open.count,
                models,
                sessions: open.sessions.len() as u64,
                first_us: open.first_us,
                last_us: open.last_us,
                example: open.newest.diagnosis,
            }
        };
        let mut groups: Vec<Group> = self.groups.into_iter().map(close).collect();
        groups.sort_by(|left, right| {
            let order = right.count.cmp(&left.count);
            order
                .then_with(|| left.class.cmp(&right.class))
                .then_with(|| left.provider.cmp(&right.provider))
        });
        groups
    }
}

fn is_whole(stored: &Stored) -> bool {
    !stored.attempts.is_empty() || stored.request.headers.is_some()
}

fn entry_is_whole(entry: &Entry) -> bool {
    !entry.diagnosis.finding.evidence.is_empty() && entry.row.capture_level == "full"
}
