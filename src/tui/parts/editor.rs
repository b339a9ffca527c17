//! One line to type in: filter, search, name, path.

use ratatui::text::{Line, Span};

use crate::tui::theme::Theme;

/// Limit: bytes of a line.
const BYTES_MAX: usize = 4_096;

/// Text with a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Editor {
    text: String,
    /// Byte offset, on a boundary.
    at: usize,
}

impl Editor {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.len() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// A key as the map spells it. True: the text is another.
    pub fn key(&mut self, key: &str, character: Option<char>) -> bool {
        let before = self.text.len();
        match (key, character) {
            (_, Some(c)) => return self.insert(c.encode_utf8(&mut [0; 4])),
            ("left", _) => self.at = self.previous(),
            ("right", _) => self.at = self.next(),
            ("home" | "ctrl-a", _) => self.at = 0,
            ("end" | "ctrl-e", _) => self.at = self.text.len(),
            ("backspace", _) => {
                let from = self.previous();
                self.text.replace_range(from..self.at, "");
                self.at = from;
            }
            ("delete", _) => {
                let to = self.next();
                self.text.replace_range(self.at..to, "");
            }
            ("ctrl-u", _) => {
                self.text.replace_range(..self.at, "");
                self.at = 0;
            }
            ("ctrl-k", _) => self.text.truncate(self.at),
            ("ctrl-w", _) => {
                let kept = self.before().trim_end();
                let from = kept.rfind(' ').map_or(0, |blank| blank + 1);
                self.text.replace_range(from..self.at, "");
                self.at = from;
            }
            _ => {}
        }
        self.text.len() != before
    }

    /// Text at the cursor; what could drive a terminal is left out.
    pub fn insert(&mut self, text: &str) -> bool {
        let clean: String = text.chars().filter(|c| !c.is_control()).collect();
        if clean.is_empty() || self.text.len() + clean.len() > BYTES_MAX {
            return false;
        }
        self.text.insert_str(self.at, &clean);
        self.at += clean.len();
        true
    }

    /// Replaces the last `bytes` before the cursor.
    pub fn replace(&mut self, bytes: usize, by: &str) {
        let from = self.at.saturating_sub(bytes);
        if self.text.is_char_boundary(from) {
            self.text.replace_range(from..self.at, by);
            self.at = from + by.len();
        }
    }

    /// With the cursor drawn.
    pub fn line(&self, prompt: &str, theme: Theme) -> Line<'static> {
        let after = self.text.get(self.at..).unwrap_or_default();
        let mut rest = after.chars();
        let under = rest.next().map_or_else(|| " ".to_owned(), String::from);
        Line::from(vec![
            Span::styled(prompt.to_owned(), theme.key()),
            Span::raw(self.before().to_owned()),
            Span::styled(under, theme.selected()),
            Span::raw(rest.as_str().to_owned()),
        ])
    }

    fn previous(&self) -> usize {
        self.before().char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn next(&self) -> usize {
        let after = self.text.get(self.at..).unwrap_or_default();
        after.chars().next().map_or(self.at, |c| self.at + c.len_utf8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_move_and_change_whole_signs() {
        let mut editor = Editor::new("aé日");
        for (key, text, before) in [
            ("left", "aé日", "aé"),
            ("backspace", "a日", "a"),
            ("delete", "a", "a"),
            ("home", "a", ""),
            ("backspace", "a", ""),
            ("end", "a", "a"),
        ] {
            editor.key(key, None);
            assert_eq!((editor.text(), editor.before()), (text, before), "{key}");
        }
        let mut editor = Editor::new("model:a  status:5xx");
        editor.key("ctrl-w", None);
        assert_eq!(editor.text(), "model:a  ");
        assert!(!editor.insert("\u{1b}\n"));
        editor.replace(2, "b");
        assert_eq!(editor.text(), "model:ab");
    }
}
