//! Tools and agents; providers, models and keys: a table each.

pub mod panes;
pub mod told;

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::report::calls::Calls;
use crate::report::look::Tone;
use crate::tui::ask::{Answer, Lane, Result, Want};
use crate::tui::common::{Common, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::table::{self, Cell};
use crate::tui::screens::Screen;
use crate::tui::screens::overview::told::Told;
use crate::tui::screens::overview::{WINDOW_FIRST, WINDOWS, capture};
use panes::{BARS, Pane, Row};
use told::{Providers, Usage};

const CALLS: Lane = Lane { screen: Screen::Tools, name: "calls" };
const SUMS: Lane = Lane { screen: Screen::Tools, name: "sums" };
const PROVIDERS: Lane = Lane { screen: Screen::Tools, name: "providers" };
const KEYS: Lane = Lane { screen: Screen::Tools, name: "keys" };
const CAPTURE: Lane = Lane { screen: Screen::Tools, name: "capture" };
/// How often what is seen is read again.
const NEWS_MS: u64 = 2_000;
/// The column that a table is sorted by at first: how much there is of each.
const SORT_FIRST: [usize; Pane::ALL.len()] = [1, 1, 4, 2, 1];

/// Its state.
#[derive(Debug)]
pub struct Tools {
    pane: Pane,
    window: usize,
    calls: Calls,
    told: Told,
    providers: Providers,
    keys: Usage,
    /// Of each table: the rows as they are sorted, the selected one, the column, whether the other way round.
    tables: [Table; Pane::ALL.len()],
    error: Option<String>,
    asked_ms: u64,
}

#[derive(Debug, Default)]
struct Table {
    rows: Vec<Row>,
    cursor: usize,
    sort: usize,
    /// Nothing has been read yet.
    known: bool,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            pane: Pane::Tools,
            window: WINDOW_FIRST,
            calls: Calls::default(),
            told: Told::default(),
            providers: Providers::default(),
            keys: Usage::default(),
            tables: SORT_FIRST.map(|sort| Table { sort, ..Table::default() }),
            error: None,
            asked_ms: 0,
        }
    }
}

impl Tools {
    fn window(&self) -> &'static str {
        WINDOWS.get(self.window).map_or("1h", |(window, _)| window)
    }

    /// What the table that is seen is made of.
    fn wants(&self) -> Vec<(Lane, String)> {
        let window = self.window();
        let sums = (SUMS, format!("overview?window={window}&steps=1"));
        match self.pane {
            Pane::Tools | Pane::Agents => {
                vec![(CALLS, format!("tools?window={window}&steps={BARS}"))]
            }
            Pane::Providers | Pane::Models => vec![(PROVIDERS, "providers".to_owned()), sums],
            Pane::Keys => vec![(KEYS, format!("usage?by=key&since={window}"))],
        }
    }

    fn read(&mut self, common: &mut Common) {
        self.asked_ms = common.now_ms;
        for (lane, path) in self.wants() {
            common.ask(lane, Want::Get { path });
        }
    }

    fn table(&self) -> Option<&Table> {
        self.tables.get(self.pane.place())
    }

    fn step(&mut self, by: isize) {
        if let Some(table) = self.tables.get_mut(self.pane.place()) {
            let last = table.rows.len().saturating_sub(1);
            table.cursor = table.cursor.saturating_add_signed(by).min(last);
        }
    }

    fn turn(&mut self, by: usize, common: &mut Common) {
        self.pane = self.pane.next(by);
        self.error = None;
        self.read(common);
    }

    fn sort(&mut self, common: &mut Common) {
        let width = usize::from(common.size.0).saturating_sub(1);
        // Only by what can be seen.
        let columns = table::fit(&self.pane.columns(width), width).len().max(1);
        if let Some(table) = self.tables.get_mut(self.pane.place()) {
            table.hold(|table| table.sort = (table.sort + 1) % columns);
        }
    }

    /// Makes the rows of a table anew.
    fn lay(&mut self, pane: Pane) {
        let until_us = self.calls.until_us;
        let rows: Vec<Row> = match pane {
            Pane::Tools => self.calls.tools.iter().map(|one| panes::tool(one, until_us)).collect(),
            Pane::Agents => {
                self.calls.agents.iter().map(|one| panes::agent(one, until_us)).collect()
            }
            Pane::Providers => panes::providers(&self.providers.providers, &self.told),
            Pane::Models => panes::models(&self.providers.providers, &self.told),
            Pane::Keys => self.keys.groups.iter().map(panes::key).collect(),
        };
        if let Some(table) = self.tables.get_mut(pane.place()) {
            table.hold(|table| (table.rows, table.known) = (rows, true));
        }
    }

    fn take(&mut self, lane: Lane, value: serde_json::Value) -> serde_json::Result<()> {
        match lane {
            CALLS => {
                self.calls = serde_json::from_value(value)?;
                self.lay(Pane::Tools);
                self.lay(Pane::Agents);
            }
            KEYS => {
                self.keys = serde_json::from_value(value)?;
                self.lay(Pane::Keys);
            }
            _ => {
                if lane == SUMS {
                    self.told = serde_json::from_value(value)?;
                } else {
                    self.providers = serde_json::from_value(value)?;
                }
                self.lay(Pane::Providers);
                self.lay(Pane::Models);
            }
        }
        Ok(())
    }
}

impl Table {
    /// Changes it, and sorts; what was selected stays so.
    fn hold(&mut self, change: impl FnOnce(&mut Self)) {
        let kept = self.rows.get(self.cursor).map(|row| row.filter.clone());
        change(self);
        let sort = self.sort;
        self.rows.sort_by(|one, other| match (one.by.get(sort), other.by.get(sort)) {
            (Some(one), Some(other)) => one.compare(other),
            _ => Ordering::Equal,
        });
        let place = kept.and_then(|kept| self.rows.iter().position(|row| row.filter == kept));
        self.cursor = place.unwrap_or(self.cursor).min(self.rows.len().saturating_sub(1));
    }
}

impl Scene for Tools {
    fn entered(&mut self, common: &mut Common) {
        self.read(common);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Tools), Scope::Panes]
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        let page = isize::from(i16::try_from(common.room().height).unwrap_or(20)) - 3;
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-page),
            Action::PageDown => self.step(page),
            Action::Top => self.step(isize::MIN),
            Action::Bottom => self.step(isize::MAX),
            Action::NextTab => self.turn(1, common),
            Action::PreviousTab => self.turn(Pane::ALL.len() - 1, common),
            Action::Open | Action::Right => {
                let row = self.table().and_then(|table| table.rows.get(table.cursor));
                if let Some(row) = row {
                    common.go.push(Go::Exchanges { filter: row.filter.clone() });
                }
            }
            Action::Sort => self.sort(common),
            Action::Window => {
                self.window = (self.window + 1) % WINDOWS.len();
                self.read(common);
            }
            Action::Capture => capture::menu(common),
            _ => return false,
        }
        true
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        capture::chosen(choice, CAPTURE, common);
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        if lane == CAPTURE {
            capture::switched(&answer, common);
            return;
        }
        match answer {
            Ok(Answer::Json(value)) => {
                let taken = self.take(lane, value);
                self.error = taken
                    .err()
                    .map(|error| format!("the gateway's answer cannot be read: {error}"));
            }
            Ok(_) => {}
            Err(trouble) => self.error = Some(trouble.words().to_owned()),
        }
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        if common.now_ms >= self.asked_ms + NEWS_MS {
            self.asked_ms = common.now_ms;
            for (lane, path) in self.wants() {
                common.poll(lane, Want::Get { path });
            }
        }
        false
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let (_, window) = WINDOWS.get(self.window).copied().unwrap_or_default();
        let (past, cut) = match self.pane {
            Pane::Tools | Pane::Agents => (self.calls.past, self.calls.cut),
            Pane::Providers | Pane::Models => (self.told.lately.past, self.told.lately.cut),
            Pane::Keys => (false, false),
        };
        let mut chips = vec![if past {
            (Tone::Odd, format!("the last {window} in which anything came"))
        } else {
            (Tone::Plain, format!("last {window}"))
        }];
        if cut {
            chips.push((Tone::Odd, "its newest 100k".to_owned()));
        }
        chips
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut spans = Vec::new();
        for pane in Pane::ALL {
            let style = if pane == self.pane { theme.selected() } else { theme.tone(Tone::Dim) };
            spans.push(Span::styled(format!(" {} ", pane.label()), style));
        }
        if self.pane == Pane::Models {
            let words = "   prices: US dollars for a million tokens";
            spans.push(Span::styled(words, theme.tone(Tone::Dim)));
        }
        frame.render_widget(Line::from(spans), Rect { height: 1, ..area });
        let mut area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        if let Some(error) = &self.error {
            let line = Line::styled(error.clone(), theme.tone(Tone::Bad));
            frame.render_widget(line, Rect { height: 1.min(area.height), ..area });
            area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        }
        let Some(table) = self.table() else { return };
        if table.rows.is_empty() {
            let words = match (table.known, &self.error) {
                (true, _) => self.pane.empty(),
                (false, None) => "reading …",
                (false, Some(_)) => "",
            };
            frame.render_widget(Line::styled(words, theme.tone(Tone::Dim)), area);
            return;
        }
        let mut area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
        let selected = table.rows.get(table.cursor);
        if let Some(row) = selected.filter(|row| !row.detail.is_empty() && area.height > 3) {
            area.height -= 1;
            let line = Line::styled(row.detail.clone(), theme.tone(Tone::Dim));
            frame.render_widget(line, Rect { y: area.y + area.height, height: 1, ..area });
        }
        let height = usize::from(area.height.saturating_sub(1)).max(1);
        let mut columns = self.pane.columns(usize::from(area.width));
        if let Some(column) = columns.get_mut(table.sort) {
            column.head = format!("{}▾", column.head);
        }
        let top = (table.cursor + 1).saturating_sub(height);
        let seen = table.rows.iter().skip(top).take(height);
        let cells: Vec<Vec<Cell>> = seen.map(|row| row.cells.clone()).collect();
        let selected = table.cursor.checked_sub(top);
        table::view(frame, area, &columns, &cells, selected, theme);
    }
}
