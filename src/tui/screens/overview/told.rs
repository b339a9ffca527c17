//! What the gateway tells of itself, as far as the screens show it.

use serde::Deserialize;

use crate::report::overview::Overview;

/// The answer of `/api/overview`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Told {
    pub seq: i64,
    /// Nothing was stored since: the rest is left out.
    pub unchanged: bool,
    pub gateway: Gateway,
    #[serde(flatten)]
    pub lately: Overview,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Gateway {
    pub in_flight: u64,
    /// Exchanges that found the observer's queue full.
    pub not_logged: u64,
    pub held_bytes: u64,
    pub capture: Capture,
    pub store: Option<Store>,
    pub warnings: Vec<String>,
    /// Empty: nothing is metered, so nothing is known.
    pub providers: Vec<Standing>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Capture {
    pub level: String,
    pub configured: String,
    pub switched: bool,
    pub until_us: Option<i64>,
    pub store: bool,
}

/// What became of records since the gateway's start.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Store {
    pub stored: u64,
    pub dropped: u64,
    pub failed: u64,
    pub queued: u64,
    pub queued_bytes: u64,
    pub bodies_shed: u64,
    pub bodies_failed: u64,
    pub bodies_cut: u64,
    pub failing: bool,
    pub disk_full: bool,
}

/// A provider as traffic has shown it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Standing {
    pub id: String,
    pub up: Option<bool>,
    pub in_flight: Option<f64>,
    pub limit_requests: Option<f64>,
    pub limit_tokens: Option<f64>,
    pub remaining_requests: Option<f64>,
    pub remaining_tokens: Option<f64>,
    pub keys_down: Vec<String>,
}

/// The answer of `/api/live`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Live {
    pub exchanges: Vec<Running>,
}

/// One exchange that runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Running {
    pub id: String,
    pub age_us: i64,
    pub phase: String,
    pub model_requested: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub agent: Option<String>,
    pub session_id: Option<String>,
    pub frames: i64,
    pub quiet_us: Option<i64>,
}
