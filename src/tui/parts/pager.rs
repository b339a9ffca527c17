//! Text that scrolls: lines of a report with their colours, a search in them, parts that fold.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use crate::tui::keys::Action;
use crate::tui::parts::ansi;
use crate::tui::theme::Theme;

/// Text with a place in it.
#[derive(Debug, Clone, Default)]
pub struct Pager {
    /// With escape sequences, as the reports write it.
    text: String,
    /// Byte ranges of the lines.
    lines: Vec<(usize, usize)>,
    top: usize,
    height: usize,
    search: String,
    /// Lines that have what is searched for.
    hits: Vec<usize>,
}

impl Pager {
    /// Another text at the beginning, or where the last one stood with `stay`.
    pub fn set(&mut self, text: String, stay: bool) {
        self.lines.clear();
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            let length = line.trim_end_matches(['\n', '\r']).len();
            self.lines.push((from, from + length));
            from += line.len();
        }
        self.text = text;
        if !stay {
            self.top = 0;
        }
        self.clamp();
        self.find();
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn top(&self) -> usize {
        self.top
    }

    /// Brings a line to the top, as far as the text goes.
    pub fn go(&mut self, line: usize) {
        self.top = line;
        self.clamp();
    }

    pub fn length(&self) -> usize {
        self.lines.len()
    }

    pub fn set_height(&mut self, height: usize) {
        self.height = height;
        self.clamp();
    }

    fn line(&self, at: usize) -> &str {
        self.lines.get(at).and_then(|(from, to)| self.text.get(*from..*to)).unwrap_or_default()
    }

    fn clamp(&mut self) {
        self.top = self.top.min(self.lines.len().saturating_sub(self.height.max(1)));
    }

    /// Scrolls; false: that is no movement.
    pub fn act(&mut self, action: Action) -> bool {
        let page = self.height.saturating_sub(1).max(1);
        match action {
            Action::Up => self.top = self.top.saturating_sub(1),
            Action::Down => self.top += 1,
            Action::PageUp => self.top = self.top.saturating_sub(page),
            Action::PageDown => self.top += page,
            Action::Top => self.top = 0,
            Action::Bottom => self.top = usize::MAX,
            Action::NextHit => return self.hit(true),
            Action::PreviousHit => return self.hit(false),
            _ => return false,
        }
        self.clamp();
        true
    }

    /// Searches, small and capital letters alike, and goes to the first hit from here on. How many there are.
    pub fn search(&mut self, words: &str) -> usize {
        words.clone_into(&mut self.search);
        self.find();
        let from = self.top;
        let first = self.hits.iter().find(|hit| **hit >= from).or(self.hits.first());
        if let Some(hit) = first {
            self.top = *hit;
            self.clamp();
        }
        self.hits.len()
    }

    pub fn searched(&self) -> &str {
        &self.search
    }

    fn find(&mut self) {
        self.hits.clear();
        if self.search.is_empty() {
            return;
        }
        let wanted = self.search.to_lowercase();
        self.hits = (0..self.lines.len())
            .filter(|at| ansi::plain(self.line(*at)).to_lowercase().contains(&wanted))
            .collect();
    }

    fn hit(&mut self, forward: bool) -> bool {
        let top = self.top;
        let next = if forward {
            self.hits.iter().find(|hit| **hit > top).or(self.hits.first())
        } else {
            self.hits.iter().rev().find(|hit| **hit < top).or(self.hits.last())
        };
        let Some(next) = next.copied() else { return false };
        self.top = next;
        self.clamp();
        true
    }

    pub fn view(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        for row in 0..area.height {
            let at = self.top + usize::from(row);
            if at >= self.lines.len() {
                return;
            }
            let mut line: Line<'static> = ansi::line(self.line(at), theme);
            if self.hits.binary_search(&at).is_ok() {
                line = line.style(Style::new()).patch_style(theme.hit());
            }
            frame.render_widget(line, Rect { y: area.y + row, height: 1, ..area });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_scrolls_within_its_text_and_goes_round_its_hits() {
        let mut pager = Pager::default();
        let lines: Vec<String> = (0..100).map(|n| format!("line \u{1b}[1m{n}\u{1b}[0m")).collect();
        let text = lines.join("\n");
        pager.set(text, false);
        pager.set_height(10);
        pager.act(Action::Bottom);
        assert_eq!(pager.top(), 90);
        assert_eq!(pager.search("LINE 4"), 11, "4 and 40 to 49, across colours");
        assert_eq!(pager.top(), 4);
        pager.act(Action::NextHit);
        assert_eq!(pager.top(), 40);
        pager.act(Action::PreviousHit);
        pager.act(Action::PreviousHit);
        assert_eq!(pager.top(), 49);
        pager.set("one\n".to_owned(), true);
        assert_eq!((pager.top(), pager.length()), (0, 1));
    }
}
