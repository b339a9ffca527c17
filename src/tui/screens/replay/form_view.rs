//! The form's picture: settings, targets, and what it will cost.

use pinhole_replay::estimate::Estimate;
use pinhole_replay::faces::words;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::report::look::{Tone, clean_line};
use crate::report::words::{dollars, things};
use crate::tui::common::Common;
use crate::tui::parts::table::{self, Cell, Column};
use crate::tui::parts::{clip, pad};
use crate::tui::screens::replay::form::{Form, SETTINGS, Setting, price_of};
use crate::tui::theme::Theme;

/// Columns of a setting's name.
const LABEL: usize = 12;
/// Limit: lines of the estimate where there are many targets.
const COSTS_MAX: usize = 8;

impl Form {
    pub(super) fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        let theme = common.theme;
        let mut lines = Page { frame, area, y: 0 };
        for (at, setting) in SETTINGS.into_iter().enumerate() {
            lines.put(self.setting(setting, at == self.cursor, area.width, theme));
        }
        lines.put(self.head(theme));
        let below = self.costs(common, usize::from(area.width));
        let left = usize::from(area.height).saturating_sub(usize::from(lines.y));
        let room = left.saturating_sub(below.len()).max(1);
        for line in self.targets(room, area.width, theme) {
            lines.put(line);
        }
        lines.y = area.height.saturating_sub(u16::try_from(below.len()).unwrap_or(0)).max(lines.y);
        for line in below {
            lines.put(line);
        }
    }

    fn setting(&self, setting: Setting, selected: bool, width: u16, theme: Theme) -> Line<'static> {
        let value = clean_line(self.value(setting));
        let (tone, mut value) = match value.as_str() {
            "" => (Tone::Dim, setting.empty().to_owned()),
            _ => (Tone::Plain, value),
        };
        if let (Setting::From, Some(count)) = (setting, self.count) {
            value = format!("{} chosen  {value}", things(count, "exchange", "exchanges"));
        }
        let room = usize::from(width).saturating_sub(LABEL + 1);
        let style = if selected { theme.selected() } else { theme.tone(tone) };
        let value = if selected { pad(&value, room) } else { clip(&value, room) };
        Line::from(vec![
            Span::styled(pad(&format!(" {}", setting.label()), LABEL + 1), theme.tone(Tone::Dim)),
            Span::styled(value, style),
        ])
    }

    fn head(&self, theme: Theme) -> Line<'static> {
        if let Some(editor) = &self.editor {
            return editor.line("/", theme);
        }
        let told = match self.chosen.len() {
            0 => "targets: none chosen".to_owned(),
            1 => "targets: 1 chosen, compared with what was captured".to_owned(),
            n => format!("targets: {n} chosen, compared with the first"),
        };
        let mut spans = vec![Span::styled(told, theme.tone(Tone::Strong))];
        if !self.filter.is_empty() {
            spans.push(Span::styled(format!("  /{}", self.filter), theme.tone(Tone::User)));
        }
        Line::from(spans)
    }

    fn targets(&self, room: usize, width: u16, theme: Theme) -> Vec<Line<'static>> {
        if self.rows.is_empty() {
            let words = match (self.offers_known, self.filter.is_empty()) {
                (false, _) => "reading …",
                (true, true) => "no provider's models are known here; a writes provider/model",
                (true, false) => "no model is called that; a writes provider/model",
            };
            return vec![Line::styled(format!(" {words}"), theme.tone(Tone::Dim))];
        }
        let at = self.cursor.checked_sub(SETTINGS.len());
        let top = at.map_or(0, |at| (at + 1).saturating_sub(room));
        let price = self.rows.iter().map(|row| row.price.chars().count()).max().unwrap_or(0);
        let name = usize::from(width).saturating_sub(price + 8).min(60);
        let line = |(place, row): (usize, &super::form::Row)| {
            let sign = match row.chosen {
                Some(place) => format!(" [{}] ", (place + 1) % 100),
                None => " [ ] ".to_owned(),
            };
            let text = format!("{sign}{}  {}", pad(&clean_line(&row.target), name), row.price);
            let tone = match (row.chosen, row.pattern) {
                (Some(_), _) => Tone::Good,
                (None, true) => Tone::Dim,
                (None, false) => Tone::Plain,
            };
            let style = if at == Some(place) { theme.selected() } else { theme.tone(tone) };
            Line::styled(clip(&text, usize::from(width)), style)
        };
        self.rows.iter().enumerate().skip(top).take(room).map(line).collect()
    }

    /// What it will cost, or why it cannot be sent.
    fn costs(&self, common: &Common, width: usize) -> Vec<Line<'static>> {
        let theme = common.theme;
        let dim = |words: &str| vec![Line::styled(format!(" {words}"), theme.tone(Tone::Dim))];
        if self.is_sending {
            return dim("sending …");
        }
        if let Some(trouble) = &self.trouble {
            let told = crate::report::look::wrap(&clean_line(trouble), width.saturating_sub(2));
            let line = |text: String| Line::styled(format!(" {text}"), theme.tone(Tone::Bad));
            return told.into_iter().take(COSTS_MAX).map(line).collect();
        }
        let Some(ready) = &self.ready else {
            let nothing = self.chosen.is_empty() || self.value(Setting::From).is_empty();
            return match (nothing, self.is_working(common)) {
                (true, _) => dim("the cost is shown here once recordings and a target are chosen"),
                (false, true) => dim("working out what it costs …"),
                (false, false) => Vec::new(),
            };
        };
        let mut lines = vec![table::head(&fitted(width), theme)];
        for one in ready.estimate.iter().take(COSTS_MAX) {
            lines.push(table::line(&fitted(width), &cells(one), theme));
        }
        if let Some(more) = ready.estimate.len().checked_sub(COSTS_MAX).filter(|more| *more > 0) {
            lines.extend(dim(&format!("and {more} more")));
        }
        let total = format!(
            " {} of {}: {}",
            things_of(ready.requests(), "request"),
            things_of(ready.recordings, "recording"),
            price_of(ready),
        );
        lines.push(Line::styled(total, theme.tone(Tone::Strong)));
        if !ready.left_out.is_empty() {
            let reasons: Vec<String> = ready
                .left_out
                .iter()
                .map(|(why, n)| format!("{n} x {}", clean_line(why)))
                .collect();
            let told = clip(&format!(" left out: {}", reasons.join("; ")), width);
            lines.push(Line::styled(told, theme.tone(Tone::Odd)));
        }
        lines
    }
}

fn things_of(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {one}{plural}", words::count(count))
}

fn fitted(width: usize) -> Vec<Column> {
    let numbers = [
        Column::right("requests", 9),
        Column::right("tokens in", 11),
        Column::right("tokens out", 11),
        Column::right("about", 10),
        Column::right("at worst", 10),
    ];
    let taken: usize = numbers.iter().map(|column| column.width + 1).sum();
    let mut columns = vec![Column::new(" it will cost", width.saturating_sub(taken).min(60))];
    columns.extend(numbers);
    columns
}

fn cells(one: &Estimate) -> Vec<Cell> {
    let cost = |nanousd: Option<i64>| nanousd.map_or_else(|| "no price".to_owned(), dollars);
    // What is guessed is said to be.
    let about = if one.guessed > 0 { "~" } else { "" };
    vec![
        (Tone::Plain, format!(" {}", clean_line(&one.target))),
        (Tone::Plain, words::count(one.requests)),
        (Tone::Plain, format!("{about}{}", words::count(one.input_tokens))),
        (Tone::Plain, format!("{about}{}", words::count(one.output_tokens))),
        (Tone::Strong, cost(one.cost_nanousd)),
        (Tone::Dim, cost(one.worst_nanousd)),
    ]
}

/// Lines one below the other.
struct Page<'a, 'b> {
    frame: &'a mut Frame<'b>,
    area: Rect,
    y: u16,
}

impl Page<'_, '_> {
    fn put(&mut self, line: Line<'_>) {
        if self.y < self.area.height {
            let area = Rect { y: self.area.y + self.y, height: 1, ..self.area };
            self.frame.render_widget(line, area);
            self.y += 1;
        }
    }
}
