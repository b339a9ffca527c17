//! One exchange, in tabs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::report::exchange::{conversation, headers, summary, timeline};
use crate::report::look::Tone;
use crate::store::stored::Stored;
use crate::tui::ask::{Answer, Lane, Result, Want};
use crate::tui::common::{Common, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::parts::pager::Pager;
use crate::tui::screens::Screen;

const ONE: Lane = Lane { screen: Screen::Exchange, name: "one" };
const TABS: [&str; 4] = ["summary", "conversation", "headers", "timeline"];

/// Its state.
#[derive(Debug, Default)]
pub struct Exchange {
    id: String,
    stored: Option<Box<Stored>>,
    tab: usize,
    pager: Pager,
    error: Option<String>,
}

impl Exchange {
    pub fn show(&mut self, id: &str, tab: Option<&'static str>, common: &mut Common) {
        if let Some(at) = tab.and_then(|tab| TABS.iter().position(|one| *one == tab)) {
            self.tab = at;
        }
        if self.id != id {
            id.clone_into(&mut self.id);
            self.stored = None;
            self.pager = Pager::default();
            common.ask(ONE, Want::Exchange { id: id.to_owned() });
        }
    }

    fn render(&mut self, common: &Common) {
        let room = common.room();
        let look = common.look(room.width);
        let Some(stored) = &self.stored else { return };
        let text = match self.tab {
            0 => summary::text(stored, look),
            1 => conversation::text(stored, look),
            2 => headers::text(stored, look),
            _ => timeline::text(stored, None, look),
        };
        self.pager.set_height(usize::from(room.height.saturating_sub(1)));
        self.pager.set(text, false);
    }
}

impl Scene for Exchange {
    fn entered(&mut self, common: &mut Common) {
        self.render(common);
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::On(Screen::Exchange), Scope::Pager]
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::NextTab => self.tab = (self.tab + 1) % TABS.len(),
            Action::PreviousTab => self.tab = (self.tab + TABS.len() - 1) % TABS.len(),
            _ => return self.pager.act(action),
        }
        self.render(common);
        true
    }

    fn answered(&mut self, _lane: Lane, answer: Result<Answer>, common: &mut Common) {
        match answer {
            Ok(Answer::Exchange(stored)) => {
                self.error = None;
                self.stored = Some(stored);
                self.render(common);
            }
            Ok(_) => {}
            Err(trouble) => self.error = Some(trouble.words().to_owned()),
        }
    }

    fn tick(&mut self, _common: &mut Common) -> bool {
        false
    }

    fn resized(&mut self, common: &mut Common) {
        self.render(common);
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut spans = Vec::new();
        for (at, tab) in TABS.iter().enumerate() {
            let style = if at == self.tab { theme.selected() } else { theme.tone(Tone::Dim) };
            spans.push(Span::styled(format!(" {tab} "), style));
        }
        frame.render_widget(Line::from(spans), Rect { height: 1, ..area });
        let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        if let Some(error) = &self.error {
            frame.render_widget(Line::styled(error.clone(), theme.tone(Tone::Bad)), area);
        } else if self.id.is_empty() {
            let words = "no exchange is open; choose one in the list (3)";
            frame.render_widget(Line::styled(words, theme.tone(Tone::Dim)), area);
        } else {
            self.pager.view(frame, area, theme);
        }
    }
}
