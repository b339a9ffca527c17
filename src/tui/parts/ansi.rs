//! The reports' texts, which carry colours as escape sequences, as styled lines.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::theme::Theme;

/// One line of such a text.
pub fn line(text: &str, theme: Theme) -> Line<'static> {
    let mut spans = Vec::new();
    let mut style = Style::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, escape) = rest.split_at(at);
        if !before.is_empty() {
            spans.push(Span::styled(before.to_owned(), style));
        }
        let (codes, after) = sequence(escape);
        for code in codes.split(';') {
            style = theme.sgr(style, code.parse().unwrap_or(0));
        }
        rest = after;
    }
    if !rest.is_empty() {
        spans.push(Span::styled(rest.to_owned(), style));
    }
    Line::from(spans)
}

/// The text alone.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = sequence(rest.get(at..).unwrap_or_default()).1;
    }
    out.push_str(rest);
    out
}

/// The numbers of the sequence that `text` begins with, and what follows it. Anything else than a colour is dropped.
fn sequence(text: &str) -> (&str, &str) {
    let Some(body) = text.strip_prefix("\u{1b}[") else {
        return ("", text.get(1..).unwrap_or_default());
    };
    let end = body.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(body.len());
    let codes = body.get(..end).unwrap_or_default();
    let after = body.get(end + 1..).unwrap_or_default();
    (codes, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::look::{Look, Tone};

    #[test]
    fn tones_come_through_as_the_theme_has_them() {
        let look = Look { width: None, colour: true, full: false };
        let theme = Theme::default();
        let text = format!("a {} b", look.paint(Tone::Bad, "bad"));
        let line = line(&text, theme);
        assert_eq!(line.spans.len(), 3);
        assert_eq!(line.spans[1].content, "bad");
        assert_eq!(line.spans[1].style, theme.tone(Tone::Bad));
        assert_eq!(line.spans[2].style, Style::new());
        assert_eq!(plain(&text), "a bad b");
    }

    #[test]
    fn broken_sequences_drive_nothing() {
        for text in ["\u{1b}", "\u{1b}[", "\u{1b}[31", "\u{1b}]0;title\u{7}", "x\u{1b}é"] {
            let told: String = line(text, Theme::default())
                .spans
                .iter()
                .map(|span| span.content.to_string())
                .collect();
            assert!(!told.contains('\u{1b}'), "{text:?}");
            assert!(!plain(text).contains('\u{1b}'));
        }
    }
}
