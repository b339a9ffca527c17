//! The columns of the list: what can be shown of an exchange, and how.

use crate::report::look::{Tone, clean_line};
use crate::report::words;
use crate::store::stored::Listed;
use crate::tui::parts::offers::quoted;
use crate::tui::parts::table::{self, Cell, Column, Wish};
use crate::tui::screens::exchanges::running::Run;

const DAY_US: i64 = 86_400_000_000;

/// One column: its name for the user's choice, how it stands in the table, what is in it.
pub struct Def {
    pub name: &'static str,
    pub words: &'static str,
    wish: Wish,
    cell: fn(&Listed, &Sight) -> Cell,
}

/// What cells depend on beside their row.
pub struct Sight {
    /// All rows that are seen are of the day it is.
    pub today: bool,
}

const LEFT: bool = false;
const RIGHT: bool = true;

/// All there are, in their order on the screen. The last number says which goes first where there is no room.
pub const ALL: &[Def] = &[
    def("started", (8, 8, LEFT, 0), "when it came, UTC", |row, sight| {
        (Tone::Dim, started(row.started_at_us, sight.today))
    }),
    def("id", (13, 36, LEFT, 9), "its id", |row, _| (Tone::Dim, row.id.clone())),
    def("model", (16, 30, LEFT, 0), "model sent upstream, else the requested one", |row, _| {
        (Tone::Plain, model(row))
    }),
    def("requested", (16, 30, LEFT, 9), "model the client asked for", |row, _| {
        text(row.model_requested.as_deref())
    }),
    def("provider", (10, 18, LEFT, 9), "provider of the last attempt", |row, _| {
        text(row.provider.as_deref())
    }),
    def("status", (13, 17, LEFT, 0), "status, tries, how it ended", |row, _| status(row)),
    def("ttft", (6, 6, RIGHT, 2), "time to the first token", |row, _| time(row.ttft_us)),
    def("time", (6, 6, RIGHT, 1), "start to end", |row, _| time(Some(row.duration_us))),
    def("gap", (6, 6, RIGHT, 9), "longest pause between two contents", |row, _| {
        time(row.gap_max_us)
    }),
    def("overhead", (8, 8, RIGHT, 9), "time the gateway itself took", |row, _| {
        time(Some(row.overhead_us))
    }),
    def("queued", (7, 7, RIGHT, 9), "time spent waiting to be let in", |row, _| {
        time((row.queued_us > 0).then_some(row.queued_us))
    }),
    def("in", (5, 6, RIGHT, 4), "input tokens", |row, _| count(row.input_tokens)),
    def("cached", (6, 6, RIGHT, 6), "share of the input read from the cache", |row, _| cached(row)),
    def("out", (5, 6, RIGHT, 4), "output tokens", |row, _| count(row.output_tokens)),
    def("reasoning", (9, 9, RIGHT, 9), "output tokens of reasoning", |row, _| {
        count(row.reasoning_tokens)
    }),
    def("cost", (8, 9, RIGHT, 3), "cost of all attempts", |row, _| {
        (Tone::Plain, row.cost_nanousd.map_or_else(String::new, words::dollars))
    }),
    def("bytes in", (8, 8, RIGHT, 9), "size of the request", |row, _| bytes(row.request_bytes)),
    def("bytes out", (9, 9, RIGHT, 9), "size of the answer", |row, _| bytes(row.response_bytes)),
    def("signals", (14, 40, LEFT, 0), "what was found odd, and labels", |row, _| signals(row)),
    def("agent", (12, 18, LEFT, 7), "client program", |row, _| (Tone::Dim, row.agent.clone())),
    def("session", (12, 40, LEFT, 5), "session id; ~ where it was inferred", |row, _| session(row)),
    def("parent", (12, 24, LEFT, 9), "session that started the session", |row, _| {
        text(row.parent_session_id.as_deref())
    }),
    def("tools", (12, 30, LEFT, 9), "tools that the answer calls", |row, _| {
        (Tone::Tool, row.tools.join(" "))
    }),
    def("finish", (10, 14, LEFT, 9), "why the model stopped", |row, _| {
        text(row.finish_reason.as_deref())
    }),
    def("error", (18, 60, LEFT, 9), "kind of the error, and its words", |row, _| error(row)),
    def("key", (10, 16, LEFT, 9), "label of the gateway key", |row, _| {
        text(row.key_label.as_deref())
    }),
    def("user", (10, 16, LEFT, 9), "label of the user", |row, _| text(row.user_label.as_deref())),
    def("client", (15, 21, LEFT, 9), "address of the client", |row, _| {
        text(row.client_addr.as_deref())
    }),
    def("dialect", (10, 18, LEFT, 9), "wire language of the client", |row, _| {
        (Tone::Dim, row.dialect.clone())
    }),
    def("operation", (10, 16, LEFT, 9), "what was asked for", |row, _| {
        (Tone::Dim, row.operation.clone())
    }),
    def("path", (16, 30, LEFT, 9), "path of the request", |row, _| (Tone::Dim, row.path.clone())),
    def("tags", (14, 40, LEFT, 9), "tags that the client sent", |row, _| {
        let tags = row.tags.iter().map(|(name, value)| format!("{name}={value}"));
        (Tone::Plain, tags.collect::<Vec<_>>().join(" "))
    }),
    def("kept", (7, 7, LEFT, 9), "how much is kept; * pinned, ! redacted", |row, _| {
        let pinned = if row.pinned { "*" } else { "" };
        let redacted = if row.redacted { "!" } else { "" };
        (Tone::Dim, format!("{}{pinned}{redacted}", row.capture_level))
    }),
    def("run", (13, 36, LEFT, 9), "the replay that made it", |row, _| text(row.run_id.as_deref())),
];

const fn def(
    name: &'static str,
    (width, most, right, rank): (usize, usize, bool, u8),
    words: &'static str,
    cell: fn(&Listed, &Sight) -> Cell,
) -> Def {
    Def { name, words, wish: Wish { head: name, width, most, right, rank }, cell }
}

/// What is shown as long as the user says nothing else.
pub const HOUSE: &[&str] = &[
    "started", "model", "status", "ttft", "time", "in", "cached", "out", "cost", "signals",
    "agent", "session",
];

/// The columns that the user has, or those of the house.
pub fn of(chosen: &[String]) -> Vec<&'static Def> {
    let has = |def: &&Def| {
        if chosen.is_empty() {
            HOUSE.contains(&def.name)
        } else {
            chosen.iter().any(|name| name == def.name)
        }
    };
    ALL.iter().filter(has).collect()
}

/// The table's columns for a width, the mark before them, with the cells of any row.
pub struct Layout {
    pub columns: Vec<Column>,
    defs: Vec<&'static Def>,
    sight: Sight,
}

impl Layout {
    pub fn new(chosen: &[String], sight: Sight, width: usize) -> Self {
        let wanted = of(chosen);
        let wishes: Vec<Wish> = wanted
            .iter()
            .map(|def| match def.name {
                "started" if !sight.today => Wish { width: 12, most: 12, ..def.wish },
                _ => def.wish,
            })
            .collect();
        let mut columns = vec![Column::new("", 1)];
        let mut defs = Vec::new();
        for (at, column) in table::choose(&wishes, width.saturating_sub(2)) {
            columns.push(column);
            defs.extend(wanted.get(at));
        }
        Self { columns, defs, sight }
    }

    pub fn cells(&self, row: &Listed, marked: bool) -> Vec<Cell> {
        let mark = if marked { "●" } else { " " };
        let mut cells = vec![(Tone::Odd, mark.to_owned())];
        for def in &self.defs {
            let (tone, text) = (def.cell)(row, &self.sight);
            cells.push((tone, clean_line(&text)));
        }
        cells
    }

    /// The same of one that still runs.
    pub fn running(&self, run: &Run, age_us: i64) -> Vec<Cell> {
        let mut cells = vec![(Tone::Good, "▸".to_owned())];
        for def in &self.defs {
            let (tone, text) = match def.name {
                "started" => (Tone::Dim, started(run.started_at_us, self.sight.today)),
                "id" => (Tone::Dim, run.id.clone()),
                "model" => (
                    Tone::Plain,
                    run.model.clone().or(run.model_requested.clone()).unwrap_or_default(),
                ),
                "status" => (Tone::Odd, run.phase.clone()),
                "time" => time(Some(age_us)),
                "provider" => text(run.provider.as_deref()),
                "requested" => text(run.model_requested.as_deref()),
                "agent" => (Tone::Dim, run.agent.clone()),
                "session" => text(run.session_id.as_deref()),
                "bytes out" => bytes(run.response_bytes),
                "signals" if run.response_bytes > 0 => {
                    (Tone::Dim, format!("{} so far", words::bytes_of(run.response_bytes)))
                }
                "client" => text(run.client_addr.as_deref()),
                "path" => (Tone::Dim, run.path.clone()),
                _ => (Tone::Dim, String::new()),
            };
            cells.push((tone, clean_line(&text)));
        }
        cells
    }
}

/// Whether both moments are of one day, UTC.
pub fn same_day(left_us: i64, right_us: i64) -> bool {
    left_us.div_euclid(DAY_US) == right_us.div_euclid(DAY_US)
}

/// The time, with the day where that is another.
pub fn started(at_us: i64, today: bool) -> String {
    let at = jiff::Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime(if today { "%H:%M:%S" } else { "%b %d %H:%M" }).to_string()
}

fn model(row: &Listed) -> String {
    match row.model.as_ref().or(row.model_requested.as_ref()) {
        Some(name) => name.clone(),
        None if row.operation == "opaque" => row.path.clone(),
        None => row.operation.clone(),
    }
}

fn text(value: Option<&str>) -> Cell {
    (Tone::Dim, value.unwrap_or_default().to_owned())
}

fn time(us: Option<i64>) -> Cell {
    (Tone::Plain, us.map_or_else(String::new, |us| words::time(us).replace(' ', "")))
}

fn count(tokens: Option<i64>) -> Cell {
    (Tone::Plain, tokens.map_or_else(String::new, words::count))
}

fn bytes(bytes: i64) -> Cell {
    (Tone::Plain, words::bytes_of(bytes).replace(' ', ""))
}

/// The tone of how it ended.
pub fn outcome(outcome: &str) -> Tone {
    match outcome {
        "complete" => Tone::Good,
        "client_cancelled" => Tone::Odd,
        _ => Tone::Bad,
    }
}

fn status(row: &Listed) -> Cell {
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let tries = if row.attempts > 1 { format!(" ×{}", row.attempts) } else { String::new() };
    let how = words::outcome_short(&row.outcome);
    let how = if how.is_empty() { String::new() } else { format!(" {how}") };
    (outcome(&row.outcome), format!("{status}{tries}{how}"))
}

fn cached(row: &Listed) -> Cell {
    let text = match (row.input_tokens, row.cache_read_tokens) {
        (Some(input @ 1..), Some(cached @ 1..)) => {
            format!("{}%", cached.saturating_mul(100) / input)
        }
        _ => String::new(),
    };
    (Tone::Dim, text)
}

fn signals(row: &Listed) -> Cell {
    let labels = row.labels.iter().map(|label| format!("#{label}"));
    let signals = row.signals.iter().map(|signal| (*signal).to_owned());
    (Tone::Odd, signals.chain(labels).collect::<Vec<_>>().join(" "))
}

fn session(row: &Listed) -> Cell {
    let name = row.session_id.clone().unwrap_or_default();
    let sign = if row.session_inferred && !name.is_empty() { "~" } else { "" };
    (Tone::Dim, format!("{sign}{name}"))
}

fn error(row: &Listed) -> Cell {
    let told = [row.error_kind.as_deref(), row.error_detail.as_deref()];
    let words: Vec<&str> = told.into_iter().flatten().collect();
    (Tone::Bad, words.join(": "))
}

/// A term of the query language for a value.
pub fn term(field: &str, value: &str) -> String {
    format!("{field}:{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_house_are_there() {
        for (at, def) in ALL.iter().enumerate() {
            assert!(ALL[at + 1..].iter().all(|other| other.name != def.name), "{}", def.name);
            assert!(def.wish.width >= def.name.len().min(def.wish.width) && !def.words.is_empty());
        }
        assert_eq!(of(&[]).len(), HOUSE.len());
        assert_eq!(of(&["cost".to_owned(), "gone".to_owned()]).len(), 1);
    }

    #[test]
    fn signals_are_seen_in_eighty_columns() {
        let layout = Layout::new(&[], Sight { today: true }, 80);
        let heads: Vec<&str> = layout.columns.iter().map(|column| column.head.as_str()).collect();
        assert!(heads.contains(&"signals") && heads.contains(&"time"), "{heads:?}");
        let wide: usize = layout.columns.iter().map(|column| column.width + 1).sum();
        assert!(wide <= 81);
    }
}
