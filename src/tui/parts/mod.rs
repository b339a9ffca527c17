//! What screens are made of: lists that hold a window of a million rows, text that scrolls, menus, lines to type in, charts.

pub mod ansi;
pub mod ascii;
pub mod bar;
pub mod chart;
pub mod editor;
pub mod offers;
pub mod pager;
pub mod popup;
pub mod reader;
pub mod table;
pub mod window;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// No wider than `width` columns, with a sign where something was left out. Wide signs count as two.
pub fn clip(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut out, mut taken) = (String::new(), 0);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if taken + wide + 1 > width {
            break;
        }
        out.push(c);
        taken += wide;
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// Clipped, and filled with blanks to the width.
pub fn pad(text: &str, width: usize) -> String {
    let text = clip(text, width);
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

/// As [`pad`], the blanks before it.
pub fn pad_left(text: &str, width: usize) -> String {
    let text = clip(text, width);
    let blanks = width.saturating_sub(text.width());
    format!("{}{text}", " ".repeat(blanks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_signs_take_two_columns() {
        assert_eq!(clip("日本語の文章", 7), "日本語…");
        assert_eq!(clip("日本語", 6), "日本語");
        assert_eq!(pad("日本", 6), "日本  ");
        assert_eq!(pad_left("ab", 4), "  ab");
        assert_eq!(clip("abc", 0), "");
    }
}
