//! A picture of cells as SVG, for docs/tui.md: drawn by the views themselves, so it cannot show what is not there.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

const WIDE: f64 = 8.4;
const HIGH: f64 = 18.0;
const GROUND: &str = "#16181d";
const INK: &str = "#d7dae0";

fn hex(colour: Color, default: &'static str) -> &'static str {
    match colour {
        Color::Black => "#16181d",
        Color::Red => "#ef6b73",
        Color::Green => "#8fc379",
        Color::Yellow => "#e5c07b",
        Color::Blue => "#6ab0f3",
        Color::Magenta => "#cf86e0",
        Color::Cyan => "#5cc2cf",
        _ => default,
    }
}

/// Ink and ground of a cell.
fn colours(cell: &Cell) -> (&'static str, &'static str) {
    let (mut ink, mut ground) = (hex(cell.fg, INK), hex(cell.bg, GROUND));
    if cell.modifier.contains(Modifier::DIM) {
        ink = if ink == INK { "#80868f" } else { ink };
    }
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut ink, &mut ground);
    }
    (ink, ground)
}

pub(super) fn svg(buffer: &Buffer) -> String {
    let (width, height) = (buffer.area.width, buffer.area.height);
    let (wide, high) = (f64::from(width) * WIDE + 16.0, f64::from(height) * HIGH + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" viewBox=\"0 0 {wide:.0} {high:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n"
    );
    for (y, row) in buffer.content.chunks(usize::from(width)).enumerate() {
        let top = y as f64 * HIGH + 8.0;
        let mut from = 0;
        while from < row.len() {
            let (look, bold) = (colours(&row[from]), row[from].modifier.contains(Modifier::BOLD));
            let same = |cell: &&Cell| {
                colours(cell) == look && cell.modifier.contains(Modifier::BOLD) == bold
            };
            let run = row[from..].iter().take_while(same).count();
            draw(&mut out, &row[from..from + run], from, top, look, bold);
            from += run;
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn draw(
    out: &mut String,
    run: &[Cell],
    from: usize,
    top: f64,
    (ink, ground): (&str, &str),
    bold: bool,
) {
    let x = from as f64 * WIDE + 8.0;
    let wide = run.len() as f64 * WIDE;
    if ground != GROUND {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{HIGH}\" fill=\"{ground}\"/>"
        );
    }
    // Words that stand apart are placed apart, so that no font moves a column.
    let weight = if bold { " font-weight=\"700\"" } else { "" };
    let mut from = 0;
    while from < run.len() {
        let blanks = run[from..].iter().take_while(|cell| cell.symbol().trim().is_empty()).count();
        from += blanks;
        let apart = |at: usize| run.get(at).is_none_or(|cell| cell.symbol() == " ");
        let end = (from..run.len()).find(|at| apart(*at) && apart(at + 1)).unwrap_or(run.len());
        if end > from {
            let text = words(&run[from..end]);
            let (x, wide) = (x + from as f64 * WIDE, (end - from) as f64 * WIDE);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{wide:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{ink}\"{weight}>{text}</text>",
                top + 13.5
            );
        }
        from = end.max(from + usize::from(end == from));
    }
}

/// The signs, blanks such that no viewer drops them.
fn words(run: &[Cell]) -> String {
    let (mut text, mut skip) = (String::new(), 0);
    for cell in run {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        text.push_str(cell.symbol());
        skip = cell.symbol().width().saturating_sub(1);
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(' ', "\u{a0}")
}
