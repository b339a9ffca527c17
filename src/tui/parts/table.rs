//! A table of the rows that are seen, and no others: its cost does not depend on how many there are.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::report::look::Tone;
use crate::tui::parts::{clip, pad, pad_left};
use crate::tui::theme::Theme;

/// Blanks between two columns.
const GAP: usize = 1;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub head: String,
    pub width: usize,
    pub right: bool,
}

impl Column {
    pub fn new(head: &str, width: usize) -> Self {
        Self { head: head.to_owned(), width, right: false }
    }

    pub fn right(head: &str, width: usize) -> Self {
        Self { right: true, ..Self::new(head, width) }
    }
}

/// One cell: what it is, and its text.
pub type Cell = (Tone, String);

/// As wide as each is, the last one stretched to the edge; those that do not fit are left out.
pub fn fit(columns: &[Column], width: usize) -> Vec<Column> {
    let mut out: Vec<Column> = Vec::new();
    let mut taken = 0;
    for column in columns {
        let needed = column.width + if out.is_empty() { 0 } else { GAP };
        if taken + needed > width && !out.is_empty() {
            break;
        }
        taken += needed;
        out.push(column.clone());
    }
    if let Some(last) = out.last_mut().filter(|last| !last.right) {
        last.width += width.saturating_sub(taken);
    }
    out
}

/// A column that may be there, for [`choose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub head: &'static str,
    pub width: usize,
    /// How wide it may grow where there is room.
    pub most: usize,
    pub right: bool,
    /// Which goes first when there is none: the greatest; 0 never goes.
    pub rank: u8,
}

/// The columns that fit, with their places among the wishes: what is least missed goes first, the room that is left is
/// shared by those that can use it.
pub fn choose(wishes: &[Wish], width: usize) -> Vec<(usize, Column)> {
    let mut shown: Vec<(usize, usize)> =
        wishes.iter().enumerate().map(|(at, wish)| (at, wish.width)).collect();
    let taken = |shown: &[(usize, usize)]| {
        shown.iter().map(|(_, wide)| wide + GAP).sum::<usize>().saturating_sub(GAP)
    };
    let wish = |at: usize| wishes.get(at);
    while taken(&shown) > width {
        let rank = |at: usize| wish(at).map_or(0, |wish| wish.rank);
        let worst = shown.iter().map(|(at, _)| rank(*at)).max().unwrap_or(0);
        let Some(place) = shown.iter().rposition(|(at, _)| worst > 0 && rank(*at) == worst) else {
            break;
        };
        shown.remove(place);
    }
    let mut left = width.saturating_sub(taken(&shown));
    let mut grown = true;
    while left > 0 && grown {
        grown = false;
        for (at, wide) in &mut shown {
            if left > 0 && wish(*at).is_some_and(|wish| *wide < wish.most) {
                *wide += 1;
                left -= 1;
                grown = true;
            }
        }
    }
    let column = |(at, wide): (usize, usize)| {
        let wish = wish(at)?;
        let column = if wish.right { Column::right } else { Column::new };
        Some((at, column(wish.head, wide)))
    };
    shown.into_iter().filter_map(column).collect()
}

/// The head line.
pub fn head(columns: &[Column], theme: Theme) -> Line<'static> {
    let cells: Vec<Cell> = columns.iter().map(|column| (Tone::Dim, column.head.clone())).collect();
    Line::from(spans(columns, &cells, theme))
}

/// One line without a selection.
pub fn line(columns: &[Column], cells: &[Cell], theme: Theme) -> Line<'static> {
    Line::from(spans(columns, cells, theme))
}

fn spans(columns: &[Column], cells: &[Cell], theme: Theme) -> Vec<Span<'static>> {
    let mut spans = Vec::with_capacity(columns.len() * 2);
    for (at, (column, (tone, text))) in columns.iter().zip(cells).enumerate() {
        if at > 0 {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        let text = clip(text, column.width);
        let text =
            if column.right { pad_left(&text, column.width) } else { pad(&text, column.width) };
        spans.push(Span::styled(text, theme.tone(*tone)));
    }
    spans
}

/// Head and rows into an area; `rows` are those seen, `selected` the place among them.
pub fn view(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    rows: &[Vec<Cell>],
    selected: Option<usize>,
    theme: Theme,
) {
    if area.height == 0 {
        return;
    }
    let columns = fit(columns, usize::from(area.width));
    frame.render_widget(head(&columns, theme), Rect { height: 1, ..area });
    for (at, cells) in rows.iter().take(usize::from(area.height) - 1).enumerate() {
        let y = area.y + 1 + u16::try_from(at).unwrap_or(0);
        let style = if selected == Some(at) { theme.selected() } else { Style::new() };
        let line = Line::from(spans(&columns, cells, theme)).style(style);
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_least_missed_goes_first_and_room_is_shared() {
        let wish = |head, width, most, rank| Wish { head, width, most, right: false, rank };
        let wishes = [wish("a", 4, 4, 0), wish("b", 4, 20, 2), wish("c", 4, 20, 1)];
        let told = |width| -> Vec<(usize, usize)> {
            choose(&wishes, width).into_iter().map(|(at, column)| (at, column.width)).collect()
        };
        assert_eq!(told(14), [(0, 4), (1, 4), (2, 4)]);
        assert_eq!(told(13), [(0, 4), (2, 8)]);
        assert_eq!(told(8), [(0, 4)]);
        assert_eq!(told(3), [(0, 4)], "it is cut, not gone");
        assert_eq!(told(19), [(0, 4), (1, 7), (2, 6)]);
    }
}
