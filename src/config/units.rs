//! Durations and sizes as people write them: `30s`, `5m`, `500ms`, `64MiB`, `10GiB`, `1000`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A [`Span`], or the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanOrOff(pub Option<Duration>);

/// A number of bytes: a whole number, alone or with `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// The `format` words that tie the JSON Schema's strings to these parsers.
pub const SPAN_FORMAT: &str = "duration-text";
pub const SPAN_OR_OFF_FORMAT: &str = "duration-text-or-off";
pub const SIZE_FORMAT: &str = "size-text";

const SPAN_HELP: &str = "write a whole number with a unit: 500ms, 30s, 5m, 12h, 30d";
const SIZE_HELP: &str =
    "write a whole number of bytes, or one with a unit: 1000, 64KiB, 64MiB, 10GiB";

/// Longest unit first, so that `ms` is not read as `m`.
const SPAN_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads `30s`; the error is a remedy without the text itself.
pub fn parse_span(text: &str) -> Result<Duration, &'static str> {
    let millis = SPAN_UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.trim().strip_suffix(unit)?, factor)))
        .and_then(|(number, factor)| whole(number)?.checked_mul(*factor));
    millis.map(Duration::from_millis).ok_or(SPAN_HELP)
}

/// Reads `30s` or `off`.
pub fn parse_span_or_off(text: &str) -> Result<Option<Duration>, &'static str> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match parse_span(text) {
        Ok(span) => Ok(Some(span)),
        Err(_) => Err("write `off`, or a whole number with a unit: 500ms, 30s, 5m, 12h, 30d"),
    }
}

/// Reads `64MiB`.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let (number, factor) = SIZE_UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    whole(number).and_then(|count| count.checked_mul(factor)).ok_or(SIZE_HELP)
}

/// Digits only: `u64::from_str` would also take a leading `+`.
fn whole(text: &str) -> Option<u64> {
    let digits = text.trim();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The largest unit that divides it evenly: `90s`, `30d`, `1500ms`.
pub fn show_span(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) = SPAN_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor))
        .unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / factor)
}

/// The largest binary unit that divides it evenly: `64MiB`, `1000`.
pub fn show_size(bytes: u64) -> String {
    SIZE_UNITS[..4]
        .iter()
        .find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor))
        .map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_span(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": SPAN_FORMAT})
    }
}

impl Serialize for SpanOrOff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(span) => serializer.serialize_str(&show_span(span)),
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for SpanOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span_or_off(&text).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for SpanOrOff {
    fn schema_name() -> Cow<'static, str> {
        "DurationOrOff".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": SPAN_OR_OFF_FORMAT})
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_size(self.0))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bytes(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Bytes(bytes) => Ok(Self(bytes)),
            Form::Text(text) => parse_size(&text).map(Self).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": SIZE_FORMAT, "minimum": 0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "90s"),
            ("120s", 120_000, "2m"),
            (" 5m ", 300_000, "5m"),
            ("12h", 43_200_000, "12h"),
            ("30d", 2_592_000_000, "30d"),
            ("0s", 0, "0s"),
        ] {
            let span = parse_span(text).unwrap();
            assert_eq!(span, Duration::from_millis(millis), "{text}");
            assert_eq!(show_span(span), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "30", "s", "1.5s", "-1s", "+1s", "30 sec", "99999999999999999999d", "off"]
        {
            assert_eq!(parse_span(text), Err(SPAN_HELP), "{text:?}");
        }
        assert_eq!(parse_span_or_off("off"), Ok(None));
        assert!(parse_span_or_off("of").is_err());
    }

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("10GiB", 10 << 30, "10GiB"),
            ("1000", 1_000, "1000"),
            ("1 kB", 1_000, "1000"),
            ("2MB", 2_000_000, "2000000"),
            ("512B", 512, "512"),
            ("0", 0, "0"),
        ] {
            let size = parse_size(text).unwrap();
            assert_eq!(size, bytes, "{text}");
            assert_eq!(show_size(size), shown, "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "99999999TiB", "64M"] {
            assert_eq!(parse_size(text), Err(SIZE_HELP), "{text:?}");
        }
    }
}
