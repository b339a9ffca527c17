//! What `serve` observes with: the sinks in their order, and the counters of others that scrapes read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::task;
use crate::cli::{keep, logging};
use crate::config::settings::{LogLevel, Settings};
use crate::exchange::room::Room;
use crate::observe::awaited::Awaited;
use crate::observe::line::LineSink;
use crate::observe::pipe::Pipe;
use crate::observe::prices::PricesInForce;
use crate::observe::queue::Queue;
use crate::observe::rules::RulesInForce;
use crate::observe::sink::Sinks;
use crate::observe::span::{Origins, SpanSink};
use crate::price::date::Day;
use crate::proxy::state::Shared;
use crate::store::Counters as StoreCounters;
use crate::store::inbox::Handle;
use crate::store::lock::{LockError, ServeLock};
use crate::store::search::Indexer;
use crate::telemetry::counters::Counters as ExportCounters;
use crate::telemetry::instruments::Telemetry;
use crate::telemetry::metrics::Metric;

/// What is held while the gateway runs, and counts.
pub struct Observers {
    exports: Option<Arc<ExportCounters>>,
    store: Option<Arc<StoreCounters>>,
    handle: Option<Handle>,
    /// Held, not read: it ends with this.
    indexer: Option<Indexer>,
    log: Pipe,
    /// Held, not read: one gateway a data directory.
    lock: Option<ServeLock>,
}

/// Opens the store and the exporters. Order of the sinks: store, log line, spans; metrics come first, with the queue.
pub fn start(
    settings: &Settings,
    origins: &Origins,
    log: &Pipe,
) -> Result<(Sinks, Observers), LockError> {
    start_with(settings, origins, log, keep::start)
}

/// The same beside a gateway that may be running on the data directory.
pub fn beside(
    settings: &Settings,
    origins: &Origins,
    log: &Pipe,
) -> Result<(Sinks, Observers), LockError> {
    start_with(settings, origins, log, keep::beside)
}

type Open =
    fn(&Settings, &Arc<Awaited>, Arc<RulesInForce>) -> Result<Option<keep::Store>, LockError>;

fn start_with(
    settings: &Settings,
    origins: &Origins,
    log: &Pipe,
    open: Open,
) -> Result<(Sinks, Observers), LockError> {
    let mut observers = Observers {
        exports: None,
        store: None,
        handle: None,
        indexer: None,
        log: log.clone(),
        lock: None,
    };
    let room = Room::new(settings.capture.memory_bytes_max);
    let mut sinks = Sinks::default().within(room);
    let rules = RulesInForce::new(Arc::clone(&settings.capture.rules));
    // Where nothing is ever stored, nothing is held for it.
    if let Some(store) = open(settings, sinks.awaited(), Arc::clone(&rules))? {
        let keep::Store { lock, counters, handle, indexer, sink } = store;
        observers.indexer = indexer;
        observers.store = Some(counters);
        observers.handle = Some(handle);
        observers.lock = lock;
        sinks = sinks.keeping(rules).with(Box::new(sink));
    }
    if !matches!(settings.log.level, LogLevel::Error | LogLevel::Warn) {
        sinks = sinks.with(Box::new(LineSink::new(logging::form(settings.log), log.clone())));
    }
    // Last: the end of the process waits for a collector here, and nothing that is ours to keep waits behind it.
    let (sinks, exports) = with_spans(sinks, settings, origins);
    observers.exports = exports;
    Ok((sinks, observers))
}

/// Adds the sink of spans and metrics by OTLP, where something is to be exported.
pub fn with_spans(
    sinks: Sinks,
    settings: &Settings,
    origins: &Origins,
) -> (Sinks, Option<Arc<ExportCounters>>) {
    let https = settings.server.tls.is_some();
    match SpanSink::start(&settings.telemetry, https, origins.clone()) {
        Some((sink, counters)) => (sinks.with(Box::new(sink)), Some(counters)),
        None => (sinks, None),
    }
}

impl Observers {
    /// Leaves word in the data directory where the operations API is.
    pub fn leave_word(&mut self, operations: &str) {
        if let Some(Err(error)) = self.lock.as_mut().map(|lock| lock.tell(operations)) {
            tracing::warn!(%error, "`pinhole tui` will not find this gateway by its data directory");
        }
    }

    /// Lets scrapes and the operations API read what exporters, store and log count themselves.
    pub fn watch(&self, shared: &Shared) {
        let telemetry = &shared.telemetry;
        let log = self.log.clone();
        telemetry.watch(Metric::LogLinesDropped, &[], move || log.dropped());
        if let Some(counters) = &self.exports {
            watch_exports(telemetry, counters);
        }
        if let Some(counters) = &self.store {
            keep::watch(telemetry, counters);
            shared.queue.has_store(Arc::clone(counters));
        }
        if let Some(handle) = &self.handle {
            let live = Arc::clone(shared.queue.live());
            // Detached on purpose: it ends with the runtime.
            drop(task::spawn(
                "heads of running exchanges",
                keep::note_running(live, Arc::clone(shared.queue.rules()), handle.clone()),
            ));
        }
    }
}

fn watch_exports(telemetry: &Telemetry, counters: &Arc<ExportCounters>) {
    let watch = |metric, labels: [&str; 2], read: fn(&ExportCounters) -> &AtomicU64| {
        let counters = Arc::clone(counters);
        telemetry.watch(metric, &labels, move || read(&counters).load(Ordering::Relaxed));
    };
    watch(Metric::ObservationsLost, ["span", "queue_full"], |own| &own.spans_dropped_full);
    watch(Metric::ObservationsLost, ["span", "export_failed"], |own| &own.spans_dropped_failed);
    watch(Metric::OtlpExports, ["traces", "ok"], |own| &own.trace_exports);
    watch(Metric::OtlpExports, ["traces", "failed"], |own| &own.trace_exports_failed);
    watch(Metric::OtlpExports, ["metrics", "ok"], |own| &own.metric_exports);
    watch(Metric::OtlpExports, ["metrics", "failed"], |own| &own.metric_exports_failed);
}

/// Lets scrapes read what the queue and the room for answers count themselves.
pub fn watch_queue(telemetry: &Telemetry, queue: &Arc<Queue>) {
    let watch = |metric, labels: &[&str], read: fn(&Queue) -> u64| {
        let queue = Arc::clone(queue);
        telemetry.watch(metric, labels, move || read(&queue));
    };
    watch(Metric::ObservationsLost, &["exchange", "queue_full"], Queue::dropped);
    watch(Metric::ObservationsLost, &["exchange", "unread"], Queue::unread);
    watch(Metric::ObservationsLost, &["exchange", "sink_failed"], Queue::unseen);
    watch(Metric::ObservationsLost, &["prompt", "memory"], |queue| queue.room().refused());
    watch(Metric::CaptureQueueBytes, &[], Queue::held_bytes);
}

/// Lets scrapes read the date of the price list in force.
pub fn watch_prices(telemetry: &Telemetry, prices: &Arc<PricesInForce>) {
    let prices = Arc::clone(prices);
    telemetry.watch(Metric::PriceListTimestamp, &[], move || {
        prices.load().lists().date().map_or(0, Day::unix_seconds)
    });
}
