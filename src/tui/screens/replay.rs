//! Targets, pace and cost before; progress meanwhile; the comparison after.

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
pub struct Replay {}

impl Replay {
    /// Chooses targets for what the query finds.
    pub fn prepare(&mut self, _from: &str, _count: Option<usize>, _common: &mut Common) {}

    /// Shows a run.
    pub fn show(&mut self, _id: &str, _common: &mut Common) {}
}

impl Scene for Replay {
    fn entered(&mut self, _common: &mut Common) {}

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Replay)]
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
