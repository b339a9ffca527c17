//! The screens without a terminal and without a gateway: the real key map, the real `update`, the real views, and answers
//! from a store made up for it. Golden files under `tests/golden/tui/` have every sign and every style;
//! `UPDATE_GOLDEN=1 cargo nextest run tui` writes them and the pictures of docs/tui.md anew, to be looked at.

mod exchange;
mod fake;
mod fake_exchange;
mod fake_lists;
mod fake_overview;
mod fake_replay;
mod golden;
mod lists;
mod overview;
mod picture;
mod replay;
mod walk;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::common::{Effect, Prefs};
use crate::tui::state::{Msg, State};
use crate::tui::theme::Theme;
use fake::Fake;

/// Sizes that every screen is looked at in.
pub(super) const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A program on a stage.
pub(in crate::tui) struct Stage {
    pub(super) state: State,
    pub(in crate::tui) fake: Fake,
    /// What was asked of the outside but for questions, in order.
    pub(super) effects: Vec<Effect>,
    now_ms: u64,
}

impl Stage {
    pub(super) fn new(size: (u16, u16)) -> Self {
        Self::with(size, Theme::default(), Fake::default())
    }

    pub(super) fn with(size: (u16, u16), theme: Theme, fake: Fake) -> Self {
        let source = "/home/you/.local/share/pinhole".to_owned();
        let (state, effects) = State::new(size, theme, source, Prefs::default());
        let mut stage = Self { state, fake, effects: Vec::new(), now_ms: 0 };
        stage.perform(effects);
        stage.wait(250);
        stage
    }

    pub(super) fn send(&mut self, msg: Msg) {
        let (effects, _) = self.state.update(msg);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut queue = std::collections::VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Ask { lane, ticket, want } => {
                    let answer = self.fake.answer(&want);
                    let (effects, _) = self.state.update(Msg::Answered { lane, ticket, answer });
                    queue.extend(effects);
                }
                other => self.effects.push(other),
            }
        }
    }

    /// Time passes, four ticks a second.
    pub(super) fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.now_ms += 250;
            let wall_us = fake::NOW_US + i64::try_from(self.now_ms).unwrap() * 1_000;
            self.send(Msg::Tick(self.now_ms, wall_us));
        }
    }

    /// Keys as the key map spells them, apart by blanks; `'text'` is typed letter by letter.
    pub(super) fn keys(&mut self, keys: &str) {
        for word in keys.split(' ').filter(|word| !word.is_empty()) {
            match word.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
                Some(text) => text.chars().for_each(|c| self.key(&c.to_string())),
                None => self.key(word),
            }
        }
    }

    fn key(&mut self, name: &str) {
        self.send(Msg::Key(event(name)));
    }

    pub(super) fn picture(&self) -> Buffer {
        let (width, height) = self.state.common.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| self.state.view(frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The signs alone, a line each.
    pub(super) fn text(&self) -> String {
        golden::text(&self.picture())
    }
}

/// The event that a key's name stands for.
pub(super) fn event(name: &str) -> KeyEvent {
    let (control, rest) = match name.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, name),
    };
    let code = match rest {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "backtab" => KeyCode::BackTab,
        "backspace" => KeyCode::Backspace,
        "delete" => KeyCode::Delete,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pageup" => KeyCode::PageUp,
        "pagedown" => KeyCode::PageDown,
        "space" => KeyCode::Char(' '),
        other => KeyCode::Char(other.chars().next().unwrap()),
    };
    KeyEvent::new(code, control)
}
