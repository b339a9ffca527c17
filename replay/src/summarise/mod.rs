//! From a run's table to its report: distributions, comparisons with the baseline, answers, costs, and what the reader has to
//! know to trust them.
//!
//! The baseline is the first target, or with only one target what was captured. Pairs are formed by captured exchange and
//! repeat; the captured answer stands against every repeat.

mod notes;

use crate::answers;
use crate::elsewhere::Sums;
use crate::measure::{self, METRICS};
use crate::report::{
    Answers, Comparison, Judge, NO_BASELINE, Report, SCHEMA, Schedule, Target, Worst,
};
use crate::row::{CAPTURED, Likeness};
use crate::stats::{self, Options, Pair};
use crate::table::{Cell, Column, STOPPED, Table};

/// Limit: pairs that are named because their answers differ.
pub const WORST_MAX: usize = 20;
/// Above this p99 of the lag, times from the intended instant show the sender, too.
pub const LAG_MAX_US: u64 = 5_000;

/// Fills everything of a report that comes from rows. The caller has given run id, plan, environment and what was left out;
/// `names` are the targets in the order of their numbers.
pub fn summarise(table: &Table, names: &[String], options: &Options, mut report: Report) -> Report {
    let baseline = (names.len() > 1).then_some(0_u16);
    let name = |number: Option<u16>| {
        let known = number.and_then(|number| names.get(usize::from(number)));
        known.map_or_else(|| CAPTURED.to_owned(), Clone::clone)
    };
    report.schema = SCHEMA;
    report.baseline = name(baseline);
    if baseline.is_none() && table.column(None).is_none() {
        // Requests that nobody has answered: "captured" would name what is not there.
        NO_BASELINE.clone_into(&mut report.baseline);
    }
    report.interleaved = baseline.is_some();
    report.sessions = table.sessions() as u64;
    let formulas = [measure::SYMBOLS, measure::FORMULAS, measure::COMPARED];
    report.formulas = formulas
        .into_iter()
        .flatten()
        .map(|(name, formula)| ((*name).to_owned(), (*formula).to_owned()))
        .collect();
    report.schedule = schedule(table);
    if let Some(judge) = &mut report.judge {
        *judge = Judge { target: std::mem::take(&mut judge.target), ..table.judge().clone() };
    }
    for (kind, count) in table.unsent() {
        *report.left_out.entry(kind).or_default() += count;
    }
    // What was compared comes first, then what it was compared with, then what stands beside.
    let numbers = (0..u16::try_from(names.len()).unwrap_or(u16::MAX)).map(Some);
    let mut order: Vec<Option<u16>> = numbers.filter(|number| *number != baseline).collect();
    order.extend(baseline.map(Some));
    order.push(None);
    let empty = Column::new();
    let base = table.column(baseline).unwrap_or(&empty);
    report.targets = order
        .into_iter()
        .filter(|number| number.is_some() || table.column(None).is_some())
        .map(|number| {
            let column = table.column(number).unwrap_or(&empty);
            let mut target = describe(table, name(number), column);
            target.number = number;
            if number != baseline && number.is_some() {
                let pairs = Paired { base, column, once: baseline.is_none() };
                target.comparisons = pairs.comparisons(options);
                target.answers = pairs.answers(table);
            }
            target
        })
        .collect();
    correct_family(&mut report.targets);
    let mut said = notes::of(&report);
    said.append(&mut report.notes);
    report.notes = said;
    report
}

/// A column by itself.
fn describe(table: &Table, name: String, column: &Column) -> Target {
    let mut target = Target { target: name, ..Target::default() };
    let mut sums = Sums::default();
    let mut cost_nanousd: Option<i64> = None;
    for cell in column.values() {
        let fault = cell.fault.map(|number| table.kind(number));
        target.stopped += u64::from(fault == Some(STOPPED));
        if !table.is_sent(cell) {
            continue;
        }
        target.n += 1;
        if let Some(kind) = fault {
            target.errors += 1;
            *target.errors_by_kind.entry(kind.to_owned()).or_default() += 1;
        }
        match cell.cost_nanousd {
            Some(cost) => {
                cost_nanousd = Some(cost_nanousd.unwrap_or_default().saturating_add(cost));
            }
            None => target.unpriced += u64::from(fault.is_none()),
        }
        target.input_tokens += cell.input_tokens.unsigned_abs();
        target.cached_tokens += cell.cached_tokens.unsigned_abs();
        target.output_tokens += cell.output_tokens.unsigned_abs();
        for loss in &cell.losses {
            *target.losses.entry(table.loss(*loss).to_owned()).or_default() += 1;
        }
        if let Some(stream) = &cell.stream {
            sums.add(stream);
        }
    }
    target.cost_usd = cost_nanousd.map(|cost| cost as f64 / 1e9);
    target.elsewhere = sums.numbers();
    target.metrics = METRICS
        .iter()
        .enumerate()
        .filter_map(|(place, metric)| {
            let mut values: Vec<f64> =
                column.values().filter_map(|cell| cell.metrics.get(place).copied()).collect();
            Some((metric.name.to_owned(), stats::summary(&mut values)?))
        })
        .collect();
    target
}

/// A target's column beside the baseline's.
struct Paired<'a> {
    base: &'a Column,
    column: &'a Column,
    /// The baseline has one answer for all repeats.
    once: bool,
}

impl<'a> Paired<'a> {
    /// Exchange number, the baseline's cell, the target's.
    fn each(&self) -> impl Iterator<Item = (u32, &'a Cell, &'a Cell)> {
        let (base, once) = (self.base, self.once);
        self.column.iter().filter_map(move |((pair, repeat), cell)| {
            let counterpart = base.get(&(*pair, if once { 0 } else { *repeat }))?;
            Some((*pair, counterpart, cell))
        })
    }

    fn comparisons(&self, options: &Options) -> Vec<Comparison> {
        let pairs: Vec<(&str, Vec<Pair>)> = METRICS
            .iter()
            .enumerate()
            // Mostly zero, and zeros have no ratio: its totals stand in the target.
            .filter(|(_, metric)| metric.name != "cached_tokens")
            .map(|(place, metric)| {
                let value =
                    |cell: &Cell| cell.metrics.get(place).copied().filter(|v| v.is_finite());
                let pair = |(exchange, base, new): (u32, &Cell, &Cell)| {
                    let (base_value, new_value) = (value(base)?, value(new)?);
                    Some(Pair { base: base_value, new: new_value, session: new.session, exchange })
                };
                (metric.name, self.each().filter_map(pair).collect())
            })
            .collect();
        let borrowed: Vec<(&str, &[Pair])> =
            pairs.iter().map(|(name, pairs)| (*name, pairs.as_slice())).collect();
        stats::compare_all(&borrowed, options)
    }

    /// `None`: no pair has both sides.
    fn answers(&self, table: &Table) -> Option<Answers> {
        let pairs: Vec<(&Cell, &Cell)> = self
            .each()
            .map(|(_, base, new)| (base, new))
            .filter(|(base, new)| table.is_sent(base) && table.is_sent(new))
            .collect();
        if pairs.is_empty() {
            return None;
        }
        let likes: Vec<&Likeness> =
            pairs.iter().filter_map(|(_, new)| new.likeness.as_ref()).collect();
        let only = |wanted: (bool, bool)| {
            let good = |(base, new): &&(&Cell, &Cell)| {
                (base.fault.is_none(), new.fault.is_none()) == wanted
            };
            pairs.iter().filter(good).count() as u64
        };
        let (only_base, only_new) = (only((true, false)), only((false, true)));
        Some(Answers {
            only_baseline_good: only_base,
            only_target_good: only_new,
            mcnemar_p: stats::mcnemar(only_base, only_new),
            judged: judged(&likes),
            worst: worst(table, &pairs),
            ..shares(&likes)
        })
    }
}

fn shares(likes: &[&Likeness]) -> Answers {
    let share = |is: fn(&Likeness) -> bool| {
        likes.iter().filter(|like| is(like)).count() as f64 / likes.len().max(1) as f64
    };
    let mean = |of: fn(&Likeness) -> Option<f64>| {
        let values: Vec<f64> = likes.iter().filter_map(|like| of(like)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mut lengths: Vec<f64> = likes.iter().filter_map(|like| like.length_ratio).collect();
    Answers {
        n: likes.len() as u64,
        exact: share(|like| like.exact),
        normalised: share(|like| like.normalised),
        json: mean(|like| like.json),
        schema_valid: mean(|like| like.schema_valid.map(f64::from)),
        tool_calls_precision: mean(|like| like.calls_precision),
        tool_calls_recall: mean(|like| like.calls_recall),
        tool_calls_f1: mean(|like| like.calls_f1),
        tool_names_f1: mean(|like| like.names_f1),
        tool_calls_in_order: mean(|like| like.calls_in_order.map(f64::from)),
        same_finish: share(|like| like.same_finish),
        length_ratio: stats::summary(&mut lengths).map(|summary| summary.p50),
        refusals: likes.iter().filter(|like| like.refused).count() as u64,
        ..Answers::default()
    }
}

fn judged(likes: &[&Likeness]) -> Option<[u64; 3]> {
    let words: Vec<i8> = likes.iter().filter_map(|like| like.judged).collect();
    let count = |is: fn(i8) -> bool| words.iter().filter(|word| is(**word)).count() as u64;
    (!words.is_empty()).then(|| [count(|w| w > 0), count(|w| w < 0), count(|w| w == 0)])
}

/// The pairs that differ most: those whose answer got lost, then by [`answers::difference`].
fn worst(table: &Table, pairs: &[(&Cell, &Cell)]) -> Vec<Worst> {
    let mut all: Vec<(f64, &Cell, &Cell)> = pairs
        .iter()
        .filter_map(|(base, new)| {
            let difference = match (base.fault, new.fault, &new.likeness) {
                (None, Some(_), _) => 1.0,
                (_, None, Some(likeness)) => answers::difference(likeness).0,
                _ => 0.0,
            };
            (difference > 0.0).then_some((difference, *base, *new))
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.2.of.cmp(&b.2.of)));
    all.truncate(WORST_MAX);
    all.into_iter()
        .map(|(difference, base, new)| {
            let why = match (new.fault, &new.likeness) {
                (Some(fault), _) => format!("error: {}", table.kind(fault)),
                (None, Some(likeness)) => answers::difference(likeness).1,
                (None, None) => String::new(),
            };
            let text = |id: &Option<Box<str>>| id.as_deref().map(str::to_owned);
            Worst {
                of: new.of.to_string(),
                baseline_id: text(&base.id),
                target_id: text(&new.id),
                difference,
                why,
            }
        })
        .collect()
}

/// The family of tests is all published metrics of all targets; what stands only in details is in no family.
fn correct_family(targets: &mut [Target]) {
    let mut family = Vec::new();
    for comparison in targets.iter_mut().flat_map(|target| &mut target.comparisons) {
        comparison.p_holm = None;
        if measure::metric(&comparison.metric).is_some_and(|metric| metric.published) {
            family.push(comparison);
        }
    }
    stats::correct(&mut family);
}

fn schedule(table: &Table) -> Schedule {
    let mut lags: Vec<f64> = table.sent().map(|cell| cell.lag_us as f64).collect();
    lags.sort_unstable_by(f64::total_cmp);
    let at = |q| stats::quantile(&lags, q).unwrap_or_default().round();
    let [p50, p99, max] = [at(0.5), at(0.99), at(1.0)].map(whole);
    Schedule { lag_p50_us: p50, lag_p99_us: p99, lag_max_us: max, degraded: p99 > LAG_MAX_US }
}

#[expect(clippy::cast_sign_loss, reason = "lags are never negative")]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests;
