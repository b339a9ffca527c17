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
}
