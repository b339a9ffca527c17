//! One row a session, sub-agents below those that called them.

pub mod columns;
pub mod tree;

use std::collections::HashSet;

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::report::look::{Tone, clean_line};
use crate::report::words;
use crate::store::query::sessions::Session;
use crate::tui::ask::{Answer, Lane, Part, Result, Want};
use crate::tui::common::{Common, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::bar::{self, Bar, Typed};
use crate::tui::parts::offers::Seen;
use crate::tui::parts::popup::{Item, Menu, Popup};
use crate::tui::parts::{popup, table};
use crate::tui::screens::Screen;
use crate::tui::screens::exchanges::columns::term;
use columns::Layout;
use tree::{Line, Sort};

const LIST: Lane = Lane { screen: Screen::Sessions, name: "list" };
const MORE: Lane = Lane { screen: Screen::Sessions, name: "more" };
const NEWS: Lane = Lane { screen: Screen::Sessions, name: "news" };
const LAST: Lane = Lane { screen: Screen::Sessions, name: "last" };

/// Sessions asked for at once.
const PAGE: usize = 200;
/// Limit: sessions that are held.
const HELD_MAX: usize = 5_000;
/// Lines between the cursor and the end from which on more are asked for.
const NEAR: usize = 60;
const NEWS_MS: u64 = 1_000;

/// Its state.
#[derive(Debug, Default)]
pub struct Sessions {
    held: Vec<Session>,
    lines: Vec<Line>,
    cursor: usize,
    top: usize,
    following: bool,
    /// Where the next page begins, if there is one.
    older: Option<i64>,
    read: bool,
    sort: Sort,
    folded: HashSet<String>,
    filter: String,
    bar: Option<(Bar, String)>,
    error: Option<String>,
    asked_ms: u64,
    /// The tab at which the newest turn of a session is to be opened.
    tab: Option<&'static str>,
}

impl Sessions {
    fn ask(&mut self, lane: Lane, part: Part, common: &mut Common) {
        let filter = self.filter.clone();
        common.ask(lane, Want::Sessions { filter, part, limit: PAGE });
    }

    fn read(&mut self, common: &mut Common) {
        common.forget(MORE);
        common.forget(NEWS);
        self.asked_ms = common.now_ms;
        self.ask(LIST, Part::Newest, common);
    }

    fn selected(&self) -> Option<&Session> {
        self.held.get(self.lines.get(self.cursor)?.at)
    }

    /// The lines anew; the cursor stays with its session.
    fn arrange(&mut self, common: &mut Common) {
        let kept = self.selected().map(|session| session.id.clone());
        self.lines = tree::lines(&self.held, self.sort, &self.folded);
        let is = |id: &str, line: &Line| self.held.get(line.at).is_some_and(|one| one.id == id);
        let place = kept.and_then(|id| self.lines.iter().position(|line| is(&id, line)));
        self.cursor = if self.following { 0 } else { place.unwrap_or(self.cursor) };
        self.reach(common);
    }

    fn height(&self, common: &Common) -> usize {
        let bar = if self.bar.is_some() { bar::LINES } else { 0 };
        let error = u16::from(self.error.is_some());
        usize::from(common.room().height.saturating_sub(bar + error + 1))
    }

    /// The cursor into what is seen, and the next page when it comes near.
    fn reach(&mut self, common: &mut Common) {
        let last = self.lines.len().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        let height = self.height(common).max(1);
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        self.top = self.top.min((last + 1).saturating_sub(height));
        let near = self.lines.len() < self.cursor + NEAR;
        if let Some(older) = self.older
            && near
            && self.held.len() < HELD_MAX
            && !common.is_waiting(MORE)
        {
            self.ask(MORE, Part::Before(older), common);
        }
    }

    fn go(&mut self, to: usize) {
        let down = to > self.cursor;
        self.cursor = to.min(self.lines.len().saturating_sub(1));
        self.following = self.cursor == 0 && self.sort == Sort::Last && !down;
    }

    fn anew(&mut self, filter: &str, common: &mut Common) {
        filter.clone_into(&mut self.filter);
        self.following = self.sort == Sort::Last;
        self.read(common);
    }

    fn typed_to(&mut self, typed: Typed, common: &mut Common) {
        let query = match typed {
            Typed::Nothing => None,
            Typed::Query(query) => Some(query),
            Typed::Done(query) => {
                self.bar = None;
                Some(query)
            }
            Typed::Cancelled => self.bar.take().map(|(_, before)| before),
        };
        if let Some(query) = query.filter(|query| *query != self.filter) {
            self.anew(&query, common);
        }
        self.reach(common);
    }

    /// Folds what is open, else goes to the parent; false: there is neither.
    fn fold(&mut self, common: &mut Common) -> bool {
        let Some(line) = self.lines.get(self.cursor).cloned() else { return false };
        let Some(id) = self.selected().map(|session| session.id.clone()) else { return false };
        if line.below > 0 && !line.folded {
            self.folded.insert(id);
            self.arrange(common);
            return true;
        }
        let above = self.lines.iter().take(self.cursor).rposition(|one| one.depth < line.depth);
        if let Some(above) = above.filter(|_| line.depth > 0) {
            self.go(above);
            return true;
        }
        false
    }

    /// Unfolds; false: nothing is folded here.
    fn unfold(&mut self, common: &mut Common) -> bool {
        let folded = self.lines.get(self.cursor).is_some_and(|line| line.folded && line.below > 0);
        let id = self.selected().map(|session| session.id.clone());
        let Some(id) = id.filter(|_| folded) else { return false };
        self.folded.remove(&id);
        self.arrange(common);
        true
    }

    /// To the next session with failures or signals.
    fn failing(&mut self, down: bool, common: &mut Common) {
        let bad = |line: &&Line| self.held.get(line.at).is_some_and(|one| one.errors > 0);
        let at = self.cursor;
        let next = if down {
            let mut rest = self.lines.iter().enumerate().skip(at + 1);
            rest.find(|(_, line)| bad(line)).map(|(place, _)| place)
        } else {
            self.lines.iter().take(at).rposition(|line| bad(&line))
        };
        match next {
            Some(next) => self.go(next),
            None => common.say(Tone::Dim, "no session with failures there"),
        }
    }

    fn moved(&mut self, action: Action, common: &mut Common) -> bool {
        let page = self.height(common).max(2) - 1;
        match action {
            Action::Up => self.go(self.cursor.saturating_sub(1)),
            Action::Down => self.go(self.cursor + 1),
            Action::PageUp => self.go(self.cursor.saturating_sub(page)),
            Action::PageDown => self.go(self.cursor + page),
            Action::Top => self.go(0),
            Action::Bottom => self.go(usize::MAX),
            Action::NextHit => self.failing(true, common),
            Action::PreviousHit => self.failing(false, common),
            _ => return false,
        }
        true
    }

    fn did(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::Right if self.unfold(common) => {}
            Action::Left => return self.fold(common),
            Action::Open | Action::Right => {
                if let Some(session) = self.selected() {
                    let filter = term("session", &session.id);
                    common.go.push(Go::Exchanges { filter });
                }
            }
            Action::Filter => {
                let mut seen = Seen::default();
                for session in &self.held {
                    seen.add("session", &session.id);
                    session.models.iter().for_each(|model| seen.add("model", model));
                    session.agents.iter().for_each(|agent| seen.add("agent", agent));
                    session.users.iter().for_each(|user| seen.add("user", user));
                    session.labels.iter().for_each(|label| seen.add("label", label));
                }
                let history = common.prefs.history.clone();
                let bar = Bar::new(&self.filter, seen, history, common.wall_us);
                self.bar = Some((bar, self.filter.clone()));
            }
            Action::Back if !self.filter.is_empty() => self.anew("", common),
            Action::Follow if self.following => self.following = false,
            Action::Follow => {
                self.sort = Sort::Last;
                self.following = true;
                self.read(common);
            }
            Action::Refresh => self.read(common),
            Action::Sort => common.popup = Some(sorts(self.sort)),
            Action::Replay => {
                if let Some(session) = self.selected() {
                    let from = term("session", &session.id);
                    let count = usize::try_from(session.exchanges).ok();
                    common.go.push(Go::Replay { from, count });
                }
            }
            Action::Diagnose => self.last("diagnosis", common),
            Action::Mark => {
                common.say(Tone::Dim, "exchanges are marked; enter shows those of the session")
            }
            Action::Copy => {
                let items =
                    [("i", "the session's id", "copy:id"), ("q", "as a query", "copy:query")];
                common.popup = Some(popup::menu("copy", &items));
            }
            _ => return false,
        }
        true
    }

    /// Opens the newest turn of the session, for what a diagnosis says of it.
    fn last(&mut self, tab: &'static str, common: &mut Common) {
        let Some(session) = self.selected() else { return };
        let mut filter = term("session", &session.id);
        if session.errors > 0 {
            filter.push_str(" -outcome:complete -outcome:client_cancelled");
        }
        self.tab = Some(tab);
        common.ask(LAST, Want::Exchanges { filter, part: Part::Newest, limit: 1 });
    }

    /// Those that are newer in the place of what they were.
    fn merge(&mut self, rows: Vec<Session>) {
        let new: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        self.held.retain(|row| !new.contains(row.id.as_str()));
        self.held.splice(..0, rows);
    }

    fn words(&self) -> &'static str {
        match (self.read, self.filter.is_empty()) {
            (false, _) => "reading …",
            (true, true) => "no session yet; send something through the gateway",
            (true, false) => "no session has such an exchange; esc shows all, / another query",
        }
    }
}

fn sorts(sort: Sort) -> Popup {
    let item = |(one, key, label): (Sort, &str, &str)| Item {
        key: key.to_owned(),
        words: format!("{} {label}", if one == sort { "✓" } else { " " }),
        choice: format!("sort:{label}"),
    };
    let items = Sort::ALL.into_iter().map(item).collect();
    Popup::Menu(Menu { title: "sort by, greatest first".to_owned(), items, at: 0 })
}

impl Scene for Sessions {
    fn entered(&mut self, common: &mut Common) {
        self.following |= !self.read;
        // What is new comes with the next tick; where the cursor is, it stays.
        if self.following || self.error.is_some() {
            self.read(common);
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Sessions), Scope::List]
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
        self.reach(common);
        known
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        if let Some(label) = choice.strip_prefix("sort:") {
            let sort = Sort::ALL.into_iter().find(|one| one.2 == label);
            self.sort = sort.map_or(Sort::Last, |one| one.0);
            self.following = self.sort == Sort::Last;
            self.cursor = 0;
            self.lines.clear();
            self.arrange(common);
            return;
        }
        let Some(id) = self.selected().map(|session| session.id.clone()) else { return };
        match choice {
            "copy:id" => common.copy("the id", id),
            "copy:query" => common.copy("the query", term("session", &id)),
            _ => {}
        }
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        match answer {
            Ok(Answer::Sessions { rows, next }) => {
                self.error = None;
                match lane.name {
                    "list" => {
                        self.held = rows;
                        (self.older, self.read) = (next, true);
                    }
                    "more" => {
                        let known: HashSet<&str> =
                            self.held.iter().map(|row| row.id.as_str()).collect();
                        let new: Vec<Session> = rows
                            .into_iter()
                            .filter(|row| !known.contains(row.id.as_str()))
                            .collect();
                        self.held.extend(new);
                        self.older = next;
                    }
                    _ => self.merge(rows),
                }
                self.arrange(common);
            }
            Ok(Answer::Exchanges { rows, .. }) => {
                if let Some(row) = rows.into_iter().next() {
                    common.go.push(Go::Exchange { id: row.id, tab: self.tab.take() });
                }
            }
            Ok(_) => {}
            Err(trouble) => self.error = Some(trouble.words().to_owned()),
        }
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        let due = common.now_ms >= self.asked_ms + NEWS_MS;
        if due && self.read && !common.is_waiting(LIST) {
            self.asked_ms = common.now_ms;
            let newest = self.held.iter().map(|row| row.seq).max();
            let part = newest.map_or(Part::Newest, Part::After);
            let filter = self.filter.clone();
            common.poll(NEWS, Want::Sessions { filter, part, limit: PAGE });
            // How long ago something was seen goes on.
            return !self.held.is_empty();
        }
        false
    }

    fn resized(&mut self, common: &mut Common) {
        self.reach(common);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let mut chips = Vec::new();
        if !self.filter.is_empty() && self.bar.is_none() {
            chips.push((Tone::User, format!("/{}", clean_line(&self.filter))));
        }
        let held = words::whole(i64::try_from(self.held.len()).unwrap_or(i64::MAX));
        let more = if self.older.is_some() { "newest " } else { "" };
        if self.sort != Sort::Last {
            chips.push((Tone::Odd, format!("by {}, of the {more}{held}", self.sort.label())));
        }
        if self.following {
            chips.push((Tone::Good, "following".to_owned()));
        }
        if self.read {
            let plus = if self.older.is_some() { "+" } else { "" };
            chips.push((Tone::Dim, format!("{held}{plus}")));
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
        let line = |tone, words: String| ratatui::text::Line::styled(words, theme.tone(tone));
        if let Some(error) = &self.error {
            frame.render_widget(line(Tone::Bad, clean_line(error)), below(1));
        }
        if self.lines.is_empty() {
            frame.render_widget(line(Tone::Dim, self.words().to_owned()), area);
            return;
        }
        let layout = Layout::new(usize::from(area.width), common.wall_us);
        let seen = self.lines.iter().skip(self.top).take(usize::from(area.height));
        let cells: Vec<Vec<table::Cell>> =
            seen.filter_map(|line| Some(layout.cells(self.held.get(line.at)?, line))).collect();
        let selected = self.cursor.checked_sub(self.top);
        table::view(frame, area, &layout.columns, &cells, selected, theme);
    }
}
