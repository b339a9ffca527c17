//! Pictures of single requests: when they were sent and how long they took, and what they cost for the time they took.

use super::data::{Data, metric_of};
use super::plot::{FULL, Frame, HALF, MARKS_MAX, Scale, marks, quantile, thinned};
use super::table::{Cell, Table};
use crate::faces::put;
use crate::faces::words;
use crate::row::Row;

/// Stretches of the run in the table of the timeline.
const STRETCHES: usize = 12;
const LANE: f64 = 13.0;

/// A picture and whether points were left out of it.
pub(super) struct Cloud {
    pub(super) svg: String,
    pub(super) thinned: bool,
}

/// Draws each column's points; true where there were too many.
fn draw(out: &mut String, columns: Vec<Vec<(f64, f64)>>, size: f64) -> bool {
    let each = MARKS_MAX / columns.len().max(1);
    let mut any = false;
    out.push_str("<g class=\"many\">");
    for (place, points) in columns.into_iter().enumerate() {
        let before = points.len();
        let kept = thinned(points, each.max(1));
        any |= kept.len() < before;
        marks(out, place, size, &kept);
    }
    out.push_str("</g>");
    any
}

/// Seconds from the run's zero.
fn sent(row: &Row) -> f64 {
    row.sent_us as f64 / 1e6
}

/// The columns of the run itself.
fn places(data: &Data<'_>) -> impl Iterator<Item = usize> + use<> {
    let captured = data.captured;
    (0..data.names.len()).filter(move |place| Some(*place) != captured)
}

/// The rows of the run itself.
fn of_run<'a>(data: &'a Data<'_>) -> impl Iterator<Item = (usize, &'a Row)> + 'a {
    data.rows.iter().copied().filter(|(place, _)| Some(*place) != data.captured)
}

/// The run over time, with its errors in a lane a column below.
pub(super) fn timeline(data: &Data<'_>) -> Option<Cloud> {
    let last = of_run(data)
        .map(|(_, row)| sent(row))
        .fold(None, |last: Option<f64>, now| Some(last.map_or(now, |last| last.max(now))))?;
    let good = || of_run(data).filter(|(_, row)| row.is_good());
    let y = Scale::over(good().filter_map(|(_, row)| metric_of(row, "e2e")));
    let lanes = places(data).count() as f64 * LANE + 22.0;
    let floor = 46.0 + lanes;
    let mut frame = Frame::new(
        FULL,
        250.0 + lanes,
        Scale::linear(0.0, last * 1.02),
        y.unwrap_or(Scale::linear(0.0, 1.0)),
    );
    frame.bottom = floor;
    let errors = of_run(data).filter(|(_, row)| !row.is_good()).count();
    let told = format!(
        "{} requests over {}, {errors} of them errors",
        of_run(data).count(),
        words::seconds(last)
    );
    let mut out = frame.open("timeline", "The run over time", &told);
    if y.is_some() {
        frame.grid_y(&mut out, words::seconds);
    }
    let mut columns = vec![Vec::new(); data.names.len()];
    for (place, row) in good() {
        if let (Some(points), Some(e2e)) = (columns.get_mut(place), metric_of(row, "e2e")) {
            points.push((frame.x(sent(row)), frame.y(e2e)));
        }
    }
    let thinned = draw(&mut out, columns, 2.6);
    faults(&mut out, &frame, data, lanes);
    frame.bottom = 46.0;
    frame.grid_x(&mut out, "since the run began", words::seconds);
    out.push_str("</svg>");
    Some(Cloud { svg: out, thinned })
}

/// A cross for each stretch of time in which a column had errors.
fn faults(out: &mut String, frame: &Frame, data: &Data<'_>, lanes: f64) {
    let top = frame.floor() + 14.0;
    put!(
        out,
        "<rect class=\"zone\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        frame.left,
        frame.edge() - frame.left,
        lanes - 16.0
    );
    put!(
        out,
        "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">errors</text>",
        frame.left - 20.0,
        top + 13.0
    );
    for (lane, place) in places(data).enumerate() {
        let y = top + LANE * (lane as f64 + 0.6);
        marks(out, place, 3.0, &[(frame.left - 9.0, y)]);
        let bad = of_run(data).filter(|(of, row)| *of == place && !row.is_good());
        let points = thinned(bad.map(|(_, row)| (frame.x(sent(row)), y)).collect(), 160);
        if points.is_empty() {
            continue;
        }
        out.push_str("<path class=\"fault\" d=\"");
        for (x, y) in points {
            put!(out, "M{:.1} {:.1}l7 7m0-7l-7 7", x - 3.5, y - 3.5);
        }
        out.push_str("\"/>");
    }
}

/// The run in stretches: requests, errors and the median time of each column.
pub(super) fn timeline_table(data: &Data<'_>) -> Table {
    let mut table = Table::new(&["since the run began"]);
    for name in places(data).filter_map(|place| data.names.get(place)) {
        table.number_column(&format!("{name}: requests"));
        table.number_column("errors");
        table.number_column("e2e p50");
    }
    let last = of_run(data).map(|(_, row)| row.sent_us).max().unwrap_or(0);
    let long = last / STRETCHES as u64 + 1;
    for stretch in 0..STRETCHES as u64 {
        let from = stretch * long;
        if from > last {
            break;
        }
        let mut cells = vec![Cell::number(words::micros(from), from as f64)];
        for place in places(data) {
            let inside: Vec<&Row> = of_run(data)
                .filter(|(of, row)| *of == place && (from..from + long).contains(&row.sent_us))
                .map(|(_, row)| row)
                .collect();
            let good = inside.iter().filter(|row| row.is_good());
            let mut times: Vec<f64> =
                good.clone().filter_map(|row| metric_of(row, "e2e")).collect();
            times.sort_by(f64::total_cmp);
            let bad = inside.len() - good.count();
            cells.push(Cell::number(inside.len().to_string(), inside.len() as f64));
            cells.push(Cell::number(bad.to_string(), bad as f64).class(if bad > 0 {
                "bad"
            } else {
                ""
            }));
            cells.push(median(&times, words::seconds));
        }
        table.row(cells);
    }
    table
}

fn median(sorted: &[f64], shown: impl Fn(f64) -> String) -> Cell {
    if sorted.is_empty() {
        return Cell::text(words::NONE);
    }
    let value = quantile(sorted, 0.5);
    Cell::number(shown(value), value)
}

/// What requests cost for the time they took.
pub(super) fn scatter(data: &Data<'_>) -> Option<Cloud> {
    let found: Vec<(usize, f64, f64)> = data
        .good()
        .filter_map(|(place, row)| Some((place, metric_of(row, "e2e")?, metric_of(row, "cost")?)))
        .collect();
    let x = Scale::over(found.iter().map(|(_, e2e, _)| *e2e))?;
    let y = Scale::over(found.iter().map(|(_, _, cost)| *cost))?;
    let frame = Frame::new(HALF, 300.0, x, y);
    let told = format!("{} requests by their e2e time and their cost", found.len());
    let mut out = frame.open("scatter", "Cost against latency", &told);
    frame.grid_y(&mut out, words::usd);
    frame.grid_x(&mut out, "e2e", words::seconds);
    let mut columns = vec![Vec::new(); data.names.len()];
    for (place, e2e, cost) in found {
        if let Some(points) = columns.get_mut(place) {
            points.push((frame.x(e2e), frame.y(cost)));
        }
    }
    let thinned = draw(&mut out, columns, 2.6);
    out.push_str("</svg>");
    Some(Cloud { svg: out, thinned })
}

pub(super) fn scatter_table(data: &Data<'_>) -> Table {
    let mut table =
        Table::new(&["target", "#priced requests", "#e2e p50", "#cost p50", "#cost max"]);
    let (times, costs) = (data.sorted("e2e"), data.sorted("cost"));
    for ((name, times), costs) in data.names.iter().zip(times).zip(costs) {
        let most = costs
            .last()
            .map_or(Cell::text(words::NONE), |most| Cell::number(words::usd(*most), *most));
        table.row(vec![
            Cell::text(*name),
            Cell::number(words::count(costs.len() as u64), costs.len() as f64),
            median(&times, words::seconds),
            median(&costs, words::usd),
            most,
        ]);
    }
    table
}
