//! How the answers of one pair arrived: the share of each answer that was there at a time, all columns over each other, and a lane
//! of the arrivals themselves.

use super::data::Data;
use super::plot::{Frame, HALF, Scale, line, marks, thinned};
use super::table::{Cell, Table};
use crate::faces::put;
use crate::faces::words;
use crate::outcome::What;
use crate::row::Row;

const LANE: f64 = 15.0;

/// The pair that is shown: one row a column, of one repeat.
pub(super) struct Pair<'a> {
    rows: Vec<(usize, &'a Row)>,
}

impl<'a> Pair<'a> {
    /// The pair that most columns have arrivals of, and of these the one with the most arrivals.
    pub(super) fn choose(data: &Data<'a>) -> Option<Self> {
        let mut best: Option<(usize, usize, (u32, u16))> = None;
        let mut groups = std::collections::BTreeMap::<(u32, u16), Vec<(usize, &Row)>>::new();
        for (place, row) in data.good().filter(|(_, row)| row.arrivals.len() > 1) {
            groups.entry((row.pair, row.repeat)).or_default().push((place, row));
        }
        for (key, rows) in &groups {
            let arrivals = rows.iter().map(|(_, row)| row.arrivals.len()).sum();
            if best.is_none_or(|(columns, most, _)| (rows.len(), arrivals) > (columns, most)) {
                best = Some((rows.len(), arrivals, *key));
            }
        }
        let (_, _, key) = best?;
        let mut rows = groups.remove(&key)?;
        rows.sort_by_key(|(place, _)| *place);
        rows.dedup_by_key(|(place, _)| *place);
        Some(Self { rows })
    }

    pub(super) fn of(&self) -> &'a str {
        self.rows.first().map_or("", |(_, row)| row.of.as_str())
    }

    pub(super) fn draw(&self, data: &Data<'_>) -> String {
        let lanes = LANE * self.rows.len() as f64 + 20.0;
        let last = self
            .rows
            .iter()
            .flat_map(|(_, row)| arrivals(row))
            .map(|(at, _)| at)
            .fold(0.0, f64::max);
        let mut frame = Frame::new(
            HALF,
            270.0 + lanes,
            Scale::linear(0.0, last * 1.03),
            Scale::linear(0.0, 1.0),
        );
        frame.bottom = 46.0 + lanes;
        let told = self.rows.iter().filter_map(|(place, row)| {
            let first = arrivals(row).next()?.0;
            let name = data.names.get(*place)?;
            Some(format!(
                "{name}: first content after {}, last after {}",
                words::seconds(first),
                words::seconds(arrivals(row).last()?.0)
            ))
        });
        let told = told.collect::<Vec<_>>().join("; ");
        let mut out = frame.open("cadence", "Arrival of one pair's answers", &told);
        frame.grid_y(&mut out, |share| format!("{:.0}%", share * 100.0));
        for (lane, (place, row)) in self.rows.iter().enumerate() {
            let count = row.arrivals.len() as f64;
            let mut points = vec![(frame.x(0.0), frame.y(0.0))];
            points.extend(
                arrivals(row)
                    .enumerate()
                    .map(|(n, (at, _))| (frame.x(at), frame.y((n + 1) as f64 / count))),
            );
            line(&mut out, *place, &points, true);
            let middle = points.get(points.len() / 2).copied();
            marks(&mut out, *place, 4.0, middle.as_slice());
            ticks(&mut out, &frame, *place, row, frame.floor() + 16.0 + LANE * lane as f64);
        }
        frame.bottom = 46.0;
        frame.grid_x(&mut out, "since the request was to be sent", words::seconds);
        out.push_str("</svg>");
        out
    }

    pub(super) fn table(&self, data: &Data<'_>) -> Table {
        let mut table = Table::new(&[
            "target",
            "#pieces",
            "#first",
            "#half",
            "#last",
            "#longest gap",
            "#reasoning",
            "#text",
            "#calls",
        ]);
        for (place, row) in &self.rows {
            let times: Vec<f64> = arrivals(row).map(|(at, _)| at).collect();
            let gap = times
                .windows(2)
                .filter_map(|two| Some(two.last()? - two.first()?))
                .fold(0.0, f64::max);
            let kind = |what: What| {
                let n = row.arrivals.iter().filter(|arrival| arrival.what == what).count();
                Cell::number(n.to_string(), n as f64)
            };
            let at = |time: Option<&f64>| {
                time.map_or(Cell::text(words::NONE), |time| {
                    Cell::number(words::seconds(*time), *time)
                })
            };
            table.row(vec![
                Cell::text(data.names.get(*place).copied().unwrap_or_default()),
                Cell::number(times.len().to_string(), times.len() as f64),
                at(times.first()),
                at(times.get(times.len() / 2)),
                at(times.last()),
                at(Some(&gap)),
                kind(What::Reasoning),
                kind(What::Text),
                kind(What::Call),
            ]);
        }
        table
    }
}

/// Seconds from the intended instant, and of what kind.
fn arrivals(row: &Row) -> impl Iterator<Item = (f64, What)> + '_ {
    row.arrivals
        .iter()
        .map(|arrival| (arrival.at_us.saturating_sub(row.intended_us) as f64 / 1e6, arrival.what))
}

/// A stroke an arrival: reasoning short, text longer, calls longest.
fn ticks(out: &mut String, frame: &Frame, place: usize, row: &Row, y: f64) {
    marks(out, place, 3.0, &[(frame.left - 9.0, y + 4.0)]);
    for (what, tall) in [(What::Reasoning, 4.0), (What::Text, 8.0), (What::Call, 12.0)] {
        let of_kind =
            arrivals(row).filter(|(_, kind)| *kind == what).map(|(at, _)| (frame.x(at), y));
        let points = thinned(of_kind.collect(), 400);
        if points.is_empty() {
            continue;
        }
        out.push_str("<path class=\"axis\" d=\"");
        for (x, y) in points {
            put!(out, "M{x:.1} {:.1}v{tall:.0}", y + 4.0 - tall / 2.0);
        }
        out.push_str("\"/>");
    }
}
