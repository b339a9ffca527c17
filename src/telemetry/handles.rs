//! Handles kept by small ids, so that recording an exchange formats no text and looks up no label by name.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::telemetry::cardinality::OTHER;
use crate::telemetry::exemplar::Origin;
use crate::telemetry::instruments::{Counter, DURATION_MAX_US, Histogram, Telemetry};
use crate::telemetry::metrics::Metric;

/// Limit: pairs of provider and model that have ids of their own; reloads and discovery can bring ever new ones.
const PAIRS_MAX: usize = 4_096;

/// Names one series by ids: the metric, whom it belongs to, and up to two values of closed sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    metric: Metric,
    owner: u16,
    first: u16,
    second: u16,
}

impl Key {
    /// `owner`: the id of a pair, of a provider, or zero where the metric has neither.
    pub(crate) fn new(metric: Metric, owner: u16) -> Self {
        Self { metric, owner, first: 0, second: 0 }
    }

    #[must_use]
    pub(crate) fn of(self, first: u16, second: u16) -> Self {
        Self { first, second, ..self }
    }

    fn packed(self) -> u64 {
        (self.metric as u64) << 48
            | u64::from(self.owner) << 32
            | u64::from(self.first) << 16
            | u64::from(self.second)
    }
}

/// Mixes a packed key. Keys are ours, so nobody can aim at collisions.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        let mixed = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

type ByKey<T> = HashMap<u64, T, BuildHasherDefault<Mix>>;

/// The handles in use.
pub(crate) struct Handles {
    telemetry: Arc<Telemetry>,
    counters: ByKey<Counter>,
    histograms: ByKey<Histogram>,
    /// Something of the exchange under recording was counted under `other`. Emptied with each exchange.
    pub(crate) collapsed: bool,
}

impl Handles {
    pub(crate) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry,
            counters: ByKey::default(),
            histograms: ByKey::default(),
            collapsed: false,
        }
    }

    /// Adds to a counter; `labels` is asked once in its life.
    pub(crate) fn add<'a, const N: usize>(
        &mut self,
        key: Key,
        count: u64,
        labels: impl FnOnce() -> [&'a str; N],
    ) {
        let telemetry = &self.telemetry;
        let made = || telemetry.counter(key.metric, &labels());
        let counter = self.counters.entry(key.packed()).or_insert_with(made);
        counter.add(count);
        self.collapsed |= counter.collapsed;
    }

    /// Puts microseconds into a histogram, unless they cannot be true.
    pub(crate) fn observe<'a, const N: usize>(
        &mut self,
        key: Key,
        us: u64,
        example: Option<Origin>,
        labels: impl FnOnce() -> [&'a str; N],
    ) {
        if us > DURATION_MAX_US {
            self.telemetry.note_implausible();
            return;
        }
        self.observe_seconds(key, us as f64 / 1e6, example, labels);
    }

    /// As [`Self::observe`], of seconds that are known to be finite and in range.
    pub(crate) fn observe_seconds<'a, const N: usize>(
        &mut self,
        key: Key,
        seconds: f64,
        example: Option<Origin>,
        labels: impl FnOnce() -> [&'a str; N],
    ) {
        let telemetry = &self.telemetry;
        let made = || telemetry.histogram(key.metric, &labels());
        let histogram = self.histograms.entry(key.packed()).or_insert_with(made);
        histogram.observe(seconds, example);
        self.collapsed |= histogram.collapsed;
    }

    pub(crate) fn note_implausible(&self) {
        self.telemetry.note_implausible();
    }
}

/// A provider and a model's label, with their ids.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) id: u16,
    pub(crate) provider_id: u16,
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
}

/// A provider's model labels, each with the id of the pair.
type Models = HashMap<Arc<str>, u16>;

/// Gives ids to names. Names come from the configuration and from discovery, never from a client.
pub(crate) struct Names {
    pairs: Vec<Pair>,
    providers: HashMap<Arc<str>, (u16, Models)>,
    kinds: HashMap<&'static str, u16>,
    /// The pair asked for last: busy gateways ask for the same again and again.
    last: u16,
}

impl Names {
    pub(crate) fn new() -> Self {
        let mut names =
            Self { pairs: Vec::new(), providers: HashMap::new(), kinds: HashMap::new(), last: 0 };
        // The first pair stands for what has no id of its own.
        names.add(&Arc::from(OTHER), &Arc::from(OTHER));
        names
    }

    pub(crate) fn pair(&mut self, provider: &Arc<str>, model: &Arc<str>) -> &Pair {
        let known = self.pairs.get(usize::from(self.last)).is_some_and(|pair| {
            Arc::ptr_eq(&pair.provider, provider) && Arc::ptr_eq(&pair.model, model)
        });
        if !known {
            let found =
                self.providers.get(provider).and_then(|(_, models)| models.get(model).copied());
            self.last = found.unwrap_or_else(|| self.add(provider, model));
        }
        // Ids are places in the list.
        #[expect(clippy::indexing_slicing, reason = "`last` is always the id of a pair")]
        &self.pairs[usize::from(self.last)]
    }

    fn add(&mut self, provider: &Arc<str>, model: &Arc<str>) -> u16 {
        if self.pairs.len() >= PAIRS_MAX {
            return 0;
        }
        let id = u16::try_from(self.pairs.len()).unwrap_or_default();
        let next = u16::try_from(self.providers.len()).unwrap_or_default();
        let (provider_id, models) =
            self.providers.entry(Arc::clone(provider)).or_insert_with(|| (next, HashMap::new()));
        models.insert(Arc::clone(model), id);
        self.pairs.push(Pair {
            id,
            provider_id: *provider_id,
            provider: Arc::clone(provider),
            model: Arc::clone(model),
        });
        id
    }

    /// The id of a word of a closed set.
    pub(crate) fn kind(&mut self, kind: &'static str) -> u16 {
        let next = u16::try_from(self.kinds.len()).unwrap_or(u16::MAX);
        *self.kinds.entry(kind).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_have_the_same_id_whatever_holds_them() {
        let mut names = Names::new();
        let mut id = |provider: &str, model: &str| {
            let pair = names.pair(&Arc::from(provider), &Arc::from(model));
            (pair.id, pair.provider_id)
        };
        let first = id("openai", "gpt-5");
        assert_eq!(first, id("openai", "gpt-5"));
        let second = id("openai", "gpt-5-mini");
        assert!(second.0 != first.0 && second.1 == first.1);
        assert_ne!(id("azure", "gpt-5").1, first.1);
        assert_eq!(id(OTHER, OTHER), (0, 0));
    }

    #[test]
    fn ids_have_an_end() {
        let mut names = Names::new();
        let provider = Arc::from("p");
        for at in 0..PAIRS_MAX + 10 {
            names.pair(&provider, &Arc::from(format!("m{at}")));
        }
        assert_eq!(names.pairs.len(), PAIRS_MAX);
        assert_eq!(names.pair(&provider, &Arc::from("one more")).id, 0);
        assert_eq!(&*names.pair(&provider, &Arc::from("m7")).model, "m7");
    }

    #[test]
    fn keys_do_not_meet() {
        let mut seen = std::collections::HashSet::new();
        for metric in [Metric::Requests, Metric::BuildInfo] {
            for owner in [0, 1, u16::MAX] {
                for first in [0, 1, u16::MAX] {
                    for second in [0, 1, u16::MAX] {
                        assert!(seen.insert(Key::new(metric, owner).of(first, second).packed()));
                    }
                }
            }
        }
    }
}
