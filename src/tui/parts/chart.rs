//! Small pictures in cells: sparklines and bars.

use ratatui::text::Span;

use crate::report::look::Tone;
use crate::tui::theme::Theme;

const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `width` values as a line of bars; the greatest of them is full height.
pub fn spark(values: &[f64], width: usize) -> String {
    let shown = values.get(values.len().saturating_sub(width)..).unwrap_or_default();
    let most = shown.iter().copied().fold(0.0, f64::max);
    let mut out = " ".repeat(width.saturating_sub(shown.len()));
    for value in shown {
        let eighth = if most > 0.0 && *value > 0.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 1 to 8"
            )]
            let eighth = (value / most * 8.0).ceil().clamp(1.0, 8.0) as usize;
            eighth
        } else {
            0
        };
        out.push(EIGHTHS.get(eighth).copied().unwrap_or(' '));
    }
    out
}

/// As [`spark`], `height` lines tall, the top line first.
pub fn sparks(values: &[f64], width: usize, height: usize) -> Vec<String> {
    let shown = values.get(values.len().saturating_sub(width)..).unwrap_or_default();
    let most = shown.iter().copied().fold(0.0, f64::max);
    let eighths = height * 8;
    let tall = |value: f64| {
        if most <= 0.0 || value <= 0.0 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "eighths of a few lines"
        )]
        let tall = (value / most * eighths as f64).ceil().clamp(1.0, eighths as f64) as usize;
        tall
    };
    let line = |at: usize| {
        let mut out = " ".repeat(width.saturating_sub(shown.len()));
        out.extend(shown.iter().map(|value| {
            let above = tall(*value).saturating_sub(at * 8).min(8);
            EIGHTHS.get(above).copied().unwrap_or(' ')
        }));
        out
    };
    (0..height).rev().map(line).collect()
}

/// A bar of `share` (0 to 1) of the width.
pub fn bar(share: f64, width: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "columns of a terminal"
    )]
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

/// Amounts at moments as a line of bars over `span_us`: a column is as high as what came in its time, against `most`
/// (see [`densest`]), so that two lines compare.
pub fn marks(events: &[(u64, u32)], span_us: u64, most: u64, width: usize) -> String {
    let columns = per_column(events, span_us, width);
    columns
        .into_iter()
        .map(|amount| {
            let eighth = match (amount, most) {
                (0, _) | (_, 0) => 0,
                _ => usize::try_from(amount.saturating_mul(8).div_ceil(most))
                    .unwrap_or(8)
                    .clamp(1, 8),
            };
            EIGHTHS.get(eighth).copied().unwrap_or(' ')
        })
        .collect()
}

/// The most that falls into one column.
pub fn densest(events: &[(u64, u32)], span_us: u64, width: usize) -> u64 {
    per_column(events, span_us, width).into_iter().max().unwrap_or(0)
}

fn per_column(events: &[(u64, u32)], span_us: u64, width: usize) -> Vec<u64> {
    let mut columns = vec![0u64; width];
    let last = width.saturating_sub(1);
    for (at_us, amount) in events {
        let place = u128::from(*at_us) * width as u128 / u128::from(span_us.max(1));
        let place = usize::try_from(place).unwrap_or(last).min(last);
        if let Some(column) = columns.get_mut(place) {
            *column += u64::from(*amount).max(1);
        }
    }
    columns
}

/// A time axis: a tick and its time about every twelve columns.
pub fn axis(span_us: u64, width: usize, words: impl Fn(u64) -> String) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < width {
        let us = u128::from(span_us) * at as u128 / width.max(1) as u128;
        let label = format!("│{}", words(u64::try_from(us).unwrap_or(u64::MAX)));
        let wide = label.chars().count();
        if at + wide > width {
            break;
        }
        out.push_str(&label);
        let next = (wide + 1).div_ceil(12) * 12;
        out.push_str(&" ".repeat((next - wide).min(width - at - wide)));
        at += next;
    }
    out
}

/// A name, its sparkline and the newest value in words.
pub fn labelled(
    name: &str,
    values: &[f64],
    last: &str,
    width: usize,
    series: usize,
    theme: Theme,
) -> Vec<Span<'static>> {
    let room = width.saturating_sub(name.len() + last.len() + 2);
    vec![
        Span::styled(format!("{name} "), theme.tone(Tone::Dim)),
        Span::styled(spark(values, room), theme.series(series)),
        Span::styled(format!(" {last}"), theme.tone(Tone::Strong)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparks_scale_by_what_is_seen() {
        assert_eq!(spark(&[100.0, 0.0, 1.0, 4.0, 8.0], 4), " ▁▄█");
        assert_eq!(spark(&[], 3), "   ");
        assert_eq!(sparks(&[8.0, 16.0, 1.0], 4, 2), ["  █ ", " ██▁"]);
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(7.0, 2), "██");
    }

    #[test]
    fn marks_of_two_lines_share_their_scale_and_their_axis() {
        let left = [(0, 10), (500, 40), (1_000, 1)];
        let most = densest(&left, 1_000, 4);
        assert_eq!(most, 40);
        assert_eq!(marks(&left, 1_000, most, 4), "▂ █▁");
        assert_eq!(marks(&[(250, 20)], 1_000, most, 4), " ▄  ");
        assert_eq!(marks(&[], 0, 0, 3), "   ");
        assert_eq!(axis(2_400, 24, |us| us.to_string()), "│0          │1200       ");
        assert_eq!(axis(9, 1, |us| us.to_string()), "");
    }
}
