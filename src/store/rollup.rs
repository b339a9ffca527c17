//! Sums by hour and by day, kept beside the rows so that a year's report reads thousands of sums and not millions of rows.
//!
//! ```text
//!  rows of a batch ─► one cell a key, in memory ─► one upsert a cell, in the batch's transaction
//!                     (hours, folded into days)
//! ```
//!
//! Tokens and cost are summed over attempts, each under the provider and model it went to; a request, its errors and its
//! times count under the attempt that answered. An exchange belongs to the hour it began in. Replays are left out.

use std::collections::HashMap;
use std::fmt::Write as _;

use rusqlite::{Connection, ToSql};

use crate::exchange::outcome::Outcome;
use crate::neutral::usage::{Usage, UsageSource};
use crate::store::detail::{MISSING, PARTIAL, Part, Tried, UNPRICED};
use crate::store::row::{AttemptRow, Row, int};
use crate::store::sketch::Sketch;

pub(super) const HOUR_S: i64 = 3_600;
pub(super) const DAY_S: i64 = 24 * HOUR_S;
/// Dimensions of a cell at most.
pub(super) const DIMS_MAX: usize = 5;

/// Declares [`Measure`] and its columns from one list.
macro_rules! measures {
    ($( $variant:ident $column:literal $meaning:literal; )*) => {
        /// What is summed. The column's name is also the name in reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Measure { $( #[doc = $meaning] $variant, )* }

        impl Measure {
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            pub fn column(self) -> &'static str {
                match self { $( Self::$variant => $column, )* }
            }
        }
    };
}

measures! {
    Requests "requests" "exchanges";
    Errors "errors" "of them, ended neither complete nor by the client's leaving";
    Cancelled "cancelled" "of them, left by the client before the end";
    Attempts "attempts" "tries at providers";
    Input "input_tokens" "as providers billed them, cached or not";
    Output "output_tokens" "as providers billed them, reasoning included";
    CacheRead "cache_read_tokens" "part of the input";
    CacheWrite "cache_write_tokens" "part of the input";
    Reasoning "reasoning_tokens" "part of the output";
    EstimatedInput "estimated_input_tokens" "counted by the gateway, not in input_tokens";
    EstimatedOutput "estimated_output_tokens" "counted by the gateway, not in output_tokens";
    Cost "cost_nanousd" "of all tokens that have a price, estimated ones too";
    EstimatedCost "estimated_cost_nanousd" "of it, of answers whose tokens were estimated, at least in part";
    Unpriced "unpriced" "answers with tokens and without a price";
    Partial "partial" "answers that ended before their final usage";
    Missing "missing" "answers that told no usage";
    ToolCalls "tool_calls" "calls of tools in the answers";
    Duration "duration_us" "sum of the durations";
}

const MEASURES: usize = Measure::ALL.len();

/// One sum a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums([i64; MEASURES]);

impl Sums {
    pub fn get(&self, measure: Measure) -> i64 {
        self.0[measure as usize]
    }

    pub(super) fn add(&mut self, measure: Measure, amount: i64) {
        let sum = &mut self.0[measure as usize];
        *sum = sum.saturating_add(amount);
    }

    pub(super) fn minus(&mut self, other: &Self) {
        for (sum, less) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.saturating_sub(*less);
        }
    }

    pub fn plus(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.saturating_add(*more);
        }
    }
}

/// A pair of tables with the same key, one row an hour and one a day.
pub(super) struct Family {
    pub hours: &'static str,
    /// `None`: a year's hours are few enough.
    pub days: Option<&'static str>,
    pub dims: &'static [&'static str],
    pub measures: &'static [Measure],
    /// Has the distributions of durations and times to the first token.
    pub sketches: bool,
}

pub(super) static USAGE: Family = Family {
    hours: "usage_hours",
    days: Some("usage_days"),
    dims: &["provider", "model", "key_label", "agent", "dialect"],
    measures: Measure::ALL,
    sketches: true,
};
pub(super) static TOTAL: Family =
    Family { hours: "total_hours", days: None, dims: &[], measures: Measure::ALL, sketches: true };
pub(super) static SESSIONS: Family = Family {
    hours: "session_hours",
    days: Some("session_days"),
    dims: &["session"],
    measures: Measure::ALL,
    sketches: false,
};
pub(super) static TAGS: Family = Family {
    hours: "tag_hours",
    days: Some("tag_days"),
    dims: &["name", "value"],
    measures: Measure::ALL,
    sketches: true,
};
pub(super) static TOOLS: Family = Family {
    hours: "tool_hours",
    days: Some("tool_days"),
    dims: &["tool"],
    measures: &[Measure::Requests, Measure::ToolCalls],
    sketches: false,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key<'a> {
    start_s: i64,
    dims: [&'a str; DIMS_MAX],
}

#[derive(Debug, Default, Clone)]
struct Cell {
    sums: Sums,
    durations: Sketch,
    ttfts: Sketch,
}

impl Cell {
    fn merge(&mut self, other: &Self) {
        self.sums.plus(&other.sums);
        self.durations.merge(&other.durations);
        self.ttfts.merge(&other.ttfts);
    }
}

type Cells<'a> = HashMap<Key<'a>, Cell>;

/// Where an exchange is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<'a> {
    pub start_s: i64,
    pub key_label: &'a str,
    pub agent: &'a str,
    pub dialect: &'a str,
    pub session: &'a str,
    pub tags: &'a [(String, String)],
}

/// What a batch of rows adds to the roll-ups. Borrows the rows' words.
#[derive(Default)]
pub(super) struct Batch<'a> {
    usage: Cells<'a>,
    total: Cells<'a>,
    sessions: Cells<'a>,
    tags: Cells<'a>,
    tools: Cells<'a>,
}

impl<'a> Batch<'a> {
    pub(super) fn add(&mut self, row: &'a Row) {
        if row.run_id.is_some() {
            return;
        }
        let start_s = hour_of(row.started_at_us);
        let ended = end_of(row.outcome, row.tool_calls(), row.duration_us);
        let mut whole = ended;
        let last = row.attempts.len().saturating_sub(1);
        for (n, attempt) in row.attempts.iter().enumerate() {
            let mut part = sums_of(&Counted::from(attempt));
            whole.plus(&part);
            let cell = self.usage.entry(usage_key(start_s, row, Some(attempt))).or_default();
            if n == last {
                part.plus(&ended);
                note_times(cell, row);
            }
            cell.sums.plus(&part);
        }
        if row.attempts.is_empty() {
            let cell = self.usage.entry(usage_key(start_s, row, None)).or_default();
            cell.sums.plus(&ended);
            note_times(cell, row);
        }
        let total = self.total.entry(key(start_s, [])).or_default();
        total.sums.plus(&whole);
        note_times(total, row);
        let session = row.session.as_deref().unwrap_or_default();
        self.sessions.entry(key(start_s, [session])).or_default().sums.plus(&whole);
        for (name, value) in &row.tags {
            let cell = self.tags.entry(key(start_s, [name, value])).or_default();
            cell.sums.plus(&whole);
            note_times(cell, row);
        }
        for (tool, calls) in &row.tools {
            let cell = self.tools.entry(key(start_s, [tool])).or_default();
            cell.sums.add(Measure::Requests, 1);
            cell.sums.add(Measure::ToolCalls, i64::from(*calls));
        }
    }

    /// Adds what an exchange took whose row is given up: its tokens and cost, and no request.
    pub(super) fn add_lost(&mut self, row: &'a Row) {
        if row.run_id.is_some() {
            return;
        }
        let place = Place {
            start_s: hour_of(row.started_at_us),
            key_label: row.key_label.as_deref().unwrap_or_default(),
            ..Place::default()
        };
        for attempt in &row.attempts {
            let sums = sums_of(&Counted::from(attempt));
            self.correct(&place, &attempt.provider, &attempt.model_label, &sums);
        }
    }

    /// Adds sums that belong to no row of this batch: they are late, or mend what a row counted before.
    pub(super) fn correct(
        &mut self,
        place: &Place<'a>,
        provider: &'a str,
        model: &'a str,
        sums: &Sums,
    ) {
        if *sums == Sums::default() {
            return;
        }
        let Place { start_s, key_label, agent, dialect, session, tags } = *place;
        let usage = key(start_s, [provider, model, key_label, agent, dialect]);
        self.usage.entry(usage).or_default().sums.plus(sums);
        self.total.entry(key(start_s, [])).or_default().sums.plus(sums);
        self.sessions.entry(key(start_s, [session])).or_default().sums.plus(sums);
        for (name, value) in tags {
            self.tags.entry(key(start_s, [name, value])).or_default().sums.plus(sums);
        }
    }

    /// An exchange that counted under no session counts under this one.
    pub(super) fn adopt(&mut self, start_s: i64, session: &'a str, sums: &Sums) {
        self.sessions.entry(key(start_s, [""])).or_default().sums.minus(sums);
        self.sessions.entry(key(start_s, [session])).or_default().sums.plus(sums);
    }

    /// Adds to the tables, inside the caller's transaction.
    pub(super) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        for (family, cells) in [
            (&USAGE, self.usage),
            (&TOTAL, self.total),
            (&SESSIONS, self.sessions),
            (&TAGS, self.tags),
            (&TOOLS, self.tools),
        ] {
            if let Some(days) = family.days {
                write_cells(connection, family, days, &folded(&cells))?;
            }
            write_cells(connection, family, family.hours, &cells)?;
        }
        Ok(())
    }
}

pub(super) fn hour_of(at_us: i64) -> i64 {
    let at_s = at_us.div_euclid(1_000_000);
    at_s - at_s.rem_euclid(HOUR_S)
}

fn key<const N: usize>(start_s: i64, some: [&str; N]) -> Key<'_> {
    let mut dims = [""; DIMS_MAX];
    for (dim, value) in dims.iter_mut().zip(some) {
        *dim = value;
    }
    Key { start_s, dims }
}

fn usage_key<'a>(start_s: i64, row: &'a Row, attempt: Option<&'a AttemptRow>) -> Key<'a> {
    let (provider, model) =
        attempt.map_or(("", ""), |attempt| (&*attempt.provider, &*attempt.model_label));
    let gateway_key = row.key_label.as_deref().unwrap_or_default();
    key(start_s, [provider, model, gateway_key, &row.agent, &row.dialect])
}

/// What the end of an exchange counts, whatever its attempts.
pub(super) fn end_of(outcome: Outcome, tool_calls: i64, duration_us: i64) -> Sums {
    let mut sums = Sums::default();
    sums.add(Measure::Requests, 1);
    match outcome {
        Outcome::Complete => {}
        Outcome::ClientCancelled => sums.add(Measure::Cancelled, 1),
        Outcome::UpstreamError
        | Outcome::UpstreamReset
        | Outcome::Timeout
        | Outcome::Rejected
        | Outcome::GatewayError => sums.add(Measure::Errors, 1),
    }
    sums.add(Measure::ToolCalls, tool_calls);
    sums.add(Measure::Duration, duration_us);
    sums
}

/// What of an attempt is summed.
pub(super) struct Counted {
    usage: Usage,
    /// The kinds in `usage` that the gateway estimated.
    estimated: Usage,
    source: Option<UsageSource>,
    cost_nanousd: Option<i64>,
    unpriced: bool,
    partial: bool,
    missing: bool,
}

impl From<&AttemptRow> for Counted {
    fn from(attempt: &AttemptRow) -> Self {
        Self {
            usage: attempt.usage,
            estimated: attempt.estimated,
            source: attempt.usage_source,
            cost_nanousd: attempt.cost_nanousd,
            unpriced: attempt.unpriced,
            partial: attempt.partial,
            missing: attempt.missing,
        }
    }
}

impl From<&Tried<'_>> for Counted {
    fn from(tried: &Tried<'_>) -> Self {
        Self {
            usage: tried.usage(),
            estimated: tried.estimated(),
            source: tried.usage_source(),
            cost_nanousd: tried.number(Part::Cost),
            unpriced: tried.has_mark(UNPRICED),
            partial: tried.has_mark(PARTIAL),
            missing: tried.has_mark(MISSING),
        }
    }
}

pub(super) fn sums_of(attempt: &Counted) -> Sums {
    let mut sums = Sums::default();
    let (estimated, told) = (&attempt.estimated, attempt.usage.without(&attempt.estimated));
    add_tokens(&mut sums, UsageSource::Provider, &told);
    add_tokens(&mut sums, UsageSource::Estimated, estimated);
    let cost = attempt.cost_nanousd.unwrap_or(0);
    if attempt.source == Some(UsageSource::Estimated) {
        sums.add(Measure::EstimatedCost, cost);
    }
    sums.add(Measure::Attempts, 1);
    sums.add(Measure::Cost, cost);
    sums.add(Measure::Unpriced, i64::from(attempt.unpriced));
    sums.add(Measure::Partial, i64::from(attempt.partial));
    sums.add(Measure::Missing, i64::from(attempt.missing));
    sums
}

/// Tokens by who counted them: told and estimated ones stand apart.
pub(super) fn add_tokens(sums: &mut Sums, source: UsageSource, usage: &Usage) {
    let kinds: &[(Measure, Option<u64>)] = match source {
        UsageSource::Provider => &[
            (Measure::Input, usage.input),
            (Measure::Output, usage.output),
            (Measure::CacheRead, usage.cache_read),
            (Measure::CacheWrite, usage.cache_write),
            (Measure::Reasoning, usage.reasoning),
        ],
        UsageSource::Estimated => {
            &[(Measure::EstimatedInput, usage.input), (Measure::EstimatedOutput, usage.output)]
        }
    };
    for (measure, tokens) in kinds {
        sums.add(*measure, int(tokens.unwrap_or(0)));
    }
}

fn note_times(cell: &mut Cell, row: &Row) {
    cell.durations.note(row.duration_us.unsigned_abs());
    if let Some(ttft) = row.ttft_us {
        cell.ttfts.note(ttft.unsigned_abs());
    }
}

/// The same cells by day.
fn folded<'a>(hours: &Cells<'a>) -> Cells<'a> {
    let mut days = Cells::with_capacity(hours.len());
    for (key, cell) in hours {
        let start_s = key.start_s - key.start_s.rem_euclid(DAY_S);
        days.entry(Key { start_s, ..*key }).or_default().merge(cell);
    }
    days
}

fn write_cells(
    connection: &Connection,
    family: &Family,
    table: &str,
    cells: &Cells<'_>,
) -> rusqlite::Result<()> {
    if cells.is_empty() {
        return Ok(());
    }
    // In the order of the table, so that neighbours are written together.
    let mut ordered: Vec<_> = cells.iter().collect();
    ordered.sort_unstable_by_key(|(key, _)| **key);
    let mut upsert = connection.prepare_cached(&upsert(family, table))?;
    let mut before = if family.sketches {
        Some(connection.prepare_cached(&sketches_of(family, table))?)
    } else {
        None
    };
    for (key, cell) in ordered {
        let mut values: Vec<&dyn ToSql> = Vec::with_capacity(2 + DIMS_MAX + MEASURES);
        values.push(&key.start_s);
        values.extend(key.dims.iter().take(family.dims.len()).map(|dim| dim as &dyn ToSql));
        let mut distributions = None;
        if let Some(before) = &mut before {
            let (mut durations, mut ttfts) = (cell.durations.clone(), cell.ttfts.clone());
            let mut found = before.query(&values[..])?;
            if let Some(found) = found.next()? {
                durations.merge_encoded(found.get_ref(0)?.as_blob().unwrap_or_default());
                ttfts.merge_encoded(found.get_ref(1)?.as_blob().unwrap_or_default());
            }
            distributions = Some((durations.encode(), ttfts.encode()));
        }
        let sums = family.measures.iter().map(|measure| &cell.sums.0[*measure as usize]);
        values.extend(sums.map(|sum| sum as &dyn ToSql));
        if let Some((durations, ttfts)) = &distributions {
            values.extend([durations as &dyn ToSql, ttfts]);
        }
        upsert.execute(&values[..])?;
    }
    Ok(())
}

fn upsert(family: &Family, table: &str) -> String {
    let mut columns = vec!["start_s"];
    columns.extend(family.dims);
    let key = columns.join(", ");
    let mut sets: Vec<String> = Vec::with_capacity(MEASURES + 2);
    for measure in family.measures {
        let column = measure.column();
        columns.push(column);
        sets.push(format!("{column} = {column} + excluded.{column}"));
    }
    if family.sketches {
        for column in ["durations", "ttfts"] {
            columns.push(column);
            sets.push(format!("{column} = excluded.{column}"));
        }
    }
    let places = vec!["?"; columns.len()].join(", ");
    format!(
        "INSERT INTO {table} ({}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {}",
        columns.join(", "),
        sets.join(", ")
    )
}

fn sketches_of(family: &Family, table: &str) -> String {
    let mut sql = format!("SELECT durations, ttfts FROM {table} WHERE start_s = ?");
    for dim in family.dims {
        let written = write!(sql, " AND {dim} = ?");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    sql
}
