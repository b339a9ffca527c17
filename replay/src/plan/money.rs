//! A sum of money, as `--max-cost` and plans write it: `$5`, `0.25`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sum in billionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    pub nanousd: i64,
}

impl Money {
    /// Limit: dollars.
    pub const MAX_USD: f64 = 1_000_000.0;

    fn of(usd: f64) -> Option<Self> {
        let is_sum = (0.0..=Self::MAX_USD).contains(&usd);
        is_sum.then_some(Self { nanousd: (usd * 1e9).round() as i64 })
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let bare = written.trim();
        let bare = bare.strip_prefix('$').or(bare.strip_suffix("USD")).unwrap_or(bare);
        bare.trim().parse().ok().and_then(Self::of).ok_or_else(|| {
            format!(
                "`{written}` is no sum; write dollars such as $5 or 0.25, up to ${}",
                Self::MAX_USD
            )
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.nanousd / 1_000_000_000, self.nanousd % 1_000_000_000);
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let rest = rest.trim_end_matches('0');
        match rest.len() {
            0 => write!(f, "${whole}"),
            _ => write!(f, "${whole}.{rest:0<2}"),
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;

        impl Visitor<'_> for Sum {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sum such as \"$5\" or 0.25")
            }

            fn visit_str<E: Error>(self, written: &str) -> Result<Money, E> {
                written.parse().map_err(E::custom)
            }

            fn visit_f64<E: Error>(self, usd: f64) -> Result<Money, E> {
                Money::of(usd).ok_or_else(|| E::custom(format_args!("`{usd}` is no sum")))
            }

            fn visit_i64<E: Error>(self, usd: i64) -> Result<Money, E> {
                self.visit_f64(usd as f64)
            }

            fn visit_u64<E: Error>(self, usd: u64) -> Result<Money, E> {
                self.visit_f64(usd as f64)
            }
        }

        deserializer.deserialize_any(Sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_as_people_do() {
        for (written, nanousd, shown) in [
            ("$5", 5_000_000_000, "$5"),
            ("0.25", 250_000_000, "$0.25"),
            (" $ 1.5 ", 1_500_000_000, "$1.50"),
            ("3 USD", 3_000_000_000, "$3"),
            ("$0.000001", 1_000, "$0.000001"),
            ("0", 0, "$0"),
        ] {
            let sum: Money = written.parse().unwrap();
            assert_eq!((sum.nanousd, sum.to_string().as_str()), (nanousd, shown));
            assert_eq!(shown.parse(), Ok(sum));
        }
        for written in ["", "-1", "five", "1e300", "NaN"] {
            assert!(written.parse::<Money>().unwrap_err().contains("is no sum"), "{written}");
        }
        for json in ["\"$2\"", "2", "2.0"] {
            let sum: Money = serde_json::from_str(json).unwrap();
            assert_eq!(sum.nanousd, 2_000_000_000);
        }
        assert!(serde_json::from_str::<Money>("-3").is_err());
    }
}
