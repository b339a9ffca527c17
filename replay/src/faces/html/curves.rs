//! How a metric is distributed: all of it as a cumulative curve, and its shape as bars, a column each.

use super::data::Data;
use super::plot::{Frame, HALF, STYLES, Scale, line, marks, quantile};
use super::table::{Cell, Table};
use crate::faces::put;
use crate::faces::words;

/// Points of a curve.
const POINTS: usize = 160;
const BINS: usize = 48;

/// Shares of requests that were done by a time. `None`: nothing was measured.
pub(super) fn cumulative(data: &Data<'_>, metric: &str) -> Option<String> {
    let all = data.sorted(metric);
    let x = Scale::over(all.iter().flatten().copied())?;
    let frame = Frame::new(HALF, 290.0, x, Scale::linear(0.0, 1.0));
    let told = told(data, metric, &all);
    let mut out = frame.open(
        &format!("cdf-{metric}"),
        &format!("Cumulative distribution of {metric}"),
        &told,
    );
    frame.grid_y(&mut out, |share| format!("{:.0}%", share * 100.0));
    frame.grid_x(&mut out, &frame.x.titled(metric), |value| words::value(metric, value));
    for (place, values) in all.iter().enumerate().filter(|(_, values)| !values.is_empty()) {
        let at = |share: f64| (frame.x(quantile(values, share)), frame.y(share));
        let points: Vec<(f64, f64)> =
            (0..=POINTS).map(|step| at(step as f64 / POINTS as f64)).collect();
        line(&mut out, place, &points, true);
        marks(&mut out, place, 3.8, &[at(0.1), at(0.5), at(0.9)]);
    }
    out.push_str("</svg>");
    Some(out)
}

/// Bars of how many requests took how long, a lane a column, with median and 95th percentile.
pub(super) fn shape(data: &Data<'_>, metric: &str) -> Option<String> {
    let all = data.sorted(metric);
    let x = Scale::over(all.iter().flatten().copied())?;
    let lanes: Vec<usize> = all
        .iter()
        .enumerate()
        .filter(|(_, values)| !values.is_empty())
        .map(|(place, _)| place)
        .collect();
    let lane = 64.0;
    let height = lane * lanes.len() as f64 + 56.0;
    let frame = Frame::new(HALF, height, x, Scale::linear(0.0, 1.0));
    let title = format!("Distribution of {metric}");
    let mut out = frame.open(&format!("shape-{metric}"), &title, &told(data, metric, &all));
    frame.grid_x(&mut out, &frame.x.titled(metric), |value| words::value(metric, value));
    for (row, place) in lanes.into_iter().enumerate() {
        let Some(values) = all.get(place) else { continue };
        let floor = frame.top + lane * (row as f64 + 1.0);
        bars(&mut out, &frame, place, values, floor, lane - 16.0);
        let (p50, p95) = (frame.x(quantile(values, 0.5)), frame.x(quantile(values, 0.95)));
        put!(out, "<path class=\"whisker\" d=\"M{p50:.1} {floor:.1}v-{:.1}\"/>", lane - 14.0);
        put!(
            out,
            "<path class=\"whisker\" stroke-dasharray=\"3 2\" d=\"M{p95:.1} {floor:.1}v-{:.1}\"/>",
            lane * 0.5
        );
        put!(out, "<path class=\"axis\" d=\"M{:.1} {floor:.1}H{:.1}\"/>", frame.left, frame.edge());
        marks(&mut out, place, 5.0, &[(frame.left - 30.0, floor - lane * 0.35)]);
    }
    out.push_str("</svg>");
    Some(out)
}

fn bars(out: &mut String, frame: &Frame, place: usize, values: &[f64], floor: f64, height: f64) {
    let mut counts = [0u32; BINS];
    for value in values {
        #[expect(clippy::cast_sign_loss, reason = "shares lie between 0 and 1")]
        let bin = (frame.x.share(*value) * BINS as f64) as usize;
        if let Some(count) = counts.get_mut(bin.min(BINS - 1)) {
            *count += 1;
        }
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    put!(out, "<path class=\"bar k{}\" d=\"", place % STYLES);
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let left = frame.x(frame.x.value(bin as f64 / BINS as f64));
        let right = frame.x(frame.x.value((bin + 1) as f64 / BINS as f64));
        let tall = f64::from(*count) / most * height;
        put!(out, "M{left:.1} {floor:.1}v-{tall:.1}H{right:.1}v{tall:.1}z");
    }
    out.push_str("\"/>");
}

/// The same in words.
fn told(data: &Data<'_>, metric: &str, all: &[Vec<f64>]) -> String {
    let each = data.names.iter().zip(all).map(|(name, values)| {
        if values.is_empty() {
            return format!("{name}: no values");
        }
        format!(
            "{name}: {} values, median {}, 90th percentile {}",
            values.len(),
            words::value(metric, quantile(values, 0.5)),
            words::value(metric, quantile(values, 0.9))
        )
    });
    each.collect::<Vec<_>>().join("; ")
}

/// The numbers of both pictures.
pub(super) fn table(data: &Data<'_>, metric: &str) -> Table {
    let mut table = Table::new(&[
        "target", "#n", "#min", "#p10", "#p25", "#p50", "#p75", "#p90", "#p95", "#max",
    ]);
    for (name, values) in data.names.iter().zip(data.sorted(metric)) {
        let mut cells = vec![
            Cell::text(*name),
            Cell::number(words::count(values.len() as u64), values.len() as f64),
        ];
        for share in [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0] {
            if values.is_empty() {
                cells.push(Cell::text(words::NONE));
                continue;
            }
            let value = quantile(&values, share);
            cells.push(Cell::number(words::value(metric, value), value));
        }
        table.row(cells);
    }
    table
}
