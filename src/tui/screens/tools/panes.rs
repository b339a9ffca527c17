//! The tables of the screen: their columns, their rows with what they are sorted by, and the query each row stands for.

use std::cmp::Ordering;

use crate::report::calls::{Agent, Tool};
use crate::report::look::{Tone, clean_line};
use crate::report::overview::Group;
use crate::report::words;
use crate::tui::parts::chart;
use crate::tui::parts::table::{Cell, Column};
use crate::tui::screens::overview::panes::{headroom, named, of, state, time};
use crate::tui::screens::overview::told::{Gateway, Told};
use crate::tui::screens::tools::told::{Key, Price, Provider};

/// Columns of a line of bars.
pub const BARS: usize = 24;

/// One of the tables, in the order of `tab`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Tools,
    Agents,
    Providers,
    Models,
    Keys,
}

impl Pane {
    pub const ALL: [Self; 5] =
        [Self::Tools, Self::Agents, Self::Providers, Self::Models, Self::Keys];

    pub fn place(self) -> usize {
        self as usize
    }

    #[must_use]
    pub fn next(self, by: usize) -> Self {
        let at = (self.place() + by) % Self::ALL.len();
        Self::ALL.get(at).copied().unwrap_or(self)
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Agents => "agents",
            Self::Providers => "providers",
            Self::Models => "models",
            Self::Keys => "keys",
        }
    }

    pub fn empty(self) -> &'static str {
        match self {
            Self::Tools => "no answer of this time called a tool",
            Self::Agents | Self::Keys => "nobody asked anything in this time",
            Self::Providers => "no provider is configured, and none was asked",
            Self::Models => "no model is configured or discovered, and none was asked",
        }
    }

    pub fn columns(self, width: usize) -> Vec<Column> {
        let name = (width / 5).clamp(16, 40);
        match self {
            Self::Tools => vec![
                Column::new("tool", name),
                Column::right("answers", 8),
                Column::right("failed", 7),
                Column::right("repeated", 9),
                Column::right("misfit", 7),
                Column::right("sessions", 9),
                Column::right("last", 9),
                Column::new("over time", BARS),
            ],
            Self::Agents => vec![
                Column::new("agent", name),
                Column::right("n", 6),
                Column::right("err", 5),
                Column::right("sessions", 9),
                Column::right("tools", 6),
                Column::right("cost", 8),
                Column::right("cached", 7),
                Column::right("time50", 7),
                Column::right("in", 7),
                Column::right("out", 7),
                Column::right("last", 9),
                Column::new("over time", BARS),
            ],
            Self::Providers => vec![
                Column::new("provider", name.min(24)),
                Column::new("state", 10),
                Column::right("run", 4),
                Column::new("left of limits", 24),
                Column::right("n", 6),
                Column::right("err", 5),
                Column::right("models", 7),
                Column::right("keys", 5),
                Column::right("ttft50", 7),
                Column::new("base URL", 36),
                Column::new("discovery", 12),
            ],
            Self::Models => vec![
                Column::new("model", name),
                Column::new("provider", 12),
                Column::right("n", 6),
                Column::right("err", 5),
                Column::right("$ in", 7),
                Column::right("$ out", 7),
                Column::right("$ cache", 8),
                Column::right("ttft50", 7),
                Column::right("ttft95", 7),
                Column::right("time50", 7),
                Column::right("spent", 8),
                Column::new("priced as", 20),
            ],
            Self::Keys => vec![
                Column::new("key", name),
                Column::right("n", 6),
                Column::right("err", 5),
                Column::right("in", 7),
                Column::right("out", 7),
                Column::right("cached", 7),
                Column::right("cost", 8),
                Column::right("tools", 6),
                Column::right("time50", 7),
                Column::right("time95", 7),
            ],
        }
    }
}

/// What a cell is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    Text(String),
    Number(f64),
    /// Not known: last, whichever way.
    None,
}

impl By {
    /// Texts from A, numbers from the greatest.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
            (Self::Number(one), Self::Number(other)) => other.total_cmp(one),
            (Self::None, Self::None) => Ordering::Equal,
            (Self::None, _) | (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (_, Self::None) | (Self::Number(_), Self::Text(_)) => Ordering::Less,
        }
    }
}

/// A row: cells, what each is sorted by, and what finds its exchanges.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub by: Vec<By>,
    pub filter: String,
    /// What is said of it below the table while it is selected.
    pub detail: String,
}

impl Row {
    fn new(filter: String) -> Self {
        Self { filter, ..Self::default() }
    }

    fn with(mut self, tone: Tone, text: String, by: By) -> Self {
        self.cells.push((tone, text));
        self.by.push(by);
        self
    }

    fn text(self, tone: Tone, text: &str) -> Self {
        let text = clean_line(text);
        let by = if text.is_empty() { By::None } else { By::Text(text.clone()) };
        self.with(tone, text, by)
    }

    fn number(self, number: i64) -> Self {
        self.with(Tone::Plain, words::count(number), By::Number(number as f64))
    }

    /// A number that should be zero.
    fn bad(self, number: i64, tone: Tone) -> Self {
        let tone = if number == 0 { Tone::Dim } else { tone };
        self.with(tone, words::count(number), By::Number(number as f64))
    }

    fn money(self, nano: i64) -> Self {
        self.with(Tone::Plain, words::dollars(nano), By::Number(nano as f64))
    }

    fn time(self, us: Option<u64>) -> Self {
        let by = us.map_or(By::None, |us| By::Number(us as f64));
        self.with(Tone::Plain, time(us), by)
    }

    fn share(self, part: i64, whole: i64) -> Self {
        if whole <= 0 {
            return self.with(Tone::Dim, "-".to_owned(), By::None);
        }
        let share = 100.0 * part as f64 / whole as f64;
        self.with(Tone::Plain, format!("{share:.0} %"), By::Number(share))
    }

    fn ago(self, last_us: i64, now_us: i64) -> Self {
        let ago = now_us.saturating_sub(last_us).max(0);
        // Seconds are enough, and do not flicker.
        let text = match ago / 1_000_000 {
            seconds @ ..120 => format!("{seconds}s"),
            seconds @ ..7_200 => format!("{}m", seconds / 60),
            seconds => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        };
        self.with(Tone::Dim, text, By::Number(last_us as f64))
    }

    fn bars(self, series: &[i64]) -> Self {
        let values: Vec<f64> = series.iter().map(|value| *value as f64).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        self.with(Tone::Good, chart::spark(&values, BARS), By::Number(most))
    }
}

pub fn tool(one: &Tool, now_us: i64) -> Row {
    Row::new(of("tool", &one.name))
        .text(Tone::Strong, &one.name)
        .number(one.exchanges)
        .bad(one.failed, Tone::Bad)
        .bad(one.repeated, Tone::Odd)
        .bad(one.invalid, Tone::Odd)
        .number(one.sessions)
        .ago(one.last_us, now_us)
        .bars(&one.series)
}

pub fn agent(one: &Agent, now_us: i64) -> Row {
    Row::new(of("agent", &one.name))
        .text(Tone::Strong, &named(&one.name, "(none)"))
        .number(one.exchanges)
        .bad(one.errors, Tone::Bad)
        .number(one.sessions)
        .number(one.calling)
        .money(one.cost_nanousd)
        .share(one.cache_read_tokens, one.input_tokens)
        .time(one.duration_p50_us)
        .number(one.input_tokens)
        .number(one.output_tokens)
        .ago(one.last_us, now_us)
        .bars(&one.series)
}

/// A provider that is configured, or was asked; `None`: not configured here.
pub fn provider(id: &str, configured: Option<&Provider>, group: &Group, gateway: &Gateway) -> Row {
    let standing = gateway.providers.iter().find(|one| one.id == id);
    let (tone, mut words) = state(standing, gateway);
    let mut tone = tone;
    if configured.is_some_and(|one| one.disabled) {
        (tone, words) = (Tone::Dim, "disabled".to_owned());
    }
    let running = standing.and_then(|one| one.in_flight);
    let run = running.map_or_else(|| "-".to_owned(), |number| format!("{number:.0}"));
    let (limits_tone, limits) = headroom(standing);
    let empty = Provider::default();
    let known = configured.unwrap_or(&empty);
    let failed = known.discovery.get("failed").and_then(serde_json::Value::as_str);
    let (discovery_tone, discovery) = match (failed, known.discovery.as_str()) {
        (Some(why), _) => (Tone::Bad, why),
        (None, Some(told)) => (Tone::Good, told),
        (None, None) => (Tone::Dim, "not asked"),
    };
    let url = if configured.is_some() { known.baseurl.as_str() } else { "not configured here" };
    let mut row = Row::new(of("provider", id))
        .text(Tone::Strong, &named(id, "(none)"))
        .text(tone, &words)
        .with(Tone::Plain, run, running.map_or(By::None, By::Number))
        .text(limits_tone, &limits)
        .number(group.sums.exchanges)
        .bad(group.sums.errors, Tone::Bad)
        .number(i64::try_from(known.models.len()).unwrap_or(i64::MAX))
        .number(i64::try_from(known.keys.len()).unwrap_or(i64::MAX))
        .time(group.sums.ttft_p50_us)
        .text(Tone::Dim, url)
        .text(discovery_tone, discovery);
    let mut detail = vec![clean_line(url)];
    if configured.is_some() {
        detail.push(format!("discovery: {}", clean_line(discovery)));
        detail.push(format!("keys: {}", listed(&known.keys)));
        detail.push(format!("models: {}", listed(&known.models)));
    }
    row.detail = detail.join(" · ");
    row
}

/// Names in a line that is cut at the edge.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> = names.iter().take(20).map(|name| clean_line(name)).collect();
    shown.join(", ")
}

pub fn model(name: &str, provider: &str, price: Option<&Price>, group: &Group) -> Row {
    let rate = |row: Row, rate: Option<&String>| match rate {
        Some(text) => {
            let number = text.parse().map_or(By::None, By::Number);
            row.with(Tone::Plain, text.clone(), number)
        }
        None => row.with(Tone::Dim, "-".to_owned(), By::None),
    };
    let sums = &group.sums;
    let mut filter = of("model", name);
    if !provider.is_empty() {
        filter = format!("{filter} {}", of("provider", provider));
    }
    let mut row = Row::new(filter)
        .text(if group.slowest { Tone::Odd } else { Tone::Strong }, &named(name, "(none)"))
        .text(Tone::Plain, provider)
        .number(sums.exchanges)
        .bad(sums.errors, Tone::Bad);
    row = rate(row, price.and_then(|price| price.input.as_ref()));
    row = rate(row, price.and_then(|price| price.output.as_ref()));
    row = rate(row, price.and_then(|price| price.cache_read.as_ref()));
    let basis = price.and_then(|price| price.basis.as_deref()).unwrap_or_default();
    row.time(sums.ttft_p50_us)
        .time(sums.ttft_p95_us)
        .time(sums.duration_p50_us)
        .money(sums.cost_nanousd)
        .text(Tone::Dim, basis)
}

pub fn key(one: &Key) -> Row {
    let label = one.key.as_deref().unwrap_or_default();
    Row::new(of("key", label))
        .text(Tone::Strong, &named(label, "(none)"))
        .number(one.requests)
        .bad(one.errors, Tone::Bad)
        .number(one.input_tokens)
        .number(one.output_tokens)
        .share(one.cache_read_tokens, one.input_tokens)
        .money(one.cost_nanousd)
        .number(one.tool_calls)
        .time(one.duration_p50_us)
        .time(one.duration_p95_us)
}

/// Providers: those that are configured, then those that only the store knows.
pub fn providers(configured: &[Provider], told: &Told) -> Vec<Row> {
    let group = |id: &str| told.lately.providers.iter().find(|group| group.name == id);
    let none = Group::default();
    let here = configured
        .iter()
        .map(|one| provider(&one.id, Some(one), group(&one.id).unwrap_or(&none), &told.gateway));
    let is_here = |id: &str| configured.iter().any(|one| one.id == id);
    let gone = told.lately.providers.iter().filter(|group| !is_here(&group.name));
    here.chain(gone.map(|group| provider(&group.name, None, group, &told.gateway))).collect()
}

/// Models: one row for each provider that has it, then those that only the store knows.
pub fn models(configured: &[Provider], told: &Told) -> Vec<Row> {
    let none = Group::default();
    let targets = &told.lately.targets;
    let at = |group: &Group, id: &str| group.provider.as_deref() == Some(id);
    let has =
        |one: &Provider, group: &Group| at(group, &one.id) && one.models.contains(&group.name);
    let here = configured.iter().filter(|one| !one.disabled).flat_map(|one| {
        let none = &none;
        one.models.iter().map(move |name| {
            let group = targets.iter().find(|group| group.name == *name && at(group, &one.id));
            model(name, &one.id, one.prices.get(name), group.unwrap_or(none))
        })
    });
    let only_there =
        |group: &&Group| !configured.iter().any(|one| !one.disabled && has(one, group));
    let gone = targets.iter().filter(only_there).map(|group| {
        let provider = group.provider.as_deref().unwrap_or_default();
        let mut priced = configured.iter().filter(|one| one.id == provider);
        let price = priced.find_map(|one| one.prices.get(&group.name));
        model(&group.name, provider, price, group)
    });
    here.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_from_the_greatest_and_the_unknown_comes_last() {
        let mut all = vec![By::None, By::Number(1.0), By::Number(7.0), By::None, By::Number(-2.0)];
        all.sort_by(By::compare);
        let expected = [By::Number(7.0), By::Number(1.0), By::Number(-2.0), By::None, By::None];
        assert_eq!(all, expected);
        assert_eq!(By::Text("b".into()).compare(&By::Text("A".into())), Ordering::Greater);
    }
}
