//! The store of a running `serve`: its lock, the sink that feeds it, and what metrics and the banner say of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::id::ExchangeId;
use crate::base::secret::Secret;
use crate::config::settings::Settings;
use crate::exchange::level::Level;
use crate::exchange::live::{Entry, Live};
use crate::exchange::redact;
use crate::observe::awaited::{Awaited, Owner};
use crate::observe::clean;
use crate::observe::keep::KeepSink;
use crate::observe::rules::RulesInForce;
use crate::policy::capture::{Facts, Rules};
use crate::store::Counters;
use crate::store::awaited::Awaited as Awaiting;
use crate::store::db;
use crate::store::digest_key;
use crate::store::entry::Bodies;
use crate::store::expire::Bounds;
use crate::store::in_flight::{self, Head};
use crate::store::inbox::{Handle, Limits};
use crate::store::lock::{LockError, ServeLock};
use crate::store::reader::Reader;
use crate::store::search::{self, Indexer};
use crate::store::upkeep;
use crate::store::vault::{Vault, seal};
use crate::store::writer::Writer;
use crate::telemetry::instruments::Telemetry;
use crate::telemetry::metrics::Metric;

/// How often it is looked for exchanges that run for a while, and from when on they are noted.
const HEADS_EVERY: Duration = Duration::from_millis(250);
const HEAD_AFTER_US: u64 = 250_000;

/// A store that is open.
pub struct Store {
    /// To be held until the end: one gateway a data directory. `None`: this one writes beside another.
    pub lock: Option<ServeLock>,
    pub counters: Arc<Counters>,
    pub handle: Handle,
    /// Indexes the texts of bodies, where there are any in the clear.
    pub indexer: Option<Indexer>,
    pub sink: KeepSink,
}

/// Opens the store of the data directory, where records are to be kept.
pub fn start(
    settings: &Settings,
    awaited: &Arc<Awaited>,
    rules: Arc<RulesInForce>,
) -> Result<Option<Store>, LockError> {
    // Without a store spans and log lines are redacted all the same.
    clean::in_force().reload(&settings.redact);
    let folder = &settings.server.data_dir;
    let bounds = bounds(settings);
    if settings.capture.rules.most() == Level::Off {
        if bounds.keep_no_bodies() && folder.join(db::FILE).exists() {
            let _lock = ServeLock::take(folder)?;
            wipe(folder, &bounds);
        }
        return Ok(None);
    }
    let lock = ServeLock::take(folder)?;
    clean::in_force().start(&settings.redact, digest_key::digest_key(folder)?);
    let limits = Limits { bounds, ..limits(settings) };
    recover(folder)?;
    let bodies = bodies(folder, settings.encryption_key.as_ref())?;
    let writer = Writer::start_with(folder, limits, Some(bodies))?;
    let handle = writer.handle().clone();
    let counters = Arc::clone(handle.counters());
    awaited.take_up(known(folder));
    let indexer = index(settings, &counters);
    Ok(Some(Store {
        lock: Some(lock),
        counters,
        handle,
        indexer,
        sink: KeepSink::new(writer, Arc::clone(awaited), rules),
    }))
}

/// As [`start`], to write beside a gateway that may be running: it takes no lock, and what is to be done once a store
/// (deletions, the index of texts, what a crash left) stays with that one.
pub fn beside(
    settings: &Settings,
    awaited: &Arc<Awaited>,
    rules: Arc<RulesInForce>,
) -> Result<Option<Store>, LockError> {
    clean::in_force().reload(&settings.redact);
    if settings.capture.rules.most() == Level::Off {
        return Ok(None);
    }
    let folder = &settings.server.data_dir;
    clean::in_force().start(&settings.redact, digest_key::digest_key(folder)?);
    let bodies = bodies(folder, settings.encryption_key.as_ref())?;
    let writer = Writer::start_with(folder, limits(settings), Some(bodies))?;
    let handle = writer.handle().clone();
    let counters = Arc::clone(handle.counters());
    let sink = KeepSink::new(writer, Arc::clone(awaited), rules);
    Ok(Some(Store { lock: None, counters, handle, indexer: None, sink }))
}

fn limits(settings: &Settings) -> Limits {
    Limits { bytes_max: settings.capture.memory_bytes_max as u64 / 2, ..Limits::default() }
}

fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        bodies_age: settings.retention.bodies_age,
        bytes_max: settings.retention.bodies_bytes_max,
        require_export: settings.retention.require_export,
        records_age: settings.retention.records_age,
    }
}

/// Zero retention where nothing is kept any more: what was kept goes before the first request comes.
fn wipe(folder: &Path, bounds: &Bounds) {
    match upkeep::wipe(folder, bounds) {
        Ok(()) => tracing::info!("bodies that were kept before are deleted: retention is zero"),
        Err(error) => tracing::error!(
            path = %folder.join(db::FILE).display(),
            "bodies that were kept before cannot be deleted, though retention is zero: {error}; or remove the file by hand"
        ),
    }
}

/// Starts indexing texts. Not where they are sealed: the index would hold their words in the clear.
fn index(settings: &Settings, counters: &Arc<Counters>) -> Option<Indexer> {
    let folder = &settings.server.data_dir;
    if settings.encryption_key.is_some() || !settings.capture.search {
        if let Err(error) = search::discard(folder) {
            tracing::warn!(%error, "search.db cannot be removed; remove it by hand");
        }
        return None;
    }
    // An index that is there already has to lose what the store loses.
    let has_index = folder.join(search::FILE).exists();
    if bounds(settings).keep_no_bodies()
        || settings.capture.rules.most() < Level::Full && !has_index
    {
        return None;
    }
    let counters = Arc::clone(counters);
    let busy = Box::new(move || counters.queued.load(Ordering::Relaxed) > 0);
    let limits =
        search::Limits { size_max: settings.capture.search_bytes_max, ..search::Limits::default() };
    match Indexer::start(folder, limits, busy) {
        Ok(indexer) => Some(indexer),
        Err(error) => {
            tracing::warn!(%error, "texts are not indexed: `text:` reads bodies, slowly");
            None
        }
    }
}

/// Where headers and bodies go: cleaned by the policy in force, sealed where there is a key.
pub fn bodies(folder: &Path, key: Option<&Secret>) -> Result<Box<dyn Bodies>, LockError> {
    let seal = seal::for_writing(folder, key)?;
    Ok(Box::new(Vault::new(Box::new(clean::in_force()), seal)))
}

/// Makes records of what the last run was cut in.
fn recover(folder: &Path) -> Result<(), LockError> {
    let cut = in_flight::recover(folder)?;
    if cut > 0 {
        tracing::warn!(
            exchanges = cut,
            "the last run ended while exchanges were running; they are stored as interrupted"
        );
    }
    Ok(())
}

/// The answers whose usage was awaited when the gateway ended. Without them their tokens are lost, and no more.
fn known(folder: &Path) -> Vec<(String, Owner)> {
    let read = match Reader::open(folder) {
        Ok(reader) => reader.awaited().map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let rows = read.unwrap_or_else(|error| {
        tracing::warn!(%error, "background answers of earlier runs are forgotten: their tokens will not be counted");
        Vec::new()
    });
    let owner = |row: Awaiting| {
        let owner = Owner {
            provider: row.provider.into(),
            model: row.model.map(Arc::from),
            model_label: row.model_label.into(),
            batch: row.batch,
        };
        (row.response_id, owner)
    };
    rows.into_iter().map(owner).collect()
}

/// Scrapes read what the writer counts.
pub fn watch(telemetry: &Telemetry, counters: &Arc<Counters>) {
    let watched = |metric, labels: &[&str], counter: fn(&Counters) -> &AtomicU64| {
        let counters = Arc::clone(counters);
        telemetry.watch(metric, labels, move || counter(&counters).load(Ordering::Relaxed));
    };
    watched(Metric::CaptureExchanges, &["stored"], |counters| &counters.stored);
    watched(Metric::CaptureExchanges, &["shed"], |counters| &counters.dropped);
    watched(Metric::CaptureExchanges, &["failed"], |counters| &counters.failed);
    watched(Metric::CaptureBytes, &["raw"], |counters| &counters.raw_bytes);
    watched(Metric::CaptureBytes, &["stored"], |counters| &counters.stored_bytes);
    watched(Metric::ObservationsLost, &["body", "queue_full"], |counters| {
        &counters.bodies_shed_queue
    });
    watched(Metric::ObservationsLost, &["body", "disk_full"], |counters| {
        &counters.bodies_shed_disk
    });
    watched(Metric::ObservationsLost, &["body", "write_failed"], |counters| {
        &counters.bodies_failed
    });
    watched(Metric::ObservationsLost, &["body", "too_long"], |counters| &counters.bodies_cut);
    watched(Metric::ObservationsLost, &["frame", "table_full"], |counters| {
        &counters.frames_untabled
    });
    watched(Metric::CaptureQueueExchanges, &[], |counters| &counters.queued);
    watched(Metric::ObservationsLost, &["row", "queue_full"], |counters| &counters.dropped);
    watched(Metric::ObservationsLost, &["row", "write_failed"], |counters| &counters.failed);
}

/// Has the heads of exchanges that run for a while written, so that a crash does not hide them. Ends with the gateway.
pub async fn note_running(live: Arc<Live>, rules: Arc<RulesInForce>, handle: Handle) {
    loop {
        tokio::time::sleep(HEADS_EVERY).await;
        let running = live.entries();
        let rules = Arc::clone(&rules.load());
        let old = running.iter().filter(|entry| entry.age_us() >= HEAD_AFTER_US);
        let old = old.filter(|entry| is_to_be_noted(entry, &rules));
        for entry in old {
            entry.write_head(|| handle.heads(vec![head(entry)], Vec::new()));
        }
    }
}

/// What may turn out to be kept by nobody leaves no head either; before the provider is known a rule may still say so.
fn is_to_be_noted(entry: &Entry, rules: &Rules) -> bool {
    let known = entry.known();
    let may_be_off = rules.rules.iter().any(|rule| rule.share.level == Level::Off);
    let facts = Facts {
        key: known.key_label.as_deref(),
        provider: known.provider.as_deref(),
        model: known.model.as_deref(),
        path: &entry.begun.path,
        asked: entry.begun.asked,
        ..Facts::default()
    };
    (known.attempts > 0 || !may_be_off) && rules.decide(&facts) > Level::Off
}

fn head(entry: &Entry) -> Head {
    let known = entry.known();
    let clean = |text: &str| redact::secrets(text).into_owned();
    Head {
        id: entry.begun.id.bytes(),
        started_at_us: i64::try_from(entry.begun.wall_us).unwrap_or(i64::MAX),
        dialect: entry.begun.dialect.label().to_owned(),
        operation: entry.begun.operation.label().to_owned(),
        method: entry.begun.method.to_string(),
        path: clean(&entry.begun.path),
        provider: known.provider.map(|provider| provider.to_string()),
        model_requested: known.model_requested.as_deref().map(clean),
        model: known.model.as_deref().map(clean),
        session: entry.begun.session.as_deref().map(clean),
        agent: entry.begun.agent.to_owned(),
        key_label: known.key_label.map(|label| label.to_string()),
        client: entry.begun.client,
        stream: known.stream,
        trace: entry.begun.trace.0,
        tags: Vec::new(),
        run_id: entry.begun.replay.map(|replay| replay.run.bytes()),
        replay_of: entry.begun.replay.and_then(|replay| replay.of).map(ExchangeId::bytes),
    }
}

/// The banner's line.
pub fn told(settings: &Settings) -> String {
    let folder = settings.server.data_dir.display();
    let capture = &settings.capture;
    let most = capture.rules.most();
    let kept = match most {
        Level::Off => "nothing is kept".to_owned(),
        Level::Meta => format!("records in {folder}, no headers, no bodies"),
        Level::Headers => format!("records and headers in {folder}, no bodies"),
        Level::Full => format!("records, headers and bodies in {folder}"),
    };
    let level = capture.level.label();
    let some = if most > capture.level { " (some rules keep more)" } else { "" };
    // The index of texts holds words in the clear: where bodies are sealed there is none.
    let sealed = match (most, settings.encryption_key.is_some()) {
        (Level::Full, true) => "; headers and bodies encrypted, texts not indexed",
        (Level::Headers, true) => "; headers encrypted",
        _ => "",
    };
    format!("  capture            level {level}{some}: {kept}{sealed} (--capture, --data-dir)")
}
