//! Two exchanges beside each other, or two sides of one: prompts, answers, times, legs, attempts.

pub mod beside;
pub mod pace;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::report::diff::{answers, legs, pair, text};
use crate::report::look::{Look, Tone, clean_line};
use crate::report::words;
use crate::store::stored::{Listed, Stored};
use crate::tui::ask::{Answer, Lane, Part, Result, Trouble, Want};
use crate::tui::common::{Common, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::{ansi, clip, reader::Reader};
use crate::tui::screens::Screen;
use crate::tui::screens::exchanges::columns::{self, started};

const fn lane(name: &'static str) -> Lane {
    Lane { screen: Screen::Diff, name }
}

const LEFT: Lane = lane("left");
const RIGHT: Lane = lane("right");
const BEFORE: Lane = lane("before");
const AFTER: Lane = lane("after");

/// Exchanges of the session that are looked through for the turn before.
const LOOKED: usize = 50;
/// Lines above the text: tabs, left, right.
const HEAD: u16 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Prompt,
    Answers,
    Times,
    All,
    Legs,
    Attempts,
}

impl Tab {
    fn label(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Answers => "answers",
            Self::Times => "times",
            Self::All => "all",
            Self::Legs => "legs",
            Self::Attempts => "attempts",
        }
    }
}

/// Its state.
#[derive(Debug, Default)]
pub struct Diff {
    /// The earlier one, or the one marked first; none: one exchange alone.
    left: Option<Box<Stored>>,
    right: Option<Box<Stored>>,
    both: Option<Box<pair::Exchanges>>,
    /// One turn against the one before it.
    turns: bool,
    /// Something is open.
    open: bool,
    /// Why there is nothing on the left.
    alone: Option<String>,
    tab: usize,
    reader: Reader,
    /// Lines where differences begin.
    places: Vec<usize>,
    error: Option<String>,
}

impl Diff {
    /// Compares the two; without `right` the turn before `left` with it.
    pub fn show(&mut self, left: &str, right: Option<&str>, common: &mut Common) {
        let tab = self.tab().filter(|_| self.turns && right.is_none());
        *self = Self { open: true, turns: right.is_none(), ..Self::default() };
        for lane in [LEFT, RIGHT, BEFORE, AFTER] {
            common.forget(lane);
        }
        match right {
            Some(right) => {
                common.ask(LEFT, Want::Exchange { id: left.to_owned() });
                common.ask(RIGHT, Want::Exchange { id: right.to_owned() });
            }
            // It is the later one of the two.
            None => common.ask(RIGHT, Want::Exchange { id: left.to_owned() }),
        }
        self.tab = tab.and_then(|tab| self.tabs().iter().position(|one| *one == tab)).unwrap_or(0);
    }

    fn tabs(&self) -> Vec<Tab> {
        let tried = |stored: &Option<Box<Stored>>| {
            stored.as_ref().is_some_and(|stored| stored.attempts.len() > 1)
        };
        let mut tabs = match (self.alone.is_some(), self.turns) {
            (true, _) => Vec::new(),
            (false, true) => vec![Tab::Prompt, Tab::Answers, Tab::Times, Tab::All],
            (false, false) => vec![Tab::All, Tab::Answers, Tab::Times, Tab::Prompt],
        };
        tabs.push(Tab::Legs);
        if tried(&self.left) || tried(&self.right) {
            tabs.push(Tab::Attempts);
        }
        tabs
    }

    fn tab(&self) -> Option<Tab> {
        self.tabs().get(self.tab).copied()
    }

    fn turn_tab(&mut self, by: isize, common: &Common) {
        let count = self.tabs().len();
        self.tab = (self.tab + count).saturating_add_signed(by) % count.max(1);
        self.render(common, false);
    }

    /// Makes the text of the tab, once.
    fn render(&mut self, common: &Common, stay: bool) {
        let room = common.room();
        let look = common.look(room.width);
        let width = usize::from(room.width);
        self.reader.pager.set_height(usize::from(room.height.saturating_sub(HEAD)));
        let text = match (self.tab(), &self.left, &self.right, &self.both) {
            (Some(Tab::Legs), left, Some(right), _) => {
                let left = left.as_ref().filter(|_| !self.turns);
                sides(left.map(|left| &**left), right, look, |stored| {
                    text::legs(&legs::compare(stored), look)
                })
            }
            (Some(Tab::Attempts), left, Some(right), _) => {
                sides(left.as_deref(), right, look, |stored| {
                    text::attempts(&legs::attempts(stored), look)
                })
            }
            (Some(Tab::Prompt), _, _, Some(both)) => text::turns(&both.prompt, look),
            (Some(Tab::Answers), _, _, Some(both)) if width >= beside::WIDE => {
                beside::text(&both.answers, look, width)
            }
            (Some(Tab::Answers), _, _, Some(both)) => answers::text(&both.answers, look),
            (Some(Tab::Times), Some(left), Some(right), _) => pace::text(left, right, look, width),
            (Some(Tab::All), _, _, Some(both)) => text::exchanges(both, look),
            _ => String::new(),
        };
        self.places = places(&text);
        self.reader.pager.set(text, stay);
    }

    fn arrived(&mut self, common: &Common) {
        if let (Some(left), Some(right)) = (&mut self.left, &mut self.right) {
            let same = left.row.session_id.is_some() && left.row.session_id == right.row.session_id;
            if same && left.row.started_at_us > right.row.started_at_us {
                std::mem::swap(left, right);
            }
            self.both = Some(Box::new(pair::compare(left, right)));
        }
        self.render(common, false);
    }

    /// Looks for the turn before the one that is there.
    fn look_back(&mut self, common: &mut Common) {
        let Some(right) = &self.right else { return };
        match &right.row.session_id {
            Some(session) => {
                let filter = format!("{} operation:chat", columns::term("session", session));
                let part = Part::Before(right.row.seq);
                common.ask(BEFORE, Want::Exchanges { filter, part, limit: LOOKED });
            }
            None => {
                self.stands_alone(
                    "it belongs to no session, so there is no turn before it",
                    common,
                );
            }
        }
    }

    fn stands_alone(&mut self, why: &str, common: &Common) {
        self.alone = Some(why.to_owned());
        self.tab = 0;
        self.render(common, false);
    }

    /// The newest turn of the same kind, else the newest there is.
    fn turn_before(&mut self, rows: &[Listed], common: &mut Common) {
        let Some(right) = &self.right else { return };
        let is_before =
            |row: &&Listed| row.id != right.row.id && row.started_at_us <= right.row.started_at_us;
        let alike = |row: &&Listed| {
            row.model == right.row.model
                && row.dialect == right.row.dialect
                && row.outcome == "complete"
        };
        let mut turns: Vec<&Listed> = rows.iter().filter(is_before).collect();
        turns.sort_by_key(|row| std::cmp::Reverse((row.started_at_us, row.seq)));
        match turns.iter().copied().find(alike).or(turns.first().copied()) {
            Some(row) => common.ask(LEFT, Want::Exchange { id: row.id.clone() }),
            None => self.stands_alone("it is the first turn of its session", common),
        }
    }

    /// The turn before, or the one after, against its own one before.
    fn turn(&mut self, forward: bool, common: &mut Common) {
        if forward {
            let Some(right) = &self.right else { return };
            let Some(session) = &right.row.session_id else { return };
            let filter = format!("{} operation:chat", columns::term("session", session));
            let part = Part::After(right.row.seq);
            common.ask(AFTER, Want::Exchanges { filter, part, limit: 1 });
        } else if let Some(id) = self.left.as_ref().map(|left| left.row.id.clone()) {
            self.turns = true;
            self.show(&id, None, common);
        } else {
            common.say(Tone::Dim, "there is no turn before");
        }
    }

    fn difference(&mut self, forward: bool, common: &mut Common) {
        let top = self.reader.pager.top();
        let next = if forward {
            self.places.iter().find(|place| **place > top)
        } else {
            self.places.iter().rev().find(|place| **place < top)
        };
        let stays = next.is_none_or(|next| {
            self.reader.pager.go(*next);
            self.reader.pager.top() == top
        });
        if stays {
            common.say(
                Tone::Dim,
                if forward { "no difference below" } else { "no difference above" },
            );
        }
    }

    fn open(&self, common: &mut Common) {
        if let Some(stored) = &self.right {
            common.go.push(Go::Exchange { id: stored.row.id.clone(), tab: None });
        }
    }

    fn failed(&mut self, trouble: &Trouble) {
        self.error = Some(trouble.words().to_owned());
    }
}

/// One exchange's text, or both under their names.
fn sides(
    left: Option<&Stored>,
    right: &Stored,
    look: Look,
    text: impl Fn(&Stored) -> String,
) -> String {
    let Some(left) = left else { return text(right) };
    let rule = |name, stored: &Stored| look.rule(Tone::Strong, name, &stored.row.id);
    format!("{}\n{}\n{}\n{}", rule("left", left), text(left), rule("right", right), text(right))
}

/// Lines at which a difference begins: marked at their beginning, or coloured as gone or come.
fn places(text: &str) -> Vec<usize> {
    let [gone, come] = [Tone::Bad, Tone::Good].map(|tone| {
        let look = Look { width: None, colour: true, full: false };
        look.paint(tone, "x").split('x').next().unwrap_or_default().to_owned()
    });
    let mut places = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let plain = ansi::plain(line);
        let marked = ["+ ", "- ", "~ "].iter().any(|sign| plain.trim_start().starts_with(sign));
        // The first line sums up.
        let differs = at > 0 && (marked || line.contains(&gone) || line.contains(&come));
        if differs && !inside {
            places.push(at);
        }
        inside = differs;
    }
    places
}

/// One of the two, in a line.
fn line(
    name: &str,
    tone: Tone,
    stored: Option<&Stored>,
    words: &str,
    common: &Common,
) -> Line<'static> {
    let theme = common.theme;
    let mut spans = vec![Span::styled(format!(" {name:<7}"), theme.tone(tone))];
    let Some(stored) = stored else {
        spans.push(Span::styled(words.to_owned(), theme.tone(Tone::Dim)));
        return Line::from(spans);
    };
    let row = &stored.row;
    let model = row.model.as_ref().or(row.model_requested.as_ref());
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let how = crate::report::words::outcome_short(&row.outcome);
    let what = [
        (Tone::Dim, row.id.get(..18).unwrap_or(&row.id).to_owned()),
        (
            Tone::Dim,
            started(row.started_at_us, columns::same_day(row.started_at_us, common.wall_us)),
        ),
        (Tone::Strong, clip(&clean_line(model.map_or("", String::as_str)), 26)),
        (columns::outcome(&row.outcome), format!("{status} {how}").trim_end().to_owned()),
        (Tone::Plain, words::time(row.duration_us)),
        (Tone::Dim, clip(&clean_line(row.session_id.as_deref().unwrap_or_default()), 30)),
    ];
    for (tone, text) in what {
        spans.push(Span::styled(text, theme.tone(tone)));
        spans.push(Span::raw("  "));
    }
    Line::from(spans)
}

impl Scene for Diff {
    fn entered(&mut self, common: &mut Common) {
        if self.error.take().is_some()
            && let Some(right) = self.right.as_ref().filter(|_| self.turns)
        {
            let id = right.row.id.clone();
            self.show(&id, None, common);
        }
        self.render(common, true);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Diff), Scope::Pager]
    }

    fn is_typing(&self) -> bool {
        self.reader.is_typing()
    }

    fn typed(&mut self, key: &str, character: Option<char>, _common: &mut Common) {
        self.reader.typed(key, character);
    }

    fn pasted(&mut self, text: &str, _common: &mut Common) {
        self.reader.pasted(text);
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::NextTab | Action::Right => self.turn_tab(1, common),
            Action::PreviousTab => self.turn_tab(-1, common),
            Action::NextHit | Action::PreviousHit if self.reader.pager.searched().is_empty() => {
                self.difference(action == Action::NextHit, common);
            }
            Action::NextTurn => self.turn(true, common),
            Action::PreviousTurn => self.turn(false, common),
            Action::Open => self.open(common),
            Action::Copy => {
                let plain = self.reader.pager.plain();
                common.copy("the text", plain);
            }
            _ => return self.reader.act(action, common),
        }
        true
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        match (lane.name, answer) {
            ("left", Ok(Answer::Exchange(stored))) => {
                self.left = Some(stored);
                self.arrived(common);
            }
            ("right", Ok(Answer::Exchange(stored))) => {
                self.right = Some(stored);
                if self.turns {
                    self.look_back(common);
                }
                self.arrived(common);
            }
            ("before", Ok(Answer::Exchanges { rows, .. })) => self.turn_before(&rows, common),
            ("after", Ok(Answer::Exchanges { rows, .. })) => match rows.first() {
                Some(row) => {
                    let id = row.id.clone();
                    self.turns = true;
                    self.show(&id, None, common);
                }
                None => common.say(Tone::Dim, "there is no turn after"),
            },
            (_, Err(trouble)) => self.failed(&trouble),
            _ => {}
        }
    }

    fn tick(&mut self, _common: &mut Common) -> bool {
        false
    }

    fn resized(&mut self, common: &mut Common) {
        self.render(common, true);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let mut chips: Vec<(Tone, String)> = self.reader.chip().into_iter().collect();
        if !self.places.is_empty() {
            let many = words::things(self.places.len(), "difference", "differences");
            chips.push((Tone::Odd, many));
        }
        chips
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let row = |y: u16| Rect {
            y: area.y + y.min(area.height),
            height: u16::from(y < area.height),
            ..area
        };
        if !self.open {
            let words = "nothing is compared; mark two in the list (3, m) and press d, or d on one for the turn before it";
            frame.render_widget(Line::styled(words, theme.tone(Tone::Dim)), row(0));
            return;
        }
        let mut tabs = Vec::new();
        for (at, tab) in self.tabs().into_iter().enumerate() {
            let style = if at == self.tab { theme.selected() } else { theme.tone(Tone::Dim) };
            tabs.push(Span::styled(format!(" {} ", tab.label()), style));
        }
        frame.render_widget(Line::from(tabs), row(0));
        let why = self.alone.as_deref().unwrap_or("reading …");
        let names = if self.turns { ["before", "turn"] } else { ["left", "right"] };
        let sides = [(Tone::User, self.left.as_deref()), (Tone::Assistant, self.right.as_deref())];
        for (y, (name, (tone, stored))) in (1u16..).zip(names.into_iter().zip(sides)) {
            frame.render_widget(line(name, tone, stored, why, common), row(y));
        }
        let height = area.height.saturating_sub(HEAD);
        let below = Rect { y: area.y + HEAD.min(area.height), height, ..area };
        match &self.error {
            Some(error) => {
                let words = Line::styled(clean_line(error), theme.tone(Tone::Bad));
                frame.render_widget(words, Rect { height: height.min(1), ..below });
            }
            None => self.reader.view(frame, below, theme),
        }
    }
}
