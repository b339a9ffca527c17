//! The instruments: made of the table, handed out as handles, gathered for a scrape.
//!
//! Handing out costs a lock and a look-up, adding to a handle costs an atomic or two: whoever counts often keeps its
//! handles. All handles stay valid when the configuration changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::base::clock;
use crate::telemetry::buckets;
use crate::telemetry::cardinality::{Admission, Budget};
use crate::telemetry::exemplar::{Exemplar, Origin as Example, Slots};
use crate::telemetry::metrics::{FROM_START, Kind, Metric, Origin, PROCESS, TABLE};
use crate::telemetry::series::{Distribution, Family, Point, Value};

/// Limit: a time that passes for one, in microseconds. Longer ones come from a defect, and would spoil every sum.
pub const DURATION_MAX_US: u64 = 7 * 24 * 3_600 * 1_000_000;

/// The table does not register; a defect of the table.
#[derive(Debug, thiserror::Error)]
#[error("metric {name} cannot be registered: {reason}")]
pub struct Unregistered {
    name: &'static str,
    reason: String,
}

/// All instruments of one gateway.
pub struct Telemetry {
    registry: Registry,
    /// By metric, in the order of the table.
    vectors: Vec<Vector>,
    budget: Mutex<Budget>,
    /// Exemplars of each histogram that was handed out. Written when a handle is made, read by scrapes.
    exemplars: Mutex<HashMap<(Metric, Vec<String>), Slots>>,
    watched: Mutex<Vec<Watched>>,
    configured: Mutex<Arc<Configured>>,
    /// Rises with each new configuration, so that keepers of handles notice.
    generation: AtomicU64,
    /// Values that no instrument took, because they cannot be true.
    implausible: Arc<AtomicU64>,
}

/// A counter kept elsewhere.
struct Watched {
    gauge: Gauge,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// What stands in the configuration: providers, each with the labels of its keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Configured(pub BTreeMap<Arc<str>, BTreeSet<Arc<str>>>);

/// The library's instrument of one metric.
enum Vector {
    Counter(IntCounterVec),
    /// Also for counters that are watched: they are set, not added to.
    Gauge(IntGaugeVec),
    Histogram(HistogramVec, &'static [f64]),
}

/// A counter under one set of labels.
#[derive(Clone, Default)]
pub struct Counter {
    inner: Option<prometheus::IntCounter>,
    /// It stands for more than was asked for.
    pub collapsed: bool,
}

/// A gauge under one set of labels.
#[derive(Clone, Default)]
pub struct Gauge {
    inner: Option<prometheus::IntGauge>,
}

/// A histogram under one set of labels.
#[derive(Clone, Default)]
pub struct Histogram {
    inner: Option<prometheus::Histogram>,
    bounds: &'static [f64],
    exemplars: Slots,
    pub collapsed: bool,
}

impl Telemetry {
    /// `series_max` bounds the time series of all metrics together.
    pub fn new(series_max: usize) -> Result<Arc<Self>, Unregistered> {
        let registry = Registry::new();
        let mut vectors = Vec::with_capacity(TABLE.len());
        for declaration in TABLE {
            let vector = Vector::new(declaration.metric).and_then(|vector| {
                registry.register(vector.collector())?;
                Ok(vector)
            });
            vectors.push(vector.map_err(|error| Unregistered {
                name: declaration.name,
                reason: error.to_string(),
            })?);
        }
        process_metrics(&registry)
            .map_err(|error| Unregistered { name: "process_*", reason: error.to_string() })?;
        let telemetry = Self {
            registry,
            vectors,
            budget: Mutex::new(Budget::new(series_max)),
            exemplars: Mutex::default(),
            watched: Mutex::default(),
            configured: Mutex::default(),
            generation: AtomicU64::new(0),
            implausible: Arc::default(),
        };
        telemetry.begin();
        Ok(Arc::new(telemetry))
    }

    /// What is there before anything happened.
    fn begin(&self) {
        for (metric, values) in FROM_START {
            match metric.declaration().origin {
                Origin::Exchanges | Origin::Runs => self.counter(*metric, values).add(0),
                Origin::Watched | Origin::Set => self.gauge(*metric, values).set(0),
            }
        }
        self.gauge(Metric::BuildInfo, &[env!("CARGO_PKG_VERSION")]).set(1);
        self.gauge(Metric::StartTime, &[]).set(clock::wall_us() / 1_000_000);
        self.gauge(Metric::Series, &[]).set(0);
        let implausible = Arc::clone(&self.implausible);
        self.watch(Metric::ObservationsLost, &["value", "implausible"], move || {
            implausible.load(Ordering::Relaxed)
        });
    }

    /// The counter of these label values, or of those that stand for them.
    pub fn counter(&self, metric: Metric, values: &[&str]) -> Counter {
        let Some(Vector::Counter(vector)) = self.vectors.get(metric as usize) else {
            debug_assert!(false, "{metric:?} is not added to");
            return Counter::default();
        };
        let Admission { values, collapsed } = lock(&self.budget).admit(metric, values);
        Counter { inner: made(metric, vector.get_metric_with_label_values(&values)), collapsed }
    }

    /// The gauge of exactly these label values; past the budget it takes values and shows none.
    pub fn gauge(&self, metric: Metric, values: &[&str]) -> Gauge {
        let Some(Vector::Gauge(vector)) = self.vectors.get(metric as usize) else {
            debug_assert!(false, "{metric:?} is not set");
            return Gauge::default();
        };
        if !lock(&self.budget).try_exactly(metric, values) {
            return Gauge::default();
        }
        Gauge { inner: made(metric, vector.get_metric_with_label_values(values)) }
    }

    pub fn histogram(&self, metric: Metric, values: &[&str]) -> Histogram {
        let Some(Vector::Histogram(vector, bounds)) = self.vectors.get(metric as usize) else {
            debug_assert!(false, "{metric:?} is no histogram");
            return Histogram::default();
        };
        let Admission { values, collapsed } = lock(&self.budget).admit(metric, values);
        let inner = made(metric, vector.get_metric_with_label_values(&values));
        let place = (metric, values.into_iter().map(str::to_owned).collect());
        let exemplars = lock(&self.exemplars).entry(place).or_default().clone();
        Histogram { inner, bounds, exemplars, collapsed }
    }

    /// From now on each scrape reads this series from `read`. The last watcher of a series is the one that counts.
    pub fn watch(
        &self,
        metric: Metric,
        values: &[&str],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let gauge = self.gauge(metric, values);
        lock(&self.watched).push(Watched { gauge, read: Box::new(read) });
    }

    /// Takes note of the providers in force: new ones are up, and those that are gone have no state any more.
    pub fn configure(&self, providers: Configured) {
        let mut configured = lock(&self.configured);
        for (provider, keys) in &configured.0 {
            let stays = providers.0.get(provider);
            if stays.is_none() {
                self.remove(Metric::ProviderUp, &[provider]);
                for metric in [Metric::RateLimit, Metric::RateLimitRemaining] {
                    for kind in ["requests", "tokens"] {
                        self.remove(metric, &[provider, kind]);
                    }
                }
            }
            for key in keys {
                if stays.is_none_or(|keys| !keys.contains(key)) {
                    self.remove(Metric::KeyUp, &[provider, key]);
                }
            }
        }
        for (provider, keys) in &providers.0 {
            let known = configured.0.get(provider);
            if known.is_none() {
                self.gauge(Metric::ProviderUp, &[provider]).set(1);
            }
            for key in keys {
                if known.is_none_or(|keys| !keys.contains(key)) {
                    self.gauge(Metric::KeyUp, &[provider, key]).set(1);
                }
            }
        }
        *configured = Arc::new(providers);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub fn configured(&self) -> Arc<Configured> {
        Arc::clone(&lock(&self.configured))
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What the series of a gauge stand at, each with its label values in the order of their declaration. Only what is
    /// set is current; what is watched is as the last scrape read it.
    pub fn standing(&self, metric: Metric) -> Vec<(Vec<String>, f64)> {
        let Some(Vector::Gauge(vector)) = self.vectors.get(metric as usize) else {
            debug_assert!(false, "{metric:?} is not set");
            return Vec::new();
        };
        let labels = metric.declaration().labels;
        let mut standing = Vec::new();
        for series in vector.collect().iter().flat_map(|family| family.get_metric()) {
            let value = |label: &str| {
                let pair = series.get_label().iter().find(|pair| pair.name() == label);
                pair.map(|pair| pair.value().to_owned()).unwrap_or_default()
            };
            let values = labels.iter().map(|label| value(label)).collect();
            standing.push((values, series.get_gauge().get_value()));
        }
        standing
    }

    fn remove(&self, metric: Metric, values: &[&str]) {
        if let Some(Vector::Gauge(vector)) = self.vectors.get(metric as usize)
            && vector.remove_label_values(values).is_ok()
        {
            lock(&self.budget).forget(metric, values);
        }
    }

    /// A value that cannot be true was met, and left out.
    pub(crate) fn note_implausible(&self) {
        self.implausible.fetch_add(1, Ordering::Relaxed);
    }

    /// All series as they stand.
    pub fn gather(&self) -> Vec<Family> {
        for watched in lock(&self.watched).iter() {
            watched.gauge.set((watched.read)());
        }
        let gathered = self.registry.gather();
        let exemplars = lock(&self.exemplars);
        let mut families: Vec<Family> =
            gathered.iter().filter_map(|family| plain(family, &exemplars)).collect();
        drop(exemplars);
        let series: usize = families.iter().map(Family::series).sum();
        let own = Metric::Series.declaration().name;
        for family in families.iter_mut().filter(|family| family.name == own) {
            for point in &mut family.points {
                point.value = Value::Number(series as f64);
            }
        }
        families
    }
}

impl Vector {
    fn new(metric: Metric) -> prometheus::Result<Self> {
        let declaration = metric.declaration();
        let (name, help, labels) = (declaration.name, declaration.help, declaration.labels);
        Ok(match (declaration.kind, declaration.origin) {
            (Kind::Histogram(bounds), _) => {
                let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
                Self::Histogram(HistogramVec::new(options, labels)?, bounds)
            }
            (Kind::Counter | Kind::Money, Origin::Exchanges | Origin::Runs) => {
                Self::Counter(IntCounterVec::new(Opts::new(name, help), labels)?)
            }
            (Kind::Counter | Kind::Money | Kind::Gauge, _) => {
                Self::Gauge(IntGaugeVec::new(Opts::new(name, help), labels)?)
            }
        })
    }

    fn collector(&self) -> Box<dyn Collector> {
        match self {
            Self::Counter(vector) => Box::new(vector.clone()),
            Self::Gauge(vector) => Box::new(vector.clone()),
            Self::Histogram(vector, _) => Box::new(vector.clone()),
        }
    }
}

#[cfg(target_os = "linux")]
fn process_metrics(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn process_metrics(_registry: &Registry) -> prometheus::Result<()> {
    Ok(())
}

/// The library refuses only what the table rules out: another number of labels.
fn made<T>(metric: Metric, made: prometheus::Result<T>) -> Option<T> {
    debug_assert!(made.is_ok(), "{metric:?}: {:?}", made.as_ref().err());
    made.ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counter {
    pub fn add(&self, count: u64) {
        if let Some(inner) = &self.inner {
            inner.inc_by(count);
        }
    }
}

impl Gauge {
    /// Values over what a gauge holds are shown as the largest it does.
    pub fn set(&self, value: u64) {
        if let Some(inner) = &self.inner {
            inner.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    pub fn up(&self) {
        if let Some(inner) = &self.inner {
            inner.inc();
        }
    }

    pub fn down(&self) {
        if let Some(inner) = &self.inner {
            inner.dec();
        }
    }

    /// One up, until the returned value is dropped.
    #[must_use]
    pub fn enter(&self) -> Within {
        self.up();
        Within(self.clone())
    }
}

/// One that a gauge counts as long as it lives.
pub struct Within(Gauge);

impl Drop for Within {
    fn drop(&mut self) {
        self.0.down();
    }
}

impl Histogram {
    /// Takes a time in; `example` is the exchange it belongs to, where its trace is kept. Seconds are finite and not
    /// negative: [`crate::telemetry::record`] sees to that.
    pub fn observe(&self, seconds: f64, example: Option<Example>) {
        let Some(inner) = &self.inner else { return };
        inner.observe(seconds);
        if let Some(origin) = example {
            let bucket = buckets::index(self.bounds, seconds);
            self.exemplars.put(bucket, Exemplar { origin, value: seconds });
        }
    }
}

/// From the library's form to plain values. What is not declared is not shown.
fn plain(
    family: &MetricFamily,
    exemplars: &HashMap<(Metric, Vec<String>), Slots>,
) -> Option<Family> {
    let declared = TABLE.iter().find(|declaration| declaration.name == family.name());
    let (name, kind, help) = match declared {
        Some(one) => (one.name, one.kind, one.help),
        None => PROCESS.iter().copied().find(|(name, ..)| *name == family.name())?,
    };
    let point = |metric: &prometheus::proto::Metric| {
        let pairs = metric.get_label().iter();
        let mut labels: Vec<(String, String)> =
            pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect();
        if let Some(declared) = declared {
            // The library sorts them by name.
            let place = |name: &str| declared.labels.iter().position(|label| *label == name);
            labels.sort_by_key(|(name, _)| place(name));
        }
        let value = match (kind, declared) {
            (Kind::Histogram(_), Some(declared)) => {
                let values = labels.iter().map(|(_, value)| value.clone()).collect();
                let slots = exemplars.get(&(declared.metric, values));
                Value::Distribution(distribution(metric, slots))
            }
            // One of the two holds the value, by how the instrument is kept; the other is zero.
            (Kind::Money, _) => Value::Number(metric.get_counter().get_value() / 1e9),
            _ => Value::Number(metric.get_counter().get_value() + metric.get_gauge().get_value()),
        };
        Point { labels, value }
    };
    Some(Family { name, help, kind, points: family.get_metric().iter().map(point).collect() })
}

fn distribution(metric: &prometheus::proto::Metric, slots: Option<&Slots>) -> Distribution {
    let histogram = metric.get_histogram();
    let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    Distribution {
        buckets: finite.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect(),
        sum: histogram.get_sample_sum(),
        count: histogram.get_sample_count(),
        exemplars: slots.map(Slots::all).unwrap_or_default(),
    }
}
