//! What the pictures are made of: rows by column, in the order of the report's columns.

use crate::faces::view::{Columns, Places};
use crate::measure;
use crate::report::Report;
use crate::row::{CAPTURED, Row};

pub(super) struct Data<'a> {
    /// The columns' names, the baseline first.
    pub(super) names: Vec<&'a str>,
    /// Rows that count, with the place of their column.
    pub(super) rows: Vec<(usize, &'a Row)>,
    /// The column that was captured: its times are of another run.
    pub(super) captured: Option<usize>,
}

/// A column's values.
pub(super) type Values = Vec<f64>;

impl<'a> Data<'a> {
    pub(super) fn of(report: &'a Report, rows: &'a [Row]) -> Self {
        let columns = Columns::of(report);
        let names: Vec<&str> = columns.all().map(|target| target.target.as_str()).collect();
        let places = Places::of(report);
        let captured = names.iter().position(|name| *name == CAPTURED);
        let rows = rows.iter().filter(|row| !row.warmup);
        let rows = rows.filter_map(|row| Some((places.place(row)?, row))).collect();
        Self { names, rows, captured }
    }

    pub(super) fn good(&self) -> impl Iterator<Item = (usize, &'a Row)> + '_ {
        self.rows.iter().copied().filter(|(_, row)| row.is_good())
    }

    /// Each column's values of a metric, sorted.
    pub(super) fn sorted(&self, metric: &str) -> Vec<Values> {
        let mut all = vec![Values::new(); self.names.len()];
        for (place, row) in self.good() {
            let value = metric_of(row, metric);
            if let (Some(values), Some(value)) = (all.get_mut(place), value) {
                values.push(value);
            }
        }
        for values in &mut all {
            values.sort_by(f64::total_cmp);
        }
        all
    }
}

/// A metric of a row, where it is a number.
pub(super) fn metric_of(row: &Row, metric: &str) -> Option<f64> {
    let value = measure::metric(metric).and_then(|metric| (metric.value)(&row.metrics));
    value.filter(|value| value.is_finite())
}
