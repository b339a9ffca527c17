//! Everything there is, and the one function that changes it.

use ratatui::Frame;
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::report::look::Tone;
use crate::tui::ask::{Answer, Lane, Result, Trouble, Want};
use crate::tui::common::{Common, Effect, Go, Link, Prefs, Scene};
use crate::tui::keys::{self, Action, KEYS, Scope};
use crate::tui::parts::popup::{self, Popup, Verdict};
use crate::tui::parts::{ascii, clip};
use crate::tui::screens::{Screen, Screens};
use crate::tui::theme::Theme;

/// How often a lost gateway is looked for.
const RETRY_MS: u64 = 1_000;
/// The lane of the look for a lost gateway.
const HEALTH: Lane = Lane { screen: Screen::Overview, name: "health" };

/// Something happened.
#[derive(Debug, Clone)]
pub enum Msg {
    Key(KeyEvent),
    Paste(String),
    Size(u16, u16),
    /// Milliseconds since the start, microseconds since 1970.
    Tick(u64, i64),
    Answered {
        lane: Lane,
        ticket: u64,
        answer: Result<Answer>,
    },
    /// A file was written, or not.
    Wrote(std::result::Result<String, String>),
    /// A signal, or the terminal is gone.
    End,
}

/// The whole state of the program.
pub struct State {
    pub common: Common,
    pub screens: Screens,
    /// The way here; the last one is seen. Never empty, the first is the overview.
    stack: Vec<Screen>,
}

impl State {
    /// The overview, with its first questions asked.
    pub fn new(
        size: (u16, u16),
        theme: Theme,
        source: String,
        prefs: Prefs,
    ) -> (Self, Vec<Effect>) {
        let mut state = Self {
            common: Common::new(size, theme, source, prefs),
            screens: Screens::default(),
            stack: vec![Screen::Overview],
        };
        state.screens.scene_mut(Screen::Overview).entered(&mut state.common);
        let effects = std::mem::take(&mut state.common.effects);
        (state, effects)
    }

    pub fn screen(&self) -> Screen {
        self.stack.last().copied().unwrap_or(Screen::Overview)
    }

    /// Takes one message in. True beside the effects: the picture is another.
    pub fn update(&mut self, msg: Msg) -> (Vec<Effect>, bool) {
        let changed = match msg {
            Msg::Key(key) => {
                self.key(&key);
                true
            }
            Msg::Paste(text) => {
                self.paste(&text);
                true
            }
            Msg::Size(width, height) => self.resize((width, height)),
            Msg::Tick(now_ms, wall_us) => self.tick(now_ms, wall_us),
            Msg::Answered { lane, ticket, answer } => self.answered(lane, ticket, answer),
            Msg::Wrote(Ok(name)) => {
                self.common.say(Tone::Good, format!("written: {name}"));
                true
            }
            Msg::Wrote(Err(error)) => {
                self.common.say(Tone::Bad, error);
                true
            }
            Msg::End => {
                self.common.effects.push(Effect::Quit);
                false
            }
        };
        self.travel();
        (std::mem::take(&mut self.common.effects), changed)
    }

    fn scene(&mut self) -> (&mut dyn Scene, &mut Common) {
        let screen = self.screen();
        (self.screens.scene_mut(screen), &mut self.common)
    }

    fn key(&mut self, key: &KeyEvent) {
        let name = keys::name(key);
        if name == "ctrl-c" {
            self.common.effects.push(Effect::Quit);
            return;
        }
        let character = keys::character(key);
        if let Some(popup) = &mut self.common.popup {
            match popup.key(&name, character) {
                Verdict::Open => {}
                Verdict::Closed => self.common.popup = None,
                Verdict::Chosen(choice) => self.chosen(&choice),
            }
            return;
        }
        let (scene, common) = self.scene();
        if scene.is_typing() {
            scene.typed(&name, character, common);
            return;
        }
        if let Some(action) = keys::find(&name, &self.scopes()) {
            self.act(action);
        }
    }

    fn paste(&mut self, text: &str) {
        if let Some(popup) = &mut self.common.popup {
            popup.paste(text);
            return;
        }
        let (scene, common) = self.scene();
        if scene.is_typing() {
            scene.pasted(text, common);
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = self.screens.scene(self.screen()).scopes();
        scopes.push(Scope::Everywhere);
        scopes
    }

    fn act(&mut self, action: Action) {
        let (scene, common) = self.scene();
        if scene.act(action, common) {
            return;
        }
        match action {
            Action::Screen(screen) => self.common.go.push(Go::Screen(screen)),
            Action::Help => self.common.go.push(Go::Screen(Screen::Help)),
            Action::Palette => self.common.popup = Some(popup::palette(&self.scopes())),
            Action::Back | Action::Left | Action::Quit if self.stack.len() > 1 => {
                self.common.go.push(Go::Back);
            }
            Action::Quit => self.common.effects.push(Effect::Quit),
            Action::Suspend => self.common.effects.push(Effect::Suspend),
            Action::Refresh => {
                let (scene, common) = self.scene();
                scene.entered(common);
            }
            _ => {}
        }
    }

    /// Something of the open menu.
    fn chosen(&mut self, choice: &str) {
        let Some(popup) = self.common.popup.take() else { return };
        if let Popup::Palette(_) = popup {
            let chosen = KEYS.iter().find(|binding| binding.words == choice);
            if let Some(binding) = chosen {
                self.act(binding.action);
            }
            return;
        }
        let (scene, common) = self.scene();
        scene.chosen(choice, common);
    }

    /// Goes where the last messages asked to go.
    fn travel(&mut self) {
        while !self.common.go.is_empty() {
            let go = self.common.go.remove(0);
            let screens = &mut self.screens;
            let common = &mut self.common;
            let next = match go {
                Go::Back => {
                    if self.stack.len() > 1 {
                        self.stack.pop();
                    }
                    let screen = self.screen();
                    self.screens.scene_mut(screen).resized(&mut self.common);
                    continue;
                }
                // Help is looked at from where it is wanted, and left for there.
                Go::Screen(Screen::Help) => {
                    if self.stack.last() != Some(&Screen::Help) {
                        screens.help.from = self.stack.last().copied();
                    }
                    Screen::Help
                }
                Go::Screen(screen) => {
                    // A number goes there from the overview, whatever was open.
                    self.stack.truncate(1);
                    screen
                }
                Go::Exchange { id, tab } => {
                    screens.exchange.show(&id, tab, common);
                    Screen::Exchange
                }
                Go::Exchanges { filter } => {
                    screens.exchanges.show(&filter, common);
                    Screen::Exchanges
                }
                Go::Diff { left, right } => {
                    screens.diff.show(&left, right.as_deref(), common);
                    Screen::Diff
                }
                Go::Replay { from, count } => {
                    screens.replay.prepare(&from, count, common);
                    Screen::Replay
                }
                Go::Run { id } => {
                    screens.replay.show(&id, common);
                    Screen::Replay
                }
            };
            if self.screen() != next {
                self.stack.push(next);
            }
            self.screens.scene_mut(next).entered(&mut self.common);
        }
    }

    fn resize(&mut self, size: (u16, u16)) -> bool {
        if self.common.size == size {
            return false;
        }
        self.common.size = size;
        let (scene, common) = self.scene();
        scene.resized(common);
        true
    }

    fn tick(&mut self, now_ms: u64, wall_us: i64) -> bool {
        (self.common.now_ms, self.common.wall_us) = (now_ms, wall_us);
        let mut changed = false;
        if self.common.notice.as_ref().is_some_and(|notice| notice.until_ms <= now_ms) {
            self.common.notice = None;
            changed = true;
        }
        if let Link::Lost { next_ms, .. } = &mut self.common.link {
            if *next_ms <= now_ms {
                *next_ms = now_ms + RETRY_MS;
                self.common.ask(HEALTH, Want::Health);
            }
            return true;
        }
        let (scene, common) = self.scene();
        changed | scene.tick(common)
    }

    fn answered(&mut self, lane: Lane, ticket: u64, answer: Result<Answer>) -> bool {
        if !self.common.takes(lane, ticket) {
            return false;
        }
        match &answer {
            Err(Trouble::Gone(words)) => self.lost(words),
            _ if self.common.link != Link::Up => {
                self.common.link = Link::Up;
                self.common.say(Tone::Good, "the gateway is back");
                let (scene, common) = self.scene();
                scene.entered(common);
            }
            _ => {}
        }
        if lane != HEALTH {
            self.screens.scene_mut(lane.screen).answered(lane, answer, &mut self.common);
        }
        true
    }

    fn lost(&mut self, words: &str) {
        let now_ms = self.common.now_ms;
        match &mut self.common.link {
            Link::Up => {
                self.common.link = Link::Lost {
                    words: words.to_owned(),
                    since_ms: now_ms,
                    next_ms: now_ms + RETRY_MS,
                };
            }
            Link::Lost { words: before, .. } => words.clone_into(before),
        }
    }

    /// The picture of it all.
    pub fn view(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < 20 || area.height < 5 {
            frame.render_widget(Line::from("the window is too small"), area);
            return;
        }
        let row = |y| Rect::new(area.x, y, area.width, 1);
        frame.render_widget(self.head(area.width), row(area.y));
        let room = Rect::new(area.x, area.y + 1, area.width, area.height - 2);
        self.screens.scene(self.screen()).view(frame, room, &self.common);
        if let Some(popup) = &self.common.popup {
            popup.view(frame, room, self.common.theme);
        }
        frame.render_widget(self.foot(area.width), row(area.y + area.height - 1));
        if self.common.theme.ascii {
            ascii::tame(frame.buffer_mut());
        }
    }

    fn head(&self, width: u16) -> Line<'static> {
        let theme = self.common.theme;
        let mut spans = vec![
            Span::styled(format!(" {} ", self.screen().label()), theme.title()),
            Span::raw(" "),
        ];
        for (tone, words) in self.screens.scene(self.screen()).chips(&self.common) {
            spans.push(Span::styled(words, theme.tone(tone)));
            spans.push(Span::raw("  "));
        }
        if !self.common.marks.is_empty() {
            let words = format!("{} marked  ", self.common.marks.len());
            spans.push(Span::styled(words, theme.tone(Tone::Odd)));
        }
        let source = Span::styled(format!("{} ", self.common.source), theme.tone(Tone::Dim));
        let taken: usize = spans.iter().map(Span::width).sum();
        let left = usize::from(width).saturating_sub(taken + source.width());
        if left > 0 {
            spans.push(Span::raw(" ".repeat(left)));
            spans.push(source);
        }
        Line::from(spans)
    }

    fn foot(&self, width: u16) -> Line<'static> {
        let theme = self.common.theme;
        if let Link::Lost { words, .. } = &self.common.link {
            let words = format!(" {words}; looking again every second");
            return Line::styled(clip(&words, usize::from(width)), theme.tone(Tone::Bad));
        }
        if let Some(notice) = &self.common.notice {
            let words = format!(" {}", notice.words);
            return Line::styled(clip(&words, usize::from(width)), theme.tone(notice.tone));
        }
        let scopes = self.scopes();
        let scene = self.screens.scene(self.screen());
        let shown: Vec<(&str, &str)> = match (&self.common.popup, scene.is_typing()) {
            (Some(popup), _) => popup.hints(),
            (None, true) => vec![("enter", "apply"), ("tab", "complete"), ("esc", "cancel")],
            (None, false) => KEYS
                .iter()
                .filter(|one| !one.hint.is_empty())
                .filter(|one| one.scopes.iter().any(|scope| scopes.contains(scope)))
                // A nearer scope may have the key for something else.
                .filter(|one| {
                    let first = one.keys.first();
                    first.and_then(|key| keys::find(key, &scopes)) == Some(one.action)
                })
                .filter_map(|one| Some((*one.keys.first()?, one.hint)))
                .collect(),
        };
        let mut spans = vec![Span::raw(" ")];
        for (key, words) in fitting(shown, usize::from(width)) {
            spans.push(Span::styled(key.to_owned(), theme.key()));
            spans.push(Span::raw(format!(" {words}  ")));
        }
        Line::from(spans)
    }
}

/// As many as the width takes; the last ones, help and the way out, are always among them.
fn fitting<'a>(mut hints: Vec<(&'a str, &'a str)>, width: usize) -> Vec<(&'a str, &'a str)> {
    let wide = |(key, words): &(&str, &str)| key.len() + words.len() + 3;
    let last = hints.split_off(hints.len().saturating_sub(3));
    let mut left = width.saturating_sub(1 + last.iter().map(wide).sum::<usize>());
    hints.retain(|hint| {
        let fits = wide(hint) <= left;
        left = if fits { left - wide(hint) } else { 0 };
        fits
    });
    hints.extend(last);
    hints
}
