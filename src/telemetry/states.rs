//! What was last seen of each provider: whether it answers, whether its keys are accepted, what is left of its limits.
//!
//! Seen by traffic alone: a provider that nobody calls keeps its last state.

use std::collections::HashMap;
use std::sync::Arc;

use crate::exchange::attempt::{Attempt, RateLimit};
use crate::telemetry::instruments::{Configured, Gauge, Telemetry};
use crate::telemetry::metrics::Metric;

/// Whether an attempt shows its provider at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Up,
    Down,
    /// It was let go before anything could be seen.
    None,
}

/// The gauges of the providers in force.
pub(crate) struct States {
    telemetry: Arc<Telemetry>,
    /// The configuration that `providers` was filled under; with a new one it is emptied.
    generation: u64,
    configured: Arc<Configured>,
    providers: HashMap<u16, Option<Provider>>,
}

struct Provider {
    up: Gauge,
    keys: HashMap<Arc<str>, Gauge>,
    /// Made when the provider first names them.
    limits: [Option<Gauge>; 4],
}

impl States {
    pub(crate) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            generation: telemetry.generation(),
            configured: telemetry.configured(),
            telemetry,
            providers: HashMap::new(),
        }
    }

    /// Takes in what an attempt at `provider`, with this id, has shown.
    pub(crate) fn note(&mut self, (id, provider): (u16, &Arc<str>), attempt: &Attempt, sign: Sign) {
        let generation = self.telemetry.generation();
        if self.generation != generation {
            self.generation = generation;
            self.configured = self.telemetry.configured();
            self.providers.clear();
        }
        let (telemetry, configured) = (&self.telemetry, &self.configured);
        let made = || Provider::new(telemetry, configured, provider);
        // A provider that has left the configuration has no state, also when its last answer comes late.
        let Some(known) = self.providers.entry(id).or_insert_with(made) else { return };
        match sign {
            Sign::Up => known.up.set(1),
            Sign::Down => known.up.set(0),
            Sign::None => {}
        }
        if let Some(key) = attempt.key_label.as_ref().and_then(|label| known.keys.get(label)) {
            match attempt.status.map(|status| status.as_u16()) {
                Some(401 | 403) => key.set(0),
                // Gemini says of a bad key that the request is: 400 tells nothing of the key.
                Some(400) => {}
                Some(..500) => key.set(1),
                _ => {}
            }
        }
        known.note_limits(telemetry, provider, &attempt.rate_limit);
    }
}

impl Provider {
    fn new(telemetry: &Telemetry, configured: &Configured, provider: &Arc<str>) -> Option<Self> {
        let keys = configured.0.get(provider)?;
        let gauge = |key: &Arc<str>| telemetry.gauge(Metric::KeyUp, &[provider, key]);
        Some(Self {
            up: telemetry.gauge(Metric::ProviderUp, &[provider]),
            keys: keys.iter().map(|key| (Arc::clone(key), gauge(key))).collect(),
            limits: [None, None, None, None],
        })
    }

    fn note_limits(&mut self, telemetry: &Telemetry, provider: &str, told: &RateLimit) {
        let values = [
            (Metric::RateLimit, "requests", told.requests_limit),
            (Metric::RateLimitRemaining, "requests", told.requests_remaining),
            (Metric::RateLimit, "tokens", told.tokens_limit),
            (Metric::RateLimitRemaining, "tokens", told.tokens_remaining),
        ];
        for (gauge, (metric, kind, value)) in self.limits.iter_mut().zip(values) {
            let Some(value) = value else { continue };
            gauge.get_or_insert_with(|| telemetry.gauge(metric, &[provider, kind])).set(value);
        }
    }
}
