//! The counts of a run: what was sent, what it cost, and what it may still cost.

use std::time::Duration;

use super::deeds::DEADLINE;
use super::{Budget, Progress};
use crate::outcome::Outcome;
use crate::row::Row;
use crate::schedule::Due;

pub(super) struct Ledger {
    pub(super) progress: Progress,
    budget: Option<Budget>,
    /// The most that requests in flight can cost.
    reserved: i64,
    /// Requests that one due comes to: two where a cache is warmed before.
    each: i64,
}

impl Ledger {
    pub(super) fn new(budget: Option<Budget>, planned: u64, each: i64) -> Self {
        let spent_nanousd = budget.as_ref().map_or(0, |budget| budget.spent_nanousd);
        let progress = Progress { planned, spent_nanousd, ..Progress::default() };
        Self { progress, budget, reserved: 0, each }
    }

    fn worst(&self, due: &Due) -> i64 {
        let worst = |budget: &Budget| (budget.worst)(due.job.pair, due.target).max(0);
        self.budget.as_ref().map_or(0, worst)
    }

    /// Whether a request can be paid whatever it and those in flight come to; then that is set aside.
    pub(super) fn reserve(&mut self, due: &Due) -> bool {
        let Some(budget) = &self.budget else { return true };
        let worst = self.worst(due).saturating_mul(self.each).saturating_add(budget.judge_nanousd);
        let all = self.progress.spent_nanousd.saturating_add(self.reserved).saturating_add(worst);
        let fits = all <= budget.max_nanousd;
        if fits {
            self.reserved += worst;
        }
        fits
    }

    /// Gives back what was set aside for a due that has ended, or was never sent; not what judging its answer may cost.
    pub(super) fn release(&mut self, due: &Due) {
        self.reserved -= self.worst(due).saturating_mul(self.each);
    }

    /// Adds what one answer cost. Where nobody said, one that a provider has begun, or may have, is taken at its worst; those
    /// that were refused or never got there are free.
    pub(super) fn pay(&mut self, due: &Due, outcome: &Outcome) {
        let is_begun = outcome.status.is_some_and(|status| (200..300).contains(&status));
        let is_lost = outcome.error.as_ref().is_some_and(|fault| fault.kind == DEADLINE);
        let unknown = if is_begun || is_lost { self.worst(due) } else { 0 };
        self.progress.spent_nanousd += outcome.cost_nanousd.unwrap_or(unknown);
    }

    /// Gives back what was set aside for judging so many answers.
    pub(super) fn judged(&mut self, answers: usize) {
        let each = self.budget.as_ref().map_or(0, |budget| budget.judge_nanousd);
        let answers = i64::try_from(answers).unwrap_or(i64::MAX);
        self.reserved -= each.saturating_mul(answers);
    }

    /// Adds what asking a judge has cost.
    pub(super) fn pay_judge(&mut self, rows: &[Row]) {
        self.progress.spent_nanousd += rows.iter().map(Row::judge_nanousd).sum::<i64>();
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        self.progress.done += 1;
        self.progress.errors += u64::from(!outcome.is_good());
    }

    /// The counts as of now. `planned_end`: when the schedule sends its last.
    pub(super) fn report(
        &mut self,
        elapsed: Duration,
        in_flight: usize,
        planned_end: Option<Duration>,
    ) -> Progress {
        let done = self.progress.done as f64;
        let per_s = if elapsed.is_zero() { 0.0 } else { done / elapsed.as_secs_f64() };
        let open = self.progress.planned.saturating_sub(self.progress.done) as f64;
        let by_rate = Duration::try_from_secs_f64(open / per_s).ok();
        let by_plan = planned_end.map(|end| end.saturating_sub(elapsed));
        self.progress = Progress {
            in_flight: in_flight as u64,
            elapsed,
            per_s,
            left: if open > 0.0 { by_plan.or(by_rate) } else { Some(Duration::ZERO) },
            ..self.progress
        };
        self.progress
    }
}
