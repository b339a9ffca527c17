//! What the traffic cost, as three tell it: the records one by one, the counters of `/metrics`, the roll-ups of the store.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::clock;
use crate::neutral::usage::UsageSource;
use crate::store::reader::Reader;
use crate::store::rollup::Measure;
use crate::store::usage::{Ask, By};
use crate::telemetry::metrics::Metric;
use crate::telemetry::series::{Family, Point, Value};

use super::record::{Metered, Record};

/// An hour, in microseconds: reports are of whole hours, and the one that runs belongs to them.
const HOUR_US: i64 = 3_600_000_000;

/// Sums by model, as metrics name it, and by what is added up. Nothing is not noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bill(BTreeMap<(String, Item), u64>);

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Exchanges,
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Reasoning,
    EstimatedInput,
    EstimatedOutput,
    /// In nanodollars.
    Cost,
}

impl Item {
    const ALL: [Self; 9] = [
        Self::Exchanges,
        Self::Input,
        Self::Output,
        Self::CacheRead,
        Self::CacheWrite,
        Self::Reasoning,
        Self::EstimatedInput,
        Self::EstimatedOutput,
        Self::Cost,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Exchanges => "exchanges",
            Self::Input => "input tokens",
            Self::Output => "output tokens",
            Self::CacheRead => "tokens read from a cache",
            Self::CacheWrite => "tokens written to a cache",
            Self::Reasoning => "tokens of reasoning",
            Self::EstimatedInput => "estimated input tokens",
            Self::EstimatedOutput => "estimated output tokens",
            Self::Cost => "nanodollars",
        }
    }

    /// Its column in the roll-ups.
    fn measure(self) -> Measure {
        match self {
            Self::Exchanges => Measure::Requests,
            Self::Input => Measure::Input,
            Self::Output => Measure::Output,
            Self::CacheRead => Measure::CacheRead,
            Self::CacheWrite => Measure::CacheWrite,
            Self::Reasoning => Measure::Reasoning,
            Self::EstimatedInput => Measure::EstimatedInput,
            Self::EstimatedOutput => Measure::EstimatedOutput,
            Self::Cost => Measure::Cost,
        }
    }

    /// What a series of tokens counts.
    fn of_labels(kind: &str, source: &str) -> Option<Self> {
        let estimated = source == UsageSource::Estimated.label();
        match (kind, estimated) {
            ("input", false) => Some(Self::Input),
            ("output", false) => Some(Self::Output),
            ("cache_read", false) => Some(Self::CacheRead),
            ("cache_write", false) => Some(Self::CacheWrite),
            ("reasoning", false) => Some(Self::Reasoning),
            ("input", true) => Some(Self::EstimatedInput),
            ("output", true) => Some(Self::EstimatedOutput),
            _ => None,
        }
    }
}

impl Bill {
    /// One record after the other.
    pub(crate) fn of_records(records: &[Record]) -> Self {
        let mut bill = Self::default();
        bill.add("", Item::Exchanges, records.len() as u64);
        for metered in records.iter().flat_map(|record| &record.attempts) {
            bill.add_metered(metered);
        }
        bill
    }

    fn add_metered(&mut self, metered: &Metered) {
        let Metered { model, told, estimated, .. } = metered;
        for (item, tokens) in [
            (Item::Input, told.input),
            (Item::Output, told.output),
            (Item::CacheRead, told.cache_read),
            (Item::CacheWrite, told.cache_write),
            (Item::Reasoning, told.reasoning),
            (Item::EstimatedInput, estimated.input),
            (Item::EstimatedOutput, estimated.output),
        ] {
            self.add(model, item, tokens.unwrap_or_default());
        }
        self.add(model, Item::Cost, metered.cost.map_or(0, |cost| cost.0.unsigned_abs()));
    }

    /// What a scrape would have told at the end.
    pub(crate) fn of_metrics(families: &[Family]) -> Self {
        let mut bill = Self::default();
        let points = |metric: Metric| {
            let name = metric.declaration().name;
            families.iter().filter(move |family| family.name == name).flat_map(|own| &own.points)
        };
        for point in points(Metric::Requests) {
            bill.add("", Item::Exchanges, whole(point, 1.0));
        }
        for point in points(Metric::Tokens) {
            if let Some(item) = Item::of_labels(label(point, "type"), label(point, "source")) {
                bill.add(label(point, "model"), item, whole(point, 1.0));
            }
        }
        for point in points(Metric::Cost) {
            bill.add(label(point, "model"), Item::Cost, whole(point, 1e9));
        }
        bill
    }

    /// What `pinhole usage --by model` reads in this data directory.
    pub(crate) fn of_store(folder: &Path) -> Result<Self, String> {
        let now_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
        let until_us = now_us.saturating_add(HOUR_US);
        let ask = Ask { by: vec![By::Model], since_us: 0, until_us, limit: None };
        let reader = Reader::open(folder).map_err(|error| error.to_string())?;
        let report = reader.usage(&ask).map_err(|error| error.to_string())?;
        let mut bill = Self::default();
        for line in &report.lines {
            let model = line.group.first().map_or("", String::as_str);
            for item in Item::ALL {
                let model = if item == Item::Exchanges { "" } else { model };
                bill.add(model, item, line.sums.get(item.measure()).unsigned_abs());
            }
        }
        Ok(bill)
    }

    fn add(&mut self, model: &str, item: Item, count: u64) {
        if count > 0 {
            *self.0.entry((model.to_owned(), item)).or_default() += count;
        }
    }

    pub(crate) fn get(&self, model: &str, item: Item) -> u64 {
        self.0.get(&(model.to_owned(), item)).copied().unwrap_or_default()
    }

    /// Of all models.
    pub(crate) fn total(&self, item: Item) -> u64 {
        self.0.iter().filter(|((_, own), _)| *own == item).map(|(_, count)| count).sum()
    }

    /// What came on top of `earlier`.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut bill = Self::default();
        for ((model, item), count) in &self.0 {
            bill.add(model, *item, count.saturating_sub(earlier.get(model, *item)));
        }
        bill
    }

    /// A sentence for each sum in which `other`, told by `who`, differs.
    pub(crate) fn differences(&self, other: &Self, who: &str) -> Vec<String> {
        let mut keys: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let sentence = |(model, item): &(String, Item)| {
            let (own, told) = (self.get(model, *item), other.get(model, *item));
            let of = if model.is_empty() { String::new() } else { format!(" of {model}") };
            let words = item.words();
            (own != told).then(|| format!("the records make {own} {words}{of}, {who} {told}"))
        };
        keys.into_iter().filter_map(sentence).collect()
    }
}

fn label<'a>(point: &'a Point, name: &str) -> &'a str {
    let own = point.labels.iter().find(|(label, _)| label == name);
    own.map_or("", |(_, value)| value)
}

/// A counter's value as a whole number of parts of one.
fn whole(point: &Point, parts: f64) -> u64 {
    match point.value {
        #[expect(clippy::cast_sign_loss, reason = "counters are not negative")]
        Value::Number(value) => (value * parts).round() as u64,
        Value::Distribution(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(sums: &[(&str, Item, u64)]) -> Bill {
        let mut bill = Bill::default();
        for (model, item, count) in sums {
            bill.add(model, *item, *count);
        }
        bill
    }

    #[test]
    fn what_differs_is_told_once_with_both_numbers() {
        let own = bill(&[("a", Item::Input, 7), ("a", Item::Cost, 1), ("", Item::Exchanges, 2)]);
        assert_eq!(own.differences(&own.clone(), "the store"), Vec::<String>::new());
        let other =
            bill(&[("a", Item::Input, 7), ("b", Item::Output, 3), ("", Item::Exchanges, 1)]);
        assert_eq!(
            own.differences(&other, "the store"),
            [
                "the records make 2 exchanges, the store 1",
                "the records make 1 nanodollars of a, the store 0",
                "the records make 0 output tokens of b, the store 3",
            ]
        );
    }

    #[test]
    fn an_earlier_demo_in_the_same_store_does_not_count() {
        let earlier = bill(&[("a", Item::Input, 7), ("b", Item::Input, 1)]);
        let now = bill(&[("a", Item::Input, 9), ("b", Item::Input, 1)]);
        assert_eq!(now.since(&earlier), bill(&[("a", Item::Input, 2)]));
        assert_eq!((now.total(Item::Input), now.total(Item::Output)), (10, 0));
    }

    #[test]
    fn estimated_tokens_are_a_sum_of_their_own() {
        assert_eq!(Item::of_labels("input", "provider"), Some(Item::Input));
        assert_eq!(Item::of_labels("input", "estimated"), Some(Item::EstimatedInput));
        assert_eq!(Item::of_labels("words", "provider"), None);
    }
}
