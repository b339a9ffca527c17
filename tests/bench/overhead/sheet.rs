//! All figures of a run, by round, contender, load and name; and the sums that turn them into columns.

use std::collections::BTreeMap;

/// `part / whole`, zero where there is no whole.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The value in microseconds that `part` of the sorted nanoseconds do not exceed (nearest rank).
pub(crate) fn percentile_us(sorted_ns: &[u64], part: f64) -> Option<f64> {
    let rank = (sorted_ns.len() as f64 * part).ceil();
    let place = std::time::Duration::try_from_secs_f64(rank).ok()?.as_secs() as usize;
    let value = sorted_ns.get(place.saturating_sub(1))?;
    Some(*value as f64 / 1e3)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, least, most })
    }
}

/// How a figure becomes a column. Whatever is compared is compared within one round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// The figure itself.
    Plain,
    /// Less the same figure of `direct`.
    Added,
    /// Less the same figure of the floor.
    OverFloor,
    /// Divided by the same figure of the floor.
    TimesFloor,
    /// Divided by the same figure of Pinhole without metering.
    TimesUnmetered,
    /// Divided by the same figure of Pinhole that captures nothing, and less that.
    TimesOff,
    OverOff,
}

/// The contender without metering.
pub(crate) const UNMETERED: &str = "pinhole-unmetered";
/// The one with metering, metrics and one trace in ten, and without a store.
pub(crate) const METERED: &str = "pinhole-metered";

/// The one that captures nothing, and the one that captures all.
pub(crate) const OFF: &str = "pinhole-off";
pub(crate) const FULL: &str = "pinhole-full";

/// A column of a table, or the figure that a goal speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) load: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) form: Form,
    pub(crate) decimals: usize,
}

/// A column in one line, so that tables of them read as tables.
pub(crate) const fn column(
    title: &'static str,
    load: &'static str,
    figure: &'static str,
    form: Form,
    decimals: usize,
) -> Column {
    Column { title, load, figure, form, decimals }
}

pub(crate) struct Sheet {
    /// By round, contender, load and figure.
    cells: BTreeMap<(usize, String, String, String), f64>,
    pub(crate) rounds: usize,
    pub(crate) contenders: Vec<String>,
}

impl Sheet {
    pub(crate) fn new(contenders: Vec<String>) -> Self {
        Self { cells: BTreeMap::new(), rounds: 0, contenders }
    }

    pub(crate) fn put(
        &mut self,
        round: usize,
        contender: &str,
        load: &str,
        figures: &[(&'static str, f64)],
    ) {
        self.rounds = self.rounds.max(round + 1);
        for (figure, value) in figures {
            let key = (round, contender.to_owned(), load.to_owned(), (*figure).to_owned());
            self.cells.insert(key, *value);
        }
    }

    fn at(&self, round: usize, contender: &str, column: &Column) -> Option<f64> {
        let key = (round, contender.to_owned(), column.load.to_owned(), column.figure.to_owned());
        self.cells.get(&key).copied()
    }

    /// `column` for `contender` over all rounds.
    pub(crate) fn spread(&self, contender: &str, column: &Column) -> Option<Spread> {
        let values = (0..self.rounds).filter_map(|round| self.formed(round, contender, column));
        Spread::of(values.collect())
    }

    fn formed(&self, round: usize, contender: &str, column: &Column) -> Option<f64> {
        let of = |name: &str| self.at(round, name, column);
        let own = of(contender)?;
        let times = |name| of(name).filter(|other| *other > 0.0).map(|other| own / other);
        match column.form {
            Form::Plain => Some(own),
            // Direct is what others are compared with, not somebody to compare.
            _ if contender == "direct" => None,
            Form::Added => Some(own - of("direct")?),
            Form::OverFloor => Some(own - of("floor")?),
            Form::OverOff => Some(own - of(OFF)?),
            Form::TimesFloor => times("floor"),
            Form::TimesUnmetered => times(UNMETERED),
            Form::TimesOff => times(OFF),
        }
    }

    /// Every value of one figure, whatever the round, contender and load.
    pub(crate) fn everywhere(&self, figure: &str) -> Vec<f64> {
        let named = self.cells.iter().filter(|((.., name), _)| name == figure);
        named.map(|(_, value)| *value).collect()
    }

    /// The sum of one figure of `contender` over all loads and rounds.
    pub(crate) fn total(&self, contender: &str, figure: &str) -> f64 {
        let cells = self.cells.iter();
        cells
            .filter(|((_, who, _, name), _)| who == contender && name == figure)
            .map(|(_, value)| *value)
            .sum()
    }

    /// `[{"contender", "load", "rounds": [{figure: value}]}]`
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut groups: BTreeMap<(&str, &str), Vec<serde_json::Map<String, serde_json::Value>>> =
            BTreeMap::new();
        for ((round, contender, load, figure), value) in &self.cells {
            let rounds = groups.entry((contender, load)).or_default();
            rounds.resize_with(rounds.len().max(round + 1), Default::default);
            rounds[*round].insert(figure.clone(), serde_json::json!(value));
        }
        groups
            .into_iter()
            .map(|((contender, load), rounds)| {
                serde_json::json!({"contender": contender, "load": load, "rounds": rounds})
            })
            .collect()
    }
}
