//! The picture: how capture stands, four lines of bars, the lists.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::report::look::Tone;
use crate::report::words;
use crate::tui::common::Common;
use crate::tui::parts::{chart, pad, pad_left, table};
use crate::tui::screens::overview::Overview;
use crate::tui::screens::overview::panes::Pane;

/// From this width on the lists stand in two columns.
const WIDE: u16 = 150;
/// Columns of a chart's name and of its figure.
const NAME: usize = 10;
const FIGURE: usize = 12;
/// From this height on bars are taller than a line.
const TALL: u16 = 36;

impl Overview {
    pub(super) fn draw(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        if let Some(error) = &self.error {
            let line = Line::styled(error.clone(), common.style(Tone::Bad));
            frame.render_widget(line, Rect { height: 1, ..area });
        } else if self.seq.is_none() {
            frame.render_widget(Line::styled("reading …", common.style(Tone::Dim)), area);
            return;
        } else {
            frame.render_widget(self.health(common), Rect { height: 1, ..area });
        }
        let mut area = below(area, 1);
        let taken = self.charts(frame, area, common);
        area = below(area, taken);
        for (pane, room) in self.places(area) {
            self.pane(frame, room, pane, common);
        }
    }

    /// One line on what is captured; what is lost is red.
    fn health(&self, common: &Common) -> Line<'static> {
        let gateway = &self.gateway;
        let capture = &gateway.capture;
        if gateway.store.is_none() && capture.level != "off" {
            let words = " no gateway runs on this store: nothing is captured now";
            return Line::styled(words, common.style(Tone::Dim));
        }
        let mut said: Vec<(Tone, String)> = Vec::new();
        let tone = if capture.level == "off" { Tone::Odd } else { Tone::Good };
        said.push((tone, format!("capture {}", capture.level)));
        if capture.switched {
            let until = capture.until_us.map(|us| {
                let until = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
                until.strftime(" until %H:%M UTC").to_string()
            });
            let until = until.unwrap_or_default();
            said.push((Tone::Odd, format!("switched{until}, configured {}", capture.configured)));
        }
        match &gateway.store {
            None => said.push((Tone::Dim, "no store".to_owned())),
            Some(store) => {
                if store.failing {
                    said.push((Tone::Bad, "THE STORE CANNOT BE WRITTEN".to_owned()));
                }
                if store.disk_full {
                    said.push((Tone::Bad, "DISK FULL: no bodies".to_owned()));
                }
                let lost = [
                    (store.dropped, "dropped"),
                    (store.failed, "failed"),
                    (store.bodies_shed, "bodies shed"),
                    (store.bodies_failed, "bodies failed"),
                ];
                for (count, what) in lost.iter().filter(|(count, _)| *count > 0) {
                    said.push((Tone::Bad, format!("{} {what}", count_of(*count))));
                }
                if lost.iter().all(|(count, _)| *count == 0) {
                    said.push((Tone::Good, "nothing lost".to_owned()));
                }
                said.push((Tone::Plain, format!("{} stored", count_of(store.stored))));
                if store.bodies_cut > 0 {
                    said.push((Tone::Odd, format!("{} bodies cut", count_of(store.bodies_cut))));
                }
                if store.queued > 0 {
                    let bytes = words::bytes(store.queued_bytes);
                    said.push((Tone::Odd, format!("{} queued, {bytes}", count_of(store.queued))));
                } else {
                    said.push((Tone::Dim, "queue empty".to_owned()));
                }
            }
        }
        if gateway.not_logged > 0 {
            said.push((Tone::Bad, format!("{} not observed", count_of(gateway.not_logged))));
        }
        let mut spans = vec![Span::raw(" ")];
        for (tone, words) in said {
            spans.push(Span::styled(words, common.style(tone)));
            spans.push(Span::styled(" · ", common.style(Tone::Dim)));
        }
        spans.pop();
        Line::from(spans)
    }

    /// The bars; says how many lines they took.
    fn charts(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) -> u16 {
        let lately = &self.lately;
        let series = &lately.series;
        let seconds = series.step_us as f64 / 1e6;
        let floats =
            |values: &[i64]| values.iter().map(|value| *value as f64).collect::<Vec<f64>>();
        let span_s = (lately.until_us.saturating_sub(lately.from_us)) as f64 / 1e6;
        let total = &lately.total;
        let a_second = if span_s > 0.0 { total.output_tokens as f64 / span_s } else { 0.0 };
        let tokens = series.output_tokens.iter().map(|value| *value as f64 / seconds.max(1e-6));
        let share = 100.0 * total.errors as f64 / total.exchanges.max(1) as f64;
        let errors = match total.errors {
            0 => "0".to_owned(),
            errors => format!("{} ({share:.1} %)", words::count(errors)),
        };
        let lines = [
            ("requests", floats(&series.exchanges), words::count(total.exchanges), 0),
            ("tokens/s", tokens.collect(), rate(a_second), 1),
            ("errors", floats(&series.errors), errors, 4),
            ("spend", floats(&series.cost_nanousd), words::dollars(total.cost_nanousd), 2),
        ];
        let across = across(area.width);
        let bars: u16 = if is_tall(common.size.1) { 3 } else { 1 };
        let wide = area.width / across;
        for (at, (name, values, last, colour)) in lines.iter().enumerate() {
            let at = u16::try_from(at).unwrap_or(0);
            let (column, row) = (at % across, at / across);
            let room = Rect::new(area.x + column * wide, area.y + row * bars, wide, bars);
            let room = room.intersection(area);
            if room.height < bars {
                continue;
            }
            if bars == 1 {
                let columns = bar_columns(common.size);
                let spans = vec![
                    Span::styled(pad(&format!(" {name}"), NAME), common.style(Tone::Dim)),
                    Span::styled(chart::spark(values, columns), common.theme.series(*colour)),
                    Span::styled(pad_left(last, FIGURE), common.style(Tone::Strong)),
                ];
                frame.render_widget(Line::from(spans), room);
                continue;
            }
            let head = Line::from(vec![
                Span::styled(format!(" {name} "), common.style(Tone::Dim)),
                Span::styled(last.clone(), common.style(Tone::Strong)),
            ]);
            frame.render_widget(head, Rect { height: 1, ..room });
            let style = common.theme.series(*colour);
            let columns = bar_columns(common.size);
            for (line, text) in chart::sparks(values, columns, 2).into_iter().enumerate() {
                let y = room.y + 1 + u16::try_from(line).unwrap_or(0);
                let line = Line::from(vec![Span::raw(" "), Span::styled(text, style)]);
                frame.render_widget(line, Rect { y, height: 1, ..room });
            }
        }
        let rows = 4 / across * bars;
        // Who looks at a short stretch must not take it for the whole window.
        let span = lately.until_us.saturating_sub(lately.from_us);
        let step = words::time(series.step_us);
        let words = format!(" over {}, a bar is {step}", words::time(span));
        frame.render_widget(
            Line::styled(words, common.style(Tone::Dim)),
            Rect { y: area.y + rows, height: 1, ..area }.intersection(area),
        );
        rows + 1
    }

    /// Where each list stands.
    fn places(&self, area: Rect) -> Vec<(Pane, Rect)> {
        use Pane::{Failures, Models, Providers, Running, Signals};
        if area.width >= WIDE {
            let left = Rect { width: area.width / 2 - 1, ..area };
            let right =
                Rect { x: area.x + area.width / 2, width: area.width - area.width / 2, ..area };
            let mut places = self.stacked(left, &[&[Models], &[Providers]]);
            places.extend(self.stacked(right, &[&[Failures], &[Signals], &[Running]]));
            return places;
        }
        self.stacked(area, &[&[Failures], &[Models], &[Providers], &[Signals, Running]])
    }

    /// Lines of lists below each other. Each gets what it needs as long as there is room; what lacks is taken from the
    /// longest.
    fn stacked(&self, area: Rect, lines: &[&[Pane]]) -> Vec<(Pane, Rect)> {
        let needs = |line: &&[Pane]| {
            let most = line.iter().map(|pane| self.rows(*pane).len()).max().unwrap_or(0);
            u16::try_from(most.clamp(1, 200)).unwrap_or(1) + 1
        };
        let mut heights: Vec<u16> = lines.iter().map(needs).collect();
        let gaps = u16::try_from(lines.len().saturating_sub(1)).unwrap_or(0);
        let needed = |heights: &[u16]| heights.iter().map(|height| u32::from(*height)).sum::<u32>();
        let gap = u16::from(needed(&heights) + u32::from(gaps) <= u32::from(area.height));
        while needed(&heights) > u32::from(area.height) {
            let Some(longest) = heights.iter_mut().max().filter(|height| **height > 2) else {
                break;
            };
            *longest -= 1;
        }
        let mut places = Vec::new();
        let mut y = area.y;
        for (line, height) in lines.iter().zip(heights) {
            let count = u16::try_from(line.len()).unwrap_or(1).max(1);
            let wide = area.width / count;
            for (at, pane) in line.iter().enumerate() {
                let x = area.x + u16::try_from(at).unwrap_or(0) * wide;
                let width = if count == 1 { area.width } else { wide.saturating_sub(1) };
                places.push((*pane, Rect::new(x, y, width, height).intersection(area)));
            }
            y = y.saturating_add(height + gap);
        }
        places
    }

    fn pane(&self, frame: &mut Frame<'_>, area: Rect, pane: Pane, common: &Common) {
        if area.height == 0 || area.width < 4 {
            return;
        }
        let theme = common.theme;
        let area = Rect { x: area.x + 1, width: area.width - 1, ..area };
        let rows = self.rows(pane);
        let height = usize::from(area.height - 1);
        let focus = self.pane == pane;
        let cursor = self.cursor(pane);
        let top = (cursor + 1).saturating_sub(height.max(1));
        let columns = pane.columns(usize::from(area.width));
        let seen = rows.get(top..).unwrap_or_default();
        let seen = seen.get(..height.min(seen.len())).unwrap_or_default();
        let selected = focus.then(|| cursor.saturating_sub(top));
        table::view(frame, area, &columns, seen, selected, theme);
        let name = columns.first().map(|column| column.head.clone()).unwrap_or_default();
        let more = rows.len().saturating_sub(seen.len());
        let name = if more > 0 { format!("{name} +{more}") } else { name };
        let style = if focus {
            theme.key().add_modifier(Modifier::UNDERLINED)
        } else {
            theme.tone(Tone::Strong)
        };
        frame.render_widget(Span::styled(name, style), Rect { height: 1, ..area });
        if rows.is_empty() && area.height > 1 {
            let line = Line::styled(pane.empty(), theme.tone(Tone::Dim));
            frame.render_widget(line, Rect { y: area.y + 1, height: 1, ..area });
        }
    }
}

/// Charts beside each other.
fn across(width: u16) -> u16 {
    if width >= WIDE { 4 } else { 2 }
}

/// Bars of one chart: as many stretches of time are asked for.
pub(super) fn bar_columns((width, height): (u16, u16)) -> usize {
    let wide = usize::from(width / across(width));
    let words = if is_tall(height) { 2 } else { NAME + FIGURE + 1 };
    wide.saturating_sub(words).max(1)
}

fn is_tall(height: u16) -> bool {
    height >= TALL
}

fn below(area: Rect, lines: u16) -> Rect {
    Rect { y: area.y.saturating_add(lines), height: area.height.saturating_sub(lines), ..area }
}

fn count_of(number: u64) -> String {
    words::count(i64::try_from(number).unwrap_or(i64::MAX))
}

fn rate(number: f64) -> String {
    if number < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}
