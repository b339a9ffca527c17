//! The lists of the overview: what is in each, and where its rows lead.

use crate::report::around::quoted;
use crate::report::look::{Tone, clean_line};
use crate::report::overview::{Failure, Group, Overview as Lately};
use crate::report::words;
use crate::tui::common::Go;
use crate::tui::parts::table::{Cell, Column};
use crate::tui::screens::overview::told::{Gateway, Running, Standing};

/// One of the lists, in the order of `tab`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Failures,
    Signals,
    Models,
    Providers,
    Running,
}

impl Pane {
    pub const ALL: [Self; 5] =
        [Self::Failures, Self::Signals, Self::Models, Self::Providers, Self::Running];

    pub fn place(self) -> usize {
        self as usize
    }

    pub fn next(self, by: usize) -> Self {
        let at = (self.place() + by) % Self::ALL.len();
        Self::ALL.get(at).copied().unwrap_or(self)
    }

    /// What stands where it has no rows.
    pub fn empty(self) -> &'static str {
        match self {
            Self::Failures => "nothing failed",
            Self::Signals => "nothing odd",
            Self::Models => "no model was asked",
            Self::Providers => "no provider was asked",
            Self::Running => "nothing runs now",
        }
    }

    /// Its columns; the head of the first is its name.
    pub fn columns(self, width: usize) -> Vec<Column> {
        match self {
            Self::Failures => vec![
                Column::new("failures", 16),
                Column::new("model", 16),
                Column::right("status", 6),
                Column::new("what failed", 20),
            ],
            Self::Signals => {
                vec![Column::new("signals", 22), Column::right("n", 6), Column::new("", 10)]
            }
            Self::Models | Self::Providers => {
                let name = if self == Self::Models { "models" } else { "providers" };
                let wide = (width / 5).clamp(16, 40);
                let mut columns = vec![
                    Column::new(name, wide),
                    Column::new("", if self == Self::Models { 7 } else { 10 }),
                    Column::right("n", 6),
                    Column::right("err", 5),
                    Column::right("ttft50", 7),
                    Column::right("ttft95", 7),
                    Column::right("time50", 7),
                    Column::right("time95", 7),
                    Column::right("cost", 8),
                ];
                if self == Self::Models {
                    columns.push(Column::right("out", 6));
                } else {
                    columns.push(Column::new("left of its limits", 18));
                }
                columns
            }
            Self::Running => vec![
                Column::new("running", 16),
                Column::new("phase", 9),
                Column::right("age", 7),
                Column::right("frames", 6),
                Column::right("quiet", 7),
                Column::new("session", 8),
            ],
        }
    }
}

/// The cells of a pane's rows.
pub fn rows(pane: Pane, lately: &Lately, gateway: &Gateway, running: &[Running]) -> Vec<Vec<Cell>> {
    match pane {
        Pane::Failures => lately.failures.iter().map(failure).collect(),
        Pane::Signals => {
            lately.signals.iter().map(|one| signal(&one.signal, one.exchanges)).collect()
        }
        Pane::Models => lately.models.iter().map(model).collect(),
        Pane::Providers => {
            let known = gateway.providers.iter();
            let asked = |id: &str| lately.providers.iter().any(|group| group.name == id);
            let idle: Vec<Group> = known
                .filter(|one| !asked(&one.id))
                .map(|one| Group { name: one.id.clone(), ..Group::default() })
                .collect();
            lately.providers.iter().chain(&idle).map(|group| provider(group, gateway)).collect()
        }
        Pane::Running => running.iter().map(live).collect(),
    }
}

/// Where a row leads.
pub fn open(pane: Pane, at: usize, lately: &Lately, running: &[Running]) -> Option<Go> {
    let filter = |filter: String| Go::Exchanges { filter };
    match pane {
        Pane::Failures => {
            let id = lately.failures.get(at)?.id.clone();
            Some(Go::Exchange { id, tab: Some("diagnosis") })
        }
        Pane::Signals => Some(filter(format!("signal:{}", lately.signals.get(at)?.signal))),
        Pane::Models => Some(filter(of("model", &lately.models.get(at)?.name))),
        Pane::Providers => Some(filter(of("provider", &lately.providers.get(at)?.name))),
        Pane::Running => Some(Go::Exchange { id: running.get(at)?.id.clone(), tab: None }),
    }
}

/// A query for exactly this name; an empty one is the lack of any.
pub fn of(field: &str, name: &str) -> String {
    if name.is_empty() {
        return format!("-{field}:*");
    }
    format!("{field}:{}", quoted(name))
}

/// A duration in a column.
pub fn time(us: Option<u64>) -> String {
    let us = us.and_then(|us| i64::try_from(us).ok());
    us.map_or_else(|| "-".to_owned(), |us| words::time(us).replace(' ', ""))
}

/// A name in a column.
pub fn named(name: &str, nothing: &str) -> String {
    if name.is_empty() { nothing.to_owned() } else { clean_line(name) }
}

fn failure(one: &Failure) -> Vec<Cell> {
    let at = jiff::Timestamp::from_microsecond(one.started_at_us).unwrap_or_default();
    let status = one.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let kind = one.error_kind.as_deref().unwrap_or(&one.outcome);
    let what = match one.error_detail.as_deref() {
        Some(detail) if !detail.is_empty() => format!("{kind}: {detail}"),
        _ => kind.to_owned(),
    };
    vec![
        (Tone::Dim, at.strftime("%m-%d %H:%M:%S").to_string()),
        (Tone::Plain, named(one.model.as_deref().unwrap_or_default(), "-")),
        (Tone::Bad, status),
        (Tone::Bad, clean_line(&what)),
    ]
}

fn signal(label: &str, exchanges: i64) -> Vec<Cell> {
    vec![
        (Tone::Odd, clean_line(label)),
        (Tone::Plain, words::count(exchanges)),
        (Tone::Dim, words::signal(label).to_owned()),
    ]
}

/// What models and providers share, without the name.
fn sums(group: &Group) -> Vec<Cell> {
    let sums = &group.sums;
    let errors = match sums.errors {
        0 => (Tone::Dim, "0".to_owned()),
        errors => (Tone::Bad, words::count(errors)),
    };
    let slow = if group.slowest { Tone::Odd } else { Tone::Plain };
    vec![
        (Tone::Plain, words::count(sums.exchanges)),
        errors,
        (slow, time(sums.ttft_p50_us)),
        (slow, time(sums.ttft_p95_us)),
        (Tone::Plain, time(sums.duration_p50_us)),
        (Tone::Plain, time(sums.duration_p95_us)),
        (Tone::Plain, words::dollars(sums.cost_nanousd)),
    ]
}

fn model(group: &Group) -> Vec<Cell> {
    let mark = if group.slowest { "slowest" } else { "" };
    let mut cells =
        vec![(Tone::Strong, named(&group.name, "(none)")), (Tone::Odd, mark.to_owned())];
    cells.extend(sums(group));
    cells.push((Tone::Plain, words::count(group.sums.output_tokens)));
    cells
}

fn provider(group: &Group, gateway: &Gateway) -> Vec<Cell> {
    let standing = gateway.providers.iter().find(|one| one.id == group.name);
    let mut cells = sums(group);
    cells.insert(0, state(standing, gateway));
    cells.insert(0, (Tone::Strong, named(&group.name, "(none)")));
    cells.push(headroom(standing));
    cells
}

/// What traffic has shown of a provider.
pub fn state(standing: Option<&Standing>, gateway: &Gateway) -> Cell {
    match standing {
        None if gateway.providers.is_empty() => (Tone::Dim, "not known".to_owned()),
        None => (Tone::Dim, "-".to_owned()),
        Some(one) if one.up == Some(false) => (Tone::Bad, "failing".to_owned()),
        Some(one) if !one.keys_down.is_empty() => {
            (Tone::Bad, words::things(one.keys_down.len(), "bad key", "bad keys"))
        }
        Some(one) if one.in_flight.is_some_and(|running| running > 0.0) => {
            (Tone::Good, format!("up, {:.0} run", one.in_flight.unwrap_or_default()))
        }
        Some(_) => (Tone::Good, "up".to_owned()),
    }
}

/// What a provider last said is left of its limits.
pub fn headroom(standing: Option<&Standing>) -> Cell {
    let Some(one) = standing else { return (Tone::Dim, String::new()) };
    #[expect(clippy::cast_possible_truncation, reason = "counts of requests and tokens")]
    let number = |value: f64| words::count(value as i64);
    let mut said = Vec::new();
    let mut least = 1.0f64;
    for (left, limit, unit) in [
        (one.remaining_requests, one.limit_requests, "req"),
        (one.remaining_tokens, one.limit_tokens, "tok"),
    ] {
        let Some(left) = left else { continue };
        match limit.filter(|limit| *limit > 0.0) {
            Some(limit) => {
                least = least.min(left / limit);
                said.push(format!("{}/{} {unit}", number(left), number(limit)));
            }
            None => {
                least = if left < 1.0 { 0.0 } else { least };
                said.push(format!("{} {unit}", number(left)));
            }
        }
    }
    let tone = match least {
        ..0.05 => Tone::Bad,
        ..0.2 => Tone::Odd,
        _ => Tone::Plain,
    };
    (if said.is_empty() { Tone::Dim } else { tone }, said.join(", "))
}

fn live(one: &Running) -> Vec<Cell> {
    let model = one.model.as_deref().or(one.model_requested.as_deref()).unwrap_or_default();
    let tone = match one.phase.as_str() {
        "answering" => Tone::Good,
        "waiting" => Tone::Odd,
        _ => Tone::Dim,
    };
    let quiet = one.quiet_us.map(|us| words::time(us).replace(' ', ""));
    vec![
        (Tone::Strong, named(model, "(none)")),
        (tone, one.phase.clone()),
        (Tone::Plain, words::time(one.age_us).replace(' ', "")),
        (Tone::Plain, words::count(one.frames)),
        (Tone::Dim, quiet.unwrap_or_default()),
        (Tone::Dim, clean_line(one.session_id.as_deref().unwrap_or_default())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::Query;

    #[test]
    fn names_are_asked_for_as_they_are() {
        assert_eq!(of("model", "fake/fast"), "model:fake/fast");
        assert_eq!(of("provider", ""), "-provider:*");
        for name in ["a b", "say \"hi\"", "日本語", "back\\slash", "ft:gpt-5:acme", "(x)"] {
            let query = of("model", name);
            assert!(Query::parse(&query, 0).is_ok(), "{query}");
        }
    }

    #[test]
    fn headroom_is_what_was_said() {
        assert_eq!(headroom(None).1, "");
        let one = Standing {
            limit_requests: Some(50.0),
            remaining_requests: Some(2.0),
            remaining_tokens: Some(12_000.0),
            ..Standing::default()
        };
        assert_eq!(headroom(Some(&one)), (Tone::Bad, "2/50 req, 12.0k tok".to_owned()));
    }
}
