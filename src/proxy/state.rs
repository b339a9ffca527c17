//! What every request reads: one immutable snapshot, swapped whole on reload, and the few counters that outlive it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::config::settings::Settings;
use crate::observe::prices::PricesInForce;
use crate::observe::queue::Queue;
use crate::proxy::ids::Ids;
use crate::proxy::runs::Runs;
use crate::route::table::{Entry, Served, Table};
use crate::store::Counters as StoreCounters;
use crate::telemetry::instruments::{Configured, Gauge, Telemetry, Within};
use crate::telemetry::metrics::Metric;
use crate::upstream::client::Client;
use crate::upstream::provider::{Model, Provider};

/// Workers that serve a run of replays, beside those that serve traffic.
pub const RUN_WORKERS: usize = 2;

/// Everything that lives as long as the process.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    pub queue: Arc<Queue>,
    pub telemetry: Arc<Telemetry>,
    workers: usize,
    /// Requests between head and end; what a drain waits for.
    in_flight: AtomicUsize,
    draining: AtomicBool,
    /// Models learnt from providers, by provider id. Written by discovery; taken before the snapshot is replaced.
    learned: Mutex<LearnedModels>,
    /// Told of each new configuration; discovery waits for it.
    pub replaced: Notify,
    pub connections: AtomicU64,
    /// What providers handed out, for the calls that come back for it.
    pub ids: Arc<Ids>,
    /// Runs of replays that were asked for over the operations API.
    pub runs: Runs,
    /// What the observer prices by; follows the configuration.
    prices: Arc<PricesInForce>,
}

/// What discovery found out, by provider id.
pub type LearnedModels = HashMap<Arc<str>, Learned>;

/// What discovery found out about one provider.
#[derive(Debug, Clone)]
pub enum Learned {
    Models(Vec<Model>),
    /// The reason it failed, for `/v1/models` and `/api/providers`.
    Failed(String),
}

/// One configuration, ready to serve. Running requests keep the one they began with.
pub struct Snapshot {
    pub settings: Arc<Settings>,
    pub table: Table,
    /// By worker, then by provider in the table's order.
    clients: Arc<Vec<Vec<Arc<Client>>>>,
    pub learned: LearnedModels,
    /// Places for requests, gateway-wide.
    pub places: Arc<Semaphore>,
    /// Places per provider, where one has a limit.
    provider_places: Arc<Vec<Option<Arc<Semaphore>>>>,
    /// Requests in flight, by provider.
    in_flight: Arc<Vec<Gauge>>,
    /// Buffered request bytes, in KiB.
    pub buffered_kib: Arc<Semaphore>,
    /// The value of `x-pinhole-instance`.
    instance: Option<HeaderValue>,
}

impl Snapshot {
    fn new(
        settings: Settings,
        workers: usize,
        learned: LearnedModels,
        telemetry: &Telemetry,
    ) -> Self {
        telemetry.configure(configured(&settings));
        let in_flight = settings.providers.iter().map(|provider| {
            if provider.disabled {
                Gauge::default()
            } else {
                telemetry.gauge(Metric::InFlight, &[&provider.id])
            }
        });
        // A run's connections are its own: they end with it, and no traffic is on them.
        let clients = (0..workers + RUN_WORKERS)
            .map(|_| settings.providers.iter().map(|one| Arc::new(Client::new(one))).collect())
            .collect();
        let provider_places = settings
            .providers
            .iter()
            .map(|provider| provider.in_flight_max.map(|max| Arc::new(Semaphore::new(max))))
            .collect();
        let kib = usize::try_from(settings.limits.buffered_bytes_max / 1024).unwrap_or(usize::MAX);
        let instance = settings.server.instance.as_deref();
        Self {
            instance: instance.and_then(|name| HeaderValue::from_str(name).ok()),
            table: table(&settings, &learned),
            clients: Arc::new(clients),
            learned,
            places: Arc::new(Semaphore::new(permits(settings.limits.in_flight_max))),
            provider_places: Arc::new(provider_places),
            in_flight: Arc::new(in_flight.collect()),
            buffered_kib: Arc::new(Semaphore::new(permits(kib))),
            settings: Arc::new(settings),
        }
    }

    /// Counts go on where their limit is the same, so that running requests keep their places in them.
    fn keep_counts(&mut self, before: &Self) {
        let (new, old) = (&self.settings, &before.settings);
        if new.limits.in_flight_max == old.limits.in_flight_max {
            self.places = Arc::clone(&before.places);
        }
        if new.limits.buffered_bytes_max == old.limits.buffered_bytes_max {
            self.buffered_kib = Arc::clone(&before.buffered_kib);
        }
        let same = |new: &Provider, old: &Provider| {
            new.id == old.id && new.in_flight_max == old.in_flight_max
        };
        let places = new.providers.iter().zip(self.provider_places.iter());
        let kept = places.map(|(provider, fresh)| {
            let mut earlier = old.providers.iter();
            let at = earlier.position(|old| same(provider, old));
            let earlier = at.and_then(|at| before.provider_places(at));
            earlier.or(fresh.as_ref()).cloned()
        });
        self.provider_places = Arc::new(kept.collect());
    }

    /// The same configuration with what discovery has learnt since; connections and counts stay.
    fn relearned(&self, learned: LearnedModels) -> Self {
        Self {
            instance: self.instance.clone(),
            settings: Arc::clone(&self.settings),
            table: table(&self.settings, &learned),
            clients: Arc::clone(&self.clients),
            learned,
            places: Arc::clone(&self.places),
            provider_places: Arc::clone(&self.provider_places),
            in_flight: Arc::clone(&self.in_flight),
            buffered_kib: Arc::clone(&self.buffered_kib),
        }
    }

    pub fn instance(&self) -> Option<&HeaderValue> {
        self.instance.as_ref()
    }

    pub fn provider(&self, at: usize) -> Option<&Arc<Provider>> {
        self.settings.providers.get(at)
    }

    pub fn client(&self, worker: usize, provider: usize) -> Option<&Arc<Client>> {
        self.clients.get(worker)?.get(provider)
    }

    pub fn clients_of(&self, worker: usize) -> &[Arc<Client>] {
        self.clients.get(worker).map_or(&[], Vec::as_slice)
    }

    pub fn provider_places(&self, provider: usize) -> Option<&Arc<Semaphore>> {
        self.provider_places.get(provider)?.as_ref()
    }

    /// Counts a request at a provider until the returned value is dropped.
    pub fn enter_provider(&self, provider: usize) -> Option<Within> {
        self.in_flight.get(provider).map(Gauge::enter)
    }

    /// What is known of a provider's models: configured, or learnt.
    pub fn models<'a>(&'a self, provider: &'a Provider) -> &'a [Model] {
        match self.learned.get(&provider.id) {
            Some(Learned::Models(models)) if provider.models.is_empty() => models,
            _ => &provider.models,
        }
    }
}

/// Whether these settings have that provider at the same address.
fn has(settings: &Settings, asked: &Provider) -> bool {
    let mut providers = settings.providers.iter();
    providers.any(|own| own.id == asked.id && own.base_url == asked.base_url)
}

/// The providers that take requests, with the labels of their keys: what metrics may name.
fn configured(settings: &Settings) -> Configured {
    let enabled = settings.providers.iter().filter(|provider| !provider.disabled);
    let keys =
        |provider: &Provider| provider.keys.iter().map(|key| Arc::clone(&key.label)).collect();
    Configured(enabled.map(|provider| (Arc::clone(&provider.id), keys(provider))).collect())
}

/// Limit: what a semaphore can count.
fn permits(wanted: usize) -> usize {
    wanted.min(Semaphore::MAX_PERMITS)
}

/// The routing table over configured and learnt models.
pub fn table(settings: &Settings, learned: &LearnedModels) -> Table {
    let served =
        |model: &Model| Served { id: Arc::from(model.id.as_str()), aliases: model.aliases.clone() };
    let entries = settings
        .providers
        .iter()
        .map(|provider| {
            let found = match learned.get(&provider.id) {
                Some(Learned::Models(models)) if provider.models.is_empty() => Some(models),
                _ => None,
            };
            let models = found.unwrap_or(&provider.models);
            Entry {
                id: Arc::clone(&provider.id),
                preset: provider.preset.clone(),
                flags: provider.flags,
                preference: provider.preference,
                disabled: provider.disabled,
                models: models.iter().map(served).collect(),
                open: provider.models.is_empty() && found.is_none_or(Vec::is_empty),
            }
        })
        .collect();
    Table::new(entries, settings.rules.clone())
}

impl Shared {
    pub fn new(
        settings: Settings,
        workers: usize,
        queue: Arc<Queue>,
        prices: Arc<PricesInForce>,
        telemetry: Arc<Telemetry>,
    ) -> Arc<Self> {
        let snapshot = Snapshot::new(settings, workers, HashMap::new(), &telemetry);
        let runs = Runs::new(telemetry.gauge(Metric::ReplayRunning, &[]));
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            queue,
            telemetry,
            workers,
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            learned: Mutex::new(HashMap::new()),
            replaced: Notify::new(),
            connections: AtomicU64::new(0),
            ids: Arc::default(),
            runs,
            prices,
        })
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The numbers of the workers that serve a run of replays.
    pub fn run_workers(&self) -> std::ops::Range<usize> {
        self.workers..self.workers + RUN_WORKERS
    }

    /// What the store counts; `None`: nothing is kept.
    pub fn store(&self) -> Option<&Arc<StoreCounters>> {
        self.queue.store()
    }

    /// Puts a new configuration in force for requests that begin from now on. What was learnt from a provider stays
    /// where the provider stays: same id, same address.
    pub fn replace(&self, settings: Settings) {
        // Held until the snapshot is stored: of two changes at once neither is lost.
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();
        learned.retain(|id, _| {
            let mut asked = current.settings.providers.iter();
            let asked = asked.find(|provider| provider.id == *id);
            asked.is_some_and(|asked| has(&settings, asked))
        });
        self.prices.replace(Arc::clone(&settings.prices.book));
        self.queue.rules().replace(Arc::clone(&settings.capture.rules));
        let mut next = Snapshot::new(settings, self.workers, learned.clone(), &self.telemetry);
        next.keep_counts(&current);
        self.snapshot.store(Arc::new(next));
        self.replaced.notify_one();
    }

    /// Takes in what discovery found out about one provider, unless it has gone or moved since it was asked.
    pub fn learn(&self, asked: &Provider, found: Learned) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();
        if !has(&current.settings, asked) {
            return;
        }
        learned.insert(Arc::clone(&asked.id), found);
        self.snapshot.store(Arc::new(current.relearned(learned.clone())));
    }

    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Counts a request until the returned value is dropped.
    pub fn enter(self: &Arc<Self>) -> Entered {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        Entered(Arc::clone(self))
    }
}

/// One request in flight.
pub struct Entered(Arc<Shared>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a request holds until its end, and gives back exactly once.
#[derive(Default)]
pub struct Places {
    pub entered: Option<Entered>,
    pub gateway: Option<OwnedSemaphorePermit>,
    pub provider: Option<OwnedSemaphorePermit>,
    /// Counted at the provider, for metrics.
    pub counted: Option<Within>,
    /// Given back as soon as the request has been sent.
    pub buffered: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub fn give_back(&mut self) {
        *self = Self::default();
    }
}
