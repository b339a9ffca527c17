//! The list of exchanges: a table that fits the terminal, and one JSON object a line for programs.

use serde_json::{Map, Value};

use crate::report::look::{Look, Tone, clean_line, clip, columns};
use crate::report::words;
use crate::store::stored::Listed;

/// Columns between columns.
const GAP: usize = 2;
/// Characters of an id that say its time to the millisecond, hyphen included.
const ID_MIN: usize = 13;
const ID_WHOLE: usize = 36;
/// With its time to a quarter of a microsecond: enough for ids that are not known yet.
const ID_FOLLOWING: usize = 18;

/// One column of the table.
struct Column {
    head: &'static str,
    /// To the right: numbers.
    right: bool,
    /// It may be clipped down to this; `None`: never.
    narrowest: Option<usize>,
    /// Which goes first when there is no room; 0 never goes.
    expendable: u8,
    /// As wide as its cells usually are, for lines that come later.
    usual: usize,
    cell: fn(&Listed, &Sight) -> Cell,
}

type Cell = (Tone, String);

/// What cells depend on beside their row.
struct Sight {
    id_length: usize,
    /// All rows are of this day (days since 1970).
    one_day: bool,
}

const COLUMNS: [Column; 12] = [
    column("time", false, None, (7, 8), |row, sight| {
        (Tone::Dim, clock(row.started_at_us, sight.one_day))
    }),
    column("id", false, None, (0, 18), |row, sight| {
        (Tone::Plain, row.id.chars().take(sight.id_length).collect())
    }),
    column("model", false, Some(14), (0, 18), |row, _| (Tone::Plain, model(row))),
    column("status", false, None, (0, 13), |row, _| status(row)),
    column("in", true, None, (6, 5), |row, _| (Tone::Plain, number(row.input_tokens))),
    column("cached", true, None, (1, 6), |row, _| cached(row)),
    column("out", true, None, (6, 5), |row, _| (Tone::Plain, number(row.output_tokens))),
    column("cost", true, None, (3, 7), |row, _| {
        (Tone::Plain, row.cost_nanousd.map_or_else(String::new, words::dollars))
    }),
    column("ttft", true, None, (5, 5), |row, _| {
        (Tone::Plain, row.ttft_us.map_or_else(String::new, time))
    }),
    column("total", true, None, (0, 5), |row, _| (Tone::Plain, time(row.duration_us))),
    column("session", false, Some(8), (2, 12), |row, _| (Tone::Dim, session(row))),
    column("signals", false, Some(6), (4, 12), |row, _| (Tone::Odd, signals(row))),
];

const fn column(
    head: &'static str,
    right: bool,
    narrowest: Option<usize>,
    (expendable, usual): (u8, usize),
    cell: fn(&Listed, &Sight) -> Cell,
) -> Column {
    Column { head, right, narrowest, expendable, usual, cell }
}

/// The table, its head first.
pub fn table(rows: &[Listed], look: Look) -> String {
    let layout = Layout::of(rows, look);
    let lines = rows.iter().map(|row| layout.line(row, look));
    std::iter::once(layout.head(look)).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Columns and how wide each is, fixed for as long as lines follow each other.
pub struct Layout {
    shown: Vec<(usize, usize)>,
    sight: Sight,
}

impl Layout {
    /// Fitted to `rows`.
    pub fn of(rows: &[Listed], look: Look) -> Self {
        Self::new(rows, look, false)
    }

    /// For lines that nobody has seen yet beside `rows`: every column, as wide as its cells usually are.
    pub fn following(rows: &[Listed], look: Look) -> Self {
        Self::new(rows, look, true)
    }

    fn new(rows: &[Listed], look: Look, following: bool) -> Self {
        let days: Vec<i64> = rows.iter().map(|row| row.started_at_us / 86_400_000_000).collect();
        let one_day = days.iter().all(|day| Some(day) == days.first());
        let id_length = if following { ID_FOLLOWING } else { id_length(rows) };
        let sight = Sight { id_length, one_day: one_day || following };
        let mut shown: Vec<(usize, usize)> = Vec::new();
        for (at, column) in COLUMNS.iter().enumerate() {
            let widest = rows.iter().map(|row| columns(&(column.cell)(row, &sight).1)).max();
            let usual = if following { column.usual } else { 0 };
            match widest {
                // A column without a word says nothing.
                Some(0) if column.expendable > 0 && !following => {}
                _ => shown.push((at, widest.unwrap_or(0).max(columns(column.head)).max(usual))),
            }
        }
        if let Some(width) = look.width {
            fit(&mut shown, width);
        }
        Self { shown, sight }
    }

    pub fn head(&self, look: Look) -> String {
        let cells =
            self.columns().map(|(column, width)| cell(column, Tone::Dim, column.head, width, look));
        join(&cells.collect::<Vec<_>>())
    }

    pub fn line(&self, row: &Listed, look: Look) -> String {
        let cells = self.columns().map(|(column, width)| {
            let (tone, text) = (column.cell)(row, &self.sight);
            let text = clip(&clean_line(&text), width);
            cell(column, tone, &text, width, look)
        });
        join(&cells.collect::<Vec<_>>())
    }

    fn columns(&self) -> impl Iterator<Item = (&'static Column, usize)> {
        self.shown.iter().filter_map(|(at, width)| Some((COLUMNS.get(*at)?, *width)))
    }
}

fn cell(column: &Column, tone: Tone, text: &str, width: usize, look: Look) -> String {
    if column.right { look.cell_right(tone, text, width) } else { look.cell(tone, text, width) }
}

fn join(cells: &[String]) -> String {
    cells.join(&" ".repeat(GAP)).trim_end().to_owned()
}

/// Leaves out what is least missed until the rest could fit, then clips what may be clipped, the widest first.
fn fit(shown: &mut Vec<(usize, usize)>, width: usize) {
    let taken = |widths: &mut dyn Iterator<Item = usize>| {
        widths.map(|wide| wide + GAP).sum::<usize>().saturating_sub(GAP)
    };
    let least = |(at, wide): &(usize, usize)| {
        COLUMNS.get(*at).and_then(|column| column.narrowest).map_or(*wide, |least| least.min(*wide))
    };
    let rank = |at: usize| COLUMNS.get(at).map_or(0, |column| column.expendable);
    while taken(&mut shown.iter().map(least)) > width {
        let first = shown.iter().map(|(at, _)| rank(*at)).filter(|rank| *rank > 0).min();
        let Some(first) = first else { break };
        shown.retain(|(at, _)| rank(*at) != first);
    }
    while taken(&mut shown.iter().map(|(_, wide)| *wide)) > width {
        let widest = shown.iter_mut().max_by_key(|one| one.1 - least(one));
        match widest {
            Some(one) if one.1 > least(one) => one.1 -= 1,
            _ => return,
        }
    }
}

/// As many characters as tell each of the rows apart from the others.
pub fn id_length(rows: &[Listed]) -> usize {
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    let shared = ids.windows(2).map(|pair| match pair {
        [one, other] => one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    });
    (shared.max().unwrap_or(0) + 1).clamp(ID_MIN, ID_WHOLE)
}

fn clock(at_us: i64, one_day: bool) -> String {
    let at = jiff::Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime(if one_day { "%H:%M:%S" } else { "%m-%d %H:%M:%S" }).to_string()
}

fn model(row: &Listed) -> String {
    let name = row.model.as_ref().or(row.model_requested.as_ref());
    match name {
        Some(name) => name.clone(),
        None if row.operation == "opaque" => row.path.clone(),
        None => row.operation.clone(),
    }
}

fn status(row: &Listed) -> Cell {
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let how = words::outcome_short(&row.outcome);
    let tries = if row.attempts > 1 { format!(" ×{}", row.attempts) } else { String::new() };
    let text =
        if how.is_empty() { format!("{status}{tries}") } else { format!("{status}{tries} {how}") };
    let tone = match row.outcome.as_str() {
        "complete" => Tone::Good,
        "client_cancelled" => Tone::Odd,
        _ => Tone::Bad,
    };
    (tone, text)
}

/// Without a blank, to save a column.
fn time(us: i64) -> String {
    words::time(us).replace(' ', "")
}

fn number(tokens: Option<i64>) -> String {
    tokens.map_or_else(String::new, words::count)
}

/// The share of the input that the provider had in its cache.
fn cached(row: &Listed) -> Cell {
    let share = match (row.input_tokens, row.cache_read_tokens) {
        (Some(input @ 1..), Some(cached)) => format!("{}%", cached.saturating_mul(100) / input),
        _ => String::new(),
    };
    (Tone::Dim, if share == "0%" { String::new() } else { share })
}

fn session(row: &Listed) -> String {
    let name = row.session_id.clone().unwrap_or_default();
    if row.session_inferred && !name.is_empty() { format!("~{name}") } else { name }
}

fn signals(row: &Listed) -> String {
    let labels = row.labels.iter().map(|label| format!("#{label}"));
    row.signals
        .iter()
        .map(|signal| (*signal).to_owned())
        .chain(labels)
        .collect::<Vec<_>>()
        .join(" ")
}

/// One object a line, with the columns of the view; tags and headers as objects.
pub fn ndjson(row: &Listed) -> String {
    json(row).to_string()
}

pub fn json(row: &Listed) -> Value {
    let mut value = serde_json::to_value(row).unwrap_or_default();
    for (name, pairs) in [("tags", &row.tags), ("headers", &row.headers)] {
        let object: Map<String, Value> =
            pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        if let Some(fields) = value.as_object_mut() {
            fields.insert(name.to_owned(), object.into());
        }
    }
    value
}
