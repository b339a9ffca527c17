//! Text that scrolls: a search in it, a line under the cursor, parts that fold.

pub mod doc;
pub mod json;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use regex::{Regex, RegexBuilder};

use crate::report::look::Tone;
use crate::tui::keys::Action;
use crate::tui::parts::ansi;
use crate::tui::theme::Theme;
use doc::Doc;

/// Columns left of text that folds.
pub const GUTTER: u16 = 2;

/// Text with a place in it.
#[derive(Debug, Clone, Default)]
pub struct Pager {
    doc: Doc,
    /// The lines that no fold hides; nothing: all of them are seen.
    seen: Option<Vec<usize>>,
    /// Both count seen lines. Text that does not fold has no cursor; it stands at the top then.
    top: usize,
    cursor: usize,
    height: usize,
    search: String,
    wanted: Option<Regex>,
    /// Lines that have what is searched for, and which of them was gone to last.
    hits: Vec<usize>,
    hit: Option<usize>,
}

impl Pager {
    /// Another text at the beginning, or where the last one stood with `stay`.
    pub fn set(&mut self, text: String, stay: bool) {
        self.show(Doc::report(text), stay);
    }

    /// The same of lines that are made already. With `stay`, what was folded and unfolded stays so.
    pub fn show(&mut self, mut doc: Doc, stay: bool) {
        if stay {
            for (new, old) in doc.folds.iter_mut().zip(&self.doc.folds) {
                new.folded = old.folded;
            }
        } else {
            (self.top, self.cursor) = (0, 0);
        }
        self.doc = doc;
        self.lay();
        self.find();
    }

    pub fn is_empty(&self) -> bool {
        self.doc.length() == 0
    }

    pub fn top(&self) -> usize {
        self.top
    }

    /// Brings a line to the top, as far as the text goes.
    pub fn go(&mut self, line: usize) {
        (self.top, self.cursor) = (line, line);
        self.clamp();
    }

    /// The words, without colours.
    pub fn plain(&self) -> String {
        self.doc.plain()
    }

    /// Lines that are seen or can be scrolled to.
    pub fn length(&self) -> usize {
        self.seen.as_ref().map_or(self.doc.length(), Vec::len)
    }

    pub fn is_at_end(&self) -> bool {
        self.top + self.height.max(1) >= self.length()
    }

    pub fn set_height(&mut self, height: usize) {
        self.height = height;
        self.clamp();
    }

    fn folds(&self) -> bool {
        self.seen.is_some()
    }

    /// Which line of the text a seen line is.
    fn line_at(&self, seen: usize) -> usize {
        self.seen.as_ref().map_or(seen, |lines| lines.get(seen).copied().unwrap_or_default())
    }

    fn seen_at(&self, line: usize) -> usize {
        let Some(seen) = &self.seen else { return line };
        seen.partition_point(|seen| *seen <= line).saturating_sub(1)
    }

    /// Works out which lines are seen.
    fn lay(&mut self) {
        self.seen = None;
        if !self.doc.folds.is_empty() {
            let mut seen = Vec::new();
            let mut folds = self.doc.folds.iter().peekable();
            let mut at = 0;
            while at < self.doc.length() {
                seen.push(at);
                while folds.next_if(|fold| fold.head < at).is_some() {}
                at = match folds.peek() {
                    Some(fold) if fold.head == at && fold.folded => fold.end,
                    _ => at + 1,
                };
            }
            self.seen = Some(seen);
        }
        self.clamp();
    }

    fn clamp(&mut self) {
        let last = self.length().saturating_sub(1);
        let height = self.height.max(1);
        self.cursor = self.cursor.min(last);
        if self.folds() {
            let lowest = self.cursor.saturating_sub(height - 1);
            self.top = self.top.clamp(lowest, self.cursor.max(lowest));
        }
        self.top = self.top.min(self.length().saturating_sub(height));
        if !self.folds() {
            self.cursor = self.top;
        }
    }

    fn step(&mut self, by: isize) {
        self.hit = None;
        self.top = self.top.saturating_add_signed(by);
        self.cursor = self.cursor.saturating_add_signed(by);
        if self.folds() && by.unsigned_abs() == 1 {
            // The text moves when the cursor reaches its edge, not before.
            self.top = self.top.saturating_add_signed(-by);
        }
        self.clamp();
    }

    /// Scrolls, folds, goes to hits; false: that means nothing here.
    pub fn act(&mut self, action: Action) -> bool {
        let page = isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(isize::MAX);
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-page),
            Action::PageDown => self.step(page),
            Action::Top => self.step(isize::MIN),
            Action::Bottom => self.step(isize::MAX),
            Action::NextHit => return self.next_hit(true),
            Action::PreviousHit => return self.next_hit(false),
            Action::Fold => return self.fold(),
            Action::FoldAll => return self.fold_all(),
            _ => return false,
        }
        true
    }

    /// Folds what the cursor is on or in, or unfolds it.
    fn fold(&mut self) -> bool {
        let line = self.line_at(self.cursor);
        let found = self.doc.fold_at(line).or_else(|| self.doc.fold_around(line));
        let Some(fold) = found.and_then(|at| self.doc.folds.get_mut(at)) else { return false };
        fold.folded = !fold.folded;
        let head = fold.head;
        self.lay();
        self.cursor = self.seen_at(head);
        self.clamp();
        true
    }

    fn fold_all(&mut self) -> bool {
        if !self.folds() {
            return false;
        }
        let line = self.line_at(self.cursor);
        let any = self.doc.folds.iter().any(|fold| fold.folded);
        for fold in &mut self.doc.folds {
            fold.folded = !any;
        }
        self.lay();
        self.cursor = self.seen_at(line);
        self.clamp();
        true
    }

    /// Searches, small and capital letters alike, and goes to the first hit from here on. How many lines have one.
    pub fn search(&mut self, words: &str) -> usize {
        words.clone_into(&mut self.search);
        let escaped = regex::escape(words);
        let wanted = RegexBuilder::new(&escaped).case_insensitive(true).build().ok();
        self.wanted = wanted.filter(|_| !words.is_empty());
        self.find();
        let from = self.line_at(self.cursor);
        let first = self.hits.partition_point(|hit| *hit < from);
        if !self.hits.is_empty() {
            self.go_to_hit(first % self.hits.len());
        }
        self.hits.len()
    }

    pub fn searched(&self) -> &str {
        &self.search
    }

    /// Which hit was gone to, from 1, and how many there are.
    pub fn hits(&self) -> (usize, usize) {
        let line = self.hit.unwrap_or_else(|| self.line_at(self.cursor));
        (self.hits.partition_point(|hit| *hit <= line), self.hits.len())
    }

    fn find(&mut self) {
        self.hit = None;
        self.hits = self.wanted.as_ref().map(|wanted| self.doc.find(wanted)).unwrap_or_default();
    }

    fn next_hit(&mut self, forward: bool) -> bool {
        if self.hits.is_empty() {
            return false;
        }
        let line = self.hit.unwrap_or_else(|| self.line_at(self.cursor));
        let at = if forward {
            self.hits.partition_point(|hit| *hit <= line) % self.hits.len()
        } else {
            let before = self.hits.partition_point(|hit| *hit < line);
            before.checked_sub(1).unwrap_or(self.hits.len() - 1)
        };
        self.go_to_hit(at);
        true
    }

    /// Unfolds what hides it.
    fn go_to_hit(&mut self, at: usize) {
        let Some(line) = self.hits.get(at).copied() else { return };
        let mut hidden = false;
        for fold in &mut self.doc.folds {
            if fold.folded && fold.head < line && line < fold.end {
                fold.folded = false;
                hidden = true;
            }
        }
        if hidden {
            self.lay();
        }
        self.cursor = self.seen_at(line);
        if !self.folds() {
            self.top = line;
        } else if self.cursor < self.top || self.cursor >= self.top + self.height {
            self.top = self.cursor.saturating_sub(self.height / 3);
        }
        self.clamp();
        self.hit = Some(line);
    }

    pub fn view(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let gutter = if self.folds() { GUTTER.min(area.width) } else { 0 };
        for row in 0..area.height {
            let seen = self.top + usize::from(row);
            if seen >= self.length() {
                return;
            }
            let at = self.line_at(seen);
            let fold = self.doc.fold_at(at).and_then(|fold| self.doc.folds.get(fold));
            let mut line = ansi::line(&self.doc.line(at), theme);
            if self.hits.binary_search(&at).is_ok()
                && let Some(wanted) = &self.wanted
            {
                line = marked(line, wanted, theme);
            }
            if let Some(fold) = fold.filter(|fold| fold.folded && !fold.note.is_empty()) {
                line.push_span(Span::styled(fold.note.clone(), theme.tone(Tone::Dim)));
            }
            let area = Rect { y: area.y + row, height: 1, ..area };
            if gutter > 0 {
                let sign = match fold {
                    Some(fold) if fold.folded => "▸ ",
                    Some(_) => "▾ ",
                    None => "  ",
                };
                let style =
                    if self.cursor == seen { theme.selected() } else { theme.tone(Tone::Dim) };
                frame.render_widget(Span::styled(sign, style), Rect { width: gutter, ..area });
            }
            let room = Rect { x: area.x + gutter, width: area.width - gutter, ..area };
            frame.render_widget(&line, room);
            let end = u16::try_from(line.width()).unwrap_or(u16::MAX);
            if end > room.width && room.width > 0 {
                let last = Rect { x: room.x + room.width - 1, width: 1, ..room };
                frame.render_widget(Span::styled("…", theme.tone(Tone::Dim)), last);
            }
            if gutter > 0 && self.cursor == seen {
                frame.buffer_mut().set_style(area, theme.selected());
            }
        }
    }
}

/// The line with every hit marked; wholly where the hit goes over its ends.
fn marked(line: Line<'static>, wanted: &Regex, theme: Theme) -> Line<'static> {
    let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    let hits: Vec<(usize, usize)> =
        wanted.find_iter(&text).map(|hit| (hit.start(), hit.end())).collect();
    if hits.is_empty() {
        return line.patch_style(theme.hit());
    }
    let mut spans = Vec::new();
    let mut start = 0;
    for span in line.spans {
        let end = start + span.content.len();
        let mut at = start;
        let inside = hits.iter().filter(|(from, to)| *from < end && *to > start);
        for (from, to) in inside.map(|(from, to)| ((*from).max(start), (*to).min(end))) {
            piece(&mut spans, &text, (at, from), span.style);
            piece(&mut spans, &text, (from, to), theme.hit());
            at = to;
        }
        piece(&mut spans, &text, (at, end), span.style);
        start = end;
    }
    Line::from(spans)
}

fn piece(spans: &mut Vec<Span<'static>>, text: &str, (from, to): (usize, usize), style: Style) {
    if let Some(piece) = text.get(from..to).filter(|piece| !piece.is_empty()) {
        spans.push(Span::styled(piece.to_owned(), style));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(pager: &mut Pager, lines: usize) {
        let text: Vec<String> = (0..lines).map(|n| format!("line \u{1b}[1m{n}\u{1b}[0m")).collect();
        pager.set(text.join("\n"), false);
        pager.set_height(10);
    }

    #[test]
    fn it_scrolls_within_its_text_and_goes_round_its_hits() {
        let mut pager = Pager::default();
        fill(&mut pager, 100);
        pager.act(Action::Bottom);
        assert_eq!((pager.top(), pager.is_at_end()), (90, true));
        pager.act(Action::Top);
        assert_eq!(pager.search("LINE 4"), 11, "4 and 40 to 49, across colours");
        assert_eq!(pager.top(), 4);
        pager.act(Action::NextHit);
        assert_eq!((pager.top(), pager.hits()), (40, (2, 11)));
        pager.act(Action::PreviousHit);
        pager.act(Action::PreviousHit);
        assert_eq!(pager.top(), 49);
        pager.search("line 9");
        for _ in 0..9 {
            pager.act(Action::NextHit);
        }
        assert_eq!(pager.hits(), (11, 11), "hits on the last page are gone through too");
        pager.set("one\n".to_owned(), true);
        assert_eq!((pager.top(), pager.length()), (0, 1));
    }

    fn folding() -> Pager {
        let mut doc = Doc::default();
        for part in 0..5 {
            doc.push(&format!("part {part}"));
            let fold = doc.open(part > 0);
            for line in 0..10 {
                doc.push(&format!("  {part}.{line}"));
            }
            doc.close(fold, " … 10".to_owned());
        }
        let mut pager = Pager::default();
        pager.set_height(8);
        pager.show(doc.done(), false);
        pager
    }

    #[test]
    fn what_is_folded_is_passed_over_and_found_all_the_same() {
        let mut pager = folding();
        assert_eq!(pager.length(), 15);
        pager.act(Action::Bottom);
        assert_eq!((pager.cursor, pager.top), (14, 7));
        assert!(pager.act(Action::Fold));
        assert_eq!((pager.length(), pager.cursor), (25, 14), "the last part is open");
        assert_eq!(pager.search("3.7"), 1);
        assert_eq!(pager.line_at(pager.cursor), 3 * 11 + 8);
        assert!(pager.act(Action::Fold), "from inside");
        assert_eq!(pager.line_at(pager.cursor), 33);
        pager.act(Action::FoldAll);
        assert_eq!(pager.length(), 55);
        pager.act(Action::FoldAll);
        assert_eq!((pager.length(), pager.line_at(pager.cursor)), (5, 33));
        let again = folding().doc;
        pager.show(again, true);
        assert_eq!(pager.length(), 5, "folds stay as they were");
    }

    #[test]
    fn ten_megabytes_open_at_once() {
        let line = "{\"role\":\"user\",\"content\":\"words and words\\n and some more of them\"},";
        let text = line.repeat(10 * 1024 * 1024 / line.len());
        let began = crate::base::clock::now();
        let mut doc = Doc::default();
        doc.push_raw(text, 80);
        let mut pager = Pager::default();
        pager.set_height(40);
        pager.show(doc, false);
        let opened = began.elapsed();
        assert!(pager.search("some more of them\"},{") > 100_000);
        // A tenth of a second is promised of the program as it is shipped.
        let most = if cfg!(debug_assertions) { 1_500 } else { 100 };
        assert!(opened.as_millis() < most, "{opened:?}");
    }
}
