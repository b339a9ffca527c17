//! Decimal numbers as whole ones: prices in picodollars, factors in millionths. No price ever passes through a float.

use std::fmt;

/// Limit: dollars for a million tokens, or for one search. Real ones stay under a thousand.
const DOLLARS_MAX: u64 = 100_000;
/// Limit: what a price may be multiplied by.
const FACTOR_MAX: u64 = 1_000;

const MILLION: u64 = 1_000_000;
const TRILLION: u64 = 1_000_000_000_000;

/// Picodollars for one token. A dollar for a million tokens is a million picodollars for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PerToken(pub u64);

/// Picodollars for one call of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PerCall(pub u64);

/// A multiplier, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(pub u64);

impl PerToken {
    /// Reads dollars for a million tokens: `1.25`, `0.0375`.
    pub fn parse(text: &str) -> Result<Self, String> {
        decimal(text, 6, DOLLARS_MAX).map(Self).map_err(|fault| price_fault(&fault))
    }

    /// Dollars for a million tokens: `1.25`.
    pub fn per_million(self) -> String {
        show(self.0, MILLION)
    }

    /// Dollars for one token: `0.00000125`.
    pub fn per_token(self) -> String {
        show(self.0, TRILLION)
    }

    #[must_use]
    pub fn times(self, factor: Factor) -> Self {
        Self(times(self.0, factor))
    }
}

impl PerCall {
    /// Reads dollars for one call: `0.01`.
    pub fn parse(text: &str) -> Result<Self, String> {
        decimal(text, 12, DOLLARS_MAX).map(Self).map_err(|fault| price_fault(&fault))
    }

    /// Dollars for one call: `0.01`.
    pub fn dollars(self) -> String {
        show(self.0, TRILLION)
    }

    #[must_use]
    pub fn times(self, factor: Factor) -> Self {
        Self(times(self.0, factor))
    }
}

impl Factor {
    pub const ONE: Self = Self(MILLION);

    /// Reads `0.5`.
    pub fn parse(text: &str) -> Result<Self, String> {
        decimal(text, 6, FACTOR_MAX).map(Self).map_err(|fault| {
            format!("not a factor: {fault}; write 0 to {FACTOR_MAX} as text, such as \"0.5\"")
        })
    }

    /// From a configured number, to the nearest millionth. `None`: negative, not a number, or over the limit.
    pub fn of(number: f64) -> Option<Self> {
        let is_fit = (0.0..=FACTOR_MAX as f64).contains(&number);
        #[expect(clippy::cast_sign_loss, reason = "the range was looked at")]
        let millionths = || (number * MILLION as f64).round() as u64;
        is_fit.then(|| Self(millionths()))
    }

    /// Both, one after the other, to the nearest millionth.
    #[must_use]
    pub fn then(self, other: Self) -> Self {
        Self(times(self.0, other))
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self.0, MILLION))
    }
}

fn price_fault(fault: &str) -> String {
    format!("not a price: {fault}; write US dollars as text, such as \"1.25\"")
}

/// To the nearest whole, half up.
fn times(value: u64, factor: Factor) -> u64 {
    let product = u128::from(value) * u128::from(factor.0) + u128::from(MILLION / 2);
    u64::try_from(product / u128::from(MILLION)).unwrap_or(u64::MAX)
}

/// Reads digits with at most `places` after the point, as a whole number of the last place.
fn decimal(text: &str, places: usize, max: u64) -> Result<u64, String> {
    if text.starts_with('-') {
        return Err("negative".to_owned());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_cut_short = text.ends_with('.');
    if whole.is_empty() || is_cut_short || !is_digits(whole) || !is_digits(fraction) {
        return Err("not a decimal number".to_owned());
    }
    if fraction.len() > places {
        return Err(format!("more than {places} digits after the point"));
    }
    let unit = 10_u64.pow(u32::try_from(places).unwrap_or(0));
    let padded = format!("{fraction:0<places$}");
    let value = whole
        .parse::<u64>()
        .ok()
        .filter(|whole| *whole <= max)
        .and_then(|whole| whole.checked_mul(unit))
        .and_then(|value| value.checked_add(padded.parse().unwrap_or(0)))
        .filter(|value| *value <= max * unit);
    value.ok_or_else(|| format!("more than {max}"))
}

/// `value / unit`, with the places that are not zero.
fn show(value: u64, unit: u64) -> String {
    let places = unit.ilog10() as usize;
    let fraction = format!("{:0places$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    let whole = value / unit;
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_and_shown_exactly() {
        for (text, pico, per_token) in [
            ("1.25", 1_250_000, "0.00000125"),
            ("0", 0, "0"),
            ("0.000001", 1, "0.000000000001"),
            ("600", 600_000_000, "0.0006"),
            ("0.01875", 18_750, "0.00000001875"),
            ("100000", 100_000_000_000, "0.1"),
        ] {
            let price = PerToken::parse(text).unwrap();
            assert_eq!(price.0, pico, "{text}");
            assert_eq!(price.per_million(), text);
            assert_eq!(price.per_token(), per_token);
        }
        assert_eq!(PerCall::parse("0.01").unwrap().0, 10_000_000_000);
        assert_eq!(PerCall::parse("0.035").unwrap().dollars(), "0.035");
    }

    #[test]
    fn what_is_no_price_is_refused_with_the_reason() {
        for (text, reason) in [
            ("-1", "negative"),
            ("", "not a decimal"),
            (".5", "not a decimal"),
            ("5.", "not a decimal"),
            ("1e3", "not a decimal"),
            ("NaN", "not a decimal"),
            ("+1", "not a decimal"),
            (" 1", "not a decimal"),
            ("1,25", "not a decimal"),
            ("0.0000001", "more than 6 digits"),
            ("100000.000001", "more than 100000"),
            ("100001", "more than 100000"),
            ("99999999999999999999999", "more than 100000"),
        ] {
            let fault = PerToken::parse(text).unwrap_err();
            assert!(fault.contains(reason) && fault.contains("\"1.25\""), "{text:?}: {fault}");
        }
    }

    #[test]
    fn factors_round_to_the_nearest_millionth() {
        assert_eq!(Factor::parse("1.1").unwrap(), Factor(1_100_000));
        assert_eq!(Factor::of(0.9), Some(Factor(900_000)));
        assert_eq!(Factor::of(0.0), Some(Factor(0)));
        for number in [-0.1, f64::NAN, f64::INFINITY, 1000.1] {
            assert_eq!(Factor::of(number), None, "{number}");
        }
        assert_eq!(Factor(1_100_000).to_string(), "1.1");
        assert_eq!(Factor(500_000).then(Factor(1_100_000)), Factor(550_000));
        assert_eq!(PerToken(5).times(Factor(500_000)), PerToken(3), "half up");
    }
}
