//! The line a query is typed in: what is wrong is underlined while it is typed, what is unfinished is not held against it,
//! tab offers what could stand there, up and down bring back what was asked before.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

use crate::report::look::Tone;
use crate::store::query::Query;
use crate::store::query::error::QueryError;
use crate::tui::parts::editor::Editor;
use crate::tui::parts::offers::{self, Offer, Seen};
use crate::tui::theme::Theme;

/// Lines it takes while it is open.
pub const LINES: u16 = 2;

/// The line, while it is open.
#[derive(Debug, Clone)]
pub struct Bar {
    editor: Editor,
    seen: Seen,
    history: Vec<String>,
    /// Which of the history is shown; beyond the last: what was typed.
    back: usize,
    typed: String,
    /// What is wrong, and whether it is to be told yet.
    trouble: Option<(QueryError, bool)>,
    /// Where the word under the cursor begins, what could stand there, and which of it does.
    start: usize,
    offers: Vec<Offer>,
    taken: Option<usize>,
}

/// What a key led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    Nothing,
    /// A query that can be asked while typing goes on.
    Query(String),
    /// Asked, and the line closes.
    Done(String),
    Cancelled,
}

impl Bar {
    pub fn new(text: &str, seen: Seen, history: Vec<String>, now_us: i64) -> Self {
        let back = history.len();
        let mut bar = Self {
            editor: Editor::new(text),
            seen,
            history,
            back,
            typed: text.to_owned(),
            trouble: None,
            start: 0,
            offers: Vec::new(),
            taken: None,
        };
        bar.look(now_us);
        bar
    }

    pub fn key(&mut self, key: &str, character: Option<char>, now_us: i64) -> Typed {
        match key {
            "esc" => return Typed::Cancelled,
            "enter" => {
                let text = self.editor.text().trim().to_owned();
                if Query::parse(&text, now_us).is_ok() {
                    return Typed::Done(text);
                }
                if let Some((_, told)) = &mut self.trouble {
                    *told = true;
                }
                return Typed::Nothing;
            }
            "tab" => self.take(1),
            "backtab" => self.take(-1),
            "up" => self.recall(-1),
            "down" => self.recall(1),
            _ => {
                if !self.editor.key(key, character) {
                    if self.taken.is_none() {
                        self.offer();
                    }
                    return Typed::Nothing;
                }
                self.taken = None;
            }
        }
        self.changed(now_us)
    }

    pub fn paste(&mut self, text: &str, now_us: i64) -> Typed {
        self.taken = None;
        if self.editor.insert(text) { self.changed(now_us) } else { Typed::Nothing }
    }

    fn changed(&mut self, now_us: i64) -> Typed {
        let text = self.look(now_us);
        text.map_or(Typed::Nothing, Typed::Query)
    }

    /// Checks what stands there; back comes what of it can be asked.
    fn look(&mut self, now_us: i64) -> Option<String> {
        if self.taken.is_none() {
            self.offer();
        }
        let text = self.editor.text().to_owned();
        let Err(error) = Query::parse(&text, now_us) else {
            self.trouble = None;
            return Some(text.trim().to_owned());
        };
        // The word that is being typed may become right; what stands before it is asked meanwhile.
        let at_end = error.at.end >= text.trim_end().len();
        let told = !at_end || error.message.starts_with("unknown field");
        let before = text.get(..self.start.min(error.at.start)).unwrap_or_default();
        let before = before.trim_end_matches(|c: char| c.is_whitespace() || "-(".contains(c));
        let before = before.strip_suffix(" OR").or(before.strip_suffix(" NOT")).unwrap_or(before);
        self.trouble = Some((error, told));
        let kept = before.trim().to_owned();
        (!told && Query::parse(&kept, now_us).is_ok()).then_some(kept)
    }

    fn offer(&mut self) {
        (self.start, self.offers) = offers::at(self.editor.before(), &self.seen);
    }

    /// The next thing that could stand there, in the place of the word under the cursor.
    fn take(&mut self, by: isize) {
        let count = self.offers.len();
        if count == 0 {
            return;
        }
        let next = match self.taken {
            None if by < 0 => count - 1,
            None => 0,
            Some(at) => (at + count).saturating_add_signed(by) % count,
        };
        let Some(offer) = self.offers.get(next) else { return };
        let word = self.editor.before().len().saturating_sub(self.start);
        self.editor.replace(word, &offer.text);
        // A field alone leads on to its values.
        self.taken = (count > 1).then_some(next);
    }

    fn recall(&mut self, by: isize) {
        if self.back >= self.history.len() {
            self.editor.text().clone_into(&mut self.typed);
        }
        self.back = self.back.saturating_add_signed(by).min(self.history.len());
        let text = self.history.get(self.back).unwrap_or(&self.typed);
        self.editor = Editor::new(text);
        self.taken = None;
    }

    /// The query, and below it what is wrong or what could stand there.
    pub fn view(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let line = |y| Rect { y: area.y + y, height: 1, ..area };
        if area.height == 0 {
            return;
        }
        frame.render_widget(self.line(usize::from(area.width), theme), line(0));
        if area.height > 1 {
            frame.render_widget(self.below(usize::from(area.width), theme), line(1));
        }
    }

    fn line(&self, width: usize, theme: Theme) -> Line<'static> {
        let wrong: Range<usize> = match &self.trouble {
            Some((error, true)) => error.at.start..error.at.end.max(error.at.start + 1),
            _ => 0..0,
        };
        let at = self.editor.before().len();
        let text = self.editor.text();
        let mut cells: Vec<(usize, char)> = text.char_indices().collect();
        cells.push((text.len(), ' '));
        // So much of the beginning is left out that the cursor is seen.
        let wide = |c: char| c.width().unwrap_or(0);
        let mut before: usize =
            cells.iter().filter(|(place, _)| *place <= at).map(|(_, c)| wide(*c)).sum();
        let mut skip = 0;
        while before + 1 > width {
            let Some((_, c)) = cells.get(skip) else { break };
            before -= wide(*c);
            skip += 1;
        }
        let mut spans = vec![Span::styled("/", theme.key())];
        for (place, c) in cells.into_iter().skip(skip) {
            let mut style = Style::new();
            if wrong.contains(&place) {
                style = theme.tone(Tone::Bad).add_modifier(Modifier::UNDERLINED);
            }
            if place == at {
                style = style.patch(theme.selected());
            }
            spans.push(Span::styled(c.to_string(), style));
        }
        Line::from(spans)
    }

    fn below(&self, width: usize, theme: Theme) -> Line<'static> {
        if let Some((error, true)) = &self.trouble {
            let words = super::clip(&format!(" {}", error.message), width);
            return Line::styled(words, theme.tone(Tone::Bad));
        }
        let mut spans = vec![Span::raw(" ")];
        let mut left = width.saturating_sub(1);
        // Those before the one taken make room for it.
        let from = self.taken.map_or(0, |taken| taken.saturating_sub(2));
        let help = self.offers.get(self.taken.unwrap_or(0)).map_or("", |offer| offer.help);
        let room = width.saturating_sub(help.len().min(width / 2) + 3);
        for (at, offer) in self.offers.iter().enumerate().skip(from) {
            let taken = self.taken == Some(at);
            let text = super::clip(&offer.text, 40);
            let wide = unicode_width::UnicodeWidthStr::width(text.as_str()) + 2;
            if wide > left || (width - left) + wide > room {
                break;
            }
            left -= wide;
            let style = if taken { theme.selected() } else { theme.tone(Tone::User) };
            spans.push(Span::styled(text, style));
            spans.push(Span::raw("  "));
        }
        if !help.is_empty() {
            let words = super::clip(help, left);
            spans.push(Span::styled(words, theme.tone(Tone::Dim)));
        }
        Line::from(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_176_000_000_000;

    fn seen() -> Seen {
        let mut seen = Seen::default();
        seen.add("model", "gpt-5");
        seen.add("model", "claude opus");
        seen
    }

    fn typed(text: &str) -> (Bar, Vec<Typed>) {
        let mut bar = Bar::new("", seen(), vec!["status:5xx".to_owned()], NOW);
        let steps = text.chars().map(|c| bar.key(&c.to_string(), Some(c), NOW)).collect::<Vec<_>>();
        (bar, steps)
    }

    #[test]
    fn what_is_unfinished_is_not_told_and_what_stands_before_it_is_asked() {
        let (mut bar, steps) = typed("status:5xx outcome:up");
        assert_eq!(steps.last(), Some(&Typed::Query("status:5xx".to_owned())));
        assert!(bar.trouble.as_ref().is_some_and(|(_, told)| !told));
        assert_eq!(bar.key("enter", None, NOW), Typed::Nothing, "it does not go as it is");
        assert!(bar.trouble.as_ref().is_some_and(|(_, told)| *told));
        for c in "stream_reset".chars() {
            bar.key(&c.to_string(), Some(c), NOW);
        }
        let whole = "status:5xx outcome:upstream_reset";
        assert_eq!(bar.key("enter", None, NOW), Typed::Done(whole.to_owned()));
        let (bar, steps) = typed("modle:g");
        assert_eq!(steps.last(), Some(&Typed::Nothing));
        let (error, told) = bar.trouble.unwrap();
        assert!(told && error.message.contains("did you mean `model`"), "{error}");
        assert_eq!(error.at, 0..5);
    }

    #[test]
    fn tab_completes_fields_and_values_and_up_recalls() {
        let (mut bar, _) = typed("-mod");
        bar.key("tab", None, NOW);
        assert_eq!(bar.editor.text(), "-model:");
        bar.key("tab", None, NOW);
        assert_eq!(bar.editor.text(), "-modified:");
        let (mut bar, _) = typed("model:cl");
        bar.key("tab", None, NOW);
        assert_eq!(bar.editor.text(), "model:\"claude opus\"");
        bar.key("up", None, NOW);
        assert_eq!(bar.editor.text(), "status:5xx");
        bar.key("down", None, NOW);
        assert_eq!(bar.editor.text(), "model:\"claude opus\"");
        let (mut bar, _) = typed("outcome:");
        bar.key("backtab", None, NOW);
        assert!(Query::parse(bar.editor.text(), NOW).is_ok(), "{}", bar.editor.text());
    }
}
