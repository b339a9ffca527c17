//! The columns of the list of sessions.

use crate::report::look::{Tone, clean_line};
use crate::report::words;
use crate::store::query::sessions::Session;
use crate::tui::parts::table::{self, Cell, Column, Wish};
use crate::tui::screens::exchanges::columns::{same_day, started};
use crate::tui::screens::sessions::tree::Line;

const fn wish(head: &'static str, width: usize, most: usize, right: bool, rank: u8) -> Wish {
    Wish { head, width, most, right, rank }
}

const LEFT: bool = false;
const RIGHT: bool = true;

/// In their order; which goes first where there is no room, the last number says.
const WISHES: [Wish; 14] = [
    wish("session", 20, 48, LEFT, 0),
    wish("last seen", 9, 12, LEFT, 0),
    wish("started", 8, 12, LEFT, 6),
    wish("duration", 8, 8, RIGHT, 5),
    wish("turns", 5, 6, RIGHT, 0),
    wish("models", 12, 40, LEFT, 3),
    wish("tokens", 6, 7, RIGHT, 2),
    wish("cached", 6, 6, RIGHT, 2),
    wish("cost", 8, 9, RIGHT, 1),
    wish("errors", 6, 6, RIGHT, 0),
    wish("signals", 12, 60, LEFT, 1),
    wish("client", 11, 20, LEFT, 4),
    wish("user", 8, 16, LEFT, 7),
    wish("labels", 8, 24, LEFT, 8),
];

pub struct Layout {
    pub columns: Vec<Column>,
    places: Vec<usize>,
    now_us: i64,
}

impl Layout {
    pub fn new(width: usize, now_us: i64) -> Self {
        let (places, columns) = table::choose(&WISHES, width).into_iter().unzip();
        Self { columns, places, now_us }
    }

    pub fn cells(&self, session: &Session, line: &Line) -> Vec<Cell> {
        let cell = |(tone, text): Cell| (tone, clean_line(&text));
        self.places.iter().map(|at| cell(self.cell(*at, session, line))).collect()
    }

    fn cell(&self, at: usize, session: &Session, line: &Line) -> Cell {
        let list = |names: &[String]| (Tone::Dim, names.join(" "));
        let count = |number: i64| (Tone::Plain, words::count(number));
        match at {
            0 => (Tone::Strong, name(session, line)),
            1 => (Tone::Dim, ago(session.last_us, self.now_us)),
            2 => (Tone::Dim, started(session.first_us, same_day(session.first_us, self.now_us))),
            3 => (Tone::Plain, words::time(session.last_us - session.first_us).replace(' ', "")),
            4 => count(session.turns.max(i64::from(session.turns == 0) * session.exchanges)),
            5 => (Tone::Plain, session.models.join(" ")),
            6 => count(session.input_tokens + session.output_tokens),
            7 => cached(session),
            8 if session.cost_nanousd == 0 => (Tone::Dim, "-".to_owned()),
            8 => (Tone::Plain, words::dollars(session.cost_nanousd)),
            9 if session.errors == 0 => (Tone::Dim, "-".to_owned()),
            9 => (Tone::Bad, words::count(session.errors)),
            10 => signals(session),
            11 => list(&session.agents),
            12 => list(&session.users),
            _ => {
                let labels = session.labels.iter().map(|label| format!("#{label}"));
                (Tone::Odd, labels.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

/// Its id, below its parent without what they share.
fn name(session: &Session, line: &Line) -> String {
    let sign = match (line.below, line.folded) {
        (0, _) if line.depth == 0 => "  ",
        (0, _) => "└ ",
        (_, true) => "▸ ",
        (_, false) => "▾ ",
    };
    let parent = session.parent.as_deref().filter(|_| line.depth > 0);
    let short =
        parent.and_then(|parent| session.id.strip_prefix(parent)).filter(|rest| rest.len() > 1);
    let inferred = if session.inferred { "~" } else { "" };
    let below =
        if line.folded && line.below > 0 { format!(" (+{})", line.below) } else { String::new() };
    let indent = "  ".repeat(line.depth);
    format!("{indent}{sign}{inferred}{}{below}", short.unwrap_or(&session.id))
}

fn cached(session: &Session) -> Cell {
    match session.cache_read_tokens.saturating_mul(100).checked_div(session.input_tokens) {
        Some(share) => (Tone::Plain, format!("{share}%")),
        None => (Tone::Dim, "-".to_owned()),
    }
}

fn signals(session: &Session) -> Cell {
    let told = session.signals.iter().map(|(name, times)| match times {
        1 => name.clone(),
        _ => format!("{name}×{times}"),
    });
    (Tone::Odd, told.collect::<Vec<_>>().join(" "))
}

/// `just now`, `42 s ago`, `5 min ago`, `3 h ago`, then the day.
fn ago(at_us: i64, now_us: i64) -> String {
    let seconds = (now_us - at_us) / 1_000_000;
    match seconds {
        ..=1 => "now".to_owned(),
        2..=99 => format!("{seconds}s ago"),
        100..=5_999 => format!("{}m ago", seconds / 60),
        6_000..=129_599 => format!("{}h ago", seconds / 3_600),
        _ => started(at_us, false),
    }
}
