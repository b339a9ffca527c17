//! The goals, as data: one row each, judged against the floor of the same round.

use Limit::{AtLeast, AtMost};

use crate::sheet::Form::{OverFloor, OverOff, Plain, TimesFloor, TimesOff, TimesUnmetered};
use crate::sheet::{Column, FULL, METERED, Sheet, Spread, UNMETERED, column};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn admits(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// Use of the machine by other programs, in per cent, past which a load is done again and a goal is left undecided.
pub(crate) const FOREIGN_PCT_MAX: f64 = 15.0;

pub(crate) struct Goal {
    pub(crate) column: Column,
    pub(crate) limit: Limit,
    pub(crate) unit: &'static str,
    /// The one contender it speaks of; `None`: all of ours.
    pub(crate) of: Option<&'static str>,
}

/// What a run says of a goal.
pub(crate) enum Verdict {
    Met,
    Missed,
    /// Other programs took this much of the machine, in per cent, in the loads compared: too much to tell.
    Undecided(f64),
}

impl Goal {
    /// Whether it speaks of `contender`.
    pub(crate) fn is_of(&self, contender: &str) -> bool {
        self.of.is_none_or(|own| own == contender)
    }

    /// The measured spread and what it says, `foreign_pct_max` being the noise past which it says nothing.
    pub(crate) fn judge(
        &self,
        sheet: &Sheet,
        contender: &str,
        foreign_pct_max: f64,
    ) -> Option<(Spread, Verdict)> {
        let spread = sheet.spread(contender, &self.column)?;
        let noise = column("", self.column.load, "foreign_pct", Plain, 0);
        let compared = [contender, "floor", "direct"].into_iter();
        let foreign_pct = compared
            .filter_map(|name| Some(sheet.spread(name, &noise)?.median))
            .fold(0.0, f64::max);
        // Whoever runs ahead of others has its medians to itself, but not its tails.
        let limit_pct = if self.column.figure.ends_with("p99") {
            foreign_pct_max.min(FOREIGN_PCT_MAX)
        } else {
            foreign_pct_max
        };
        let verdict = if foreign_pct > limit_pct {
            Verdict::Undecided(foreign_pct)
        } else if self.limit.admits(spread.median) {
            Verdict::Met
        } else {
            Verdict::Missed
        };
        Some((spread, verdict))
    }
}

const fn goal(column: Column, limit: Limit, unit: &'static str) -> Goal {
    Goal { column, limit, unit, of: None }
}

/// A goal of one contender alone.
const fn goal_of(of: &'static str, column: Column, limit: Limit, unit: &'static str) -> Goal {
    Goal { column, limit, unit, of: Some(of) }
}

const TIMES: &str = "× floor";
const TIMES_UNMETERED: &str = "× unmetered";
const TIMES_OFF: &str = "× off";

#[rustfmt::skip]
pub(crate) const GOALS: [Goal; 24] = [
    goal_of(UNMETERED, column("CPU per request", "closed64", "cpu_us", TimesFloor, 2), AtMost(1.5), TIMES),
    goal_of(UNMETERED, column("requests/s per core", "closed64", "per_s", TimesFloor, 2), AtLeast(0.6), TIMES),
    goal_of(METERED, column("CPU per request, metered", "closed64", "cpu_us", TimesUnmetered, 2), AtMost(1.15), TIMES_UNMETERED),
    goal_of(METERED, column("CPU per request, metered", "closed64", "cpu_us", TimesFloor, 2), AtMost(2.0), TIMES),
    goal_of("pinhole", column("CPU per request, metered and stored", "closed64", "cpu_us", TimesFloor, 2), AtMost(2.0), TIMES),
    goal(column("added p50 at 1,000/s, over the floor's", "open1000", "p50", OverFloor, 0), AtMost(40.0), "µs"),
    goal(column("p99 at 1,000/s", "open1000", "p99", TimesFloor, 2), AtMost(1.5), TIMES),
    goal(column("added p50 of 256 KiB prompts, over the floor's", "large", "p50", OverFloor, 0), AtMost(60.0), "µs"),
    goal(column("CPU per stream frame, paced", "paced20", "cpu_us_frame", TimesFloor, 2), AtMost(1.3), TIMES),
    goal(column("CPU per stream frame, unpaced", "unpaced64", "cpu_us_frame", TimesFloor, 2), AtMost(1.3), TIMES),
    goal(column("delay of stream frames, p99", "paced20", "delay_p99", TimesFloor, 2), AtMost(1.3), TIMES),
    goal(column("memory, idle", "process", "idle_mib", Plain, 1), AtMost(25.0), "MiB"),
    goal(column("start-up", "process", "start_ms", Plain, 1), AtMost(50.0), "ms"),
    goal(column("memory, 10,000 idle streams", "idle-streams", "mib_per_10000", Plain, 0), AtMost(400.0), "MiB"),
    goal_of(FULL, column("capture full: CPU per request", "closed64", "cpu_us", TimesOff, 2), AtMost(1.67), TIMES_OFF),
    goal_of(FULL, column("capture full: requests/s per core", "closed64", "per_s", TimesOff, 2), AtLeast(0.6), TIMES_OFF),
    goal_of(FULL, column("capture full, 256 KiB: CPU per request", "large16", "cpu_us", TimesOff, 2), AtMost(1.67), TIMES_OFF),
    goal_of(FULL, column("capture full, 256 KiB: requests/s per core", "large16", "per_s", TimesOff, 2), AtLeast(0.6), TIMES_OFF),
    goal_of(FULL, column("capture full: p50 at 1,000/s, over off", "open1000", "p50", OverOff, 0), AtMost(10.0), "µs"),
    goal_of(FULL, column("capture full: p99 at 1,000/s", "open1000", "p99", TimesOff, 2), AtMost(1.2), TIMES_OFF),
    goal_of(FULL, column("capture full: shed, 64 connections", "closed64", "shed", Plain, 0), AtMost(0.0), "exchanges"),
    goal_of(FULL, column("capture full: shed, 256 KiB", "large16", "shed", Plain, 0), AtMost(0.0), "exchanges"),
    goal_of(FULL, column("capture full: shed at 5,000/s", "open5000", "shed", Plain, 0), AtMost(0.0), "exchanges"),
    goal_of(FULL, column("capture full: requests answered at 5,000/s", "open5000", "per_s", Plain, 0), AtLeast(4950.0), "/s"),
];
