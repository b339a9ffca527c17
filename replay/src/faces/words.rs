//! Numbers in their units, verdicts in words, and foreign text made harmless. Shared by all faces, so that a number reads the
//! same everywhere.

use std::borrow::Cow;

use crate::measure::{self, Better};
use crate::report::Verdict;

/// What is written where there is no number.
pub const NONE: &str = "–";

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    /// Tokens or characters a second.
    PerSecond,
    Count,
    Usd,
}

/// The names of all metrics, in the order in which they are shown.
pub fn metrics() -> impl Iterator<Item = &'static str> {
    measure::METRICS.iter().map(|metric| metric.name)
}

pub fn unit_of(metric: &str) -> Unit {
    match measure::metric(metric).map_or("s", |metric| metric.unit) {
        "tok/s" | "char/s" => Unit::PerSecond,
        "tok" => Unit::Count,
        "USD" => Unit::Usd,
        _ => Unit::Seconds,
    }
}

/// Whether a ratio above 1 is what one wants.
pub fn more_is_better(metric: &str) -> bool {
    measure::metric(metric).is_some_and(|metric| metric.better == Better::Higher)
}

/// Three significant digits, without trailing noise.
fn three(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    // 18.000000000000004 is 18.
    let value = if value.abs() < 1e6 { (value * 1e9).round() / 1e9 } else { value };
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 || size == 0.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if decimals > 0 && value.fract() == 0.0 { format!("{value:.0}") } else { text }
}

/// With a thousands separator that is no digit of any language: a thin space would break in terminals.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub fn seconds(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return NONE.to_owned();
    }
    match size {
        0.0 => "0 s".to_owned(),
        _ if size < 0.000_999_5 => format!("{} µs", three(value * 1e6)),
        _ if size < 0.999_5 => format!("{} ms", three(value * 1e3)),
        _ if size < 599.5 => format!("{} s", three(value)),
        _ if size < 36_000.0 => format!("{} min", three(value / 60.0)),
        _ => format!("{} h", three(value / 3600.0)),
    }
}

pub fn micros(value: u64) -> String {
    seconds(value as f64 / 1e6)
}

/// Dollars, with two significant digits where they are few.
pub fn usd(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let decimals = match size {
        0.0 => return "$0".to_owned(),
        _ if size >= 0.995 => 2,
        _ if size >= 0.01 => 4,
        _ if size >= 1e-9 => {
            #[expect(clippy::cast_sign_loss, reason = "sizes below 0.01 have a negative logarithm")]
            let zeros = (-size.log10()).ceil() as usize;
            zeros + 1
        }
        _ => 9,
    };
    format!("{sign}${size:.decimals$}")
}

pub fn share(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let percent = value * 100.0;
    if percent == 0.0 || (percent - 100.0).abs() < f64::EPSILON {
        return format!("{percent:.0}%");
    }
    // 99.97 % is not all, and 0.02 % is not nothing.
    let decimals = if (0.1..=99.9).contains(&percent) { 1 } else { 2 };
    format!("{percent:.decimals$}%")
}

pub fn ratio(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    match value.abs() {
        size if size >= 1e4 => format!("{value:.0e}x"),
        size if size >= 9.995 => format!("{}x", three(value)),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}x"),
        size if size >= 1e-4 => format!("{value:.4}x"),
        _ => format!("{value:.1e}x"),
    }
}

/// The ends of an interval of ratios.
pub fn interval(ends: [f64; 2]) -> String {
    let bare = |end: f64| ratio(end).trim_end_matches('x').to_owned();
    format!("{}–{}", bare(ends[0]), bare(ends[1]))
}

pub fn value(metric: &str, value: f64) -> String {
    match unit_of(metric) {
        Unit::Seconds => seconds(value),
        Unit::PerSecond => format!("{}/s", large(value)),
        Unit::Count => large(value),
        Unit::Usd => usd(value),
    }
}

fn large(value: f64) -> String {
    match value.abs() {
        size if size >= 999_500.0 => format!("{}M", three(value / 1e6)),
        size if size >= 9_995.0 => format!("{}k", three(value / 1e3)),
        _ => three(value),
    }
}

pub fn optional(metric: &str, number: Option<f64>) -> String {
    number.map_or_else(|| NONE.to_owned(), |number| value(metric, number))
}

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::Same => "same",
        Verdict::Undecided => "undecided",
    }
}

/// Of a day and a time of day in UTC, from microseconds since 1970.
pub fn instant(us: i64) -> String {
    let seconds = us.div_euclid(1_000_000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date by Howard Hinnant's counting: years begin in March, eras have 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The text with what would steer a reader's screen made visible: control characters (so no escape sequence reaches a
/// terminal), changes of writing direction, and what XML cannot hold. Line ends and tabs stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match u32::from(character) {
            _ if !steers(character) => out.push(character),
            code @ 0..=0x1f => out.push(char::from_u32(0x2400 + code).unwrap_or('\u{fffd}')),
            0x7f => out.push('\u{2421}'),
            code => {
                use std::fmt::Write as _;
                let _ = write!(out, "[U+{code:04X}]");
            }
        }
    }
    Cow::Owned(out)
}

fn steers(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fffe}'
        | '\u{ffff}' => true,
        _ => false,
    }
}

/// [`harmless`], and on one line.
pub fn line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

/// A foreign text in HTML or XML, between tags or within quotes.
pub fn escaped(text: &str) -> String {
    let text = harmless(text);
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The name of `known` that is nearest to `name`, if one is near enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 2).max(1);
    known
        .into_iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let seconds_of = [
            (0.0, "0 s"),
            (0.000_012, "12 µs"),
            (0.412, "412 ms"),
            (0.999_9, "1.00 s"),
            (1.234, "1.23 s"),
            (700.0, "11.7 min"),
            (f64::NAN, NONE),
        ];
        for (value, text) in seconds_of {
            assert_eq!(seconds(value), text);
        }
        assert_eq!(usd(0.000_123), "$0.00012");
        assert_eq!(usd(0.12), "$0.1200");
        assert_eq!(usd(12.0), "$12.00");
        assert_eq!(usd(-0.5), "-$0.5000");
        assert_eq!(share(0.999_7), "99.97%");
        assert_eq!(share(1.0), "100%");
        assert_eq!(share(0.05), "5.0%");
        assert_eq!(ratio(1.149_9), "1.15x");
        assert_eq!(ratio(f64::INFINITY), NONE);
        assert_eq!(interval([1.12, 1.18]), "1.12–1.18");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(value("speed", 12_345.0), "12.3k/s");
    }

    #[test]
    fn instants_are_dates() {
        assert_eq!(instant(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(instant(1_795_132_799_000_000), "2026-11-19 23:59:59 UTC");
        assert_eq!(instant(951_782_400_000_000), "2000-02-29 00:00:00 UTC");
    }

    #[test]
    fn foreign_text_cannot_steer() {
        assert_eq!(harmless("plain\n"), "plain\n");
        assert_eq!(harmless("\u{1b}[2J\u{7f}"), "␛[2J␡");
        assert_eq!(harmless("a\u{202e}b"), "a[U+202E]b");
        assert_eq!(escaped("<b a='x\"'>]]>&"), "&lt;b a=&#39;x&quot;&#39;&gt;]]&gt;&amp;");
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest("tfft", metrics()), Some("ttft"));
        assert_eq!(nearest("outputtokens", metrics()), Some("output_tokens"));
        assert_eq!(nearest("banana", metrics()), None);
        assert_eq!(nearest("", metrics()), None);
    }
}
