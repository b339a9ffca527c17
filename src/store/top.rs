//! The dearest of very many groups: a year has hundreds of thousands of sessions, and a report shows fifty.
//!
//! ```text
//!   weights of all groups, one pass ─► the dearest ─► their sums, by key       total: from the sums of all traffic
//! ```
//!
//! What the limit leaves out is the total less what is shown, so that nobody adds it up.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::ops::Range;

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
    /// Where its name lies among the names.
    name: Range<usize>,
    /// The one before it whose name has the same hash.
    next: Option<usize>,
}

/// Groups by name, without an allocation a group: there are hundreds of thousands, for the time of one report.
#[derive(Default)]
struct Groups {
    hash: RandomState,
    /// The last group of each hash.
    heads: HashMap<u64, usize, BuildHasherDefault<Same>>,
    all: Vec<Group>,
    names: Vec<u8>,
}

/// Keys are hashes already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Groups {
    fn add(&mut self, name: &[u8], start_s: i64, weight: Weight) {
        let hash = self.hash.hash_one(name);
        let head = self.heads.get(&hash).copied();
        let mut at = head;
        while let Some(group) = at.and_then(|at| self.all.get_mut(at)) {
            if self.names.get(group.name.clone()) == Some(name) {
                for (sum, more) in group.weight.iter_mut().zip(weight) {
                    *sum = sum.saturating_add(more);
                }
                group.last_s = start_s;
                return;
            }
            at = group.next;
        }
        let begin = self.names.len();
        self.names.extend_from_slice(name);
        let name = begin..self.names.len();
        self.heads.insert(hash, self.all.len());
        self.all.push(Group { weight, first_s: start_s, last_s: start_s, name, next: head });
    }

    fn name(&self, group: &Group) -> &[u8] {
        self.names.get(group.name.clone()).unwrap_or_default()
    }

    /// The dearest, in order.
    fn dearest(&self, limit: usize) -> Vec<&Group> {
        let order = |a: &&Group, b: &&Group| {
            b.weight.cmp(&a.weight).then_with(|| self.name(a).cmp(self.name(b)))
        };
        let mut ordered: Vec<&Group> = self.all.iter().collect();
        if limit < ordered.len() {
            ordered.select_nth_unstable_by(limit, order);
            ordered.truncate(limit);
        }
        ordered.sort_unstable_by(order);
        ordered
    }
}

/// The dearest sessions of the window.
pub(super) fn sessions(
    connection: &Connection,
    window: (i64, i64),
    limit: usize,
) -> rusqlite::Result<Top> {
    let parts = parts(&SESSIONS, window);
    let groups = weigh(connection, &parts)?;
    let ordered = groups.dearest(limit);
    let mut total = Sums::default();
    let mut of_all = connection.prepare(&format!(
        "SELECT {} FROM {} WHERE start_s >= ?1 AND start_s < ?2",
        columns(),
        TOTAL.hours
    ))?;
    add_up(&mut of_all, window, &mut total)?;
    let mut shown = Vec::with_capacity(ordered.len());
    let mut rest = total;
    for group in ordered {
        let session = String::from_utf8_lossy(groups.name(group)).into_owned();
        let mut sums = Sums::default();
        for part in &parts {
            look_up(connection, part, group, &session, &mut sums)?;
        }
        rest.minus(&sums);
        shown.push((session, sums));
    }
    Ok(Top { others: (groups.all.len() - shown.len()) as u64, groups: shown, rest, total })
}

fn weigh(connection: &Connection, parts: &[Part]) -> rusqlite::Result<Groups> {
    let mut groups = Groups::default();
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
            groups.add(session, start_s, [number(2)?, number(3)?, number(4)?, number(5)?]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_add_up_by_name_also_where_hashes_meet() {
        let mut groups = Groups::default();
        for n in 0..1_000i64 {
            groups.add(format!("s-{}", n % 300).as_bytes(), n, [1, n % 300, 0, 0]);
        }
        // As if all names had one hash: each leads to the one before it.
        groups.heads.clear();
        for at in 1..groups.all.len() {
            groups.all[at].next = Some(at - 1);
        }
        let head = groups.hash.hash_one(b"s-7".as_slice());
        groups.heads.insert(head, groups.all.len() - 1);
        groups.add(b"s-7", 2_000, [5, 0, 0, 0]);
        assert_eq!(groups.all.len(), 300);
        let dearest = groups.dearest(2);
        let shown = dearest.iter().map(|group| (groups.name(group), group.weight));
        let expected = [(&b"s-7"[..], [9, 28, 0, 0]), (&b"s-99"[..], [4, 396, 0, 0])];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        assert_eq!((dearest[0].first_s, dearest[0].last_s), (7, 2_000));
    }
}
