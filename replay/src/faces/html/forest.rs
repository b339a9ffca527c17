//! The paired ratios: a row for each metric of each target, its interval, and the band within which they are as good as equal.

use super::plot::{FULL, Frame, Scale, marks};
use crate::faces::put;
use crate::faces::view::{self, Columns, Part};
use crate::faces::words::{self, escaped};
use crate::report::{Comparison, Report};

/// Limit: rows of the picture; the table has all of them.
const ROWS_MAX: usize = 60;
const ROW: f64 = 22.0;
/// Ratios beyond are drawn on the edge.
const FAR: f64 = 16.0;
const LABEL_MAX: usize = 20;

pub(super) struct Forest {
    pub(super) svg: String,
    /// Comparisons that there was no room for.
    pub(super) left_out: usize,
}

pub(super) fn draw(report: &Report) -> Option<Forest> {
    let columns = Columns::of(report);
    let places = usize::from(columns.baseline.is_some());
    let mut lines: Vec<(usize, &Comparison)> = Vec::new();
    for metric in view::metrics(report, Part::Main) {
        for (place, target) in columns.others.iter().enumerate() {
            let found = view::comparison(target, metric);
            lines.extend(found.map(|comparison| (place + places, comparison)));
        }
    }
    let left_out = lines.len().saturating_sub(ROWS_MAX);
    lines.truncate(ROWS_MAX);
    if lines.is_empty() {
        return None;
    }
    let margin = 1.0 + report.plan.margin.clamp(0.0, 1.0);
    let frame = frame(&lines, margin);
    let told = lines.iter().map(|(_, one)| told(one)).collect::<Vec<_>>().join("; ");
    let mut out = frame.open("forest", "Paired ratios with 95% intervals", &told);
    let (low, high) = (frame.x(1.0 / margin), frame.x(margin));
    put!(
        out,
        "<rect class=\"band\" x=\"{low:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        frame.top,
        (high - low).max(0.0),
        frame.floor() - frame.top
    );
    frame.grid_x(&mut out, "ratio to the baseline (logarithmic)", |value| {
        format!("{}x", (value * 100.0).round() / 100.0)
    });
    put!(
        out,
        "<path class=\"one\" d=\"M{:.1} {:.1}V{:.1}\"/>",
        frame.x(1.0),
        frame.top,
        frame.floor()
    );
    let mut before = "";
    for (row, (place, comparison)) in lines.iter().enumerate() {
        let y = frame.top + ROW * (row as f64 + 0.5);
        let named = comparison.metric != before;
        before = &comparison.metric;
        draw_row(&mut out, &frame, y, *place, comparison, named);
    }
    out.push_str("</svg>");
    Some(Forest { svg: out, left_out })
}

/// From the furthest end of an interval to the furthest, with the band in sight.
fn frame(lines: &[(usize, &Comparison)], margin: f64) -> Frame {
    let ends = lines.iter().flat_map(|(_, one)| [one.ratio, one.ci95[0], one.ci95[1]]);
    let far = ends
        .filter(|end| *end > 0.0)
        .map(|end| end.max(1.0 / end))
        .fold(margin * margin, f64::max)
        .clamp(1.08, FAR);
    let x = Scale::logarithmic(1.0 / far / 1.03, far * 1.03);
    let height = ROW * lines.len() as f64 + 58.0;
    let frame = Frame::new(FULL, height, x, Scale::linear(0.0, 1.0));
    Frame { left: 136.0, right: 196.0, ..frame }
}

fn draw_row(
    out: &mut String,
    frame: &Frame,
    y: f64,
    place: usize,
    comparison: &Comparison,
    named: bool,
) {
    if named {
        let name: String = words::line(&comparison.metric).chars().take(LABEL_MAX).collect();
        put!(
            out,
            "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            frame.left - 10.0,
            y + 4.0,
            escaped(&name)
        );
        put!(out, "<path class=\"grid\" d=\"M8 {:.1}H{:.1}\"/>", y - ROW / 2.0, FULL - 8.0);
    }
    let (low, high) = (frame.x(comparison.ci95[0]), frame.x(comparison.ci95[1]));
    put!(out, "<path class=\"whisker\" d=\"M{low:.1} {y:.1}H{high:.1}\"/>");
    for (end, x, turn) in [(comparison.ci95[0], low, 1.0), (comparison.ci95[1], high, -1.0)] {
        if frame.x.holds(end) {
            put!(out, "<path class=\"whisker\" d=\"M{x:.1} {:.1}v8\"/>", y - 4.0);
        } else {
            // An arrow: it goes on beyond the edge.
            put!(
                out,
                "<path class=\"whisker\" d=\"M{:.1} {:.1}L{x:.1} {y:.1}l{:.1} 4\"/>",
                x + 5.0 * turn,
                y - 4.0,
                5.0 * turn
            );
        }
    }
    marks(out, place, 4.5, &[(frame.x(comparison.ratio), y)]);
    put!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\">{} <tspan class=\"tick\">{}</tspan> {}</text>",
        frame.edge() + 10.0,
        y + 4.0,
        words::ratio(comparison.ratio),
        words::interval(comparison.ci95),
        words::verdict(comparison.verdict)
    );
}

fn told(comparison: &Comparison) -> String {
    format!(
        "{} {}, interval {}: {}",
        comparison.metric,
        words::ratio(comparison.ratio),
        words::interval(comparison.ci95),
        words::verdict(comparison.verdict)
    )
}
