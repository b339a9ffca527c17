//! The rows of a run in the shape that comparisons need: by target, pair and repeat, numbers only.
//!
//! Rows come in any order and one at a time, from a run or from its journal. A cell takes a few hundred bytes, whatever the
//! answer was; words, arrivals and bodies are never here. A second row of the same job takes the place of the first: a run
//! that was resumed may have written it twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::elsewhere::Stream;
use crate::measure::METRICS;
use crate::recording::Usage;
use crate::report::Judge;
use crate::row::{Likeness, Metrics, Row};

/// The kind of fault of a turn that was not sent, because its branch had no way on.
pub const STOPPED: &str = "branch_stopped";
/// Kinds of faults of what could not be sent at all: none of them is the target's.
pub const UNSENT: &[&str] = &[STOPPED, "not_recorded", "not_editable"];

/// All rows of a run but those of its warm-up.
#[derive(Debug, Default)]
pub struct Table {
    columns: BTreeMap<Option<u16>, Column>,
    sessions: HashMap<String, u32>,
    kinds: Names,
    losses: Names,
    judge: Judge,
}

/// One target's rows, or the captured ones, by pair and repeat.
pub(crate) type Column = BTreeMap<(u32, u16), Cell>;

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub session: u32,
    pub of: Box<str>,
    pub id: Option<Box<str>>,
    /// What went wrong, as a number of [`Table::kind`]; `None`: a good answer.
    pub fault: Option<u32>,
    /// In the order of [`METRICS`]; what is not defined is no number.
    pub metrics: [f64; METRICS.len()],
    pub stream: Option<Stream>,
    pub likeness: Option<Likeness>,
    pub lag_us: u64,
    pub cost_nanousd: Option<i64>,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub losses: Box<[u32]>,
}

impl Table {
    /// Takes a row in, unless it only warmed up.
    pub fn push(&mut self, row: &Row) {
        if row.warmup {
            return;
        }
        self.asked(row);
        let usage = row.usage.clone().unwrap_or_default();
        let tokens = |of: fn(&Usage) -> Option<i64>| of(&usage).unwrap_or_default().max(0);
        let cell = Cell {
            session: self.session(row),
            of: row.of.as_str().into(),
            id: row.id.as_deref().map(Into::into),
            fault: (!row.is_good()).then(|| self.kinds.number(&fault(row))),
            metrics: values(&row.metrics),
            stream: Stream::of(row),
            likeness: row.likeness,
            lag_us: row.sent_us.saturating_sub(row.intended_us),
            cost_nanousd: row.cost_nanousd,
            input_tokens: tokens(|usage| usage.input),
            cached_tokens: tokens(|usage| usage.cache_read),
            output_tokens: tokens(|usage| usage.output),
            losses: row.losses.iter().map(|loss| self.losses.number(loss)).collect(),
        };
        self.columns.entry(row.target).or_default().insert((row.pair, row.repeat), cell);
    }

    fn asked(&mut self, row: &Row) {
        let Some(asking) = row.judge else { return };
        let judge = &mut self.judge;
        judge.asked += u64::from(asking.asked);
        judge.failed += u64::from(asking.failed);
        judge.inconsistent += u64::from(asking.inconsistent);
        if let Some(cost) = asking.cost_nanousd {
            judge.cost_usd = Some(judge.cost_usd.unwrap_or_default() + cost as f64 / 1e9);
        }
    }

    /// What asking a judge came to, without its name.
    pub(crate) fn judge(&self) -> &Judge {
        &self.judge
    }

    /// The rows of a target; `None`: the captured ones.
    pub(crate) fn column(&self, target: Option<u16>) -> Option<&Column> {
        self.columns.get(&target)
    }

    /// Whether there was anything to send.
    pub(crate) fn is_sent(&self, cell: &Cell) -> bool {
        cell.fault.is_none_or(|fault| !UNSENT.contains(&self.kind(fault)))
    }

    /// Recordings that could not be sent to some target, by the kind of what stood in the way.
    pub(crate) fn unsent(&self) -> BTreeMap<String, u64> {
        let mut pairs: BTreeSet<(&str, u32)> = BTreeSet::new();
        for column in self.columns.values() {
            for ((pair, _), cell) in column {
                let kind = cell.fault.map(|fault| self.kind(fault));
                pairs.extend(kind.filter(|kind| UNSENT.contains(kind)).map(|kind| (kind, *pair)));
            }
        }
        let mut counts = BTreeMap::new();
        for (kind, _) in pairs.into_iter().filter(|(kind, _)| *kind != STOPPED) {
            *counts.entry(kind.to_owned()).or_default() += 1;
        }
        counts
    }

    /// All rows that were sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Cell> {
        let columns = self.columns.range(Some(0)..);
        columns.flat_map(|(_, column)| column.values()).filter(|cell| self.is_sent(cell))
    }

    /// Sessions of all rows; an exchange of none is one of its own.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn kind(&self, number: u32) -> &str {
        self.kinds.name(number)
    }

    pub(crate) fn loss(&self, number: u32) -> &str {
        self.losses.name(number)
    }

    fn session(&mut self, row: &Row) -> u32 {
        // The sign keeps a session and an exchange of the same name apart.
        let name = row.session.as_ref().map_or_else(|| format!("-{}", row.of), |s| format!("+{s}"));
        let next = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        *self.sessions.entry(name).or_insert(next)
    }
}

/// In a word of few values: the fault's kind, else the status.
fn fault(row: &Row) -> String {
    match (&row.error, row.status) {
        (Some(fault), _) if !fault.kind.is_empty() => fault.kind.clone(),
        (_, Some(status)) => format!("http_{status}"),
        (_, None) => "no_answer".to_owned(),
    }
}

fn values(metrics: &Metrics) -> [f64; METRICS.len()] {
    let mut values = [f64::NAN; METRICS.len()];
    for (value, metric) in values.iter_mut().zip(METRICS) {
        *value = (metric.value)(metrics).unwrap_or(f64::NAN);
    }
    values
}

/// Names that come again and again, as numbers.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    /// Limit: distinct names; those beyond are one.
    const MAX: usize = 256;

    fn number(&mut self, name: &str) -> u32 {
        let known = self.0.iter().position(|other| other == name);
        let place = known.unwrap_or_else(|| {
            let place = self.0.len();
            if place < Self::MAX {
                self.0.push(if place + 1 < Self::MAX { name } else { "other" }.to_owned());
            }
            place.min(Self::MAX - 1)
        });
        place as u32
    }

    fn name(&self, number: u32) -> &str {
        self.0.get(number as usize).map_or("other", String::as_str)
    }
}
