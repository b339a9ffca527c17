//! The store of a running `serve`: its lock, the sink that feeds it, and what metrics and the banner say of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::settings::Settings;
use crate::exchange::level::Level;
use crate::observe::awaited::{Awaited, Owner};
use crate::observe::clean;
use crate::observe::clean::Redaction;
use crate::observe::keep::KeepSink;
use crate::observe::rules::RulesInForce;
use crate::store::Counters;
use crate::store::awaited::Awaited as Awaiting;
use crate::store::entry::Bodies;
use crate::store::facts;
use crate::store::in_flight;
use crate::store::inbox::Limits;
use crate::store::lock::{LockError, ServeLock};
use crate::store::reader::Reader;
use crate::store::vault::{Clean, Vault};
use crate::store::writer::Writer;
use crate::telemetry::instruments::Telemetry;
use crate::telemetry::metrics::Metric;

/// A store that is open.
pub struct Store {
    /// To be held until the end: one gateway a data directory.
    pub lock: ServeLock,
    pub counters: Arc<Counters>,
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
    if settings.capture.rules.most() == Level::Off {
        return Ok(None);
    }
    let folder = &settings.server.data_dir;
    let lock = ServeLock::take(folder)?;
    clean::in_force().start(&settings.redact, facts::digest_key(folder)?);
    let limits = Limits {
        age_max: settings.retention.records_age,
        bytes_max: settings.capture.memory_bytes_max as u64 / 2,
        ..Limits::default()
    };
    recover(folder)?;
    let writer = Writer::start_with(folder, limits, Some(bodies()))?;
    let counters = Arc::clone(writer.handle().counters());
    awaited.take_up(known(folder));
    Ok(Some(Store { lock, counters, sink: KeepSink::new(writer, Arc::clone(awaited), rules) }))
}

/// Where the writer keeps headers and bodies, cleaned by the policy in force.
pub fn bodies() -> Box<dyn Bodies> {
    Box::new(Vault::new(Box::new(Cleaning(clean::in_force())), None))
}

/// Cleans what is new of bodies, by the policy in force.
struct Cleaning(Redaction);

impl Clean for Cleaning {
    fn clean(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.0.current().clean(text)
    }

    fn version(&self) -> u32 {
        self.0.current().version()
    }
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
    watched(Metric::CaptureQueueExchanges, &[], |counters| &counters.queued);
    watched(Metric::ObservationsLost, &["row", "queue_full"], |counters| &counters.dropped);
    watched(Metric::ObservationsLost, &["row", "write_failed"], |counters| &counters.failed);
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
    format!("  capture            level {level}{some}: {kept} (--capture, --data-dir)")
}
