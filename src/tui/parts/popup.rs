//! What opens over a screen: menus, questions, a line to type in, the palette of all actions.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::report::look::Tone;
use crate::tui::keys::{Action, KEYS, Scope};
use crate::tui::parts::editor::Editor;
use crate::tui::parts::{clip, pad};
use crate::tui::theme::Theme;

/// One of them.
#[derive(Debug, Clone)]
pub enum Popup {
    Menu(Menu),
    Confirm(Confirm),
    Prompt(Prompt),
    Palette(Palette),
}

/// Things to choose from, each by a key or by the cursor.
#[derive(Debug, Clone)]
pub struct Menu {
    pub title: String,
    pub items: Vec<Item>,
    pub at: usize,
}

/// A line of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key that chooses it; empty: none.
    pub key: String,
    pub words: String,
    /// What the screen is told when it is chosen.
    pub choice: String,
}

/// A question that has to be answered by `y`.
#[derive(Debug, Clone)]
pub struct Confirm {
    pub question: Vec<String>,
    pub choice: String,
}

/// A line to type in; the screen is told `choice` and the text, a colon between.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub title: String,
    pub help: String,
    pub editor: Editor,
    pub choice: String,
}

/// Every action that works here, narrowed down by what is typed.
#[derive(Debug, Clone)]
pub struct Palette {
    editor: Editor,
    all: Vec<(&'static str, String)>,
    at: usize,
}

/// What a key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Open,
    Closed,
    Chosen(String),
}

/// A menu of (key, words, choice).
pub fn menu(title: &str, items: &[(&str, &str, &str)]) -> Popup {
    let items = items
        .iter()
        .map(|(key, words, choice)| Item {
            key: (*key).to_owned(),
            words: (*words).to_owned(),
            choice: (*choice).to_owned(),
        })
        .collect();
    Popup::Menu(Menu { title: title.to_owned(), items, at: 0 })
}

/// A question; the first line is the question itself.
pub fn confirm(question: &[&str], choice: &str) -> Popup {
    let question = question.iter().map(|line| (*line).to_owned()).collect();
    Popup::Confirm(Confirm { question, choice: choice.to_owned() })
}

pub fn prompt(title: &str, help: &str, text: &str, choice: &str) -> Popup {
    Popup::Prompt(Prompt {
        title: title.to_owned(),
        help: help.to_owned(),
        editor: Editor::new(text),
        choice: choice.to_owned(),
    })
}

/// What the key map has for these scopes.
pub fn palette(scopes: &[Scope]) -> Popup {
    let moves = [
        Action::Up,
        Action::Down,
        Action::PageUp,
        Action::PageDown,
        Action::Left,
        Action::Right,
        Action::Palette,
    ];
    let all = KEYS
        .iter()
        .filter(|one| one.scopes.iter().any(|scope| scopes.contains(scope)))
        .filter(|one| !moves.contains(&one.action))
        .map(|one| (one.words, one.keys.join(" ")))
        .collect();
    Popup::Palette(Palette { editor: Editor::default(), all, at: 0 })
}

impl Palette {
    /// Those that have every word typed.
    fn found(&self) -> Vec<&(&'static str, String)> {
        let typed = self.editor.text().to_lowercase();
        let words: Vec<&str> = typed.split_whitespace().collect();
        self.all
            .iter()
            .filter(|(name, _)| {
                let name = name.to_lowercase();
                words.iter().all(|word| name.contains(word))
            })
            .collect()
    }
}

impl Popup {
    pub fn key(&mut self, key: &str, character: Option<char>) -> Verdict {
        if key == "esc" {
            return Verdict::Closed;
        }
        match self {
            Self::Menu(menu) => menu.key(key),
            Self::Confirm(confirm) => match key {
                "y" => Verdict::Chosen(confirm.choice.clone()),
                "n" | "q" | "enter" => Verdict::Closed,
                _ => Verdict::Open,
            },
            Self::Prompt(prompt) => {
                if key == "enter" {
                    let text = prompt.editor.text();
                    return Verdict::Chosen(format!("{}:{text}", prompt.choice));
                }
                prompt.editor.key(key, character);
                Verdict::Open
            }
            Self::Palette(palette) => palette.key(key, character),
        }
    }

    pub fn paste(&mut self, text: &str) {
        match self {
            Self::Prompt(prompt) => drop(prompt.editor.insert(text)),
            Self::Palette(palette) => drop(palette.editor.insert(text)),
            Self::Menu(_) | Self::Confirm(_) => {}
        }
    }

    /// Keys for the footer.
    pub fn hints(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Menu(_) => vec![("enter", "choose"), ("esc", "close")],
            Self::Confirm(_) => vec![("y", "yes"), ("n", "no")],
            Self::Prompt(_) => vec![("enter", "done"), ("esc", "cancel")],
            Self::Palette(_) => vec![("enter", "do it"), ("esc", "close")],
        }
    }

    pub fn view(&self, frame: &mut Frame<'_>, room: Rect, theme: Theme) {
        let (title, lines, at) = match self {
            Self::Menu(menu) => (menu.title.clone(), menu.lines(theme), Some(menu.at)),
            Self::Confirm(confirm) => ("confirm".to_owned(), confirm.lines(theme), None),
            Self::Prompt(prompt) => {
                let line = prompt.editor.line("", theme);
                let help = Line::styled(prompt.help.clone(), theme.tone(Tone::Dim));
                (prompt.title.clone(), vec![line, help], None)
            }
            Self::Palette(palette) => ("do".to_owned(), palette.lines(theme), Some(palette.at + 1)),
        };
        let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(title.len() + 2);
        let width = u16::try_from(widest + 4).unwrap_or(u16::MAX).max(24).min(room.width);
        let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(room.height);
        let x = room.x + (room.width - width) / 2;
        let y = room.y + (room.height - height) / 3;
        let area = Rect::new(x, y, width, height);
        frame.render_widget(Clear, area);
        let block = Block::bordered().title(format!(" {title} ")).border_style(theme.line());
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let seen = usize::from(inner.height);
        let top = at.map_or(0, |at| (at + 1).saturating_sub(seen));
        let shown: Vec<Line<'_>> = lines.into_iter().skip(top).take(seen).collect();
        let padded = Rect::new(inner.x + 1, inner.y, inner.width.saturating_sub(2), inner.height);
        frame.render_widget(Paragraph::new(shown), padded);
    }
}

impl Menu {
    fn key(&mut self, key: &str) -> Verdict {
        let last = self.items.len().saturating_sub(1);
        if let Some(item) = self.items.iter().find(|item| !item.key.is_empty() && item.key == key) {
            return Verdict::Chosen(item.choice.clone());
        }
        match key {
            "j" | "down" => self.at = (self.at + 1).min(last),
            "k" | "up" => self.at = self.at.saturating_sub(1),
            "g" | "home" => self.at = 0,
            "G" | "end" => self.at = last,
            "q" => return Verdict::Closed,
            "enter" => {
                return match self.items.get(self.at) {
                    Some(item) => Verdict::Chosen(item.choice.clone()),
                    None => Verdict::Closed,
                };
            }
            _ => {}
        }
        Verdict::Open
    }

    fn lines(&self, theme: Theme) -> Vec<Line<'static>> {
        let keys = self.items.iter().map(|item| item.key.len()).max().unwrap_or(0);
        let widest = self.items.iter().map(|item| item.words.chars().count()).max().unwrap_or(0);
        let line = |(at, item): (usize, &Item)| {
            let style = if at == self.at { theme.selected() } else { theme.tone(Tone::Plain) };
            Line::from(vec![
                Span::styled(pad(&item.key, keys + 1), theme.key()),
                Span::styled(pad(&item.words, widest), style),
            ])
        };
        self.items.iter().enumerate().map(line).collect()
    }
}

impl Confirm {
    fn lines(&self, theme: Theme) -> Vec<Line<'static>> {
        let mut lines: Vec<Line<'static>> =
            self.question.iter().map(|line| Line::from(line.clone())).collect();
        lines.push(Line::default());
        lines.push(Line::from(vec![
            Span::styled("y", theme.key()),
            Span::raw(" yes   "),
            Span::styled("n", theme.key()),
            Span::raw(" no"),
        ]));
        lines
    }
}

impl Palette {
    fn key(&mut self, key: &str, character: Option<char>) -> Verdict {
        let found = self.found().len();
        match key {
            "down" | "ctrl-n" => self.at = (self.at + 1).min(found.saturating_sub(1)),
            "up" | "ctrl-p" => self.at = self.at.saturating_sub(1),
            "enter" => {
                return match self.found().get(self.at) {
                    Some((name, _)) => Verdict::Chosen((*name).to_owned()),
                    None => Verdict::Closed,
                };
            }
            _ => {
                if self.editor.key(key, character) {
                    self.at = 0;
                }
            }
        }
        Verdict::Open
    }

    fn lines(&self, theme: Theme) -> Vec<Line<'static>> {
        let mut lines = vec![self.editor.line("> ", theme)];
        let found = self.found();
        if found.is_empty() {
            lines.push(Line::styled("nothing is called that", theme.tone(Tone::Dim)));
        }
        for (at, (name, keys)) in found.into_iter().enumerate() {
            let style = if at == self.at { theme.selected() } else { theme.tone(Tone::Plain) };
            lines.push(Line::from(vec![
                Span::styled(pad(&clip(name, 58), 58), style),
                Span::styled(format!("  {keys}"), theme.tone(Tone::Dim)),
            ]));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menus_choose_by_key_and_by_cursor() {
        let items = [("c", "as curl", "curl"), ("i", "the id", "id")];
        let Popup::Menu(menu) = menu("copy", &items) else { panic!() };
        let mut one = Popup::Menu(menu);
        assert_eq!(one.key("i", Some('i')), Verdict::Chosen("id".to_owned()));
        assert_eq!(one.key("j", Some('j')), Verdict::Open);
        assert_eq!(one.key("enter", None), Verdict::Chosen("id".to_owned()));
        assert_eq!(one.key("esc", None), Verdict::Closed);
    }

    #[test]
    fn what_destroys_needs_a_yes() {
        let mut one = confirm(&["stop it?"], "stop");
        for key in ["enter", "n", "q", "esc"] {
            assert_eq!(one.key(key, None), Verdict::Closed, "{key}");
        }
        assert_eq!(one.key("y", Some('y')), Verdict::Chosen("stop".to_owned()));
    }

    #[test]
    fn the_palette_narrows_by_words() {
        let mut one = palette(&[Scope::Everywhere]);
        for c in "prev tab".chars() {
            one.key(&c.to_string(), Some(c));
        }
        assert_eq!(one.key("enter", None), Verdict::Chosen("previous tab or pane".to_owned()));
    }
}
