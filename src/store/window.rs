//! Which roll-ups hold a window: days where whole days lie in it, hours at its ends.

use crate::store::rollup::{DAY_S, Family, HOUR_S};

/// A table and the part of the window to read from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub table: &'static str,
    pub from_s: i64,
    pub to_s: i64,
    /// Seconds from one row of the same key to the next.
    pub step_s: i64,
}

impl Part {
    /// The hours of a window, each by itself.
    pub(super) fn hours(family: &Family, (from_s, to_s): (i64, i64)) -> Self {
        Self { table: family.hours, from_s, to_s, step_s: HOUR_S }
    }
}

/// The fewest rows that add up to the window.
pub(super) fn parts(family: &Family, (since_s, until_s): (i64, i64)) -> Vec<Part> {
    let hours = |from_s, to_s| Part::hours(family, (from_s, to_s));
    let (first, last) = (ceil(since_s, DAY_S), floor(until_s, DAY_S));
    match family.days {
        Some(table) if first < last => vec![
            hours(since_s, first),
            Part { table, from_s: first, to_s: last, step_s: DAY_S },
            hours(last, until_s),
        ],
        _ => vec![hours(since_s, until_s)],
    }
}

pub(super) fn floor(at_s: i64, step: i64) -> i64 {
    at_s.saturating_sub(at_s.rem_euclid(step))
}

pub(super) fn ceil(at_s: i64, step: i64) -> i64 {
    floor(at_s.saturating_add(step - 1), step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rollup::{TOTAL, USAGE};

    #[test]
    fn a_window_is_days_with_hours_at_its_ends() {
        let of = |family, since_h: i64, until_h: i64| {
            let read = parts(family, (since_h * HOUR_S, until_h * HOUR_S)).into_iter();
            read.filter(|part| part.from_s < part.to_s)
                .map(|part| (part.table, part.from_s / HOUR_S, part.to_s / HOUR_S))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&USAGE, 3, 9), [("usage_hours", 3, 9)]);
        assert_eq!(of(&USAGE, 3, 30), [("usage_hours", 3, 30)], "no whole day");
        let three = [("usage_hours", 3, 24), ("usage_days", 24, 72), ("usage_hours", 72, 75)];
        assert_eq!(of(&USAGE, 3, 75), three);
        assert_eq!(of(&USAGE, 24, 48), [("usage_days", 24, 48)]);
        assert_eq!(of(&TOTAL, 0, 48), [("total_hours", 0, 48)], "it has no days");
    }
}
