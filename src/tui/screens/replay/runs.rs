//! Past runs, and the one that is being sent; newest first.

use pinhole_replay::faces::words;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::Value;

use crate::base::id::ExchangeId;
use crate::report::look::{Tone, clean_line};
use crate::tui::ask::{Lane, Want};
use crate::tui::common::Common;
use crate::tui::keys::Action;
use crate::tui::parts::table::{self, Cell, Column};
use crate::tui::screens::Screen;
use crate::tui::screens::replay::told::{Run, Side};

pub(super) const LIST: Lane = Lane { screen: Screen::Replay, name: "runs" };
/// How often the list is read again while a run is being sent, and while none is.
const BUSY_MS: u64 = 1_000;
const IDLE_MS: u64 = 10_000;

/// Its state.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    /// An answer came.
    known: bool,
    cursor: usize,
    top: usize,
    asked_ms: u64,
    error: Option<String>,
}

impl Runs {
    pub(super) fn read(&mut self, common: &mut Common) {
        self.asked_ms = common.now_ms;
        common.ask(LIST, Want::Get { path: "runs".to_owned() });
    }

    pub(super) fn tick(&mut self, common: &mut Common) {
        let pause = if self.runs.iter().any(Run::is_sent) { BUSY_MS } else { IDLE_MS };
        if common.now_ms >= self.asked_ms + pause {
            self.asked_ms = common.now_ms;
            common.poll(LIST, Want::Get { path: "runs".to_owned() });
        }
    }

    pub(super) fn told(&mut self, mut answer: Value, common: &Common) {
        let rows = answer.get_mut("runs").map(Value::take).unwrap_or_default();
        match serde_json::from_value::<Vec<Run>>(rows) {
            Ok(runs) => {
                let kept = self.selected().map(|run| run.run_id.clone());
                self.runs = runs;
                self.known = true;
                self.error = None;
                let place = kept.and_then(|id| self.runs.iter().position(|run| run.run_id == id));
                self.go(place.unwrap_or(0), common);
            }
            Err(error) => self.error = Some(format!("the list of runs cannot be read: {error}")),
        }
    }

    pub(super) fn refused(&mut self, words: &str) {
        self.error = Some(words.to_owned());
    }

    pub(super) fn selected(&self) -> Option<&Run> {
        self.runs.get(self.cursor)
    }

    fn height(common: &Common) -> usize {
        usize::from(common.room().height).saturating_sub(3).max(1)
    }

    fn go(&mut self, to: usize, common: &Common) {
        self.cursor = to.min(self.runs.len().saturating_sub(1));
        let height = Self::height(common);
        self.top = self.top.clamp((self.cursor + 1).saturating_sub(height), self.cursor);
    }

    pub(super) fn resized(&mut self, common: &Common) {
        self.go(self.cursor, common);
    }

    /// Moves; false: that is no movement.
    pub(super) fn act(&mut self, action: Action, common: &Common) -> bool {
        let page = Self::height(common);
        let to = match action {
            Action::Up => self.cursor.saturating_sub(1),
            Action::Down => self.cursor + 1,
            Action::PageUp => self.cursor.saturating_sub(page),
            Action::PageDown => self.cursor + page,
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => return false,
        };
        self.go(to, common);
        true
    }

    pub(super) fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut area = area;
        if let Some(error) = &self.error {
            let line = Line::styled(error.clone(), theme.tone(Tone::Bad));
            frame.render_widget(line, Rect { height: 1, ..area });
            area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        }
        if self.runs.is_empty() {
            let words: &[&str] = match (self.known, &self.error) {
                (false, None) => &["reading …"],
                (false, Some(_)) => &[],
                (true, _) => &[
                    "no run yet",
                    "r begins one; or mark exchanges in the list (3) and press r there",
                ],
            };
            for (row, words) in (0..area.height).zip(words) {
                let line = Line::styled((*words).to_owned(), theme.tone(Tone::Dim));
                frame.render_widget(line, Rect { y: area.y + row, height: 1, ..area });
            }
            return;
        }
        let height = usize::from(area.height.saturating_sub(1));
        let rows: Vec<Vec<Cell>> =
            self.runs.iter().skip(self.top).take(height).map(cells).collect();
        table::view(frame, area, &columns(), &rows, self.cursor.checked_sub(self.top), theme);
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("started", 14),
        Column::new("state", 11),
        Column::new("verdict", 9),
        Column::right("cost", 9),
        Column::right("sent", 6),
        Column::new("targets", 26),
        Column::new("recordings", 40),
    ]
}

fn cells(run: &Run) -> Vec<Cell> {
    let state = match run.state.as_str() {
        "whole" => (Tone::Plain, "whole".to_owned()),
        "running" => (Tone::Good, going(run)),
        "max_cost" => (Tone::Odd, "cost limit".to_owned()),
        other => (Tone::Odd, clean_line(other)),
    };
    let (tone, word) = run.word();
    vec![
        (Tone::Dim, started(run)),
        state,
        (tone, word.to_owned()),
        (Tone::Plain, run.cost_usd().map_or_else(String::new, words::usd)),
        (Tone::Dim, words::count(run.recordings)),
        (Tone::Plain, targets(run)),
        (Tone::Dim, clean_line(&run.from)),
    ]
}

fn going(run: &Run) -> String {
    let Some(progress) = &run.progress else { return "running".to_owned() };
    let percent = (progress.done * 100).checked_div(progress.planned).unwrap_or(0);
    format!("running {percent}%")
}

/// Ids begin with their time: a run without a report has it, too.
fn started(run: &Run) -> String {
    let at_us = run.started_at_us.or_else(|| begun(&run.run_id)).unwrap_or_default();
    let at = jiff::Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime("%m-%d %H:%M:%S").to_string()
}

fn begun(id: &str) -> Option<i64> {
    let [a, b, c, d, e, f, ..] = ExchangeId::parse(id)?.bytes();
    i64::from_be_bytes([0, 0, a, b, c, d, e, f]).checked_mul(1_000)
}

/// The ones that were sent to, each once.
pub(super) fn targets(run: &Run) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in run.targets.iter().map(Side::name) {
        let name = clean_line(name);
        if name != pinhole_replay::row::CAPTURED && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
