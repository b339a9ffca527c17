//! The date of a price list, and its age in days.

use std::fmt;

/// A day, counted from 1 January 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

const DAY_US: u64 = 86_400_000_000;

impl Day {
    /// Reads `2026-11-20`.
    pub fn parse(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
        let epoch = jiff::civil::Date::new(1970, 1, 1).ok()?;
        let days = date.since((jiff::Unit::Day, epoch)).ok()?.get_days();
        Some(Self(i64::from(days)))
    }

    /// The day of a time in microseconds since 1970.
    pub fn of_us(wall_us: u64) -> Self {
        Self(i64::try_from(wall_us / DAY_US).unwrap_or(i64::MAX))
    }

    /// Days from this one to `now`; none when this one is still to come.
    pub fn age_days(self, now: Self) -> u64 {
        u64::try_from(now.0.saturating_sub(self.0)).unwrap_or(0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = jiff::civil::Date::new(1970, 1, 1);
        let date = epoch.and_then(|epoch| epoch.checked_add(jiff::Span::new().try_days(self.0)?));
        match date {
            Ok(date) => date.fmt(f),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_shown_and_counted() {
        let day = Day::parse("2026-11-20").unwrap();
        assert_eq!(day.to_string(), "2026-11-20");
        assert_eq!(Day::parse("1970-01-02"), Some(Day(1)));
        assert_eq!(day.age_days(Day::parse("2027-05-19").unwrap()), 180);
        assert_eq!(day.age_days(Day::parse("2026-01-01").unwrap()), 0);
        assert_eq!(Day::of_us(DAY_US + 5), Day(1));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["", "2026-13-01", "20261120", "2026-11-20T00:00", "yesterday"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
