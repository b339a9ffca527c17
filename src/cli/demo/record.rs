//! What the demo keeps of exchanges in memory, to hold it against what others say.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::money::Nanodollars;
use crate::exchange::Exchange;
use crate::exchange::outcome::Outcome;
use crate::neutral::usage::{Usage, UsageSource};
use crate::observe::sink::Sink;

/// What the demo keeps of an exchange, once it has ended.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) key_label: Option<Arc<str>>,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: Outcome,
    pub(crate) kind: Option<&'static str>,
    pub(crate) overhead_us: u64,
    pub(crate) response_bytes: u64,
    /// What each attempt cost; the last one's answer went to the client.
    pub(crate) attempts: Vec<Metered>,
}

/// Tokens and cost of one attempt, as the gateway metered them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metered {
    pub(crate) model: String,
    pub(crate) told: Usage,
    pub(crate) estimated: Usage,
    /// `None`: there was nothing to meter.
    pub(crate) source: Option<UsageSource>,
    pub(crate) partial: bool,
    pub(crate) missing: bool,
    pub(crate) cost: Option<Nanodollars>,
}

impl Record {
    fn of(exchange: &Exchange) -> Self {
        let attempt = exchange.last_attempt();
        let metered = exchange.attempts.iter().zip(&exchange.summary.tallies);
        Self {
            id: exchange.id.to_string(),
            provider: attempt.map(|attempt| Arc::clone(&attempt.provider)),
            key_label: exchange.key_label.clone(),
            status: exchange.status.map(|status| status.as_u16()),
            outcome: exchange.outcome,
            kind: exchange.failure.as_ref().map(|failure| failure.kind),
            overhead_us: exchange.summary.times.overhead_us,
            response_bytes: exchange.response_bytes,
            attempts: metered
                .map(|(attempt, tally)| Metered {
                    model: attempt.model_label.to_string(),
                    told: tally.counted_by(UsageSource::Provider),
                    estimated: tally.counted_by(UsageSource::Estimated),
                    source: tally.source,
                    partial: tally.partial,
                    missing: tally.missing,
                    cost: tally.cost.as_ref().map(|cost| cost.amount),
                })
                .collect(),
        }
    }
}

/// Keeps every record in memory, for the summary.
pub(crate) struct Keep(pub(crate) Arc<Mutex<Vec<Record>>>);

impl Sink for Keep {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What a run sends again is no traffic: it is in the store alone.
        let traffic = batch.iter().filter(|exchange| exchange.replay.is_none());
        records.extend(traffic.map(|exchange| Record::of(exchange)));
    }
}
