//! The list of exchanges, newest first: query bar, follow, marks.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::report::look::Tone;
use crate::report::words;
use crate::store::stored::Listed;
use crate::tui::ask::{Answer, Lane, Part, Result, Want};
use crate::tui::common::{Common, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::editor::Editor;
use crate::tui::parts::popup;
use crate::tui::parts::table::{self, Cell, Column};
use crate::tui::parts::window::{PAGE, Placed, Window};
use crate::tui::screens::Screen;

const LIST: Lane = Lane { screen: Screen::Exchanges, name: "list" };
const MORE: Lane = Lane { screen: Screen::Exchanges, name: "more" };
const NEWS: Lane = Lane { screen: Screen::Exchanges, name: "news" };
const END: Lane = Lane { screen: Screen::Exchanges, name: "end" };
/// How often news are asked for.
const NEWS_MS: u64 = 1_000;

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
    filter: String,
    /// While the query is typed.
    editor: Option<Editor>,
    error: Option<String>,
    asked_ms: u64,
    more: Option<Part>,
}

impl Exchanges {
    /// Shows what another query finds.
    pub fn show(&mut self, filter: &str, common: &mut Common) {
        if self.filter != filter || self.window.fresh {
            filter.clone_into(&mut self.filter);
            self.window = Window::default();
            self.read(common);
        }
    }

    fn read(&mut self, common: &mut Common) {
        common.forget(MORE);
        common.forget(NEWS);
        self.asked_ms = common.now_ms;
        let filter = self.filter.clone();
        common.ask(LIST, Want::Exchanges { filter, part: Part::Newest, limit: PAGE });
    }

    /// Asks for what scrolling needs next.
    fn reach(&mut self, common: &mut Common) {
        self.window.fit(usize::from(common.room().height.saturating_sub(2)));
        if common.is_waiting(MORE) {
            return;
        }
        if let Some(part) = self.window.wanted() {
            self.more = Some(part);
            common.ask(MORE, Want::Exchanges { filter: self.filter.clone(), part, limit: PAGE });
        }
    }

    fn apply(&mut self, common: &mut Common) {
        if let Some(editor) = &self.editor
            && editor.text() != self.filter
        {
            editor.text().clone_into(&mut self.filter);
            self.window.following = true;
            self.read(common);
        }
    }
}

impl Scene for Exchanges {
    fn entered(&mut self, common: &mut Common) {
        self.read(common);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Exchanges), Scope::List]
    }

    fn is_typing(&self) -> bool {
        self.editor.is_some()
    }

    fn typed(&mut self, key: &str, character: Option<char>, common: &mut Common) {
        let Some(editor) = &mut self.editor else { return };
        match key {
            "enter" => {
                self.apply(common);
                self.editor = None;
            }
            "esc" => self.editor = None,
            _ => {
                // Every keystroke is a query; the newest one's answer is the one that counts.
                if editor.key(key, character) {
                    self.apply(common);
                }
            }
        }
    }

    fn pasted(&mut self, text: &str, common: &mut Common) {
        if let Some(editor) = &mut self.editor
            && editor.insert(text)
        {
            self.apply(common);
        }
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        let page = isize::from(i16::try_from(common.room().height).unwrap_or(20)) - 3;
        match action {
            Action::Up => self.window.step(-1),
            Action::Down => self.window.step(1),
            Action::PageUp => self.window.step(-page),
            Action::PageDown => self.window.step(page),
            Action::Top if self.window.news().is_none() => self.read(common),
            Action::Top => self.window.go(0),
            Action::Bottom if self.window.has_older() => {
                let filter = self.filter.clone();
                common.ask(END, Want::Exchanges { filter, part: Part::After(0), limit: PAGE });
            }
            Action::Bottom => self.window.go(usize::MAX),
            Action::Open | Action::Right => {
                if let Some(row) = self.window.selected() {
                    common.go.push(Go::Exchange { id: row.id.clone(), tab: None });
                }
            }
            Action::Filter => self.editor = Some(Editor::new(&self.filter)),
            Action::Back if !self.filter.is_empty() => {
                self.filter.clear();
                self.read(common);
            }
            Action::Follow if self.window.following => self.window.following = false,
            Action::Follow => {
                self.window.following = true;
                self.read(common);
            }
            Action::Mark => {
                if let Some(row) = self.window.selected() {
                    common.mark(&row.id);
                    self.window.step(1);
                }
            }
            Action::Diagnose => {
                if let Some(row) = self.window.selected() {
                    let tab = Some("diagnosis");
                    common.go.push(Go::Exchange { id: row.id.clone(), tab });
                }
            }
            Action::Diff => {
                let (left, right) = match (common.marks.as_slice(), self.window.selected()) {
                    ([left, right, ..], _) => (left.clone(), Some(right.clone())),
                    ([left], Some(row)) if *left != row.id => (left.clone(), Some(row.id.clone())),
                    (_, Some(row)) => (row.id.clone(), None),
                    (_, None) => return true,
                };
                common.go.push(Go::Diff { left, right });
            }
            Action::Replay => {
                let marks = &common.marks;
                let from = match (marks.is_empty(), self.window.selected()) {
                    (false, _) => {
                        let ids: Vec<String> = marks.iter().map(|id| format!("id:{id}")).collect();
                        ids.join(" OR ")
                    }
                    (true, Some(row)) => format!("id:{}", row.id),
                    (true, None) => return true,
                };
                let count = Some(marks.len().max(1));
                common.go.push(Go::Replay { from, count });
            }
            Action::Copy => {
                common.popup = Some(popup::menu("copy", &[("i", "the id", "copy id")]));
            }
            _ => return false,
        }
        self.reach(common);
        true
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        if let ("copy id", Some(row)) = (choice, self.window.selected()) {
            common.copy("the id", row.id.clone());
        }
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        let (rows, next) = match answer {
            Ok(Answer::Exchanges { rows, next }) => (rows, next),
            Ok(_) => return,
            Err(trouble) => {
                self.error = Some(trouble.words().to_owned());
                return;
            }
        };
        self.error = None;
        let whole = rows.len() == PAGE;
        match lane.name {
            "list" => self.window.replace(rows, next.is_some()),
            "end" => self.window.replace_by_oldest(rows, whole),
            "news" if whole && self.window.following => self.read(common),
            "news" => drop(self.window.prepend(rows, whole)),
            _ => match self.more.take() {
                Some(Part::Before(_)) => self.window.append(rows, next.is_some()),
                Some(Part::After(_)) => drop(self.window.prepend(rows, whole)),
                _ => {}
            },
        }
        self.reach(common);
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        if common.now_ms >= self.asked_ms + NEWS_MS
            && !common.is_waiting(LIST)
            && let Some(part) = self.window.news()
        {
            self.asked_ms = common.now_ms;
            common.poll(NEWS, Want::Exchanges { filter: self.filter.clone(), part, limit: PAGE });
        }
        false
    }

    fn resized(&mut self, common: &mut Common) {
        self.reach(common);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let mut chips = Vec::new();
        if !self.filter.is_empty() {
            chips.push((Tone::User, format!("/{}", self.filter)));
        }
        if self.window.following {
            chips.push((Tone::Good, "following".to_owned()));
        }
        chips
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut area = area;
        if let Some(editor) = &self.editor {
            frame.render_widget(editor.line("/", theme), Rect { height: 1, ..area });
            area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        }
        if let Some(error) = &self.error {
            let line = Line::styled(error.clone(), theme.tone(Tone::Bad));
            frame.render_widget(line, Rect { height: 1, ..area });
            area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        }
        if self.window.rows().is_empty() {
            let words = if self.window.fresh { "reading …" } else { "nothing is found" };
            frame.render_widget(Line::styled(words, theme.tone(Tone::Dim)), area);
            return;
        }
        let height = usize::from(area.height.saturating_sub(1));
        let seen = self.window.rows().iter().skip(self.window.top()).take(height);
        let rows: Vec<Vec<Cell>> = seen.map(|row| cells(row, common)).collect();
        let selected = self.window.cursor().checked_sub(self.window.top());
        table::view(frame, area, &columns(), &rows, selected, theme);
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(" ", 1),
        Column::new("started", 8),
        Column::new("model", 18),
        Column::new("status", 10),
        Column::right("ttft", 7),
        Column::right("time", 7),
        Column::right("in", 6),
        Column::right("out", 6),
        Column::right("cost", 8),
        Column::new("agent", 12),
        Column::new("session", 14),
        Column::new("signals", 12),
    ]
}

fn cells(row: &Listed, common: &Common) -> Vec<Cell> {
    let marked = common.marks.contains(&row.id);
    let at = jiff::Timestamp::from_microsecond(row.started_at_us).unwrap_or_default();
    let tone = match row.outcome.as_str() {
        "complete" => Tone::Good,
        "client_cancelled" => Tone::Odd,
        _ => Tone::Bad,
    };
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let short = words::outcome_short(&row.outcome);
    let number = |value: Option<i64>| value.map_or_else(String::new, words::count);
    vec![
        (Tone::Odd, if marked { "●" } else { " " }.to_owned()),
        (Tone::Dim, at.strftime("%H:%M:%S").to_string()),
        (Tone::Plain, row.model.clone().or(row.model_requested.clone()).unwrap_or_default()),
        (tone, format!("{status} {short}")),
        (Tone::Plain, row.ttft_us.map_or_else(String::new, |us| words::time(us).replace(' ', ""))),
        (Tone::Plain, words::time(row.duration_us).replace(' ', "")),
        (Tone::Plain, number(row.input_tokens)),
        (Tone::Plain, number(row.output_tokens)),
        (Tone::Plain, row.cost_nanousd.map_or_else(String::new, words::dollars)),
        (Tone::Dim, row.agent.clone()),
        (Tone::Dim, row.session_id.clone().unwrap_or_default()),
        (Tone::Odd, row.signals.join(" ")),
    ]
}
