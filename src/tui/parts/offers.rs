//! What could stand where a query is being typed: the language's fields from its own table, values from closed sets and
//! from the rows that were seen.

use std::collections::BTreeMap;

use crate::exchange::level::Level;
use crate::exchange::signal::Signal;
use crate::store::query::field::{FIELDS, Kind, TAG};
use crate::store::stored::Listed;

/// Limit: values of one field that are remembered.
const VALUES_MAX: usize = 200;
/// Limit: things offered at once.
const OFFERS_MAX: usize = 60;

/// One thing that could stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub text: String,
    pub help: &'static str,
}

/// Values that were seen, by field.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    values: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Seen {
    pub fn add(&mut self, field: &str, value: &str) {
        if value.is_empty() || value.len() > 128 {
            return;
        }
        let values = self.values.entry(field.to_owned()).or_default();
        if values.len() < VALUES_MAX || values.contains_key(value) {
            *values.entry(value.to_owned()).or_default() += 1;
        }
    }

    /// What the rows of a list have.
    pub fn of(rows: &[Listed]) -> Self {
        let mut seen = Self::default();
        for row in rows {
            let optional = [
                ("model", &row.model),
                ("requested", &row.model_requested),
                ("provider", &row.provider),
                ("session", &row.session_id),
                ("parent", &row.parent_session_id),
                ("finish", &row.finish_reason),
                ("error", &row.error_kind),
                ("key", &row.key_label),
                ("user", &row.user_label),
                ("usage", &row.usage_source),
            ];
            for (field, value) in optional {
                seen.add(field, value.as_deref().unwrap_or_default());
            }
            seen.add("agent", &row.agent);
            seen.add("path", &row.path);
            seen.add("method", &row.method);
            row.tools.iter().for_each(|tool| seen.add("tool", tool));
            row.labels.iter().for_each(|label| seen.add("label", label));
            for (name, value) in &row.tags {
                seen.add(&format!("{TAG}{name}"), value);
            }
        }
        seen
    }

    /// The most frequent first.
    fn values(&self, field: &str) -> Vec<&str> {
        let Some(values) = self.values.get(field) else { return Vec::new() };
        let mut all: Vec<(&str, usize)> =
            values.iter().map(|(value, times)| (value.as_str(), *times)).collect();
        all.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        all.into_iter().map(|(value, _)| value).collect()
    }
}

/// Where the word before the cursor begins, and what it could become.
pub fn at(before: &str, seen: &Seen) -> (usize, Vec<Offer>) {
    let start = word(before);
    let word = before.get(start..).unwrap_or_default();
    let mut offers = match word.split_once(':') {
        Some((field, typed)) => values(field, typed.trim_start_matches('"'), seen),
        None => fields(word, seen),
    };
    offers.truncate(OFFERS_MAX);
    (start, offers)
}

/// The byte at which the last word begins; blanks within quotes end none.
fn word(before: &str) -> usize {
    let (mut start, mut quoted) = (0, false);
    for (at, c) in before.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => start = at + 1,
            '-' if start == at => start = at + 1,
            c if c.is_whitespace() => start = at + c.len_utf8(),
            _ => {}
        }
    }
    start
}

fn fields(typed: &str, seen: &Seen) -> Vec<Offer> {
    let typed = typed.to_ascii_lowercase();
    let tags = seen.values.keys().filter(|name| name.starts_with(TAG));
    let known = FIELDS.iter().map(|info| (info.name, info.help));
    known
        .chain(tags.map(|name| (name.as_str(), "a tag that the client sent")))
        .filter(|(name, _)| name.starts_with(&typed))
        .map(|(name, help)| Offer { text: format!("{name}:"), help })
        .collect()
}

fn values(field: &str, typed: &str, seen: &Seen) -> Vec<Offer> {
    let field = field.to_ascii_lowercase();
    let info = FIELDS.iter().find(|info| info.name == field);
    let (kind, help) = info.map_or((Kind::Name, ""), |info| (info.kind, info.help));
    let fixed =
        |all: &[&'static str]| -> Vec<String> { all.iter().map(|one| (*one).to_owned()).collect() };
    let all: Vec<String> = match kind {
        Kind::OneOf(set) => fixed(&set.names()),
        Kind::Bool => fixed(&["true", "false"]),
        Kind::Signal => fixed(&Signal::ALL.map(Signal::label)),
        Kind::Level => fixed(&Level::ALL.map(Level::label)),
        Kind::Status => fixed(&["2xx", "4xx", "5xx", "429", "400", "401", "500", "503"]),
        Kind::Count => fixed(&[">1", ">1k", ">10k", "<50", "0"]),
        Kind::Duration => fixed(&[">500ms", ">2s", ">10s", ">1m", "<1s"]),
        Kind::Money => fixed(&[">$0.01", ">$0.10", ">$1"]),
        Kind::Bytes => fixed(&[">64KiB", ">1MiB", ">10MiB"]),
        Kind::Since | Kind::Until => fixed(&["15m", "1h", "24h", "7d"]),
        Kind::Name | Kind::Words => seen.values(&field).into_iter().map(str::to_owned).collect(),
        Kind::Id | Kind::Hex => Vec::new(),
    };
    let typed = typed.to_lowercase();
    // Those that begin so before those that have it somewhere.
    let begins = |value: &&String| value.to_lowercase().starts_with(&typed);
    let has = |value: &&String| !begins(value) && value.to_lowercase().contains(&typed);
    let offer = |value: &String| Offer { text: format!("{field}:{}", quoted(value)), help };
    all.iter().filter(begins).chain(all.iter().filter(has)).map(offer).collect()
}

/// In quotes where it has to be.
pub fn quoted(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '(' | ')' | '"' | '*' | '?' | '\\');
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    crate::report::around::quoted(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::Query;

    #[test]
    fn everything_offered_is_understood() {
        let mut seen = Seen::default();
        for value in ["a b", "日本\"x", "c*d", "(e)"] {
            seen.add("model", value);
        }
        for info in FIELDS {
            let (_, offers) = at(&format!("status:2xx ({}:", info.name), &seen);
            for offer in offers {
                let told = Query::parse(&offer.text, 0);
                assert!(told.is_ok(), "{}: {told:?}", offer.text);
            }
        }
        assert_eq!(at("model:\"a b", &seen).1.len(), 1);
        assert_eq!(
            at("x -sig", &seen),
            (3, vec![Offer { text: "signal:".to_owned(), help: "what was found odd about it" }])
        );
    }
}
