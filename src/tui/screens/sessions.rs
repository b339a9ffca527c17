//! One row a session, sub-agents below those that called them.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::report::look::Tone;
use crate::tui::ask::{Answer, Lane, Result};
use crate::tui::common::{Common, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::screens::Screen;

/// Its state.
#[derive(Debug, Default)]
pub struct Sessions {}

impl Scene for Sessions {
    fn entered(&mut self, _common: &mut Common) {}

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Sessions)]
    }

    fn act(&mut self, _action: Action, _common: &mut Common) -> bool {
        false
    }

    fn answered(&mut self, _lane: Lane, _answer: Result<Answer>, _common: &mut Common) {}

    fn tick(&mut self, _common: &mut Common) -> bool {
        false
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        frame.render_widget(Line::styled("", common.style(Tone::Dim)), area);
    }
}
