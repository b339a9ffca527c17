//! The list of exchanges, newest first: query bar, saved views, columns, follow with what runs above it, marks.

pub mod columns;
pub mod menus;
mod reading;
pub mod running;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::report::look::Tone;
use crate::report::words;
use crate::store::query::page::By;
use crate::store::stored::Listed;
use crate::tui::ask::{Answer, Lane, Part, Result};
use crate::tui::common::{Common, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::bar::{self, Bar, Typed};
use crate::tui::parts::offers::Seen;
use crate::tui::parts::popup;
use crate::tui::parts::table::{self, Cell};
use crate::tui::parts::window::{Placed, Window};
use crate::tui::screens::Screen;
use columns::{Layout, Sight, same_day};
use reading::Counted;
use running::Running;

impl Placed for Listed {
    fn seq(&self) -> i64 {
        self.seq
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// Its state.
#[derive(Debug, Default)]
pub struct Exchanges {
    window: Window<Listed>,
    running: Running,
    filter: String,
    /// It came from another screen: going back goes there.
    sent: bool,
    /// While the query is typed, with the query that was there before.
    bar: Option<(Bar, String)>,
    sort: Option<By>,
    /// Of how many a sorted list has the greatest.
    among: Option<usize>,
    counted: Counted,
    error: Option<String>,
    asked_ms: u64,
    more: Option<Part>,
    /// Where a failure is looked for, and the one to select when it is there.
    downwards: bool,
    wanted: Option<String>,
}

impl Exchanges {
    /// Shows what another query finds.
    pub fn show(&mut self, filter: &str, common: &mut Common) {
        self.sent = true;
        self.bar = None;
        self.anew_and_empty(filter, common);
    }

    /// The exchange under the cursor, one that runs too.
    fn selected(&self) -> Option<&str> {
        let run = self.running.selected.as_deref();
        run.or_else(|| self.window.selected().map(|row| row.id.as_str()))
    }

    /// Lines for the list and what runs.
    fn height(&self, common: &Common) -> usize {
        let bar = if self.bar.is_some() { bar::LINES } else { 0 };
        let error = u16::from(self.error.is_some());
        usize::from(common.room().height.saturating_sub(bar + error + 1))
    }

    /// Lines for the list alone.
    fn list_height(&self, common: &Common) -> usize {
        let height = self.height(common);
        height - self.running.shown(height).len()
    }

    fn step(&mut self, by: isize, common: &Common) {
        let height = self.height(common);
        let at_top = self.window.cursor() == 0 && self.window.following;
        if self.running.selected.is_some() {
            self.running.step(by, height);
        } else if !(by < 0 && at_top && self.running.step(by, height)) {
            self.window.step(by);
        }
        if !self.window.following {
            self.running.clear();
        }
    }

    fn typed_to(&mut self, typed: Typed, common: &mut Common) {
        match typed {
            Typed::Nothing => {}
            Typed::Query(query) => self.apply(&query, common),
            Typed::Done(query) => {
                self.apply(&query, common);
                menus::remember(common, &query);
                self.bar = None;
            }
            Typed::Cancelled => {
                if let Some((_, before)) = self.bar.take() {
                    self.apply(&before, common);
                }
            }
        }
        self.reach(common);
    }

    /// Every keystroke is a query; the newest one's answer is the one that counts.
    fn apply(&mut self, query: &str, common: &mut Common) {
        if query != self.filter {
            self.sent = false;
            self.anew(query, self.sort, common);
        }
    }

    fn diff(&self, common: &mut Common) {
        let selected = self.window.selected();
        let (left, right) = match (common.marks.as_slice(), selected) {
            ([left, right, ..], _) => (left.clone(), Some(right.clone())),
            ([left], Some(row)) if *left != row.id => (left.clone(), Some(row.id.clone())),
            (_, Some(row)) => (row.id.clone(), None),
            (_, None) => return,
        };
        common.go.push(Go::Diff { left, right });
    }

    fn replay(&self, common: &mut Common) {
        let ids: Vec<String> = match (common.marks.is_empty(), self.window.selected()) {
            (false, _) => common.marks.clone(),
            (true, Some(row)) => vec![row.id.clone()],
            (true, None) => return,
        };
        let terms: Vec<String> = ids.iter().map(|id| format!("id:{id}")).collect();
        common.go.push(Go::Replay { from: terms.join(" OR "), count: Some(ids.len()) });
    }

    fn open(&self, tab: Option<&'static str>, common: &mut Common) {
        if let Some(id) = self.selected() {
            common.go.push(Go::Exchange { id: id.to_owned(), tab });
        }
    }

    /// Goes away as it came: the query of another screen is not kept. True: it stays, without its query.
    fn leave(&mut self, common: &mut Common) -> bool {
        if self.sent {
            self.sent = false;
            self.filter.clear();
            self.sort = None;
            self.window = Window::default();
            return false;
        }
        if self.sort.is_none() && self.filter.is_empty() {
            return false;
        }
        self.anew("", None, common);
        true
    }

    /// What moves the cursor; false: that is no movement.
    fn moved(&mut self, action: Action, common: &mut Common) -> bool {
        let page = isize::try_from(self.list_height(common)).unwrap_or(20).max(2) - 1;
        match action {
            Action::Up => self.step(-1, common),
            Action::Down => self.step(1, common),
            Action::PageUp => self.step(-page, common),
            Action::PageDown => self.step(page, common),
            Action::Top => self.top(common),
            Action::Bottom => self.bottom(common),
            Action::NextHit => self.failure(true, common),
            Action::PreviousHit => self.failure(false, common),
            _ => return false,
        }
        true
    }

    fn did(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::Open | Action::Right => self.open(None, common),
            Action::Diagnose => self.open(Some("diagnosis"), common),
            Action::Filter => {
                let seen = Seen::of(self.window.rows());
                let history = common.prefs.history.clone();
                let bar = Bar::new(&self.filter, seen, history, common.wall_us);
                self.bar = Some((bar, self.filter.clone()));
            }
            Action::Back | Action::Left => return self.leave(common),
            Action::Quit => {
                if self.sent {
                    self.leave(common);
                }
                return false;
            }
            Action::Follow if self.window.following => {
                self.window.following = false;
                self.running.clear();
            }
            Action::Follow => {
                let filter = self.filter.clone();
                self.anew(&filter, None, common);
            }
            Action::Mark => {
                if let Some(row) = self.window.selected() {
                    common.mark(&row.id);
                    self.step(1, common);
                }
            }
            Action::Diff => self.diff(common),
            Action::Replay => self.replay(common),
            Action::Sort => common.popup = Some(menus::sorts(self.sort)),
            Action::Columns => common.popup = Some(menus::columns(common, 0)),
            Action::Views => common.popup = Some(menus::views(common, &self.filter)),
            Action::Refresh => self.refresh(common),
            Action::Copy => {
                let items = [
                    ("i", "the id", "copy:id"),
                    ("s", "its session, as a query", "copy:session"),
                    ("q", "the query", "copy:query"),
                ];
                common.popup = Some(popup::menu("copy", &items));
            }
            _ => return false,
        }
        true
    }

    fn copy(&self, what: &str, common: &mut Common) {
        let row = self.window.selected();
        match what {
            "id" => {
                if let Some(id) = self.selected().map(str::to_owned) {
                    common.copy("the id", id);
                }
            }
            "session" => {
                if let Some(session) = row.and_then(|row| row.session_id.as_deref()) {
                    common.copy("the session", columns::term("session", session));
                }
            }
            _ => common.copy("the query", self.filter.clone()),
        }
    }
}

impl Scene for Exchanges {
    fn entered(&mut self, common: &mut Common) {
        if self.window.fresh || self.window.following || self.error.is_some() {
            self.read(common);
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Exchanges), Scope::List]
    }

    fn is_typing(&self) -> bool {
        self.bar.is_some()
    }

    fn typed(&mut self, key: &str, character: Option<char>, common: &mut Common) {
        let Some((bar, _)) = &mut self.bar else { return };
        let typed = bar.key(key, character, common.wall_us);
        self.typed_to(typed, common);
    }

    fn pasted(&mut self, text: &str, common: &mut Common) {
        let Some((bar, _)) = &mut self.bar else { return };
        let typed = bar.paste(text, common.wall_us);
        self.typed_to(typed, common);
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        let known = self.moved(action, common) || self.did(action, common);
        if known {
            self.reach(common);
        }
        known
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        let (what, value) = choice.split_once(':').unwrap_or((choice, ""));
        match what {
            "view" => {
                self.sent = false;
                self.anew(value, self.sort, common);
            }
            "name view" => common.popup = Some(menus::name(&self.filter)),
            "keep" => {
                menus::keep(common, value, &self.filter);
                common.say(Tone::Good, format!("kept as {value}; v shows it"));
            }
            "remove view" => common.popup = Some(menus::removable(common)),
            "remove" => common.popup = Some(menus::sure(value)),
            "removed" => menus::remove(common, value),
            "column" => menus::toggle(common, value),
            "sort" => {
                let by = By::ALL.into_iter().find(|by| by.label() == value);
                let filter = self.filter.clone();
                self.anew(&filter, by, common);
            }
            "copy" => self.copy(value, common),
            _ => {}
        }
        self.reach(common);
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        self.take(lane, answer, common);
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        self.poll(common);
        // Their ages grow.
        self.running.count() > 0
    }

    fn resized(&mut self, common: &mut Common) {
        self.reach(common);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let mut chips = Vec::new();
        if !self.filter.is_empty() && self.bar.is_none() {
            chips.push((Tone::User, format!("/{}", words_of(&self.filter))));
        }
        if let Some(by) = self.sort {
            let among = self.among.map_or_else(String::new, |among| {
                let among = words::whole(i64::try_from(among).unwrap_or(i64::MAX));
                format!(", of the newest {among}")
            });
            chips.push((Tone::Odd, format!("by {}{among}", by.label())));
        }
        if self.window.following {
            chips.push((Tone::Good, "following".to_owned()));
        }
        chips.extend(self.count_words().map(|words| (Tone::Dim, words)));
        if self.running.count() > 0 {
            chips.push((Tone::Good, format!("{} running", self.running.count())));
        }
        chips
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut area = area;
        let mut below = |lines: u16| {
            let taken = Rect { height: lines.min(area.height), ..area };
            area = Rect { y: area.y + taken.height, height: area.height - taken.height, ..area };
            taken
        };
        if let Some((bar, _)) = &self.bar {
            bar.view(frame, below(bar::LINES), theme);
        }
        if let Some(error) = &self.error {
            let line = Line::styled(words_of(error), theme.tone(Tone::Bad));
            frame.render_widget(line, below(1));
        }
        self.table(frame, area, common);
    }
}

fn words_of(text: &str) -> String {
    crate::report::look::clean_line(text)
}

impl Exchanges {
    fn table(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let height = usize::from(area.height.saturating_sub(1));
        let runs = self.running.shown(height);
        let rows = self.window.rows();
        if rows.is_empty() && runs.is_empty() {
            let words = match (self.window.fresh, self.filter.is_empty()) {
                (true, _) => "reading …",
                (false, true) => {
                    "nothing has been captured yet; send something through the gateway"
                }
                (false, false) => "nothing is found; esc shows everything, / another query",
            };
            frame.render_widget(Line::styled(words, theme.tone(Tone::Dim)), area);
            return;
        }
        let seen: Vec<&Listed> =
            rows.iter().skip(self.window.top()).take(height - runs.len()).collect();
        let today = seen.iter().all(|row| same_day(row.started_at_us, common.wall_us));
        let chosen = &common.prefs.columns;
        let layout = Layout::new(chosen, Sight { today }, usize::from(area.width));
        let mut cells: Vec<Vec<Cell>> = Vec::with_capacity(height);
        for run in runs {
            cells.push(layout.running(run, self.running.age_us(run, common.now_ms)));
        }
        let mut selected =
            self.running.selected.as_ref().and_then(|id| runs.iter().position(|run| run.id == *id));
        if selected.is_none() {
            selected =
                self.window.cursor().checked_sub(self.window.top()).map(|at| at + runs.len());
        }
        for row in seen {
            cells.push(layout.cells(row, common.marks.contains(&row.id)));
        }
        table::view(frame, area, &layout.columns, &cells, selected, theme);
    }
}
