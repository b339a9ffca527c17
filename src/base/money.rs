//! Money as whole nanodollars: sums are exact, and a year of traffic fits.

use std::fmt;

/// Billionths of a US dollar. `i64` holds nine billion dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Nanodollars(pub i64);

impl Nanodollars {
    /// The sum; at the end of the range it stays there.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// For gauges and reports, never for sums.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// Dollars with all nine places that are not zero, at least two: `0.000012345`, `1.50`.
impl fmt::Display for Nanodollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs();
        let places = format!("{:09}", whole % 1_000_000_000);
        let kept = places.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{}.{}", whole / 1_000_000_000, &places[..kept])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_exactly() {
        for (nano, text) in [
            (0, "0.00"),
            (1, "0.000000001"),
            (12_345, "0.000012345"),
            (1_500_000_000, "1.50"),
            (-2_000_000_000, "-2.00"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(Nanodollars(nano).to_string(), text);
        }
    }

    #[test]
    fn sums_stay_in_range() {
        assert_eq!(Nanodollars(i64::MAX).plus(Nanodollars(1)), Nanodollars(i64::MAX));
    }
}
