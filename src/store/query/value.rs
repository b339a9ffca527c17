//! The name before the colon and the value after it, made into a test. Bad values name the forms that are allowed.

use std::ops::Range;

use crate::base::near;
use crate::exchange::level::Level;
use crate::exchange::signal::Signal;
use crate::store::query::error::{QueryError, shown};
use crate::store::query::expr::Test;
use crate::store::query::field::{FIELDS, Field, HEADER, Kind, TAG};
use crate::store::query::lex::{Name, Value};
use crate::store::query::pattern::Pattern;

/// Reads one term.
pub(super) fn read(
    text: &str,
    name: Option<&Name>,
    value: &Value,
    now_us: i64,
) -> Result<(Field, Test), QueryError> {
    let Some(name) = name else {
        if value.text.is_empty() {
            let message = "an empty word finds nothing; write a word or field:value";
            return Err(QueryError::new(text, value.at.clone(), message));
        }
        let words = value.text.to_lowercase();
        return Ok((Field::Word, Test::Words(words)));
    };
    let lower = name.text.to_ascii_lowercase();
    let (field, kind) = find(&lower, &name.text)
        .ok_or_else(|| QueryError::new(text, name.at.clone(), unknown(&name.text)))?;
    let read = Reading { text, name: &name.text, value, now_us };
    Ok((field, read.test(kind)?))
}

fn find(lower: &str, written: &str) -> Option<(Field, Kind)> {
    if let Some(info) = FIELDS.iter().find(|info| info.name == lower) {
        return Some((info.field.clone(), info.kind));
    }
    if lower == "tag" {
        return Some((Field::Tag(String::new()), Kind::Name));
    }
    if lower.starts_with(TAG) {
        let tag = written.get(TAG.len()..).filter(|tag| !tag.is_empty())?;
        return Some((Field::Tag(tag.to_owned()), Kind::Name));
    }
    let header = lower.strip_prefix(HEADER).filter(|header| !header.is_empty())?;
    Some((Field::Header(header.to_owned()), Kind::Name))
}

fn unknown(name: &str) -> String {
    let names = FIELDS.iter().map(|info| info.name).chain(["tag.NAME", "header.NAME"]);
    let near = near::nearest(name, names);
    let told = shown(name);
    let hint = if let Some(near) = near.first() {
        format!("did you mean `{near}`?")
    } else {
        let all: Vec<&str> = FIELDS.iter().map(|info| info.name).collect();
        format!("known are {}, tag.NAME, header.NAME", all.join(", "))
    };
    format!(
        "unknown field `{told}`; {hint} (a word with a colon that is no field stands in quotes)"
    )
}

struct Reading<'a> {
    text: &'a str,
    name: &'a str,
    value: &'a Value,
    now_us: i64,
}

impl Reading<'_> {
    fn test(&self, kind: Kind) -> Result<Test, QueryError> {
        if self.value.quoted && self.value.text.is_empty() && kind.may_be_absent() {
            return Ok(Test::Absent);
        }
        match kind {
            Kind::Name => Ok(Test::Like(self.pattern())),
            Kind::OneOf(set) => self.one_of(&set.names()),
            Kind::Id | Kind::Hex => self.id(kind),
            Kind::Bool => self.boolean(),
            Kind::Status => self.status(),
            Kind::Level => self.level(),
            Kind::Signal => self.signal(),
            Kind::Words => self.words(),
            Kind::Since => Ok(Test::Between { min: Some(self.time()?), max: None }),
            Kind::Until => {
                Ok(Test::Between { min: None, max: Some(self.time()?.saturating_sub(1)) })
            }
            Kind::Count | Kind::Duration | Kind::Money | Kind::Bytes => self.number(kind),
        }
    }

    fn pattern(&self) -> Pattern {
        if self.value.quoted {
            Pattern::exact(&self.value.text)
        } else {
            Pattern::new(&self.value.text)
        }
    }

    fn words(&self) -> Result<Test, QueryError> {
        if !self.value.text.chars().any(char::is_alphanumeric) && self.value.text != "*" {
            return Err(self.wrong("is no word", "a word, or several in quotes"));
        }
        if self.value.quoted || self.name.eq_ignore_ascii_case("text") {
            return Ok(Test::Words(self.value.text.clone()));
        }
        Ok(Test::Like(self.pattern()))
    }

    fn one_of(&self, all: &[&'static str]) -> Result<Test, QueryError> {
        let pattern = self.pattern();
        if all.iter().any(|one| pattern.matches(one)) {
            return Ok(Test::Like(pattern));
        }
        let near = near::nearest(&self.value.text, all.iter().copied());
        let hint =
            near.first().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        let form = format!("one of {}, or a pattern of them with *", all.join(", "));
        Err(self.wrong(&format!("is not known here{hint}"), &form))
    }

    fn id(&self, kind: Kind) -> Result<Test, QueryError> {
        if self.value.text == "*" && !self.value.quoted {
            return Ok(Test::Like(Pattern::new("*")));
        }
        let text = self.value.text.strip_suffix('*').unwrap_or(&self.value.text);
        let form = if kind == Kind::Hex {
            "32 hexadecimal digits, or the first of them"
        } else {
            "an id such as 019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f, or the beginning of one"
        };
        let (lowest, highest) = id_range(text).ok_or_else(|| self.wrong("is no id", form))?;
        Ok(Test::Ids { lowest, highest })
    }

    fn boolean(&self) -> Result<Test, QueryError> {
        match self.value.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(Test::Is(true)),
            "false" | "no" | "0" => Ok(Test::Is(false)),
            _ => Err(self.wrong("is neither true nor false", "true or false")),
        }
    }

    fn signal(&self) -> Result<Test, QueryError> {
        let pattern = self.pattern();
        let bits = Signal::ALL
            .into_iter()
            .filter(|signal| pattern.matches(signal.label()))
            .fold(0, |bits, signal| bits | i64::from(signal.bit()));
        if bits != 0 {
            return Ok(Test::Bits(bits));
        }
        self.one_of(&Signal::ALL.map(Signal::label))
    }

    fn level(&self) -> Result<Test, QueryError> {
        let compared = compared(&self.value.text);
        let number = |word: &str| Level::parse(word).map(|level| i64::from(level.number()));
        let form = "off, meta, headers, full, also with > < >= <=";
        let wrong = || self.wrong("is no level", form);
        Ok(match compared {
            Compared::With(comparison, word) => comparison.between(number(word).ok_or_else(wrong)?),
            Compared::Range(from, to) => Test::Between {
                min: from.map(|word| number(word).ok_or_else(wrong)).transpose()?,
                max: to.map(|word| number(word).ok_or_else(wrong)).transpose()?,
            },
        })
    }

    fn status(&self) -> Result<Test, QueryError> {
        let form = "a status such as 429, a class such as 5xx, a range such as 400..499, or >=400";
        let word = self.value.text.to_ascii_lowercase();
        if let Some(class) = word.strip_suffix("xx") {
            let class: i64 = class
                .parse()
                .ok()
                .filter(|class| (1..=9).contains(class))
                .ok_or_else(|| self.wrong("is no status", form))?;
            return Ok(Test::Between { min: Some(class * 100), max: Some(class * 100 + 99) });
        }
        self.range("is no status", form, |word| {
            word.parse().ok().filter(|status| (0..=999).contains(status))
        })
    }

    fn number(&self, kind: Kind) -> Result<Test, QueryError> {
        let (what, form, units): (_, _, &[(&str, i64)]) = match kind {
            Kind::Duration => ("is no duration", DURATION_FORM, DURATIONS),
            Kind::Money => {
                ("is no amount", "an amount such as $0.10 or 2.5, with > < >= <= or a range", MONEY)
            }
            Kind::Bytes => {
                ("is no size", "a size such as 900, 64KiB, 1.5MB, with > < >= <= or a range", BYTES)
            }
            _ => (
                "is no number",
                "a number such as 50, 10k, 1.5M, with > < >= <= or a range 10..50",
                COUNTS,
            ),
        };
        self.range(what, form, |word| {
            let word =
                if kind == Kind::Money { word.strip_prefix('$').unwrap_or(word) } else { word };
            scaled(word, units)
        })
    }

    /// A number, a comparison with one, or two that it lies between.
    fn range(
        &self,
        what: &str,
        form: &str,
        read: impl Fn(&str) -> Option<i64>,
    ) -> Result<Test, QueryError> {
        let wrong = || self.wrong(what, form);
        match compared(&self.value.text) {
            Compared::With(comparison, word) => {
                Ok(comparison.between(read(word).ok_or_else(wrong)?))
            }
            Compared::Range(None, None) => Err(wrong()),
            Compared::Range(from, to) => {
                let end =
                    |word: Option<&str>| word.map(|word| read(word).ok_or_else(wrong)).transpose();
                let (min, max) = (end(from)?, end(to)?);
                if min.zip(max).is_some_and(|(min, max)| min > max) {
                    return Err(self.wrong("is an empty range", "the smaller end first"));
                }
                Ok(Test::Between { min, max })
            }
        }
    }

    fn time(&self) -> Result<i64, QueryError> {
        let word = &self.value.text;
        let wrong = || {
            self.wrong(
                "is no time",
                "an age such as 30m, 2h, 7d, 4w, a date such as 2026-11-01 (its beginning, UTC), or a time such as \
                 2026-11-01T08:00:00Z",
            )
        };
        if let Some(age_us) = scaled(word, AGES) {
            return Ok(self.now_us.saturating_sub(age_us));
        }
        if let Ok(date) = word.parse::<jiff::civil::Date>()
            && word.len() == "2026-11-01".len()
        {
            let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
            return Ok(zoned.timestamp().as_microsecond());
        }
        word.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond).map_err(|_| wrong())
    }

    fn wrong(&self, what: &str, form: &str) -> QueryError {
        let message = format!("{}: `{}` {what}; use {form}", self.name, shown(&self.value.text));
        QueryError::new(self.text, self.at(), message)
    }

    fn at(&self) -> Range<usize> {
        self.value.at.clone()
    }
}

impl Kind {
    /// Whether an exchange can be without such a value.
    fn may_be_absent(self) -> bool {
        !matches!(
            self,
            Self::OneOf(_) | Self::Bool | Self::Level | Self::Signal | Self::Since | Self::Until
        )
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    More,
    Least,
    Less,
    Most,
}

enum Compared<'a> {
    With(Comparison, &'a str),
    Range(Option<&'a str>, Option<&'a str>),
}

impl Comparison {
    fn between(self, number: i64) -> Test {
        let (min, max) = match self {
            Self::Equal => (Some(number), Some(number)),
            Self::More => (Some(number.saturating_add(1)), None),
            Self::Least => (Some(number), None),
            Self::Less => (None, Some(number.saturating_sub(1))),
            Self::Most => (None, Some(number)),
        };
        Test::Between { min, max }
    }
}

fn compared(text: &str) -> Compared<'_> {
    for (sign, comparison) in [
        (">=", Comparison::Least),
        ("<=", Comparison::Most),
        (">", Comparison::More),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Compared::With(comparison, rest);
        }
    }
    match text.split_once("..") {
        Some((from, to)) => Compared::Range(some(from), some(to)),
        None => Compared::With(Comparison::Equal, text),
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A unit and how much one of it is.
type Units = [(&'static str, i64)];

const DURATION_FORM: &str = "a duration such as 200ms, 1.5s, 2m, with > < >= <= or a range 1s..5s";
const DURATIONS: &Units = &[
    ("us", 1),
    ("µs", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
];
const AGES: &Units = &[
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];
const COUNTS: &Units =
    &[("", 1), ("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
/// In billionths of a dollar.
const MONEY: &Units = &[("", 1_000_000_000), ("k", 1_000_000_000_000)];
const BYTES: &Units = &[
    ("", 1),
    ("B", 1),
    ("k", 1_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("M", 1_000_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A decimal number with a unit, in whole ones of the least; what is smaller falls away. Zero needs no unit.
fn scaled(word: &str, units: &Units) -> Option<i64> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (number, unit) = word.split_at_checked(end)?;
    if number == "0" && unit.is_empty() {
        return Some(0);
    }
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(fraction) || number.ends_with('.') {
        return None;
    }
    if fraction.len() > 18 {
        return None;
    }
    let scale = i128::from(*scale);
    let parts = i128::from(10u64.pow(u32::try_from(fraction.len()).ok()?));
    let whole = i128::from(whole.parse::<i64>().ok()?);
    let fraction = if fraction.is_empty() { 0 } else { i128::from(fraction.parse::<i64>().ok()?) };
    i64::try_from(whole * scale + fraction * scale / parts).ok()
}

/// The ids that begin with these digits.
pub(super) fn id_range(text: &str) -> Option<([u8; 16], [u8; 16])> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    let (mut lowest, mut highest) = ([0u8; 16], [0xFFu8; 16]);
    for (at, digit) in digits.iter().enumerate() {
        let shift = if at % 2 == 0 { 4 } else { 0 };
        for bytes in [&mut lowest, &mut highest] {
            let byte = bytes.get_mut(at / 2)?;
            *byte = (*byte & !(0xF << shift)) | (digit << shift);
        }
    }
    Some((lowest, highest))
}
