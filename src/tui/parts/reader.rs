//! A pager with a line to search in it: what screens of text are made of.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::report::look::Tone;
use crate::tui::common::Common;
use crate::tui::keys::Action;
use crate::tui::parts::editor::Editor;
use crate::tui::parts::pager::Pager;
use crate::tui::theme::Theme;

/// Text, a place in it, and what is searched for.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    pub pager: Pager,
    editor: Option<Editor>,
}

impl Reader {
    pub fn is_typing(&self) -> bool {
        self.editor.is_some()
    }

    pub fn typed(&mut self, key: &str, character: Option<char>) {
        let Some(editor) = &mut self.editor else { return };
        match key {
            "enter" => self.editor = None,
            "esc" => {
                self.editor = None;
                self.pager.search("");
            }
            _ => {
                if editor.key(key, character) {
                    self.pager.search(editor.text());
                }
            }
        }
    }

    pub fn pasted(&mut self, text: &str) {
        if let Some(editor) = &mut self.editor
            && editor.insert(text)
        {
            self.pager.search(editor.text());
        }
    }

    /// Scrolls and searches; false: that means nothing here.
    pub fn act(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::Filter => self.editor = Some(Editor::new(self.pager.searched())),
            Action::Back if !self.pager.searched().is_empty() => {
                self.pager.search("");
            }
            Action::NextHit | Action::PreviousHit => {
                if !self.pager.act(action) {
                    common
                        .say(Tone::Dim, "nothing is searched for, or it is not there; / searches");
                }
            }
            _ => return self.pager.act(action),
        }
        true
    }

    /// What is searched for, for the head line.
    pub fn chip(&self) -> Option<(Tone, String)> {
        let searched = self.pager.searched();
        (!searched.is_empty()).then(|| (Tone::User, format!("/{searched}")))
    }

    pub fn view(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let mut area = area;
        if let Some(editor) = &self.editor
            && area.height > 0
        {
            let line: Line<'static> = editor.line("/", theme);
            frame.render_widget(line, Rect { height: 1, ..area });
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        self.pager.view(frame, area, theme);
    }
}
