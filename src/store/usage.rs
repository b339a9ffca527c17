//! The usage report: sums of a window, by one or more things, read from the roll-ups.
//!
//! ```text
//!   since                                                    until
//!     │  hours  │            whole days              │ hours  │      one SELECT a part, added up here
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::store::reader::{ReadError, Reader};
use crate::store::rollup::{
    DAY_S, Family, HOUR_S, Measure, SESSIONS, Sums, TAGS, TOOLS, TOTAL, USAGE,
};
use crate::store::sketch::Sketch;
use crate::store::top;
use crate::store::window::{Part, ceil, floor, parts};

/// What a report is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Provider,
    /// The configured or discovered name, as in metrics.
    Model,
    /// The gateway key of the caller.
    Key,
    /// The client program.
    Agent,
    Dialect,
    Session,
    /// All tags as `name=value`, or the values of one.
    Tag(Option<String>),
    Tool,
    Hour,
    Day,
    Month,
}

impl By {
    /// The words of `--by`; `tag` may be followed by `:NAME`.
    pub const WORDS: [&str; 11] = [
        "provider", "model", "key", "agent", "dialect", "session", "tag", "tool", "hour", "day",
        "month",
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "provider" => Self::Provider,
            "model" => Self::Model,
            "key" => Self::Key,
            "agent" => Self::Agent,
            "dialect" => Self::Dialect,
            "session" => Self::Session,
            "tag" => Self::Tag(None),
            "tool" => Self::Tool,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            other => Self::Tag(Some(
                other.strip_prefix("tag:").filter(|name| !name.is_empty())?.to_owned(),
            )),
        })
    }

    /// The name of its column in a report: its word, so that no tag's name meets another column's.
    pub fn name(&self) -> Cow<'static, str> {
        let word = match self {
            Self::Tag(Some(name)) => return format!("tag:{name}").into(),
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Key => "key",
            Self::Agent => "agent",
            Self::Dialect => "dialect",
            Self::Session => "session",
            Self::Tag(None) => "tag",
            Self::Tool => "tool",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        };
        word.into()
    }

    pub fn is_time(&self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Month)
    }

    /// What its value is made of in SQL; times are made of `start_s`.
    fn sql(&self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Key => "key_label",
            Self::Agent => "agent",
            Self::Dialect => "dialect",
            Self::Session => "session",
            Self::Tag(None) => "name || '=' || value",
            Self::Tag(Some(_)) => "value",
            Self::Tool => "tool",
            Self::Hour | Self::Day | Self::Month => "start_s",
        }
    }

    /// The roll-up it lies in; `None`: in each of them.
    fn family(&self) -> Option<&'static Family> {
        match self {
            Self::Provider | Self::Model | Self::Key | Self::Agent | Self::Dialect => Some(&USAGE),
            Self::Session => Some(&SESSIONS),
            Self::Tag(_) => Some(&TAGS),
            Self::Tool => Some(&TOOLS),
            Self::Hour | Self::Day | Self::Month => None,
        }
    }
}

/// A question to the roll-ups.
#[derive(Debug, Clone)]
pub struct Ask {
    pub by: Vec<By>,
    /// Microseconds since 1970. Rounded to whole hours, outwards.
    pub since_us: i64,
    pub until_us: i64,
    /// Groups shown; the rest is added up. `None`: all.
    pub limit: Option<usize>,
}

impl Ask {
    /// The window in seconds since 1970, widened to whole hours.
    pub fn window_s(&self) -> (i64, i64) {
        let since_s = floor(self.since_us.div_euclid(1_000_000), HOUR_S);
        let until_s = ceil(self.until_us.saturating_add(999_999).div_euclid(1_000_000), HOUR_S);
        (since_s, until_s.max(since_s))
    }
}

/// Groups that no roll-up has together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{one} and {other} are not kept together; provider, model, key, agent and dialect go with each other, and session, tag \
     or tool alone; hour, day or month goes with each"
)]
pub struct Apart {
    one: String,
    other: String,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    #[error(transparent)]
    Apart(#[from] Apart),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub by: Vec<By>,
    /// The window, in seconds since 1970, whole hours.
    pub since_s: i64,
    pub until_s: i64,
    /// Times in their order, else the dearest first.
    pub lines: Vec<Line>,
    /// Groups that the limit left out, and their sum.
    pub others: u64,
    pub rest: Line,
    /// Of all traffic in the window; of tools, of all their calls.
    pub total: Line,
    /// Whether there are distributions of times: percentiles, not means alone.
    pub sketches: bool,
    /// Only calls are known, neither tokens nor times.
    pub calls_only: bool,
}

/// One group's sums.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// One value for each of the things the report is by; empty where there is none.
    pub group: Vec<String>,
    pub sums: Sums,
    pub durations: Sketch,
    pub ttfts: Sketch,
}

impl Line {
    fn merge(&mut self, other: &Self) {
        self.sums.plus(&other.sums);
        self.durations.merge(&other.durations);
        self.ttfts.merge(&other.ttfts);
    }
}

impl Reader {
    /// Adds up the window.
    pub fn usage(&self, ask: &Ask) -> Result<Report, UsageError> {
        let family = family_of(&ask.by)?;
        let window = ask.window_s();
        // One snapshot for all parts: a batch that is committed in between is in all of them or in none.
        let snapshot = self.connection.unchecked_transaction().map_err(ReadError::from)?;
        if let ([By::Session], Some(limit @ ..=top::SHOWN_MAX)) = (&ask.by[..], ask.limit) {
            let top = top::sessions(&snapshot, window, limit).map_err(ReadError::from)?;
            return Ok(of_top(ask, window, top));
        }
        let mut lines = scan(&snapshot, family, &ask.by, window).map_err(ReadError::from)?;
        let total = if family.hours == TAGS.hours {
            // An exchange with two tags stands in two lines.
            let all = scan(&snapshot, &TOTAL, &[], window).map_err(ReadError::from)?;
            all.into_iter().next().unwrap_or_default()
        } else {
            sum(&lines)
        };
        order(&mut lines, &ask.by);
        let rest = match ask.limit {
            Some(limit) if limit < lines.len() => lines.split_off(limit),
            _ => Vec::new(),
        };
        Ok(Report {
            by: ask.by.clone(),
            since_s: window.0,
            until_s: window.1,
            lines,
            others: rest.len() as u64,
            rest: sum(&rest),
            total,
            sketches: family.sketches,
            calls_only: family.measures.len() < Measure::ALL.len(),
        })
    }
}

fn of_top(ask: &Ask, (since_s, until_s): (i64, i64), top: top::Top) -> Report {
    let line = |(group, sums)| Line { group: vec![group], sums, ..Line::default() };
    Report {
        by: ask.by.clone(),
        since_s,
        until_s,
        lines: top.groups.into_iter().map(line).collect(),
        others: top.others,
        rest: Line { sums: top.rest, ..Line::default() },
        total: Line { sums: top.total, ..Line::default() },
        sketches: false,
        calls_only: false,
    }
}

fn family_of(by: &[By]) -> Result<&'static Family, Apart> {
    let mut chosen: Option<(&By, &'static Family)> = None;
    for one in by {
        let Some(family) = one.family() else { continue };
        match chosen {
            None => chosen = Some((one, family)),
            Some((other, known)) => {
                if known.hours != USAGE.hours || family.hours != USAGE.hours {
                    let (one, other) = (other.name().into_owned(), one.name().into_owned());
                    return Err(Apart { one, other });
                }
            }
        }
    }
    Ok(chosen.map_or(&TOTAL, |(_, family)| family))
}

fn sum(lines: &[Line]) -> Line {
    let mut total = Line::default();
    for line in lines {
        total.merge(line);
    }
    total
}

fn order(lines: &mut [Line], by: &[By]) {
    // Times first, as they pass; then what costs most.
    let times: Vec<usize> =
        by.iter().enumerate().filter(|(_, by)| by.is_time()).map(|(at, _)| at).collect();
    lines.sort_by(|a, b| {
        let time =
            |line: &Line| times.iter().map(|at| line.group.get(*at).cloned()).collect::<Vec<_>>();
        let weight = |line: &Line| {
            let of = |measure| line.sums.get(measure);
            let tokens = of(Measure::Input) + of(Measure::Output);
            (of(Measure::Cost), tokens, of(Measure::Requests), of(Measure::ToolCalls))
        };
        time(a)
            .cmp(&time(b))
            .then_with(|| weight(b).cmp(&weight(a)))
            .then_with(|| a.group.cmp(&b.group))
    });
}

fn scan(
    connection: &Connection,
    family: &Family,
    by: &[By],
    window: (i64, i64),
) -> rusqlite::Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut key: Vec<u8> = Vec::new();
    let tag = by.iter().find_map(|by| if let By::Tag(Some(name)) = by { Some(name) } else { None });
    let parts = if by.contains(&By::Hour) {
        vec![Part::hours(family, window)]
    } else {
        parts(family, window)
    };
    for part in parts {
        let mut statement = connection.prepare(&select(family, by, part.table, tag.is_some()))?;
        let mut rows = match tag {
            Some(name) => statement.query((part.from_s, part.to_s, name))?,
            None => statement.query((part.from_s, part.to_s))?,
        };
        while let Some(row) = rows.next()? {
            key.clear();
            for (at, by) in by.iter().enumerate() {
                push_key(&mut key, by, row.get_ref(at)?);
            }
            let at = if let Some(at) = known.get(key.as_slice()) {
                *at
            } else {
                let group = group_of(&key, by);
                lines.push(Line { group, ..Line::default() });
                known.insert(key.clone(), lines.len() - 1);
                lines.len() - 1
            };
            let Some(line) = lines.get_mut(at) else { continue };
            let mut column = by.len();
            for measure in family.measures {
                line.sums.add(*measure, row.get_ref(column)?.as_i64().unwrap_or_default());
                column += 1;
            }
            if family.sketches {
                line.durations.merge_encoded(row.get_ref(column)?.as_blob().unwrap_or_default());
                line.ttfts.merge_encoded(row.get_ref(column + 1)?.as_blob().unwrap_or_default());
            }
        }
    }
    Ok(lines)
}

fn select(family: &Family, by: &[By], table: &str, one_tag: bool) -> String {
    let mut columns: Vec<&str> = by.iter().map(By::sql).collect();
    columns.extend(family.measures.iter().map(|measure| measure.column()));
    if family.sketches {
        columns.extend(["durations", "ttfts"]);
    }
    let of_tag = if one_tag { " AND name = ?3" } else { "" };
    format!(
        "SELECT {} FROM {table} WHERE start_s >= ?1 AND start_s < ?2{of_tag}",
        columns.join(", ")
    )
}

/// No value holds a NUL: the rows' words are cleaned of them.
const APART: u8 = 0;

fn push_key(key: &mut Vec<u8>, by: &By, value: ValueRef<'_>) {
    match value {
        ValueRef::Integer(start_s) => {
            let whole = match by {
                By::Day => floor(start_s, DAY_S),
                By::Month => month(start_s),
                _ => start_s,
            };
            // Only texts are split at NUL, and a group's times are told by their place.
            key.extend(whole.to_string().as_bytes());
        }
        ValueRef::Text(text) => key.extend(text),
        _ => {}
    }
    key.push(APART);
}

fn group_of(key: &[u8], by: &[By]) -> Vec<String> {
    let values = key.split(|byte| *byte == APART);
    values
        .zip(by)
        .map(|(value, by)| {
            let text = String::from_utf8_lossy(value).into_owned();
            match text.parse::<i64>() {
                Ok(start_s) if by.is_time() => shown(start_s, by),
                _ => text,
            }
        })
        .collect()
}

fn zoned(at_s: i64) -> jiff::Zoned {
    jiff::Timestamp::from_second(at_s).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC)
}

/// The beginning of the month (UTC).
fn month(start_s: i64) -> i64 {
    let day = zoned(start_s).day();
    floor(start_s, DAY_S) - i64::from(day - 1) * DAY_S
}

fn shown(start_s: i64, by: &By) -> String {
    let form = match by {
        By::Hour => "%Y-%m-%dT%H:00Z",
        By::Month => "%Y-%m",
        _ => "%Y-%m-%d",
    };
    zoned(start_s).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_come_back() {
        for word in By::WORDS {
            assert_eq!(By::parse(word).map(|by| by.name().into_owned()).as_deref(), Some(word));
        }
        let tag = By::parse("tag:team").unwrap();
        assert_eq!((&*tag.name(), &tag), ("tag:team", &By::Tag(Some("team".to_owned()))));
        for word in ["tag:", "models", "", "session:1"] {
            assert_eq!(By::parse(word), None, "{word}");
        }
    }

    #[test]
    fn what_is_not_kept_together_is_refused() {
        let by =
            |words: &[&str]| words.iter().filter_map(|word| By::parse(word)).collect::<Vec<_>>();
        for words in [
            &["provider", "model", "key", "agent", "dialect", "day"][..],
            &["session", "day"],
            &["hour"],
            &[],
        ] {
            assert!(family_of(&by(words)).is_ok(), "{words:?}");
        }
        for words in [
            &["session", "model"][..],
            &["model", "tag"],
            &["tool", "session"],
            &["tag:a", "tag:b"],
        ] {
            let told = family_of(&by(words)).err().unwrap().to_string();
            assert!(told.contains("are not kept together"), "{told}");
        }
    }

    #[test]
    fn months_begin_with_their_first_day() {
        let at = 1_763_625_600; // 2025-11-20T08:00Z
        assert_eq!(shown(month(at), &By::Day), "2025-11-01");
        assert_eq!(shown(at, &By::Month), "2025-11");
        assert_eq!(shown(at, &By::Hour), "2025-11-20T08:00Z");
    }
}
