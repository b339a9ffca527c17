//! The dearest of very many groups: a year has hundreds of thousands of sessions, and a report shows fifty.
//!
//! ```text
//!   weights of all groups, one pass ─► the dearest ─► their sums, by key       total: from the sums of all traffic
//! ```
//!
//! What the limit leaves out is the total less what is shown, so that nobody adds it up.

use std::cmp::Ordering;
use std::collections::HashMap;

use rusqlite::{Connection, Statement};

use crate::store::rollup::{Measure, SESSIONS, Sums, TOTAL};
use crate::store::window::{Part, parts};

/// Limit: groups that are worth looking up one by one; of more, all are added up.
pub(super) const SHOWN_MAX: usize = 1_000;

/// A head of the report, and what it leaves out.
pub(super) struct Top {
    /// The dearest first.
    pub groups: Vec<(String, Sums)>,
    pub others: u64,
    pub rest: Sums,
    pub total: Sums,
}

/// Cost, tokens, requests, calls of tools: the order of reports.
type Weight = [i64; 4];

/// What one pass learns of a group: how much it weighs, and between which rows it lies.
struct Group {
    weight: Weight,
    first_s: i64,
    last_s: i64,
}

/// The dearest sessions of the window.
pub(super) fn sessions(
    connection: &Connection,
    window: (i64, i64),
    limit: usize,
) -> rusqlite::Result<Top> {
    let parts = parts(&SESSIONS, window);
    let groups = weigh(connection, &parts)?;
    let mut ordered: Vec<(&[u8], &Group)> =
        groups.iter().map(|(session, group)| (&**session, group)).collect();
    if limit < ordered.len() {
        ordered.select_nth_unstable_by(limit, compare);
        ordered.truncate(limit);
    }
    ordered.sort_unstable_by(compare);
    let mut total = Sums::default();
    let mut of_all = connection.prepare(&format!(
        "SELECT {} FROM {} WHERE start_s >= ?1 AND start_s < ?2",
        columns(),
        TOTAL.hours
    ))?;
    add_up(&mut of_all, window, &mut total)?;
    let mut shown = Vec::with_capacity(ordered.len());
    let mut rest = total;
    for (session, group) in &ordered {
        let session = String::from_utf8_lossy(session).into_owned();
        let mut sums = Sums::default();
        for part in &parts {
            look_up(connection, part, group, &session, &mut sums)?;
        }
        rest.minus(&sums);
        shown.push((session, sums));
    }
    Ok(Top { others: (groups.len() - shown.len()) as u64, groups: shown, rest, total })
}

fn compare(a: &(&[u8], &Group), b: &(&[u8], &Group)) -> Ordering {
    b.1.weight.cmp(&a.1.weight).then_with(|| a.0.cmp(b.0))
}

fn weigh(connection: &Connection, parts: &[Part]) -> rusqlite::Result<HashMap<Box<[u8]>, Group>> {
    let mut groups: HashMap<Box<[u8]>, Group> = HashMap::new();
    for part in parts {
        // Few columns: each one more is felt a few hundred thousand times.
        let mut statement = connection.prepare_cached(&format!(
            "SELECT session, start_s, cost_nanousd, input_tokens + output_tokens, requests, tool_calls \
             FROM {} WHERE start_s >= ?1 AND start_s < ?2",
            part.table
        ))?;
        let mut rows = statement.query((part.from_s, part.to_s))?;
        while let Some(row) = rows.next()? {
            let session = row.get_ref(0)?.as_bytes().unwrap_or_default();
            let number = |at| row.get_ref(at).map(|value| value.as_i64().unwrap_or_default());
            let start_s = number(1)?;
            let more = [number(2)?, number(3)?, number(4)?, number(5)?];
            if let Some(group) = groups.get_mut(session) {
                for (sum, more) in group.weight.iter_mut().zip(more) {
                    *sum = sum.saturating_add(more);
                }
                group.last_s = start_s;
            } else {
                let group = Group { weight: more, first_s: start_s, last_s: start_s };
                groups.insert(session.into(), group);
            }
        }
    }
    Ok(groups)
}

/// Adds up a group's rows of a part. They are found by their whole keys: a session that went on for months lies among the
/// rows of all others.
fn look_up(
    connection: &Connection,
    part: &Part,
    group: &Group,
    session: &str,
    sums: &mut Sums,
) -> rusqlite::Result<()> {
    let (from_s, to_s) = (part.from_s.max(group.first_s), part.to_s.min(group.last_s + 1));
    if from_s >= to_s {
        return Ok(());
    }
    let step = part.step_s;
    let from_s = from_s - from_s.rem_euclid(step);
    let mut statement = connection.prepare_cached(&format!(
        "WITH RECURSIVE starts(s) AS (SELECT ?1 UNION ALL SELECT s + {step} FROM starts WHERE s + {step} < ?2) \
         SELECT {} FROM starts CROSS JOIN {} ON start_s = s AND session = ?3",
        columns(),
        part.table
    ))?;
    add_up(&mut statement, (from_s, to_s, session), sums)
}

fn columns() -> String {
    SESSIONS.measures.iter().map(|measure| measure.column()).collect::<Vec<_>>().join(", ")
}

fn add_up(
    statement: &mut Statement<'_>,
    values: impl rusqlite::Params,
    sums: &mut Sums,
) -> rusqlite::Result<()> {
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        for (at, measure) in Measure::ALL.iter().enumerate() {
            sums.add(*measure, row.get_ref(at)?.as_i64().unwrap_or_default());
        }
    }
    Ok(())
}
